//! The way of a command: load the streams that the decision reads, decide, append with the versions read.
//!
//! | file | what it owns |
//! |---|---|
//! | `work.rs` | the decisions of one request, and what they read and found |
//! | `error.rs` | why nothing was done |
//!
//! Aggregates are kept in memory with their versions, and nothing is answered from memory alone: an append checks the
//! versions under the partition's lock, also that of a dry run, which writes nothing; a refusal and a decision without events
//! confirm them first.

mod error;
mod work;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use porttask_domain::{Aggregate, Fact, Meta, OrganizationId, identity::Capability};
use quick_cache::sync::Cache;

pub use self::error::{ExecuteError, Refused};
use self::work::{Decide, Kept, On};
pub use self::work::{Halt, Work};
use crate::{
    ledger::Database,
    log::{Append, AppendError, Appended, Expected, NewSecret, Once, Position, StreamId, Version, admission::OnceKey},
    vault::{SealedEvents, Vault},
};

/// How many aggregates are kept in memory.
const KEPT_AGGREGATES: usize = 100_000;
/// How often a decision is made anew because somebody else was faster.
const ATTEMPTS: u32 = 10;
/// The longest pause before the second attempt; it doubles with every further one.
const PAUSE: Duration = Duration::from_millis(2);

/// What must hold for every request to an organization, beside the rules of the aggregates.
#[async_trait]
pub trait Precondition: Send + Sync {
    /// Checks it, by states that [`Work::read`] loads: their versions join those that the append expects.
    ///
    /// # Errors
    /// Why the request is refused, or a failure.
    async fn check(&self, request: &Request, work: &mut Work<'_>) -> Result<(), Halt>;
}

/// Carries out commands.
pub struct Executor {
    log: Arc<dyn Database>,
    vault: Arc<Vault>,
    precondition: Arc<dyn Precondition>,
    kept: Cache<StreamId, Kept>,
}

/// For whom and under what conditions something is done.
#[derive(Debug, Clone)]
pub struct Request {
    /// Where it is done.
    pub organization: OrganizationId,
    /// Who does it, and from where.
    pub meta: Meta,
    /// What the organization's standing must allow. Not asked of the platform's organization, nor of one that is founded.
    pub capability: Capability,
    /// Whether the organization comes into being by it.
    pub founding: bool,
    /// What must still be as the caller saw it: who they are, and which version they want to change.
    pub expected: Vec<Expected>,
    /// How high counts may rise, by what is counted.
    pub limits: Vec<(&'static str, i64)>,
    /// The secrets that are given out if anything happens.
    pub secrets: Vec<NewSecret>,
    /// Makes a repetition harmless.
    pub once: Option<Once>,
    /// Decide, and record nothing.
    pub dry_run: bool,
}

impl Request {
    /// Something to be done by users of an organization, or for them.
    pub fn new(organization: OrganizationId, meta: Meta) -> Self {
        Self {
            organization,
            meta,
            capability: Capability::Use,
            founding: false,
            expected: Vec::new(),
            limits: Vec::new(),
            secrets: Vec::new(),
            once: None,
            dry_run: false,
        }
    }

    /// The same request, needing another capability.
    #[must_use]
    pub fn needing(mut self, capability: Capability) -> Self {
        self.capability = capability;
        self
    }

    /// The same request, which founds the organization.
    #[must_use]
    pub fn founding(mut self) -> Self {
        self.founding = true;
        self
    }
}

/// What was done, or would be.
#[derive(Debug, Clone, PartialEq)]
pub struct Done {
    /// Up to where a view must have read to show it; `None` if nothing was recorded.
    pub position: Option<Position>,
    /// When it was recorded.
    pub recorded_at: Option<Timestamp>,
    /// What happened, each with its stream and the version that it has there. Empty if all was so already, and for a
    /// repetition.
    pub facts: Vec<(StreamId, Version, Fact)>,
    /// The same request was carried out before.
    pub repeated: bool,
}

/// Commands that are carried out together or not at all, in order; each sees what the ones before it changed.
#[derive(Default)]
pub struct Commands(Vec<Box<dyn Decide>>);

impl Commands {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same commands, and then this one.
    #[must_use]
    pub fn on<A: Aggregate>(mut self, id: A::Id, command: A::Command) -> Self {
        self.0.push(Box::new(On::<A> { id, command, is_new: false }));
        self
    }

