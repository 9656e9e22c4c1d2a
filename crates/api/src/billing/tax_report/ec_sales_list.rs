//! The EC sales list: sales under reverse charge by VAT id.

use std::collections::{BTreeMap, BTreeSet};

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use jiff::{Timestamp, civil::Date};
use porttask_domain::{
    billing::{Currency, Seller, issue},
    compliance::export::{Command, Event, Format, TaxReportKind, TaxReportSelection},
};
use porttask_projections::{
    ColumnType, ReadModel,
    billing::tax_report::{EcSale, EcSales},
};
use porttask_runtime::views::Condition;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    country_of, everywhere,
    months::{Month, Range},
    seller,
};
use crate::http::{
    app::App,
    permissions::AdministerBilling,
    problem::Problem,
    request::{Authorized, ListFormat, Params, whole},
};

/// The periods of the list.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EcSalesPeriod {
    /// Calendar months.
    #[default]
    Month,
    /// Calendar quarters.
    Quarter,
}

impl EcSalesPeriod {
    fn name(self, month: Month) -> String {
        match self {
            Self::Month => month.to_string(),
            Self::Quarter => format!("{:04}-Q{}", month.year(), month.quarter()),
        }
    }

    fn report(self) -> TaxReportKind {
        match self {
            Self::Month => TaxReportKind::EcSalesByMonth,
            Self::Quarter => TaxReportKind::EcSalesByQuarter,
        }
    }
}

/// Which part of the EC sales list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct EcSalesParameters {
    /// The first month; January of this year by default.
    #[param(example = "2026-01")]
    from: Option<String>,
    /// The month after the last one; the next month, or quarter, by default. At most 24 months after `from`.
    #[param(example = "2027-01")]
    until: Option<String>,
    /// `month` (default) or `quarter`: then `from` and `until` are first months of quarters.
    #[serde(default)]
    #[param(inline)]
    period: EcSalesPeriod,
    /// Only sales to this country: ISO 3166-1, two letters.
    #[param(example = "PT")]
    country: Option<String>,
    /// `json` (default) or `csv`. That it was exported as CSV is recorded in the audit log.
    #[serde(default)]
    format: ListFormat,
}

/// Sales of a period to a VAT id, in a currency. What was credited completely is not listed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EcSalesOfPeriod {
    /// A month or a quarter.
    #[schema(example = "2026-Q4")]
    period: String,
    /// The country of the buyer.
    #[schema(example = "PT")]
    country: String,
    /// Null if the buyer was erased.
    #[schema(example = "PT501964843")]
    vat_id: Option<String>,
    #[schema(example = "USD")]
    currency: String,
    /// In minor units; negative if more was credited than sold.
    net: i64,
    /// The same in the accounting currency, by the exchange rate of each date of issue; null if one is missing.
    accounting_net: Option<i64>,
}

impl EcSalesOfPeriod {
    fn fields(self, accounting: &str) -> Vec<String> {
        let accounting_net = self.accounting_net.map(|net| net.to_string());
        vec![
            self.period,
            self.country,
            self.vat_id.unwrap_or_default(),
            self.currency,
            self.net.to_string(),
            accounting.to_owned(),
            accounting_net.unwrap_or_default(),
        ]
    }
}

const NAMES: [&str; 7] = ["period", "country", "vat_id", "currency", "net", "accounting_currency", "accounting_net"];

/// An exchange rate that is missing.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
pub(crate) struct MissingRate {
    #[schema(example = "USD")]
    currency: String,
    /// The date of issue for which it is missing.
    #[schema(value_type = String, format = Date)]
    on: Date,
}

/// Sales whose tax the buyers account for, by VAT id.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EcSalesList {
    /// When this was read.
    as_of: Timestamp,
    #[schema(example = "2026-01")]
    from: String,
    /// The month after the last one.
    #[schema(example = "2027-01")]
    until: String,
    /// The accounting currency of the seller; null before it is entered.
    #[schema(example = "EUR")]
    accounting_currency: Option<String>,
    items: Vec<EcSalesOfPeriod>,
    /// The exchange rates without which amounts are not converted.
    missing_rates: Vec<MissingRate>,
}

