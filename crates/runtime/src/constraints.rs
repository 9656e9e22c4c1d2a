//! Verifies and rebuilds uniqueness constraints and counters.
//!
//! The log stores claims and counts so that an append can be decided without reading history. They are derived from the
//! events alone, so they can be verified and repaired by replaying the log.

use porttask_domain::{Constraint, ConstraintReplay, OrganizationId, Scope, uuid_of};
use std::{collections::BTreeMap, fmt, sync::Arc};

use crate::{
    ledger::{ConstraintRepair, ConstraintState, Database},
    log::{self, Claim, Counter, CounterKey, Head, LogError, Offset, PartitionId, Position},
    vault::{Vault, VaultError},
};

/// Events per read.
const PAGE: usize = 4_096;
/// Maximum attempts of a repair while appends interfere.
const ATTEMPTS: u32 = 100;

/// A stored value that differs from what the events imply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discrepancy {
    /// The organization that the name or count belongs to.
    pub organization: OrganizationId,
    /// The kind of name and the start of its hash, or the name of the count.
    pub what: String,
    /// The stored value.
    pub kept: Option<String>,
    /// The value according to the events.
    pub expected: Option<String>,
}

impl fmt::Display for Discrepancy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = |it: &Option<String>| it.clone().unwrap_or_else(|| "nothing".to_owned());
        let (kept, expected) = (word(&self.kept), word(&self.expected));
        write!(f, "{} {}: stored {kept}, expected {expected}", self.organization, self.what)
    }
}

/// Why constraints cannot be verified or rebuilt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConstraintsError {
    /// Concurrent appends invalidated every repair attempt.
    #[error("the log is too busy: concurrent appends invalidated every repair attempt; stop all nodes and retry")]
    Busy,
    /// An event cannot be decrypted or decoded.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The log failed.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// Verifies and rebuilds the constraints of a log.
pub struct ConstraintChecker {
    database: Arc<dyn Database>,
    vault: Arc<Vault>,
    replay: ConstraintReplay,
    expected: ConstraintState,
    read: BTreeMap<PartitionId, Offset>,
}

impl ConstraintChecker {
    /// A checker for the log in `database`.
    pub fn new(database: Arc<dyn Database>, vault: Arc<Vault>) -> Self {
        let (replay, expected, read) = (ConstraintReplay::default(), ConstraintState::default(), BTreeMap::new());
        Self { database, vault, replay, expected, read }
    }

    /// Compares the stored state with the events in one snapshot. Does not block appends.
    ///
    /// # Errors
    /// If an event cannot be read, or the log fails.
    pub async fn verify(&mut self) -> Result<Vec<Discrepancy>, ConstraintsError> {
        let snapshot = self.database.constrained().await?;
        self.read_to(&snapshot.heads).await?;
        Ok(faults(&snapshot.kept, &self.expected))
    }

    /// Repairs the stored state from the events; returns the discrepancies found.
    ///
    /// # Errors
    /// If an event cannot be read, the log fails, or concurrent appends invalidate every attempt.
    pub async fn rebuild(&mut self) -> Result<Vec<Discrepancy>, ConstraintsError> {
        for _ in 0..ATTEMPTS {
            let snapshot = self.database.constrained().await?;
            self.read_to(&snapshot.heads).await?;
            let faults = faults(&snapshot.kept, &self.expected);
            if faults.is_empty() || self.database.repair(&snapshot.heads, &self.repair(&snapshot.kept)).await? {
                return Ok(faults);
            }
        }
        Err(ConstraintsError::Busy)
    }

    fn repair(&self, kept: &ConstraintState) -> ConstraintRepair {
        let mut repair = ConstraintRepair::default();
        for (key, expected, _) in differences(&kept.claims, &self.expected.claims) {
            repair.claims.insert(key.clone(), expected.cloned());
        }
        for (key, expected, _) in differences(&kept.counts, &self.expected.counts) {
            repair.counts.insert(key.clone(), expected.copied().unwrap_or_default());
        }
        repair
    }

