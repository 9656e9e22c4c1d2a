//! Why nothing was done.

use porttask_domain::{Kind, Rejection, Violation};
use std::fmt;

use crate::{
    log::{AppendError, ConstraintViolation, InvalidName, LogError, StreamId},
    vault::VaultError,
};

/// Why a request was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExecuteError {
    /// The rules do not let it happen.
    #[error("{0}")]
    Rejected(Rejected),
    /// A name is taken, or a count is at its bound.
    #[error("{1}")]
    Constraint(ConstraintViolation, Rejected),
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
            AppendError::Constraint(violation) => {
                let rejected = Rejected::by_constraint(None, &violation);
                Self::Constraint(violation, rejected)
            }
            AppendError::Conflict { stream, .. } => Self::Outdated(stream),
            AppendError::AnotherRequest => Self::AnotherRequest,
            AppendError::Overloaded => Self::Overloaded,
            AppendError::OutcomeUnknown => Self::OutcomeUnknown,
            AppendError::PersonKeyExists(_) => Self::Contended,
            AppendError::Log(error) => Self::Log(error),
            AppendError::UnknownOrganization(_) => Self::Rejected(Rejected {
                kind: Kind::NotFound,
                slug: "organization-not-found",
                message: "there is no such organization".to_owned(),
                retry_after_seconds: None,
            }),
            AppendError::OrganizationExists(_) => Self::Rejected(Rejected {
                kind: Kind::Conflict,
                slug: "organization-exists",
                message: "an organization with this id exists already".to_owned(),
                retry_after_seconds: None,
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

/// A rejection by a domain rule, whichever aggregate's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// What it means for the caller.
    pub kind: Kind,
    /// Its stable name.
    pub slug: &'static str,
    /// For people.
    pub message: String,
    /// After how many seconds a repetition may succeed, if time alone helps.
    pub retry_after_seconds: Option<u32>,
}

impl Rejected {
    /// The answer of a constraint that would be violated.
    pub(super) fn by_constraint(answer: Option<Violation>, violation: &ConstraintViolation) -> Self {
        let Some(Violation { kind, slug, message, retry_after_seconds }) = answer else {
            let (kind, slug, message) = (Kind::Conflict, "limit-reached", violation.to_string());
            return Self { kind, slug, message, retry_after_seconds: None };
        };
        let message = match violation {
            ConstraintViolation::Taken { owner, .. } => message.replace("{owner}", owner),
            ConstraintViolation::NotHeld { .. } => message.to_owned(),
            ConstraintViolation::BelowMinimum { minimum: bound, .. }
            | ConstraintViolation::AboveMaximum { maximum: bound, .. } => {
                message.replace("{bound}", &bound.to_string())
            }
        };
        Self { kind, slug, message, retry_after_seconds }
    }
}

impl<R: Rejection> From<R> for Rejected {
    fn from(rejection: R) -> Self {
        let (kind, slug, message) = (rejection.kind(), rejection.slug(), rejection.to_string());
        Self { kind, slug, message, retry_after_seconds: None }
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
