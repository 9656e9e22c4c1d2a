//! An entry of the audit log for people: what happened, in a sentence and field by field.

use std::{
    borrow::Cow,
    fmt::{self, Display},
};

use porttask_domain::{DomainEvent, identity::sign_in};
use serde::Serialize;
use uuid::Uuid;

use super::{denial, export, staff_access};
use crate::{
    audit_text::{DescriptionSink, DisplayValue},
    identity::{self, account_reminder, api_key, organization, session, user},
    normalized,
};

/// What an event says. Who did it stands in the event's meta.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Description {
    /// What happened, without the version of its shape: `user.role_changed`.
    pub action: String,
    /// What it happened to.
    pub target: Target,
    /// What happened, in a sentence that begins with its verb: `changed the role from agent to admin`.
    pub summary: String,
    /// The fields that have other values since.
    pub changes: Vec<FieldChange>,
}

/// A thing that something happened to. Its text is `user usr_01h455vb4pex5vsknk084sn02q`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Target {
    /// What it is: the category of its aggregate, such as `user` or `api_key`.
    pub kind: &'static str,
    /// Its id.
    pub id: String,
}

/// A field that has another value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldChange {
    /// Its name.
    pub field: &'static str,
    /// What it was; `None` if it was nothing, or the event does not say.
    pub from: Option<String>,
    /// What it is; `None` if it is nothing.
    pub to: Option<String>,
}

impl Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.id)
    }
}

/// The number of what an entry is about: of a failed sign-in, the user who was tried.
pub(super) fn target_of(event: &DomainEvent, subject: Uuid) -> Uuid {
    if let DomainEvent::FailedSignIns(sign_in::Event::Failed { user, .. }) = event { user.0 } else { subject }
}

impl Target {
    /// What an event with this subject is about.
    pub fn of(event: &DomainEvent, subject: Uuid) -> Self {
        if let DomainEvent::FailedSignIns(sign_in::Event::Failed { user, .. }) = event {
            return Self { kind: "user", id: user.to_string() };
        }
        let (kind, id) = event.target(subject);
        Self { kind, id }
    }
}

/// What an event says, said by its noun.
fn describe_event(event: &DomainEvent, sink: &mut dyn DescriptionSink) {
    match event {
        DomainEvent::Organization(event) => organization::describe(event, sink),
        DomainEvent::User(event) => user::describe(event, sink),
        DomainEvent::Session(event) => session::describe(event, sink),
        DomainEvent::ApiKey(event) => api_key::describe(event, sink),
        DomainEvent::FailedSignIns(event) => identity::sign_in::describe(event, sink),
        DomainEvent::AccountReminder(event) => account_reminder::describe(event, sink),
        DomainEvent::Denials(event) => denial::describe(event, sink),
        DomainEvent::StaffAccess(event) => staff_access::describe(event, sink),
        DomainEvent::Export(event) => export::describe(event, sink),
    }
}

/// Describes an event by its versioned name, the number of the thing that it happened to, and what it says. Personal values
/// stand in it as far as they are open; those that were erased read `[erased]`.
pub fn describe(event_type: &str, subject: Uuid, event: &DomainEvent) -> Description {
    let mut builder = DescriptionBuilder::default();
    describe_event(event, &mut builder);
    let DescriptionBuilder { summary, changes } = builder;
    Description { action: action(event_type).to_owned(), target: Target::of(event, subject), summary, changes }
}

/// The name of an event without the version of its shape: `user.role_changed`.
pub fn action(event_type: &str) -> &str {
    event_type.rsplit_once(".v").map_or(event_type, |(name, _)| name)
}

/// The words of an entry, folded: those of its sentence, of the values that have changed, and of its action. Nothing
/// personal, so that an erasure need not touch it; no instants and ids, for which there are filters. What staff did in
/// somebody's name is found by `impersonated`.
pub(super) fn searched_text(event_type: &str, event: &DomainEvent, is_impersonated: bool) -> String {
    let mut text = SearchedText(String::with_capacity(64));
    describe_event(event, &mut text);
    action(event_type).split('.').for_each(|word| text.add_if_missing(word));
    if is_impersonated {
        text.add_if_missing("impersonated");
    }
    text.0
}

/// A description as it grows.
#[derive(Default)]
struct DescriptionBuilder {
    summary: String,
    changes: Vec<FieldChange>,
}

impl DescriptionSink for DescriptionBuilder {
    fn words(&mut self, words: &'static str) {
        self.summary.push_str(words);
    }

    fn value(&mut self, value: DisplayValue<'_>) {
        self.summary.push_str(&value.to_string());
    }

    fn change(&mut self, field: &'static str, from: Option<DisplayValue<'_>>, to: Option<DisplayValue<'_>>) {
        let text = |value: Option<DisplayValue<'_>>| value.map(|value| value.to_string());
        self.changes.push(FieldChange { field, from: text(from), to: text(to) });
    }
}

/// SearchedText words as they are gathered.
struct SearchedText(String);

impl SearchedText {
    fn add(&mut self, word: &str) {
        let Self(text) = self;
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(word);
    }

    /// Words are found from their beginning, longer ones also within others; they need not stand there twice.
    fn add_if_missing(&mut self, word: &str) {
        let text = self.0.as_bytes();
        if !self.0.match_indices(word).any(|(at, _)| at == 0 || text[at - 1] == b' ') {
            self.add(word);
        }
    }
}

/// A value as it is searched for, if it is.
fn sought(value: DisplayValue<'_>) -> Option<Cow<'_, str>> {
    let text = match value {
        DisplayValue::Text(text) => Cow::Borrowed(text),
        DisplayValue::Written(value) => Cow::Owned(value.to_string()),
        DisplayValue::Filtered(_) | DisplayValue::Personal(_) => return None,
    };
    let is_folded = text.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase());
    Some(if is_folded { text } else { Cow::Owned(normalized(&text)) })
}

impl DescriptionSink for SearchedText {
    fn words(&mut self, words: &'static str) {
        // Of what stands around a value that is left out, only the words.
        words.split([' ', ':', ',', '<', '>']).filter(|word| !word.is_empty()).for_each(|word| self.add(word));
    }

    fn value(&mut self, value: DisplayValue<'_>) {
        if let Some(value) = sought(value) {
            self.add(&value);
        }
    }

    fn change(&mut self, _: &'static str, from: Option<DisplayValue<'_>>, to: Option<DisplayValue<'_>>) {
        for value in [from, to].into_iter().flatten().filter_map(sought) {
            self.add_if_missing(&value);
        }
    }
}

#[cfg(test)]
mod tests;
