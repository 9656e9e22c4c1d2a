//! Why a command on a port call is rejected.

use super::{MAX_ORDERS, Status};
use crate::Kind;

/// Why a command on a port call is rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// It does not exist, or was deleted.
    #[error("there is no such port call")]
    NotFound,
    /// A different port call has this id, or had it before it was deleted.
    #[error("a different port call with this id exists, or existed before it was deleted")]
    Exists,
    /// The vessel would depart before it arrives.
    #[error("the time of departure (etd) must be after the time of arrival (eta)")]
    DepartsBeforeArrival,
    /// It is closed or canceled.
    #[error("the port call is {0}: an admin must reopen it first")]
    Finished(Status),
    /// It is no longer planned.
    #[error("the port call is {0}: its port can be changed only while it is planned")]
    PortIsFixed(Status),
    /// It has this status already, since another time.
    #[error("the port call is already {0}: to correct when, take the status back first")]
    HasStatus(Status),
    /// Another status follows.
    #[error("a port call that is {from} becomes {next} next")]
    AnotherFollows {
        /// The current status.
        from: Status,
        /// The status that follows.
        next: Status,
    },
    /// The time is in the future.
    #[error("occurred_at is in the future: record a status when it was reached")]
    InTheFuture,
    /// The time is before that of the current status.
    #[error(
        "occurred_at is before the current status, {0}, was reached: correct the time, or take the status back first"
    )]
    BeforeTheCurrent(Status),
    /// It has another status than the one to be taken back.
    #[error("the port call is {0}: only its current status can be taken back")]
    NotTheCurrent(Status),
    /// Nothing was set yet.
    #[error("the port call is planned since it was created: there is no status to take back")]
    NothingToRevert,
    /// There are too many service orders.
    #[error("a port call has at most {MAX_ORDERS} service orders, because all are canceled together with it")]
    TooManyOrders,
    /// It is neither planned nor canceled.
    #[error("the port call is {0}: cancel it first, or ask an admin, who can delete it in any status")]
    NotDeletable(Status),
}

impl crate::Rejection for Rejection {
    fn kind(&self) -> Kind {
        match self {
            Self::NotFound => Kind::NotFound,
            Self::DepartsBeforeArrival | Self::InTheFuture => Kind::Invalid,
            Self::Exists
            | Self::Finished(_)
            | Self::PortIsFixed(_)
            | Self::HasStatus(_)
            | Self::AnotherFollows { .. }
            | Self::BeforeTheCurrent(_)
            | Self::NotTheCurrent(_)
            | Self::NothingToRevert
            | Self::TooManyOrders
            | Self::NotDeletable(_) => Kind::Conflict,
        }
    }

    fn slug(&self) -> &'static str {
        match self {
            Self::NotFound => "port-call-not-found",
            Self::Exists => "port-call-exists",
            Self::DepartsBeforeArrival => "port-call-departs-before-arrival",
            Self::Finished(_) => "port-call-finished",
            Self::PortIsFixed(_) => "port-call-port-fixed",
            Self::HasStatus(_) => "port-call-has-status",
            Self::AnotherFollows { .. } => "port-call-another-status-follows",
            Self::InTheFuture => "port-call-status-in-the-future",
            Self::BeforeTheCurrent(_) => "port-call-status-before-the-current",
            Self::NotTheCurrent(_) => "port-call-not-the-current-status",
            Self::NothingToRevert => "port-call-nothing-to-revert",
            Self::TooManyOrders => "port-call-too-many-orders",
            Self::NotDeletable(_) => "port-call-not-deletable",
        }
    }
}
