//! Errors of the log. Every message says what is wrong and what to do.

use super::{ClaimKey, CounterKey, OrganizationId, PersonKeyId, StreamId, Version};

/// Why an append was not acknowledged. Nothing was written, except possibly after `OutcomeUnknown`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// Version conflict: a stream has changed since it was read.
    #[error("stream {stream} is at version {actual}, expected {expected}: reload and retry")]
    Conflict {
        /// The stream.
        stream: StreamId,
        /// The version that was expected.
        expected: Version,
        /// The actual version.
        actual: Version,
    },
    /// A constraint is violated.
    #[error(transparent)]
    Constraint(#[from] ConstraintViolation),
    /// The idempotency key was already used for a different request.
    #[error("this idempotency key was already used for a different request: use a new key")]
    AnotherRequest,
    /// No organization has this id.
    #[error("organization {0} does not exist")]
    UnknownOrganization(OrganizationId),
    /// The organization already exists.
    #[error("organization {0} already exists")]
    OrganizationExists(OrganizationId),
    /// The key exists or was destroyed.
    #[error("a key of {} already exists or was destroyed: reload it and seal again", .0.person)]
    PersonKeyExists(PersonKeyId),
    /// The append is malformed; it will never be accepted.
    #[error("malformed append: {0}")]
    Malformed(String),
    /// The partition's queue is full.
    #[error("too many appends are waiting: nothing was written, retry after a pause")]
    Overloaded,
    /// The connection broke during the commit, and the outcome could not be determined in time.
    #[error("the outcome is unknown: the append may have been recorded; retry with the same idempotency key")]
    OutcomeUnknown,
    /// The log failed.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// Which constraint is violated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConstraintViolation {
    /// Another owner holds the name.
    #[error("this {} is already in use", key.kind)]
    Taken {
        /// The name.
        key: ClaimKey,
        /// Its owner.
        owner: String,
    },
    /// The name to be released is not held by its supposed owner.
    #[error("this {} cannot be released: another owner or nobody holds it", key.kind)]
    NotHeld {
        /// The name.
        key: ClaimKey,
    },
    /// The count would fall below its minimum.
    #[error("{} must not fall below {minimum}; it is {value}", key.name)]
    BelowMinimum {
        /// The counter.
        key: CounterKey,
        /// Its current value.
        value: i64,
        /// The minimum.
        minimum: i64,
    },
    /// The count would exceed its maximum.
    #[error("{} must not exceed {maximum}; it is {value}", key.name)]
    AboveMaximum {
        /// The counter.
        key: CounterKey,
        /// Its current value.
        value: i64,
        /// The maximum.
        maximum: i64,
    },
}

/// A failure of the log, independent of the request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// The log cannot be reached now; a later attempt may succeed.
    #[error("the log cannot be reached: {0}")]
    Unavailable(String),
    /// The storage is full.
    #[error("the log's storage is full: {0}; nothing was written, make room and retry")]
    Full(String),
    /// The store is damaged.
    #[error("the log is damaged: {0}")]
    Damaged(String),
    /// This program cannot use the store as configured.
    #[error("{0}")]
    Unusable(String),
}