    /// The same commands, and then this one for something that is made by it, under an id that nothing had: what is not
    /// there is not read. Something that is there nevertheless is met as it is.
    #[must_use]
    pub fn on_new<A: Aggregate>(mut self, id: A::Id, command: A::Command) -> Self {
        self.0.push(Box::new(On::<A> { id, command, is_new: true }));
        self
    }
}

impl Executor {
    /// Carries out commands on this log.
    pub fn new(log: Arc<dyn Database>, vault: Arc<Vault>, precondition: Arc<dyn Precondition>) -> Self {
        Self { log, vault, precondition, kept: Cache::new(KEPT_AGGREGATES) }
    }

    /// Carries out one command.
    ///
    /// # Errors
    /// As [`Executor::execute_all`].
    pub async fn execute<A: Aggregate>(
        &self,
        id: A::Id,
        command: A::Command,
        request: &Request,
    ) -> Result<Done, ExecuteError> {
        self.execute_all(&Commands::new().on::<A>(id, command), request).await
    }

    /// Carries out commands, all or none.
    ///
    /// # Errors
    /// Why nothing was done; after [`ExecuteError::OutcomeUnknown`] it may have been.
    pub async fn execute_all(&self, commands: &Commands, request: &Request) -> Result<Done, ExecuteError> {
        if let Some(repeated) = self.repeated(request).await? {
            return Ok(repeated);
        }
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                pause(attempt).await;
            }
            let mut work = Work::new(self, request, attempt == 0);
            let decided = work.decide(&commands.0).await;
            let is_settled = match &decided {
                Ok(()) => work.facts().is_empty() && (request.dry_run || request.once.is_none()),
                Err(Halt::Refused(_)) => true,
                Err(Halt::Failed(_)) => false,
            };
            if is_settled && !self.still_holds(&work, request).await? {
                continue;
            }
            match decided {
                Err(Halt::Refused(refused)) => return Err(ExecuteError::Refused(refused)),
                Err(Halt::Failed(error)) => return Err(error),
                Ok(()) if is_settled => return Ok(work.undone()),
                Ok(()) => {}
            }
            if let Some(appended) = self.append(&work, request).await? {
                let is_done = !request.dry_run || appended.repeated;
                return Ok(if is_done { self.done(work, appended) } else { work.undone() });
            }
        }
        Err(ExecuteError::Contended)
    }

    /// The answer to a request that was carried out before: also to one that would be refused as things stand now.
    async fn repeated(&self, request: &Request) -> Result<Option<Done>, ExecuteError> {
        let Some(once) = &request.once else { return Ok(None) };
        let Some(record) = self.log.recorded_once(&OnceKey::of(request.organization, once)).await? else {
            return Ok(None);
        };
        if record.fingerprint != once.fingerprint {
            return Err(ExecuteError::AnotherRequest);
        }
        let (position, recorded_at) = (Some(record.position), Some(record.recorded_at));
        Ok(Some(Done { position, recorded_at, facts: Vec::new(), repeated: true }))
    }

    /// The state of something as it is now.
    ///
    /// # Errors
    /// If the log fails or cannot be read.
    pub async fn load<A: Aggregate>(
        &self,
        organization: OrganizationId,
        id: A::Id,
    ) -> Result<(A, Version), ExecuteError> {
        self.look::<A>(&stream_of::<A>(organization, id)?, false).await
    }

    /// A state, from memory if it may be older than the log.
    ///
    /// # Errors
    /// As [`Executor::load`].
    pub async fn look<A: Aggregate>(&self, stream: &StreamId, may_be_old: bool) -> Result<(A, Version), ExecuteError> {
        let kept = self.refreshed::<A>(stream, may_be_old).await?;
        let state = kept.state.downcast_ref::<A>().cloned().unwrap_or_default();
        Ok((state, kept.version))
    }

