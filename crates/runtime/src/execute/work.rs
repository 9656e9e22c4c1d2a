//! The decisions of one request, and what they read and found.

use std::{any::Any, collections::HashMap, sync::Arc};

use async_trait::async_trait;
use porttask_domain::{Constraint, DomainEvent, Registered, Violation};

use super::{ExecuteError, Executor, Outcome, OutcomeEvent, Rejected, Request, stream_of};
use crate::{
    constraints::to_log_constraint,
    log::{self, ConstraintViolation, EventType, Expected, Placed, StreamId, Version},
};

/// A state as it is cached between requests.
#[derive(Clone)]
pub(super) struct CachedAggregate {
    pub(super) version: Version,
    pub(super) state: Arc<dyn Any + Send + Sync>,
}

/// A state that this request reads and perhaps changes.
struct Loaded {
    read: Version,
    state: Arc<dyn Any + Send + Sync>,
}

/// Why the decisions stopped.
pub enum Stop {
    /// By the rules, as far as what was read still holds.
    Rejected(Rejected),
    /// By a failure.
    Failed(ExecuteError),
}

impl<E: Into<ExecuteError>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// A command and what it is for, whatever it is.
#[async_trait]
pub(super) trait Decide: Send + Sync {
    async fn decide(&self, work: &mut UnitOfWork<'_>) -> Result<(), Stop>;
}

/// A command for one aggregate.
pub(super) struct AggregateCommand<A: Registered> {
    pub(super) id: A::Id,
    pub(super) command: A::Command,
    /// Whether it comes into being by the command.
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

/// One attempt at a request.
pub struct UnitOfWork<'a> {
    executor: &'a Executor,
    request: &'a Request,
    may_be_old: bool,
    loaded: HashMap<StreamId, Loaded>,
    events: Vec<(StreamId, DomainEvent)>,
    /// Their types, once they were encoded.
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

    /// Decides all commands, one after the other.
    pub(super) async fn decide(&mut self, commands: &[Box<dyn Decide>]) -> Result<(), Stop> {
        let (executor, request) = (self.executor, self.request);
        executor.precondition.check(request, self).await?;
        for command in commands {
            command.decide(self).await?;
        }
        Ok(())
    }

    /// A state of the request's organization, as the commands before have left it.
    ///
    /// # Errors
    /// If the log fails or cannot be read.
    pub async fn read<A: Registered>(&mut self, id: A::Id) -> Result<A, ExecuteError> {
        let stream = stream_of::<A>(self.request.organization, id)?;
        self.load(&stream).await
    }

    /// What would happen or has happened.
    pub(super) fn events(&self) -> &[(StreamId, DomainEvent)] {
        &self.events
    }

    /// Every stream that the decisions read, at the version at which they read it.
    pub(super) fn read_versions(&self) -> impl Iterator<Item = Expected> {
        self.loaded.iter().map(|(stream, loaded)| Expected { stream: stream.clone(), version: loaded.read })
    }

    /// The constraints, in the log's terms.
    pub(super) fn constraints(&self) -> Vec<log::Constraint> {
        self.log_constraints().map(|(constraint, _)| self.limited(constraint)).collect()
    }

    /// Each of them with the answer to a command that would violate it.
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

    /// The answer of the domain to a violation that the log found.
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

    /// The constraint with the limit that the request brings for what is counted.
    fn limited(&self, constraint: log::Constraint) -> log::Constraint {
        let log::Constraint::Count(counter) = constraint else { return constraint };
        let counted = counter.key.name.split(' ').next();
        let limit = self.request.limits.iter().find(|(name, _)| counted == Some(*name)).map(|(_, limit)| *limit);
        log::Constraint::Count(log::Counter { maximum: limit.or(counter.maximum), ..counter })
    }

    /// What would have happened, if nothing was recorded.
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

    /// Caches the states that were recorded; returns what happened, and where.
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

    /// Takes it that there is no such thing yet. If there is, the log says so, and the next attempt reads it.
    fn assume_new<A: Registered>(&mut self, stream: &StreamId) {
        if self.may_be_old && !self.loaded.contains_key(stream) {
            self.loaded.insert(stream.clone(), Loaded { read: Version::NONE, state: Arc::new(A::default()) });
        }
    }

    /// A state, as the commands before have left it.
    async fn load<A: Registered>(&mut self, stream: &StreamId) -> Result<A, ExecuteError> {
        if !self.loaded.contains_key(stream) {
            let cached = self.executor.refreshed::<A>(stream, self.may_be_old).await?;
            self.loaded.insert(stream.clone(), Loaded { read: cached.version, state: cached.state });
        }
        let state = self.loaded.get(stream).and_then(|loaded| loaded.state.downcast_ref::<A>());
        Ok(state.cloned().unwrap_or_default())
    }
}
