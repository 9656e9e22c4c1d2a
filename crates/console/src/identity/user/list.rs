//! Lists of users: of an organization, and of all of them.

use futures_util::join;
use maud::{Markup, html};

use super::{User, actions, show::panel};
use crate::{
    form::attachment,
    ui::{
        self, icon,
        list::{Asked, Column, Listing, Select},
        time, words,
    },
    visit::{Answered, Visit},
};

const TABS: [(&str, &str); 5] = [
    ("", "All"),
    ("active", "Active"),
    ("invited", "Invited"),
    ("registered", "Registered"),
    ("deactivated", "Deactivated"),
];
const ROLE_FILTER: [(&str, &str); 5] =
    [("", "Any role"), ("admin", "Admin"), ("agent", "Agent"), ("read_only", "Read-only"), ("auditor", "Auditor")];
const LOCK_FILTER: [(&str, &str); 3] = [("", "Locked or not"), ("true", "Locked"), ("false", "Not locked")];
const FILTERS: [&str; 7] = ["q", "role", "status", "sort", "cursor", "locked", "not_signed_in_since"];

/// The filter "not since", which is entered as a day.
fn not_since(asked: &Asked) -> String {
    match asked.get("not_signed_in_since") {
        "" => String::new(),
        day if day.len() == 10 => format!("{day}T00:00:00Z"),
        instant => instant.to_owned(),
    }
}

pub(super) async fn list(visit: Visit) -> Answered {
    let asked = Asked::of(&visit.frame.url);
    let since = not_since(&asked);
    let pairs = asked
        .pick(&FILTERS)
        .map(|(name, value)| (name, if name == "not_signed_in_since" { since.as_str() } else { value }));
    let call = visit.get("/users").query(pairs).query([("limit", "25"), ("count", "true")]).page::<User>();
    let (found, panel) = join!(call, panel(&visit, &asked));
    let found = found?;
    let listing = Listing {
        name: "Users",
        tabs: Some(("status", &TABS)),
        search: Some("Name or email address"),
        selects: &[
            Select { name: "role", label: "Role", options: &ROLE_FILTER },
            Select { name: "locked", label: "Lock", options: &LOCK_FILTER },
        ],
        inputs: &[("not_signed_in_since", "No sign-in since", "date")],
        columns: &[
            Column("Person", "name", ""),
            Column("Role", "", "only-wide"),
            Column("Status", "", "only-wide"),
            Column("Last sign-in", "last_signed_in_at", "only-wide"),
            Column("", "", "end"),
        ],
        nothing: ui::empty(
            "users",
            "Invite your first colleague",
            "People you invite get an email with a link, and choose a password of their own.",
            html! {
                @if visit.may("users:write") { (ui::sheet_link(&visit.url("/users/invite"), "btn main-act", "user-plus", "Add user")) }
            },
        ),
        panel,
    };
    let lead = format!(
        "Who has access to {}, and to what. A change takes effect on the person’s next request.",
        visit.frame.organization.name
    );
    let actions = html! { a.btn.edge data-download href=(export_url(&visit, &asked)) { (icon("download")) "Export" } @if visit.may("users:write") {
        a.btn.edge href=(visit.url("/users/import")) { (icon("upload")) "Import" }
        (ui::sheet_link(&visit.url("/users/invite-several"), "btn edge", "users", "Add several"))
        (ui::sheet_link(&visit.url("/users/invite"), "btn main-act", "user-plus", "Add user"))
    } };
    let content = html! {
        (ui::head("Users & roles", &lead, actions))
        (listing.render(&visit.frame, &asked, &found, |user| row(&visit, user, &asked)))
    };
    Ok(visit.page("Users & roles", &[("Settings", &visit.url("/general")), ("Users & roles", "")], content))
}

fn export_url(visit: &Visit, asked: &Asked) -> String {
    asked.changed(&[("cursor", ""), ("peek", "")]).replacen(&visit.url("/users"), &visit.url("/users/export"), 1)
}

