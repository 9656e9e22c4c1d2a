//! An entry of the audit log for people: what happened, in a sentence and field by field.

use std::{
    borrow::Cow,
    fmt::{self, Display},
};

use porttask_domain::{
    ApiKeyId, ExportId, Fact, MailboxId, OrganizationId, ReadingId, RefusalId, SessionId, UserId, compliance::refusal,
};
use serde::Serialize;
use uuid::Uuid;

use super::telling::{Listener, Shown, tell};
use crate::folded;

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
    /// What it is: `organization`, `user`, `session`, `api_key`, `mailbox`, `refusal`, `reading`, `export`.
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

impl Target {
    /// The thing of this number to which something happened.
    pub fn of(fact: &Fact, subject: Uuid) -> Self {
        match fact {
            Fact::Organization(_) => Self { kind: "organization", id: OrganizationId(subject).to_string() },
            Fact::User(_) => Self { kind: "user", id: UserId(subject).to_string() },
            Fact::Session(_) => Self { kind: "session", id: SessionId(subject).to_string() },
            Fact::ApiKey(_) => Self { kind: "api_key", id: ApiKeyId(subject).to_string() },
            Fact::Refusal(refusal::Event::SignInFailed { user, .. }) => Self { kind: "user", id: user.to_string() },
            Fact::Refusal(refusal::Event::Noted { .. }) => Self { kind: "refusal", id: RefusalId(subject).to_string() },
            Fact::Mailbox(_) => Self { kind: "mailbox", id: MailboxId(subject).to_string() },
            Fact::Reading(_) => Self { kind: "reading", id: ReadingId(subject).to_string() },
            Fact::Export(_) => Self { kind: "export", id: ExportId(subject).to_string() },
        }
    }
}

/// Describes an event by its versioned name, the number of the thing that it happened to, and what it says. Personal values
/// stand in it as far as they are open; those that were erased read `[erased]`.
pub fn describe(event_type: &str, subject: Uuid, fact: &Fact) -> Description {
    let mut told = Told::default();
    tell(fact, &mut told);
    let Told { summary, changes } = told;
    Description { action: action(event_type).to_owned(), target: Target::of(fact, subject), summary, changes }
}

/// The name of an event without the version of its shape: `user.role_changed`.
pub fn action(event_type: &str) -> &str {
    event_type.rsplit_once(".v").map_or(event_type, |(name, _)| name)
}

/// The words of an entry, folded: those of its sentence, of the values that have changed, and of its action. Nothing
/// personal, so that an erasure need not touch it; no instants and ids, for which there are filters. What staff did in
/// somebody's name is found by `impersonated`.
pub(super) fn searched(event_type: &str, fact: &Fact, is_impersonated: bool) -> String {
    let mut searched = Searched(String::with_capacity(64));
    tell(fact, &mut searched);
    action(event_type).split('.').for_each(|word| searched.add_if_missing(word));
    if is_impersonated {
        searched.add_if_missing("impersonated");
    }
    searched.0
}

/// A description as it grows.
#[derive(Default)]
struct Told {
    summary: String,
    changes: Vec<FieldChange>,
}

impl Listener for Told {
    fn words(&mut self, words: &'static str) {
        self.summary.push_str(words);
    }

    fn value(&mut self, value: Shown<'_>) {
        self.summary.push_str(&value.to_string());
    }

    fn change(&mut self, field: &'static str, from: Option<Shown<'_>>, to: Option<Shown<'_>>) {
        let text = |value: Option<Shown<'_>>| value.map(|value| value.to_string());
        self.changes.push(FieldChange { field, from: text(from), to: text(to) });
    }
}

/// Searched words as they are gathered.
struct Searched(String);

impl Searched {
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
fn sought(value: Shown<'_>) -> Option<Cow<'_, str>> {
    let text = match value {
        Shown::Text(text) => Cow::Borrowed(text),
        Shown::Written(value) => Cow::Owned(value.to_string()),
        Shown::Filtered(_) | Shown::Personal(_) => return None,
    };
    let is_folded = text.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase());
    Some(if is_folded { text } else { Cow::Owned(folded(&text)) })
}

impl Listener for Searched {
    fn words(&mut self, words: &'static str) {
        // Of what stands around a value that is left out, only the words.
        words.split([' ', ':', ',', '<', '>']).filter(|word| !word.is_empty()).for_each(|word| self.add(word));
    }

    fn value(&mut self, value: Shown<'_>) {
        if let Some(value) = sought(value) {
            self.add(&value);
        }
    }

    fn change(&mut self, _: &'static str, from: Option<Shown<'_>>, to: Option<Shown<'_>>) {
        for value in [from, to].into_iter().flatten().filter_map(sought) {
            self.add_if_missing(&value);
        }
    }
}

#[cfg(test)]
mod tests;
