//! Descriptions of what staff read while impersonating a user.

use porttask_domain::compliance::staff_access::Event;

use crate::audit_text::{DescriptionSink, DisplayValue, repeated};

/// Describes an event for the audit log.
pub(crate) fn describe(event: &Event, sink: &mut dyn DescriptionSink) {
    let Event::Recorded { operation, times } = event;
    sink.words("read ");
    sink.value(DisplayValue::Text(operation));
    repeated(times, sink);
}
