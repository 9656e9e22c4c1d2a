//! Descriptions of exports.

use porttask_domain::{
    TextEnum,
    compliance::export::{
        DocumentSelection, Event, Format, OrganizationSelection, PlatformSelection, PortCallSelection, Selection,
        TicketSelection, UserSelection,
    },
};

use crate::audit_text::{DescriptionSink, DisplayValue, change_if_different};

/// Describes an event for the audit log.
pub(crate) fn describe(event: &Event, sink: &mut dyn DescriptionSink) {
    match event {
        Event::AuditLogTaken { format, selection } => of_an_organization(*format, selection, sink),
        Event::PlatformAuditLogTaken { format, selection } => of_the_platform(*format, selection, sink),
        Event::UsersTaken { format, selection } => users(*format, selection, sink),
        Event::OrganizationsTaken { format, selection } => organizations(*format, selection, sink),
        Event::DocumentsTaken { format, selection } => documents(*format, selection, sink),
        Event::TicketsTaken { format, selection } => tickets(*format, selection, sink),
        Event::PortCallsTaken { format, selection } => port_calls(*format, selection, sink),
    }
}

/// The name of a format.
fn name_of(format: Format) -> &'static str {
    match format {
        Format::Csv => "CSV",
        Format::Json => "JSON",
    }
}

fn of_an_organization(format: Format, selection: &Selection, sink: &mut dyn DescriptionSink) {
    sink.words("exported the audit log as ");
    sink.value(DisplayValue::Text(name_of(format)));
    sink.change("format", None, Some(DisplayValue::Text(format.as_str())));
    let Selection { actor, action, target, from, until, text, session, request, ip } = selection;
    let filters = [
        ("actor", actor.as_deref().map(DisplayValue::Text)),
        ("action", action.as_deref().map(DisplayValue::Text)),
        ("target", target.as_deref().map(DisplayValue::Text)),
        ("from", from.as_ref().map(|from| DisplayValue::Filtered(from))),
        ("until", until.as_ref().map(|until| DisplayValue::Filtered(until))),
        ("session", session.as_ref().map(|session| DisplayValue::Filtered(session))),
        ("request", request.as_ref().map(|request| DisplayValue::Filtered(request))),
        ("ip", ip.as_ref().map(DisplayValue::Personal)),
        ("text", text.as_ref().map(DisplayValue::Personal)),
    ];
    for (field, filter) in filters {
        change_if_different(field, None, filter, sink);
    }
}

fn of_the_platform(format: Format, selection: &PlatformSelection, sink: &mut dyn DescriptionSink) {
    sink.words("exported the platform's audit log as ");
    sink.value(DisplayValue::Text(name_of(format)));
    sink.change("format", None, Some(DisplayValue::Text(format.as_str())));
    let PlatformSelection { organization, actor, action, from, until } = selection;
    let filters = [
        ("organization", organization.as_ref().map(|organization| DisplayValue::Written(organization))),
        ("actor", actor.as_deref().map(DisplayValue::Text)),
        ("action", action.as_deref().map(DisplayValue::Text)),
        ("from", from.as_ref().map(|from| DisplayValue::Filtered(from))),
        ("until", until.as_ref().map(|until| DisplayValue::Filtered(until))),
    ];
    for (field, filter) in filters {
        change_if_different(field, None, filter, sink);
    }
}

fn users(format: Format, selection: &UserSelection, sink: &mut dyn DescriptionSink) {
    sink.words("exported users as ");
    sink.value(DisplayValue::Text(name_of(format)));
    sink.change("format", None, Some(DisplayValue::Text(format.as_str())));
    let UserSelection { role, status, not_signed_in_since, locked, text } = selection;
    let filters = [
        ("role", role.as_ref().map(|role| DisplayValue::Text(role.as_str()))),
        ("status", status.as_ref().map(|status| DisplayValue::Text(status.as_str()))),
        ("not_signed_in_since", not_signed_in_since.as_ref().map(|since| DisplayValue::Filtered(since))),
        ("locked", locked.as_ref().map(|locked| DisplayValue::Filtered(locked))),
        ("text", text.as_ref().map(DisplayValue::Personal)),
    ];
    for (field, filter) in filters {
        change_if_different(field, None, filter, sink);
    }
}

fn organizations(format: Format, selection: &OrganizationSelection, sink: &mut dyn DescriptionSink) {
    sink.words("exported organizations as ");
    sink.value(DisplayValue::Text(name_of(format)));
    sink.change("format", None, Some(DisplayValue::Text(format.as_str())));
    let OrganizationSelection { status, text } = selection;
    let status = status.as_ref().map(|status| DisplayValue::Text(status.as_str()));
    for (field, filter) in [("status", status), ("text", text.as_ref().map(DisplayValue::Personal))] {
        change_if_different(field, None, filter, sink);
    }
}

fn tickets(format: Format, selection: &TicketSelection, sink: &mut dyn DescriptionSink) {
    sink.words("exported tickets as ");
    sink.value(DisplayValue::Text(name_of(format)));
    sink.change("format", None, Some(DisplayValue::Text(format.as_str())));
    let TicketSelection { organization, kind, status, escalated, assignee, text } = selection;
    let filters = [
        ("organization", organization.as_ref().map(|organization| DisplayValue::Filtered(organization))),
        ("kind", kind.as_ref().map(|kind| DisplayValue::Text(kind.as_str()))),
        ("status", status.as_ref().map(|status| DisplayValue::Text(status.as_str()))),
        ("escalated", escalated.as_ref().map(|escalated| DisplayValue::Filtered(escalated))),
        ("assignee", assignee.as_ref().map(|assignee| DisplayValue::Filtered(assignee))),
        ("text", text.as_ref().map(DisplayValue::Personal)),
    ];
    for (field, filter) in filters {
        change_if_different(field, None, filter, sink);
    }
}

fn port_calls(format: Format, selection: &PortCallSelection, sink: &mut dyn DescriptionSink) {
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

fn documents(format: Format, selection: &DocumentSelection, sink: &mut dyn DescriptionSink) {
    sink.words("exported documents as ");
    sink.value(DisplayValue::Text(name_of(format)));
    sink.change("format", None, Some(DisplayValue::Text(format.as_str())));
    let DocumentSelection { status, content_type, text } = selection;
    let filters = [
        ("status", status.as_ref().map(|status| DisplayValue::Text(status.as_str()))),
        ("content_type", content_type.as_ref().map(|content_type| DisplayValue::Text(content_type.as_str()))),
        ("text", text.as_ref().map(DisplayValue::Personal)),
    ];
    for (field, filter) in filters {
        change_if_different(field, None, filter, sink);
    }
}
