//! Payments.

use jiff::Timestamp;
use porttask_domain::{
    Aggregate, OrganizationId,
    billing::{
        Currency, Payment as Aggregated,
        payment::{Event, PaymentId, Status, Target},
        payment_method::PaymentMethodId,
    },
};

use super::plan::money;
use crate::{
    Change, Index, ReadModel, Recorded,
    audit_text::{DescriptionSink, DisplayValue, change_if_different},
    id_columns, row, text_columns,
};

id_columns!(PaymentId, PaymentMethodId);
text_columns!(Status);

row! {
    /// A payment.
    pub struct Payment {
        key {
            /// The organization that pays.
            organization: OrganizationId,
            /// The id.
            payment: PaymentId,
        }
        row {
            /// What it is for: the id of a change or an invoice.
            target: String,
            /// How much, in minor units.
            amount: u64,
            /// The currency.
            currency: String,
            /// What was charged; null if it was recorded by hand.
            method: Option<PaymentMethodId>,
            /// The provider; null if it was recorded by hand.
            provider: Option<String>,
            /// Which attempt it is; null if it was recorded by hand.
            attempt: Option<u64>,
            /// The status.
            status: Status,
            /// Why it failed.
            code: Option<String>,
            /// What the provider calls it; of one that was recorded by hand, the text of the transfer.
            reference: Option<String>,
            /// How much was refunded, in minor units.
            refunded: u64,
            /// How much the payer's bank took back, in minor units.
            reversed: u64,
            /// When it was started.
            started_at: Timestamp,
            /// When its outcome became known.
            settled_at: Option<Timestamp>,
            /// The payment as JSON.
            state: String,
            /// The version.
            version: u64,
        }
    }
}

/// What was paid, and what became of it?
pub struct Payments;

impl ReadModel for Payments {
    const NAME: &'static str = "payments";
    const VERSION: u32 = 1;
    const INDEXES: &'static [Index] = &[
        Index { name: "by_time", columns: &["organization", "started_at", "payment"] },
        Index { name: "by_amount", columns: &["organization", "amount", "payment"] },
    ];
    const CROSS_PARTITION_INDEXES: &'static [Index] = &[
        Index { name: "all_by_time", columns: &["started_at", "organization", "payment"] },
        Index { name: "all_by_amount", columns: &["amount", "organization", "payment"] },
    ];
    type Source = Event;
    type Row = Payment;

    fn project(row: Option<Payment>, event: &Event, recorded: &Recorded) -> Change<Payment> {
        let known = row.as_ref().and_then(|row| serde_json::from_str(&row.state).ok());
        let mut state: Aggregated = known.unwrap_or_default();
        state.evolve(event);
        let (Some(status), Some((target, amount, currency))) = (state.status(), state.purpose()) else {
            return Change::Keep;
        };
        let settled = match event {
            Event::Succeeded { .. } | Event::Failed { .. } | Event::RecordedManually { .. } => Some(recorded.time()),
            Event::Started { .. }
            | Event::ActionRequired {}
            | Event::OutcomeUnknown {}
            | Event::RefundStarted { .. }
            | Event::Refunded { .. }
            | Event::RefundFailed { .. }
            | Event::Reversed { .. } => row.as_ref().and_then(|row| row.settled_at),
        };
        let known = || state.provider_ref().map(str::to_owned).or(row.as_ref().and_then(|row| row.reference.clone()));
        let reference =
            if let Event::RecordedManually { reference, .. } = event { Some(reference.clone()) } else { known() };
        let minor = |amount: i64| u64::try_from(amount).unwrap_or_default();
        Change::Put(Payment {
            organization: recorded.organization,
            payment: PaymentId(recorded.subject),
            target: target.to_string(),
            amount: minor(amount),
            currency: currency.to_string(),
            method: state.method(),
            provider: state.provider().map(str::to_owned),
            attempt: state.attempt().map(u64::from),
            status,
            code: state.failure().map(|(code, _)| code.to_owned()),
            reference,
            refunded: minor(state.refunded()),
            reversed: minor(state.reversed()),
            started_at: row.as_ref().map_or(recorded.time(), |row| row.started_at),
            settled_at: settled,
            state: serde_json::to_string(&state).unwrap_or_default(),
            version: recorded.version,
        })
    }
}

