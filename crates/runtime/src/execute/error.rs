//! Why a request was not executed.

use porttask_domain::{Kind, Rejection, Violation};
use std::fmt;

use crate::{
    log::{AppendError, ConstraintViolation, InvalidName, LogError, StreamId},
    vault::VaultError,
};

/// Why a request was not executed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExecuteError {
    /// A domain rule rejected the command.
    #[error("{0}")]
    Rejected(Rejected),
    /// A unique name is taken, or a counter is at its bound.
    #[error("{1}")]
    Constraint(ConstraintViolation, Box<Rejected>),
    /// A stream that the caller relied on has changed: their own account, or the aggregate that they want to change.
    #[error("stream {0} has changed since it was read")]
    Outdated(StreamId),
    /// The idempotency key was used for a different request.
    #[error("this idempotency key was already used for a different request: use a new key")]
    AnotherRequest,
    /// Every attempt ended in a version conflict.
    #[error("too many concurrent changes to the same resource: nothing was changed, retry later")]
    Contended,
    /// The append queue is full.
    #[error("the service is overloaded: nothing was changed, retry later")]
    Overloaded,
    /// The connection broke during the commit.
    #[error("the outcome is unknown: retry with the same idempotency key")]
    OutcomeUnknown,
    /// A stream contains an event of another aggregate type.
    #[error("stream {0} contains an event of another aggregate type")]
    ForeignEvent(StreamId),
    /// The log refused the append as malformed: a bug in this program.
    #[error("{0}")]
    Malformed(String),
    /// A value cannot be decrypted, or an event cannot be decoded.
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
                Self::Constraint(violation, Box::new(rejected))
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
                message: "an organization with this id already exists".to_owned(),
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

/// A rejection by a domain rule of any aggregate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// The kind of rejection.
    pub kind: Kind,
    /// Its stable identifier.
    pub slug: &'static str,
    /// The message for people.
    pub message: String,
    /// Seconds after which a retry may succeed, if waiting helps.
    pub retry_after_seconds: Option<u32>,
}

impl Rejected {
    /// The rejection for a constraint violation.
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
