//! The seller: its logos, and what happened to it.

use jiff::Timestamp;
use porttask_domain::{
    OrganizationId, TextEnum,
    billing::{
        billing_document::Address,
        seller::{Event, Profile},
    },
};

use super::billing_account::address_in_words;
use crate::{
    Change, ColumnType, Index, Key, ReadModel, Recorded,
    audit_text::{DescriptionSink, DisplayValue, change_if_different},
    row,
};

row! {
    /// A logo that documents show or have shown.
    pub struct SellerLogo {
        key {
            /// The platform's organization.
            organization: OrganizationId,
            /// The SHA-256 of its bytes.
            sha256: String,
        }
        row {
            /// When it was first used.
            used_at: Timestamp,
        }
    }
}

/// Which contents are logos of the seller?
pub struct SellerLogos;

impl ReadModel for SellerLogos {
    const NAME: &'static str = "seller_logos";
    const VERSION: u32 = 1;
    const INDEXES: &'static [Index] = &[];
    type Source = Event;
    type Row = SellerLogo;

    fn keys(event: &Event, recorded: &Recorded) -> Vec<Key> {
        match event {
            Event::ProfileChanged { to, .. } => {
                let logo = to.logo.iter();
                logo.map(|logo| vec![recorded.organization.to_value(), logo.sha256.to_value()]).collect()
            }
            Event::RegistrationAdded(_)
            | Event::RegistrationRemoved(_)
            | Event::TaxRateSet { .. }
            | Event::ExchangeRateSet { .. } => Vec::new(),
        }
    }

    fn project(row: Option<SellerLogo>, event: &Event, recorded: &Recorded) -> Change<SellerLogo> {
        match (row, event) {
            (None, Event::ProfileChanged { to, .. }) => match &to.logo {
                Some(logo) => Change::Put(SellerLogo {
                    organization: recorded.organization,
                    sha256: logo.sha256.clone(),
                    used_at: recorded.time(),
                }),
                None => Change::Keep,
            },
            (Some(_), Event::ProfileChanged { .. })
            | (
                _,
                Event::RegistrationAdded(_)
                | Event::RegistrationRemoved(_)
                | Event::TaxRateSet { .. }
                | Event::ExchangeRateSet { .. },
            ) => Change::Keep,
        }
    }
}

fn profile_changes(from: &Profile, to: &Profile, sink: &mut dyn DescriptionSink) {
    let mut text = |field, from: Option<&str>, to: Option<&str>| {
        change_if_different(field, from.map(DisplayValue::Text), to.map(DisplayValue::Text), sink);
    };
    let address = |address: &Option<Address>| address.as_ref().map(|it| address_in_words(it, true));
    text("legal_name", from.legal_name.as_deref(), to.legal_name.as_deref());
    text("address", address(&from.address).as_deref(), address(&to.address).as_deref());
    text("vat_id", from.vat_id.as_deref(), to.vat_id.as_deref());
    text("registration_number", from.registration_number.as_deref(), to.registration_number.as_deref());
    text("iban", from.iban.as_deref(), to.iban.as_deref());
    text("bic", from.bic.as_deref(), to.bic.as_deref());
    text("email", from.email.as_deref(), to.email.as_deref());
    text("phone", from.phone.as_deref(), to.phone.as_deref());
    text("zone", from.zone.as_deref(), to.zone.as_deref());
    let code = |profile: &Profile| profile.accounting_currency.map(|currency| currency.code());
    text("accounting_currency", code(from), code(to));
    text("accent_colour", from.accent_colour.as_deref(), to.accent_colour.as_deref());
    text("prefix", Some(&from.prefix), Some(&to.prefix));
    let logo = |profile: &Profile| profile.logo.as_ref().map(|logo| logo.sha256.clone());
    let (from_logo, to_logo) = (logo(from), logo(to));
    fn filtered(hash: &Option<String>) -> Option<DisplayValue<'_>> {
        hash.as_ref().map(|hash| DisplayValue::Filtered(hash))
    }
    change_if_different("logo", filtered(&from_logo), filtered(&to_logo), sink);
    let (from, to) = (&from.payment_days, &to.payment_days);
    change_if_different("payment_days", Some(DisplayValue::Written(from)), Some(DisplayValue::Written(to)), sink);
}

/// What happened, for the audit log.
pub(crate) fn describe(event: &Event, sink: &mut dyn DescriptionSink) {
    match event {
        Event::ProfileChanged { from, to } => {
            sink.words(if from.logo == to.logo { "changed the seller" } else { "changed the logo of the seller" });
            profile_changes(from, to, sink);
        }
        Event::RegistrationAdded(registration) => {
            sink.words("added the registration of the seller in ");
            sink.value(DisplayValue::Text(&registration.country));
            sink.change("country", None, Some(DisplayValue::Text(&registration.country)));
            sink.change("scheme", None, Some(DisplayValue::Text(registration.scheme.as_str())));
            sink.change("vat_id", None, Some(DisplayValue::Text(&registration.vat_id)));
            sink.change("from", None, Some(DisplayValue::Filtered(&registration.from)));
        }
        Event::RegistrationRemoved(registration) => {
            sink.words("removed the registration of the seller in ");
            sink.value(DisplayValue::Text(&registration.country));
            sink.change("country", Some(DisplayValue::Text(&registration.country)), None);
            sink.change("scheme", Some(DisplayValue::Text(registration.scheme.as_str())), None);
            sink.change("vat_id", Some(DisplayValue::Text(&registration.vat_id)), None);
        }
        Event::TaxRateSet { country, rate, from } => {
            sink.words("set the tax rate of ");
            sink.value(DisplayValue::Text(country));
            sink.words(" to ");
            sink.value(DisplayValue::Written(rate));
            sink.change("rate", None, Some(DisplayValue::Written(rate)));
            sink.change("from", None, Some(DisplayValue::Filtered(from)));
        }
        Event::ExchangeRateSet { date, currency, rate, source } => {
            sink.words("set the exchange rate of ");
            sink.value(DisplayValue::Written(currency));
            sink.words(" to ");
            sink.value(DisplayValue::Written(rate));
            sink.change("rate", None, Some(DisplayValue::Written(rate)));
            sink.change("date", None, Some(DisplayValue::Filtered(date)));
            sink.change("source", None, Some(DisplayValue::Text(source)));
        }
    }
}
