//! Filters on what is exported of billing.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::{
    OrganizationId, Personal,
    billing::{
        Currency,
        billing_document::InvoiceId,
        credit_note::CreditReason,
        mrr::Movement,
        plan::{PlanId, Visibility},
        subscription::Status,
        tax::Treatment,
        terms::Meter,
    },
};

crate::texts! {
    /// What is exported of the usage of an organization.
    pub enum UsageReport {
        /// What was used on each day.
        Days = "days",
        /// What was used in each usage month.
        Months = "months",
        /// Who used most in a usage month.
        Top = "top",
    }
}

/// A filter on usage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UsageSelection {
    /// What is exported.
    pub report: UsageReport,
    /// Of this meter only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meter: Option<Meter>,
    /// From this date on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Date>,
    /// Before this date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Date>,
}

/// A filter on plans: they must match all fields that are set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanSelection {
    /// With this visibility.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visibility: Option<Visibility>,
    /// That are retired, or are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retired: Option<bool>,
    /// Search words; personal, because they may name people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<Personal>,
}

/// A filter on coupons: they must match all fields that are set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CouponSelection {
    /// That are retired, or are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retired: Option<bool>,
    /// Search words; personal, because they may name people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<Personal>,
}

/// A filter on subscriptions: they must match all fields that are set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubscriptionSelection {
    /// With this status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// Of this plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanId>,
}

/// A filter on invoices: they must match all fields that are set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InvoiceSelection {
    /// Of this organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    /// With this status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// In this currency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// Issued on this date or later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued_from: Option<String>,
    /// Issued before this date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued_until: Option<String>,
    /// Overdue on this date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overdue_on: Option<String>,
    /// Search words: of a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<Personal>,
}

/// A filter on credit notes: they must match all fields that are set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreditNoteSelection {
    /// Of this organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    /// Of this invoice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invoice: Option<InvoiceId>,
    /// With this reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<CreditReason>,
    /// Search words: of a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<Personal>,
}

/// A filter on the files of invoices and credit notes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BillingFileSelection {
    /// Issued on this date or later.
    pub from: Date,
    /// Issued before this date.
    pub until: Date,
}

/// A filter on recurring revenue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevenueSelection {
    /// The first day of the first month.
    pub from: Date,
    /// The first day of the month after the last one.
    pub until: Date,
    /// In this currency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<Currency>,
    /// Of this plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanId>,
    /// The organizations that moved so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub movement: Option<Movement>,
}

crate::texts! {
    /// What is exported of the tax report.
    pub enum TaxReportKind {
        /// Sales by month, country, treatment and rate.
        Sales = "sales",
        /// The EC sales list by month.
        EcSalesByMonth = "ec_sales_by_month",
        /// The EC sales list by quarter.
        EcSalesByQuarter = "ec_sales_by_quarter",
    }
}

/// A filter on the tax report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaxReportSelection {
    /// What is exported.
    pub report: TaxReportKind,
    /// The first month: `2026-01`.
    pub from: String,
    /// The month after the last one.
    pub until: String,
    /// Only sales to this country.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// Only sales that are taxed like this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub treatment: Option<Treatment>,
}
