//! Why a command on a service order is rejected.

use super::Status;
use crate::Kind;

/// Why a command on a service order is rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// It does not exist.
    #[error("there is no such service order")]
    NotFound,
    /// A different service order has this id.
    #[error("a different service order with this id exists")]
    Exists,
    /// It is completed or canceled.
    #[error("the service order is {0}, and does not change any more")]
    Finished(Status),
    /// No vendor was asked.
    #[error("no vendor was asked yet: assign one first")]
    NotAssigned,
    /// The service is being provided.
    #[error("the service is being provided already: complete or cancel the order")]
    InProgress,
    /// Its status does not allow the answer.
    #[error("the service order is {0}: this answer is not possible now")]
    NotNow(Status),
}

impl crate::Rejection for Rejection {
    fn kind(&self) -> Kind {
        match self {
            Self::NotFound => Kind::NotFound,
            Self::Exists | Self::Finished(_) | Self::NotAssigned | Self::InProgress | Self::NotNow(_) => Kind::Conflict,
        }
    }

    fn slug(&self) -> &'static str {
        match self {
            Self::NotFound => "service-order-not-found",
            Self::Exists => "service-order-exists",
            Self::Finished(_) => "service-order-finished",
            Self::NotAssigned => "service-order-not-assigned",
            Self::InProgress => "service-order-in-progress",
            Self::NotNow(_) => "service-order-not-answerable",
        }
    }
}
