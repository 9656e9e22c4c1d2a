//! Errors of the vault.

use porttask_domain::{OrganizationId, PersonId, Undecodable};

use crate::log::{InvalidName, LogError, Position, RecordedEvent};

/// Why something cannot be sealed, opened or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// A stored key was wrapped by an unknown master key.
    #[error(
        "the keys in the ledger are wrapped by master key {0}, which is not configured: \
         set PORTTASK_MASTER_KEY to the master key of this log"
    )]
    OtherMasterKey(String),
    /// The ledger has lost a key, or a sealed value was tampered with.
    #[error("personal data of {person} in {organization} is unreadable: {what}; restore the ledger from a backup")]
    Damaged {
        /// The person's organization.
        organization: OrganizationId,
        /// The person.
        person: PersonId,
        /// What is wrong.
        what: &'static str,
    },
    /// A value sealed under one of the service's own keys was tampered with or moved.
    #[error("sealed data for {0} is unreadable: restore the ledger from a backup")]
    Spoiled(&'static str),
    /// An event that this version cannot decode.
    #[error("the event at {position} cannot be read: {cause}")]
    Undecodable {
        /// Its position.
        position: Position,
        /// Why.
        cause: Undecodable,
    },
    /// The operating system provides no random numbers.
    #[error("the operating system provides no random numbers: {0}")]
    NoRandomness(String),
    /// The log rejects the name of an event type or stream.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// The log's database failed.
    #[error(transparent)]
    Log(#[from] LogError),
}

impl VaultError {
    /// An error about a malformed part of an event: `meta`, or the event type for the data.
    pub(crate) fn undecodable(event: &RecordedEvent, part: &str, cause: &dyn std::fmt::Display) -> Self {
        let cause = Undecodable::Malformed { name: part.to_owned(), cause: cause.to_string() };
        Self::Undecodable { position: event.position, cause }
    }
}
