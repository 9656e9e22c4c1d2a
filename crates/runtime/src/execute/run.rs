//! The attempts of a unit of work: append or confirm, retry after conflicts.

use std::{
    collections::HashMap,
    pin::pin,
    sync::{Arc, PoisonError},
    task::Poll,
    time::Duration,
};

use futures_util::poll;
use jiff::Timestamp;
use porttask_domain::{Constraint, Violation};

use super::{
    ExecuteError, Executor, Outcome, OutcomeEvent, Rejected, Request, Tx,
    hot::{Turn, Underway},
    tx::{Shared, Stale, State},
};
use crate::{
    constraints::to_log_constraint,
    log::{
        self, Admitted, Append, AppendError, Appended, Claim, ConstraintViolation, EventType, Expected, StreamId,
        Version,
        admission::{IdempotencyRecordKey, Known},
    },
    vault::{SealedEvents, Vault},
};

/// Maximum attempts after version conflicts.
const ATTEMPTS: u32 = 24;
/// Upper bound of the pause before the second attempt; doubles with each further one.
const PAUSE: Duration = Duration::from_millis(2);

/// A unit of work that is being executed.
pub(super) struct Run {
    shared: Arc<Shared>,
    attempts: u32,
    /// The stream that the last attempt conflicted on.
    conflict: Option<StreamId>,
}

impl Run {
    pub(super) fn new(executor: Arc<Executor>, request: &Request) -> Self {
        Self { shared: Arc::new(Shared::new(executor, request.clone(), false)), attempts: 0, conflict: None }
    }

    /// A unit of work without events.
    pub(super) fn reading(executor: Arc<Executor>, request: Request) -> Self {
        Self { shared: Arc::new(Shared::new(executor, request, true)), attempts: 0, conflict: None }
    }

    /// The result of a request that was executed before, even if it would be rejected now.
    pub(super) async fn repeated<T>(&self) -> Result<Option<Outcome<T>>, ExecuteError> {
        let Shared { executor, request, .. } = &*self.shared;
        let Some(idempotency_key) = &request.idempotency_key else { return Ok(None) };
        let key = IdempotencyRecordKey::of(request.organization, idempotency_key);
        let Some(record) = executor.log.idempotency_record(&key).await? else { return Ok(None) };
        if record.request_hash != idempotency_key.request_hash {
            return Err(ExecuteError::AnotherRequest);
        }
        let (position, recorded_at) = (Some(record.position), Some(record.recorded_at));
        Ok(Some(Outcome { value: None, position, recorded_at, events: Vec::new(), repeated: true }))
    }

    /// The next attempt: at once, in the queue of the stream that the last one conflicted on, or after a pause.
    pub(super) async fn attempt(&mut self) -> Result<Tx, ExecuteError> {
        if self.attempts == ATTEMPTS {
            return Err(ExecuteError::Contended);
        }
        let stale = match (self.attempts, &self.conflict) {
            (0, _) => Stale::Nothing,
            (1, Some(stream)) => Stale::Stream(stream.clone()),
            _ => Stale::Anything,
        };
        if self.attempts > 0 {
            self.wait().await;
        }
        let tx = Tx::new(Arc::clone(&self.shared), stale);
        self.attempts += 1;
        Ok(tx)
    }

    async fn wait(&mut self) {
        let turn = || self.shared.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let has_turn = turn().is_some();
        match self.conflict.take() {
            Some(stream) if !has_turn => {
                let own = self.shared.executor.hot.queue(&stream).await;
                *turn() = own;
            }
            _ => pause(self.attempts).await,
        }
    }

