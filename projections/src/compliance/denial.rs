//! Descriptions of denied requests.

use porttask_domain::compliance::denial::Event;

use crate::audit_text::{DescriptionSink, DisplayValue, repeated};

/// Describes an event for the audit log.
pub(crate) fn describe(event: &Event, sink: &mut dyn DescriptionSink) {
    let Event::Recorded { operation, problem, target, times } = event;
    sink.words("was denied ");
    sink.value(DisplayValue::Text(operation));
    sink.words(": ");
    sink.value(DisplayValue::Text(problem));
    repeated(times, sink);
    if let Some(target) = target {
        sink.change("target", None, Some(DisplayValue::Filtered(target)));
    }
}
