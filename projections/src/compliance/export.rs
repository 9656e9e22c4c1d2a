//! Descriptions of audit log exports.

use porttask_domain::{
    TextEnum,
    compliance::export::{Event, Format, Selection},
};

use crate::audit_text::{DescriptionSink, DisplayValue, change_if_different};

/// Describes an event for the audit log.
pub(crate) fn describe(event: &Event, sink: &mut dyn DescriptionSink) {
    let Event::AuditLogTaken { format, selection } = event;
    sink.words("exported the audit log as ");
    sink.value(DisplayValue::Text(match format {
        Format::Csv => "CSV",
        Format::Json => "JSON",
    }));
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
