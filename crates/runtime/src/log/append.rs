//! Appends: requests to the log and their results.

use std::{
    borrow::Cow,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use jiff::{SignedDuration, Timestamp};
use porttask_domain::{PersonId, Sealing};
use uuid::Uuid;

use super::{NewEvent, OrganizationId, Position, StreamId, Version};

/// Events of one organization, and where needed of the platform, that are recorded atomically.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Append {
    /// The organization on whose behalf the append is made. All streams and constraints belong to it or the platform.
    pub organization: OrganizationId,
    /// Whether this append creates the organization: assigns it to a partition in the same transaction, and is rejected
    /// if it already exists. Otherwise the organization must exist.
    pub creates_organization: bool,
    /// The versions of *all* streams that the decision read, including those not written to. A stream that is written
    /// to but not listed is appended to at any version.
    pub expected: Vec<Expected>,
    /// The events, in order. Empty only together with `idempotency_key`.
    pub events: Vec<NewEvent>,
    /// Further conditions, in order: each sees the changes of the ones before it.
    pub constraints: Vec<Constraint>,
    /// Makes retries of this append idempotent.
    pub idempotency_key: Option<IdempotencyKey>,
    /// New keys, under which values in these events are sealed.
    pub person_keys: Vec<NewPersonKey>,
    /// Secrets issued with these events.
    pub secrets: Vec<NewSecret>,
    /// Whether the log has admitted it.
    pub admitted: Admitted,
    /// An append of the same partition on whose events the decision relies, although they were not recorded yet. Unless
    /// that one is admitted before this one, this one conflicts, also if the versions are as expected.
    pub after: Option<After>,
}

impl Append {
    /// An append of `events` for `organization`, without conditions.
    pub fn new(organization: OrganizationId, events: Vec<NewEvent>) -> Self {
        Self {
            organization,
            creates_organization: false,
            expected: Vec::new(),
            events,
            constraints: Vec::new(),
            idempotency_key: None,
            person_keys: Vec::new(),
            secrets: Vec::new(),
            admitted: Admitted::default(),
            after: None,
        }
    }

    /// Requires `stream` to be at `version`.
    #[must_use]
    pub fn expecting(mut self, stream: StreamId, version: Version) -> Self {
        self.expected.push(Expected { stream, version });
        self
    }

    /// Adds a constraint.
    #[must_use]
    pub fn constrained(mut self, constraint: Constraint) -> Self {
        self.constraints.push(constraint);
        self
    }

    /// Sets the idempotency key: the append is recorded at most once.
    #[must_use]
    pub fn idempotency_key(mut self, idempotency_key: IdempotencyKey) -> Self {
        self.idempotency_key = Some(idempotency_key);
        self
    }

    /// Adds a person's key to the ledger.
    #[must_use]
    pub fn with_person_key(mut self, key: NewPersonKey) -> Self {
        self.person_keys.push(key);
        self
    }

    /// Stores the hash of a secret.
    #[must_use]
    pub fn with_secret(mut self, secret: NewSecret) -> Self {
        self.secrets.push(secret);
        self
    }

    /// Lets the append create its organization.
    #[must_use]
    pub fn creates_organization(mut self) -> Self {
        self.creates_organization = true;
        self
    }
}

/// Whether the log has admitted an append, and has not failed to record it since. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Admitted(Arc<AtomicBool>);

impl Admitted {
    /// Whether it was admitted.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// Called by engines only.
    pub fn set(&self, is_admitted: bool) {
        self.0.store(is_admitted, Ordering::Release);
    }
}

impl PartialEq for Admitted {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Admitted {}

/// What must be admitted before an append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct After {
    /// Whether it was.
    pub admitted: Admitted,
    /// The stream that both change.
    pub stream: StreamId,
}

/// The version at which a decision read a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// The stream.
    pub stream: StreamId,
    /// Its version; [`Version::NONE`] if it did not exist.
    pub version: Version,
}

