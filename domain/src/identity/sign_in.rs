//! Failed attempts to sign in to an account: one stream per account, network and hour.

use std::convert::Infallible;

use serde::{Deserialize, Serialize};

use crate::{Aggregate, FailedSignInsId, UserId};

/// Commands on failed sign-ins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Record the number of failures so far.
    RecordFailures {
        /// The user of the account.
        user: UserId,
        /// The number of failed attempts, including those already recorded.
        total: u64,
    },
}

/// Events of failed sign-ins. Stored forever: never reuse a name; a new shape is a new `.vN`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", deny_unknown_fields)]
pub enum Event {
    /// Further attempts failed.
    #[serde(rename = "sign_in.failed.v1")]
    Failed {
        /// The user of the account.
        user: UserId,
        /// The number of further failures.
        times: u64,
    },
}

/// The state of failed sign-ins: only what `decide` needs.
#[derive(Debug, Clone, Default)]
pub struct FailedSignIns {
    recorded: u64,
}

impl Aggregate for FailedSignIns {
    const CATEGORY: &'static str = "sign_in";
    const CONSTRAINTS_NEED_STATE: bool = false;
    type Id = FailedSignInsId;
    type Command = Command;
    type Event = Event;
    type Rejection = Infallible;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Infallible> {
        let Command::RecordFailures { user, total } = command;
        let times = total.saturating_sub(self.recorded);
        Ok(if times == 0 { vec![] } else { vec![Event::Failed { user: *user, times }] })
    }

    fn evolve(&mut self, event: &Event) {
        let Event::Failed { times, .. } = event;
        self.recorded += times;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::given;

    #[test]
    fn every_failed_attempt_is_recorded_once() {
        let user = UserId(uuid::Uuid::from_u128(11));
        let record = |total| Command::RecordFailures { user, total };
        let failed = |times| Event::Failed { user, times };
        given::<FailedSignIns>([]).when(record(1)).then([failed(1)]);
        given::<FailedSignIns>([failed(1)]).when(record(50)).then([failed(49)]);
        given::<FailedSignIns>([failed(1), failed(49)]).when(record(50)).then([]);
    }
}
