//! Why nothing was done.

use porttask_domain::{Kind, Refusal};
use std::fmt;

use crate::{
    log::{AppendError, GuardRefusal, InvalidName, LogError, StreamId},
    vault::VaultError,
};

/// Why a request was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExecuteError {
    /// The rules do not let it happen.
    #[error("{0}")]
    Refused(Refused),
    /// A name is taken, or a count is at its bound.
    #[error(transparent)]
    Guard(GuardRefusal),
    /// What the caller saw has changed: who they are, or what they want to change.
    #[error("{0} has changed since it was read")]
    Outdated(StreamId),
    /// The idempotency key was used for another request.
    #[error("this idempotency key was used for another request: use a new key for a new request")]
    AnotherRequest,
    /// Others were faster, again and again.
    #[error("too many others change the same thing: nothing was done, retry after a pause")]
    Contended,
    /// More waits to be recorded than can be.
    #[error("too much is waiting: nothing was done, retry after a pause")]
    Overloaded,
    /// The connection broke at commit.
    #[error("the outcome is unknown: repeat the request with the same idempotency key")]
    OutcomeUnknown,
    /// A stream holds an event that does not belong there.
    #[error("{0} holds an event of another kind")]
    ForeignEvent(StreamId),
    /// A request that the log does not take as it was made: a defect of this program.
    #[error("{0}")]
    Malformed(String),
    /// Something sealed cannot be opened, or an event cannot be read.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The log failed.
    #[error(transparent)]
    Log(#[from] LogError),
}

impl From<AppendError> for ExecuteError {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Guard(refusal) => Self::Guard(refusal),
            AppendError::Conflict { stream, .. } => Self::Outdated(stream),
            AppendError::AnotherRequest => Self::AnotherRequest,
            AppendError::Overloaded => Self::Overloaded,
            AppendError::OutcomeUnknown => Self::OutcomeUnknown,
            AppendError::PersonKeyExists(_) => Self::Contended,
            AppendError::Log(error) => Self::Log(error),
            AppendError::UnknownOrganization(_) => Self::Refused(Refused {
                kind: Kind::NotFound,
                slug: "organization-not-found",
                message: "there is no such organization".to_owned(),
            }),
            AppendError::OrganizationExists(_) => Self::Refused(Refused {
                kind: Kind::Conflict,
                slug: "organization-exists",
                message: "an organization with this id exists already".to_owned(),
            }),
            AppendError::Malformed(_) => Self::Malformed(error.to_string()),
        }
    }
}

impl From<InvalidName> for ExecuteError {
    fn from(error: InvalidName) -> Self {
        Self::Malformed(error.to_string())
    }
}

/// A refusal by the rules, whichever aggregate's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// What it means for whoever asked.
    pub kind: Kind,
    /// Its stable name.
    pub slug: &'static str,
    /// For people.
    pub message: String,
}

impl<R: Refusal> From<R> for Refused {
    fn from(refusal: R) -> Self {
        Self { kind: refusal.kind(), slug: refusal.slug(), message: refusal.to_string() }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
