//! Keys: what personal values are sealed by, and under what names are hashed.
//!
//! | file | what it owns |
//! |---|---|
//! | `error.rs` | why not |
//! | `master.rs` | the master keys, which wrap all others |
//! | `safe.rs` | what is sealed under a key of the service itself |
//! | `sealed.rs` | the sealed form of a personal value, within the JSON of an event |
//!
//! Every person has two keys ([`Sealing`]); both enter the ledger in the transaction of the first event that is sealed by
//! one of them. Without a master key nothing in the log that is personal can be read.

mod error;
mod master;
mod safe;
mod sealed;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use porttask_domain::{Actor, DomainEvent, Meta, OrganizationId, PersonId, Sealing};
use quick_cache::sync::Cache;
use serde_json::Value;
use sha2::Sha256;

use self::sealed::{Place, PlainKey};
pub use self::{
    error::VaultError,
    master::{MasterKey, MasterKeys},
    safe::Safe,
};
use crate::{
    ledger::{Ledger, StoredKey},
    log::{ClaimKey, EventId, EventType, NewEvent, NewPersonKey, PersonKeyId, RecordedEvent, StreamId},
};

/// How many keys are wrapped anew at a time.
const ROTATION_PAGE: usize = 1_000;
/// How many keys are kept in memory.
const CACHED_KEYS: usize = 100_000;

/// Events to be recorded, and the keys that enter the ledger with them.
#[derive(Debug)]
pub struct SealedEvents {
    /// In the order in which they were given.
    pub events: Vec<NewEvent>,
    /// Keys that were made for them.
    pub keys: Vec<NewPersonKey>,
}

/// How many keys were wrapped anew.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rotated {
    /// Keys of people.
    pub people: u64,
    /// Keys of the service itself.
    pub purposes: u64,
}

/// Seals and opens.
pub struct Vault {
    ledger: Arc<dyn Ledger>,
    master: MasterKeys,
    /// `None`: destroyed.
    cache: Cache<PersonKeyId, Option<PlainKey>>,
    names: Hmac<Sha256>,
}

type Keys = HashMap<PersonKeyId, Option<PlainKey>>;

impl Vault {
    /// Opens the vault of a log.
    ///
    /// # Errors
    /// If the master keys are not those of this log, or its database fails.
    pub async fn open(ledger: Arc<dyn Ledger>, master: MasterKeys) -> Result<Self, VaultError> {
        let names = purpose(ledger.as_ref(), &master, "names").await?;
        Ok(Self { ledger, master, cache: Cache::new(CACHED_KEYS), names })
    }

    /// What authenticates under the key of a purpose of the service itself. The key is made when it is first asked for.
    ///
    /// # Errors
    /// If the key was wrapped by another master key, or the log's database fails.
    pub async fn authenticator(&self, name: &'static str) -> Result<Hmac<Sha256>, VaultError> {
        purpose(self.ledger.as_ref(), &self.master, name).await
    }

    /// What seals under the key of a purpose of the service itself. The key is made when it is first asked for.
    ///
    /// # Errors
    /// If the key was wrapped by another master key, or the log's database fails.
    pub async fn safe(&self, name: &'static str) -> Result<Safe, VaultError> {
        Ok(Safe::new(name, &purpose_key(self.ledger.as_ref(), &self.master, name).await?))
    }

