//! The decisions of one request, and what they read and found.

use std::{any::Any, collections::HashMap, sync::Arc};

use async_trait::async_trait;
use porttask_domain::{Aggregate, Fact, Guard};

use super::{Done, ExecuteError, Executor, Refused, Request, stream_of};
use crate::{
    constraints::in_terms_of_the_log,
    log::{self, Expected, Placed, StreamId, Version},
};

/// A state as it is kept between requests.
#[derive(Clone)]
pub(super) struct Kept {
    pub(super) version: Version,
    pub(super) state: Arc<dyn Any + Send + Sync>,
}

/// A state that this request reads and perhaps changes.
struct Held {
    read: Version,
    state: Arc<dyn Any + Send + Sync>,
}

/// Why the decisions stopped.
pub enum Halt {
    /// By the rules, as far as what was read still holds.
    Refused(Refused),
    /// By a failure.
    Failed(ExecuteError),
}

impl<E: Into<ExecuteError>> From<E> for Halt {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// A command and what it is for, whatever it is.
#[async_trait]
pub(super) trait Decide: Send + Sync {
    async fn decide(&self, work: &mut Work<'_>) -> Result<(), Halt>;
}

/// A command for one aggregate.
pub(super) struct On<A: Aggregate> {
    pub(super) id: A::Id,
    pub(super) command: A::Command,
    /// Whether it comes into being by the command.
    pub(super) is_new: bool,
}

#[async_trait]
impl<A: Aggregate> Decide for On<A> {
    async fn decide(&self, work: &mut Work<'_>) -> Result<(), Halt> {
        let stream = stream_of::<A>(work.request.organization, self.id)?;
        if self.is_new {
            work.hold_new::<A>(&stream);
        }
        let mut state: A = work.hold(&stream).await?;
        let events = state.decide(&self.command).map_err(|refusal| Halt::Refused(refusal.into()))?;
        for event in events {
            let guards = state.guards(&event);
            work.guards.extend(guards.into_iter().map(|guard| (self.id.to_string(), guard)));
            state.evolve(&event);
            work.facts.push((stream.clone(), event.into()));
        }
        if let Some(held) = work.held.get_mut(&stream) {
            held.state = Arc::new(state);
        }
        Ok(())
    }
}

/// One attempt at a request.
pub struct Work<'a> {
    executor: &'a Executor,
    request: &'a Request,
    may_be_old: bool,
    held: HashMap<StreamId, Held>,
    facts: Vec<(StreamId, Fact)>,
    guards: Vec<(String, Guard)>,
}

impl<'a> Work<'a> {
    pub(super) fn new(executor: &'a Executor, request: &'a Request, may_be_old: bool) -> Self {
        Self { executor, request, may_be_old, held: HashMap::new(), facts: Vec::new(), guards: Vec::new() }
    }

    /// Decides all commands, one after the other.
    pub(super) async fn decide(&mut self, commands: &[Box<dyn Decide>]) -> Result<(), Halt> {
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
    pub async fn read<A: Aggregate>(&mut self, id: A::Id) -> Result<A, ExecuteError> {
        let stream = stream_of::<A>(self.request.organization, id)?;
        self.hold(&stream).await
    }

    /// What would happen or has happened.
    pub(super) fn facts(&self) -> &[(StreamId, Fact)] {
        &self.facts
    }

    /// Every stream that the decisions read, at the version at which they read it.
    pub(super) fn read_versions(&self) -> impl Iterator<Item = Expected> {
        self.held.iter().map(|(stream, held)| Expected { stream: stream.clone(), version: held.read })
    }

    /// The guards, in the log's terms.
    pub(super) fn guards(&self) -> Vec<log::Guard> {
        let (vault, organization) = (&self.executor.vault, self.request.organization);
        let guards = self.guards.iter();
        let guards = guards.filter_map(|(owner, guard)| in_terms_of_the_log(vault, organization, owner, guard));
        guards.map(|guard| self.limited(guard)).collect()
    }

    /// The guard with the limit that the request brings for what is counted.
    fn limited(&self, guard: log::Guard) -> log::Guard {
        let log::Guard::Count(counter) = guard else { return guard };
        let counted = counter.key.name.split(' ').next();
        let limit = self.request.limits.iter().find(|(name, _)| counted == Some(*name)).map(|(_, limit)| *limit);
        log::Guard::Count(log::Counter { maximum: limit.or(counter.maximum), ..counter })
    }

    /// What would have happened, if nothing was recorded.
    pub(super) fn undone(self) -> Done {
        let mut versions: HashMap<StreamId, Version> =
            self.held.into_iter().map(|(stream, held)| (stream, held.read)).collect();
        let facts = self.facts.into_iter().map(|(stream, fact)| {
            let version = versions.entry(stream.clone()).or_default();
            version.0 += 1;
            (stream, *version, fact)
        });
        Done { position: None, recorded_at: None, facts: facts.collect(), repeated: false }
    }

    /// Keeps the states that were recorded; answers what happened, and where.
    pub(super) fn keep(self, placed: &[Placed]) -> Vec<(StreamId, Version, Fact)> {
        let mut last: HashMap<StreamId, Version> = HashMap::new();
        let mut facts = Vec::with_capacity(self.facts.len());
        for ((stream, fact), placed) in self.facts.into_iter().zip(placed) {
            last.insert(stream.clone(), placed.version);
            facts.push((stream, placed.version, fact));
        }
        for (stream, version) in last {
            if let Some(held) = self.held.get(&stream) {
                self.executor.kept.insert(stream, Kept { version, state: Arc::clone(&held.state) });
            }
        }
        facts
    }

    /// Takes it that there is no such thing yet. If there is, the log says so, and the next attempt reads it.
    fn hold_new<A: Aggregate>(&mut self, stream: &StreamId) {
        if self.may_be_old && !self.held.contains_key(stream) {
            self.held.insert(stream.clone(), Held { read: Version::NONE, state: Arc::new(A::default()) });
        }
    }

    /// A state, as the commands before have left it.
    async fn hold<A: Aggregate>(&mut self, stream: &StreamId) -> Result<A, ExecuteError> {
        if !self.held.contains_key(stream) {
            let kept = self.executor.refreshed::<A>(stream, self.may_be_old).await?;
            self.held.insert(stream.clone(), Held { read: kept.version, state: kept.state });
        }
        let state = self.held.get(stream).and_then(|held| held.state.downcast_ref::<A>());
        Ok(state.cloned().unwrap_or_default())
    }
}
