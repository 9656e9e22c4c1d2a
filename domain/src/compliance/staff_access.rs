//! What the platform's staff reads of organizations: while impersonating a user, one stream per session, operation and
//! hour; by themselves or with a key of the platform, one per actor, area and hour or day.

use std::{collections::BTreeSet, convert::Infallible};

use serde::{Deserialize, Serialize};

use crate::{Aggregate, StaffAccessId};

/// Maximum ids of what was read in a stream.
pub const MOST_IDS: usize = 20;

crate::texts! {
    /// What part of an organization is read.
    pub enum Area {
        /// The organization and its settings.
        Organization = "organization",
        /// Its users.
        Users = "users",
        /// Their sessions.
        Sessions = "sessions",
        /// Its API keys.
        ApiKeys = "api_keys",
        /// Its audit log.
        AuditLog = "audit_log",
        /// Its jobs.
        Jobs = "jobs",
        /// Its vendors.
        Vendors = "vendors",
        /// Its documents.
        Documents = "documents",
        /// Its tickets.
        Tickets = "tickets",
        /// Its port calls.
        PortCalls = "port_calls",
        /// Its service orders.
        ServiceOrders = "service_orders",
        /// Its subscription and usage.
        Billing = "billing",
        /// Users of all organizations.
        Search = "search",
    }
}

/// Commands on staff access.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Record the number of reads while impersonating a user so far.
    Record {
        /// The name of the operation that read something.
        operation: String,
        /// The number of reads, including those already recorded.
        total: u64,
    },
    /// Record the number of other reads so far.
    RecordReads {
        /// What was read.
        area: Area,
        /// The number of reads, including those already recorded.
        total: u64,
        /// The ids of what was read, including those already recorded.
        ids: Vec<String>,
    },
}

/// Events of staff access. Stored forever: never reuse a name; a new shape is a new `.vN`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", deny_unknown_fields)]
pub enum Event {
    /// Further reads occurred while impersonating a user.
    #[serde(rename = "staff_access.recorded.v1")]
    Recorded {
        /// The name of the operation that read something.
        operation: String,
        /// The number of further reads.
        times: u64,
    },
    /// Further reads occurred without impersonation.
    #[serde(rename = "staff_access.read.v1")]
    Read {
        /// What was read.
        area: Area,
        /// The number of further reads.
        times: u64,
        /// The ids of what was read, as far as they were not recorded before: the first 20 of a stream.
        ids: Vec<String>,
    },
}

/// The state of staff access: only what `decide` needs.
#[derive(Debug, Clone, Default)]
pub struct StaffAccess {
    recorded: u64,
    ids: BTreeSet<String>,
}

impl Aggregate for StaffAccess {
    const CATEGORY: &'static str = "staff_access";
    const CONSTRAINTS_NEED_STATE: bool = false;
    type Id = StaffAccessId;
    type Command = Command;
    type Event = Event;
    type Rejection = Infallible;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Infallible> {
        let further = |total: u64| total.saturating_sub(self.recorded);
        Ok(match command {
            Command::Record { total, .. } | Command::RecordReads { total, .. } if further(*total) == 0 => vec![],
            Command::Record { operation, total } => {
                vec![Event::Recorded { operation: operation.clone(), times: further(*total) }]
            }
            Command::RecordReads { area, total, ids } => {
                let new = ids.iter().filter(|id| !self.ids.contains(*id)).cloned();
                let ids = new.take(MOST_IDS.saturating_sub(self.ids.len())).collect();
                vec![Event::Read { area: *area, times: further(*total), ids }]
            }
        })
    }

    fn evolve(&mut self, event: &Event) {
        match event {
            Event::Recorded { times, .. } => self.recorded += times,
            Event::Read { times, ids, .. } => {
                self.recorded += times;
                self.ids.extend(ids.iter().cloned());
            }
        }
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

    #[test]
    fn the_first_ids_of_what_was_read_are_recorded_once() {
        let ids = |numbers: std::ops::Range<usize>| numbers.map(|number| format!("usr_{number}")).collect::<Vec<_>>();
        let record = |total, numbers| Command::RecordReads { area: Area::Users, total, ids: ids(numbers) };
        let read = |times, numbers| Event::Read { area: Area::Users, times, ids: ids(numbers) };
        given::<StaffAccess>([]).when(record(1, 0..3)).then([read(1, 0..3)]);
        given::<StaffAccess>([read(1, 0..3)]).when(record(1, 0..3)).then([]);
        given::<StaffAccess>([read(1, 0..3)]).when(record(9, 0..30)).then([read(8, 3..20)]);
        given::<StaffAccess>([read(1, 0..3), read(8, 3..20)]).when(record(10, 5..40)).then([read(1, 0..0)]);
    }
}
