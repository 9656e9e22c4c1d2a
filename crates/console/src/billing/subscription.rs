//! Billing: the subscription of an organization, and what changes it.
//!
//! | file | what it owns |
//! |---|---|
//! | `change.rs` | the change of the plan, with what it costs |
//! | `act.rs` | commands that are confirmed: cancel, resume, redeem a coupon; those of staff |
//! | `unpaid.rs` | the invoices that must be paid first |

mod act;
mod change;
mod unpaid;

use axum::{Router, routing::get};
use maud::{Markup, html};
use serde::Deserialize;

pub(super) use self::act::{discount_body, discount_inputs};
use self::unpaid::{Unpaid, is_unpaid};
use super::{
    account::{Account, card, incomplete},
    payment::confirm,
    usage::{Usage, meter},
};
use crate::{
    Console,
    ui::{self, icon, money::money, words},
    visit::{Answered, Visit},
};

pub(crate) fn settings() -> Router<Console> {
    Router::new()
        .route("/billing", get(show))
        .route("/billing/change", get(change::form).post(change::submit))
        .route("/billing/discounts/{discount}/remove", get(act::removal_form).post(act::remove))
        .route("/billing/{command}", get(act::form).post(act::run))
}

/// The subscription, as the API shows it.
#[derive(Debug, Clone, Deserialize)]
struct Subscription {
    id: String,
    status: String,
    held: Option<Held>,
    chosen: Option<Held>,
    limits_of: String,
    features: Vec<String>,
    period: Option<Period>,
    trial_until: Option<String>,
    scheduled: Option<Scheduled>,
    canceled_from: Option<String>,
    change: Option<String>,
    discounts: Vec<HeldDiscount>,
    time_zone: String,
    next: Option<Quote>,
}

#[derive(Debug, Clone, Deserialize)]
struct Held {
    plan: String,
    name: String,
    plan_version: u32,
    interval: String,
    currency: String,
    seats: u32,
    price: i64,
    seat_price: Option<i64>,
}

#[derive(Debug, Clone, Deserialize)]
struct Period {
    from: String,
    until: String,
}

#[derive(Debug, Clone, Deserialize)]
struct Scheduled {
    effective: String,
    to: Held,
    cause: String,
}

#[derive(Debug, Clone, Deserialize)]
struct HeldDiscount {
    id: String,
    discount: Discount,
    periods_left: Option<u32>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Discount {
    pub(super) percent: Option<String>,
    pub(super) amount: Option<i64>,
    pub(super) currency: Option<String>,
    pub(super) duration: String,
    pub(super) periods: Option<u32>,
}

#[derive(Debug, Clone, Deserialize)]
struct Quote {
    action: String,
    effective: String,
    currency: Option<String>,
    documents: Vec<Document>,
    net: i64,
    total: i64,
    waits_for: Option<String>,
    next_renewal: Option<Renewal>,
    over_limit: Vec<OverLimit>,
    digest: String,
}

#[derive(Debug, Clone, Deserialize)]
struct Document {
    lines: Vec<Line>,
    net: i64,
}

#[derive(Debug, Clone, Deserialize)]
struct Renewal {
    on: String,
    lines: Vec<Line>,
    net: i64,
    tax: Option<QuotedTax>,
}

#[derive(Debug, Clone, Deserialize)]
struct QuotedTax {
    total: i64,
}

impl Renewal {
    /// What is paid for it: with tax, if that is known.
    fn total(&self) -> i64 {
        self.tax.as_ref().map_or(self.net, |tax| tax.total)
    }
}

#[derive(Debug, Clone, Deserialize)]
struct Line {
    kind: String,
    from: String,
    until: String,
    days: i64,
    of_days: i64,
    quantity: i64,
    discount: i64,
    net: i64,
}

#[derive(Debug, Clone, Deserialize)]
struct OverLimit {
    meter: String,
    limit: u64,
    used: u64,
}

impl Scheduled {
    /// Whether it is the move to another version of the plan, which cannot be withdrawn.
    fn is_migration(&self) -> bool {
        self.cause == "migration"
    }
}

impl Held {
    /// What it is: `Starter, monthly, 2 extra seats`.
    fn in_words(&self) -> String {
        let every = if self.interval == "year" { "yearly" } else { "monthly" };
        let seats = match self.seats {
            0 => String::new(),
            1 => ", 1 extra seat".to_owned(),
            seats => format!(", {seats} extra seats"),
        };
        format!("{}, {every}{seats}", self.name)
    }

