//! Internal notes of the platform's staff on a ticket. They are recorded in the platform's own organization: the
//! organization of the ticket sees neither them nor their number.

use serde::{Deserialize, Serialize};

use super::ticket::{TicketId, TicketText};
use crate::{Aggregate, Kind, OrganizationId, PersonId, Personal, UserId};

crate::ids! {
    /// An internal note on a ticket.
    TicketNoteId = "tnt";
}

/// Commands on a note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Add it.
    Add {
        /// The organization of the ticket.
        organization: OrganizationId,
        /// The ticket.
        ticket: TicketId,
        /// Who writes it.
        by: UserId,
        /// Its text.
        text: TicketText,
    },
}

/// Events of a note. Stored forever: never reuse a name; a new shape is a new `.vN`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", deny_unknown_fields)]
pub enum Event {
    /// It was added.
    #[serde(rename = "ticket_note.added.v1")]
    Added {
        /// The organization of the ticket.
        organization: OrganizationId,
        /// The ticket.
        ticket: TicketId,
        /// Who wrote it.
        by: UserId,
        /// Its text.
        text: Personal,
    },
}

/// Why a command on a note is rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// A different note with this id exists.
    #[error("a note with this id already exists")]
    Exists,
}

impl crate::Rejection for Rejection {
    fn kind(&self) -> Kind {
        match self {
            Self::Exists => Kind::Conflict,
        }
    }

    fn slug(&self) -> &'static str {
        match self {
            Self::Exists => "ticket-note-exists",
        }
    }
}

/// A note, as far as decisions need it.
#[derive(Debug, Clone, Default)]
pub struct TicketNote(Option<Event>);

impl Aggregate for TicketNote {
    const CATEGORY: &'static str = "ticket_note";
    const CONSTRAINTS_NEED_STATE: bool = false;
    type Id = TicketNoteId;
    type Command = Command;
    type Event = Event;
    type Rejection = Rejection;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Rejection> {
        let Command::Add { organization, ticket, by, text } = command;
        let text = Personal::identity(PersonId::from(*by), text.as_str());
        let added = Event::Added { organization: *organization, ticket: *ticket, by: *by, text };
        match &self.0 {
            None => Ok(vec![added]),
            Some(known) if *known == added => Ok(vec![]),
            Some(_) => Err(Rejection::Exists),
        }
    }

    fn evolve(&mut self, event: &Event) {
        self.0 = Some(event.clone());
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::testing::given;

    #[test]
    fn a_note_is_added_once() {
        let (organization, ticket) = (OrganizationId(Uuid::from_u128(7)), TicketId(Uuid::from_u128(8)));
        let by = UserId(Uuid::from_u128(1));
        let add = |text| Command::Add { organization, ticket, by, text: TicketText::new(text).unwrap() };
        let added = |text: &str| Event::Added { organization, ticket, by, text: Personal::identity(by, text) };
        given::<TicketNote>([]).when(add("calls back")).then([added("calls back")]);
        given::<TicketNote>([added("calls back")]).when(add("calls back")).then([]);
        given::<TicketNote>([added("calls back")]).when(add("paid")).then_rejected(Rejection::Exists);
    }
}
