//! Descriptions of denied requests.

use porttask_domain::compliance::denial::Event;

use crate::audit_text::{DescriptionSink, DisplayValue, repeated, words_of};

/// Describes an event for the audit log.
pub(crate) fn describe(event: &Event, sink: &mut dyn DescriptionSink) {
    let Event::Recorded { operation, problem, target, times } = event;
    sink.words("was denied ");
    sink.value(DisplayValue::Text(&words_of(operation)));
    sink.words(": ");
    sink.value(DisplayValue::Text(&words_of(problem)));
    repeated(times, sink);
    sink.change("operation", None, Some(DisplayValue::Text(operation)));
    sink.change("problem", None, Some(DisplayValue::Text(problem)));
    if let Some(target) = target {
        sink.change("target", None, Some(DisplayValue::Filtered(target)));
    }
}
