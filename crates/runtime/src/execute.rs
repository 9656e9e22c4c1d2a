//! Command execution: load the streams, decide, append with optimistic concurrency.
//!
//! | file | what it owns |
//! |---|---|
//! | `tx.rs` | one attempt of a unit of work: the state it reads, the events it decides |
//! | `run.rs` | the attempts of a unit of work: append or confirm, retry after conflicts |
//! | `cache.rs` | aggregates in memory |
//! | `hot.rs` | queues for streams with frequent conflicts |
//! | `error.rs` | why a request was not executed |
//!
//! Aggregates are cached in memory with their versions, but no result relies on the cache alone: an append checks the
//! versions under the partition's lock; an error, a dry run or a decision without events is returned only after the
//! versions were confirmed.

mod cache;
mod error;
mod hot;
mod run;
mod tx;

use std::{future::Future, sync::Arc};

use async_trait::async_trait;
use jiff::Timestamp;
use porttask_domain::{Capability, DomainEvent, Meta, OrganizationId, Registered};

use self::{
    cache::{AggregateCache, CachedAggregate},
    hot::HotStreams,
    run::Run,
};
pub use self::{
    error::{ExecuteError, Rejected},
    tx::Tx,
};
use crate::{
    clock::Clock,
    ledger::Database,
    log::{EventType, IdempotencyKey, PAGE_BYTES, Position, StreamId, Version},
    vault::Vault,
};

/// Events of a stream that are read at a time.
const PAGE: usize = 1_000;

/// What every request to an organization must satisfy beyond the rules of the aggregates.
#[async_trait]
pub trait Precondition: Send + Sync {
    /// Checks it on state loaded by [`Tx::read`], whose versions the append then expects.
    ///
    /// # Errors
    /// If the request is rejected, or on failure.
    async fn check(&self, request: &Request, tx: &Tx) -> Result<(), ExecuteError>;
}

/// Executes commands.
pub struct Executor {
    log: Arc<dyn Database>,
    vault: Arc<Vault>,
    precondition: Arc<dyn Precondition>,
    clock: Arc<Clock>,
    cache: AggregateCache,
    hot: HotStreams,
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
    /// Whether it is refused while the subscription of the organization is read-only.
    pub needs_subscription: bool,
    /// Whether the request creates the organization.
    pub creates_organization: bool,
    /// Makes retries idempotent.
    pub idempotency_key: Option<IdempotencyKey>,
    /// Dry run: validate, record nothing.
    pub dry_run: bool,
    /// What new ids derive from, so that a repetition meets what is there; `None`: random ones.
    pub ids_from: Option<Vec<u8>>,
}

impl Request {
    /// A request on behalf of an organization, without further conditions.
    pub fn new(organization: OrganizationId, meta: Meta) -> Self {
        Self {
            organization,
            meta,
            capability: Capability::Use,
            needs_subscription: false,
            creates_organization: false,
            idempotency_key: None,
            dry_run: false,
            ids_from: None,
        }
    }

    /// Requires another capability.
    #[must_use]
    pub fn needing(mut self, capability: Capability) -> Self {
        self.capability = capability;
        self
    }

    /// Refuses it while the subscription of the organization is read-only.
    #[must_use]
    pub fn needing_subscription(mut self, needs_subscription: bool) -> Self {
        self.needs_subscription = needs_subscription;
        self
    }

    /// Lets the request create the organization.
    #[must_use]
    pub fn creates_organization(mut self) -> Self {
        self.creates_organization = true;
        self
    }

    /// Derives new ids from this.
    #[must_use]
    pub fn deriving_ids(mut self, ids_from: Vec<u8>) -> Self {
        self.ids_from = Some(ids_from);
        self
    }
}

/// The result of a request or of a dry run.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome<T = ()> {
    /// What the unit of work returned; `None` for a repeated request.
    pub value: Option<T>,
    /// The position a read model must reach to reflect it; `None` if nothing was recorded.
    pub position: Option<Position>,
    /// When it was recorded.
    pub recorded_at: Option<Timestamp>,
    /// The events. Empty if the commands had already taken effect, or for a repeated request.
    pub events: Vec<OutcomeEvent>,
    /// Whether the same request was executed before.
    pub repeated: bool,
}

impl<T> Outcome<T> {
    /// The outcome with another value.
    pub fn map<U>(self, map: impl FnOnce(T) -> U) -> Outcome<U> {
        let Self { value, position, recorded_at, events, repeated } = self;
        Outcome { value: value.map(map), position, recorded_at, events, repeated }
    }
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

impl Executor {
    /// An executor on this log.
    pub fn new(
        log: Arc<dyn Database>,
        vault: Arc<Vault>,
        precondition: Arc<dyn Precondition>,
        clock: Arc<Clock>,
    ) -> Arc<Self> {
        Arc::new(Self { log, vault, precondition, clock, cache: AggregateCache::default(), hot: HotStreams::default() })
    }

