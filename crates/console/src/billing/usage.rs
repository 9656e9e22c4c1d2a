//! Usage: what is used of each limit, day by day and month by month.

use axum::{Router, routing::get};
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;

use crate::{
    Console,
    form::attachment,
    ui::{
        self,
        chart::{self, Day},
        icon,
        list::Asked,
        money::{bytes, grouped, money},
        time, words,
    },
    visit::{Answered, Visit},
};

pub(crate) fn routes() -> Router<Console> {
    Router::new().route("/admin/usage", get(show_total))
}

pub(crate) fn settings() -> Router<Console> {
    Router::new().route("/usage", get(show)).route("/usage/export", get(export))
}

/// The usage of a month, as the API shows it.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Usage {
    from: String,
    until: String,
    ends_at: Timestamp,
    as_of: Timestamp,
    pub(super) meters: Vec<Meter>,
    top_keys: Vec<Key>,
    top_users: Vec<Actor>,
    days: Vec<DayUsage>,
    days_before: Vec<DayUsage>,
}

#[derive(Debug, Clone, Deserialize)]
struct Key {
    key: String,
    name: Option<String>,
    requests: u64,
}

#[derive(Debug, Clone, Deserialize)]
struct Actor {
    user: Option<String>,
    key: Option<String>,
    name: Option<String>,
    used: u64,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Meter {
    pub(super) meter: String,
    used: u64,
    pub(super) limit: Option<u64>,
    pub(super) included: Option<u64>,
    percent: Option<u64>,
    forecast: Option<i64>,
    limit_reached_on: Option<String>,
    overage: Option<Overage>,
}

#[derive(Debug, Clone, Deserialize)]
struct Overage {
    unit: u64,
    price_per_unit: String,
    currency: String,
    units: u64,
    amount: i64,
    forecast_amount: Option<i64>,
}

#[derive(Debug, Clone, Deserialize)]
struct DayUsage {
    day: String,
    port_calls: u64,
    api_calls: u64,
    storage_bytes: u64,
    /// Not of all organizations together.
    #[serde(default)]
    users: u64,
}

#[derive(Debug, Deserialize)]
struct History {
    items: Vec<Month>,
}

#[derive(Debug, Deserialize)]
struct Month {
    from: String,
    until: String,
    port_calls: u64,
    api_calls: u64,
    storage_bytes_average: u64,
    storage_bytes: u64,
    users: u64,
}

/// The name of a meter.
fn name(meter: &str) -> String {
    if meter == "api_calls" { "API calls".to_owned() } else { words::words(meter).replace(" bytes", "") }
}

/// A value of a meter.
fn amount(meter: &str, value: u64) -> String {
    if meter == "storage_bytes" { bytes(value) } else { grouped(value) }
}

/// A bar with what is used of a limit.
pub(super) fn meter(it: &Meter) -> Markup {
    let id = format!("meter-{}", it.meter);
    let most = it.limit.or(it.included);
    let text = match (it.limit, it.included) {
        (Some(limit), _) => format!("{} of {}", amount(&it.meter, it.used), amount(&it.meter, limit)),
        (None, Some(included)) => format!("{}, {} included", amount(&it.meter, it.used), amount(&it.meter, included)),
        (None, None) => format!("{}, no limit", amount(&it.meter, it.used)),
    };
    html! { div.meter {
        div.top { label for=(id) { (name(&it.meter)) } span.num { (text) @if let Some(percent) = it.percent { " · " (percent) "%" } } }
        @if let Some(most) = most.filter(|most| *most > 0) {
            meter id=(id) min="0" max=(most) low=(most * 8 / 10) high=(most * 95 / 100) optimum="0" value=(it.used.min(most)) { (text) }
        } @else { meter id=(id) min="0" max="1" value="0" { (text) } }
    } }
}

async fn show(visit: Visit) -> Answered {
    let usage = visit.get("/billing/usage").send::<Usage>().await?.body;
    let history = visit.get("/billing/usage/history").send::<History>().await?.body;
    let export =
        html! { (export_link(&visit, "days", "Export days")) (export_link(&visit, "months", "Export months")) };
    let content = html! {
        (ui::head("Usage", &format!("From {} until {}.", usage.from, usage.until), export))
        p.soft { "As of " (time::instant(&visit.frame, usage.as_of)) ". Counters of port calls and API calls start again " (time::instant(&visit.frame, usage.ends_at)) "." }
        div.grid.wide {
            section.card { header { h2 { "Limits" } } div.in.form { @for it in &usage.meters { (meter(it)) } } }
            (forecast_card(&usage))
        }
        (overage_card(&usage))
        (days_card("Port calls", &usage, |day| day.port_calls, "port_calls"))
        (days_card("API calls", &usage, |day| day.api_calls, "api_calls"))
        (days_card("Storage", &usage, |day| day.storage_bytes, "storage_bytes"))
        (days_card("Users", &usage, |day| day.users, "users"))
        (users_card(&visit, &usage))
        (keys_card(&visit, &usage))
        (history_card(&history))
    };
    Ok(visit.page("Usage", &[("Settings", &visit.url("/general")), ("Usage", "")], content))
}

/// A link to the CSV of a report.
fn export_link(visit: &Visit, report: &str, text: &str) -> Markup {
    let url = visit.url(&format!("/usage/export?report={report}"));
    html! { a.btn.edge data-download href=(url) { (icon("download")) (text) } }
}

/// A report as CSV.
async fn export(visit: Visit) -> Answered {
    let asked = Asked::of(&visit.frame.url);
    let (call, name) = match asked.get("report") {
        "months" => (visit.get("/billing/usage/history"), "usage-months.csv"),
        "users" => (visit.get("/billing/usage/top").query([("meter", "port_calls")]), "usage-users.csv"),
        "keys" => (visit.get("/billing/usage/top").query([("meter", "api_calls")]), "usage-keys.csv"),
        _ => (visit.get("/billing/usage/days").query(asked.pick(&["from", "until"])), "usage-days.csv"),
    };
    Ok(attachment(call.query([("format", "csv")]).download().await?, name))
}

fn forecast_card(usage: &Usage) -> Markup {
    html! { section.card { header { h2 { "Forecast" } } table.table { caption.hide { "Forecast until the end of the month" }
        thead { tr { th scope="col" { "Meter" } th.sum scope="col" { "At the end" } th scope="col" { "Limit" } } }
        tbody { @for it in &usage.meters { tr {
            td { (name(&it.meter)) }
            td.sum { @match it.forecast { Some(value) => (amount(&it.meter, value.max(0).unsigned_abs())), None => span.soft { "–" } } }
            td { @match (&it.limit_reached_on, it.limit) {
                (Some(date), _) => span.tag.warn { (date) },
                (None, Some(limit)) if it.used >= limit => span.tag.bad { "now" },
                _ => span.soft { "not reached" },
            } }
        } } }
    } p.in.soft { "As in the last 14 days. It needs three full days." } } }
}

/// What is billed beyond what is included: its price, also before anything is, so far, and as expected.
fn overage_card(usage: &Usage) -> Markup {
    let billed = || usage.meters.iter().filter_map(|it| Some((it, it.overage.as_ref()?)));
    html! { @if billed().next().is_some() { section.card { header { h2 { "Beyond what is included" } } table.table { caption.hide { "What is billed beyond what is included" }
        thead { tr { th scope="col" { "Meter" } th.sum scope="col" { "Price" } th.sum.only-wide scope="col" { "Units" } th.sum scope="col" { "So far" } th.sum scope="col" { "Expected" } } }
        tbody { @for (it, over) in billed() { tr {
            td { (name(&it.meter)) small.soft.only-wide { " beyond " (amount(&it.meter, it.included.unwrap_or_default())) } }
            td.sum { (over.price_per_unit) " " (over.currency) " per " (amount(&it.meter, over.unit)) }
            td.sum.only-wide { (grouped(over.units)) }
            td.sum { (money(over.amount, &over.currency)) }
            td.sum { @match over.forecast_amount { Some(amount) => (money(amount, &over.currency)), None => span.soft { "–" } } }
        } } }
    } p.in.soft { "A unit is billed once it has begun. Of storage, the average of the month is billed." } } } }
}

/// The days of a month as columns, with the month before as a line, and both as a table.
fn days_card(title: &str, usage: &Usage, of: impl Fn(&DayUsage) -> u64, meter: &str) -> Markup {
    days_of(title, (&usage.days, &usage.days_before), of, meter)
}

fn days_of(
    title: &str,
    (days, before): (&[DayUsage], &[DayUsage]),
    of: impl Fn(&DayUsage) -> u64,
    meter: &str,
) -> Markup {
    let day = |(index, day): (usize, &DayUsage)| Day {
        label: day.day.get(5..).unwrap_or_default().to_owned(),
        value: of(day),
        before: before.get(index).map(&of),
    };
    let days: Vec<Day> = days.iter().enumerate().map(day).collect();
    let total = if matches!(meter, "storage_bytes" | "users") {
        days.last().map_or(0, |day| day.value)
    } else {
        days.iter().map(|day| day.value).sum()
    };
    let text = format!("{title} by day: {} so far; the line is the month before", amount(meter, total));
    html! { section.card { header { h2 { (title) " by day" } div.key { span { "This month" } span.two { "Month before" } } }
        div.in { (chart::days(&text, &days))
            details { summary { "As a table" } table.table { caption.hide { (title) " by day" }
                thead { tr { th scope="col" { "Day (UTC)" } th.sum scope="col" { "This month" } th.sum scope="col" { "Month before" } } }
                tbody { @for day in &days { tr { td { (day.label) } td.sum { (amount(meter, day.value)) } td.sum { @match day.before { Some(value) => (amount(meter, value)), None => "–" } } } } }
            } }
        }
    } }
}

fn users_card(visit: &Visit, usage: &Usage) -> Markup {
    html! { @if !usage.top_users.is_empty() { section.card { header { h2 { "Who created most port calls" } (export_link(visit, "users", "Export")) } table.table { caption.hide { "Who created most port calls" }
        thead { tr { th scope="col" { "Name" } th.sum scope="col" { "Port calls" } } }
        tbody { @for it in &usage.top_users {
            @let (erased, id) = match (&it.user, &it.key) { (_, Some(key)) => ("Erased key", key.as_str()), (user, None) => ("Erased user", user.as_deref().unwrap_or_default()) };
            tr { td { b { (it.name.as_deref().unwrap_or(erased)) } " " (ui::id(id)) } td.sum { (grouped(it.used)) } }
        } }
    } } } }
}

fn keys_card(visit: &Visit, usage: &Usage) -> Markup {
    html! { @if !usage.top_keys.is_empty() { section.card { header { h2 { "API keys with the most requests" } (export_link(visit, "keys", "Export")) } table.table { caption.hide { "API keys with the most requests" }
        thead { tr { th scope="col" { "Key" } th.sum scope="col" { "Requests" } } }
        tbody { @for it in &usage.top_keys { tr { td { b { (it.name.as_deref().unwrap_or("Erased key")) } " " (ui::id(&it.key)) } td.sum { (grouped(it.requests)) } } } }
    } } } }
}

/// The usage of all organizations, as the API shows it.
#[derive(Debug, Deserialize)]
struct Total {
    as_of: Timestamp,
    days: Vec<DayUsage>,
    days_before: Vec<DayUsage>,
    months: Vec<TotalMonth>,
}

#[derive(Debug, Deserialize)]
struct TotalMonth {
    month: String,
    port_calls: u64,
    api_calls: u64,
    storage_bytes: u64,
}

async fn show_total(visit: Visit) -> Answered {
    let it = visit.client.get("/v1/platform/billing/usage").send::<Total>().await?.body;
    let days = (it.days.as_slice(), it.days_before.as_slice());
    let content = html! {
        (ui::head("Usage", "What all organizations use together: the last 30 days beside the 30 before.", html! {}))
        p.soft { "As of " (time::instant(&visit.frame, it.as_of)) "." }
        (days_of("Port calls", days, |day| day.port_calls, "port_calls"))
        (days_of("API calls", days, |day| day.api_calls, "api_calls"))
        (days_of("Storage", days, |day| day.storage_bytes, "storage_bytes"))
        section.card { header { h2 { "Months" } } table.table { caption.hide { "Usage by month" }
            thead { tr { th scope="col" { "Month" } th.sum scope="col" { "Port calls" } th.sum scope="col" { "API calls" } th.sum scope="col" { "Storage" } } }
            tbody { @for it in &it.months { tr {
                td { (it.month) } td.sum { (grouped(it.port_calls)) } td.sum { (grouped(it.api_calls)) } td.sum { (bytes(it.storage_bytes)) }
            } } }
        } }
    };
    Ok(visit.page("Usage", &[("Administration", "/admin/organizations"), ("Usage", "")], content))
}

fn history_card(history: &History) -> Markup {
    html! { section.card { header { h2 { "Months" } } table.table { caption.hide { "Usage by month" }
        thead { tr { th scope="col" { "Month" } th.sum scope="col" { "Port calls" } th.sum scope="col" { "API calls" } th.sum scope="col" { "Storage" } th.sum.only-wide scope="col" { "Average" } th.sum scope="col" { "Users" } } }
        tbody { @for it in &history.items { tr {
            td { (it.from) span.only-wide.soft { " until " (it.until) } }
            td.sum { (grouped(it.port_calls)) } td.sum { (grouped(it.api_calls)) }
            td.sum { (bytes(it.storage_bytes)) } td.sum.only-wide { (bytes(it.storage_bytes_average)) }
            td.sum { (grouped(it.users)) }
        } } }
    } } }
}
