//! Unit of work: the decisions of one request, the state they read, the events they yield.

use std::{any::Any, collections::HashMap, sync::Arc};

use async_trait::async_trait;
use porttask_domain::{Constraint, DomainEvent, Registered, Violation};

use super::{ExecuteError, Executor, Outcome, OutcomeEvent, Rejected, Request, stream_of};
use crate::{
    constraints::to_log_constraint,
    log::{self, ConstraintViolation, EventType, Expected, Placed, StreamId, Version},
};

/// The state of an aggregate, cached between requests.
#[derive(Clone)]
pub(super) struct CachedAggregate {
    pub(super) version: Version,
    pub(super) state: Arc<dyn Any + Send + Sync>,
}

/// The state of an aggregate that this request reads and may change.
struct Loaded {
    read: Version,
    state: Arc<dyn Any + Send + Sync>,
}

/// Why deciding stopped.
pub enum Stop {
    /// Rejected by a domain rule, provided that the state read is current.
    Rejected(Rejected),
    /// Failed.
    Failed(ExecuteError),
}

impl<E: Into<ExecuteError>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// A command for an aggregate of any type.
#[async_trait]
pub(super) trait Decide: Send + Sync {
    async fn decide(&self, work: &mut UnitOfWork<'_>) -> Result<(), Stop>;
}

/// A command for one aggregate.
pub(super) struct AggregateCommand<A: Registered> {
    pub(super) id: A::Id,
    pub(super) command: A::Command,
    /// Whether the command creates the aggregate.
    pub(super) is_new: bool,
}

#[async_trait]
impl<A: Registered> Decide for AggregateCommand<A> {
    async fn decide(&self, work: &mut UnitOfWork<'_>) -> Result<(), Stop> {
        let stream = stream_of::<A>(work.request.organization, self.id)?;
        if self.is_new {
            work.assume_new::<A>(&stream);
        }
        let mut state: A = work.load(&stream).await?;
        let events = state.decide(&self.command).map_err(|rejection| Stop::Rejected(rejection.into()))?;
        for event in events {
            let constraints = state.constraints(&event);
            work.constraints.extend(constraints.into_iter().map(|constraint| (self.id.to_string(), constraint)));
            state.evolve(&event);
            work.events.push((stream.clone(), event.into()));
        }
        if let Some(loaded) = work.loaded.get_mut(&stream) {
            loaded.state = Arc::new(state);
        }
        Ok(())
    }
}

/// One attempt to execute a request.
pub struct UnitOfWork<'a> {
    executor: &'a Executor,
    request: &'a Request,
    may_be_old: bool,
    loaded: HashMap<StreamId, Loaded>,
    events: Vec<(StreamId, DomainEvent)>,
    /// The types of `events`, set once they are encoded.
    pub(super) event_types: Vec<EventType>,
    constraints: Vec<(String, Constraint)>,
}

impl<'a> UnitOfWork<'a> {
    pub(super) fn new(executor: &'a Executor, request: &'a Request, may_be_old: bool) -> Self {
        Self {
            executor,
            request,
            may_be_old,
            loaded: HashMap::new(),
            events: Vec::new(),
            event_types: Vec::new(),
            constraints: Vec::new(),
        }
    }

    /// Decides all commands in order.
    pub(super) async fn decide(&mut self, commands: &[Box<dyn Decide>]) -> Result<(), Stop> {
        let (executor, request) = (self.executor, self.request);
        executor.precondition.check(request, self).await?;
        for command in commands {
            command.decide(self).await?;
        }
        Ok(())
    }

    /// The state of an aggregate of the request's organization, including the effects of earlier commands.
    ///
    /// # Errors
    /// If the log fails or cannot be read.
    pub async fn read<A: Registered>(&mut self, id: A::Id) -> Result<A, ExecuteError> {
        let stream = stream_of::<A>(self.request.organization, id)?;
        self.load(&stream).await
    }

    /// The decided events.
    pub(super) fn events(&self) -> &[(StreamId, DomainEvent)] {
        &self.events
    }

    /// Every stream that was read, with the version at which it was read.
    pub(super) fn read_versions(&self) -> impl Iterator<Item = Expected> {
        self.loaded.iter().map(|(stream, loaded)| Expected { stream: stream.clone(), version: loaded.read })
    }

