//! Denied requests: one stream per caller, operation, target, reason and hour.

use std::convert::Infallible;

use serde::{Deserialize, Serialize};

use crate::{Aggregate, DenialId};

/// Commands on denials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Record the number of denials so far.
    Record {
        /// The name of the operation that was requested.
        operation: String,
        /// Why it was denied: the slug of a problem.
        problem: String,
        /// The id of what the request was about, if it named one.
        target: Option<String>,
        /// The number of denials, including those already recorded.
        total: u64,
    },
}

/// Events of denials. Stored forever: never reuse a name; a new shape is a new `.vN`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", deny_unknown_fields)]
pub enum Event {
    /// Further requests were denied.
    #[serde(rename = "denial.recorded.v1")]
    Recorded {
        /// The name of the operation that was requested.
        operation: String,
        /// Why it was denied: the slug of a problem.
        problem: String,
        /// The id of what the requests were about, if they named one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        target: Option<String>,
        /// The number of further denials.
        times: u64,
    },
}

/// The state of denials: only what `decide` needs.
#[derive(Debug, Clone, Default)]
pub struct Denials {
    recorded: u64,
}

impl Aggregate for Denials {
    const CATEGORY: &'static str = "denial";
    const CONSTRAINTS_NEED_STATE: bool = false;
    type Id = DenialId;
    type Command = Command;
    type Event = Event;
    type Rejection = Infallible;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Infallible> {
        let Command::Record { operation, problem, target, total } = command;
        let times = total.saturating_sub(self.recorded);
        let (operation, problem, target) = (operation.clone(), problem.clone(), target.clone());
        Ok(if times == 0 { vec![] } else { vec![Event::Recorded { operation, problem, target, times }] })
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
    fn every_denial_is_recorded_once() {
        let parts = || ("get_user".to_owned(), "forbidden".to_owned(), Some("usr_1".to_owned()));
        let record = |total| {
            let (operation, problem, target) = parts();
            Command::Record { operation, problem, target, total }
        };
        let recorded = |times| {
            let (operation, problem, target) = parts();
            Event::Recorded { operation, problem, target, times }
        };
        given::<Denials>([]).when(record(1)).then([recorded(1)]);
        given::<Denials>([recorded(1)]).when(record(1)).then([]);
        given::<Denials>([recorded(1)]).when(record(18)).then([recorded(17)]);
        given::<Denials>([recorded(1), recorded(17)]).when(record(18)).then([]);
    }
}