    /// The key under which a unique name is claimed: a keyed hash, so that nobody can try names on a copy of the log.
    pub fn claim_key(&self, organization: OrganizationId, kind: &'static str, name: &str) -> ClaimKey {
        let mut hash = self.names.clone();
        for part in [organization.0.as_bytes(), kind.as_bytes(), name.as_bytes()] {
            hash.update(&(part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        ClaimKey { organization, kind: kind.into(), hash: hash.finalize().into_bytes().into() }
    }

    /// Facts as events to be recorded for an organization.
    ///
    /// # Errors
    /// If a key is damaged or the log's database fails.
    pub async fn seal(
        &self,
        organization: OrganizationId,
        domain_events: &[(StreamId, DomainEvent)],
        meta: &Meta,
    ) -> Result<SealedEvents, VaultError> {
        let meta_home = home_of(meta.actor, meta.impersonator.is_some(), organization);
        let plain_meta = as_value(meta);
        let mut drafts = Vec::with_capacity(domain_events.len());
        let mut wanted = HashSet::new();
        for (stream, domain_event) in domain_events {
            let (name, data) = domain_event.encode();
            sealed::find(&data, sealed::PERSONAL, &mut |person, sealing| {
                wanted.insert(PersonKeyId { organization, person, sealing });
            });
            drafts.push((stream, name, data));
        }
        sealed::find(&plain_meta, sealed::PERSONAL, &mut |person, sealing| {
            wanted.insert(PersonKeyId { organization: meta_home, person, sealing });
        });
        let (keys, born) = self.find_or_make(organization, &wanted).await?;
        let mut events = Vec::with_capacity(drafts.len());
        for (stream, name, mut data) in drafts {
            let id = EventId::generate();
            let mut meta = plain_meta.clone();
            sealed::seal(&mut data, &Place { organization, event: id, home: organization, part: "data" }, &keys)?;
            sealed::seal(&mut meta, &Place { organization, event: id, home: meta_home, part: "meta" }, &keys)?;
            let (data, meta) = (as_bytes(&data), as_bytes(&meta));
            events.push(NewEvent { id, stream: stream.clone(), event_type: EventType::new(name)?, data, meta });
        }
        Ok(SealedEvents { events, keys: born })
    }

    /// What happened, in the order of the events; what was erased reads as erased.
    ///
    /// # Errors
    /// If an event cannot be opened or read, or the log's database fails.
    pub async fn domain_events(&self, events: &[RecordedEvent]) -> Result<Vec<DomainEvent>, VaultError> {
        let mut opened = Vec::with_capacity(events.len());
        let mut wanted = HashSet::new();
        for event in events {
            // Most events have nothing personal in their data.
            let sealed = sealed::mentions(&event.data).then(|| parsed(&event.data));
            if let Some(data) = &sealed {
                let organization = event.stream.organization;
                sealed::find(data, sealed::SEALED, &mut |person, sealing| {
                    wanted.insert(PersonKeyId { organization, person, sealing });
                });
            }
            opened.push(sealed);
        }
        let keys = self.find(&wanted).await?;
        let mut domain_events = Vec::with_capacity(events.len());
        for (event, sealed) in events.iter().zip(opened) {
            let name = event.event_type.as_str();
            let domain_event = match sealed {
                None => DomainEvent::decode(name, &event.data),
                Some(mut data) => {
                    let organization = event.stream.organization;
                    let place = Place { organization, event: event.id, home: organization, part: "data" };
                    sealed::open(&mut data, &place, &keys)?;
                    DomainEvent::from_parts(name, data)
                }
            };
            domain_events
                .push(domain_event.map_err(|cause| VaultError::Undecodable { position: event.position, cause })?);
        }
        Ok(domain_events)
    }

    /// Who did it, from where: the metas of events, opened, in their order.
    ///
    /// # Errors
    /// If it cannot be opened or read, or the log's database fails.
    pub async fn metas(&self, events: &[RecordedEvent]) -> Result<Vec<Meta>, VaultError> {
        let mut sealed_metas = Vec::with_capacity(events.len());
        let mut wanted = HashSet::new();
        for event in events {
            let meta: Value =
                serde_json::from_slice(&event.meta).map_err(|error| VaultError::undecodable(event, "meta", &error))?;
            let actor: Actor = serde_json::from_value(meta["actor"].clone())
                .map_err(|error| VaultError::undecodable(event, "meta", &error))?;
            let home = home_of(actor, !meta["impersonator"].is_null(), event.stream.organization);
            sealed::find(&meta, sealed::SEALED, &mut |person, sealing| {
                wanted.insert(PersonKeyId { organization: home, person, sealing });
            });
            sealed_metas.push((meta, home));
        }
        let keys = self.find(&wanted).await?;
        let mut metas = Vec::with_capacity(events.len());
        for (event, (mut meta, home)) in events.iter().zip(sealed_metas) {
            let place = Place { organization: event.stream.organization, event: event.id, home, part: "meta" };
            sealed::open(&mut meta, &place, &keys)?;
            metas.push(serde_json::from_value(meta).map_err(|error| VaultError::undecodable(event, "meta", &error))?);
        }
        Ok(metas)
    }

    /// From where a person came, sealed under their key for the ledger; `None` if they have no key, or not any more.
    ///
    /// # Errors
    /// If a key is damaged, there is no randomness, or the log's database fails.
    pub async fn seal_trace(
        &self,
        home: OrganizationId,
        person: PersonId,
        plain: &[u8],
        bound_to: &[u8],
    ) -> Result<Option<Vec<u8>>, VaultError> {
        let safe = self.safe_of(home, person).await?;
        safe.map(|safe| safe.seal(plain, bound_to)).transpose()
    }

    /// What was sealed so; `None` once it was erased.
    ///
    /// # Errors
    /// If it was changed, a key is damaged, or the log's database fails.
    pub async fn open_trace(
        &self,
        home: OrganizationId,
        person: PersonId,
        sealed: &[u8],
        bound_to: &[u8],
    ) -> Result<Option<Vec<u8>>, VaultError> {
        let safe = self.safe_of(home, person).await?;
        safe.map(|safe| safe.open(sealed, bound_to)).transpose()
    }

    /// What seals under the trace key of a person.
    async fn safe_of(&self, organization: OrganizationId, person: PersonId) -> Result<Option<Safe>, VaultError> {
        let id = PersonKeyId { organization, person, sealing: Sealing::Trace };
        let mut keys = self.find(&HashSet::from([id])).await?;
        Ok(keys.remove(&id).flatten().map(|key| Safe::new("last uses", &key)))
    }

    /// Destroys a person's keys: everything of theirs reads as erased from now on, here and wherever it is not in memory.
    ///
    /// # Errors
    /// If the log's database fails.
    pub async fn erase(&self, organization: OrganizationId, person: PersonId) -> Result<(), VaultError> {
        self.ledger.destroy_person_keys(organization, person).await?;
        for sealing in [Sealing::Identity, Sealing::Trace] {
            self.forget(&PersonKeyId { organization, person, sealing });
        }
        Ok(())
    }

    /// Wraps everything that a former master key wraps by the current one; tells how many keys of people it has looked at.
    /// Nothing stands still meanwhile, and it may be begun again at any time.
    ///
    /// # Errors
    /// If a key is wrapped by a master key that is not given, or the log's database fails.
    pub async fn rotate(&self, looked_at: &(dyn Fn(u64) + Sync)) -> Result<Rotated, VaultError> {
        let (mut rotated, mut after, mut count) = (Rotated::default(), None, 0);
        loop {
            let page = self.ledger.all_person_keys(after, ROTATION_PAGE).await?;
            let Some((last, _)) = page.last() else { break };
            after = Some(*last);
            count += page.len() as u64;
            let mut anew = Vec::new();
            for (id, old) in page {
                if !self.master.is_current(&old) {
                    let key = self.master.unwrap(&old, &name_of(&id))?;
                    anew.push((id, old, self.master.wrap(&key, &name_of(&id))?));
                }
            }
            if !anew.is_empty() {
                rotated.people += self.ledger.rewrap_person_keys(&anew).await?;
            }
            looked_at(count);
        }
        for (purpose, old) in self.ledger.purpose_keys().await? {
            if !self.master.is_current(&old) {
                let key = self.master.unwrap(&old, purpose.as_bytes())?;
                let new = self.master.wrap(&key, purpose.as_bytes())?;
                self.ledger.rewrap_purpose_key(&purpose, &old, &new).await?;
                rotated.purposes += 1;
            }
        }
        Ok(rotated)
    }

    /// Looks a key up again the next time: somebody else has made or destroyed it.
    pub(crate) fn forget(&self, id: &PersonKeyId) {
        self.cache.remove(id);
    }

    /// The keys that exist or existed.
    async fn find(&self, wanted: &HashSet<PersonKeyId>) -> Result<Keys, VaultError> {
        let mut keys = Keys::with_capacity(wanted.len());
        let mut unknown = Vec::new();
        for id in wanted {
            match self.cache.get(id) {
                Some(key) => _ = keys.insert(*id, key),
                None => unknown.push(*id),
            }
        }
        if unknown.is_empty() {
            return Ok(keys);
        }
        for (id, stored) in unknown.iter().zip(self.ledger.person_keys(&unknown).await?) {
            let key = match stored {
                None => continue,
                Some(StoredKey::Destroyed) => None,
                Some(StoredKey::Wrapped(wrapped)) => Some(self.master.unwrap(&wrapped, &name_of(id))?),
            };
            self.cache.insert(*id, key.clone());
            keys.insert(*id, key);
        }
        Ok(keys)
    }

    /// The keys that exist or existed, and new ones for people of `organization` who have none yet: always both.
    async fn find_or_make(
        &self,
        organization: OrganizationId,
        wanted: &HashSet<PersonKeyId>,
    ) -> Result<(Keys, Vec<NewPersonKey>), VaultError> {
        let mut keys = self.find(wanted).await?;
        let mut born = Vec::new();
        for id in wanted {
            if keys.contains_key(id) || id.organization != organization {
                continue;
            }
            for sealing in [Sealing::Identity, Sealing::Trace] {
                let id = PersonKeyId { sealing, ..*id };
                if keys.contains_key(&id) {
                    continue;
                }
                let key = PlainKey::generate()?;
                born.push(NewPersonKey { id, wrapped: self.master.wrap(&key, &name_of(&id))? });
                keys.insert(id, Some(key));
            }
        }
        Ok((keys, born))
    }
}

/// What happened, with all personal values as if they were erased: needs no key.
///
/// # Errors
/// If the event cannot be read.
pub fn impersonal(event: &RecordedEvent) -> Result<DomainEvent, VaultError> {
    let name = event.event_type.as_str();
    let decoded = match sealed::mentions(&event.data) {
        false => DomainEvent::decode(name, &event.data),
        true => {
            let mut data = parsed(&event.data);
            sealed::blank(&mut data);
            DomainEvent::from_parts(name, data)
        }
    };
    decoded.map_err(|cause| VaultError::Undecodable { position: event.position, cause })
}

async fn purpose(ledger: &dyn Ledger, master: &MasterKeys, name: &str) -> Result<Hmac<Sha256>, VaultError> {
    let key = purpose_key(ledger, master, name).await?;
    // HMAC takes keys of every length.
    Hmac::new_from_slice(key.bytes()).map_err(|error| VaultError::NoRandomness(error.to_string()))
}

async fn purpose_key(ledger: &dyn Ledger, master: &MasterKeys, name: &str) -> Result<PlainKey, VaultError> {
    let fresh = master.wrap(&PlainKey::generate()?, name.as_bytes())?;
    let stored = ledger.purpose_key(name, &fresh).await?;
    master.unwrap(&stored, name.as_bytes())
}

/// What binds a wrapped key to its person.
fn name_of(id: &PersonKeyId) -> Vec<u8> {
    [id.organization.0.as_bytes(), id.person.0.as_bytes(), id.sealing.name().as_bytes()].concat()
}

/// Where the people are whose personal values stand in a meta: at the home of the actor, or of the staff who acts.
fn home_of(actor: Actor, is_impersonated: bool, organization: OrganizationId) -> OrganizationId {
    match actor {
        _ if is_impersonated => OrganizationId::PLATFORM,
        Actor::User { organization, .. } | Actor::ApiKey { organization, .. } => organization,
        Actor::Operator | Actor::System | Actor::Anonymous => organization,
    }
}

fn as_value(meta: &Meta) -> Value {
    serde_json::to_value(meta).unwrap_or_else(|error| unreachable!("a meta that is no JSON: {error}"))
}

/// JSON that this program wrote. Anything else is null, which no event is, and so is refused where it is decoded.
fn parsed(json: &[u8]) -> Value {
    serde_json::from_slice(json).unwrap_or_default()
}

fn as_bytes(value: &Value) -> Bytes {
    value.to_string().into()
}

#[cfg(test)]
mod tests;
