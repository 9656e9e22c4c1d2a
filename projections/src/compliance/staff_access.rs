//! Descriptions of what staff read.

use porttask_domain::{
    TextEnum,
    compliance::staff_access::{Area, Event},
};

use crate::audit_text::{DescriptionSink, DisplayValue, repeated, words_of};

/// Describes an event for the audit log.
pub(crate) fn describe(event: &Event, sink: &mut dyn DescriptionSink) {
    match event {
        Event::Recorded { operation, times } => {
            sink.words("read: ");
            sink.value(DisplayValue::Text(&words_of(operation)));
            repeated(times, sink);
            sink.change("operation", None, Some(DisplayValue::Text(operation)));
        }
        Event::Read { area, times, ids } => {
            sink.words(match area {
                Area::Organization => "read the organization and its settings",
                Area::Users => "read users",
                Area::Sessions => "read sessions of users",
                Area::ApiKeys => "read API keys",
                Area::AuditLog => "read the audit log",
                Area::Jobs => "read jobs",
                Area::Vendors => "read vendors",
                Area::Documents => "read documents",
                Area::Tickets => "read tickets",
                Area::PortCalls => "read port calls",
                Area::ServiceOrders => "read service orders",
                Area::Billing => "read the subscription and usage",
                Area::Search => "searched users of all organizations",
            });
            repeated(times, sink);
            sink.change("area", None, Some(DisplayValue::Text(area.as_str())));
            for id in ids {
                sink.change("read", None, Some(DisplayValue::Filtered(id)));
            }
        }
    }
}
