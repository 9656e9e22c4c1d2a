//! What is due in a partition.

use jiff::{SignedDuration, Timestamp};
use porttask_domain::TextEnum;
use porttask_projections::{
    ColumnType,
    platform::timer::{self, Timers},
};
use tokio::time::Instant;

use super::{
    Timer, TimerFailure,
    lane::LANE_ROUND,
    worker::{Inner, RoundError},
};
use crate::views::{Condition, Query, ViewError};

/// Maximum timers per round.
const ROUND: usize = 1_000;
/// Rows per page.
const PAGE: usize = 1_000;
/// Maximum rows of timers that stepped aside to be skipped per round.
const MAX_SKIPPED: usize = 100_000;

/// Why a timer is not looked at for now.
pub(super) enum Aside {
    /// It was carried out; the read model has not folded that yet.
    Done { due_at: Timestamp, kind: String, forget_at: Instant },
    /// It waits for something else.
    Waiting(Timestamp),
    /// It failed.
    Failed(TimerFailure),
}

/// What is due, each in order.
#[derive(Default)]
pub(super) struct Due {
    pub(super) timers: Vec<Timer>,
    pub(super) in_lanes: Vec<Timer>,
    /// When something will be due, if nothing is now.
    pub(super) next: Option<Timestamp>,
}

impl Inner {
    /// What is due now.
    pub(super) async fn due(&self, now: Timestamp) -> Result<Due, RoundError> {
        self.aside().retain(|_, it| match it {
            Aside::Done { forget_at, .. } => *forget_at > Instant::now(),
            Aside::Waiting(until) => *until > now,
            Aside::Failed(_) => true,
        });
        let (mut due, mut seen, mut after) = (Due::default(), 0, None);
        loop {
            let rows = self.rows(Condition::Below("due_at", just_after(now).to_value()), after, PAGE).await?;
            let is_last = rows.len() < PAGE;
            seen += rows.len();
            after =
                rows.last().map(|row| vec![row.due_at.to_value(), row.organization.to_value(), row.subject.to_value()]);
            for timer in rows.into_iter().map(timer).filter(|timer| self.is_open(timer, now)) {
                if self.lane(&timer).is_none() {
                    due.timers.push(timer);
                } else if due.in_lanes.len() < LANE_ROUND {
                    due.in_lanes.push(timer);
                }
            }
            if is_last || due.timers.len() >= ROUND || seen >= MAX_SKIPPED {
                break;
            }
        }
        if due.timers.is_empty() && due.in_lanes.is_empty() {
            let first = self.rows(Condition::AtLeast("due_at", just_after(now).to_value()), None, 1).await?;
            let next = first.first().map(|row| row.due_at);
            let again = self.aside().values().filter_map(Aside::ends_at).min();
            due.next = next.into_iter().chain(again).min();
        }
        Ok(due)
    }

    async fn rows(
        &self,
        condition: Condition,
        after: Option<Vec<porttask_projections::Value>>,
        limit: usize,
    ) -> Result<Vec<timer::Timer>, ViewError> {
        let query = Query {
            partition: self.partition,
            conditions: vec![condition],
            sort: vec!["due_at", "organization", "subject"],
            after,
            limit,
            ..Query::default()
        };
        self.parts.views.rows::<Timers>(&query).await
    }

    /// Whether a due timer is to be carried out now.
    fn is_open(&self, timer: &Timer, now: Timestamp) -> bool {
        match self.aside().get(&(timer.organization, timer.subject)) {
            None => true,
            Some(Aside::Done { due_at, kind, .. }) => (*due_at, kind) != (timer.due_at, &timer.kind),
            Some(Aside::Waiting(until)) => *until <= now,
            Some(Aside::Failed(failure)) => failure.retry_at <= now,
        }
    }
}

impl Aside {
    fn ends_at(&self) -> Option<Timestamp> {
        match self {
            Self::Done { .. } => None,
            Self::Waiting(until) => Some(*until),
            Self::Failed(failure) => Some(failure.retry_at),
        }
    }
}

fn timer(row: timer::Timer) -> Timer {
    let timer::Timer { organization, subject, kind, due_at, set_by, lane, open: _ } = row;
    Timer { organization, subject, kind: kind.as_str().to_owned(), due_at, set_by, lane }
}

/// The first instant after `now`, as tables store it.
fn just_after(now: Timestamp) -> Timestamp {
    now.saturating_add(SignedDuration::from_micros(1)).unwrap_or(Timestamp::MAX)
}
