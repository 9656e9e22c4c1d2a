//! That somebody was refused something: one history for a caller, an operation, a reason and an hour; and one for an account
//! that nobody got into, and an hour.

use std::convert::Infallible;

use serde::{Deserialize, Serialize};

use crate::{Aggregate, RefusalId, UserId};

/// What can be asked of refusals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Take down that there were so many in all.
    Note {
        /// What was asked for: the name of an operation.
        operation: String,
        /// Why it was refused: the name of a problem.
        problem: String,
        /// How many refusals there were, those that were taken down already included.
        total: u64,
    },
    /// Take down that so many in all have failed to sign in to an account.
    NoteFailedSignIns {
        /// Whose account it is.
        user: UserId,
        /// How many attempts there were, those that were taken down already included.
        total: u64,
    },
}

/// What can happen to refusals. Stored for ever: never reuse a name; a new shape is a new `.vN`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", deny_unknown_fields)]
pub enum Event {
    /// There were so many more.
    #[serde(rename = "refusal.noted.v1")]
    Noted {
        /// What was asked for.
        operation: String,
        /// Why it was refused.
        problem: String,
        /// How many more.
        times: u64,
    },
    /// So many more attempts to sign in to an account have failed.
    #[serde(rename = "refusal.sign_in_failed.v1")]
    SignInFailed {
        /// Whose account it is.
        user: UserId,
        /// How many more.
        times: u64,
    },
}

/// Refusals, as far as decisions need them.
#[derive(Debug, Clone, Default)]
pub struct Refusals {
    noted: u64,
}

impl Aggregate for Refusals {
    const CATEGORY: &'static str = "refusal";
    type Id = RefusalId;
    type Command = Command;
    type Event = Event;
    // Nothing is refused.
    type Refusal = Infallible;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Infallible> {
        let (Command::Note { total, .. } | Command::NoteFailedSignIns { total, .. }) = command;
        let times = total.saturating_sub(self.noted);
        if times == 0 {
            return Ok(vec![]);
        }
        Ok(vec![match command {
            Command::Note { operation, problem, .. } => {
                Event::Noted { operation: operation.clone(), problem: problem.clone(), times }
            }
            Command::NoteFailedSignIns { user, .. } => Event::SignInFailed { user: *user, times },
        }])
    }

    fn evolve(&mut self, event: &Event) {
        let (Event::Noted { times, .. } | Event::SignInFailed { times, .. }) = event;
        self.noted += times;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::given;

    fn note(total: u64) -> Command {
        Command::Note { operation: "list_users".to_owned(), problem: "forbidden".to_owned(), total }
    }

    fn noted(times: u64) -> Event {
        Event::Noted { operation: "list_users".to_owned(), problem: "forbidden".to_owned(), times }
    }

    #[test]
    fn every_refusal_is_taken_down_once() {
        given::<Refusals>([]).when(note(1)).then([noted(1)]);
        given::<Refusals>([noted(1)]).when(note(1)).then([]);
        given::<Refusals>([noted(1)]).when(note(18)).then([noted(17)]);
        given::<Refusals>([noted(1), noted(17)]).when(note(18)).then([]);
    }

    #[test]
    fn every_failed_attempt_is_taken_down_once() {
        let user = UserId(uuid::Uuid::from_u128(11));
        let note = |total| Command::NoteFailedSignIns { user, total };
        let failed = |times| Event::SignInFailed { user, times };
        given::<Refusals>([]).when(note(1)).then([failed(1)]);
        given::<Refusals>([failed(1)]).when(note(50)).then([failed(49)]);
        given::<Refusals>([failed(1), failed(49)]).when(note(50)).then([]);
    }
}
