//! The keys that sign licences. One stream of the platform has all of them, because one of them signs at a time.
//!
//! A key is published before it signs, so that programs that verify licences without a connection know it; a retired one
//! stays published until the last token under it has expired; a compromised one is removed at once.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Aggregate, Kind};

crate::ids! {
    /// A key that signs licences.
    LicenceSigningKeyId = "lsk";
}

impl LicenceSigningKeyId {
    /// The id of the stream that has all keys.
    pub const ALL: Self = Self(Uuid::nil());
}

crate::texts! {
    /// Why a key is retired.
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = SigningKeyRetirement))]
    pub enum Retirement {
        /// Another one took its place: it stays published until the last token under it has expired.
        Rotated = "rotated",
        /// Somebody else may have it: it is removed at once.
        Compromised = "compromised",
    }

    /// What a key does.
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = SigningKeyStatus))]
    pub enum Status {
        /// It verifies.
        Published = "published",
        /// It signs and verifies.
        Signing = "signing",
        /// It verifies what it signed.
        Retired = "retired",
        /// It is removed.
        Compromised = "compromised",
    }
}

/// How long a key is published before it can sign.
pub const NOTICE: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Commands on the keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Publish a new key.
    Create {
        /// Its id.
        key: LicenceSigningKeyId,
        /// Its thumbprint.
        kid: String,
        /// Its public half, in base64url.
        public_key: String,
        /// The current time.
        now: Timestamp,
    },
    /// Sign with a key from now on.
    Activate {
        /// The key.
        key: LicenceSigningKeyId,
        /// The current time.
        now: Timestamp,
    },
    /// Never sign with a key again.
    Retire {
        /// The key.
        key: LicenceSigningKeyId,
        /// Why.
        reason: Retirement,
        /// When the last token that it may have signed expires.
        last_expiry: Timestamp,
        /// The current time.
        now: Timestamp,
    },
}

/// Events of the keys. Stored forever: never reuse a name; a new shape is a new `.vN`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", deny_unknown_fields)]
pub enum Event {
    /// A key was created and published.
    #[serde(rename = "licence_signing_key.created.v1")]
    Created {
        /// The key.
        key: LicenceSigningKeyId,
        /// Its thumbprint (RFC 7638).
        kid: String,
        /// Its public half, in base64url.
        public_key: String,
        /// When.
        at: Timestamp,
    },
    /// It signs from now on.
    #[serde(rename = "licence_signing_key.activated.v1")]
    Activated {
        /// The key.
        key: LicenceSigningKeyId,
        /// When.
        at: Timestamp,
    },
    /// It never signs again.
    #[serde(rename = "licence_signing_key.retired.v1")]
    Retired {
        /// The key.
        key: LicenceSigningKeyId,
        /// Why.
        reason: Retirement,
        /// When.
        at: Timestamp,
        /// Until when it verifies.
        published_until: Timestamp,
    },
}

impl Event {
    /// The key that it is about.
    pub fn key(&self) -> LicenceSigningKeyId {
        match self {
            Self::Created { key, .. } | Self::Activated { key, .. } | Self::Retired { key, .. } => *key,
        }
    }
}

/// Why a command on the keys is rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// It does not exist.
    #[error("there is no such signing key")]
    NotFound,
    /// A different key with this id exists.
    #[error("a signing key with this id already exists")]
    Exists,
    /// It was published too recently.
    #[error("the key can sign from {0} on: programs that verify licences need seven days to learn it")]
    TooNew(Timestamp),
    /// It is retired.
    #[error("the key is retired: activate another one")]
    Retired,
    /// It signs.
    #[error("the key signs licences: activate another one first")]
    InUse,
    /// There is no other key.
    #[error("there is no other key to sign with: create one first")]
    Last,
    /// No key signs.
    #[error("no key signs licences: a super admin must create and activate one under Administration, Licence keys")]
    NoneSigns,
}

impl crate::Rejection for Rejection {
    fn kind(&self) -> Kind {
        match self {
            Self::NotFound => Kind::NotFound,
            Self::Exists | Self::TooNew(_) | Self::Retired | Self::InUse | Self::Last | Self::NoneSigns => {
                Kind::Conflict
            }
        }
    }

    fn slug(&self) -> &'static str {
        match self {
            Self::NotFound => "licence-signing-key-not-found",
            Self::Exists => "signing-key-exists",
            Self::TooNew(_) => "signing-key-too-new",
            Self::Retired => "signing-key-retired",
            Self::InUse => "signing-key-in-use",
            Self::Last => "last-signing-key",
            Self::NoneSigns => "no-signing-key",
        }
    }
}

