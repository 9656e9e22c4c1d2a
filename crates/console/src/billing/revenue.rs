//! The recurring revenue of all organizations, for staff.

use axum::{Router, routing::get};
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;

use crate::{
    Console,
    api::Problem,
    form::attachment,
    ui::{
        self,
        chart::{self, Step, short},
        icon,
        list::Asked,
        money::{grouped, money, units},
        time, words,
    },
    visit::{Answered, Visit},
};

pub(crate) fn routes() -> Router<Console> {
    Router::new().route(URL, get(show)).route("/admin/revenue/export", get(export))
}

const URL: &str = "/admin/revenue";
const MRR: &str = "/v1/platform/billing/metrics/mrr";
/// What filters the months.
const FILTERS: [&str; 3] = ["plan", "from", "until"];
const MOVEMENTS: [&str; 5] = ["new", "reactivation", "expansion", "contraction", "churn"];

#[derive(Debug, Deserialize)]
struct Report {
    as_of: Timestamp,
    items: Vec<OfCurrency>,
}

#[derive(Debug, Deserialize)]
struct OfCurrency {
    currency: String,
    months: Vec<Month>,
}

#[derive(Debug, Deserialize)]
struct Month {
    month: String,
    is_complete: bool,
    start: i64,
    new: i64,
    reactivation: i64,
    expansion: i64,
    contraction: i64,
    churn: i64,
    end: i64,
    customers_end: i64,
    arr: i64,
    customer_churn_bp: Option<i64>,
    gross_mrr_churn_bp: Option<i64>,
    net_revenue_retention_bp: Option<i64>,
}

impl Month {
    fn of(&self, movement: &str) -> i64 {
        match movement {
            "new" => self.new,
            "reactivation" => self.reactivation,
            "expansion" => self.expansion,
            "contraction" => -self.contraction,
            "churn" => -self.churn,
            _ => 0,
        }
    }
}

#[derive(Debug, Deserialize)]
struct Moved {
    items: Vec<Organization>,
    total: usize,
}

#[derive(Debug, Deserialize)]
struct Organization {
    organization: String,
    organization_name: Option<String>,
    movement: String,
    before: i64,
    after: i64,
}

#[derive(Debug, Deserialize)]
struct Plan {
    id: String,
    name: String,
}

async fn show(visit: Visit) -> Answered {
    let asked = Asked::of(&visit.frame.url);
    let plans = visit.client.get("/v1/platform/billing/plans").query([("limit", "200")]);
    let plans = plans.page::<Plan>().await.ok().and_then(Result::ok).map_or_else(Vec::new, |page| page.items);
    let report = visit.client.get(MRR).query(asked.pick(&FILTERS)).send::<Report>().await;
    let report = match report.map_err(Problem::explained) {
        Err(problem) if problem.status == 422 => {
            let note =
                ui::note("bad", "triangle-alert", "Choose other months", html! { (ui::sentence(&problem.detail)) });
            return Ok(page(&visit, html! { (head(&asked)) (filters(&asked, &[], &plans)) (note) }));
        }
        report => report?.body,
    };
    let is_asked = |it: &&OfCurrency| it.currency == asked.get("currency");
    let Some(shown) = report.items.iter().find(is_asked).or_else(|| report.items.first()) else {
        let nothing =
            ui::empty("chart-line", "No revenue yet", "What organizations pay for plans is shown here.", html! {});
        let content = html! { (head(&asked)) (filters(&asked, &report.items, &plans)) section.card { (nothing) } };
        return Ok(page(&visit, content));
    };
    let is_chosen = |it: &&Month| it.month == asked.get("month");
    let complete = shown.months.iter().rposition(|it| it.is_complete);
    let last = complete.map(|at| &shown.months[at]);
    let chosen = shown.months.iter().find(is_chosen).or(last).or(shown.months.last());
    let content = html! {
        (head(&asked))
        (filters(&asked, &report.items, &plans))
        p.soft { "Without tax, as of " (time::instant(&visit.frame, report.as_of)) ". Months are in UTC." }
        @if let Some(at) = complete { (figures(&shown.currency, &shown.months[at], at.checked_sub(1).map(|at| &shown.months[at]))) }
        @if let Some(month) = chosen {
            (movements(&asked, &shown.currency, month))
            (organizations(&visit, &asked, &shown.currency, month).await?)
        }
        (months(&asked, shown))
    };
    Ok(page(&visit, content))
}

fn page(visit: &Visit, content: Markup) -> axum::response::Response {
    visit.page("Revenue", &[("Administration", "/admin/organizations"), ("Revenue", "")], content)
}