/// The filtered list as CSV.
pub(super) async fn export(visit: Visit) -> Answered {
    let asked = Asked::of(&visit.frame.url);
    let since = not_since(&asked);
    let names: Vec<&str> =
        FILTERS.into_iter().filter(|name| *name != "cursor" && *name != "not_signed_in_since").collect();
    let call = visit.get("/users").query(asked.pick(&names));
    let call = call.query([("not_signed_in_since", since.as_str()), ("format", "csv")]);
    Ok(attachment(call.download().await?, "users.csv"))
}

fn row(visit: &Visit, user: &User, asked: &Asked) -> Markup {
    let (frame, menu) = (&visit.frame, format!("menu-{}", user.id));
    html! { tr id=(user.id) aria-current=[(asked.get("peek") == user.id).then_some("true")] {
        td { div.who { (ui::face(user.name(), "")) span {
            a.stretch hx-boost="true" href=(asked.changed(&[("peek", &user.id)])) { b { (user.name()) } }
            small { (user.email()) }
            span.only-narrow { (words::role(&user.role)) " " (words::status(&user.status)) }
        } } }
        td.fit.only-wide { (words::role(&user.role)) }
        td.fit.only-wide { (words::status(&user.status)) @if user.is_locked(frame.now) { " " (words::badge("bad", "Locked")) } }
        td.fit.soft.only-wide { (time::maybe(frame, user.last_signed_in_at, "never")) }
        td.end { div.over {
            button.btn.icon type="button" popovertarget=(menu) aria-label=(format!("Actions for {}", user.name())) { (icon("ellipsis")) }
            div.menu id=(menu) popover { (actions(visit, user)) }
        } }
    } }
}

/// Users in all organizations.
pub(super) async fn search(visit: Visit) -> Answered {
    let asked = Asked::of(&visit.frame.url);
    let since = not_since(&asked);
    let names = ["q", "organization", "role", "status", "sort", "cursor", "locked"];
    let call = visit.client.get("/v1/platform/users").query(asked.pick(&names));
    let found = call
        .query([("not_signed_in_since", since.as_str()), ("limit", "25"), ("count", "true")])
        .page::<User>()
        .await?;
    let listing = Listing {
        name: "Users of all organizations",
        tabs: Some(("status", &TABS)),
        search: Some("Name or email address"),
        selects: &[
            Select { name: "role", label: "Role", options: &ROLE_FILTER },
            Select { name: "locked", label: "Lock", options: &LOCK_FILTER },
        ],
        inputs: &[("organization", "Organization", "text"), ("not_signed_in_since", "No sign-in since", "date")],
        columns: &[
            Column("Person", "", ""),
            Column("Organization", "", "only-wide"),
            Column("Role", "", "only-wide"),
            Column("Status", "", "only-wide"),
            Column("Last sign-in", "last_signed_in_at", "only-wide"),
        ],
        nothing: ui::empty(
            "users",
            "Nobody yet",
            "Create an organization first: its first admin is invited with it.",
            html! { (ui::sheet_link("/admin/organizations/new", "btn main-act", "plus", "New organization")) },
        ),
        panel: None,
    };
    let row = |user: &User| {
        html! { tr id=(user.id) {
            td { div.who { (ui::face(user.name(), "")) span {
                a.stretch href=(format!("/admin/organizations/{}/users/{}", user.organization, user.id)) { b { (user.name()) } }
                small { (user.email()) }
                span.only-narrow { (user.organization_name.as_deref().unwrap_or_default()) }
            } } }
            td.only-wide { (user.organization_name.as_deref().unwrap_or(&user.organization)) }
            td.fit.only-wide { (words::role(&user.role)) }
            td.fit.only-wide { (words::status(&user.status)) @if user.is_locked(visit.frame.now) { " " (words::badge("bad", "Locked")) } }
            td.fit.soft.only-wide { (time::maybe(&visit.frame, user.last_signed_in_at, "never")) }
        } }
    };
    let content = html! {
        (ui::head("Users", "Find a person in any organization. Searches and what you open are recorded.", html! {}))
        (listing.render(&visit.frame, &asked, &found, row))
    };
    Ok(visit.page("Users", &[("Administration", "/admin/organizations"), ("Users", "")], content))
}
