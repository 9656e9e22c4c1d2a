//! The shape of a noun that decides: a command asks, `decide` applies the rules, an event states the fact, `evolve`
//! remembers it.

use std::{
    borrow::Cow,
    fmt::{Debug, Display},
};

use crate::Fact;

/// One noun: the state of one stream, as far as its decisions need it.
pub trait Aggregate: Debug + Default + Clone + Send + Sync + 'static {
    /// The first part of the names of its streams.
    const CATEGORY: &'static str;
    /// What its streams are named after.
    type Id: Copy + Debug + Display + Send + Sync + 'static;
    /// What can be asked of it.
    type Command: Debug + Send + Sync + 'static;
    /// What can happen to it.
    type Event: Debug + Clone + PartialEq + Into<Fact> + TryFrom<Fact> + Send + Sync + 'static;
    /// Why something may not happen.
    type Refusal: Refusal;

    /// What happens if `command` is carried out, or why it may not. What is so already happens not again: no events.
    ///
    /// # Errors
    /// The refusal.
    fn decide(&self, command: &Self::Command) -> Result<Vec<Self::Event>, Self::Refusal>;

    /// Remembers what has happened. Cannot fail: it has happened.
    fn evolve(&mut self, event: &Self::Event);

    /// What `event`, which happens to this state, changes beyond its stream.
    fn guards(&self, event: &Self::Event) -> Vec<Guard> {
        _ = event;
        Vec::new()
    }

    /// The state after these events.
    #[cfg(test)]
    fn after<'a>(events: impl IntoIterator<Item = &'a Self::Event>) -> Self {
        let mut state = Self::default();
        events.into_iter().for_each(|event| state.evolve(event));
        state
    }
}

/// A reason for which the rules do not let something happen.
pub trait Refusal: Debug + Display + PartialEq + Send + Sync + 'static {
    /// What kind of refusal it is.
    fn kind(&self) -> Kind;
    /// Its stable name, in words joined by hyphens.
    fn slug(&self) -> &'static str;
}

/// Of aggregates that refuse nothing.
impl Refusal for std::convert::Infallible {
    fn kind(&self) -> Kind {
        match *self {}
    }

    fn slug(&self) -> &'static str {
        match *self {}
    }
}

/// What a refusal means for whoever asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// There is no such thing.
    NotFound,
    /// Not as things stand now.
    Conflict,
    /// Never, as it was asked.
    Invalid,
    /// Not to this caller.
    Forbidden,
    /// A bound is reached.
    LimitReached,
}

/// An invariant over many streams, which follows from the events alone. Names are claimed under keyed hashes of what
/// stands here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Guard {
    /// The name is taken by this stream.
    Claim {
        /// Within what it is unique.
        scope: Scope,
        /// What kind of name it is.
        kind: &'static str,
        /// The name in its comparable form; `None` if it was erased, with which its claim was released.
        name: Option<String>,
    },
    /// The name is given back.
    Release {
        /// Within what it is unique.
        scope: Scope,
        /// What kind of name it is.
        kind: &'static str,
        /// The name in its comparable form; `None` if it was erased, with which its claim was released.
        name: Option<String>,
    },
    /// A count of the organization changes.
    Count {
        /// What is counted; behind a blank, the part of it that has a count of its own: a day.
        name: Cow<'static, str>,
        /// By how much.
        by: i64,
        /// A decrease below this is refused.
        minimum: Option<i64>,
        /// An increase above this is refused.
        maximum: Option<i64>,
    },
}

/// Within what a name is unique.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The organization.
    Organization,
    /// The whole platform.
    Platform,
}
