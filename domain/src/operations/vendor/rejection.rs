//! Why commands to vendors are rejected.

use super::MAX_CONTACTS;
use crate::Kind;

/// Why a command to a vendor is rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// It does not exist.
    #[error("there is no such vendor")]
    NotFound,
    /// Another vendor has this id.
    #[error("a vendor with this id exists already")]
    Exists,
    /// It is archived.
    #[error("the vendor is archived: restore it first")]
    Archived,
    /// It offers nothing.
    #[error("a vendor needs at least one service")]
    NoServices,
    /// There are too many contacts.
    #[error("a vendor has at most {MAX_CONTACTS} contacts")]
    TooManyContacts,
}

impl crate::Rejection for Rejection {
    fn kind(&self) -> Kind {
        match self {
            Self::NotFound => Kind::NotFound,
            Self::Exists | Self::Archived => Kind::Conflict,
            Self::NoServices | Self::TooManyContacts => Kind::Invalid,
        }
    }

    fn slug(&self) -> &'static str {
        match self {
            Self::NotFound => "vendor-not-found",
            Self::Exists => "vendor-exists",
            Self::Archived => "vendor-archived",
            Self::NoServices => "vendor-without-services",
            Self::TooManyContacts => "vendor-too-many-contacts",
        }
    }
}
