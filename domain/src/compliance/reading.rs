//! That staff of the platform read something while they acted as somebody else: one history for a session, an operation and
//! an hour.

use std::convert::Infallible;

use serde::{Deserialize, Serialize};

use crate::{Aggregate, ReadingId};

/// What can be asked of readings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Take down that there were so many in all.
    Note {
        /// What was read: the name of an operation.
        operation: String,
        /// How often, what was taken down already included.
        total: u64,
    },
}

/// What can happen to readings. Stored for ever: never reuse a name; a new shape is a new `.vN`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", deny_unknown_fields)]
pub enum Event {
    /// There were so many more.
    #[serde(rename = "reading.noted.v1")]
    Noted {
        /// What was read.
        operation: String,
        /// How many more.
        times: u64,
    },
}

/// Readings, as far as decisions need them.
#[derive(Debug, Clone, Default)]
pub struct Readings {
    noted: u64,
}

impl Aggregate for Readings {
    const CATEGORY: &'static str = "reading";
    type Id = ReadingId;
    type Command = Command;
    type Event = Event;
    // Nothing is refused.
    type Refusal = Infallible;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Infallible> {
        let Command::Note { operation, total } = command;
        let times = total.saturating_sub(self.noted);
        Ok(if times == 0 { vec![] } else { vec![Event::Noted { operation: operation.clone(), times }] })
    }

    fn evolve(&mut self, event: &Event) {
        let Event::Noted { times, .. } = event;
        self.noted += times;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::given;

    #[test]
    fn every_reading_is_taken_down_once() {
        let note = |total| Command::Note { operation: "list_users".to_owned(), total };
        let noted = |times| Event::Noted { operation: "list_users".to_owned(), times };
        given::<Readings>([]).when(note(1)).then([noted(1)]);
        given::<Readings>([noted(1)]).when(note(1)).then([]);
        given::<Readings>([noted(1)]).when(note(18)).then([noted(17)]);
    }
}