    /// Records what was decided, or in a dry run only lets the log judge it. `None`: somebody was faster, decide again.
    async fn append(&self, work: &Work<'_>, request: &Request) -> Result<Option<Appended>, ExecuteError> {
        let SealedEvents { events, keys } = self.vault.seal(request.organization, work.facts(), &request.meta).await?;
        let mut append = Append::new(request.organization, events);
        append.founding = request.founding;
        append.is_trial = request.dry_run;
        append.expected = request.expected.iter().cloned().chain(work.read_versions()).collect();
        append.guards = work.guards();
        append.once.clone_from(&request.once);
        append.person_keys = keys;
        if !append.events.is_empty() {
            append.secrets.clone_from(&request.secrets);
        }
        match self.log.append(append).await {
            Ok(appended) => Ok(Some(appended)),
            Err(AppendError::Conflict { stream, .. }) if request.expected.iter().any(|it| it.stream == stream) => {
                Err(ExecuteError::Outdated(stream))
            }
            Err(AppendError::Conflict { .. }) => Ok(None),
            Err(AppendError::PersonKeyExists(id)) => {
                self.vault.forget(&id);
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Whether everything that was read is still as it was read.
    async fn still_holds(&self, work: &Work<'_>, request: &Request) -> Result<bool, ExecuteError> {
        let read: Vec<Expected> = work.read_versions().collect();
        let streams: Vec<StreamId> = request.expected.iter().chain(&read).map(|it| it.stream.clone()).collect();
        let versions = self.log.versions(&streams).await?;
        let (asked, own) = versions.split_at(request.expected.len());
        if let Some((outdated, _)) = request.expected.iter().zip(asked).find(|(it, actual)| it.version != **actual) {
            return Err(ExecuteError::Outdated(outdated.stream.clone()));
        }
        Ok(read.iter().zip(own).all(|(it, actual)| it.version == *actual))
    }

    /// Keeps the new states: only what was acknowledged.
    fn done(&self, work: Work<'_>, appended: Appended) -> Done {
        let facts = if appended.repeated { Vec::new() } else { work.keep(&appended.events) };
        let Appended { position, recorded_at, repeated, .. } = appended;
        Done { position: Some(position), recorded_at: Some(recorded_at), facts, repeated }
    }

    /// The state that is kept, if it may be older than the log, or else brought up to now.
    async fn refreshed<A: Aggregate>(&self, stream: &StreamId, may_be_old: bool) -> Result<Kept, ExecuteError> {
        let kept = self.kept.get(stream);
        if let Some(kept) = kept.clone().filter(|_| may_be_old) {
            return Ok(kept);
        }
        let known = kept.and_then(|kept| Some((kept.state.downcast_ref::<A>()?.clone(), kept.version)));
        let (mut state, mut version) = known.unwrap_or_default();
        loop {
            let events = self.log.read_stream(stream, version, 1_000).await?;
            let Some(last) = events.last() else { break };
            version = last.version;
            for fact in self.vault.facts(&events).await? {
                let event = A::Event::try_from(fact).map_err(|_| ExecuteError::ForeignEvent(stream.clone()))?;
                state.evolve(&event);
            }
        }
        let kept = Kept { version, state: Arc::new(state) };
        // What does not exist is not remembered: strangers could fill the memory with it.
        if version > Version::NONE {
            self.kept.insert(stream.clone(), kept.clone());
        }
        Ok(kept)
    }
}

/// The stream of one thing.
///
/// # Errors
/// If its id makes no name of a stream.
pub fn stream_of<A: Aggregate>(organization: OrganizationId, id: A::Id) -> Result<StreamId, ExecuteError> {
    StreamId::new(organization, format!("{}-{id}", A::CATEGORY)).map_err(ExecuteError::from)
}

/// So that those who were too slow do not meet again.
async fn pause(attempt: u32) {
    let longest = PAUSE * (1 << attempt.min(6));
    let share = f64::from(uuid::Uuid::now_v7().as_u64_pair().1 as u16) / f64::from(u16::MAX);
    tokio::time::sleep(longest.mul_f64(share)).await;
}
