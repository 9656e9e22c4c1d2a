//! What can happen to a ticket.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Author, ReplyId, Side, TicketKind, TicketSubject, TicketText};
use crate::{Personal, UserId};

/// Events of a ticket. Stored forever: never reuse a name; a new shape is a new `.vN`. Texts belong to whoever wrote them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", deny_unknown_fields)]
pub enum Event {
    /// It was opened.
    #[serde(rename = "ticket.opened.v1")]
    Opened {
        /// Its number within the organization.
        number: u64,
        /// What it is about.
        kind: TicketKind,
        /// Its subject.
        subject: Personal,
        /// Its first text.
        text: Personal,
        /// Who opened it.
        by: UserId,
        /// For whom.
        side: Side,
    },
    /// Somebody replied.
    #[serde(rename = "ticket.replied.v1")]
    Replied {
        /// The reply.
        reply: ReplyId,
        /// Its text.
        text: Personal,
        /// Who replied.
        by: UserId,
        /// For whom.
        side: Side,
    },
    /// The organization escalated it.
    #[serde(rename = "ticket.escalated.v1")]
    Escalated {
        /// Why.
        reason: Personal,
        /// Who escalated it.
        by: UserId,
        /// By when staff has to reply.
        response_due_at: Timestamp,
    },
    /// Staff has not replied in time.
    #[serde(rename = "ticket.response_missed.v1")]
    ResponseMissed {
        /// By when staff had to reply.
        response_due_at: Timestamp,
    },
    /// It was assigned to a member of the staff, or to nobody.
    #[serde(rename = "ticket.assigned.v1")]
    Assigned {
        /// The former assignee.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        from: Option<UserId>,
        /// The assignee.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        to: Option<UserId>,
    },
    /// It was handed over to another user of the organization, because the former requester was deactivated.
    #[serde(rename = "ticket.handed_over.v1")]
    HandedOver {
        /// The former requester.
        from: UserId,
        /// The requester: who asks from now on, and is notified.
        to: UserId,
    },
    /// It was resolved.
    #[serde(rename = "ticket.resolved.v1")]
    Resolved {
        /// Who resolved it.
        by: UserId,
        /// For whom.
        side: Side,
    },
    /// It was reopened.
    #[serde(rename = "ticket.reopened.v1")]
    Reopened {
        /// Who reopened it.
        by: UserId,
        /// For whom.
        side: Side,
    },
}

impl Event {
    pub(super) fn opened(
        number: u64,
        kind: TicketKind,
        subject: &TicketSubject,
        text: &TicketText,
        by: Author,
    ) -> Self {
        let personal = |text: &str| Personal::identity(by.user, text);
        let (subject, text) = (personal(subject.as_str()), personal(text.as_str()));
        Self::Opened { number, kind, subject, text, by: by.user, side: by.side }
    }
}
