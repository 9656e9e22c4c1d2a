//! What vendors have answered, for the user who is responsible. Pages ask when something has changed, and show it at once.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::ServiceOrder;
use crate::{
    api::{Page, Problem},
    ui::list::Asked,
    visit::{Answered, Visit},
};

/// How old an answer may be: a window that was not looked at for longer shows the orders themselves.
const PAST: SignedDuration = SignedDuration::from_hours(12);
/// Maximum number of notices, the latest ones.
const MOST: usize = 5;

/// A notice: what was answered, the page of the order, and when.
#[derive(Debug, Serialize)]
struct Notice {
    text: String,
    url: String,
    at: Timestamp,
}

/// The answers that vendors gave with their links after an instant, the latest one last, to orders for port calls for which the
/// reader is responsible.
pub(super) async fn notices(visit: Visit) -> Answered {
    visit.require("operations:read")?;
    let asked = Asked::of(&visit.frame.url);
    let now = visit.frame.now;
    let after = asked.get("after").parse::<Timestamp>().unwrap_or(now).max(now - PAST);
    Ok(answer(&visit, after).await?)
}

async fn answer(visit: &Visit, after: Timestamp) -> Result<Response, Problem> {
    let from = after.to_string();
    let call = visit.get("/service-orders").query([("answered_from", from.as_str()), ("limit", "200")]);
    let orders = call.send::<Page<ServiceOrder>>().await?.body.items;
    let own = orders.iter().filter(|order| order.agent.as_ref() == Some(&visit.frame.me.id));
    let mut notices: Vec<Notice> = own.filter_map(|order| notice(order, after)).collect();
    notices.sort_by_key(|notice| notice.at);
    let latest = notices.split_off(notices.len().saturating_sub(MOST));
    Ok(Json(latest).into_response())
}

/// The last answer of the vendor, if it was given later than that.
fn notice(order: &ServiceOrder, after: Timestamp) -> Option<Notice> {
    let at = order.answered_at.filter(|at| *at > after)?;
    let given = order.answers.iter().rev().find(|answer| answer.by == "vendor")?;
    let vendor = order.vendor_name.as_deref().unwrap_or("The vendor");
    let said = match given.answer.as_str() {
        "accepted" => "accepted",
        "declined" => "declined",
        _ => "has provided",
    };
    let text = format!("{vendor} {said}: {} for {}", order.service.replace('_', " "), order.vessel());
    Some(Notice { text, url: order.url(""), at })
}
