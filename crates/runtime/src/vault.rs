//! Keys: encryption of personal values, keyed hashes of unique names.
//!
//! | file | what it owns |
//! |---|---|
//! | `error.rs` | errors |
//! | `master.rs` | the master keys, which wrap all others |
//! | `safe.rs` | encryption under one of the service's own keys |
//! | `sealed.rs` | the sealed form of personal values within the JSON of an event |
//!
//! Every person has two keys ([`Sealing`]); both are stored in the ledger in the transaction of the first event sealed
//! under one of them. Without a master key, no personal data in the log can be read.

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

/// Keys rewrapped at a time.
const ROTATION_PAGE: usize = 1_000;
/// Capacity of the key cache.
const CACHED_KEYS: usize = 100_000;

/// Events to be recorded, and new keys to be stored with them.
#[derive(Debug)]
pub struct SealedEvents {
    /// The events, in the given order.
    pub events: Vec<NewEvent>,
    /// The keys generated for them.
    pub keys: Vec<NewPersonKey>,
}

/// The numbers of rewrapped keys.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rotated {
    /// Keys of people.
    pub people: u64,
    /// The service's own keys.
    pub purposes: u64,
}

/// Seals and opens personal values.
pub struct Vault {
    ledger: Arc<dyn Ledger>,
    master: MasterKeys,
    /// `None`: the key is destroyed.
    cache: Cache<PersonKeyId, Option<PlainKey>>,
    names: Hmac<Sha256>,
}

type Keys = HashMap<PersonKeyId, Option<PlainKey>>;

impl Vault {
    /// Opens the vault of a log.
    ///
    /// # Errors
    /// If the master keys do not match this log, or its database fails.
    pub async fn open(ledger: Arc<dyn Ledger>, master: MasterKeys) -> Result<Self, VaultError> {
        let names = purpose(ledger.as_ref(), &master, "names").await?;
        Ok(Self { ledger, master, cache: Cache::new(CACHED_KEYS), names })
    }

    /// Fails if the master keys no longer open the service's own keys: another process rotated them.
    ///
    /// # Errors
    /// [`VaultError::OtherMasterKey`] then, or if the log's database fails.
    pub async fn confirm(&self) -> Result<(), VaultError> {
        let keys = self.ledger.purpose_keys().await?;
        keys.iter().try_for_each(|(name, wrapped)| self.master.opens(name, wrapped))
    }

    /// The fingerprint of the current master key.
    pub fn master_id(&self) -> String {
        self.master.current_id()
    }

    /// An HMAC under the service's own key for a purpose. The key is generated on first use.
    ///
    /// # Errors
    /// If the key was wrapped by another master key, or the log's database fails.
    pub async fn authenticator(&self, name: &'static str) -> Result<Hmac<Sha256>, VaultError> {
        purpose(self.ledger.as_ref(), &self.master, name).await
    }

    /// Encryption under the service's own key for a purpose. The key is generated on first use.
    ///
    /// # Errors
    /// If the key was wrapped by another master key, or the log's database fails.
    pub async fn safe(&self, name: &'static str) -> Result<Safe, VaultError> {
        Ok(Safe::new(name, &purpose_key(self.ledger.as_ref(), &self.master, name).await?))
    }

    /// The seed of the service's own signing key with a name. It is generated on first use, and never leaves the process.
    ///
    /// # Errors
    /// If the key was wrapped by another master key, or the log's database fails.
    pub async fn signing_seed(&self, name: &str) -> Result<[u8; 32], VaultError> {
        Ok(*purpose_key(self.ledger.as_ref(), &self.master, name).await?.bytes())
    }

    /// Stores the seed of a signing key that has none yet; returns the stored one. For demonstrations, whose keys are the same
    /// for the same seed: such a key protects nothing.
    ///
    /// # Errors
    /// If the log's database fails.
    pub async fn put_signing_seed(&self, name: &str, seed: [u8; 32]) -> Result<[u8; 32], VaultError> {
        let wrapped = self.master.wrap(&PlainKey::of(seed), name.as_bytes())?;
        let stored = self.ledger.purpose_key(name, &wrapped).await?;
        Ok(*self.master.unwrap(&stored, name.as_bytes())?.bytes())
    }

