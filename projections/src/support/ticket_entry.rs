//! The thread of a ticket: what was written, and what happened to it.

use jiff::Timestamp;
use porttask_domain::{
    OrganizationId, UserId,
    support::ticket::{Event, Side, TicketId},
};

use crate::{Change, Index, Key, ReadModel, Recorded, Value, row, text_columns};

porttask_domain::texts! {
    /// What an entry in the thread of a ticket is.
    pub enum EntryKind {
        /// The text with which it was opened.
        Opened = "opened",
        /// A reply.
        Reply = "reply",
        /// An escalation, with its reason.
        Escalated = "escalated",
        /// Staff has not replied in time.
        ResponseMissed = "response_missed",
        /// It was handed over to the author.
        HandedOver = "handed_over",
        /// It was resolved.
        Resolved = "resolved",
        /// It was reopened.
        Reopened = "reopened",
    }
}

text_columns!(EntryKind);

row! {
    /// An entry.
    pub struct TicketEntry {
        key {
            /// The organization.
            organization: OrganizationId,
            /// The ticket.
            ticket: TicketId,
            /// The version of the ticket with this entry.
            version: u64,
        }
        row {
            /// What it is.
            kind: EntryKind,
            /// Who wrote or did it, or to whom it was handed over; `None` for the platform itself.
            author: Option<UserId>,
            /// For whom; `None` for the platform itself.
            side: Option<Side>,
            /// What was written; `None` if nothing was, or it was erased.
            text: Option<String>,
            /// When it happened.
            occurred_at: Timestamp,
        }
    }
}

/// What was written in a ticket, and what happened to it?
pub struct TicketEntries;

impl ReadModel for TicketEntries {
    const NAME: &'static str = "ticket_entries";
    const VERSION: u32 = 1;
    const INDEXES: &'static [Index] = &[];
    type Source = Event;
    type Row = TicketEntry;

    fn keys(event: &Event, recorded: &Recorded) -> Vec<Key> {
        match event {
            Event::Assigned { .. } => Vec::new(),
            Event::Opened { .. }
            | Event::Replied { .. }
            | Event::Escalated { .. }
            | Event::ResponseMissed { .. }
            | Event::HandedOver { .. }
            | Event::Resolved { .. }
            | Event::Reopened { .. } => {
                let version = Value::Integer(recorded.version.cast_signed());
                vec![vec![Value::Id(recorded.organization.0), Value::Id(recorded.subject), version]]
            }
        }
    }

    fn project(_: Option<TicketEntry>, event: &Event, recorded: &Recorded) -> Change<TicketEntry> {
        let (kind, by, text) = match event {
            Event::Opened { text, by, side, .. } => (EntryKind::Opened, Some((*by, *side)), text.value()),
            Event::Replied { text, by, side, .. } => (EntryKind::Reply, Some((*by, *side)), text.value()),
            Event::Escalated { reason, by, .. } => {
                (EntryKind::Escalated, Some((*by, Side::Organization)), reason.value())
            }
            Event::ResponseMissed { .. } => (EntryKind::ResponseMissed, None, None),
            Event::HandedOver { to, .. } => (EntryKind::HandedOver, Some((*to, Side::Organization)), None),
            Event::Resolved { by, side } => (EntryKind::Resolved, Some((*by, *side)), None),
            Event::Reopened { by, side } => (EntryKind::Reopened, Some((*by, *side)), None),
            Event::Assigned { .. } => return Change::Keep,
        };
        let (author, side) = by.unzip();
        Change::Put(TicketEntry {
            organization: recorded.organization,
            ticket: TicketId(recorded.subject),
            version: recorded.version,
            kind,
            author,
            side,
            text: text.map(str::to_owned),
            occurred_at: recorded.time(),
        })
    }
}