    /// The log and the ledger.
    pub fn database(&self) -> &Arc<dyn Database> {
        &self.log
    }

    /// The clock.
    pub fn clock(&self) -> &Arc<Clock> {
        &self.clock
    }

    /// Executes a unit of work: runs `body`, and appends the events that it decided, if nothing that it read has changed
    /// meanwhile; otherwise runs it again. `body` must have no effects of its own. An error of `body` is returned only if
    /// it is based on current state.
    ///
    /// The body takes the transaction by value, because rustc cannot prove the futures of closures that borrow it to be
    /// `Send` (rust-lang/rust#102211).
    ///
    /// # Errors
    /// Of `body`; or if nothing was recorded. After [`ExecuteError::OutcomeUnknown`] it may have been.
    pub async fn transact<T, E, F>(self: &Arc<Self>, request: &Request, body: impl Fn(Tx) -> F) -> Result<Outcome<T>, E>
    where
        E: From<ExecuteError>,
        F: Future<Output = Result<T, E>>,
    {
        let mut run = Run::new(Arc::clone(self), request);
        if let Some(repeated) = run.repeated().await? {
            return Ok(repeated);
        }
        loop {
            let tx = run.attempt().await?;
            let decided = match self.precondition.check(request, &tx).await {
                Ok(()) => body(tx.clone()).await,
                Err(error) => Err(error.into()),
            };
            match decided {
                Ok(value) => {
                    if let Some(outcome) = run.finish(&tx).await? {
                        return Ok(outcome.map(|()| value));
                    }
                }
                Err(error) => {
                    if run.still_holds(&tx).await? {
                        return Err(error);
                    }
                }
            }
        }
    }

    /// Executes one command.
    ///
    /// # Errors
    /// As [`Executor::transact`].
    pub async fn execute<A: Registered>(
        self: &Arc<Self>,
        id: A::Id,
        command: A::Command,
        request: &Request,
    ) -> Result<Outcome, ExecuteError> {
        let command = &command;
        self.transact(request, move |tx| async move { tx.decide::<A>(id, command).await }).await
    }

    /// Reads consistently: like [`Executor::transact`] without a precondition, and without events.
    ///
    /// # Errors
    /// Of `body`; or if the log fails or the state changes all the time.
    pub async fn snapshot<T, E, F>(
        self: &Arc<Self>,
        organization: OrganizationId,
        body: impl Fn(Tx) -> F,
    ) -> Result<T, E>
    where
        E: From<ExecuteError>,
        F: Future<Output = Result<T, E>>,
    {
        let request = Request::new(organization, Meta::by(porttask_domain::Actor::System));
        let mut run = Run::reading(Arc::clone(self), request);
        loop {
            let tx = run.attempt().await?;
            let read = body(tx.clone()).await;
            if run.still_holds(&tx).await? {
                return read;
            }
        }
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
        let cached = self.refreshed::<A>(&stream_of::<A>(organization, id)?).await?;
        Ok((cached.state::<A>(), cached.version))
    }

    /// The state of an aggregate at a version: what it was when the event of that version was recorded.
    ///
    /// # Errors
    /// If the log fails or cannot be read.
    pub async fn load_at<A: Registered>(
        &self,
        organization: OrganizationId,
        id: A::Id,
        version: Version,
    ) -> Result<A, ExecuteError> {
        let (stream, mut state, mut at) = (stream_of::<A>(organization, id)?, A::default(), Version::NONE);
        while at < version {
            let mut events = self.log.read_stream(&stream, at, PAGE).await?;
            events.retain(|event| event.version <= version);
            let Some(last) = events.last() else { break };
            at = last.version;
            for domain_event in self.vault.domain_events(&events).await? {
                let event = A::Event::try_from(domain_event).map_err(|_| ExecuteError::ForeignEvent(stream.clone()))?;
                state.evolve(&event);
            }
        }
        Ok(state)
    }

    /// The state of an aggregate, caught up with the log.
    async fn refreshed<A: Registered>(&self, stream: &StreamId) -> Result<CachedAggregate, ExecuteError> {
        let cached = self.cache.get(stream).filter(CachedAggregate::is::<A>);
        let (mut state, mut version) = cached.map(|it| (it.state::<A>(), it.version)).unwrap_or_default();
        loop {
            let events = self.log.read_stream(stream, version, PAGE).await?;
            let Some(last) = events.last() else { break };
            version = last.version;
            for domain_event in self.vault.domain_events(&events).await? {
                let event = A::Event::try_from(domain_event).map_err(|_| ExecuteError::ForeignEvent(stream.clone()))?;
                state.evolve(&event);
            }
            let bytes: usize = events.iter().map(|event| event.data.len() + event.meta.len()).sum();
            if events.len() < PAGE && bytes < PAGE_BYTES {
                break;
            }
        }
        let cached = CachedAggregate::new(version, state);
        self.cache.advance(stream, &cached);
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
