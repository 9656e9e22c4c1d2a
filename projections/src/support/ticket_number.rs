//! Descriptions of the numbers of tickets.

use porttask_domain::support::ticket_number::Event;

use crate::audit_text::{DescriptionSink, DisplayValue};

/// Describes an event for the audit log.
pub(crate) fn describe(event: &Event, sink: &mut dyn DescriptionSink) {
    let Event::Taken { number, ticket } = event;
    sink.words("numbered the ticket ");
    sink.value(DisplayValue::Written(number));
    sink.change("number", None, Some(DisplayValue::Written(number)));
    sink.change("ticket", None, Some(DisplayValue::Filtered(ticket)));
}
