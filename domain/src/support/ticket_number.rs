//! The numbers of an organization's tickets. One stream per organization hands them out: two tickets that are opened at
//! the same time expect the same version of it, so one of them is decided again and gets the next number.

use serde::{Deserialize, Serialize};

use super::ticket::TicketId;
use crate::{Aggregate, Kind, OrganizationId};

crate::ids! {
    /// The numbers of an organization's tickets: the same UUID as the organization.
    TicketNumbersId = "tkn";
}

impl From<OrganizationId> for TicketNumbersId {
    fn from(organization: OrganizationId) -> Self {
        Self(organization.0)
    }
}

/// Commands on the numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Give the next number to a ticket.
    Take {
        /// The ticket.
        ticket: TicketId,
    },
}

/// Events of the numbers. Stored forever: never reuse a name; a new shape is a new `.vN`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", deny_unknown_fields)]
pub enum Event {
    /// A ticket got a number.
    #[serde(rename = "ticket_numbers.taken.v1")]
    Taken {
        /// The number.
        number: u64,
        /// The ticket.
        ticket: TicketId,
    },
}

/// Why no number is given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// There are no numbers left.
    #[error("the organization has no number left for another ticket")]
    NoneLeft,
}

impl crate::Rejection for Rejection {
    fn kind(&self) -> Kind {
        match self {
            Self::NoneLeft => Kind::LimitReached,
        }
    }

    fn slug(&self) -> &'static str {
        match self {
            Self::NoneLeft => "no-ticket-number-left",
        }
    }
}

/// The numbers, as far as decisions need them.
#[derive(Debug, Clone, Default)]
pub struct TicketNumbers {
    last: Option<(u64, TicketId)>,
}

impl TicketNumbers {
    /// The number of the next ticket.
    pub fn next(&self) -> u64 {
        self.last.map_or(1, |(number, _)| number.saturating_add(1))
    }
}

impl Aggregate for TicketNumbers {
    const CATEGORY: &'static str = "ticket_numbers";
    const CONSTRAINTS_NEED_STATE: bool = false;
    type Id = TicketNumbersId;
    type Command = Command;
    type Event = Event;
    type Rejection = Rejection;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Rejection> {
        let Command::Take { ticket } = command;
        if self.last.is_some_and(|(_, last)| last == *ticket) {
            return Ok(vec![]);
        }
        match self.next() {
            u64::MAX => Err(Rejection::NoneLeft),
            number => Ok(vec![Event::Taken { number, ticket: *ticket }]),
        }
    }

    fn evolve(&mut self, event: &Event) {
        let Event::Taken { number, ticket } = event;
        self.last = Some((*number, *ticket));
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::testing::given;

    #[test]
    fn numbers_rise_by_one_and_a_ticket_gets_one() {
        let id = |number| TicketId(Uuid::from_u128(number));
        let taken = |number: u64| Event::Taken { number, ticket: id(number.into()) };
        given::<TicketNumbers>([]).when(Command::Take { ticket: id(1) }).then([taken(1)]);
        given::<TicketNumbers>([taken(1)]).when(Command::Take { ticket: id(1) }).then([]);
        given::<TicketNumbers>([taken(1), taken(2)]).when(Command::Take { ticket: id(3) }).then([taken(3)]);
        let last = Event::Taken { number: u64::MAX, ticket: id(1) };
        given::<TicketNumbers>([last]).when(Command::Take { ticket: id(2) }).then_rejected(Rejection::NoneLeft);
    }
}