    /// The constraints in the log's representation.
    pub(super) fn constraints(&self) -> Vec<log::Constraint> {
        self.log_constraints().map(|(constraint, _)| self.limited(constraint)).collect()
    }

    /// Each constraint with the rejection for a command that violates it.
    fn log_constraints(&self) -> impl Iterator<Item = (log::Constraint, Option<Violation>)> {
        let (vault, organization) = (&self.executor.vault, self.request.organization);
        self.constraints.iter().filter_map(move |(owner, constraint)| {
            let answer = match constraint {
                Constraint::Claim { violation, .. } | Constraint::Count { violation, .. } => Some(*violation),
                Constraint::Release { .. } => None,
            };
            Some((to_log_constraint(vault, organization, owner, constraint)?, answer))
        })
    }

    /// The domain's rejection for a violation that the log reported.
    pub(super) fn rejection_of(&self, violation: &ConstraintViolation) -> Rejected {
        let is_violated = |constraint: &log::Constraint| match (constraint, violation) {
            (log::Constraint::Claim(claim), ConstraintViolation::Taken { key, .. }) => claim.key == *key,
            (
                log::Constraint::Count(counter),
                ConstraintViolation::BelowMinimum { key, .. } | ConstraintViolation::AboveMaximum { key, .. },
            ) => counter.key == *key,
            _ => false,
        };
        let answer = self.log_constraints().find(|(constraint, _)| is_violated(constraint)).and_then(|(_, it)| it);
        Rejected::by_constraint(answer, violation)
    }

    /// The constraint with the limit that the request sets for its counter.
    fn limited(&self, constraint: log::Constraint) -> log::Constraint {
        let log::Constraint::Count(counter) = constraint else { return constraint };
        let counted = counter.key.name.split(' ').next();
        let limit = self.request.limits.iter().find(|(name, _)| counted == Some(*name)).map(|(_, limit)| *limit);
        log::Constraint::Count(log::Counter { maximum: limit.or(counter.maximum), ..counter })
    }

    /// The outcome of a request that recorded nothing.
    pub(super) fn not_recorded(self) -> Outcome {
        let mut versions: HashMap<StreamId, Version> =
            self.loaded.into_iter().map(|(stream, loaded)| (stream, loaded.read)).collect();
        let events = self.events.into_iter().zip(self.event_types).map(|((stream, event), event_type)| {
            let version = versions.entry(stream.clone()).or_default();
            version.0 += 1;
            OutcomeEvent { stream, version: *version, event_type, event }
        });
        Outcome { position: None, recorded_at: None, events: events.collect(), repeated: false }
    }

    /// Caches the new states; returns the recorded events with their versions.
    pub(super) fn cache(self, placed: &[Placed]) -> Vec<OutcomeEvent> {
        let mut last: HashMap<StreamId, Version> = HashMap::new();
        let mut events = Vec::with_capacity(self.events.len());
        for (((stream, event), event_type), placed) in self.events.into_iter().zip(self.event_types).zip(placed) {
            last.insert(stream.clone(), placed.version);
            events.push(OutcomeEvent { stream, version: placed.version, event_type, event });
        }
        for (stream, version) in last {
            if let Some(loaded) = self.loaded.get(&stream) {
                self.executor.cache.insert(stream, CachedAggregate { version, state: Arc::clone(&loaded.state) });
            }
        }
        events
    }

    /// Assumes that the aggregate does not exist. If it does, the append conflicts, and the next attempt loads it.
    fn assume_new<A: Registered>(&mut self, stream: &StreamId) {
        if self.may_be_old && !self.loaded.contains_key(stream) {
            self.loaded.insert(stream.clone(), Loaded { read: Version::NONE, state: Arc::new(A::default()) });
        }
    }

    /// The state of an aggregate, including the effects of earlier commands.
    async fn load<A: Registered>(&mut self, stream: &StreamId) -> Result<A, ExecuteError> {
        if !self.loaded.contains_key(stream) {
            let cached = self.executor.refreshed::<A>(stream, self.may_be_old).await?;
            self.loaded.insert(stream.clone(), Loaded { read: cached.version, state: cached.state });
        }
        let state = self.loaded.get(stream).and_then(|loaded| loaded.state.downcast_ref::<A>());
        Ok(state.cloned().unwrap_or_default())
    }
}
