//! Payment methods, for the audit log.

use porttask_domain::{
    TextEnum,
    billing::payment_method::{Details, Event, PaymentMethodId},
};

use crate::audit_text::{DescriptionSink, DisplayValue, change_if_different};

fn method<'a>(id: &'a PaymentMethodId) -> DisplayValue<'a> {
    DisplayValue::Filtered(id)
}

fn in_words(details: &Details) -> String {
    format!("{} ending in {}", details.brand, details.last4).trim_start().to_owned()
}

/// What happened, for the audit log.
pub(crate) fn describe(event: &Event, sink: &mut dyn DescriptionSink) {
    match event {
        Event::Added { method: id, details } => {
            let text = in_words(details);
            sink.words("added the payment method ");
            sink.value(DisplayValue::Text(&text));
            sink.change("payment_method", None, Some(method(id)));
            sink.change("kind", None, Some(DisplayValue::Text(details.kind.as_str())));
            sink.change("provider", None, Some(DisplayValue::Text(&details.provider)));
            change_if_different("expires", None, details.expires.as_deref().map(DisplayValue::Text), sink);
        }
        Event::MadeDefault { method: id, instead_of } => {
            sink.words("pays with another payment method from now on");
            sink.change("default_payment_method", instead_of.as_ref().map(method), Some(method(id)));
        }
        Event::Removed { method: id } => {
            sink.words("removed a payment method");
            sink.change("payment_method", Some(method(id)), None);
        }
        Event::FailedForGood { method: id, code } => {
            sink.words("lost a payment method, which the provider declined for good: ");
            sink.value(DisplayValue::Text(code));
            sink.change("payment_method", None, Some(method(id)));
            sink.change("code", None, Some(DisplayValue::Text(code)));
        }
    }
}
