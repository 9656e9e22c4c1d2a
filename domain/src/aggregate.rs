//! The shape of an aggregate: a command asks, `decide` applies the rules, an event states the fact, `evolve` remembers
//! it.

use std::{
    borrow::Cow,
    fmt::{Debug, Display},
};

use serde::{Serialize, de::DeserializeOwned};
use uuid::Uuid;

/// The state of one stream, as far as its decisions need it.
pub trait Aggregate: Debug + Default + Clone + Send + Sync + 'static {
    /// The prefix of its stream names and event names.
    const CATEGORY: &'static str;
    /// Whether [`constraints`](Self::constraints) depend on the state. If they depend on the event alone, a constraint
    /// replay keeps no state.
    const CONSTRAINTS_NEED_STATE: bool = true;
    /// The id that names its streams.
    type Id: Copy + Debug + Display + From<Uuid> + Send + Sync + 'static;
    /// Its commands.
    type Command: Debug + Send + Sync + 'static;
    /// Its events.
    type Event: Debug + Clone + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static;
    /// Its rejections.
    type Rejection: Rejection;

    /// The events of a command, or why it is rejected. Idempotent: repeating a command that already took effect yields
    /// no events.
    ///
    /// # Errors
    /// The rejection.
    fn decide(&self, command: &Self::Command) -> Result<Vec<Self::Event>, Self::Rejection>;

    /// Applies an event. Infallible: the event has already happened.
    fn evolve(&mut self, event: &Self::Event);

    /// The unique claims and counters that `event` changes when applied to this state.
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
    /// The kind of rejection.
    fn kind(&self) -> Kind;
    /// Its stable name, in kebab case.
    fn slug(&self) -> &'static str;
}

/// For aggregates that never reject a command.
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
    /// It conflicts with the current state.
    Conflict,
    /// The request is invalid in any state.
    Invalid,
    /// The caller lacks permission.
    Forbidden,
    /// A limit is reached.
    LimitReached,
}

/// An invariant over many streams, which follows from the events alone: a unique name or a bounded counter. Names
/// are stored as keyed hashes only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Constraint {
    /// This stream claims the name.
    Claim {
        /// The scope within which it is unique.
        scope: Scope,
        /// The kind of name.
        kind: &'static str,
        /// The name in its comparable form; `None` if it was erased, which also released its claim.
        name: Option<String>,
        /// The error if another stream holds it.
        violation: Violation,
    },
    /// This stream releases the name.
    Release {
        /// The scope within which it is unique.
        scope: Scope,
        /// The kind of name.
        kind: &'static str,
        /// The name in its comparable form; `None` if it was erased, which also released its claim.
        name: Option<String>,
    },
    /// A counter changes.
    Count {
        /// Whose counter it is.
        scope: Scope,
        /// What is counted; optionally followed by a space and a part with its own counter, such as a day.
        name: Cow<'static, str>,
        /// By how much.
        by: i64,
        /// A decrease below this is rejected.
        minimum: Option<i64>,
        /// An increase above this is rejected.
        maximum: Option<i64>,
        /// The error if the counter would leave its bounds.
        violation: Violation,
    },
}

/// The error for a command that would violate a constraint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Violation {
    /// What it means for the caller.
    pub kind: Kind,
    /// Its stable name, in kebab case.
    pub slug: &'static str,
    /// What is wrong and what to do. `{bound}` stands for the bound of a counter, `{owner}` for the stream that holds a
    /// name.
    pub message: &'static str,
    /// Seconds after which a retry may succeed; `None` if waiting does not help.
    pub retry_after_seconds: Option<u32>,
}

impl Violation {
    /// A violation that waiting does not resolve.
    pub const fn new(kind: Kind, slug: &'static str, message: &'static str) -> Self {
        Self { kind, slug, message, retry_after_seconds: None }
    }
}

/// The scope within which a name is unique.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The organization.
    Organization,
    /// The whole platform.
    Platform,
}
