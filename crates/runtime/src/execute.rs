//! The way of a command: load the streams that the decision reads, decide, append with the versions read.
//!
//! | file | what it owns |
//! |---|---|
//! | `work.rs` | the decisions of one request, and what they read and found |
//! | `error.rs` | why nothing was done |
//!
//! Aggregates are cached in memory with their versions, and nothing is answered from memory alone: an append checks the
//! versions under the partition's lock, also that of a dry run, which writes nothing; a refusal and a decision without events
//! confirm them first.

mod error;
mod work;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use porttask_domain::{Capability, DomainEvent, Meta, OrganizationId, Registered};
use quick_cache::sync::Cache;

pub use self::error::{ExecuteError, Rejected};
use self::work::{AggregateCommand, CachedAggregate, Decide};
pub use self::work::{Stop, UnitOfWork};
use crate::{
    ledger::Database,
    log::{
        Append, AppendError, Appended, EventType, Expected, IdempotencyKey, NewSecret, Position, StreamId, Version,
        admission::IdempotencyRecordKey,
    },
    vault::{SealedEvents, Vault},
};

/// How many aggregates are cached in memory.
const CACHED_AGGREGATES: usize = 100_000;
/// How often a decision is made anew because somebody else was faster.
const ATTEMPTS: u32 = 10;
/// The longest pause before the second attempt; it doubles with every further one.
const PAUSE: Duration = Duration::from_millis(2);

/// What must load for every request to an organization, beside the rules of the aggregates.
#[async_trait]
pub trait Precondition: Send + Sync {
    /// Checks it, by states that [`UnitOfWork::read`] loads: their versions join those that the append expects.
    ///
    /// # Errors
    /// Why the request is refused, or a failure.
    async fn check(&self, request: &Request, work: &mut UnitOfWork<'_>) -> Result<(), Stop>;
}

/// Carries out commands.
pub struct Executor {
    log: Arc<dyn Database>,
    vault: Arc<Vault>,
    precondition: Arc<dyn Precondition>,
    cache: Cache<StreamId, CachedAggregate>,
}

/// For whom and under what conditions something is done.
#[derive(Debug, Clone)]
pub struct Request {
    /// Where it is done.
    pub organization: OrganizationId,
    /// Who does it, and from where.
    pub meta: Meta,
    /// What the organization's status must allow. Not asked of the platform's organization, nor of one that is founded.
    pub capability: Capability,
    /// Whether the organization comes into being by it.
    pub creates_organization: bool,
    /// What must still be as the caller saw it: who they are, and which version they want to change.
    pub expected: Vec<Expected>,
    /// How high counts may rise, by what is counted.
    pub limits: Vec<(&'static str, i64)>,
    /// The secrets that are given out if anything happens.
    pub secrets: Vec<NewSecret>,
    /// Makes a repetition harmless.
    pub idempotency_key: Option<IdempotencyKey>,
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
            creates_organization: false,
            expected: Vec::new(),
            limits: Vec::new(),
            secrets: Vec::new(),
            idempotency_key: None,
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
    pub fn creates_organization(mut self) -> Self {
        self.creates_organization = true;
        self
    }
}

/// What was done, or would be.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Up to where a view must have read to show it; `None` if nothing was recorded.
    pub position: Option<Position>,
    /// When it was recorded.
    pub recorded_at: Option<Timestamp>,
    /// What happened. Empty if the command had taken effect before, and for a repetition.
    pub events: Vec<OutcomeEvent>,
    /// The same request was carried out before.
    pub repeated: bool,
}

/// An event of an outcome.
#[derive(Debug, Clone, PartialEq)]
pub struct OutcomeEvent {
    /// What it happened to.
    pub stream: StreamId,
    /// The version of the stream after it.
    pub version: Version,
    /// Its versioned name.
    pub event_type: EventType,
    /// What happened.
    pub event: DomainEvent,
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
    pub fn on<A: Registered>(mut self, id: A::Id, command: A::Command) -> Self {
        self.0.push(Box::new(AggregateCommand::<A> { id, command, is_new: false }));
        self
    }

    /// The same commands, and then this one for something that is made by it, under an id that nothing had: what is not
    /// there is not read. Something that is there nevertheless is met as it is.
    #[must_use]
    pub fn on_new<A: Registered>(mut self, id: A::Id, command: A::Command) -> Self {
        self.0.push(Box::new(AggregateCommand::<A> { id, command, is_new: true }));
        self
    }
}

impl Executor {
    /// Carries out commands on this log.
    pub fn new(log: Arc<dyn Database>, vault: Arc<Vault>, precondition: Arc<dyn Precondition>) -> Self {
        Self { log, vault, precondition, cache: Cache::new(CACHED_AGGREGATES) }
    }

    /// Carries out one command.
    ///
    /// # Errors
    /// As [`Executor::execute_all`].
    pub async fn execute<A: Registered>(
        &self,
        id: A::Id,
        command: A::Command,
        request: &Request,
    ) -> Result<Outcome, ExecuteError> {
        self.execute_all(&Commands::new().on::<A>(id, command), request).await
    }

