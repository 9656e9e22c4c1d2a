//! Billing accounts: who asks for invoices that are paid by transfer, and what happened to an account.

use jiff::Timestamp;
use porttask_domain::{
    OrganizationId, TextEnum,
    billing::{
        billing_account::{BalanceCause, Check, CheckResult, Collection, Contact, Event, Profile},
        billing_document::{Address, Name},
    },
};

use super::plan::money;
use crate::{
    Change, Index, Key, ReadModel, Recorded, Value,
    audit_text::{DescriptionSink, DisplayValue, change_if_different},
    row,
};

row! {
    /// A request for invoices that are paid by transfer.
    pub struct InvoiceBillingRequest {
        key {
            /// The organization.
            organization: OrganizationId,
        }
        row {
            /// When it was made.
            requested_at: Timestamp,
        }
    }
}

/// Which organizations ask for invoices that are paid by transfer, and wait for an answer?
pub struct InvoiceBillingRequests;

impl ReadModel for InvoiceBillingRequests {
    const NAME: &'static str = "invoice_billing_requests";
    const VERSION: u32 = 1;
    const INDEXES: &'static [Index] = &[Index { name: "by_organization", columns: &["organization"] }];
    const CROSS_PARTITION_INDEXES: &'static [Index] =
        &[Index { name: "all_by_age", columns: &["requested_at", "organization"] }];
    type Source = Event;
    type Row = InvoiceBillingRequest;

    fn keys(_: &Event, recorded: &Recorded) -> Vec<Key> {
        vec![vec![Value::Id(recorded.organization.0)]]
    }

    fn project(
        row: Option<InvoiceBillingRequest>,
        event: &Event,
        recorded: &Recorded,
    ) -> Change<InvoiceBillingRequest> {
        match (row, event) {
            (None, Event::InvoiceBillingRequested {}) => Change::Put(InvoiceBillingRequest {
                organization: recorded.organization,
                requested_at: recorded.time(),
            }),
            (Some(_), Event::CollectionChanged { .. }) => Change::Delete,
            (Some(_), Event::InvoiceBillingRequested {})
            | (None, Event::CollectionChanged { .. })
            | (
                _,
                Event::ProfileChanged { .. }
                | Event::TaxIdChanged { .. }
                | Event::TaxIdChecked(_)
                | Event::BalanceChanged { .. },
            ) => Change::Keep,
        }
    }
}

/// An address in one line, with its street only if that is not personal.
pub(super) fn address_in_words(address: &Address, has_street: bool) -> String {
    let Address { street, postcode, city, region, country } = address;
    let open = street.iter().filter(|_| has_street).filter_map(Name::text);
    let place = format!("{postcode} {city}");
    let parts = open.chain([place.trim()]).chain(region.as_deref()).chain([country.as_str()]);
    parts.collect::<Vec<_>>().join(", ")
}

/// A name; what is personal before or after the change is not searched for.
fn name(name: &Name, is_searched: bool) -> DisplayValue<'_> {
    match name {
        Name::Open(text) if is_searched => DisplayValue::Text(text),
        Name::Open(text) => DisplayValue::Filtered(text),
        Name::Personal(personal) => DisplayValue::Personal(personal),
    }
}

fn profile_changes(from: &Profile, to: &Profile, sink: &mut dyn DescriptionSink) {
    let is_open = from.is_business && to.is_business;
    let [old, new] = [&from.legal_name, &to.legal_name].map(|it| it.as_ref().map(|it| name(it, is_open)));
    change_if_different("legal_name", old, new, sink);
    if from.address != to.address {
        let lines = |profile: &Profile| profile.address.as_ref().map(|it| address_in_words(it, is_open));
        let (old, new) = (lines(from), lines(to));
        sink.change("address", old.as_deref().map(DisplayValue::Text), new.as_deref().map(DisplayValue::Text));
        if !is_open {
            let street = |profile: &'_ Profile| profile.address.as_ref().and_then(|it| it.street.first().cloned());
            let (old, new) = (street(from), street(to));
            let [old, new] = [&old, &new].map(|it| it.as_ref().map(|it| name(it, false)));
            change_if_different("street", old, new, sink);
        }
    }
    let (old, new) = (&from.is_business, &to.is_business);
    change_if_different("is_business", Some(DisplayValue::Written(old)), Some(DisplayValue::Written(new)), sink);
    let (old, new) = (from.purchase_order.as_deref(), to.purchase_order.as_deref());
    change_if_different("purchase_order", old.map(DisplayValue::Text), new.map(DisplayValue::Text), sink);
    let (old, new) = (DisplayValue::Text(&from.language), DisplayValue::Text(&to.language));
    change_if_different("language", Some(old), Some(new), sink);
    let of = |contact: &'_ Option<Contact>| contact.clone().map(|contact| (contact.name, contact.email));
    let (old, new) = (of(&from.contact), of(&to.contact));
    let [old_name, new_name] = [&old, &new].map(|it| it.as_ref().map(|(name, _)| DisplayValue::Personal(name)));
    change_if_different("contact_name", old_name, new_name, sink);
    let [old_email, new_email] = [&old, &new].map(|it| it.as_ref().map(|(_, email)| DisplayValue::Personal(email)));
    change_if_different("contact_email", old_email, new_email, sink);
}

