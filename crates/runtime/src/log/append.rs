//! What is asked of the log, and what it answers.

use std::borrow::Cow;

use jiff::Timestamp;
use porttask_domain::{PersonId, Sealing};
use uuid::Uuid;

use super::{NewEvent, OrganizationId, Position, StreamId, Version};

/// Events of one organization, and where needed of the platform, that are recorded together or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Append {
    /// The organization on whose behalf the append is made. All streams and constraints are its own or the platform's.
    pub organization: OrganizationId,
    /// Whether this append founds the organization: it is then placed in a partition in the same transaction, and the
    /// append is refused if it exists already. Otherwise the organization must exist.
    pub creates_organization: bool,
    /// The versions of *all* streams that the decision read, also of those that are not written to. A stream that is
    /// written to and not listed is added to at whatever version it has.
    pub expected: Vec<Expected>,
    /// The events, in the order in which they are recorded. Empty only together with `idempotency_key`.
    pub events: Vec<NewEvent>,
    /// What must hold beyond versions, in order: each sees what the ones before it changed.
    pub constraints: Vec<Constraint>,
    /// Makes a repetition of this append harmless.
    pub idempotency_key: Option<IdempotencyKey>,
    /// The keys that are born with what these events seal by them.
    pub person_keys: Vec<NewPersonKey>,
    /// The secrets that are given out with these events.
    pub secrets: Vec<NewSecret>,
    /// Whether it is judged like any other and then left: nothing is written.
    pub dry_run: bool,
}

impl Append {
    /// An append for `organization` that records `events` and demands nothing.
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
            dry_run: false,
        }
    }

    /// The same append, demanding that `stream` is at `version`.
    #[must_use]
    pub fn expecting(mut self, stream: StreamId, version: Version) -> Self {
        self.expected.push(Expected { stream, version });
        self
    }

    /// The same append under a constraint.
    #[must_use]
    pub fn constrained(mut self, constraint: Constraint) -> Self {
        self.constraints.push(constraint);
        self
    }

    /// The same append, recorded at most once.
    #[must_use]
    pub fn idempotency_key(mut self, idempotency_key: IdempotencyKey) -> Self {
        self.idempotency_key = Some(idempotency_key);
        self
    }

    /// The same append, bringing a person's key into the ledger.
    #[must_use]
    pub fn with_person_key(mut self, key: NewPersonKey) -> Self {
        self.person_keys.push(key);
        self
    }

    /// The same append, keeping the hash of a secret.
    #[must_use]
    pub fn with_secret(mut self, secret: NewSecret) -> Self {
        self.secrets.push(secret);
        self
    }

    /// The same append, as a trial.
    #[must_use]
    pub fn as_dry_run(mut self) -> Self {
        self.dry_run = true;
        self
    }

    /// The same append, creates_organization its organization.
    #[must_use]
    pub fn creates_organization(mut self) -> Self {
        self.creates_organization = true;
        self
    }
}

/// The version at which a decision read a stream; [`Version::NONE`] if it did not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// The stream.
    pub stream: StreamId,
    /// Its version then.
    pub version: Version,
}

/// An invariant over many streams, decided inside the append. Claims and counts are a pure function of the events;
/// only the bounds come with the command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Constraint {
    /// Take a name. Rejected while another owner holds it; taking one's own name again changes nothing.
    Claim(Claim),
    /// Give a name back. Rejected unless the owner holds it.
    Release(Claim),
    /// Count up or down.
    Count(Counter),
}

impl Constraint {
    /// The organization whose constraint it is.
    pub fn organization(&self) -> OrganizationId {
        match self {
            Self::Claim(claim) | Self::Release(claim) => claim.key.organization,
            Self::Count(counter) => counter.key.organization,
        }
    }
}

/// A name and who wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// What is claimed.
    pub key: ClaimKey,
    /// The id of the thing that holds the name; at most 200 bytes.
    pub owner: String,
}

/// A unique name: of an address, a domain. The name itself stays outside; the log sees a keyed hash of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClaimKey {
    /// Within which organization the name is unique.
    pub organization: OrganizationId,
    /// What kind of name it is: `email`, `domain`. At most 50 bytes.
    pub kind: Cow<'static, str>,
    /// The keyed hash of the name.
    pub hash: [u8; 32],
}

/// A count and how it changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counter {
    /// What is counted.
    pub key: CounterKey,
    /// By how much the count changes.
    pub by: i64,
    /// A decrease below this is refused; an increase never is, so that a count that is too low can recover.
    pub minimum: Option<i64>,
    /// An increase above this is refused; a decrease never is, so that a count above a lowered limit can shrink.
    pub maximum: Option<i64>,
}

/// The name of a count.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CounterKey {
    /// Whose count it is.
    pub organization: OrganizationId,
    /// What is counted: `seats`, `active_admins`. At most 50 bytes.
    pub name: Cow<'static, str>,
}

/// The mark that makes a repeated request harmless. It is recorded in the transaction of its append, with the
/// organization's events; a refused append records none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// Within what the key is unique: actor, organization and operation. At most 200 bytes.
    pub scope: String,
    /// The caller's key. At most 255 bytes.
    pub key: String,
    /// A keyed hash of the whole request: the same key with another request is rejected.
    pub request_hash: [u8; 32],
    /// Until when the mark is kept; later the key may be used again.
    pub expires_at: Timestamp,
}

/// Which of a person's keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PersonKeyId {
    /// Where the person is.
    pub organization: OrganizationId,
    /// Whose key it is.
    pub person: PersonId,
    /// What it seals.
    pub sealing: Sealing,
}

/// A person's key that is to enter the ledger. Rejected if there is or was one: what is sealed by another key could never
/// be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPersonKey {
    /// Whose it is and what it seals.
    pub id: PersonKeyId,
    /// The key, wrapped by a master key; at most 200 bytes.
    pub wrapped: Vec<u8>,
}

/// What a secret proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SecretKind {
    /// That a caller was given a session.
    Session,
    /// That somebody is who they say: a password.
    Password,
    /// That a program was given an API key.
    ApiKey,
}

impl SecretKind {
    /// As it is stored.
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

/// Which secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SecretId {
    /// Where it counts.
    pub organization: OrganizationId,
    /// What it is the secret of.
    pub owner: Uuid,
    /// What it proves.
    pub kind: SecretKind,
}

/// The hash of a secret, which takes the place of the one before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSecret {
    /// Which.
    pub id: SecretId,
    /// Its hash; at most 200 bytes.
    pub hash: Vec<u8>,
}

/// The answer to an append that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// The place up to which the organization's partition must be read to see this append. Without events of the
    /// organization: the partition's head at that moment.
    pub position: Position,
    /// Where each event stands, in the order of the events. Empty for a repetition and for a trial.
    pub events: Vec<Placed>,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// The same request was recorded before: this is its position, and nothing was written now.
    pub repeated: bool,
}

/// Where an event came to stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// Its place.
    pub position: Position,
    /// Its number within its stream.
    pub version: Version,
}
