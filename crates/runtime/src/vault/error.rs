//! Why not.

use porttask_domain::{OrganizationId, PersonId, Undecodable};

use crate::log::{InvalidName, LogError, Position, RecordedEvent};

/// Why something cannot be sealed, opened or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// A stored key was wrapped by another master key.
    #[error(
        "the keys in the ledger were wrapped by master key {0}, which is not among those given: \
         set PORTTASK_MASTER_KEY to the key with which this log was begun"
    )]
    OtherMasterKey(String),
    /// The ledger has lost a key, or something sealed by it was changed.
    #[error("what belongs to {person} in {organization} cannot be opened: {what}; restore the ledger from a backup")]
    Damaged {
        /// Where the person is.
        organization: OrganizationId,
        /// Whose it is.
        person: PersonId,
        /// What is wrong.
        what: &'static str,
    },
    /// Something sealed under a key of the service itself was changed or moved.
    #[error("what is sealed for {0} cannot be opened: restore the ledger from a backup")]
    Spoiled(&'static str),
    /// An event that this version cannot read.
    #[error("the event at {position} cannot be read: {cause}")]
    Undecodable {
        /// Where it is.
        position: Position,
        /// Why.
        cause: Undecodable,
    },
    /// The operating system gives no random numbers.
    #[error("the operating system gives no random numbers: {0}")]
    NoRandomness(String),
    /// An event has a name that the log does not take.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// The log's database failed.
    #[error(transparent)]
    Log(#[from] LogError),
}

impl VaultError {
    /// That a part of an event, `meta` or what the event is called, is not as it must be.
    pub(crate) fn undecodable(event: &RecordedEvent, part: &str, cause: &dyn std::fmt::Display) -> Self {
        let cause = Undecodable::Malformed { name: part.to_owned(), cause: cause.to_string() };
        Self::Undecodable { position: event.position, cause }
    }
}