    /// Appends what an attempt decided, or confirms that there is nothing to append. `None`: something that it read has
    /// changed.
    pub(super) async fn finish(&mut self, tx: &Tx) -> Result<Option<Outcome>, ExecuteError> {
        let Shared { executor, request, .. } = &*self.shared;
        let state = std::mem::take(&mut *tx.state());
        if request.dry_run {
            return preview(executor, request, state).await;
        }
        if state.events.is_empty() && request.idempotency_key.is_none() {
            let holds = holds(executor, &state).await?;
            return Ok(holds.then(|| not_recorded(state)));
        }
        // What the caller requires is outdated only by what is recorded.
        if !state.required.is_empty() && !is_borne_out(&state).await {
            return Ok(None);
        }
        let open = state.unconfirmed(request.organization);
        if !open.is_empty() && !are_current(executor, &open).await? {
            return Ok(None);
        }
        let sealed = executor.vault.seal(request.organization, &state.events, &self.shared.meta()).await?;
        let SealedEvents { events, keys } = sealed;
        let types = events.iter().map(|event| event.event_type.clone()).collect();
        let mut append = Append::new(request.organization, events);
        append.creates_organization = request.creates_organization;
        append.expected = state.required.iter().cloned().chain(state.expected(request.organization)).collect();
        append.constraints = constraints(&executor.vault, &state);
        append.idempotency_key.clone_from(&request.idempotency_key);
        append.person_keys = keys;
        if !append.events.is_empty() {
            append.secrets.clone_from(&state.secrets);
        }
        append.after = state.after.as_ref().map(|pending| pending.after.clone());
        let admitted = append.admitted.clone();
        let mut appending = pin!(executor.log.append(append));
        let (answer, _underway) = match poll!(appending.as_mut()) {
            Poll::Ready(answer) => (answer, None),
            Poll::Pending => {
                let underway = self.hand_on(&state, admitted).await;
                (appending.await, underway)
            }
        };
        match answer {
            Ok(appended) => Ok(Some(recorded(executor, state, types, appended))),
            Err(AppendError::Conflict { stream, .. }) if state.required.iter().any(|it| it.stream == stream) => {
                Err(ExecuteError::Outdated(stream))
            }
            Err(AppendError::Conflict { stream, .. }) => {
                self.conflict = Some(stream);
                Ok(None)
            }
            Err(AppendError::Constraint(violation)) => {
                let rejected = rejection_of(&executor.vault, &state, &violation);
                Err(ExecuteError::Constraint(violation, Box::new(rejected)))
            }
            Err(AppendError::PersonKeyExists(id)) => {
                executor.vault.forget(&id);
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Lets the next caller in the queue of a stream decide, now that the log has the append.
    async fn hand_on(&self, state: &State, admitted: Admitted) -> Option<Underway> {
        let Shared { executor, request, turn, .. } = &*self.shared;
        let written = |turn: &Turn| state.events.iter().filter(|(stream, _)| *stream == turn.stream).count() as u64;
        let turn = turn.lock().unwrap_or_else(PoisonError::into_inner).take_if(|turn| written(turn) > 0)?;
        let version = Version(state.version_of(&turn.stream).0 + written(&turn));
        let aggregate = state.aggregate(&turn.stream)?.at(version);
        // The append is on its way: a failure here is none of it.
        let partition = executor.log.partition_of(request.organization).await.ok().flatten()?;
        Some(turn.hand_on(aggregate, partition, admitted))
    }

    /// Whether all that an attempt has read is still current.
    pub(super) async fn still_holds(&self, tx: &Tx) -> Result<bool, ExecuteError> {
        let state = std::mem::take(&mut *tx.state());
        holds(&self.shared.executor, &state).await
    }
}

/// Whether all streams are still at the versions at which they were read.
async fn holds(executor: &Executor, state: &State) -> Result<bool, ExecuteError> {
    if !is_borne_out(state).await {
        return Ok(false);
    }
    let (required, read) = (&state.required, state.read());
    let streams: Vec<StreamId> = required.iter().chain(&read).map(|it| it.stream.clone()).collect();
    if streams.is_empty() {
        return Ok(true);
    }
    let versions = executor.log.versions(&streams).await?;
    let (asked, own) = versions.split_at(required.len());
    if let Some((outdated, _)) = required.iter().zip(asked).find(|(it, actual)| it.version != **actual) {
        return Err(ExecuteError::Outdated(outdated.stream.clone()));
    }
    Ok(read.iter().zip(own).all(|(it, actual)| it.version == *actual))
}

/// Whether the append that an attempt relies on was admitted.
async fn is_borne_out(state: &State) -> bool {
    match &state.after {
        Some(pending) => pending.is_admitted().await,
        None => true,
    }
}

async fn are_current(executor: &Executor, expected: &[Expected]) -> Result<bool, ExecuteError> {
    let streams: Vec<StreamId> = expected.iter().map(|it| it.stream.clone()).collect();
    let versions = executor.log.versions(&streams).await?;
    Ok(expected.iter().zip(versions).all(|(it, actual)| it.version == actual))
}

/// The constraints in the log's representation.
fn constraints(vault: &Vault, state: &State) -> Vec<log::Constraint> {
    log_constraints(vault, state).map(|(constraint, _)| limited(state, constraint)).collect()
}

/// Each constraint with the rejection for a command that violates it.
fn log_constraints(vault: &Vault, state: &State) -> impl Iterator<Item = (log::Constraint, Option<Violation>)> {
    state.constraints.iter().filter_map(move |(organization, owner, constraint)| {
        let answer = match constraint {
            Constraint::Claim { violation, .. } | Constraint::Count { violation, .. } => Some(*violation),
            Constraint::Release { .. } => None,
        };
        Some((to_log_constraint(vault, *organization, owner, constraint)?, answer))
    })
}

/// The domain's rejection for a violation that the log reported.
fn rejection_of(vault: &Vault, state: &State, violation: &ConstraintViolation) -> Rejected {
    let is_violated = |constraint: &log::Constraint| match (constraint, violation) {
        (log::Constraint::Claim(claim), ConstraintViolation::Taken { key, .. }) => claim.key == *key,
        (
            log::Constraint::Count(counter),
            ConstraintViolation::BelowMinimum { key, .. } | ConstraintViolation::AboveMaximum { key, .. },
        ) => counter.key == *key,
        _ => false,
    };
    let answer = log_constraints(vault, state).find(|(constraint, _)| is_violated(constraint)).and_then(|(_, it)| it);
    Rejected::by_constraint(answer, violation)
}

/// The constraint with the limit that the unit of work sets for its counter.
fn limited(state: &State, constraint: log::Constraint) -> log::Constraint {
    let log::Constraint::Count(counter) = constraint else { return constraint };
    let counted = counter.key.name.split(' ').next();
    let limit = state.limits.iter().find(|(name, _)| counted == Some(*name)).map(|(_, limit)| *limit);
    log::Constraint::Count(log::Counter { maximum: limit.or(counter.maximum), ..counter })
}

/// Judges a dry run on committed state, without locks. `None`: something that it read has changed.
async fn preview(executor: &Executor, request: &Request, state: State) -> Result<Option<Outcome>, ExecuteError> {
    let is_there = executor.log.partition_of(request.organization).await?.is_some();
    match (request.creates_organization, is_there) {
        (true, true) => return Err(AppendError::OrganizationExists(request.organization).into()),
        (false, false) => return Err(AppendError::UnknownOrganization(request.organization).into()),
        _ => {}
    }
    let constraints = constraints(&executor.vault, &state);
    let mut known = Known::nothing(Timestamp::UNIX_EPOCH, Vec::new());
    for constraint in &constraints {
        match constraint {
            log::Constraint::Claim(Claim { key, .. }) | log::Constraint::Release(Claim { key, .. }) => {
                let owner = executor.log.holder(key).await?;
                known.claims.extend(owner.map(|owner| (key.clone(), owner)));
            }
            log::Constraint::Count(counter) => {
                let value = executor.log.count(&counter.key).await?;
                known.counters.insert(counter.key.clone(), value);
            }
        }
    }
    let checked = known.check(&constraints);
    if !holds(executor, &state).await? {
        return Ok(None);
    }
    match checked {
        Ok(_) => Ok(Some(not_recorded(state))),
        Err(violation) => {
            let rejected = rejection_of(&executor.vault, &state, &violation);
            Err(ExecuteError::Constraint(violation, Box::new(rejected)))
        }
    }
}

/// The outcome of a unit of work that recorded nothing.
fn not_recorded(state: State) -> Outcome {
    let mut versions: HashMap<StreamId, Version> = HashMap::new();
    let mut events = Vec::with_capacity(state.events.len());
    for (stream, event) in &state.events {
        let Ok(event_type) = EventType::new(event.encode().0) else { continue };
        let version = versions.entry(stream.clone()).or_insert_with(|| state.version_of(stream));
        version.0 += 1;
        events.push(OutcomeEvent { stream: stream.clone(), version: *version, event_type, event: event.clone() });
    }
    Outcome { value: Some(()), position: None, recorded_at: None, events, repeated: false }
}

/// The outcome of an acknowledged append, whose new states are cached now.
fn recorded(executor: &Executor, mut state: State, types: Vec<EventType>, appended: Appended) -> Outcome {
    let Appended { position, recorded_at, repeated, events: placed } = appended;
    let (mut events, mut last) = (Vec::new(), HashMap::new());
    if !repeated {
        for (((stream, event), event_type), placed) in
            std::mem::take(&mut state.events).into_iter().zip(types).zip(placed)
        {
            last.insert(stream.clone(), placed.version);
            events.push(OutcomeEvent { stream, version: placed.version, event_type, event });
        }
    }
    for (stream, version) in last {
        if let Some(aggregate) = state.aggregate(&stream) {
            executor.cache.advance(&stream, &aggregate.at(version));
        }
    }
    let value = (!repeated).then_some(());
    Outcome { value, position: Some(position), recorded_at: Some(recorded_at), events, repeated }
}

/// Exponential back-off with jitter.
async fn pause(attempt: u32) {
    let longest = PAUSE * (1 << attempt.min(6));
    let share = f64::from(uuid::Uuid::now_v7().as_u64_pair().1 as u16) / f64::from(u16::MAX);
    tokio::time::sleep(longest.mul_f64(share)).await;
}