    fn cost(&self) -> String {
        let seats = self.seat_price.unwrap_or_default() * i64::from(self.seats);
        format!("{} a {}", money(self.price + seats, &self.currency), self.interval)
    }
}

impl Discount {
    /// What it takes off: `10% for 3 periods`.
    pub(super) fn in_words(&self) -> String {
        let off = match (&self.percent, self.amount, &self.currency) {
            (Some(percent), ..) => format!("{percent}%"),
            (None, Some(amount), Some(currency)) => money(amount, currency),
            _ => String::new(),
        };
        match self.duration.as_str() {
            "once" => format!("{off} once"),
            "periods" => format!("{off} for {} periods", self.periods.unwrap_or_default()),
            _ => format!("{off} of every period"),
        }
    }
}

async fn show(visit: Visit) -> Answered {
    let it = visit.get("/billing/subscription").send::<Subscription>().await?.body;
    let usage = match visit.may("usage:read") {
        true => Some(visit.get("/billing/usage").send::<Usage>().await?.body),
        false => None,
    };
    let account = visit.get("/billing/account").send::<Account>().await?.body;
    let confirmation = match &it.change {
        Some(change) => confirm::page_of(&visit, change).await?,
        None => None,
    };
    let unpaid = unpaid::read(&visit, &it).await?;
    // What is refused until an invoice is paid is not offered.
    let may_change = visit.may("billing:write") && it.change.is_none() && !(it.status == "read_only" && is_unpaid(&it));
    let url = |rest: &str| visit.url(&format!("/billing/{rest}"));
    let change = html! { @if may_change {
        a.btn.main-act href=(url("change")) data-sheet { (icon("credit-card")) @if it.held.is_some() || it.chosen.is_some() { "Change plan" } @else { "Choose a plan" } }
    } };
    let head = html! { a.btn.edge href=(url("licences")) { (icon("file-key")) "Licences" } (change) };
    let content = html! {
        (ui::head("Billing", "What you pay for, and what comes next.", head))
        (warnings(&visit, &it, &unpaid, confirmation.as_deref()))
        (incomplete(&visit, &account))
        div.grid.wide {
            div.form {
                (plan_card(&visit, &it))
                (next_card(&it))
                (discounts_card(&visit, &it))
            }
            div.form {
                @if let Some(usage) = &usage { section.card { header { h2 { "Limits" } a href=(visit.url("/usage")) { "Usage" } }
                    div.in.form { @for it in &usage.meters { (meter(it)) } }
                } }
                (card(&visit, &account))
                (staff_card(&visit, &it))
            }
        }
    };
    Ok(visit.page("Billing", &[("Settings", &visit.url("/general")), ("Billing", "")], content))
}

fn warnings(visit: &Visit, it: &Subscription, invoices: &[Unpaid], confirmation: Option<&str>) -> Markup {
    html! {
        @match it.status.as_str() {
            _ if is_unpaid(it) => (unpaid::note(visit, it, invoices)),
            "read_only" => (ui::note("bad", "lock", "The subscription is read-only", html! { p { "The trial is over. Choose a plan to go on; reading, exports and tickets work." } })),
            "ended" => (ui::note("bad", "lock", "The subscription has ended", html! { p { "Choose a plan to go on. Your data stays readable." } })),
            "trialing" if it.chosen.is_some() => (ui::note("info", "timer", "The plan begins after the trial", html! { p {
                "If there are tax details and a way to pay by then. Otherwise, you can only read from " (it.trial_until.as_deref().unwrap_or_default()) " on."
            } })),
            "trialing" if it.chosen.is_none() => (ui::note("info", "timer", "Trial", html! { p { "The trial ends on " (it.trial_until.as_deref().unwrap_or_default()) ". Without a plan, you can only read then." } })),
            _ => {}
        }
        @if let Some(page) = confirmation { (confirm::note(page)) }
        @else if it.change.is_some() { (ui::note("info", "clock", "A change is being paid", html! { p { "It happens as soon as the payment is confirmed." } })) }
        @if let Some(date) = &it.canceled_from { (ui::note("warn", "triangle-alert", "Canceled", html! { p { "The subscription ends on " (date) "." } })) }
    }
}

fn plan_card(visit: &Visit, it: &Subscription) -> Markup {
    let may_write = visit.may("billing:write");
    let url = |rest: &str| visit.url(&format!("/billing/{rest}"));
    let features = it.features.iter().map(|it| feature(it)).collect::<Vec<_>>().join(", ");
    html! { section.card { header { h2 { "Plan" } (words::status(&it.status)) } dl.facts {
        @match (&it.held, &it.chosen) {
            (Some(held), _) => { dt { "Plan" } dd { (held.in_words()) " " span.soft { "version " (held.plan_version) } } dt { "Price" } dd { (held.cost()) ", without tax" } }
            (None, Some(chosen)) => { dt { "After the trial" } dd { (chosen.in_words()) } dt { "Price" } dd { (chosen.cost()) ", without tax" } }
            (None, None) => { dt { "Plan" } dd { "Trial with the limits of " (it.limits_of) } }
        }
        @if let Some(period) = &it.period { dt { "Paid period" } dd { (period.from) " until " (period.until) } }
        @else if let Some(until) = &it.trial_until { @if it.status == "trialing" { dt { "Trial until" } dd { (until) } } }
        @if let Some(next) = &it.scheduled { dt { "Scheduled" } dd { (next.to.in_words()) " from " (next.effective) @if next.is_migration() { ", by a move to version " (next.to.plan_version) } } }
        dt { "Features" } dd { @if features.is_empty() { span.soft { "none beyond the basic ones" } } @else { (features) } }
        dt { "Time zone" } dd { (it.time_zone) }
        dt { "Id" } dd { (ui::id(&it.id)) }
    } @if may_write { div.in.row {
        @if it.chosen.is_some() || it.scheduled.as_ref().is_some_and(|it| !it.is_migration()) { (ui::sheet_link(&url("withdraw-change"), "btn edge", "rotate-ccw", "Withdraw…")) }
        @if it.canceled_from.is_some() { (ui::sheet_link(&url("resume"), "btn edge", "rotate-ccw", "Resume…")) }
        @else if ["active", "past_due"].contains(&it.status.as_str()) { (ui::sheet_link(&url("cancel"), "btn edge", "x", "Cancel subscription…")) }
    } }
    div.in.row { a href=(url("payment-methods")) { "Payment methods" } a href=(url("payments")) { "Payments" } a href=(url("invoices")) { "Invoices" } } } }
}

fn next_card(it: &Subscription) -> Markup {
    let renewal = it.next.as_ref().and_then(|quote| Some((quote.next_renewal.as_ref()?, quote.currency.as_deref()?)));
    html! { section.card { header { h2 { "Next renewal" } } @match renewal {
        Some((renewal, currency)) => { p.in { "On " b { (renewal.on) } ", as it stands now." } (lines(&renewal.lines, currency, renewal.net)) }
        None => p.in.soft { "Nothing is due." }
    } } }
}

/// The name of a feature.
pub(super) fn feature(code: &str) -> String {
    match code {
        "api_keys" => "API keys".to_owned(),
        "sso" => "Single sign-on".to_owned(),
        code => words::words(code),
    }
}

/// The lines of a document or a renewal.
fn lines(lines: &[Line], currency: &str, net: i64) -> Markup {
    html! { table.table { caption.hide { "Lines" } thead { tr { th scope="col" { "What" } th.only-wide scope="col" { "Days" } th.sum scope="col" { "Net" } } }
        tbody {
            @for line in lines { tr {
                td { @if line.quantity < 0 { "Credit: " } (if line.kind == "base" { "Plan" } else { "Extra seats" }) @if line.quantity > 1 { " × " (line.quantity) }
                    @if line.discount != 0 { small.soft { " " (money(-line.discount, currency)) " discount" } } }
                td.only-wide.soft { (line.from) " until " (line.until) @if line.days != line.of_days { ", " (line.days) " of " (line.of_days) " days" } }
                td.sum { (money(line.net, currency)) }
            } }
            tr { td { b { "Total, without tax" } } td.only-wide {} td.sum { b { (money(net, currency)) } } }
        }
    } }
}

fn discounts_card(visit: &Visit, it: &Subscription) -> Markup {
    let (may_write, is_staff) = (visit.may("billing:write"), visit.may("billing:administer"));
    html! { section.card { header { h2 { "Discounts" }
        @if may_write { (ui::sheet_link(&visit.url("/billing/redeem"), "btn edge", "plus", "Redeem a coupon…")) }
    } @if it.discounts.is_empty() { p.in.soft { "None." } } @else { table.table { caption.hide { "Discounts" }
        thead { tr { th scope="col" { "Discount" } th scope="col" { "Periods left" } @if is_staff { th.end scope="col" { span.hide { "Actions" } } } } }
        tbody { @for it in &it.discounts { tr {
            td { (it.discount.in_words()) }
            td { @match it.periods_left { None => "always", Some(0) => "this one only", Some(left) => (left) } }
            @if is_staff { td.end { (ui::sheet_link(&visit.url(&format!("/billing/discounts/{}/remove", it.id)), "btn edge", "x", "Remove…")) } }
        } } }
    } } } }
}

fn staff_card(visit: &Visit, it: &Subscription) -> Markup {
    let url = |rest: &str| visit.url(&format!("/billing/{rest}"));
    html! { @if visit.may("billing:administer") { section.card { header { h2 { "For staff" } } div.in.form {
        @if it.status == "trialing" { (ui::sheet_link(&url("extend-trial"), "btn edge", "timer", "Extend the trial…")) }
        (ui::sheet_link(&url("add-discount"), "btn edge", "plus", "Add a discount…"))
        (ui::sheet_link(&url("change-zone"), "btn edge", "clock", "Change the time zone…"))
        @if it.status != "ended" { (ui::sheet_link(&url("end"), "btn edge", "x", "End today…")) }
    } } } }
}
