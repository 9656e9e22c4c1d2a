//! One attempt of a unit of work: the state it reads, the events it decides.

use std::{
    borrow::Cow,
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use porttask_domain::{Constraint, DomainEvent, Meta, OrganizationId, Registered};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{
    CachedAggregate, ExecuteError, Executor, Request,
    hot::{Pending, Turn},
    stream_of,
};
use crate::log::{Expected, NewSecret, StreamId, Version};

/// What all attempts of a unit of work have in common.
pub(super) struct Shared {
    pub(super) executor: Arc<Executor>,
    pub(super) request: Request,
    /// The time of the command.
    pub(super) now: Timestamp,
    /// The ids that the attempts have asked for, in order.
    ids: Mutex<Vec<Uuid>>,
    /// Whether it only reads, and so need not wait for others that change what it reads.
    only_reads: bool,
    /// The place in the queue of a stream with frequent conflicts.
    pub(super) turn: Mutex<Option<Turn>>,
}

impl Shared {
    pub(super) fn new(executor: Arc<Executor>, request: Request, only_reads: bool) -> Self {
        let now = executor.clock.now();
        Self { executor, request, now, ids: Mutex::default(), only_reads, turn: Mutex::default() }
    }

    /// The metadata of the events: with the time of the command, unless it is that of recording anyway.
    pub(super) fn meta(&self) -> Cow<'_, Meta> {
        let meta = &self.request.meta;
        if meta.occurred_at.is_none() && self.executor.clock.occurred_at().is_some() {
            Cow::Owned(Meta { occurred_at: Some(self.now), ..meta.clone() })
        } else {
            Cow::Borrowed(meta)
        }
    }
}

/// How a decision relies on a stream that it read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reliance {
    /// The append expects the version, under the partition's lock.
    Joined,
    /// The version was current at some time after the unit of work began.
    Confirmed,
}

/// A stream that this attempt has read.
struct Loaded {
    read: Version,
    /// Including the effects of the events that were decided.
    aggregate: CachedAggregate,
    reliance: Reliance,
    /// Whether it was read from the log during this attempt, and not from the cache.
    is_fresh: bool,
}

/// What an attempt has read and decided.
#[derive(Default)]
pub(super) struct State {
    loaded: HashMap<StreamId, Loaded>,
    ids_taken: usize,
    pub(super) required: Vec<Expected>,
    pub(super) events: Vec<(StreamId, DomainEvent)>,
    pub(super) constraints: Vec<(OrganizationId, String, Constraint)>,
    pub(super) limits: Vec<(&'static str, i64)>,
    pub(super) secrets: Vec<NewSecret>,
    /// The append that the decision relies on, and that may still fail.
    pub(super) after: Option<Pending>,
}

/// Which cached states an attempt does not use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stale {
    Nothing,
    /// That of the stream about which the attempt before conflicted.
    Stream(StreamId),
    Anything,
}

/// One attempt of a unit of work. Clones share it.
#[derive(Clone)]
pub struct Tx {
    pub(super) shared: Arc<Shared>,
    stale: Stale,
    state: Arc<Mutex<State>>,
}

impl Tx {
    pub(super) fn new(shared: Arc<Shared>, stale: Stale) -> Self {
        Self { shared, stale, state: Arc::default() }
    }

    /// The time of the command: the same in every attempt.
    pub fn now(&self) -> Timestamp {
        self.shared.now
    }

    /// A new id. A later attempt gets the same ones in the same order.
    pub fn new_id<T: From<Uuid>>(&self) -> T {
        let mut ids = self.shared.ids.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.state();
        let place = state.ids_taken;
        state.ids_taken += 1;
        if place == ids.len() {
            ids.push(match &self.request().ids_from {
                None => Uuid::now_v7(),
                Some(seed) => {
                    let hash = Sha256::new().chain_update(seed).chain_update((place as u64).to_be_bytes()).finalize();
                    Uuid::new_v8(hash.first_chunk().copied().unwrap_or_default())
                }
            });
        }
        ids[place].into()
    }

    /// The request.
    pub fn request(&self) -> &Request {
        &self.shared.request
    }

    /// The state of an aggregate of the request's organization, including the events that were decided. The append
    /// expects its version.
    ///
    /// # Errors
    /// If the log fails or cannot be read.
    pub async fn read<A: Registered>(&self, id: A::Id) -> Result<A, ExecuteError> {
        self.load(stream_of::<A>(self.request().organization, id)?, Reliance::Joined).await
    }

