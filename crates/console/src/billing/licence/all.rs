//! The licences of all organizations, for staff.

use axum::{Router, routing::get};
use maud::html;

use super::{Licence, TABS, row};
use crate::{
    Console,
    form::attachment,
    ui::{
        self, icon,
        list::{Asked, Column, Listing, Select},
    },
    visit::{Answered, Visit},
};

pub(super) fn routes() -> Router<Console> {
    Router::new().route(URL, get(list)).route("/admin/licences/export", get(export))
}

const URL: &str = "/admin/licences";
const API: &str = "/v1/platform/billing/licences";
const KINDS: [(&str, &str); 5] = [
    ("", "Any kind"),
    ("trial", "Trial"),
    ("subscription", "Subscription"),
    ("enterprise", "Enterprise"),
    ("partner", "Partner"),
];

async fn list(visit: Visit) -> Answered {
    let asked = Asked::of(&visit.frame.url);
    let call = visit.client.get(API).query(asked.pick(&["status", "kind", "sort", "cursor"]));
    let found = call.query([("limit", "25"), ("count", "true")]).page::<Licence>().await?;
    let selects = [Select { name: "kind", label: "Kind", options: &KINDS }];
    let listing = Listing {
        name: "Licences",
        tabs: Some(("status", &TABS)),
        search: None,
        selects: &selects,
        inputs: &[],
        columns: &[
            Column("Organization", "created_at", ""),
            Column("Status", "", "only-wide"),
            Column("Machines", "", "sum"),
            Column("Until", "expires_at", "only-wide"),
        ],
        nothing: ui::empty(
            "file-key",
            "No licence yet",
            "Open Billing, Licences of an organization to issue one.",
            html! { a.btn.edge href="/admin/organizations" { "Organizations" } },
        ),
        panel: None,
    };
    let shown = |it: &Licence| {
        let url = format!("/admin/organizations/{}/billing/licences/{}", it.organization, it.id);
        row(&visit, it, &url, Some(it.organization_name.as_deref().unwrap_or(&it.organization)))
    };
    let export = asked.changed(&[("cursor", "")]).replacen(URL, "/admin/licences/export", 1);
    let actions = html! {
        a.btn.edge data-download href=(export) { (icon("download")) "Export" }
        @if visit.may("licences:write") { a.btn.edge href="/admin/licence-signing-keys" { (icon("key-round")) "Signing keys" } }
    };
    let content = html! {
        (ui::head("Licences", "What permits installations of organizations to run.", actions))
        (listing.render(&visit.frame, &asked, &found, shown))
    };
    Ok(visit.page("Licences", &[("Administration", "/admin/organizations"), ("Licences", "")], content))
}

/// The filtered list as CSV.
async fn export(visit: Visit) -> Answered {
    let asked = Asked::of(&visit.frame.url);
    let call = visit.client.get(API).query(asked.pick(&["status", "kind", "sort"])).query([("format", "csv")]);
    Ok(attachment(call.download().await?, "licences.csv"))
}
