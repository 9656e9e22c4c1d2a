//! Tickets.

use jiff::Timestamp;
use porttask_domain::{
    OrganizationId, Personal, TextEnum, UserId,
    support::ticket::{Event, Side, Status, TicketId, TicketKind},
};

use crate::{
    Change, Index, ReadModel, Recorded,
    audit_text::{DescriptionSink, DisplayValue},
    id_columns, normalized, row, text_columns,
};

id_columns!(TicketId);
text_columns!(Side, Status, TicketKind);

row! {
    /// A ticket.
    pub struct Ticket {
        key {
            /// The organization.
            organization: OrganizationId,
            /// The id.
            ticket: TicketId,
        }
        row {
            /// Its number within the organization.
            ticket_number: u64,
            /// What it is about.
            kind: TicketKind,
            /// Its subject; `None` once it was erased.
            subject: Option<String>,
            /// The subject as it is searched.
            normalized_subject: String,
            /// The status.
            status: Status,
            /// Who opened it.
            opened_by: UserId,
            /// For whom.
            opened_side: Side,
            /// Who asks: whoever opened it, or to whom it was handed over.
            requester: UserId,
            /// When it was opened.
            opened_at: Timestamp,
            /// When something was last written or done.
            last_activity_at: Timestamp,
            /// The number of texts: the first and all replies.
            messages: u64,
            /// Whether it is escalated and not resolved.
            escalated: bool,
            /// When it was last escalated.
            escalated_at: Option<Timestamp>,
            /// By when staff has to reply, or had to.
            response_due_at: Option<Timestamp>,
            /// When staff replied to the escalation.
            responded_at: Option<Timestamp>,
            /// Whether staff has not replied in time.
            response_missed: bool,
            /// To whom of the staff it is assigned.
            assignee: Option<UserId>,
            /// When it was resolved; `None` if it is open.
            resolved_at: Option<Timestamp>,
            /// The version.
            version: u64,
        }
    }
}

/// What does an organization ask, and what becomes of it?
pub struct Tickets;

impl ReadModel for Tickets {
    const NAME: &'static str = "tickets";
    const VERSION: u32 = 2;
    const INDEXES: &'static [Index] = &[
        Index { name: "by_activity", columns: &["organization", "last_activity_at", "ticket"] },
        Index { name: "by_number", columns: &["organization", "ticket_number", "ticket"] },
        Index { name: "by_requester", columns: &["organization", "requester", "status", "ticket_number", "ticket"] },
        Index { name: "all_by_activity", columns: &["last_activity_at", "organization", "ticket"] },
        Index { name: "all_by_age", columns: &["opened_at", "organization", "ticket"] },
        Index { name: "all_by_status", columns: &["status", "last_activity_at", "organization", "ticket"] },
    ];
    const FULL_TEXT_COLUMNS: &'static [&'static str] = &["normalized_subject"];
    type Source = Event;
    type Row = Ticket;

    fn project(row: Option<Ticket>, event: &Event, recorded: &Recorded) -> Change<Ticket> {
        let (version, now) = (recorded.version, recorded.time());
        if let Event::Opened { number, kind, subject, text: _, by, side } = event {
            return Change::Put(Ticket {
                organization: recorded.organization,
                ticket: TicketId(recorded.subject),
                ticket_number: *number,
                kind: *kind,
                subject: subject.value().map(str::to_owned),
                normalized_subject: subject.value().map(normalized).unwrap_or_default(),
                status: Status::Open,
                opened_by: *by,
                opened_side: *side,
                requester: *by,
                opened_at: now,
                last_activity_at: now,
                messages: 1,
                escalated: false,
                escalated_at: None,
                response_due_at: None,
                responded_at: None,
                response_missed: false,
                assignee: None,
                resolved_at: None,
                version,
            });
        }
        let Some(row) = row else { return Change::Keep };
        Change::Put(Ticket { version, ..row.after(event, now) })
    }
}

impl Ticket {
    fn after(self, event: &Event, now: Timestamp) -> Self {
        let active = |row: Self| Self { last_activity_at: now, ..row };
        match event {
            Event::Opened { .. } => self,
            Event::Replied { side, .. } => {
                let responded_at = self.responded_at.or((*side == Side::Staff && self.escalated).then_some(now));
                active(Self { messages: self.messages + 1, responded_at, ..self })
            }
            Event::Escalated { response_due_at, .. } => active(Self {
                escalated: true,
                escalated_at: Some(now),
                response_due_at: Some(*response_due_at),
                responded_at: None,
                response_missed: false,
                ..self
            }),
            Event::ResponseMissed { .. } => Self { response_missed: true, ..self },
            Event::Assigned { to, .. } => Self { assignee: *to, ..self },
            Event::HandedOver { to, .. } => Self { requester: *to, ..self },
            Event::Resolved { .. } => {
                active(Self { status: Status::Resolved, escalated: false, resolved_at: Some(now), ..self })
            }
            Event::Reopened { .. } => active(Self { status: Status::Open, resolved_at: None, ..self }),
        }
    }
}

/// What happened, for the audit log. Texts are in the ticket only: not everybody who reads the log may read tickets.
pub(crate) fn describe(event: &Event, sink: &mut dyn DescriptionSink) {
    match event {
        Event::Opened { number, kind, subject, .. } => opened(*number, *kind, subject, sink),
        Event::Replied { .. } => sink.words("replied to the ticket"),
        Event::Escalated { response_due_at, .. } => {
            sink.words("escalated the ticket");
            sink.change("response_due_at", None, Some(DisplayValue::Filtered(response_due_at)));
        }
        Event::ResponseMissed { response_due_at } => {
            sink.words("recorded that staff has not replied to the escalated ticket in time");
            sink.change("response_due_at", None, Some(DisplayValue::Filtered(response_due_at)));
        }
        Event::Assigned { from, to } => {
            sink.words(match to {
                Some(_) => "assigned the ticket to a member of the staff",
                None => "assigned the ticket to nobody",
            });
            let from = from.as_ref().map(|user| DisplayValue::Filtered(user));
            sink.change("assignee", from, to.as_ref().map(|user| DisplayValue::Filtered(user)));
        }
        Event::HandedOver { from, to } => {
            sink.words("handed over the ticket to another user");
            sink.change("requester", Some(DisplayValue::Filtered(from)), Some(DisplayValue::Filtered(to)));
        }
        Event::Resolved { .. } => {
            sink.words("resolved the ticket");
            sink.change("status", None, Some(DisplayValue::Text(Status::Resolved.as_str())));
        }
        Event::Reopened { .. } => {
            sink.words("reopened the ticket");
            sink.change("status", None, Some(DisplayValue::Text(Status::Open.as_str())));
        }
    }
}

fn opened(number: u64, kind: TicketKind, subject: &Personal, sink: &mut dyn DescriptionSink) {
    sink.words(match kind {
        TicketKind::Support => "opened the support ticket ",
        TicketKind::Billing => "opened the billing ticket ",
    });
    sink.value(DisplayValue::Written(&number));
    sink.change("number", None, Some(DisplayValue::Written(&number)));
    sink.change("kind", None, Some(DisplayValue::Text(kind.as_str())));
    sink.change("subject", None, Some(DisplayValue::Personal(subject)));
}
