//! Descriptions of audit log exports.

use porttask_domain::{
    TextEnum,
    compliance::export::{Event, Format, PlatformSelection, Selection},
};

use crate::audit_text::{DescriptionSink, DisplayValue, change_if_different};

/// Describes an event for the audit log.
pub(crate) fn describe(event: &Event, sink: &mut dyn DescriptionSink) {
    match event {
        Event::AuditLogTaken { format, selection } => of_an_organization(*format, selection, sink),
        Event::PlatformAuditLogTaken { format, selection } => of_the_platform(*format, selection, sink),
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
