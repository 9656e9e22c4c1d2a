//! What is declared to tax authorities, from the documents of all organizations.

mod ec_sales_list;
mod months;

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use porttask_domain::{
    OrganizationId, TextEnum,
    billing::{
        Currency, Seller,
        country::Country,
        seller::SellerId,
        tax::{Category, Treatment},
    },
    compliance::export::{Command, Event, Format, TaxReportKind, TaxReportSelection},
};
use porttask_projections::{
    ColumnType, ReadModel, Row,
    billing::tax_report::{TaxReport as Sales, TaxedSales},
};
use porttask_runtime::views::{Condition, Query};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use self::months::{Month, Range};
use crate::http::{
    app::App,
    document::tagged,
    permissions::AdministerBilling,
    problem::Problem,
    request::{Authorized, ListFormat, Params, whole},
};

/// The routes of the tax report.
pub(super) fn routes() -> OpenApiRouter<App> {
    tagged("tax-report", "What is declared to tax authorities: taxes, the EC sales list, the threshold of article 59c.")
        .routes(routes!(get_tax_report))
        .routes(routes!(ec_sales_list::get_ec_sales_list))
}

/// How many rows are read at a time.
const AT_ONCE: usize = 1_000;
/// The currency of the threshold, and its amount in minor units (article 59c of Directive 2006/112/EC).
const THRESHOLD: (&str, i64) = ("EUR", 1_000_000);

/// Which part of the tax report.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct TaxReportParameters {
    /// The first month; January of this year by default.
    #[param(example = "2026-01")]
    from: Option<String>,
    /// The month after the last one; the next month by default. At most 24 months after `from`.
    #[param(example = "2027-01")]
    until: Option<String>,
    /// Only sales to this country: ISO 3166-1, two letters.
    #[param(example = "PT")]
    country: Option<String>,
    /// Only sales that are taxed like this.
    treatment: Option<Treatment>,
    /// `json` (default) or `csv`. That it was exported as CSV is recorded in the audit log.
    #[serde(default)]
    format: ListFormat,
}

/// Sales of a month with the same tax. Amounts are minor units; what was credited more than sold is negative.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SalesOfMonth {
    /// The month of issue, in the time zone of the seller.
    #[schema(example = "2026-11")]
    month: String,
    /// The country of the buyer; that of France for Monaco.
    #[schema(example = "PT")]
    country: String,
    treatment: Treatment,
    category: Category,
    /// In percent.
    #[schema(example = "19")]
    rate: String,
    #[schema(example = "EUR")]
    currency: String,
    /// How many invoices and credit notes.
    documents: u64,
    /// Without tax.
    taxable: i64,
    tax: i64,
    /// The accounting currency of the seller, if the amounts are known in it.
    #[schema(example = "EUR")]
    accounting_currency: Option<String>,
    /// Without tax, by the exchange rates that the documents state; null for documents without tax in another currency.
    accounting_taxable: Option<i64>,
    /// The tax that the documents state in it.
    accounting_tax: Option<i64>,
}

impl SalesOfMonth {
    fn new(row: TaxedSales, accounting: Option<&str>) -> Self {
        let stated = Some(row.accounting_currency.clone()).filter(|currency| !currency.is_empty());
        let same = accounting.filter(|currency| stated.is_none() && *currency == row.currency).map(str::to_owned);
        let (taxable, tax) = match (&stated, &same) {
            (Some(_), _) => (Some(row.accounting_taxable), Some(row.accounting_tax)),
            (None, Some(_)) => (Some(row.taxable), Some(row.tax)),
            (None, None) => (None, None),
        };
        Self {
            month: row.month,
            country: row.country,
            treatment: row.treatment,
            category: row.category,
            rate: row.rate,
            currency: row.currency,
            documents: row.documents,
            taxable: row.taxable,
            tax: row.tax,
            accounting_currency: stated.or(same),
            accounting_taxable: taxable,
            accounting_tax: tax,
        }
    }

