//! Service orders: which services are ordered for which port calls, and what vendors say.
//!
//! | file | pages |
//! |---|---|
//! | `list.rs` | the list, its export, and the section on the page of a port call |
//! | `show.rs` | one service order |
//! | `form.rs` | creating and changing |
//! | `change.rs` | asking vendors, answers, and other commands |
//! | `notices.rs` | what vendors have answered, for the responsible agent |

mod change;
mod form;
mod list;
mod notices;
mod show;

use axum::{Router, routing::get};
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;

pub(crate) use self::list::of_port_call;
use crate::{Console, ui::time};

const URL: &str = "/operations/service-orders";

pub(crate) fn routes() -> Router<Console> {
    Router::new()
        .route("/notices", get(notices::notices))
        .route("/operations/service-orders", get(list::list))
        .route("/operations/service-orders/export", get(list::export))
        .route("/operations/port-calls/{port_call}/order", get(form::new_form).post(form::create))
        .route("/operations/service-orders/{service_order}", get(show::show))
        .route("/operations/service-orders/{service_order}/edit", get(form::edit_form).post(form::save))
        .route(
            "/operations/service-orders/{service_order}/{command}",
            get(change::command_form).post(change::run_command),
        )
}

#[derive(Debug, Clone, Deserialize)]
struct ServiceOrder {
    id: String,
    port_call: String,
    vessel: Option<String>,
    port_name: Option<String>,
    time_zone: Option<String>,
    agent: Option<String>,
    vendor: Option<String>,
    vendor_name: Option<String>,
    service: String,
    details: String,
    requested_at: Timestamp,
    price: Option<Price>,
    status: String,
    answerable_until: Option<Timestamp>,
    answers: Vec<Answer>,
    answered_at: Option<Timestamp>,
    created_at: Timestamp,
    version: u64,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Price {
    amount: String,
    currency: String,
}

/// An answer of the vendor.
#[derive(Debug, Clone, Deserialize)]
struct Answer {
    answer: String,
    by: String,
    remark: Option<String>,
    answered_at: Timestamp,
}

impl std::fmt::Display for Price {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.amount, self.currency)
    }
}

impl ServiceOrder {
    fn url(&self, rest: &str) -> String {
        format!("{URL}/{}{rest}", self.id)
    }

    fn zone(&self) -> &str {
        self.time_zone.as_deref().unwrap_or("UTC")
    }

    fn vessel(&self) -> &str {
        self.vessel.as_deref().unwrap_or("a deleted port call")
    }

    /// Its name in titles.
    fn title(&self) -> String {
        format!("{} for {}", crate::ui::words::words(&self.service), self.vessel())
    }

    fn is_open(&self) -> bool {
        !matches!(self.status.as_str(), "completed" | "canceled")
    }

    fn needed(&self) -> Markup {
        html! { (time::at_port(self.requested_at, self.zone())) }
    }
}
