//! The movements of a month in responses.

use jiff::civil::Date;
use porttask_domain::billing::{Currency, amount::TooLarge, mrr::Movements};
use serde::Serialize;
use utoipa::ToSchema;

use super::name_of;

/// The movements of a month, in minor units: `start + new + reactivation + expansion − contraction − churn = end`.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MrrMonth {
    #[schema(example = "2026-11")]
    pub(super) month: String,
    /// Whether the month is over. The end of one that is not is what is known so far.
    is_complete: bool,
    start: i64,
    /// Of those who pay for the first time.
    new: i64,
    /// Of those who pay again.
    reactivation: i64,
    expansion: i64,
    contraction: i64,
    churn: i64,
    end: i64,
    customers_start: i64,
    customers_new: i64,
    customers_reactivated: i64,
    customers_churned: i64,
    customers_end: i64,
    /// The annual recurring revenue at the end: twelve times the monthly one.
    arr: i64,
    /// The share of the customers at the start that were lost, in basis points; null if there were none.
    customer_churn_bp: Option<i64>,
    /// The share of the revenue at the start that was lost by contraction and churn; null if there was none.
    gross_mrr_churn_bp: Option<i64>,
    /// What the customers at the start pay at the end, as a share of what they paid at the start; null if that was nothing.
    net_revenue_retention_bp: Option<i64>,
}

/// The header line of CSV.
pub(super) const NAMES: [&str; 19] = [
    "currency",
    "month",
    "is_complete",
    "start",
    "new",
    "reactivation",
    "expansion",
    "contraction",
    "churn",
    "end",
    "customers_start",
    "customers_new",
    "customers_reactivated",
    "customers_churned",
    "customers_end",
    "arr",
    "customer_churn_bp",
    "gross_mrr_churn_bp",
    "net_revenue_retention_bp",
];

impl MrrMonth {
    pub(super) fn new(month: Date, all: &Movements, present: Date) -> Result<Self, TooLarge> {
        Ok(Self {
            month: name_of(month),
            is_complete: month < present,
            start: all.start,
            new: all.new,
            reactivation: all.reactivation,
            expansion: all.expansion,
            contraction: all.contraction,
            churn: all.churn,
            end: all.end,
            customers_start: all.customers_start,
            customers_new: all.customers_new,
            customers_reactivated: all.customers_reactivated,
            customers_churned: all.customers_churned,
            customers_end: all.customers_end(),
            arr: all.arr_end(),
            customer_churn_bp: all.customer_churn()?,
            gross_mrr_churn_bp: all.gross_churn()?,
            net_revenue_retention_bp: all.net_retention()?,
        })
    }

    /// The fields of a line of CSV.
    pub(super) fn fields(&self, currency: Currency) -> Vec<String> {
        let amounts = [
            self.start,
            self.new,
            self.reactivation,
            self.expansion,
            self.contraction,
            self.churn,
            self.end,
            self.customers_start,
            self.customers_new,
            self.customers_reactivated,
            self.customers_churned,
            self.customers_end,
            self.arr,
        ];
        let shares = [self.customer_churn_bp, self.gross_mrr_churn_bp, self.net_revenue_retention_bp];
        let head = [currency.to_string(), self.month.clone(), self.is_complete.to_string()];
        let amounts = amounts.into_iter().map(|it| it.to_string());
        let shares = shares.into_iter().map(|it| it.map_or_else(String::new, |it| it.to_string()));
        head.into_iter().chain(amounts).chain(shares).collect()
    }
}