    fn fields(self) -> Vec<String> {
        let text = |amount: Option<i64>| amount.map(|amount| amount.to_string()).unwrap_or_default();
        vec![
            self.month,
            self.country,
            self.treatment.as_str().to_owned(),
            self.category.as_str().to_owned(),
            self.rate,
            self.currency,
            self.documents.to_string(),
            self.taxable.to_string(),
            self.tax.to_string(),
            self.accounting_currency.unwrap_or_default(),
            text(self.accounting_taxable),
            text(self.accounting_tax),
        ]
    }
}

/// The header line of CSV.
const NAMES: [&str; 12] = [
    "month",
    "country",
    "treatment",
    "category",
    "rate",
    "currency",
    "documents",
    "taxable",
    "tax",
    "accounting_currency",
    "accounting_taxable",
    "accounting_tax",
];

/// An amount of a currency.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CurrencyAmount {
    #[schema(example = "USD")]
    currency: String,
    /// In minor units.
    amount: i64,
}

/// The sum of all sales in a currency, in minor units.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct SalesTotal {
    #[schema(example = "EUR")]
    currency: String,
    documents: u64,
    /// Without tax.
    taxable: i64,
    tax: i64,
}

/// Sales of a year to other member states that are taxed at the seller's rate, against the threshold of article 59c.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TaxThreshold {
    /// The year of the last month of the report.
    year: i16,
    #[schema(example = "EUR")]
    currency: &'static str,
    /// Without tax, in minor units.
    amount: i64,
    limit: i64,
    /// Sales in other currencies that no document states in EUR: they come on top.
    not_converted: Vec<CurrencyAmount>,
}

/// Taxes by month, country, treatment and rate.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TaxReport {
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
    items: Vec<SalesOfMonth>,
    totals: Vec<SalesTotal>,
    threshold: TaxThreshold,
}

/// Get the tax report: taxes by month, country, treatment and rate.
///
/// Invoices and credit notes of all organizations, in the month of their date of issue; credit notes count negatively. A void
/// invoice is undone by its credit note. Needs `billing:administer`.
#[utoipa::path(get, path = "/v1/platform/billing/tax-report", tag = "tax-report", params(TaxReportParameters),
    responses((status = 200, description = "The report", content(
        (TaxReport = "application/json"), (String = "text/csv")))))]
pub(crate) async fn get_tax_report(
    State(app): State<App>,
    caller: Authorized<AdministerBilling>,
    Params(parameters): Params<TaxReportParameters>,
) -> Result<Response, Problem> {
    let TaxReportParameters { from, until, country, treatment, format } = parameters;
    let (now, seller) = (app.clock.now(), seller(&app).await?);
    let range = Range::of(from.as_deref(), until.as_deref(), (now, &seller))?;
    let country = country.as_deref().map(country_of).transpose()?;
    let accounting = seller.accounting_currency().map(Currency::code);
    caller.catch_up_everywhere(&app, Sales::NAME).await?;
    let mut of_range = sales(&app, range).await?;
    of_range.retain(|row| country.is_none_or(|it| it == row.country));
    of_range.retain(|row| treatment.is_none_or(|it| it == row.treatment));
    let items: Vec<SalesOfMonth> = of_range.into_iter().map(|row| SalesOfMonth::new(row, accounting)).collect();
    if format == ListFormat::Csv {
        let (from, until, country) = (range.from.to_string(), range.until.to_string(), country.map(str::to_owned));
        let selection = TaxReportSelection { report: TaxReportKind::Sales, from, until, country, treatment };
        let command = Command::Take(Event::TaxReportTaken { format: Format::Csv, selection });
        let lines = items.into_iter().map(SalesOfMonth::fields).collect();
        return whole(&app, &caller, &command, ("tax-report", &NAMES), lines).await;
    }
    Ok(Json(TaxReport {
        as_of: now,
        from: range.from.to_string(),
        until: range.until.to_string(),
        accounting_currency: accounting.map(str::to_owned),
        totals: totals(&items),
        threshold: threshold(&app, range.last().year()).await?,
        items,
    })
    .into_response())
}