fn amount_of(amount: i64, currency: Currency, sink: &mut dyn DescriptionSink) {
    sink.value(DisplayValue::Text(&money(amount, currency)));
}

fn target_change(target: &Target, sink: &mut dyn DescriptionSink) {
    sink.change("target", None, Some(DisplayValue::Filtered(target)));
}

/// What happened, for the audit log.
pub(crate) fn describe(event: &Event, sink: &mut dyn DescriptionSink) {
    match event {
        Event::Started { target, amount, currency, method, provider, attempt, .. } => {
            sink.words("started a payment of ");
            amount_of(*amount, *currency, sink);
            sink.change("amount", None, Some(DisplayValue::Text(&money(*amount, *currency))));
            target_change(target, sink);
            sink.change("payment_method", None, Some(DisplayValue::Filtered(method)));
            sink.change("provider", None, Some(DisplayValue::Text(provider)));
            sink.change("attempt", None, Some(DisplayValue::Written(attempt)));
        }
        Event::ActionRequired {} => sink.words("has to confirm the payment"),
        Event::OutcomeUnknown {} => sink.words("got no answer from the payment provider: the payment is looked up"),
        Event::Succeeded { provider_ref, .. } => {
            sink.words("paid");
            sink.change("provider_reference", None, Some(DisplayValue::Text(provider_ref)));
        }
        Event::Failed { code, is_final } => {
            sink.words("could not pay: ");
            sink.value(DisplayValue::Text(code));
            sink.change("code", None, Some(DisplayValue::Text(code)));
            sink.change("is_final", None, Some(DisplayValue::Written(is_final)));
        }
        Event::RecordedManually { target, amount, currency, reference, paid_on } => {
            sink.words("recorded a payment of ");
            amount_of(*amount, *currency, sink);
            sink.words(" that was received on ");
            sink.value(DisplayValue::Written(paid_on));
            sink.change("amount", None, Some(DisplayValue::Text(&money(*amount, *currency))));
            target_change(target, sink);
            sink.change("reference", None, Some(DisplayValue::Text(reference)));
            sink.change("paid_on", None, Some(DisplayValue::Filtered(paid_on)));
        }
        Event::RefundStarted { refund, amount, currency, credit_note } => {
            sink.words("started a refund of ");
            amount_of(*amount, *currency, sink);
            sink.change("amount", None, Some(DisplayValue::Text(&money(*amount, *currency))));
            sink.change("refund", None, Some(DisplayValue::Filtered(refund)));
            let credit_note = credit_note.as_ref().map(|it| it as &dyn std::fmt::Display).map(DisplayValue::Filtered);
            change_if_different("credit_note", None, credit_note, sink);
        }
        Event::Refunded { refund, provider_ref } => {
            sink.words("refunded the payment");
            sink.change("refund", None, Some(DisplayValue::Filtered(refund)));
            sink.change("provider_reference", None, Some(DisplayValue::Text(provider_ref)));
        }
        Event::RefundFailed { refund, code } => {
            sink.words("could not refund the payment: ");
            sink.value(DisplayValue::Text(code));
            sink.change("refund", None, Some(DisplayValue::Filtered(refund)));
            sink.change("code", None, Some(DisplayValue::Text(code)));
        }
        Event::Reversed { amount, currency, reason } => {
            sink.words("lost ");
            amount_of(*amount, *currency, sink);
            sink.words(" of the payment to a chargeback: ");
            sink.value(DisplayValue::Text(reason));
            sink.change("reversed", None, Some(DisplayValue::Text(&money(*amount, *currency))));
        }
    }
}
