//! Whether the emails to a user were handed over.

use jiff::Timestamp;
use porttask_runtime::tasks::Task;
use serde::Serialize;
use utoipa::ToSchema;

/// Emails that were not handed over to a mail server yet.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EmailDelivery {
    /// The state of the oldest one.
    state: DeliveryState,
    /// The number of emails.
    waiting: usize,
    /// The attempts at the oldest one.
    attempts: u32,
    /// What the mail server replied to the last attempt, without addresses.
    #[schema(example = "550 5.1.1 […] no such user")]
    error: Option<String>,
    /// When it is attempted again; null once it has failed for good.
    next_attempt_at: Option<Timestamp>,
}

/// The state of an email.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DeliveryState {
    /// Not attempted yet.
    Queued,
    /// An attempt failed; it is attempted again.
    Deferred,
    /// Rejected, or attempted too often: an operator can retry it.
    Failed,
}

impl EmailDelivery {
    /// The delivery of a user's remaining emails, the oldest first.
    pub(super) fn of(tasks: &[&Task]) -> Option<Self> {
        // What failed for good is what an admin has to act upon.
        let shown = tasks.iter().find(|task| task.is_dead_lettered).or(tasks.first())?;
        let state = match (shown.is_dead_lettered, &shown.last_error) {
            (true, _) => DeliveryState::Failed,
            (false, Some(_)) => DeliveryState::Deferred,
            (false, None) => DeliveryState::Queued,
        };
        let next_attempt_at = Some(shown.due_at).filter(|_| !shown.is_dead_lettered);
        let (attempts, error) = (shown.attempts, shown.last_error.clone());
        Some(Self { state, waiting: tasks.len(), attempts, error, next_attempt_at })
    }
}
