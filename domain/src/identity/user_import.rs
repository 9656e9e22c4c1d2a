//! Imports of users: recorded when they end. The accounts are recorded one by one before.

use std::convert::Infallible;

use serde::{Deserialize, Serialize};

use crate::{Aggregate, UserImportId};

/// The number of lines by result.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Summary {
    /// Accounts that were created.
    pub registered: u64,
    /// Accounts that existed already.
    pub unchanged: u64,
    /// Lines without an account.
    pub rejected: u64,
    /// People who were invited.
    pub invited: u64,
}

/// Commands on an import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Record its end.
    Finish(Summary),
}

/// Events of an import. Stored forever: never reuse a name; a new shape is a new `.vN`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", deny_unknown_fields)]
pub enum Event {
    /// All lines were processed.
    #[serde(rename = "user_import.finished.v1")]
    Finished(Summary),
}

/// The state of an import: only what `decide` needs.
#[derive(Debug, Clone, Default)]
pub struct UserImport {
    is_finished: bool,
}

impl Aggregate for UserImport {
    const CATEGORY: &'static str = "user_import";
    const CONSTRAINTS_NEED_STATE: bool = false;
    type Id = UserImportId;
    type Command = Command;
    type Event = Event;
    type Rejection = Infallible;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Infallible> {
        let Command::Finish(summary) = command;
        // A node that took it over finds its lines unchanged: the first summary counts.
        Ok(if self.is_finished { vec![] } else { vec![Event::Finished(*summary)] })
    }

    fn evolve(&mut self, event: &Event) {
        let Event::Finished(_) = event;
        self.is_finished = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::given;

    #[test]
    fn an_import_ends_once() {
        let summary = Summary { registered: 3, unchanged: 1, rejected: 0, invited: 2 };
        given::<UserImport>([]).when(Command::Finish(summary)).then([Event::Finished(summary)]);
        given::<UserImport>([Event::Finished(summary)]).when(Command::Finish(Summary::default())).then([]);
    }
}
