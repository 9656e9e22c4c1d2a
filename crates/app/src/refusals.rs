//! Refusals of callers who are signed in, taken down by caller, operation, problem and hour, and attempts to sign in that
//! failed, by account and hour: the first at once, all others of the hour together, so that whoever tries a thousand times
//! fills a line of the audit log and not a thousand.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::{StreamExt, stream};
use hmac::{Hmac, Mac};
use jiff::Timestamp;
use porttask_domain::{
    Meta, OrganizationId, RefusalId, UserId,
    compliance::{Refusals as Aggregate, refusal::Command},
    identity::Capability,
};
use sha2::Sha256;
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::{
    execute::{Executor, Request},
    id_made_by,
    vault::{Vault, VaultError},
};

/// The most lines that are counted at a time. Beyond, refusals are not taken down until an hour is over.
const MOST_LINES: usize = 20_000;
/// The most lines that are written at a time.
const WRITERS: usize = 4;
const HOUR: i64 = 3_600;

/// Takes refusals down.
pub struct Refusals {
    executor: Arc<Executor>,
    /// What the ids of lines are made by. Nodes count apart, and each time that one starts.
    seal: Hmac<Sha256>,
    lines: Mutex<HashMap<Line, Count>>,
    writers: Arc<Semaphore>,
}

/// A refusal.
#[derive(Debug, Clone)]
pub struct Refused {
    /// Where the caller's account is.
    pub organization: OrganizationId,
    /// The caller, or whose account somebody tried to get into.
    pub user: UserId,
    /// What was refused.
    pub what: What,
    /// From where they asked.
    pub meta: Meta,
}

/// What was refused.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum What {
    /// An operation.
    Operation {
        /// Its name.
        operation: String,
        /// Why it was refused: the name of a problem.
        problem: String,
    },
    /// To sign in to an account that exists.
    SignIn,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Line {
    organization: OrganizationId,
    user: UserId,
    what: What,
    hour: i64,
}

struct Count {
    total: u64,
    noted: u64,
    /// From where the last one came.
    meta: Meta,
}

impl Refusals {
    /// Of this node.
    ///
    /// # Errors
    /// If a key cannot be had.
    pub async fn open(executor: Arc<Executor>, vault: &Vault) -> Result<Self, VaultError> {
        let seal = vault.authenticator("refusals").await?.chain_update(Uuid::now_v7().as_bytes());
        Ok(Self { executor, seal, lines: Mutex::default(), writers: Arc::new(Semaphore::new(WRITERS)) })
    }

    /// Takes a refusal down: the first of its line at once, in the background.
    pub fn note(self: &Arc<Self>, refused: Refused, now: Timestamp) {
        let Refused { organization, user, what, meta } = refused;
        let line = Line { organization, user, what, hour: now.as_second().div_euclid(HOUR) };
        let is_first = {
            let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
            if lines.len() >= MOST_LINES && !lines.contains_key(&line) {
                tracing::warn!("too many different refusals in an hour: some are not taken down");
                return;
            }
            let count = lines.entry(line.clone()).or_insert_with(|| Count { total: 0, noted: 0, meta: meta.clone() });
            count.total += 1;
            count.meta = meta;
            count.total == 1
        };
        if is_first {
            let refusals = Arc::clone(self);
            tokio::spawn(async move { refusals.write(&line).await });
        }
    }

    /// Takes down what hours that are over have left, again and again.
    pub async fn run(self: Arc<Self>) {
        loop {
            tokio::time::sleep(Duration::from_secs(60)).await;
            self.settle(Some(Timestamp::now())).await;
        }
    }

    /// Takes down all that was only counted so far, as far as time lets; answers whether it did.
    pub async fn shutdown(&self, patience: Duration) -> bool {
        tokio::time::timeout(patience, self.settle(None)).await.is_ok()
    }

    /// Takes down the lines of hours before that of `now`, or all, and forgets those that are complete.
    async fn settle(&self, now: Option<Timestamp>) {
        let present = now.map_or(i64::MAX, |now| now.as_second().div_euclid(HOUR));
        let over: Vec<Line> = {
            let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
            // Also the first ones that could not be written at once.
            let is_due = |(line, count): &(&Line, &Count)| line.hour < present || count.noted == 0;
            lines.iter().filter(is_due).map(|(line, _)| line.clone()).collect()
        };
        stream::iter(over)
            .for_each_concurrent(WRITERS, |line| async move {
                self.write(&line).await;
                let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
                if line.hour < present && lines.get(&line).is_some_and(|count| count.noted == count.total) {
                    lines.remove(&line);
                }
            })
            .await;
    }

    async fn write(&self, line: &Line) {
        let Ok(_permit) = self.writers.acquire().await else { return };
        let (total, meta) = {
            let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(count) = lines.get(line).filter(|count| count.noted < count.total) else { return };
            (count.total, count.meta.clone())
        };
        let command = match line.what.clone() {
            What::Operation { operation, problem } => Command::Note { operation, problem, total },
            What::SignIn => Command::NoteFailedSignIns { user: line.user, total },
        };
        // What was tried is kept, whatever has become of the organization.
        let request = Request::new(line.organization, meta).needing(Capability::Settle);
        match self.executor.execute::<Aggregate>(self.id(line), command, &request).await {
            Ok(_) => {
                let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(count) = lines.get_mut(line) {
                    count.noted = count.noted.max(total);
                }
            }
            Err(error) => tracing::error!(%error, "refusals could not be taken down: they are tried again"),
        }
    }

    fn id(&self, line: &Line) -> RefusalId {
        let Line { organization, user, what, hour } = line;
        // No operation is without a name.
        let (operation, problem) = match what {
            What::Operation { operation, problem } => (operation.as_str(), problem.as_str()),
            What::SignIn => ("", ""),
        };
        let mut seal = self.seal.clone();
        for part in [organization.0.as_bytes(), user.0.as_bytes(), operation.as_bytes(), problem.as_bytes()] {
            seal.update(&(part.len() as u64).to_be_bytes());
            seal.update(part);
        }
        id_made_by(seal.chain_update(hour.to_be_bytes()))
    }
}
