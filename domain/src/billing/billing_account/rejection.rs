//! Why commands on a billing account are rejected.

use crate::{Kind, billing::Currency, identity::settings::InvalidSetting};

/// Why a command on a billing account is rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// Something is missing for documents.
    #[error("the billing account lacks {}: enter it under Billing → Tax details", .0.join(", "))]
    Incomplete(Vec<&'static str>),
    /// A member is invalid.
    #[error("{0}")]
    Setting(#[from] InvalidSetting),
    /// The VAT id belongs to another country than the address.
    #[error("the VAT id belongs to {id}, but the address to {address}: they must be of the same country")]
    CountryMismatch {
        /// The country of the VAT id.
        id: String,
        /// The country of the address.
        address: String,
    },
    /// A person has no VAT id.
    #[error("only a business has a VAT id: remove it, or say that the organization is a business")]
    PersonWithTaxId,
    /// There is no VAT id.
    #[error("there is no VAT id to check: enter it first")]
    NoTaxId,
    /// The balance is too low.
    #[error("the balance must not become negative: it is {balance} {currency}")]
    BalanceTooLow {
        /// What it is.
        balance: rust_decimal::Decimal,
        /// In which currency.
        currency: Currency,
    },
    /// The balance is too large.
    #[error("the balance would become too large")]
    BalanceTooLarge,
}

impl crate::Rejection for Rejection {
    fn kind(&self) -> Kind {
        match self {
            Self::Incomplete(_) | Self::NoTaxId | Self::BalanceTooLow { .. } => Kind::Conflict,
            Self::Setting(_) | Self::CountryMismatch { .. } | Self::PersonWithTaxId | Self::BalanceTooLarge => {
                Kind::Invalid
            }
        }
    }

    fn slug(&self) -> &'static str {
        match self {
            Self::Incomplete(_) => "billing-account-incomplete",
            Self::Setting(_) => "invalid-setting",
            Self::CountryMismatch { .. } => "vat-id-country-mismatch",
            Self::PersonWithTaxId => "vat-id-of-a-person",
            Self::NoTaxId => "no-vat-id",
            Self::BalanceTooLow { .. } => "balance-too-low",
            Self::BalanceTooLarge => "balance-too-large",
        }
    }
}
