//! What events say in the audit log: in a sentence without its subject, and by the fields that they change. The noun of an
//! event says it, to whatever listens.

use std::fmt::{self, Display};

use porttask_domain::{Personal, TextEnum, identity::Permissions};

/// Receives what an event says.
pub(crate) trait DescriptionSink {
    /// The next words of the sentence.
    fn words(&mut self, words: &'static str);

    /// The next value in the sentence.
    fn value(&mut self, value: DisplayValue<'_>);

    /// A field has another value, as far as the event says which.
    fn change(&mut self, field: &'static str, from: Option<DisplayValue<'_>>, to: Option<DisplayValue<'_>>);
}

/// A value as it is shown.
#[derive(Clone, Copy)]
pub(crate) enum DisplayValue<'a> {
    /// A word or a text.
    Text(&'a str),
    /// What displays as a text.
    Written(&'a dyn Display),
    /// What is found by filters, not by its text: an instant, an id.
    Filtered(&'a dyn Display),
    /// What can be erased.
    Personal(&'a Personal),
}

/// What stands in the place of an erased value.
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

/// "… from one to the other".
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

/// The groups of permissions, in the order in which they are shown.
pub(crate) fn permission_groups(permissions: &Permissions) -> [(&'static str, &'static str); 4] {
    let Permissions { tickets, invoices, reports, administration } = permissions;
    [
        ("tickets", tickets.as_str()),
        ("invoices", invoices.as_str()),
        ("reports", reports.as_str()),
        ("administration", administration.as_str()),
    ]
}

/// ", 17 times", if it was more than once.
pub(crate) fn repeated(times: &u64, sink: &mut dyn DescriptionSink) {
    if *times > 1 {
        sink.words(", ");
        sink.value(DisplayValue::Written(times));
        sink.words(" times");
    }
}