/// A key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningKey {
    /// Its id.
    pub key: LicenceSigningKeyId,
    /// Its thumbprint.
    pub kid: String,
    /// Its public half, in base64url.
    pub public_key: String,
    /// When it was published.
    pub created_at: Timestamp,
    /// When it was last activated.
    pub activated_at: Option<Timestamp>,
    /// Why it was retired, when, and until when it verifies.
    pub retired: Option<(Retirement, Timestamp, Timestamp)>,
}

impl SigningKey {
    /// Whether it verifies.
    pub fn is_published(&self, now: Timestamp) -> bool {
        self.retired.is_none_or(|(.., until)| now < until)
    }

    /// From when on it can be activated, if another one signs.
    pub fn usable_from(&self) -> Timestamp {
        self.created_at.saturating_add(NOTICE).unwrap_or(Timestamp::MAX)
    }
}

/// The keys, in the order of their creation.
#[derive(Debug, Clone, Default)]
pub struct LicenceSigningKeys {
    keys: Vec<SigningKey>,
    signing: Option<LicenceSigningKeyId>,
}

impl LicenceSigningKeys {
    /// All keys.
    pub fn all(&self) -> &[SigningKey] {
        &self.keys
    }

    /// The key that signs.
    pub fn signing(&self) -> Option<&SigningKey> {
        self.get(self.signing?)
    }

    /// A key.
    pub fn get(&self, key: LicenceSigningKeyId) -> Option<&SigningKey> {
        self.keys.iter().find(|it| it.key == key)
    }

    /// The key that signs a token again that was signed under this thumbprint: the same one, unless it is removed.
    pub fn again(&self, kid: &str, now: Timestamp) -> Option<&SigningKey> {
        self.keys.iter().find(|it| it.kid == kid && it.is_published(now)).or(self.signing())
    }

    /// What a key does.
    pub fn status(&self, key: &SigningKey) -> Status {
        match key.retired {
            Some((Retirement::Compromised, ..)) => Status::Compromised,
            Some((Retirement::Rotated, ..)) => Status::Retired,
            None if self.signing == Some(key.key) => Status::Signing,
            None => Status::Published,
        }
    }

    fn retire(
        &self,
        known: &SigningKey,
        reason: Retirement,
        (last_expiry, now): (Timestamp, Timestamp),
    ) -> Result<Vec<Event>, Rejection> {
        let key = known.key;
        let published_until = match reason {
            Retirement::Rotated => last_expiry.max(now),
            Retirement::Compromised => now,
        };
        let retired = Event::Retired { key, reason, at: now, published_until };
        match (known.retired, reason) {
            (Some((Retirement::Compromised, ..)), _) | (Some(_), Retirement::Rotated) => return Ok(vec![]),
            (Some(_), Retirement::Compromised) => return Ok(vec![retired]),
            (None, _) if self.signing != Some(key) => return Ok(vec![retired]),
            (None, Retirement::Rotated) => return Err(Rejection::InUse),
            (None, Retirement::Compromised) => {}
        }
        // The one that was published first is known to most programs.
        let next = self.keys.iter().find(|it| it.key != key && it.retired.is_none()).ok_or(Rejection::Last)?;
        Ok(vec![retired, Event::Activated { key: next.key, at: now }])
    }
}

impl Aggregate for LicenceSigningKeys {
    const CATEGORY: &'static str = "licence_signing_key";
    const CONSTRAINTS_NEED_STATE: bool = false;
    type Id = LicenceSigningKeyId;
    type Command = Command;
    type Event = Event;
    type Rejection = Rejection;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Rejection> {
        match command {
            Command::Create { key, kid, public_key, now } => match self.get(*key) {
                Some(known) if known.kid == *kid => Ok(vec![]),
                Some(_) => Err(Rejection::Exists),
                None => {
                    let (key, kid, public_key) = (*key, kid.clone(), public_key.clone());
                    Ok(vec![Event::Created { key, kid, public_key, at: *now }])
                }
            },
            Command::Activate { key, now } => {
                let known = self.get(*key).ok_or(Rejection::NotFound)?;
                match self.signing {
                    Some(signing) if signing == *key => Ok(vec![]),
                    _ if known.retired.is_some() => Err(Rejection::Retired),
                    Some(_) if *now < known.usable_from() => Err(Rejection::TooNew(known.usable_from())),
                    Some(_) | None => Ok(vec![Event::Activated { key: *key, at: *now }]),
                }
            }
            Command::Retire { key, reason, last_expiry, now } => {
                self.retire(self.get(*key).ok_or(Rejection::NotFound)?, *reason, (*last_expiry, *now))
            }
        }
    }

