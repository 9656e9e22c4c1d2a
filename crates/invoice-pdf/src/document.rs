//! What is rendered.

use std::collections::BTreeMap;

use jiff::civil::Date;
use porttask_domain::{
    TextEnum,
    billing::{billing_document::Issued, coupon::DiscountId, credit_note::CreditReason},
};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::texts::Texts;

/// An issued invoice or credit note, and what else its pages say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// What was issued.
    pub issued: Issued,
    /// Whether it is an invoice or a credit note.
    pub kind: Kind,
    /// What was paid before the issue, or taken from the balance on it, in minor units; 0 for a credit note.
    #[serde(default)]
    pub paid: i64,
    /// How it is paid.
    pub payment: Payment,
    /// The seller's logo: a PNG, JPEG, GIF, WebP or SVG.
    #[serde(default, with = "base64_text", skip_serializing_if = "Option::is_none")]
    pub logo: Option<Vec<u8>>,
    /// What the discounts of its lines are called.
    #[serde(default)]
    pub discounts: BTreeMap<DiscountId, DiscountText>,
    /// The names of the countries in its addresses.
    #[serde(default)]
    pub countries: Countries,
}

/// The kind of a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Kind {
    /// An invoice.
    Invoice,
    /// A credit note. Its amounts may be negative, as they are in the log, or positive.
    CreditNote {
        /// The number of the invoice that it credits.
        invoice_number: String,
        /// The date of issue of that invoice.
        invoice_date: Date,
        /// Why it was issued: one of the reasons of credit notes, or other words; may be empty.
        reason: String,
    },
}

/// How a document is paid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Payment {
    /// The buyer transfers it to the seller's account.
    Transfer,
    /// A card is charged.
    Card {
        /// The last four digits of its number.
        last4: String,
    },
    /// In no way that the document states.
    None,
}

/// What a discount is called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiscountText {
    /// The code of its coupon, or another name.
    pub name: String,
    /// The percentage that it takes off; `None` if it takes off an amount.
    #[serde(default, with = "rust_decimal::serde::str_option", skip_serializing_if = "Option::is_none")]
    pub percent: Option<Decimal>,
}

/// The names of countries; empty for the code.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Countries {
    /// Of the seller.
    pub seller: String,
    /// Of the buyer.
    pub buyer: String,
}

impl Document {
    /// Whether it is a credit note.
    pub(crate) fn is_credit_note(&self) -> bool {
        matches!(self.kind, Kind::CreditNote { .. })
    }

    /// Why something is credited, in the language of the document; `None` if it says nothing about it.
    pub(crate) fn reason(&self) -> Option<String> {
        match &self.kind {
            Kind::CreditNote { reason, .. } if !reason.is_empty() => Some(match CreditReason::from_text(reason) {
                Some(known) => (self.texts().credited_for)(known).to_owned(),
                None => reason.clone(),
            }),
            Kind::CreditNote { .. } | Kind::Invoice => None,
        }
    }

    /// What amounts are multiplied by: both parts of a credit note, its pages and the electronic invoice, state what is
    /// credited as positive.
    pub(crate) fn sign(&self) -> i64 {
        let totals = &self.issued.totals;
        if self.is_credit_note() && (totals.total < 0 || totals.net < 0) { -1 } else { 1 }
    }

    /// The total with tax.
    pub(crate) fn total(&self) -> i64 {
        self.issued.totals.total.saturating_mul(self.sign())
    }

    /// What was paid, at most the total.
    pub(crate) fn paid(&self) -> i64 {
        if self.is_credit_note() { 0 } else { self.paid.clamp(0, self.total().max(0)) }
    }

    /// What remains to be paid; of a credit note, what is credited.
    pub(crate) fn due(&self) -> i64 {
        self.total() - self.paid()
    }

    pub(crate) fn texts(&self) -> &'static Texts {
        Texts::of(&self.issued.buyer.language)
    }
}

/// Bytes as Base64 in JSON.
mod base64_text {
    use base64::{Engine, engine::general_purpose::STANDARD};
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(bytes: &Option<Vec<u8>>, serializer: S) -> Result<S::Ok, S::Error> {
        bytes.as_ref().map(|bytes| STANDARD.encode(bytes)).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<u8>>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| STANDARD.decode(text).map_err(D::Error::custom)).transpose()
    }
}