    /// The key under which a unique name is claimed: a keyed hash, so that names cannot be guessed from a copy of the
    /// log.
    pub fn claim_key(&self, organization: OrganizationId, kind: &'static str, name: &str) -> ClaimKey {
        let mut hash = self.names.clone();
        for part in [organization.0.as_bytes(), kind.as_bytes(), name.as_bytes()] {
            hash.update(&(part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        ClaimKey { organization, kind: kind.into(), hash: hash.finalize().into_bytes().into() }
    }

    /// Encodes and seals domain events for an organization.
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
                wanted.insert(PersonKeyId { organization: stream.organization, person, sealing });
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
            // An event belongs to the organization of its stream: of a tenant's request, that may be the platform.
            let organization = stream.organization;
            sealed::seal(&mut data, &Place { organization, event: id, home: organization, part: "data" }, &keys)?;
            sealed::seal(&mut meta, &Place { organization, event: id, home: meta_home, part: "meta" }, &keys)?;
            let (data, meta) = (as_bytes(&data), as_bytes(&meta));
            events.push(NewEvent { id, stream: stream.clone(), event_type: EventType::new(name)?, data, meta });
        }
        Ok(SealedEvents { events, keys: born })
    }

    /// Opens and decodes events, in order; values whose key is destroyed read as erased.
    ///
    /// # Errors
    /// If an event cannot be opened or read, or the log's database fails.
    pub async fn domain_events(&self, events: &[RecordedEvent]) -> Result<Vec<DomainEvent>, VaultError> {
        let mut opened = Vec::with_capacity(events.len());
        let mut wanted = HashSet::new();
        for event in events {
            // Most events contain no personal data.
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

    /// Opens and decodes the metadata of events, in order.
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

    /// Seals a person's client address for the ledger under their trace key; `None` if they have no key or it is
    /// destroyed.
    ///
    /// # Errors
    /// If a key is damaged, randomness is unavailable, or the log's database fails.
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

    /// Opens what [`Vault::seal_trace`] sealed; `None` if it was erased.
    ///
    /// # Errors
    /// If it was tampered with, a key is damaged, or the log's database fails.
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

    /// Encryption under the trace key of a person.
    async fn safe_of(&self, organization: OrganizationId, person: PersonId) -> Result<Option<Safe>, VaultError> {
        let id = PersonKeyId { organization, person, sealing: Sealing::Trace };
        let mut keys = self.find(&HashSet::from([id])).await?;
        Ok(keys.remove(&id).flatten().map(|key| Safe::new("last uses", &key)))
    }

    /// Destroys a person's keys: their values read as erased from now on, except on other nodes that still cache a key.
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

    /// Rewraps all keys under the current master key; reports the number of keys of people processed so far. Does not
    /// block other work, and may be interrupted and repeated at any time.
    ///
    /// # Errors
    /// If a key is wrapped by a master key that is not configured, or the log's database fails.
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

    /// Evicts a key from the cache: another node has created or destroyed it.
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

    /// The keys that exist or existed, and both new keys for people of `organization` who have none yet.
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

/// Decodes an event with all personal values read as erased; needs no key.
///
/// # Errors
/// If the event cannot be decoded.
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
    // HMAC accepts keys of any length.
    Hmac::new_from_slice(key.bytes()).map_err(|error| VaultError::NoRandomness(error.to_string()))
}

async fn purpose_key(ledger: &dyn Ledger, master: &MasterKeys, name: &str) -> Result<PlainKey, VaultError> {
    let fresh = master.wrap(&PlainKey::generate()?, name.as_bytes())?;
    let stored = ledger.purpose_key(name, &fresh).await?;
    master.unwrap(&stored, name.as_bytes())
}

/// Associated data that binds a wrapped key to its person.
fn name_of(id: &PersonKeyId) -> Vec<u8> {
    [id.organization.0.as_bytes(), id.person.0.as_bytes(), id.sealing.name().as_bytes()].concat()
}

/// The organization of the people whose personal values a meta contains: the actor's, or the platform for staff who
/// impersonate a user.
fn home_of(actor: Actor, is_impersonated: bool, organization: OrganizationId) -> OrganizationId {
    match actor {
        _ if is_impersonated => OrganizationId::PLATFORM,
        Actor::User { organization, .. } | Actor::ApiKey { organization, .. } => organization,
        Actor::Operator | Actor::System | Actor::Anonymous => organization,
    }
}

fn as_value(meta: &Meta) -> Value {
    serde_json::to_value(meta).unwrap_or_else(|error| unreachable!("metadata cannot be serialized: {error}"))
}

/// Parses JSON. Invalid JSON yields null, which the decoder rejects.
fn parsed(json: &[u8]) -> Value {
    serde_json::from_slice(json).unwrap_or_default()
}

fn as_bytes(value: &Value) -> Bytes {
    value.to_string().into()
}

#[cfg(test)]
mod tests;
