//! The shape of an aggregate: a command asks, `decide` applies the rules, an event states the fact, `evolve` remembers it.

use std::{
    borrow::Cow,
    fmt::{Debug, Display},
};

use serde::{Serialize, de::DeserializeOwned};
use uuid::Uuid;

/// The state of one stream, as far as its decisions need it.
pub trait Aggregate: Debug + Default + Clone + Send + Sync + 'static {
    /// The first part of the names of its streams and of its events.
    const CATEGORY: &'static str;
    /// Whether [`constraints`](Self::constraints) depend on the state. Where they depend on the event alone, a replay of the
    /// constraints keeps no states.
    const CONSTRAINTS_NEED_STATE: bool = true;
    /// What its streams are named after.
    type Id: Copy + Debug + Display + From<Uuid> + Send + Sync + 'static;
    /// What can be asked of it.
    type Command: Debug + Send + Sync + 'static;
    /// What can happen to it.
    type Event: Debug + Clone + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static;
    /// Why something may not happen.
    type Rejection: Rejection;

    /// The events of a command, or why it is rejected. Idempotent: repeating a command that already took effect yields no
    /// events.
    ///
    /// # Errors
    /// The rejection.
    fn decide(&self, command: &Self::Command) -> Result<Vec<Self::Event>, Self::Rejection>;

    /// Remembers what has happened. Cannot fail: it has happened.
    fn evolve(&mut self, event: &Self::Event);

    /// What `event`, which happens to this state, changes beyond its stream.
    fn constraints(&self, event: &Self::Event) -> Vec<Constraint> {
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

/// Why a domain rule says no.
pub trait Rejection: Debug + Display + PartialEq + Send + Sync + 'static {
    /// What kind of rejection it is.
    fn kind(&self) -> Kind;
    /// Its stable name, in words joined by hyphens.
    fn slug(&self) -> &'static str;
}

/// Of aggregates that reject nothing.
impl Rejection for std::convert::Infallible {
    fn kind(&self) -> Kind {
        match *self {}
    }

    fn slug(&self) -> &'static str {
        match *self {}
    }
}

/// What a rejection means for the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It does not exist.
    NotFound,
    /// Not in the present state.
    Conflict,
    /// Never, as it was requested.
    Invalid,
    /// Not for this caller.
    Forbidden,
    /// A limit is reached.
    LimitReached,
}

/// An invariant over many streams, which follows from the events alone: a unique name or a bounded counter. Names are
/// claimed under keyed hashes of what stands here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Constraint {
    /// The name is taken by this stream.
    Claim {
        /// Within what it is unique.
        scope: Scope,
        /// What kind of name it is.
        kind: &'static str,
        /// The name in its comparable form; `None` if it was erased, with which its claim was released.
        name: Option<String>,
        /// The answer if another stream has it.
        violation: Violation,
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
    /// A counter of the organization changes.
    Count {
        /// What is counted; after a space, the part of it that has a counter of its own: a day.
        name: Cow<'static, str>,
        /// By how much.
        by: i64,
        /// A decrease below this is rejected.
        minimum: Option<i64>,
        /// An increase above this is rejected.
        maximum: Option<i64>,
        /// The answer if the counter would leave its bounds.
        violation: Violation,
    },
}

/// The answer to a command that would violate a constraint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Violation {
    /// What it means for the caller.
    pub kind: Kind,
    /// Its stable name, in words joined by hyphens.
    pub slug: &'static str,
    /// What is wrong and what to do. `{bound}` stands for the bound of a counter, `{owner}` for the stream that has a name.
    pub message: &'static str,
    /// After how many seconds a repetition may succeed, if time alone helps.
    pub retry_after_seconds: Option<u32>,
}

impl Violation {
    /// Without time that helps.
    pub const fn new(kind: Kind, slug: &'static str, message: &'static str) -> Self {
        Self { kind, slug, message, retry_after_seconds: None }
    }
}

/// Within what a name is unique.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The organization.
    Organization,
    /// The whole platform.
    Platform,
}
