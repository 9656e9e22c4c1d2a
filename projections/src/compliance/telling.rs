//! What each event says: in a sentence without its subject, and by the fields that it changes.

mod identity;

use porttask_domain::{
    Fact, Personal,
    compliance::{
        export::{self, Selection},
        reading, refusal,
    },
};
use std::fmt::{self, Display};

use self::identity::{api_key, mailbox, organization, session, user};
use crate::words::Word;

/// Whoever is told.
pub(super) trait Listener {
    /// The next words of the sentence.
    fn words(&mut self, words: &'static str);

    /// The next value in the sentence.
    fn value(&mut self, value: Shown<'_>);

    /// A field has another value, as far as the event says which.
    fn change(&mut self, field: &'static str, from: Option<Shown<'_>>, to: Option<Shown<'_>>);
}

/// A value as it is shown.
#[derive(Clone, Copy)]
pub(super) enum Shown<'a> {
    /// A word or a text.
    Text(&'a str),
    /// What is written as a text.
    Written(&'a dyn Display),
    /// What is found by filters, not by its text: an instant, an id.
    Filtered(&'a dyn Display),
    /// What can be erased.
    Personal(&'a Personal),
}

/// What stands in the place of an erased value.
const ERASED: &str = "[erased]";

impl Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Written(value) | Self::Filtered(value) => value.fmt(f),
            Self::Personal(value) => f.write_str(value.value().unwrap_or(ERASED)),
        }
    }
}

/// Tells what happened.
pub(super) fn tell(fact: &Fact, to: &mut dyn Listener) {
    match fact {
        Fact::Organization(event) => organization(event, to),
        Fact::User(event) => user(event, to),
        Fact::Session(event) => session(event, to),
        Fact::ApiKey(event) => api_key(event, to),
        Fact::Mailbox(event) => mailbox(event, to),
        Fact::Refusal(event) => refusal(event, to),
        Fact::Reading(event) => reading(event, to),
        Fact::Export(event) => export(event, to),
    }
}

fn refusal(event: &refusal::Event, listener: &mut dyn Listener) {
    let times = match event {
        refusal::Event::Noted { operation, problem, times } => {
            listener.words("was refused ");
            listener.value(Shown::Text(operation));
            listener.words(": ");
            listener.value(Shown::Text(problem));
            times
        }
        refusal::Event::SignInFailed { user: _, times } => {
            listener.words("failed to sign in");
            times
        }
    };
    repeated(times, listener);
}

fn reading(event: &reading::Event, listener: &mut dyn Listener) {
    let reading::Event::Noted { operation, times } = event;
    listener.words("read ");
    listener.value(Shown::Text(operation));
    repeated(times, listener);
}

fn repeated(times: &u64, listener: &mut dyn Listener) {
    if *times > 1 {
        listener.words(", ");
        listener.value(Shown::Written(times));
        listener.words(" times");
    }
}

fn export(event: &export::Event, listener: &mut dyn Listener) {
    let export::Event::AuditLogTaken { format, selection } = event;
    listener.words("exported the audit log as ");
    listener.value(Shown::Text(format.word()));
    let Selection { actor, action, target, from, until, text } = selection;
    let filters = [
        ("actor", actor.as_deref().map(Shown::Text)),
        ("action", action.as_deref().map(Shown::Text)),
        ("target", target.as_deref().map(Shown::Text)),
        ("from", from.as_ref().map(|from| Shown::Filtered(from))),
        ("until", until.as_ref().map(|until| Shown::Filtered(until))),
        ("text", text.as_ref().map(Shown::Personal)),
    ];
    for (field, filter) in filters {
        change_if_different(field, None, filter, listener);
    }
}

/// "… from one to the other".
fn change_in_words(
    verb: &'static str,
    field: &'static str,
    from: Shown<'_>,
    to: Shown<'_>,
    listener: &mut dyn Listener,
) {
    listener.words(verb);
    listener.words(" from ");
    listener.value(from);
    listener.words(" to ");
    listener.value(to);
    listener.change(field, Some(from), Some(to));
}

fn change_if_different(
    field: &'static str,
    from: Option<Shown<'_>>,
    to: Option<Shown<'_>>,
    listener: &mut dyn Listener,
) {
    if from.map(|from| from.to_string()) != to.map(|to| to.to_string()) {
        listener.change(field, from, to);
    }
}
