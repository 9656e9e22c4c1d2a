//! Support: tickets, by which organizations and the platform's staff talk to each other.
//!
//! | file | what it owns |
//! |---|---|
//! | `ticket.rs` | a support ticket or billing inquiry, with its replies and its escalation |
//! | `ticket_number.rs` | the numbers of an organization's tickets: 1, 2, 3, … |
//! | `ticket_note.rs` | internal notes of the platform's staff on a ticket |

pub mod ticket;
pub mod ticket_note;
pub mod ticket_number;

pub use ticket::Ticket;
pub use ticket_note::TicketNote;
pub use ticket_number::TicketNumbers;
