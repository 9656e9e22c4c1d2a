//! What staff read while they acted as a user.

use porttask_domain::compliance::staff_access::Event;

use crate::audit_text::{DescriptionSink, DisplayValue, repeated};

/// What happened, for the audit log.
pub(crate) fn describe(event: &Event, sink: &mut dyn DescriptionSink) {
    let Event::Recorded { operation, times } = event;
    sink.words("read ");
    sink.value(DisplayValue::Text(operation));
    repeated(times, sink);
}
