//! The tax report, for staff: taxes by country, treatment and rate, the EC sales list, the threshold of article 59c.

use std::collections::BTreeMap;

use axum::{Router, routing::get};
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;

use super::country::{countries, country_name};
use crate::{
    Console,
    api::{Call, Problem},
    form::attachment,
    ui::{
        self, icon,
        list::Asked,
        money::{grouped, money},
        time, words,
    },
    visit::{Answered, Visit},
};

pub(crate) fn routes() -> Router<Console> {
    Router::new()
        .route(URL, get(show))
        .route("/admin/tax-report/export", get(export))
        .route("/admin/tax-report/ec-sales-list/export", get(export_list))
}

const URL: &str = "/admin/tax-report";
const TREATMENTS: [(&str, &str); 7] = [
    ("", "Any treatment"),
    ("domestic", "Domestic"),
    ("reverse_charge", "Reverse charge"),
    ("destination", "Destination (one-stop shop)"),
    ("origin_below_threshold", "Origin, below the threshold"),
    ("registered_abroad", "Registered abroad"),
    ("export", "Export"),
];
const PERIODS: [(&str, &str); 2] = [("", "List by month"), ("quarter", "List by quarter")];

#[derive(Debug, Deserialize)]
struct Report {
    as_of: Timestamp,
    from: String,
    until: String,
    accounting_currency: Option<String>,
    items: Vec<Sales>,
    totals: Vec<Total>,
    threshold: Threshold,
}

#[derive(Debug, Deserialize)]
struct Sales {
    country: String,
    treatment: String,
    category: String,
    rate: String,
    currency: String,
    documents: u64,
    taxable: i64,
    tax: i64,
    accounting_currency: Option<String>,
    accounting_tax: Option<i64>,
}

#[derive(Debug, Deserialize)]
struct Total {
    currency: String,
    documents: u64,
    taxable: i64,
    tax: i64,
}

#[derive(Debug, Deserialize)]
struct Threshold {
    year: i16,
    currency: String,
    amount: i64,
    limit: i64,
    not_converted: Vec<Amount>,
}

#[derive(Debug, Deserialize)]
struct Amount {
    currency: String,
    amount: i64,
}

#[derive(Debug, Deserialize)]
struct EcSalesList {
    accounting_currency: Option<String>,
    items: Vec<EcSales>,
    missing_rates: Vec<MissingRate>,
}

#[derive(Debug, Deserialize)]
struct EcSales {
    period: String,
    country: String,
    vat_id: Option<String>,
    currency: String,
    net: i64,
    accounting_net: Option<i64>,
}

#[derive(Debug, Deserialize)]
struct MissingRate {
    currency: String,
    on: String,
}

/// Year and month of a text such as `2026-11`.
fn parts(month: &str) -> Option<(i32, i32)> {
    month.split_once('-').and_then(|(year, month)| Some((year.parse().ok()?, month.parse().ok()?)))
}

/// The month after the last one that the page shows; a text that is no month stays, and the API says so.
fn after(month: &str) -> String {
    match parts(month) {
        Some((year, 12)) => format!("{:04}-01", year + 1),
        Some((year, month @ 1..12)) => format!("{year:04}-{:02}", month + 1),
        _ => month.to_owned(),
    }
}

/// The month before the one that the API answers.
fn before(month: &str) -> String {
    match parts(month) {
        Some((year, 1)) => format!("{:04}-12", year - 1),
        Some((year, month @ 2..=12)) => format!("{year:04}-{:02}", month - 1),
        _ => month.to_owned(),
    }
}

/// A call of the report with the months and filters of the page.
fn report_of<'a>(visit: &'a Visit, asked: &'a Asked) -> Call<'a> {
    let call = visit.client.get("/v1/platform/billing/tax-report").query(asked.pick(&["from", "country", "treatment"]));
    call.query([("until", after(asked.get("last")).as_str())])
}

fn list_of<'a>(visit: &'a Visit, asked: &'a Asked) -> Call<'a> {
    let call = visit.client.get("/v1/platform/billing/tax-report/ec-sales-list");
    let call = call.query(asked.pick(&["from", "country", "period"]));
    call.query([("until", after(asked.get("last")).as_str())])
}

