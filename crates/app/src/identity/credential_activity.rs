//! When and from where sessions and keys were last used: a row in the ledger, accurate to the minute, instead of
//! events.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use porttask_domain::{OrganizationId, PersonId};
use porttask_runtime::{
    clock::Clock,
    credential_activity::ActivityRecord,
    ledger::Database,
    log::{LogError, SecretKind},
    supervise::beat,
    vault::{Vault, VaultError},
};
use uuid::Uuid;

use crate::identity::caller::{Caller, Credential};

/// The coarsest resolution of the times in the ledger.
const RESOLUTION: SignedDuration = SignedDuration::from_secs(60);
/// The retention period for sessions. For keys, the last use is retained forever.
const KEPT: SignedDuration = SignedDuration::from_hours(30 * 24);
/// Rows per write.
const BATCH: usize = 1_000;

/// The limits on the duration of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionLimits {
    /// The maximum duration.
    pub longest: SignedDuration,
    /// The maximum time without use; `None` means no idle timeout.
    pub idle: Option<SignedDuration>,
}

/// When and from where a session or key was last used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastUse {
    /// When; to the minute for uses on other nodes.
    pub at: Timestamp,
    /// The IP address; `None` if unknown or erased.
    pub ip: Option<String>,
}

/// Records the use of sessions and keys, and reports the last use.
pub struct CredentialActivity {
    database: Arc<dyn Database>,
    vault: Arc<Vault>,
    clock: Arc<Clock>,
    limits: SessionLimits,
    known: Mutex<HashMap<Key, Known>>,
}

type Key = (OrganizationId, Uuid);

/// The last use on this node.
#[derive(Debug, Clone, Copy)]
struct Known {
    kind: SecretKind,
    at: Timestamp,
    ip: Option<IpAddr>,
    home: OrganizationId,
    person: PersonId,
    /// The time of the use that was written last.
    written: Option<Timestamp>,
}

impl CredentialActivity {
    /// Creates the recorder of this node.
    pub fn new((database, vault): (Arc<dyn Database>, Arc<Vault>), clock: Arc<Clock>, limits: SessionLimits) -> Self {
        Self { database, vault, clock, limits, known: Mutex::default() }
    }

    /// The limits on the duration of a session.
    pub fn limits(&self) -> SessionLimits {
        self.limits
    }

    /// Notes that a caller is active now. An impersonation marks both sessions as used.
    pub fn note(&self, caller: &Caller, ip: Option<IpAddr>, now: Timestamp) {
        let (home, person) = match caller.impersonator {
            Some(staff) => (OrganizationId::PLATFORM, staff.user),
            None => (caller.organization, caller.user),
        };
        let (owner, kind) = match caller.credential {
            Credential::Session(session) => (session.0, SecretKind::Session),
            Credential::Key { key, .. } => (key.0, SecretKind::ApiKey),
        };
        let own = caller.impersonator.map(|staff| (home, staff.session.0));
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        for key in [(caller.organization, owner)].into_iter().chain(own) {
            let entry = known.entry(key);
            let written = None;
            let entry = entry.or_insert(Known { kind, at: now, ip, home, person: person.into(), written });
            (entry.at, entry.ip, entry.home, entry.person) = (now.max(entry.at), ip, home, person.into());
        }
    }

