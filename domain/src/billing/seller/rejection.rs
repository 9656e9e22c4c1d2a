//! Why commands on the seller are rejected.

use crate::{Kind, identity::settings::InvalidSetting};

/// Why a command on the seller is rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// Something is missing in the profile.
    #[error("the profile of the seller lacks {}: a super admin enters it under Administration → Seller", .0.join(", "))]
    Incomplete(Vec<&'static str>),
    /// A rate would change documents of the past.
    #[error("a tax rate must begin today or later")]
    RateInThePast,
    /// A rate that is out of range.
    #[error("{0}")]
    InvalidRate(&'static str),
    /// A member of the profile is invalid.
    #[error("{0}")]
    Setting(#[from] InvalidSetting),
    /// The VAT id belongs to another country.
    #[error("the VAT id must belong to the country of the address or the registration ({0})")]
    CountryMismatch(String),
    /// Another registration of this kind exists.
    #[error("this country has such a registration already: remove it first")]
    Registered,
}

impl crate::Rejection for Rejection {
    fn kind(&self) -> Kind {
        match self {
            Self::Incomplete(_) | Self::Registered => Kind::Conflict,
            Self::RateInThePast | Self::InvalidRate(_) | Self::Setting(_) | Self::CountryMismatch(_) => Kind::Invalid,
        }
    }

    fn slug(&self) -> &'static str {
        match self {
            Self::Incomplete(_) => "seller-incomplete",
            Self::RateInThePast => "rate-in-the-past",
            Self::InvalidRate(_) => "invalid-rate",
            Self::Setting(_) => "invalid-setting",
            Self::CountryMismatch(_) => "vat-id-country-mismatch",
            Self::Registered => "registration-exists",
        }
    }
}