/// How invoices are paid, in words.
fn collection_in_words(collection: Collection) -> String {
    match collection {
        Collection::Automatic => "automatic".to_owned(),
        Collection::Invoice { days } => format!("by transfer within {days} days"),
    }
}

fn vat_id(verb: &'static str, sink: &mut dyn DescriptionSink) {
    sink.words(verb);
    sink.value(DisplayValue::Text("VAT"));
    sink.words(" id");
}

fn check_in_words(check: &Check, sink: &mut dyn DescriptionSink) {
    vat_id("checked the ", sink);
    sink.words(" ");
    sink.value(DisplayValue::Text(&check.tax_id));
    sink.words(match check.result {
        CheckResult::Valid => ", which is valid",
        CheckResult::Invalid => ", which is not valid",
        CheckResult::Unavailable => ", but the registry did not answer",
    });
    sink.change("result", None, Some(DisplayValue::Text(check.result.as_str())));
    sink.change("source", None, Some(DisplayValue::Text(check.source.as_str())));
    change_if_different("reference", None, check.reference.as_ref().map(|it| DisplayValue::Filtered(it)), sink);
}

fn caused(words: &'static str, field: &'static str, id: &dyn std::fmt::Display, sink: &mut dyn DescriptionSink) {
    sink.words(words);
    sink.change(field, None, Some(DisplayValue::Filtered(&id)));
}

/// What happened, for the audit log.
pub(crate) fn describe(event: &Event, sink: &mut dyn DescriptionSink) {
    match event {
        Event::ProfileChanged { from, to } => {
            sink.words("changed the billing account");
            profile_changes(from, to, sink);
        }
        Event::TaxIdChanged { from, to } => {
            vat_id(if to.is_some() { "changed the " } else { "removed the " }, sink);
            let (from, to) = (from.as_deref().map(DisplayValue::Text), to.as_deref().map(DisplayValue::Text));
            sink.change("vat_id", from, to);
        }
        Event::TaxIdChecked(check) => check_in_words(check, sink),
        Event::InvoiceBillingRequested {} => sink.words("asked for invoices that are paid by transfer"),
        Event::CollectionChanged { from, to } => {
            let (from, to) = (collection_in_words(*from), collection_in_words(*to));
            sink.words("changed how invoices are paid to ");
            sink.value(DisplayValue::Text(&to));
            sink.change("collection", Some(DisplayValue::Text(&from)), Some(DisplayValue::Text(&to)));
        }
        Event::BalanceChanged { by, after, currency, cause } => {
            sink.words("changed the balance by ");
            sink.value(DisplayValue::Text(&money(*by, *currency)));
            match cause {
                BalanceCause::Granted(reason) => {
                    sink.words(": ");
                    sink.value(DisplayValue::Personal(reason));
                }
                BalanceCause::CreditNote(id) => caused(" from a credit note", "credit_note", id, sink),
                BalanceCause::Invoice(id) => caused(" for an invoice", "invoice", id, sink),
                BalanceCause::Surplus(id) => caused(", paid beyond an invoice", "invoice", id, sink),
                BalanceCause::FailedRefund(id) => caused(", because a refund failed", "payment", id, sink),
                BalanceCause::Refund(id) => caused(", paid back with a credit note", "credit_note", id, sink),
            }
            sink.change("balance", None, Some(DisplayValue::Text(&money(*after, *currency))));
        }
    }
}