    /// Whether a session has ended by idle timeout. Without local knowledge, reads the ledger, with some slack for uses
    /// that other nodes have not written yet.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn is_idle(
        &self,
        organization: OrganizationId,
        session: Uuid,
        started_at: Timestamp,
        now: Timestamp,
    ) -> Result<bool, LogError> {
        let Some(idle) = self.limits.idle else { return Ok(false) };
        let here = self.here((organization, session)).map(|known| known.at);
        if [Some(started_at), here].into_iter().flatten().any(|at| now.duration_since(at) <= idle) {
            return Ok(false);
        }
        let stored = self.database.last_seen(organization, &[session]).await?;
        Ok(stored.iter().all(|it| now.duration_since(it.at) > idle + self.slack()))
    }

    /// The last use of these sessions or keys.
    ///
    /// # Errors
    /// If the database fails, or a key is damaged.
    pub async fn of(
        &self,
        organization: OrganizationId,
        owners: &[Uuid],
    ) -> Result<HashMap<Uuid, LastUse>, VaultError> {
        let mut activity = HashMap::new();
        for ActivityRecord { owner, at, home, person, trace, .. } in
            self.database.last_seen(organization, owners).await?
        {
            let ip = match trace {
                Some(sealed) => self.vault.open_trace(home, person, &sealed, owner.as_bytes()).await?,
                None => None,
            };
            activity.insert(owner, LastUse { at, ip: ip.and_then(|ip| String::from_utf8(ip).ok()) });
        }
        for owner in owners {
            let here = self.here((organization, *owner));
            if let Some(known) = here.filter(|known| activity.get(owner).is_none_or(|stored| stored.at < known.at)) {
                activity.insert(*owner, LastUse { at: known.at, ip: known.ip.map(|ip| ip.to_string()) });
            }
        }
        Ok(activity)
    }

    /// Whether a session with this last use has ended by idle timeout.
    pub fn is_over(&self, last_used_at: Timestamp, now: Timestamp) -> bool {
        self.limits.idle.is_some_and(|idle| now.duration_since(last_used_at) > idle + self.slack())
    }

    /// Writes pending activity, in a loop.
    pub async fn run(self: Arc<Self>) {
        let mut cleaned = Timestamp::UNIX_EPOCH;
        loop {
            beat(self.pace());
            tokio::time::sleep(self.pace()).await;
            let now = self.clock.now();
            if let Err(error) = self.write(Some(now)).await {
                tracing::warn!(%error, "last activity could not be written: will retry");
            }
            if now.duration_since(cleaned) > SignedDuration::from_hours(1) {
                cleaned = now;
                if let Err(error) = self.database.delete_activity(SecretKind::Session, now - KEPT).await {
                    tracing::warn!(%error, "old activity could not be deleted: will retry");
                }
            }
        }
    }

    /// Writes all pending activity within `patience`; returns whether it finished.
    pub async fn shutdown(&self, patience: Duration) -> bool {
        matches!(tokio::time::timeout(patience, self.write(None)).await, Ok(Ok(())))
    }

    /// Writes the activity that is due, or all.
    async fn write(&self, now: Option<Timestamp>) -> Result<(), VaultError> {
        let is_due = |known: &Known| match known.written {
            None => true,
            Some(written) => {
                known.at > written && now.is_none_or(|now| now.duration_since(written) >= self.resolution())
            }
        };
        let due: Vec<(Key, Known)> = {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.iter().filter(|(_, known)| is_due(known)).map(|(key, known)| (*key, *known)).collect()
        };
        for batch in due.chunks(BATCH) {
            let mut activity = Vec::with_capacity(batch.len());
            for ((organization, owner), Known { kind, at, ip, home, person, .. }) in batch {
                let ip = ip.map(|ip| ip.to_string());
                let trace = match ip {
                    Some(ip) => self.vault.seal_trace(*home, *person, ip.as_bytes(), owner.as_bytes()).await?,
                    None => None,
                };
                let (organization, owner, kind, at) = (*organization, *owner, *kind, *at);
                activity.push(ActivityRecord { organization, owner, kind, at, home: *home, person: *person, trace });
            }
            self.database.record_activity(&activity).await?;
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            for (key, Known { at, .. }) in batch {
                if let Some(known) = known.get_mut(key) {
                    known.written = Some(*at);
                }
            }
        }
        self.forget(now);
        Ok(())
    }

    /// Removes old, written entries from memory: the ledger has them.
    fn forget(&self, now: Option<Timestamp>) {
        let Some(now) = now else { return };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, it| it.written != Some(it.at) || now.duration_since(it.at) < self.resolution() * 2);
    }

    fn here(&self, key: Key) -> Option<Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&key).copied()
    }

    /// The resolution of the times in the ledger: an eighth of the idle timeout, at most a minute.
    fn resolution(&self) -> SignedDuration {
        self.limits.idle.map_or(RESOLUTION, |idle| RESOLUTION.min(idle / 8))
    }

    /// The interval between two writes.
    fn pace(&self) -> Duration {
        (self.resolution() / 4).unsigned_abs()
    }

    /// How far the ledger may lag behind uses on other nodes.
    fn slack(&self) -> SignedDuration {
        (self.resolution() + self.resolution() / 4) * 2
    }
}
