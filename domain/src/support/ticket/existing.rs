//! A ticket that exists.

use jiff::Timestamp;

use super::{Author, Command, Event, Rejection, ReplyId, Side, Status, TicketKind, TicketText};
use crate::{Personal, Reason, UserId};

/// A ticket that exists: only what `decide` needs.
#[derive(Debug, Clone)]
pub(super) struct Existing {
    pub(super) number: u64,
    pub(super) kind: TicketKind,
    subject: Personal,
    text: Personal,
    opened_by: Author,
    pub(super) requester: Author,
    pub(super) status: Status,
    pub(super) resolved_by: Option<Author>,
    pub(super) assignee: Option<UserId>,
    pub(super) escalation: Option<Escalation>,
    /// The last reply; an earlier one is not repeated.
    last_reply: Option<(ReplyId, Personal)>,
}

/// An escalation to which staff has not replied yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Escalation {
    reason: Personal,
    /// By when staff has to reply.
    pub response_due_at: Timestamp,
    /// Whether that time has passed.
    pub is_missed: bool,
}

impl Existing {
    /// The ticket that an event opened.
    pub(super) fn of(event: &Event) -> Option<Self> {
        let Event::Opened { number, kind, subject, text, by, side } = event else { return None };
        Some(Self {
            number: *number,
            kind: *kind,
            subject: subject.clone(),
            text: text.clone(),
            opened_by: Author { user: *by, side: *side },
            requester: Author { user: *by, side: *side },
            status: Status::Open,
            resolved_by: None,
            assignee: None,
            escalation: None,
            last_reply: None,
        })
    }

    pub(super) fn decide(&self, command: &Command) -> Result<Vec<Event>, Rejection> {
        match command {
            Command::Open { kind, subject, text, by, .. } => {
                let is_same = Event::opened(self.number, *kind, subject, text, *by)
                    == Event::Opened {
                        number: self.number,
                        kind: self.kind,
                        subject: self.subject.clone(),
                        text: self.text.clone(),
                        by: self.opened_by.user,
                        side: self.opened_by.side,
                    };
                if is_same { Ok(vec![]) } else { Err(Rejection::Exists) }
            }
            Command::Reply { reply, text, by, now } => self.reply(*reply, text, *by, *now),
            Command::Escalate { reason, by, response_due_at } => self.escalate(reason, *by, *response_due_at),
            Command::MissResponse { now } => Ok(self.missed(*now).into_iter().collect()),
            Command::Assign { to } if *to == self.assignee => Ok(vec![]),
            Command::Assign { to } => Ok(vec![Event::Assigned { from: self.assignee, to: *to }]),
            Command::HandOver { from, to } => {
                let is_theirs = self.requester == Author { user: *from, side: Side::Organization };
                let changes = is_theirs && from != to && self.status == Status::Open;
                Ok(changes.then_some(Event::HandedOver { from: *from, to: *to }).into_iter().collect())
            }
            Command::Resolve { .. } if self.status == Status::Resolved => Ok(vec![]),
            Command::Resolve { by, now } => {
                let resolved = Event::Resolved { by: by.user, side: by.side };
                Ok(self.missed(*now).into_iter().chain([resolved]).collect())
            }
            Command::Reopen { .. } if self.status == Status::Open => Ok(vec![]),
            Command::Reopen { by } => Ok(vec![Event::Reopened { by: by.user, side: by.side }]),
        }
    }

    fn reply(&self, reply: ReplyId, text: &TicketText, by: Author, now: Timestamp) -> Result<Vec<Event>, Rejection> {
        let text = Personal::identity(by.user, text.as_str());
        if let Some((_, known)) = self.last_reply.as_ref().filter(|(last, _)| *last == reply) {
            return if *known == text { Ok(vec![]) } else { Err(Rejection::ReplyExists) };
        }
        self.must_be_open()?;
        let missed = self.missed(now).filter(|_| by.side == Side::Staff);
        let replied = Event::Replied { reply, text, by: by.user, side: by.side };
        Ok(missed.into_iter().chain([replied]).collect())
    }

    fn escalate(&self, reason: &Reason, by: Author, response_due_at: Timestamp) -> Result<Vec<Event>, Rejection> {
        if by.side == Side::Staff {
            return Err(Rejection::EscalatedByStaff);
        }
        let reason = Personal::identity(by.user, reason.as_str());
        self.must_be_open()?;
        match &self.escalation {
            Some(escalation) if escalation.reason == reason => Ok(vec![]),
            Some(_) => Err(Rejection::Escalated),
            None => Ok(vec![Event::Escalated { reason, by: by.user, response_due_at }]),
        }
    }

    fn must_be_open(&self) -> Result<(), Rejection> {
        if self.status == Status::Open { Ok(()) } else { Err(Rejection::Resolved) }
    }

    /// That staff has not replied in time, if that is so and was not recorded yet.
    fn missed(&self, now: Timestamp) -> Option<Event> {
        let escalation = self.escalation.as_ref().filter(|it| !it.is_missed && it.response_due_at <= now)?;
        Some(Event::ResponseMissed { response_due_at: escalation.response_due_at })
    }

    pub(super) fn evolve(&mut self, event: &Event) {
        match event {
            Event::Opened { .. } => {}
            Event::Replied { reply, text, side, .. } => {
                self.last_reply = Some((*reply, text.clone()));
                if *side == Side::Staff {
                    self.escalation = None;
                }
            }
            Event::Escalated { reason, response_due_at, .. } => {
                let (reason, response_due_at) = (reason.clone(), *response_due_at);
                self.escalation = Some(Escalation { reason, response_due_at, is_missed: false });
            }
            Event::ResponseMissed { .. } => {
                if let Some(escalation) = &mut self.escalation {
                    escalation.is_missed = true;
                }
            }
            Event::Assigned { to, .. } => self.assignee = *to,
            Event::HandedOver { to, .. } => self.requester.user = *to,
            Event::Resolved { by, side } => {
                (self.status, self.escalation) = (Status::Resolved, None);
                self.resolved_by = Some(Author { user: *by, side: *side });
            }
            Event::Reopened { .. } => self.status = Status::Open,
        }
    }
}
