//! Support tickets.

pub mod ticket;
pub mod ticket_entry;
pub mod ticket_note;
pub(crate) mod ticket_number;

use crate::{Model, model};

/// The read models of the module.
pub(crate) fn models() -> Vec<Box<dyn Model>> {
    vec![model::<ticket::Tickets>(), model::<ticket_entry::TicketEntries>(), model::<ticket_note::TicketNotes>()]
}