/// The months as CSV.
async fn export(visit: Visit) -> Answered {
    let asked = Asked::of(&visit.frame.url);
    let movement = asked.get("movement");
    let call = match movement {
        "" => visit.client.get(MRR).query(asked.pick(&["plan", "from", "until", "currency"])),
        _ => {
            let call = visit.client.get(format!("{MRR}/movements"));
            let movement = Some(movement).filter(|it| *it != "all").map(|it| ("movement", it));
            call.query(asked.pick(&["plan", "currency", "month"])).query(movement)
        }
    };
    let name = if movement.is_empty() { "revenue.csv" } else { "revenue-movements.csv" };
    Ok(attachment(call.query([("format", "csv")]).download().await?, name))
}

/// A link to a file with the same filters.
fn export_url(asked: &Asked, movement: &[(&str, &str)]) -> String {
    asked.changed(movement).replacen(URL, "/admin/revenue/export", 1)
}

fn head(asked: &Asked) -> Markup {
    let export = export_url(asked, &[("month", ""), ("movement", "")]);
    let export = html! { a.btn.edge data-download href=(export) { (icon("download")) "Export months" } };
    ui::head("Revenue", "What organizations pay a month for their plans, and how that moves.", export)
}

fn filters(asked: &Asked, found: &[OfCurrency], plans: &[Plan]) -> Markup {
    html! { form.filters method="get" action=(URL) {
        @if found.len() > 1 {
            label.hide for="currency" { "Currency" }
            select #currency name="currency" { @for it in found {
                option value=(it.currency) selected[asked.get("currency") == it.currency] { (it.currency) }
            } }
        }
        label.hide for="plan" { "Plan" }
        select #plan name="plan" { option value="" { "All plans" } @for plan in plans {
            option value=(plan.id) selected[asked.get("plan") == plan.id] { (plan.name) }
        } }
        @for (name, label) in [("from", "From"), ("until", "Before")] { span.typed {
            label for=(name) { (label) }
            input id=(name) name=(name) type="month" placeholder="2026-01" pattern="[0-9]{4}-[0-9]{2}" value=(asked.get(name)) autocomplete="off";
        } }
        button.btn.edge type="submit" { "Apply" }
        @if asked.is_filtered() { a.btn href=(URL) { (icon("x")) "Clear" } }
    } }
}

/// A share in basis points: `1.5%`.
fn share(bp: Option<i64>) -> String {
    bp.map_or_else(|| "–".to_owned(), |bp| format!("{}.{}%", bp / 100, bp % 100 / 10))
}

/// A difference with its sign.
fn signed(amount: i64, currency: &str) -> String {
    if amount > 0 { format!("+{}", money(amount, currency)) } else { money(amount, currency) }
}

/// The figures of the last complete month, beside those of the month before.
fn figures(currency: &str, it: &Month, before: Option<&Month>) -> Markup {
    let class = |change: i64| if change < 0 { "d down" } else { "d up" };
    html! { section aria-label=(format!("Figures of {}", it.month)) { dl.grid {
        @for (name, value, former) in [("MRR", it.end, before.map(|it| it.end)), ("ARR", it.arr, before.map(|it| it.arr))] {
            div.card.stat { dt { (name) " at the end of " (it.month) } dd.v { (money(value, currency)) }
                @if let Some(former) = former { dd class=(class(value - former)) { (signed(value - former, currency)) " against " (before.map_or("", |it| &it.month)) } }
            }
        }
        @for (name, of) in [
            ("Customer churn", (|it: &Month| it.customer_churn_bp) as fn(&Month) -> Option<i64>),
            ("Gross MRR churn", |it| it.gross_mrr_churn_bp),
            ("Net revenue retention", |it| it.net_revenue_retention_bp),
        ] {
            div.card.stat { dt { (name) } dd.v { (share(of(it))) }
                @if let Some(before) = before { dd.d { (share(of(before))) " in " (before.month) } }
            }
        }
    } } }
}