    /// The state of an aggregate of the request's organization or of the platform; for requests of the platform, of any
    /// organization. The append expects the version of a stream of the platform only if it writes to the platform anyway.
    /// Otherwise the version is confirmed to be current at some time after the command began, without a lock: so a
    /// decision on a stream that others confirm must not read a tenant's.
    ///
    /// # Errors
    /// If the log fails or cannot be read, or the aggregate belongs to another tenant.
    pub async fn read_in<A: Registered>(&self, organization: OrganizationId, id: A::Id) -> Result<A, ExecuteError> {
        let (stream, own) = (stream_of::<A>(organization, id)?, self.request().organization);
        match organization {
            _ if organization == own => self.load(stream, Reliance::Joined).await,
            _ if [own, organization].contains(&OrganizationId::PLATFORM) => {
                self.load(stream, Reliance::Confirmed).await
            }
            _ => Err(ExecuteError::Malformed(format!("a decision of {own} reads {stream}"))),
        }
    }

    /// The state of an aggregate of any organization. The append expects its version, so that it is made under the locks
    /// of both partitions: for the caller's own session, key and user.
    ///
    /// # Errors
    /// If the log fails or cannot be read.
    pub async fn join<A: Registered>(&self, organization: OrganizationId, id: A::Id) -> Result<A, ExecuteError> {
        self.load(stream_of::<A>(organization, id)?, Reliance::Joined).await
    }

    /// Requires the caller's version of a stream: another version ends the unit of work with [`ExecuteError::Outdated`].
    pub fn require(&self, stream: StreamId, version: Version) {
        self.state().required.push(Expected { stream, version });
    }

    /// Decides a command on an aggregate of the request's organization.
    ///
    /// # Errors
    /// If a rule rejects it, or the log fails.
    pub async fn decide<A: Registered>(&self, id: A::Id, command: &A::Command) -> Result<(), ExecuteError> {
        self.decide_in::<A>(self.request().organization, id, command).await
    }

    /// Decides commands on an aggregate in order; each sees the changes of the ones before it.
    ///
    /// # Errors
    /// As [`Tx::decide`].
    pub async fn decide_all<A: Registered>(&self, id: A::Id, commands: &[A::Command]) -> Result<(), ExecuteError> {
        for command in commands {
            self.decide::<A>(id, command).await?;
        }
        Ok(())
    }

    /// Decides a command that creates an aggregate under a new id: the first attempt does not read its stream. If it
    /// exists after all, the append conflicts, and the next attempt reads it.
    ///
    /// # Errors
    /// As [`Tx::decide`].
    pub async fn decide_new<A: Registered>(&self, id: A::Id, command: &A::Command) -> Result<(), ExecuteError> {
        let stream = stream_of::<A>(self.request().organization, id)?;
        if self.stale == Stale::Nothing {
            let aggregate = CachedAggregate::new(Version::NONE, A::default());
            let new = Loaded { read: Version::NONE, aggregate, reliance: Reliance::Joined, is_fresh: false };
            self.state().loaded.entry(stream).or_insert(new);
        }
        self.decide::<A>(id, command).await
    }

    /// Decides a command on an aggregate of the request's organization or of the platform.
    ///
    /// # Errors
    /// As [`Tx::decide`].
    pub async fn decide_in<A: Registered>(
        &self,
        organization: OrganizationId,
        id: A::Id,
        command: &A::Command,
    ) -> Result<(), ExecuteError> {
        let mut aggregate: A = self.read_in(organization, id).await?;
        let stream = stream_of::<A>(organization, id)?;
        let events = aggregate.decide(command).map_err(|rejection| ExecuteError::Rejected(rejection.into()))?;
        let mut state = self.state();
        for event in events {
            let constraints = aggregate.constraints(&event);
            state.constraints.extend(constraints.into_iter().map(|it| (organization, id.to_string(), it)));
            aggregate.evolve(&event);
            state.events.push((stream.clone(), event.into()));
        }
        if let Some(loaded) = state.loaded.get_mut(&stream) {
            loaded.reliance = Reliance::Joined;
            loaded.aggregate.replace(aggregate);
        }
        Ok(())
    }

    /// Stores the hash of a secret together with the events, if there are any.
    pub fn secret(&self, secret: NewSecret) {
        self.state().secrets.push(secret);
    }