async fn seller(app: &App) -> Result<Seller, Problem> {
    let (seller, _) = app.executor.load::<Seller>(OrganizationId::PLATFORM, SellerId::PLATFORM).await?;
    Ok(seller)
}

fn country_of(code: &str) -> Result<&'static str, Problem> {
    let country = Country::with(code).map(|country| country.code);
    country.ok_or_else(|| Problem::invalid("country", "must be a code of ISO 3166-1 in capitals, such as PT"))
}

/// The sales of months by all organizations: one row for each key.
async fn sales(app: &App, range: Range) -> Result<Vec<TaxedSales>, Problem> {
    let conditions = || {
        let at = |month: Month| month.to_string().to_value();
        vec![Condition::AtLeast("month", at(range.from)), Condition::Below("month", at(range.until))]
    };
    let mut found = BTreeMap::new();
    for row in everywhere::<Sales>(app, conditions).await? {
        let sum = found.entry(row.to_values()[..TaxedSales::KEY].to_vec());
        sum.and_modify(|sum: &mut TaxedSales| {
            sum.documents += row.documents;
            sum.taxable += row.taxable;
            sum.tax += row.tax;
            sum.accounting_taxable += row.accounting_taxable;
            sum.accounting_tax += row.accounting_tax;
        })
        .or_insert(row);
    }
    Ok(found.into_values().collect())
}

/// The rows of all partitions that satisfy conditions, in the order of their keys within a partition.
async fn everywhere<M: ReadModel>(app: &App, conditions: impl Fn() -> Vec<Condition>) -> Result<Vec<M::Row>, Problem> {
    let sort: Vec<&'static str> = M::Row::COLUMNS.iter().take(M::Row::KEY).map(|column| column.name).collect();
    let mut all = Vec::new();
    for partition in app.partitions().await? {
        let mut after = None;
        loop {
            let (conditions, sort) = (conditions(), sort.clone());
            let query = Query { partition, conditions, sort, limit: AT_ONCE, after: after.take(), ..Query::default() };
            let rows = app.views.rows::<M>(&query).await?;
            let last = rows.last().filter(|_| rows.len() == AT_ONCE);
            after = last.map(|last| last.to_values()[..M::Row::KEY].to_vec());
            all.extend(rows);
            if after.is_none() {
                break;
            }
        }
    }
    Ok(all)
}

fn totals(items: &[SalesOfMonth]) -> Vec<SalesTotal> {
    let mut found: BTreeMap<&str, SalesTotal> = BTreeMap::new();
    for item in items {
        let total = found.entry(&item.currency).or_default();
        total.documents += item.documents;
        total.taxable += item.taxable;
        total.tax += item.tax;
    }
    found.into_iter().map(|(currency, total)| SalesTotal { currency: currency.to_owned(), ..total }).collect()
}

/// The sales of a year that count against the threshold.
async fn threshold(app: &App, year: i16) -> Result<TaxThreshold, Problem> {
    let (currency, limit) = THRESHOLD;
    let (mut amount, mut others) = (0, BTreeMap::new());
    for row in sales(app, Range::of_year(year)).await? {
        if row.treatment != Treatment::OriginBelowThreshold {
            continue;
        }
        match (row.currency == currency, row.accounting_currency == currency) {
            (true, _) => amount += row.taxable,
            (false, true) => amount += row.accounting_taxable,
            (false, false) => *others.entry(row.currency).or_default() += row.taxable,
        }
    }
    let not_converted = others.into_iter().map(|(currency, amount)| CurrencyAmount { currency, amount }).collect();
    Ok(TaxThreshold { year, currency, amount, limit, not_converted })
}
