//! Why a command on a ticket is rejected.

use crate::Kind;

/// Why a command on a ticket is rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// It does not exist.
    #[error("there is no such ticket")]
    NotFound,
    /// A different ticket with this id exists.
    #[error("a ticket with this id already exists")]
    Exists,
    /// A different reply with this id exists.
    #[error("a reply with this id already exists")]
    ReplyExists,
    /// It is resolved.
    #[error("the ticket is resolved: reopen it first")]
    Resolved,
    /// It is escalated, and staff has not replied yet.
    #[error("the ticket is already escalated, and staff has not replied yet")]
    Escalated,
    /// Staff cannot escalate it.
    #[error("only the organization of the ticket can escalate it")]
    EscalatedByStaff,
}

impl crate::Rejection for Rejection {
    fn kind(&self) -> Kind {
        match self {
            Self::NotFound => Kind::NotFound,
            Self::Exists | Self::ReplyExists | Self::Resolved | Self::Escalated => Kind::Conflict,
            Self::EscalatedByStaff => Kind::Forbidden,
        }
    }

    fn slug(&self) -> &'static str {
        match self {
            Self::NotFound => "ticket-not-found",
            Self::Exists => "ticket-exists",
            Self::ReplyExists => "ticket-reply-exists",
            Self::Resolved => "ticket-resolved",
            Self::Escalated => "ticket-escalated",
            Self::EscalatedByStaff => "ticket-escalation-by-staff",
        }
    }
}
