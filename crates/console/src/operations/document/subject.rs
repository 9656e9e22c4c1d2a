//! What documents belong to: port calls and service orders.

use maud::{Markup, html};

use super::{Document, URL, size};
use crate::{
    api::Page,
    ui::{self, list::Asked, time, words},
    visit::Visit,
};

/// How the ids of service orders start.
const ORDER: &str = "ord_";
/// Maximum number of documents that are shown on a page of something else.
const MOST: usize = 50;

/// What a document belongs to: the id of a port call or a service order; empty if it belongs to none.
pub(super) struct Subject(String);

impl Subject {
    /// What the form was opened for.
    pub(super) fn of_form(visit: &Visit) -> Self {
        Self(Asked::of(&visit.frame.url).get("subject").to_owned())
    }

    /// The address of the form.
    pub(super) fn form(&self) -> String {
        Asked::of(&format!("{URL}/new")).with("subject", &self.0)
    }

    /// The page to which the form returns.
    pub(super) fn page(&self) -> String {
        if self.0.is_empty() { URL.to_owned() } else { page(&self.0) }
    }

    /// The parameter of the upload.
    pub(super) fn parameter(&self) -> Option<(&'static str, &str)> {
        let name = if self.0.starts_with(ORDER) { "service_order" } else { "port_call" };
        Some((name, self.0.as_str())).filter(|_| !self.0.is_empty())
    }
}

/// The page of a port call or a service order.
fn page(id: &str) -> String {
    let pages = if id.starts_with(ORDER) { "service-orders" } else { "port-calls" };
    // An id in an address may be anything.
    let id: String = id.chars().filter(|it| it.is_ascii_alphanumeric() || *it == '_').collect();
    format!("/operations/{pages}/{id}")
}

impl Document {
    /// A link to what it belongs to.
    pub(super) fn belonging(&self) -> Markup {
        let Some(subject) = &self.subject else { return html! { "–" } };
        let service = self.service.as_deref().map(words::words);
        match (&self.vessel, &self.port_name, service) {
            (Some(vessel), _, Some(service)) => html! { a href=(page(subject)) { (service) " for " (vessel) } },
            (Some(vessel), Some(port), None) => html! { a href=(page(subject)) { (vessel) " at " (port) } },
            (None, _, Some(service)) => html! { a href=(page(subject)) { (service) " for a deleted port call" } },
            (_, _, None) => html! { span.soft { "A deleted port call" } },
        }
    }
}

/// The documents of a port call or a service order, as a section of its page.
pub(crate) async fn of_subject(visit: &Visit, subject: &str, can_have_more: bool) -> Markup {
    let limit = MOST.to_string();
    let call = visit.get("/documents").query([("subject", subject), ("sort", "-created_at"), ("limit", &limit)]);
    let found = call.send::<Page<Document>>().await.map(|answer| answer.body);
    let all = Asked::of(URL).with("subject", subject);
    let add = Subject(subject.to_owned()).form();
    html! { section.card { header { h2 { "Documents" }
        @if can_have_more && visit.may("operations:write") { (ui::sheet_link(&add, "btn edge", "upload", "Upload")) } }
        @match found {
            Err(problem) => p.in.soft { "They could not be loaded: " (problem.detail) },
            Ok(page) if page.items.is_empty() => p.in.soft { "None." },
            Ok(page) => {
                ul.rows { @for it in &page.items { li {
                    div {
                        @if it.status == "stored" { a data-download href=(format!("{URL}/{}/content", it.id)) { b { (it.name()) } } } @else { b { (it.name()) } " " (words::status(&it.status)) }
                        div.soft { (it.kind()) " · " (size(it.bytes)) }
                    }
                    (time::instant(&visit.frame, it.created_at))
                } } }
                @if page.next_cursor.is_some() { p.in { a href=(all) { "All documents" } } }
            }
        }
    } }
}
