//! Descriptions of tasks.

use porttask_domain::platform::task::Event;

use crate::audit_text::{DescriptionSink, DisplayValue, words_of};

/// Describes an event for the audit log.
pub(crate) fn describe(event: &Event, sink: &mut dyn DescriptionSink) {
    let Event::Retried { reactor, kind, organization, epoch: _ } = event;
    sink.words("retried the failed task ");
    sink.value(DisplayValue::Text(&words_of(kind)));
    sink.words(" of the reactor ");
    sink.value(DisplayValue::Text(&words_of(reactor)));
    sink.change("organization", None, Some(DisplayValue::Filtered(organization)));
}