async fn show(visit: Visit) -> Answered {
    let asked = Asked::of(&visit.frame.url);
    let report = report_of(&visit, &asked).send::<Report>().await.map(|answer| answer.body);
    let list = list_of(&visit, &asked).send::<EcSalesList>().await.map(|answer| answer.body);
    let report = match report {
        Err(problem) if problem.status != 422 => return Err(problem.into()),
        report => report,
    };
    let content = html! {
        (ui::head("Tax report", "Invoices and credit notes by their date of issue; credit notes count negatively.",
            html! { a.btn.edge href="/admin/seller" { "Seller" } }))
        (filters(&asked, report.as_ref().ok()))
        @match &report {
            Ok(report) => {
                p.soft { "As of " (time::instant(&visit.frame, report.as_of)) "." }
                (sales_card(&asked, report))
                (threshold_card(&report.threshold))
            }
            Err(problem) => (refused(problem)),
        }
        (list_card(&asked, list.as_ref()))
    };
    Ok(visit.page("Tax report", &[("Administration", "/admin/organizations"), ("Tax report", "")], content))
}

async fn export(visit: Visit) -> Answered {
    let asked = Asked::of(&visit.frame.url);
    let call = report_of(&visit, &asked).query([("format", "csv")]);
    Ok(attachment(call.download().await?, "tax-report.csv"))
}

async fn export_list(visit: Visit) -> Answered {
    let asked = Asked::of(&visit.frame.url);
    let call = list_of(&visit, &asked).query([("format", "csv")]);
    Ok(attachment(call.download().await?, "ec-sales-list.csv"))
}

