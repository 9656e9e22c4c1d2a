//! What the platform's staff read while impersonating a user: one stream per session, operation and hour.

use std::convert::Infallible;

use serde::{Deserialize, Serialize};

use crate::{Aggregate, StaffAccessId};

/// Commands on staff access.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Record the number of reads so far.
    Record {
        /// The name of the operation that read something.
        operation: String,
        /// The number of reads, including those already recorded.
        total: u64,
    },
}

/// Events of staff access. Stored forever: never reuse a name; a new shape is a new `.vN`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", deny_unknown_fields)]
pub enum Event {
    /// Further reads occurred.
    #[serde(rename = "staff_access.recorded.v1")]
    Recorded {
        /// The name of the operation that read something.
        operation: String,
        /// The number of further reads.
        times: u64,
    },
}

/// The state of staff access: only what `decide` needs.
#[derive(Debug, Clone, Default)]
pub struct StaffAccess {
    recorded: u64,
}

impl Aggregate for StaffAccess {
    const CATEGORY: &'static str = "staff_access";
    const CONSTRAINTS_NEED_STATE: bool = false;
    type Id = StaffAccessId;
    type Command = Command;
    type Event = Event;
    type Rejection = Infallible;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Infallible> {
        let Command::Record { operation, total } = command;
        let times = total.saturating_sub(self.recorded);
        Ok(if times == 0 { vec![] } else { vec![Event::Recorded { operation: operation.clone(), times }] })
    }

    fn evolve(&mut self, event: &Event) {
        let Event::Recorded { times, .. } = event;
        self.recorded += times;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::given;

    #[test]
    fn every_access_is_recorded_once() {
        let record = |total| Command::Record { operation: "list_users".to_owned(), total };
        let recorded = |times| Event::Recorded { operation: "list_users".to_owned(), times };
        given::<StaffAccess>([]).when(record(1)).then([recorded(1)]);
        given::<StaffAccess>([recorded(1)]).when(record(1)).then([]);
        given::<StaffAccess>([recorded(1)]).when(record(18)).then([recorded(17)]);
    }
}
