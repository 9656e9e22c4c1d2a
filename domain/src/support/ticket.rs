//! Tickets: support requests and billing inquiries of an organization, answered by the platform's staff.

mod event;
mod existing;
mod rejection;
#[cfg(test)]
mod tests;

use jiff::Timestamp;

use self::existing::Existing;
pub use self::{event::Event, existing::Escalation, rejection::Rejection};
use crate::{Aggregate, InvalidText, Reason, UserId, text};

crate::ids! {
    /// A support ticket or billing inquiry.
    TicketId = "tkt";
    /// A reply to a ticket.
    ReplyId = "rpl";
}

crate::texts! {
    /// What a ticket is about.
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = TicketKind))]
    pub enum TicketKind {
        /// Questions and problems.
        Support = "support",
        /// The subscription, invoices and payment.
        Billing = "billing",
    }

    /// The status of a ticket.
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = TicketStatus))]
    pub enum Status {
        /// In progress.
        Open = "open",
        /// Answered; it can be reopened.
        Resolved = "resolved",
    }

    /// For whom somebody writes or acts in a ticket.
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = TicketSide))]
    pub enum Side {
        /// The organization.
        Organization = "organization",
        /// The platform's staff.
        Staff = "staff",
    }
}

/// Who writes or acts in a ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Author {
    /// The user; of an API key, its owner.
    pub user: UserId,
    /// For whom.
    pub side: Side,
}

/// What can be asked of a ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Open it.
    Open {
        /// Its number within the organization.
        number: u64,
        /// What it is about.
        kind: TicketKind,
        /// Its subject.
        subject: TicketSubject,
        /// Its first text.
        text: TicketText,
        /// Who opens it.
        by: Author,
    },
    /// Reply to it. A reply by staff meets the response target of an escalation.
    Reply {
        /// The reply.
        reply: ReplyId,
        /// Its text.
        text: TicketText,
        /// Who replies.
        by: Author,
        /// When.
        now: Timestamp,
    },
    /// Escalate it: staff has to reply by a time.
    Escalate {
        /// Why.
        reason: Reason,
        /// Who escalates it.
        by: Author,
        /// By when staff has to reply.
        response_due_at: Timestamp,
    },
    /// Record that staff has not replied in time.
    MissResponse {
        /// The current time.
        now: Timestamp,
    },
    /// Assign it to a member of the staff, or to nobody.
    Assign {
        /// The assignee.
        to: Option<UserId>,
    },
    /// Hand it over from a user of the organization who asks to another one. One of somebody else, or that is resolved, stays
    /// as it is.
    HandOver {
        /// The former requester.
        from: UserId,
        /// The requester.
        to: UserId,
    },
    /// Resolve it.
    Resolve {
        /// Who resolves it.
        by: Author,
        /// When.
        now: Timestamp,
    },
    /// Reopen it.
    Reopen {
        /// Who reopens it.
        by: Author,
    },
}

/// The subject of a ticket: one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TicketSubject(String);

/// A text in a ticket: one or several lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TicketText(String);

text::entered!(TicketSubject, TicketText);

impl TicketSubject {
    /// The maximum length, in characters.
    pub const MAX_CHARACTERS: usize = 200;

    /// # Errors
    /// If it is empty, too long, or has control or invisible characters.
    pub fn new(text: &str) -> Result<Self, InvalidText> {
        text::line(text, Self::MAX_CHARACTERS).map(Self)
    }

    /// The subject.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TicketText {
    /// The maximum length, in characters.
    pub const MAX_CHARACTERS: usize = 10_000;

    /// # Errors
    /// If it is empty, too long, or has control or invisible characters other than line breaks and tabs.
    pub fn new(text: &str) -> Result<Self, InvalidText> {
        text::lines(text, Self::MAX_CHARACTERS).map(Self)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A ticket, as far as decisions need it.
#[derive(Debug, Clone, Default)]
pub struct Ticket(Option<Existing>);

impl Ticket {
    /// Its number within the organization; `None` if it does not exist.
    pub fn number(&self) -> Option<u64> {
        self.0.as_ref().map(|existing| existing.number)
    }

    /// What it is about; `None` if it does not exist.
    pub fn kind(&self) -> Option<TicketKind> {
        self.0.as_ref().map(|existing| existing.kind)
    }

    /// Its status; `None` if it does not exist.
    pub fn status(&self) -> Option<Status> {
        self.0.as_ref().map(|existing| existing.status)
    }

    /// Who asks, and is notified: whoever opened it, or to whom it was handed over; `None` if it does not exist.
    pub fn requester(&self) -> Option<Author> {
        self.0.as_ref().map(|existing| existing.requester)
    }

    /// Who resolved it last.
    pub fn resolved_by(&self) -> Option<Author> {
        self.0.as_ref().and_then(|existing| existing.resolved_by)
    }

    /// To whom it is assigned.
    pub fn assignee(&self) -> Option<UserId> {
        self.0.as_ref().and_then(|existing| existing.assignee)
    }

    /// The escalation to which staff has not replied yet.
    pub fn open_escalation(&self) -> Option<Escalation> {
        self.0.as_ref().and_then(|existing| existing.escalation.clone())
    }
}

impl Aggregate for Ticket {
    const CATEGORY: &'static str = "ticket";
    const CONSTRAINTS_NEED_STATE: bool = false;
    type Id = TicketId;
    type Command = Command;
    type Event = Event;
    type Rejection = Rejection;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Rejection> {
        match (&self.0, command) {
            (Some(existing), command) => existing.decide(command),
            (None, Command::Open { number, kind, subject, text, by }) => {
                Ok(vec![Event::opened(*number, *kind, subject, text, *by)])
            }
            (None, _) => Err(Rejection::NotFound),
        }
    }

    fn evolve(&mut self, event: &Event) {
        match &mut self.0 {
            Some(existing) => existing.evolve(event),
            None => self.0 = Existing::of(event),
        }
    }
}