fn filters(asked: &Asked, report: Option<&Report>) -> Markup {
    let shown = |name: &str, answered: Option<String>| match asked.get(name) {
        "" => answered.unwrap_or_default(),
        value => value.to_owned(),
    };
    let from = shown("from", report.map(|report| report.from.clone()));
    let last = shown("last", report.map(|report| before(&report.until)));
    let select = |name: &str, label: &str, options: &[(&str, &str)]| {
        html! { label.hide for=(name) { (label) } select id=(name) name=(name) { @for (value, text) in options {
            option value=(value) selected[asked.get(name) == *value] { (text) }
        } } }
    };
    let mut places = countries();
    places[0].1 = "Any country";
    html! { form.filters method="get" action=(URL) {
        span.typed { label for="from" { "First month" } input #from name="from" type="month" placeholder="2026-01" value=(from) autocomplete="off"; }
        span.typed { label for="last" { "Last month" } input #last name="last" type="month" placeholder="2026-12" value=(last) autocomplete="off"; }
        (select("country", "Country", &places))
        (select("treatment", "Treatment", &TREATMENTS))
        (select("period", "Periods of the EC sales list", &PERIODS))
        button.btn.edge type="submit" { "Show" }
    } }
}

/// Why months or filters are refused.
fn refused(problem: &Problem) -> Markup {
    let name = |pointer: &str| words::words(pointer.trim_start_matches('/').trim());
    html! { (ui::note("bad", "circle-alert", "This cannot be shown", html! {
        @if problem.errors.is_empty() { p { (ui::sentence(&problem.detail)) } }
        @else { ul { @for error in &problem.errors { li { (ui::sentence(&format!("{}: {}", name(&error.pointer), error.detail))) } } } }
    })) }
}

/// The address of an export of what the page shows.
fn exported(asked: &Asked, path: &str) -> String {
    asked.changed(&[]).replacen(URL, path, 1)
}

fn export_link(asked: &Asked, path: &str) -> Markup {
    html! { a.btn.edge data-download href=(exported(asked, path)) { (icon("download")) "Export CSV" } }
}

fn treatment_name(code: &str) -> String {
    TREATMENTS
        .iter()
        .find(|(known, _)| *known == code)
        .map_or_else(|| words::words(code), |(_, name)| (*name).to_owned())
}

/// The sales of all months together, by country, treatment, rate and currency.
fn summed(items: &[Sales]) -> Vec<(&Sales, Total, BTreeMap<&str, i64>)> {
    type Key<'a> = (&'a str, &'a str, &'a str, &'a str, &'a str);
    let mut found: BTreeMap<Key<'_>, (&Sales, Total, BTreeMap<&str, i64>)> = BTreeMap::new();
    for it in items {
        let key = (it.country.as_str(), it.treatment.as_str(), it.category.as_str(), it.rate.as_str(), &*it.currency);
        let none = || Total { currency: it.currency.clone(), documents: 0, taxable: 0, tax: 0 };
        let (_, total, accounting) = found.entry(key).or_insert_with(|| (it, none(), BTreeMap::new()));
        total.documents += it.documents;
        total.taxable += it.taxable;
        total.tax += it.tax;
        if let (Some(currency), Some(tax)) = (&it.accounting_currency, it.accounting_tax) {
            *accounting.entry(currency).or_default() += tax;
        }
    }
    found.into_values().collect()
}

fn sales_card(asked: &Asked, report: &Report) -> Markup {
    let accounting = report.accounting_currency.as_deref();
    html! { section.card { header { h2 { "Taxes" } (export_link(asked, "/admin/tax-report/export")) }
        @if report.items.is_empty() { p.in.soft { "No invoice or credit note was issued in these months." } } @else { table.table {
            caption.hide { "Taxes by country, treatment and rate" }
            thead { tr { th scope="col" { "Country" } th scope="col" { "Treatment" } th.sum scope="col" { "Rate" } th.sum.only-wide scope="col" { "Documents" }
                th.sum scope="col" { "Taxable" } th.sum scope="col" { "Tax" } } }
            tbody { @for (it, total, stated) in summed(&report.items) { tr {
                td { (country_name(&it.country)) " " small.soft { (it.country) } }
                td { (treatment_name(&it.treatment)) " " small.soft { (it.category) } }
                td.sum { (it.rate) "%" } td.sum.only-wide { (grouped(total.documents)) }
                td.sum { (money(total.taxable, &it.currency)) }
                td.sum { (money(total.tax, &it.currency))
                    @for (currency, tax) in stated { @if *currency != it.currency { br; small.soft { (money(tax, currency)) } } } }
            } } }
            tfoot { @for it in &report.totals { tr {
                th scope="row" { "Total " (it.currency) } td {} td {} td.sum.only-wide { (grouped(it.documents)) }
                td.sum { b { (money(it.taxable, &it.currency)) } } td.sum { b { (money(it.tax, &it.currency)) } }
            } } }
        } }
        @if accounting.is_none() { p.in.soft { "The seller has no accounting currency yet." } }
    } }
}

fn threshold_card(it: &Threshold) -> Markup {
    let sold = it.amount.max(0);
    let text = format!("{} of {}", money(it.amount, &it.currency), money(it.limit, &it.currency));
    html! { section.card { header { h2 { "Threshold of article 59c" } } div.in.form {
        div.meter {
            div.top { label for="threshold" { "Sales of " (it.year) " at the seller's rate to consumers of other member states" } span.num { (text) } }
            meter #threshold min="0" max=(it.limit) low=(it.limit * 8 / 10) high=(it.limit * 95 / 100) optimum="0" value=(sold.min(it.limit)) { (text) }
        }
        @if it.amount > it.limit { (ui::note("bad", "circle-alert", "The threshold is exceeded", html! {
            p { "Such sales are taxed in the country of the buyer: register for the one-stop shop, and add the registration to the seller." }
        })) }
        @for other in &it.not_converted { p.soft { (money(other.amount, &other.currency)) " come on top, because no document states them in " (it.currency) "." } }
    } } }
}

fn list_card(asked: &Asked, list: Result<&EcSalesList, &Problem>) -> Markup {
    html! { section.card { header { h2 { "EC sales list" } @if list.is_ok() { (export_link(asked, "/admin/tax-report/ec-sales-list/export")) } }
        @match list {
            Err(problem) => div.in { (refused(problem)) },
            Ok(list) if list.items.is_empty() => p.in.soft { "Nothing was sold under reverse charge in these months." },
            Ok(list) => (list_table(list)),
        }
    } }
}

fn list_table(list: &EcSalesList) -> Markup {
    let accounting = list.accounting_currency.as_deref().unwrap_or_default();
    html! {
        table.table {
            caption.hide { "Sales under reverse charge by VAT id" }
            thead { tr { th scope="col" { "Period" } th scope="col" { "VAT id" } th.only-wide scope="col" { "Country" } th.sum scope="col" { "Net" }
                th.sum scope="col" { "Net " (accounting) } } }
            tbody { @for it in &list.items { tr {
                td { (it.period) } td { @match &it.vat_id { Some(id) => b { (id) }, None => span.soft { "Erased" } } }
                td.only-wide { (country_name(&it.country)) } td.sum { (money(it.net, &it.currency)) }
                td.sum { @match it.accounting_net { Some(net) => (money(net, accounting)), None => span.soft { "–" } } }
            } } }
        }
        @if !list.missing_rates.is_empty() { div.in { (ui::note("warn", "triangle-alert", "Exchange rates are missing", html! { ul {
            @for it in &list.missing_rates { li { (it.currency) " on " (it.on) } }
        } })) } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_month_that_is_shown_is_the_one_before_the_end() {
        for (last, until) in [("2026-01", "2026-02"), ("2026-09", "2026-10"), ("2026-12", "2027-01")] {
            assert_eq!((after(last), before(until)), (until.to_owned(), last.to_owned()));
        }
        assert_eq!((after(""), after("2026-13"), before("x")), (String::new(), "2026-13".to_owned(), "x".to_owned()));
    }
}
