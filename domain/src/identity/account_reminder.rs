//! Reminders of the accounts with an email address, requested when somebody with several accounts signs in without
//! naming the organization: one stream per address, in the platform's organization.

use std::convert::Infallible;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::address::EmailAddress;
use crate::{AccountReminderId, Aggregate, Personal};

/// Commands on account reminders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Mail a list of the accounts with the address.
    Request {
        /// The reminder for this address: the owner of the address as a personal value.
        reminder: AccountReminderId,
        /// Where the mail goes.
        email: EmailAddress,
        /// When it is requested.
        now: Timestamp,
    },
}

/// Events of account reminders. Stored forever: never reuse a name; a new shape is a new `.vN`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", deny_unknown_fields)]
pub enum Event {
    /// A mail that lists the accounts was requested.
    #[serde(rename = "account_reminder.requested.v1")]
    Requested {
        /// Where the mail goes.
        email: Personal,
        /// When it was requested.
        at: Timestamp,
    },
}

/// The minimum time between two mails: otherwise anybody who knows an address could flood its mailbox.
const PAUSE: SignedDuration = SignedDuration::from_hours(24);

/// The state of an address's reminders: only what `decide` needs.
#[derive(Debug, Clone, Default)]
pub struct AccountReminder {
    last: Option<(Timestamp, Personal)>,
}

impl AccountReminder {
    /// The email address; `None` if no mail was ever requested.
    pub fn email(&self) -> Option<&Personal> {
        self.last.as_ref().map(|(_, email)| email)
    }
}

impl Aggregate for AccountReminder {
    const CATEGORY: &'static str = "account_reminder";
    const CONSTRAINTS_NEED_STATE: bool = false;
    type Id = AccountReminderId;
    type Command = Command;
    type Event = Event;
    type Rejection = Infallible;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Infallible> {
        let Command::Request { reminder, email, now } = command;
        let is_recent = self.last.as_ref().is_some_and(|(at, _)| now.duration_since(*at) < PAUSE);
        let email = Personal::identity(*reminder, email.to_string());
        Ok(if is_recent { vec![] } else { vec![Event::Requested { email, at: *now }] })
    }

    fn evolve(&mut self, event: &Event) {
        let Event::Requested { email, at } = event;
        self.last = Some((*at, email.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::given;

    #[test]
    fn a_reminder_is_mailed_at_most_once_a_day() {
        let reminder = AccountReminderId(uuid::Uuid::from_u128(5));
        let at = |second| Timestamp::from_second(second).unwrap();
        let request = |now| Command::Request { reminder, email: EmailAddress::new("ana@acme.example").unwrap(), now };
        let requested = |at| Event::Requested { email: Personal::identity(reminder, "ana@acme.example"), at };
        given::<AccountReminder>([]).when(request(at(0))).then([requested(at(0))]);
        given::<AccountReminder>([requested(at(0))]).when(request(at(0))).then([]);
        given::<AccountReminder>([requested(at(0))]).when(request(at(86_399))).then([]);
        given::<AccountReminder>([requested(at(0))]).when(request(at(86_400))).then([requested(at(86_400))]);
    }
}