/// The movements of a month as a waterfall, and as a table.
fn movements(asked: &Asked, currency: &str, it: &Month) -> Markup {
    let name = |movement: &str| words::words(movement);
    let labels = MOVEMENTS.map(name);
    let text = |amount: i64| {
        let value = units(amount.abs(), currency);
        format!("{}{}", if amount < 0 { "−" } else { "" }, short(value))
    };
    let level = |label, amount| {
        let (to, text) = (units(amount, currency), text(amount));
        Step { label, from: 0.0, to, text, is_level: true }
    };
    let (mut steps, mut at) = (vec![level("Start", it.start)], it.start);
    for (movement, label) in MOVEMENTS.iter().zip(&labels) {
        let (from, amount) = (units(at, currency), it.of(movement));
        at += amount;
        steps.push(Step { label, from, to: units(at, currency), text: text(amount), is_level: false });
    }
    steps.push(level("End", it.end));
    let title = format!(
        "Movements of {} in {currency}: from {} to {}",
        it.month,
        money(it.start, currency),
        money(it.end, currency)
    );
    html! { section.card #movements { header { h2 { "Movements of " (it.month) } @if !it.is_complete { span.tag { "not complete" } } }
        div.grid.wide {
            div.in { (chart::waterfall(&title, &steps)) }
            table.table { caption.hide { "Movements of " (it.month) }
                thead { tr { th scope="col" { "Movement" } th.sum scope="col" { "MRR" } } }
                tbody {
                    tr { td { "Start" } td.sum { (money(it.start, currency)) } }
                    @for (movement, label) in MOVEMENTS.iter().zip(&labels) { tr {
                        td { @if it.of(movement) == 0 { (label) } @else {
                            a href=(format!("{}#organizations", asked.changed(&[("currency", currency), ("month", &it.month), ("movement", movement)]))) { (label) }
                        } }
                        td.sum { (signed(it.of(movement), currency)) }
                    } }
                    tr { td { b { "End" } } td.sum { b { (money(it.end, currency)) } } }
                }
            }
        }
    } }
}

/// The organizations behind a movement of a month.
async fn organizations(visit: &Visit, asked: &Asked, currency: &str, month: &Month) -> Result<Markup, Problem> {
    let call = visit.client.get(format!("{MRR}/movements")).query(asked.pick(&["plan", "movement"]));
    let call = call.query([("currency", currency), ("month", month.month.as_str())]);
    let found = call.send::<Moved>().await?.body;
    let movement = asked.get("movement");
    let export = [
        ("currency", currency),
        ("month", &month.month),
        ("movement", if movement.is_empty() { "all" } else { movement }),
    ];
    let export = export_url(asked, &export);
    let all = asked.changed(&[("movement", ""), ("currency", currency), ("month", &month.month)]);
    Ok(html! { section.card #organizations { header { h2 { "Organizations that moved in " (month.month) }
            div.row {
                @if !movement.is_empty() { a.btn href=(format!("{all}#organizations")) { (icon("x")) (words::words(movement)) " only" } }
                @if found.total > 0 { a.btn.edge data-download href=(export) { (icon("download")) "Export" } }
            }
        }
        @if found.items.is_empty() { p.in.soft { "None." } } @else { table.table { caption.hide { "Organizations that moved" }
            thead { tr { th scope="col" { "Organization" } th.only-wide scope="col" { "Movement" } th.sum.only-wide scope="col" { "Before" } th.sum scope="col" { "After" } th.sum scope="col" { "Change" } } }
            tbody { @for it in &found.items { tr {
                td { a href=(format!("/admin/organizations/{}/billing", it.organization)) { b { (it.organization_name.as_deref().unwrap_or(&it.organization)) } }
                    span.only-narrow { br; small.soft { (words::words(&it.movement)) } } }
                td.fit.only-wide { (words::words(&it.movement)) }
                td.sum.only-wide { (money(it.before, currency)) }
                td.sum { (money(it.after, currency)) }
                td.sum { (signed(it.after - it.before, currency)) }
            } } }
        }
        @if found.total > found.items.len() { p.in.soft { "The " (found.items.len()) " largest of " (found.total) ". The export contains all." } } }
    } })
}

/// All months of the range, the last one first.
fn months(asked: &Asked, shown: &OfCurrency) -> Markup {
    let currency = &shown.currency;
    html! { section.card { header { h2 { "Months" } span.soft { (currency) } } table.table { caption.hide { "Recurring revenue by month" }
        thead { tr { th scope="col" { "Month" }
            @for name in ["Start", "New", "Again", "Expansion", "Contraction", "Churn"] { th.sum.only-wide scope="col" { (name) } }
            th.sum scope="col" { "End" } th.sum.only-wide scope="col" { "Customers" }
            th.sum scope="col" { "MRR churn" } th.sum scope="col" { "NRR" }
        } }
        tbody { @for it in shown.months.iter().rev() { tr {
            td { a href=(format!("{}#movements", asked.changed(&[("currency", currency), ("month", &it.month), ("movement", "")]))) { (it.month) }
                @if !it.is_complete { " " span.tag { "so far" } } }
            @for amount in [it.start, it.new, it.reactivation, it.expansion, -it.contraction, -it.churn] { td.sum.only-wide { (plain(amount, currency)) } }
            td.sum { b { (plain(it.end, currency)) } }
            td.sum.only-wide { (grouped(it.customers_end.unsigned_abs())) }
            td.sum { (share(it.gross_mrr_churn_bp)) }
            td.sum { (share(it.net_revenue_retention_bp)) }
        } } }
    } } }
}

/// An amount without its currency, which the table names once.
fn plain(amount: i64, currency: &str) -> String {
    money(amount, currency).trim_end_matches(currency).trim_end().to_owned()
}
