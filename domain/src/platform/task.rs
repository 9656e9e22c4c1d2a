//! A task of a reactor, as far as people intervene: dead-lettered ones are retried. All else about it is in the ledger.

use std::convert::Infallible;

use serde::{Deserialize, Serialize};

use crate::{Aggregate, OrganizationId, TaskId};

/// Commands on a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Retry it, as it is dead-lettered.
    Retry {
        /// The reactor that it belongs to.
        reactor: String,
        /// The kind of task.
        kind: String,
        /// The organization of the event that triggered it.
        organization: OrganizationId,
        /// Its epoch, which differs whenever it is dead-lettered again.
        epoch: u64,
    },
}

/// Events of a task. Stored forever: never reuse a name; a new shape is a new `.vN`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", deny_unknown_fields)]
pub enum Event {
    /// It was dead-lettered, and somebody had it retried.
    #[serde(rename = "task.retried.v1")]
    Retried {
        /// The reactor that it belongs to.
        reactor: String,
        /// The kind of task.
        kind: String,
        /// The organization of the event that triggered it.
        organization: OrganizationId,
        /// Its epoch when it was dead-lettered.
        epoch: u64,
    },
}

/// The state of a task: only what `decide` needs.
#[derive(Debug, Clone, Default)]
pub struct Task {
    retried_epoch: Option<u64>,
}

impl Task {
    /// Whether somebody had it retried after it was dead-lettered in this epoch.
    pub fn is_retried(&self, epoch: u64) -> bool {
        self.retried_epoch == Some(epoch)
    }
}

impl Aggregate for Task {
    const CATEGORY: &'static str = "task";
    const CONSTRAINTS_NEED_STATE: bool = false;
    type Id = TaskId;
    type Command = Command;
    type Event = Event;
    type Rejection = Infallible;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Infallible> {
        let Command::Retry { reactor, kind, organization, epoch } = command.clone();
        Ok(if self.is_retried(epoch) { vec![] } else { vec![Event::Retried { reactor, kind, organization, epoch }] })
    }

    fn evolve(&mut self, event: &Event) {
        let Event::Retried { epoch, .. } = event;
        self.retried_epoch = Some(*epoch);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::given;

    #[test]
    fn a_task_is_retried_once_whenever_it_is_dead_lettered() {
        let parts = || ("mail".to_owned(), "invitation".to_owned(), OrganizationId(uuid::Uuid::from_u128(7)));
        let retry = |epoch| {
            let (reactor, kind, organization) = parts();
            Command::Retry { reactor, kind, organization, epoch }
        };
        let retried = |epoch| {
            let (reactor, kind, organization) = parts();
            Event::Retried { reactor, kind, organization, epoch }
        };
        given::<Task>([]).when(retry(2)).then([retried(2)]);
        given::<Task>([retried(2)]).when(retry(2)).then([]);
        given::<Task>([retried(2)]).when(retry(5)).then([retried(5)]);
    }
}
