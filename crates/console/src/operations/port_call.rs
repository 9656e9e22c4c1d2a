//! Port calls: which vessels call at which ports, and when.
//!
//! | file | pages |
//! |---|---|
//! | `list.rs` | the list, and its export |
//! | `show.rs` | one port call |
//! | `form.rs` | creating and changing |
//! | `change.rs` | statuses, and other commands |
//! | `import.rs` | importing a file |

mod change;
mod form;
mod import;
pub(crate) mod list;
mod show;

use axum::{Router, routing::get};
use jiff::Timestamp;
use serde::Deserialize;

use crate::Console;

const URL: &str = "/operations/port-calls";

pub(crate) fn routes() -> Router<Console> {
    Router::new()
        .route("/operations/port-calls", get(list::list))
        .route("/operations/port-calls/export", get(list::export))
        .route("/operations/port-calls/new", get(form::new_form).post(form::create))
        .route("/operations/port-calls/{port_call}", get(show::show))
        .route("/operations/port-calls/{port_call}/edit", get(form::edit_form).post(form::save))
        .route("/operations/port-calls/{port_call}/{command}", get(change::command_form).post(change::run_command))
        .merge(import::routes())
}

#[derive(Debug, Clone, Deserialize)]
struct PortCall {
    id: String,
    port: Port,
    vessel: String,
    imo: String,
    voyage: Option<String>,
    reference: Option<String>,
    eta: Timestamp,
    etd: Timestamp,
    agent: String,
    agent_name: Option<String>,
    status: String,
    statuses: Vec<Reached>,
    created_at: Timestamp,
}

#[derive(Debug, Clone, Deserialize)]
struct Port {
    unlocode: String,
    name: String,
    country: String,
    time_zone: String,
}

/// A status that was reached.
#[derive(Debug, Clone, Deserialize)]
struct Reached {
    status: String,
    occurred_at: Option<Timestamp>,
    remark: Option<String>,
}

/// The statuses, each with the one that follows.
const STATUSES: [(&str, &str); 5] = [
    ("planned", "confirmed"),
    ("confirmed", "arrived"),
    ("arrived", "alongside"),
    ("alongside", "departed"),
    ("departed", "closed"),
];

impl PortCall {
    fn agent_name(&self) -> &str {
        self.agent_name.as_deref().unwrap_or("Erased user")
    }

    /// The status that follows; `None` if it is closed or canceled.
    fn next(&self) -> Option<&'static str> {
        STATUSES.iter().find(|(status, _)| *status == self.status).map(|(_, next)| *next)
    }

    fn url(&self, rest: &str) -> String {
        format!("{URL}/{}{rest}", self.id)
    }

    /// Its name in titles.
    fn title(&self) -> String {
        format!("{} at {}", self.vessel, self.port.name)
    }
}