/// Get the EC sales list: sales under reverse charge by period and VAT id.
///
/// Invoices and credit notes of all organizations, in the period of their date of issue; credit notes count negatively. Needs
/// `billing:administer`.
#[utoipa::path(get, path = "/v1/platform/billing/tax-report/ec-sales-list", tag = "tax-report",
    params(EcSalesParameters), responses((status = 200, description = "The list", content(
        (EcSalesList = "application/json"), (String = "text/csv")))))]
pub(crate) async fn get_ec_sales_list(
    State(app): State<App>,
    caller: Authorized<AdministerBilling>,
    Params(parameters): Params<EcSalesParameters>,
) -> Result<Response, Problem> {
    let EcSalesParameters { from, until, period, country, format } = parameters;
    let (now, seller) = (app.clock.now(), seller(&app).await?);
    let mut range = Range::of(from.as_deref(), until.as_deref(), (now, &seller))?;
    if period == EcSalesPeriod::Quarter {
        range = range.in_quarters(until.is_some())?;
    }
    let country = country.as_deref().map(country_of).transpose()?;
    caller.catch_up_everywhere(&app, EcSales::NAME).await?;
    let first_day = |month: Month| format!("{month}-01").to_value();
    let conditions = || {
        let from = Condition::AtLeast("issue_date", first_day(range.from));
        vec![from, Condition::Below("issue_date", first_day(range.until))]
    };
    let mut rows = everywhere::<EcSales>(&app, conditions).await?;
    rows.retain(|row| country.is_none_or(|it| it == row.country));
    let (items, missing_rates) = list(&rows, period, &seller);
    let accounting = seller.accounting_currency().map(Currency::code);
    if format == ListFormat::Csv {
        let (from, until, country) = (range.from.to_string(), range.until.to_string(), country.map(str::to_owned));
        let selection = TaxReportSelection { report: period.report(), from, until, country, treatment: None };
        let command = Command::Take(Event::TaxReportTaken { format: Format::Csv, selection });
        let lines = items.into_iter().map(|item| item.fields(accounting.unwrap_or_default())).collect();
        return whole(&app, &caller, &command, ("ec-sales-list", &NAMES), lines).await;
    }
    let (from, until) = (range.from.to_string(), range.until.to_string());
    let accounting_currency = accounting.map(str::to_owned);
    Ok(Json(EcSalesList { as_of: now, from, until, accounting_currency, items, missing_rates }).into_response())
}

/// The list, and the exchange rates that are missing for it.
fn list(rows: &[EcSale], period: EcSalesPeriod, seller: &Seller) -> (Vec<EcSalesOfPeriod>, Vec<MissingRate>) {
    let (mut sums, mut missing) = (BTreeMap::new(), BTreeSet::new());
    // Of a day, credits and sales of all partitions are converted together.
    let mut days: BTreeMap<(&str, &str, &str, &str), i64> = BTreeMap::new();
    for row in rows {
        *days.entry((&row.issue_date, &row.country, &row.vat_id, &row.currency)).or_default() += row.net;
    }
    for ((day, country, vat_id, currency), net) in days {
        let (Ok(day), Ok(code)) = (day.parse::<Date>(), currency.parse::<Currency>()) else { continue };
        let key = (period.name(Month::of_date(day)), country, vat_id, currency);
        let (sum, accounting): &mut (i64, Option<i64>) = sums.entry(key).or_insert((0, Some(0)));
        *sum += net;
        let converted = converted(net, code, day, seller);
        if converted.is_none() && seller.accounting_currency().is_some() {
            missing.insert(MissingRate { currency: currency.to_owned(), on: day });
        }
        *accounting = accounting.zip(converted).map(|(sum, net)| sum + net);
    }
    let sums = sums.into_iter().filter(|(_, (net, _))| *net != 0);
    let items = sums.map(|((period, country, vat_id, currency), (net, accounting_net))| EcSalesOfPeriod {
        period,
        country: country.to_owned(),
        vat_id: Some(vat_id.to_owned()).filter(|id| !id.is_empty()),
        currency: currency.to_owned(),
        net,
        accounting_net,
    });
    (items.collect(), missing.into_iter().collect())
}

/// An amount in the accounting currency, by the exchange rate of a date.
fn converted(net: i64, currency: Currency, on: Date, seller: &Seller) -> Option<i64> {
    let accounting = seller.accounting_currency()?;
    if accounting == currency {
        return Some(net);
    }
    let rate = seller.exchange_rate(currency, on)?;
    issue::accounting_tax(net, currency, accounting, &rate).ok().map(|converted| converted.amount)
}
