//! An address to which mail goes, whoever has accounts with it: what concerns all of them is of the platform.

use std::convert::Infallible;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::address::EmailAddress;
use crate::{Aggregate, MailboxId, Personal};

/// What can be asked of a mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Tell it by mail which accounts there are with it: somebody who signs in has not said which one they mean.
    TellAccounts {
        /// Which it is: whose record the address belongs to.
        mailbox: MailboxId,
        /// Where the mail goes.
        email: EmailAddress,
        /// When it is asked.
        now: Timestamp,
    },
}

/// What can happen to a mailbox. Stored for ever: never reuse a name; a new shape is a new `.vN`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", deny_unknown_fields)]
pub enum Event {
    /// Its accounts are told by mail.
    #[serde(rename = "mailbox.accounts_told.v1")]
    AccountsTold {
        /// Where the mail goes.
        email: Personal,
        /// When it was asked.
        at: Timestamp,
    },
}

/// How long nothing is told again: whoever knows an address could fill its mailbox.
const PAUSE: SignedDuration = SignedDuration::from_hours(24);

/// A mailbox, as far as decisions need it.
#[derive(Debug, Clone, Default)]
pub struct Mailbox {
    told: Option<(Timestamp, Personal)>,
}

impl Mailbox {
    /// Where mail goes; `None` if none ever went.
    pub fn email(&self) -> Option<&Personal> {
        self.told.as_ref().map(|(_, email)| email)
    }
}

impl Aggregate for Mailbox {
    const CATEGORY: &'static str = "mailbox";
    type Id = MailboxId;
    type Command = Command;
    type Event = Event;
    // Nothing is refused.
    type Refusal = Infallible;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Infallible> {
        let Command::TellAccounts { mailbox, email, now } = command;
        let is_told = self.told.as_ref().is_some_and(|(at, _)| now.duration_since(*at) < PAUSE);
        let email = Personal::identity(*mailbox, email.to_string());
        Ok(if is_told { vec![] } else { vec![Event::AccountsTold { email, at: *now }] })
    }

    fn evolve(&mut self, event: &Event) {
        let Event::AccountsTold { email, at } = event;
        self.told = Some((*at, email.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::given;

    #[test]
    fn accounts_are_told_once_a_day() {
        let mailbox = MailboxId(uuid::Uuid::from_u128(5));
        let at = |second| Timestamp::from_second(second).unwrap();
        let tell = |now| Command::TellAccounts { mailbox, email: EmailAddress::new("ana@acme.example").unwrap(), now };
        let told = |at| Event::AccountsTold { email: Personal::identity(mailbox, "ana@acme.example"), at };
        given::<Mailbox>([]).when(tell(at(0))).then([told(at(0))]);
        given::<Mailbox>([told(at(0))]).when(tell(at(0))).then([]);
        given::<Mailbox>([told(at(0))]).when(tell(at(86_399))).then([]);
        given::<Mailbox>([told(at(0))]).when(tell(at(86_400))).then([told(at(86_400))]);
    }
}
