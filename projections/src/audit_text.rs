//! How events are described in the audit log: a sentence without its subject, and the changed fields. The module of
//! each aggregate describes its events to a sink. Sentences are for people and have names ("Read-only"); changed fields
//! are for programs as well and have the values of the API (`read_only`). The search finds both.

use std::fmt::{self, Display};

use porttask_domain::{
    Personal, TextEnum,
    identity::{Permissions, Role},
};

/// Receives the description of an event.
pub(crate) trait DescriptionSink {
    /// The next words of the sentence.
    fn words(&mut self, words: &'static str);

    /// The next value in the sentence.
    fn value(&mut self, value: DisplayValue<'_>);

    /// A changed field; `None` for a value that the event does not record.
    fn change(&mut self, field: &'static str, from: Option<DisplayValue<'_>>, to: Option<DisplayValue<'_>>);
}

/// A value for display.
#[derive(Clone, Copy)]
pub(crate) enum DisplayValue<'a> {
    /// A string.
    Text(&'a str),
    /// A value that is formatted as text.
    Written(&'a dyn Display),
    /// A value found with filters, not with full-text search: an instant, an id.
    Filtered(&'a dyn Display),
    /// A value that can be erased.
    Personal(&'a Personal),
}

/// The placeholder for an erased value.
pub(crate) const ERASED: &str = "[erased]";

impl Display for DisplayValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Written(value) | Self::Filtered(value) => value.fmt(f),
            Self::Personal(value) => f.write_str(value.value().unwrap_or(ERASED)),
        }
    }
}

/// Describes a change: "… from A to B".
pub(crate) fn change_in_words(
    verb: &'static str,
    field: &'static str,
    from: DisplayValue<'_>,
    to: DisplayValue<'_>,
    sink: &mut dyn DescriptionSink,
) {
    sink.words(verb);
    sink.words(" from ");
    sink.value(from);
    sink.words(" to ");
    sink.value(to);
    sink.change(field, Some(from), Some(to));
}

/// Describes a change of a value that has a name in sentences and a code in the API: the sentence has the names, the
/// changed field the codes.
pub(crate) fn coded_change_in_words<T: TextEnum>(
    verb: &'static str,
    field: &'static str,
    (from, to): (T, T),
    name: fn(T) -> &'static str,
    sink: &mut dyn DescriptionSink,
) {
    let codes = (from.as_str(), to.as_str());
    sink.words(verb);
    sink.words(" from ");
    sink.value(DisplayValue::Text(name(from)));
    sink.words(" to ");
    sink.value(DisplayValue::Text(name(to)));
    sink.change(field, Some(DisplayValue::Text(codes.0)), Some(DisplayValue::Text(codes.1)));
}

/// A role in a sentence.
pub(crate) fn role_name(role: Role) -> &'static str {
    match role {
        Role::Admin => "Admin",
        Role::Agent => "Agent",
        Role::ReadOnly => "Read-only",
        Role::Auditor => "Auditor",
        Role::SuperAdmin => "Super Admin",
        Role::PlatformAuditor => "Platform Auditor",
    }
}

/// The words of a code: those of an operation or a problem.
pub(crate) fn words_of(code: &str) -> String {
    code.replace(['_', '-'], " ")
}

pub(crate) fn change_if_different(
    field: &'static str,
    from: Option<DisplayValue<'_>>,
    to: Option<DisplayValue<'_>>,
    sink: &mut dyn DescriptionSink,
) {
    if from.map(|from| from.to_string()) != to.map(|to| to.to_string()) {
        sink.change(field, from, to);
    }
}

/// The permission groups, in display order.
pub(crate) fn permission_groups(permissions: &Permissions) -> [(&'static str, &'static str); 4] {
    let Permissions { tickets, invoices, reports, administration } = permissions;
    [
        ("tickets", tickets.as_str()),
        ("invoices", invoices.as_str()),
        ("reports", reports.as_str()),
        ("administration", administration.as_str()),
    ]
}

/// Appends ", 17 times" if it happened more than once.
pub(crate) fn repeated(times: &u64, sink: &mut dyn DescriptionSink) {
    if *times > 1 {
        sink.words(", ");
        sink.value(DisplayValue::Written(times));
        sink.words(" times");
    }
}