/// An invariant across streams, checked within the append. Claims and counts are a pure function of the events; only
/// the bounds come with the command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Constraint {
    /// Claim a name. Rejected while another owner holds it; idempotent for the same owner.
    Claim(Claim),
    /// Release a name. Rejected unless the owner holds it.
    Release(Claim),
    /// Increase or decrease a counter.
    Count(Counter),
}

impl Constraint {
    /// The organization that the constraint belongs to.
    pub fn organization(&self) -> OrganizationId {
        match self {
            Self::Claim(claim) | Self::Release(claim) => claim.key.organization,
            Self::Count(counter) => counter.key.organization,
        }
    }
}

/// A name and its owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The name.
    pub key: ClaimKey,
    /// The id of the aggregate that owns the name; at most 200 bytes.
    pub owner: String,
}

/// A unique name, such as an email address or a domain. The log sees only a keyed hash of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClaimKey {
    /// The organization within which the name is unique.
    pub organization: OrganizationId,
    /// The kind of name, such as `email` or `domain`; at most 50 bytes.
    pub kind: Cow<'static, str>,
    /// The keyed hash of the name.
    pub hash: [u8; 32],
}

/// A change of a counter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counter {
    /// The counter.
    pub key: CounterKey,
    /// The change.
    pub by: i64,
    /// A decrease below this is rejected; an increase never is, so that a count below the minimum can recover.
    pub minimum: Option<i64>,
    /// An increase above this is rejected; a decrease never is, so that a count above a lowered limit can shrink.
    pub maximum: Option<i64>,
}

/// Identifies a counter.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CounterKey {
    /// The organization that the counter belongs to.
    pub organization: OrganizationId,
    /// What is counted, such as `seats` or `active_admins`; at most 50 bytes.
    pub name: Cow<'static, str>,
}

/// Makes a repeated request idempotent. Recorded in the transaction of its append; a rejected append records none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// The scope within which the key is unique: actor, organization and operation; at most 200 bytes.
    pub scope: String,
    /// The caller's key; at most 255 bytes.
    pub key: String,
    /// A keyed hash of the whole request: reuse of the key for a different request is rejected.
    pub request_hash: [u8; 32],
    /// How long the record is kept, from the time of the append; afterwards the key may be reused.
    pub kept_for: SignedDuration,
}

/// Identifies one of a person's keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PersonKeyId {
    /// The person's organization.
    pub organization: OrganizationId,
    /// The person.
    pub person: PersonId,
    /// The class of values that it seals.
    pub sealing: Sealing,
}

/// A new key of a person. Rejected if the key exists or was destroyed: values sealed under the wrong key could never be
/// opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPersonKey {
    /// Its id.
    pub id: PersonKeyId,
    /// The key, wrapped by a master key; at most 200 bytes.
    pub wrapped: Vec<u8>,
}

/// The kind of credential that a secret belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SecretKind {
    /// A session.
    Session,
    /// A password.
    Password,
    /// An API key.
    ApiKey,
}

impl SecretKind {
    /// The stored name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Password => "password",
            Self::ApiKey => "api_key",
        }
    }

    /// The kind with this name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Session, Self::Password, Self::ApiKey].into_iter().find(|kind| kind.name() == name)
    }
}

/// Identifies a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SecretId {
    /// The organization in which it is valid.
    pub organization: OrganizationId,
    /// The id of its session, user or API key.
    pub owner: Uuid,
    /// The kind of credential.
    pub kind: SecretKind,
}

/// The hash of a secret; replaces an earlier one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSecret {
    /// Its id.
    pub id: SecretId,
    /// Its hash; at most 200 bytes.
    pub hash: Vec<u8>,
}

/// The result of an admitted append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// The position up to which the organization's partition must be read to see this append. Without events of the
    /// organization: the partition's head at that time.
    pub position: Position,
    /// Position and version of each event, in order. Empty for a repeated request.
    pub events: Vec<Placed>,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// The same request was recorded before: this is its position, and nothing was written.
    pub repeated: bool,
}

/// Position and version of an appended event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// Its position.
    pub position: Position,
    /// Its version within the stream.
    pub version: Version,
}
