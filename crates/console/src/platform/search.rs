//! Going to a page: by its name, or by an id that is pasted.

use axum::{Router, response::IntoResponse, routing::get};
use maud::html;

use crate::{
    Console,
    ui::{self, frame, list::Asked},
    visit::{Answered, Visit, see_other},
};

pub(crate) fn routes() -> Router<Console> {
    Router::new().route("/search", get(search))
}

/// The page of an id, such as `usr_…`.
fn page_of(visit: &Visit, id: &str) -> Option<String> {
    let (kind, _) = id.split_once('_').filter(|(_, rest)| rest.len() == 26)?;
    match kind {
        "usr" if visit.may("users:read") => Some(format!("/settings/users/{id}")),
        "org" if visit.may("organizations:read") => Some(format!("/admin/organizations/{id}")),
        "key" if visit.may("api_keys:read") => Some("/settings/integrations".to_owned()),
        "call" if visit.may("operations:read") => Some(format!("/operations/port-calls/{id}")),
        "ord" if visit.may("operations:read") => Some(format!("/operations/service-orders/{id}")),
        "vnd" if visit.may("vendors:read") => Some(format!("/operations/vendors/{id}")),
        "tkt" if visit.may("tickets:read") => Some(format!("/settings/tickets/{id}")),
        "ses" if visit.may("audit_log:read") => Some(format!("/settings/audit-log?session={id}")),
        "job" if visit.may("users:read") => Some(format!("/settings/users/import/{id}")),
        _ => None,
    }
}

async fn search(visit: Visit) -> Answered {
    let asked = Asked::of(&visit.frame.url);
    let words = asked.get("q").trim();
    if let Some(url) = page_of(&visit, words) {
        return Ok(see_other(&url).into_response());
    }
    let content = html! { (ui::head("Go to a page", "", html! {})) div.card.found { (frame::palette(&visit.frame, words, "page")) } };
    Ok(visit.page("Go to a page", &[("Go to a page", "")], content))
}