    async fn read_to(&mut self, heads: &[Head]) -> Result<(), ConstraintsError> {
        for Head { position: Position { partition, offset: end }, .. } in heads {
            let mut after = self.read.get(partition).copied().unwrap_or_default();
            while after < *end {
                let limit = PAGE.min((end.0 - after.0) as usize);
                let events = self.database.read_partition(*partition, after, limit).await?;
                let Some(last) = events.last() else { break };
                after = last.position.offset;
                for (event, domain_event) in events.iter().zip(self.vault.domain_events(&events).await?) {
                    let organization = event.stream.organization;
                    let owner = event.stream.name.id();
                    let subject = uuid_of(owner).unwrap_or_default();
                    for constraint in self.replay.apply(organization, subject, &domain_event) {
                        if let Some(constraint) = to_log_constraint(&self.vault, organization, owner, &constraint) {
                            self.expected.apply(constraint);
                        }
                    }
                }
                self.read.insert(*partition, after);
            }
        }
        Ok(())
    }
}

impl ConstraintState {
    fn apply(&mut self, constraint: log::Constraint) {
        match constraint {
            log::Constraint::Claim(Claim { key, owner }) => _ = self.claims.entry(key).or_insert(owner),
            log::Constraint::Release(Claim { key, .. }) => _ = self.claims.remove(&key),
            log::Constraint::Count(Counter { key, by, .. }) => {
                let value = self.counts.get(&key).copied().unwrap_or_default() + by;
                if value == 0 {
                    self.counts.remove(&key);
                } else {
                    self.counts.insert(key, value);
                }
            }
        }
    }
}

/// The constraint with its name as a keyed hash; `None` if the name was erased, which also released its claim.
pub(crate) fn to_log_constraint(
    vault: &Vault,
    organization: OrganizationId,
    owner: &str,
    constraint: &Constraint,
) -> Option<log::Constraint> {
    let within = |scope: Scope| match scope {
        Scope::Organization => organization,
        Scope::Platform => OrganizationId::PLATFORM,
    };
    let claim = |scope: Scope, kind, name: &str| {
        let key = vault.claim_key(within(scope), kind, name);
        Claim { key, owner: owner.to_owned() }
    };
    match constraint {
        Constraint::Claim { scope, kind, name, violation: _ } => {
            Some(log::Constraint::Claim(claim(*scope, kind, name.as_deref()?)))
        }
        Constraint::Release { scope, kind, name } => {
            Some(log::Constraint::Release(claim(*scope, kind, name.as_deref()?)))
        }
        Constraint::Count { scope, name, by, minimum, maximum, violation: _ } => {
            let key = CounterKey { organization: within(*scope), name: name.clone() };
            Some(log::Constraint::Count(Counter { key, by: *by, minimum: *minimum, maximum: *maximum }))
        }
    }
}

fn faults(kept: &ConstraintState, expected: &ConstraintState) -> Vec<Discrepancy> {
    let claims = differences(&kept.claims, &expected.claims).map(|(key, expected, kept)| Discrepancy {
        organization: key.organization,
        what: format!("{} {:02x}{:02x}…", key.kind, key.hash[0], key.hash[1]),
        kept: kept.cloned(),
        expected: expected.cloned(),
    });
    let counts = differences(&kept.counts, &expected.counts).map(|(key, expected, kept)| Discrepancy {
        organization: key.organization,
        what: key.name.to_string(),
        kept: kept.map(i64::to_string),
        expected: expected.map(i64::to_string),
    });
    claims.chain(counts).collect()
}

/// The keys at which two maps differ, with the expected and the stored value.
fn differences<'a, K: Ord, V: PartialEq>(
    kept: &'a BTreeMap<K, V>,
    expected: &'a BTreeMap<K, V>,
) -> impl Iterator<Item = (&'a K, Option<&'a V>, Option<&'a V>)> {
    let surplus = kept.iter().filter(|(key, _)| !expected.contains_key(key)).map(|(key, kept)| (key, None, Some(kept)));
    let wrong = expected.iter().map(|(key, value)| (key, Some(value), kept.get(key)));
    surplus.chain(wrong.filter(|(_, expected, kept)| expected != kept))
}