    /// Carries out commands, all or none.
    ///
    /// # Errors
    /// Why nothing was done; after [`ExecuteError::OutcomeUnknown`] it may have been.
    pub async fn execute_all(&self, commands: &Commands, request: &Request) -> Result<Outcome, ExecuteError> {
        if let Some(repeated) = self.repeated(request).await? {
            return Ok(repeated);
        }
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                pause(attempt).await;
            }
            let mut work = UnitOfWork::new(self, request, attempt == 0);
            let decided = work.decide(&commands.0).await;
            let is_settled = match &decided {
                Ok(()) => work.events().is_empty() && (request.dry_run || request.idempotency_key.is_none()),
                Err(Stop::Rejected(_)) => true,
                Err(Stop::Failed(_)) => false,
            };
            if is_settled && !self.still_holds(&work, request).await? {
                continue;
            }
            match decided {
                Err(Stop::Rejected(rejected)) => return Err(ExecuteError::Rejected(rejected)),
                Err(Stop::Failed(error)) => return Err(error),
                Ok(()) if is_settled => return Ok(work.not_recorded()),
                Ok(()) => {}
            }
            if let Some(appended) = self.append(&mut work, request).await? {
                let is_done = !request.dry_run || appended.repeated;
                return Ok(if is_done { self.done(work, appended) } else { work.not_recorded() });
            }
        }
        Err(ExecuteError::Contended)
    }

    /// The answer to a request that was carried out before: also to one that would be refused as things stand now.
    async fn repeated(&self, request: &Request) -> Result<Option<Outcome>, ExecuteError> {
        let Some(idempotency_key) = &request.idempotency_key else { return Ok(None) };
        let Some(record) =
            self.log.idempotency_record(&IdempotencyRecordKey::of(request.organization, idempotency_key)).await?
        else {
            return Ok(None);
        };
        if record.request_hash != idempotency_key.request_hash {
            return Err(ExecuteError::AnotherRequest);
        }
        let (position, recorded_at) = (Some(record.position), Some(record.recorded_at));
        Ok(Some(Outcome { position, recorded_at, events: Vec::new(), repeated: true }))
    }

    /// The state of something as it is now.
    ///
    /// # Errors
    /// If the log fails or cannot be read.
    pub async fn load<A: Registered>(
        &self,
        organization: OrganizationId,
        id: A::Id,
    ) -> Result<(A, Version), ExecuteError> {
        self.load_cached::<A>(&stream_of::<A>(organization, id)?, false).await
    }

    /// A state, from memory if it may be older than the log.
    ///
    /// # Errors
    /// As [`Executor::load`].
    pub async fn load_cached<A: Registered>(
        &self,
        stream: &StreamId,
        may_be_old: bool,
    ) -> Result<(A, Version), ExecuteError> {
        let cached = self.refreshed::<A>(stream, may_be_old).await?;
        let state = cached.state.downcast_ref::<A>().cloned().unwrap_or_default();
        Ok((state, cached.version))
    }

    /// Records what was decided, or in a dry run only lets the log judge it. `None`: somebody was faster, decide again.
    async fn append(&self, work: &mut UnitOfWork<'_>, request: &Request) -> Result<Option<Appended>, ExecuteError> {
        let SealedEvents { events, keys } = self.vault.seal(request.organization, work.events(), &request.meta).await?;
        work.event_types = events.iter().map(|event| event.event_type.clone()).collect();
        let mut append = Append::new(request.organization, events);
        append.creates_organization = request.creates_organization;
        append.dry_run = request.dry_run;
        append.expected = request.expected.iter().cloned().chain(work.read_versions()).collect();
        append.constraints = work.constraints();
        append.idempotency_key.clone_from(&request.idempotency_key);
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
            Err(AppendError::Constraint(violation)) => {
                let rejected = work.rejection_of(&violation);
                Err(ExecuteError::Constraint(violation, rejected))
            }
            Err(AppendError::PersonKeyExists(id)) => {
                self.vault.forget(&id);
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Whether everything that was read is still as it was read.
    async fn still_holds(&self, work: &UnitOfWork<'_>, request: &Request) -> Result<bool, ExecuteError> {
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
    fn done(&self, work: UnitOfWork<'_>, appended: Appended) -> Outcome {
        let events = if appended.repeated { Vec::new() } else { work.cache(&appended.events) };
        let Appended { position, recorded_at, repeated, .. } = appended;
        Outcome { position: Some(position), recorded_at: Some(recorded_at), events, repeated }
    }

    /// The state that is cached, if it may be older than the log, or else brought up to now.
    async fn refreshed<A: Registered>(
        &self,
        stream: &StreamId,
        may_be_old: bool,
    ) -> Result<CachedAggregate, ExecuteError> {
        let cached = self.cache.get(stream);
        if let Some(cached) = cached.clone().filter(|_| may_be_old) {
            return Ok(cached);
        }
        let known = cached.and_then(|cached| Some((cached.state.downcast_ref::<A>()?.clone(), cached.version)));
        let (mut state, mut version) = known.unwrap_or_default();
        loop {
            let events = self.log.read_stream(stream, version, 1_000).await?;
            let Some(last) = events.last() else { break };
            version = last.version;
            for domain_event in self.vault.domain_events(&events).await? {
                let event = A::Event::try_from(domain_event).map_err(|_| ExecuteError::ForeignEvent(stream.clone()))?;
                state.evolve(&event);
            }
        }
        let cached = CachedAggregate { version, state: Arc::new(state) };
        // What does not exist is not remembered: strangers could fill the memory with it.
        if version > Version::NONE {
            self.cache.insert(stream.clone(), cached.clone());
        }
        Ok(cached)
    }
}

/// The stream of one thing.
///
/// # Errors
/// If its id makes no name of a stream.
pub fn stream_of<A: Registered>(organization: OrganizationId, id: A::Id) -> Result<StreamId, ExecuteError> {
    StreamId::new(organization, format!("{}-{id}", A::CATEGORY)).map_err(ExecuteError::from)
}

/// So that those who were too slow do not meet again.
async fn pause(attempt: u32) {
    let longest = PAUSE * (1 << attempt.min(6));
    let share = f64::from(uuid::Uuid::now_v7().as_u64_pair().1 as u16) / f64::from(u16::MAX);
    tokio::time::sleep(longest.mul_f64(share)).await;
}
