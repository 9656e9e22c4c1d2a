//! Why the log refused or failed. Every message says what is wrong and what to do.

use super::{ClaimKey, CounterKey, OrganizationId, PersonKeyId, StreamId, Version};

/// Why an append was not acknowledged. Nothing of it was written, except perhaps after `OutcomeUnknown`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// A stream has moved on since it was read.
    #[error("stream {stream} is at version {actual}, not {expected}: read it again and decide again")]
    Conflict {
        /// The stream.
        stream: StreamId,
        /// The version that was expected.
        expected: Version,
        /// The version that it has.
        actual: Version,
    },
    /// A constraint does not hold.
    #[error(transparent)]
    Constraint(#[from] ConstraintViolation),
    /// The key of a `IdempotencyKey` was used before, for another request.
    #[error("this idempotency key was used for another request: use a new key for a new request")]
    AnotherRequest,
    /// No organization was founded by this id.
    #[error("no organization {0}")]
    UnknownOrganization(OrganizationId),
    /// The organization was founded before.
    #[error("organization {0} exists already")]
    OrganizationExists(OrganizationId),
    /// The person has or had this key already.
    #[error("{} has or had a key already: look it up and seal again", .0.person)]
    PersonKeyExists(PersonKeyId),
    /// The append has not the form that it must have; it will never be accepted.
    #[error("malformed append: {0}")]
    Malformed(String),
    /// Too many appends wait for the partition already.
    #[error("too many appends are waiting: nothing was written, retry after a pause")]
    Overloaded,
    /// The connection broke at commit and the truth could not be learned in time.
    #[error("the outcome is unknown: the append may have been recorded; repeat it with the same idempotency key")]
    OutcomeUnknown,
    /// The log failed.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// Which constraint does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConstraintViolation {
    /// Another owner holds the name.
    #[error("this {} is taken", key.kind)]
    Taken {
        /// The name.
        key: ClaimKey,
        /// Who holds it.
        owner: String,
    },
    /// The name to be given back is not held by the owner who gives it back.
    #[error("this {} is not held by the one who gives it back", key.kind)]
    NotHeld {
        /// The name.
        key: ClaimKey,
    },
    /// The count would fall below its minimum.
    #[error("{} would fall from {value} below {minimum}", key.name)]
    BelowMinimum {
        /// The count.
        key: CounterKey,
        /// What it is.
        value: i64,
        /// What it must not fall below.
        minimum: i64,
    },
    /// The count would exceed its maximum.
    #[error("{} would rise from {value} above {maximum}", key.name)]
    AboveMaximum {
        /// The count.
        key: CounterKey,
        /// What it is.
        value: i64,
        /// What it must not exceed.
        maximum: i64,
    },
}

/// Why the log failed: not a matter of what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// The log cannot be reached now; a later attempt may succeed.
    #[error("the log cannot be reached: {0}")]
    Unavailable(String),
    /// There is no room left.
    #[error("the log's storage is full: {0}; nothing was written, make room and retry")]
    Full(String),
    /// The store is damaged.
    #[error("the log is damaged: {0}")]
    Damaged(String),
    /// The store is not one that this program can use as it is configured.
    #[error("{0}")]
    Unusable(String),
}