    fn evolve(&mut self, event: &Event) {
        match event {
            Event::Created { key, kid, public_key, at } => self.keys.push(SigningKey {
                key: *key,
                kid: kid.clone(),
                public_key: public_key.clone(),
                created_at: *at,
                activated_at: None,
                retired: None,
            }),
            Event::Activated { key, at } => {
                self.signing = Some(*key);
                self.keys.iter_mut().filter(|it| it.key == *key).for_each(|it| it.activated_at = Some(*at));
            }
            Event::Retired { key, reason, at, published_until } => {
                self.signing = self.signing.filter(|signing| signing != key);
                let retired = Some((*reason, *at, *published_until));
                self.keys.iter_mut().filter(|it| it.key == *key).for_each(|it| it.retired = retired);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::given;

    const DAY: i64 = 86_400;

    fn at(day: i64) -> Timestamp {
        Timestamp::from_second(day * DAY).unwrap()
    }

    fn key(number: u128) -> LicenceSigningKeyId {
        LicenceSigningKeyId(Uuid::from_u128(number))
    }

    fn created(number: u128, day: i64) -> Event {
        let (kid, public_key) = (format!("kid {number}"), format!("public {number}"));
        Event::Created { key: key(number), kid, public_key, at: at(day) }
    }

    fn activated(number: u128, day: i64) -> Event {
        Event::Activated { key: key(number), at: at(day) }
    }

    fn retire(number: u128, reason: Retirement) -> Command {
        Command::Retire { key: key(number), reason, last_expiry: at(400), now: at(20) }
    }

    fn retired(number: u128, reason: Retirement, until: i64) -> Event {
        Event::Retired { key: key(number), reason, at: at(20), published_until: at(until) }
    }

    #[test]
    fn the_first_key_signs_at_once_and_others_after_seven_days() {
        let activate = |number, day| Command::Activate { key: key(number), now: at(day) };
        given::<LicenceSigningKeys>([created(1, 0)]).when(activate(1, 0)).then([activated(1, 0)]);
        let both = || [created(1, 0), activated(1, 0), created(2, 10)];
        given::<LicenceSigningKeys>(both()).when(activate(2, 16)).then_rejected(Rejection::TooNew(at(17)));
        given::<LicenceSigningKeys>(both()).when(activate(2, 17)).then([activated(2, 17)]);
        given::<LicenceSigningKeys>(both()).when(activate(3, 17)).then_rejected(Rejection::NotFound);
    }

    #[test]
    fn a_rotated_key_is_published_until_the_last_token_expires() {
        let both = || [created(1, 0), activated(1, 0), created(2, 10)];
        given::<LicenceSigningKeys>(both()).when(retire(1, Retirement::Rotated)).then_rejected(Rejection::InUse);
        let rotated = || both().into_iter().chain([activated(2, 17)]);
        given::<LicenceSigningKeys>(rotated()).when(retire(1, Retirement::Rotated)).then([retired(
            1,
            Retirement::Rotated,
            400,
        )]);
        let keys: Vec<Event> = rotated().chain([retired(1, Retirement::Rotated, 400)]).collect();
        let keys = LicenceSigningKeys::after(&keys);
        assert!(keys.all()[0].is_published(at(399)) && !keys.all()[0].is_published(at(400)));
        assert_eq!(keys.again("kid 1", at(399)).map(|it| it.key), Some(key(1)));
        assert_eq!(keys.again("kid 1", at(400)).map(|it| it.key), Some(key(2)));
    }

    #[test]
    fn a_compromised_key_is_removed_at_once_and_another_one_signs() {
        given::<LicenceSigningKeys>([created(1, 0), activated(1, 0)])
            .when(retire(1, Retirement::Compromised))
            .then_rejected(Rejection::Last);
        given::<LicenceSigningKeys>([created(1, 0), activated(1, 0), created(2, 19)])
            .when(retire(1, Retirement::Compromised))
            .then([retired(1, Retirement::Compromised, 20), activated(2, 20)]);
        given::<LicenceSigningKeys>([created(1, 0), activated(1, 0), created(2, 9), activated(2, 16)])
            .when(retire(1, Retirement::Compromised))
            .then([retired(1, Retirement::Compromised, 20)]);
    }
}
