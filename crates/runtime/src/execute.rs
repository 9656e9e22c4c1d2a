//! Command execution: load the streams, decide, append with optimistic concurrency.
//!
//! | file | what it owns |
//! |---|---|
//! | `work.rs` | unit of work: the decisions of one request, the state they read, the events they yield |
//! | `error.rs` | why a request was not executed |
//!
//! Aggregates are cached in memory with their versions, but no result relies on the cache alone: an append, also one of
//! a dry run, checks the versions under the partition's lock; a rejection or a decision without events confirms them
//! first.

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

/// Capacity of the aggregate cache.
const CACHED_AGGREGATES: usize = 100_000;
/// Maximum attempts after version conflicts.
const ATTEMPTS: u32 = 10;
/// Upper bound of the pause before the second attempt; doubles with each further one.
const PAUSE: Duration = Duration::from_millis(2);

/// What every request to an organization must satisfy beyond the rules of the aggregates.
#[async_trait]
pub trait Precondition: Send + Sync {
    /// Checks it on state loaded by [`UnitOfWork::read`], whose versions the append then expects.
    ///
    /// # Errors
    /// If the request is rejected, or on failure.
    async fn check(&self, request: &Request, work: &mut UnitOfWork<'_>) -> Result<(), Stop>;
}

/// Executes commands.
pub struct Executor {
    log: Arc<dyn Database>,
    vault: Arc<Vault>,
    precondition: Arc<dyn Precondition>,
    cache: Cache<StreamId, CachedAggregate>,
}

/// The context and conditions under which commands are executed.
#[derive(Debug, Clone)]
pub struct Request {
    /// The organization whose aggregates are changed.
    pub organization: OrganizationId,
    /// Who requests it, and from where.
    pub meta: Meta,
    /// What the organization's status must allow. Not checked for the platform organization or for one being created.
    pub capability: Capability,
    /// Whether the request creates the organization.
    pub creates_organization: bool,
    /// Versions that the caller relied on: their own account, and the aggregate that they want to change.
    pub expected: Vec<Expected>,
    /// Upper limits of counters, by counter.
    pub limits: Vec<(&'static str, i64)>,
    /// Secrets to store if the commands yield events.
    pub secrets: Vec<NewSecret>,
    /// Makes retries idempotent.
    pub idempotency_key: Option<IdempotencyKey>,
    /// Dry run: validate, record nothing.
    pub dry_run: bool,
}

impl Request {
    /// A request on behalf of an organization, without further conditions.
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

    /// Requires another capability.
    #[must_use]
    pub fn needing(mut self, capability: Capability) -> Self {
        self.capability = capability;
        self
    }

    /// Lets the request create the organization.
    #[must_use]
    pub fn creates_organization(mut self) -> Self {
        self.creates_organization = true;
        self
    }
}

/// The result of a request or of a dry run.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The position a read model must reach to reflect it; `None` if nothing was recorded.
    pub position: Option<Position>,
    /// When it was recorded.
    pub recorded_at: Option<Timestamp>,
    /// The events. Empty if the commands had already taken effect, or for a repeated request.
    pub events: Vec<OutcomeEvent>,
    /// Whether the same request was executed before.
    pub repeated: bool,
}

/// An event of an [`Outcome`].
#[derive(Debug, Clone, PartialEq)]
pub struct OutcomeEvent {
    /// The stream it was appended to.
    pub stream: StreamId,
    /// The version of the stream after it.
    pub version: Version,
    /// The event type.
    pub event_type: EventType,
    /// The event.
    pub event: DomainEvent,
}

/// Commands executed atomically and in order; each sees the changes of the ones before it.
#[derive(Default)]
pub struct Commands(Vec<Box<dyn Decide>>);

impl Commands {
    /// No commands.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a command.
    #[must_use]
    pub fn on<A: Registered>(mut self, id: A::Id, command: A::Command) -> Self {
        self.0.push(Box::new(AggregateCommand::<A> { id, command, is_new: false }));
        self
    }

    /// Adds a command that creates an aggregate under a new id: the first attempt does not read its stream. If it
    /// exists after all, the append conflicts, and the next attempt loads it.
    #[must_use]
    pub fn on_new<A: Registered>(mut self, id: A::Id, command: A::Command) -> Self {
        self.0.push(Box::new(AggregateCommand::<A> { id, command, is_new: true }));
        self
    }
}

impl Executor {
    /// An executor on this log.
    pub fn new(log: Arc<dyn Database>, vault: Arc<Vault>, precondition: Arc<dyn Precondition>) -> Self {
        Self { log, vault, precondition, cache: Cache::new(CACHED_AGGREGATES) }
    }

    /// Executes one command.
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

    /// Executes commands atomically.
    ///
    /// # Errors
    /// If nothing was recorded; after [`ExecuteError::OutcomeUnknown`] it may have been.
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

    /// The result of a request that was executed before, even if it would be rejected now.
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

    /// The current state of an aggregate.
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

    /// The state of an aggregate, from the cache if it may be stale.
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

    /// Appends the decided events, or in a dry run only validates the append. `None`: version conflict, decide again.
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
                Err(ExecuteError::Constraint(violation, Box::new(rejected)))
            }
            Err(AppendError::PersonKeyExists(id)) => {
                self.vault.forget(&id);
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Whether all streams are still at the versions at which they were read.
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

    /// Caches the new states once the append was acknowledged.
    fn done(&self, work: UnitOfWork<'_>, appended: Appended) -> Outcome {
        let events = if appended.repeated { Vec::new() } else { work.cache(&appended.events) };
        let Appended { position, recorded_at, repeated, .. } = appended;
        Outcome { position: Some(position), recorded_at: Some(recorded_at), events, repeated }
    }

    /// The cached state if it may be stale, otherwise the cached state caught up with the log.
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
        // Nonexistent streams are not cached: unauthenticated callers could fill the cache with them.
        if version > Version::NONE {
            self.cache.insert(stream.clone(), cached.clone());
        }
        Ok(cached)
    }
}

/// The stream of an aggregate.
///
/// # Errors
/// If the id does not yield a valid stream name.
pub fn stream_of<A: Registered>(organization: OrganizationId, id: A::Id) -> Result<StreamId, ExecuteError> {
    StreamId::new(organization, format!("{}-{id}", A::CATEGORY)).map_err(ExecuteError::from)
}

/// Exponential back-off with jitter.
async fn pause(attempt: u32) {
    let longest = PAUSE * (1 << attempt.min(6));
    let share = f64::from(uuid::Uuid::now_v7().as_u64_pair().1 as u16) / f64::from(u16::MAX);
    tokio::time::sleep(longest.mul_f64(share)).await;
}
