//! Events of billing accounts.

use serde::{Deserialize, Serialize};

use super::{BalanceCause, Check, Collection, Profile};
use crate::billing::Currency;

/// Events of a billing account. Stored forever: never reuse a name; a new shape is a new `.vN`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", deny_unknown_fields)]
pub enum Event {
    /// The profile changed.
    #[serde(rename = "billing_account.profile_changed.v1")]
    ProfileChanged {
        /// What it was.
        from: Box<Profile>,
        /// What it is.
        to: Box<Profile>,
    },
    /// The VAT id changed.
    #[serde(rename = "billing_account.tax_id_changed.v1")]
    TaxIdChanged {
        /// What it was.
        from: Option<String>,
        /// What it is, in canonical form.
        to: Option<String>,
    },
    /// The VAT id was checked.
    #[serde(rename = "billing_account.tax_id_checked.v1")]
    TaxIdChecked(Check),
    /// Invoices that are paid by transfer were asked for.
    #[serde(rename = "billing_account.invoice_billing_requested.v1")]
    InvoiceBillingRequested {},
    /// How invoices are paid changed.
    #[serde(rename = "billing_account.collection_changed.v1")]
    CollectionChanged {
        /// How it was.
        from: Collection,
        /// How it is.
        to: Collection,
    },
    /// The balance changed.
    #[serde(rename = "billing_account.balance_changed.v1")]
    BalanceChanged {
        /// By how much, in minor units.
        by: i64,
        /// What it is.
        after: i64,
        /// The currency.
        currency: Currency,
        /// Why.
        cause: BalanceCause,
    },
}
