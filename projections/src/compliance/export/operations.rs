//! Descriptions of exports of operational records.

use porttask_domain::{
    TextEnum,
    compliance::export::{DocumentSelection, Format, PortCallSelection, ServiceOrderSelection, VendorSelection},
};

use super::name_of;
use crate::audit_text::{DescriptionSink, DisplayValue, change_if_different};

pub(super) fn port_calls(format: Format, selection: &PortCallSelection, sink: &mut dyn DescriptionSink) {
    sink.words("exported port calls as ");
    sink.value(DisplayValue::Text(name_of(format)));
    sink.change("format", None, Some(DisplayValue::Text(format.as_str())));
    let PortCallSelection { status, phase, port, agent, eta_from, eta_until, text } = selection;
    let filters = [
        ("status", status.as_ref().map(|status| DisplayValue::Text(status.as_str()))),
        ("phase", phase.as_ref().map(|phase| DisplayValue::Text(phase.as_str()))),
        ("port", port.as_deref().map(DisplayValue::Text)),
        ("agent", agent.as_ref().map(|agent| DisplayValue::Filtered(agent))),
        ("eta_from", eta_from.as_ref().map(|from| DisplayValue::Filtered(from))),
        ("eta_until", eta_until.as_ref().map(|until| DisplayValue::Filtered(until))),
        ("text", text.as_ref().map(DisplayValue::Personal)),
    ];
    for (field, filter) in filters {
        change_if_different(field, None, filter, sink);
    }
}

pub(super) fn documents(format: Format, selection: &DocumentSelection, sink: &mut dyn DescriptionSink) {
    sink.words("exported documents as ");
    sink.value(DisplayValue::Text(name_of(format)));
    sink.change("format", None, Some(DisplayValue::Text(format.as_str())));
    let DocumentSelection { status, content_type, subject, text } = selection;
    let filters = [
        ("status", status.as_ref().map(|status| DisplayValue::Text(status.as_str()))),
        ("content_type", content_type.as_ref().map(|content_type| DisplayValue::Text(content_type.as_str()))),
        ("subject", subject.as_ref().map(|subject| DisplayValue::Filtered(subject))),
        ("text", text.as_ref().map(DisplayValue::Personal)),
    ];
    for (field, filter) in filters {
        change_if_different(field, None, filter, sink);
    }
}

pub(super) fn service_orders(format: Format, selection: &ServiceOrderSelection, sink: &mut dyn DescriptionSink) {
    sink.words("exported service orders as ");
    sink.value(DisplayValue::Text(name_of(format)));
    sink.change("format", None, Some(DisplayValue::Text(format.as_str())));
    let ServiceOrderSelection { port_call, vendor, status, service, answered_from, text } = selection;
    let filters = [
        ("port_call", port_call.as_ref().map(|port_call| DisplayValue::Filtered(port_call))),
        ("vendor", vendor.as_ref().map(|vendor| DisplayValue::Filtered(vendor))),
        ("status", status.as_ref().map(|status| DisplayValue::Text(status.as_str()))),
        ("service", service.as_ref().map(|service| DisplayValue::Text(service.as_str()))),
        ("answered_from", answered_from.as_ref().map(|from| DisplayValue::Filtered(from))),
        ("text", text.as_ref().map(DisplayValue::Personal)),
    ];
    for (field, filter) in filters {
        change_if_different(field, None, filter, sink);
    }
}

pub(super) fn vendors(format: Format, selection: &VendorSelection, sink: &mut dyn DescriptionSink) {
    sink.words("exported vendors as ");
    sink.value(DisplayValue::Text(name_of(format)));
    sink.change("format", None, Some(DisplayValue::Text(format.as_str())));
    let VendorSelection { status, service, text } = selection;
    let filters = [
        ("status", status.as_ref().map(|status| DisplayValue::Text(status.as_str()))),
        ("service", service.as_ref().map(|service| DisplayValue::Text(service.as_str()))),
        ("text", text.as_ref().map(DisplayValue::Personal)),
    ];
    for (field, filter) in filters {
        change_if_different(field, None, filter, sink);
    }
}