    /// Limits a counter.
    pub fn limit(&self, counter: &'static str, maximum: i64) {
        self.state().limits.push((counter, maximum));
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn load<A: Registered>(&self, stream: StreamId, reliance: Reliance) -> Result<A, ExecuteError> {
        if let Some(loaded) = self.state().loaded.get_mut(&stream) {
            if reliance == Reliance::Joined {
                loaded.reliance = Reliance::Joined;
            }
            return Ok(loaded.aggregate.state());
        }
        let executor = &self.shared.executor;
        self.queue_if_hot(&stream).await;
        if let Some(pending) = self.pending(&stream) {
            let is_next = self.stale != Stale::Anything && reliance == Reliance::Joined && pending.aggregate.is::<A>();
            if is_next && executor.log.partition_of(self.request().organization).await? == Some(pending.partition) {
                let aggregate = pending.aggregate.clone();
                let found = aggregate.state();
                let mut state = self.state();
                state.loaded.insert(stream, Loaded { read: aggregate.version, aggregate, reliance, is_fresh: false });
                state.after = Some(pending);
                return Ok(found);
            }
            pending.is_admitted().await;
        }
        let cached = executor.cache.get(&stream).filter(|it| self.trusts(&stream) && it.is::<A>());
        let is_fresh = cached.is_none();
        let aggregate = match cached {
            Some(cached) => cached,
            None => executor.refreshed::<A>(&stream).await?,
        };
        let found = aggregate.state();
        let loaded = Loaded { read: aggregate.version, aggregate, reliance, is_fresh };
        self.state().loaded.insert(stream, loaded);
        Ok(found)
    }

    fn trusts(&self, stream: &StreamId) -> bool {
        match &self.stale {
            Stale::Nothing => true,
            Stale::Stream(stale) => stale != stream,
            Stale::Anything => false,
        }
    }

    /// What a stream will be that it is this unit's turn to change, if that is known before the log says so.
    fn pending(&self, stream: &StreamId) -> Option<Pending> {
        let turn = self.shared.turn.lock().unwrap_or_else(PoisonError::into_inner);
        turn.as_ref().filter(|turn| turn.stream == *stream).and_then(Turn::pending)
    }

    /// Waits for the callers that are changing a stream with frequent conflicts.
    async fn queue_if_hot(&self, stream: &StreamId) {
        let turn = || self.shared.turn.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.shared.only_reads
            && turn().is_none()
            && let Some(own) = self.shared.executor.hot.queue_if_hot(stream).await
        {
            *turn() = Some(own);
        }
    }
}

impl State {
    /// The versions that the append expects.
    pub(super) fn expected(&self, organization: OrganizationId) -> Vec<Expected> {
        self.versions(|stream, loaded| !self.is_confirmed(organization, stream, loaded)).collect()
    }

    /// The versions to be confirmed before the append: of confirmed streams that come from the cache.
    pub(super) fn unconfirmed(&self, organization: OrganizationId) -> Vec<Expected> {
        let is_open =
            |stream: &StreamId, loaded: &Loaded| !loaded.is_fresh && self.is_confirmed(organization, stream, loaded);
        self.versions(is_open).collect()
    }

    /// The versions of all streams that were read.
    pub(super) fn read(&self) -> Vec<Expected> {
        self.versions(|_, _| true).collect()
    }

    /// The version at which a stream was read.
    pub(super) fn version_of(&self, stream: &StreamId) -> Version {
        self.loaded.get(stream).map_or(Version::NONE, |loaded| loaded.read)
    }

    /// The aggregate of a stream, after the events that were decided.
    pub(super) fn aggregate(&self, stream: &StreamId) -> Option<&CachedAggregate> {
        self.loaded.get(stream).map(|loaded| &loaded.aggregate)
    }

    fn is_confirmed(&self, organization: OrganizationId, stream: &StreamId, loaded: &Loaded) -> bool {
        let platform = OrganizationId::PLATFORM;
        let writes_platform =
            organization == platform || self.events.iter().any(|(written, _)| written.organization == platform);
        loaded.reliance == Reliance::Confirmed && !(writes_platform && stream.organization == platform)
    }

    fn versions(&self, is_wanted: impl Fn(&StreamId, &Loaded) -> bool) -> impl Iterator<Item = Expected> {
        let wanted = self.loaded.iter().filter(move |(stream, loaded)| is_wanted(stream, loaded));
        wanted.map(|(stream, loaded)| Expected { stream: stream.clone(), version: loaded.read })
    }
}
