//! Internal notes of the platform's staff on tickets.

use jiff::Timestamp;
use porttask_domain::{
    OrganizationId, UserId,
    support::{
        ticket::TicketId,
        ticket_note::{Event, TicketNoteId},
    },
};

use crate::{
    Change, Index, ReadModel, Recorded,
    audit_text::{DescriptionSink, DisplayValue},
    id_columns, row,
};

id_columns!(TicketNoteId);

row! {
    /// A note.
    pub struct TicketNote {
        key {
            /// The platform's organization.
            organization: OrganizationId,
            /// The note.
            note: TicketNoteId,
        }
        row {
            /// The organization of the ticket.
            of: OrganizationId,
            /// The ticket.
            ticket: TicketId,
            /// Who wrote it.
            author: UserId,
            /// Its text; `None` once it was erased.
            text: Option<String>,
            /// When it was added.
            created_at: Timestamp,
        }
    }
}

/// What do members of the staff tell each other about a ticket?
pub struct TicketNotes;

impl ReadModel for TicketNotes {
    const NAME: &'static str = "ticket_notes";
    const VERSION: u32 = 1;
    const INDEXES: &'static [Index] =
        &[Index { name: "by_ticket", columns: &["organization", "ticket", "created_at", "note"] }];
    type Source = Event;
    type Row = TicketNote;

    fn project(_: Option<TicketNote>, event: &Event, recorded: &Recorded) -> Change<TicketNote> {
        let Event::Added { organization, ticket, by, text } = event;
        Change::Put(TicketNote {
            organization: recorded.organization,
            note: TicketNoteId(recorded.subject),
            of: *organization,
            ticket: *ticket,
            author: *by,
            text: text.value().map(str::to_owned),
            created_at: recorded.time(),
        })
    }
}

/// Describes an event for the audit log of the platform.
pub(crate) fn describe(event: &Event, sink: &mut dyn DescriptionSink) {
    let Event::Added { organization, ticket, by: _, text: _ } = event;
    sink.words("added an internal note to a ticket");
    sink.change("organization", None, Some(DisplayValue::Filtered(organization)));
    sink.change("ticket", None, Some(DisplayValue::Filtered(ticket)));
}
