//! One user: the page, and the panel beside the list.

use futures_util::join;
use maud::{Markup, html};

use super::{User, actions, facts, history};
use crate::{
    identity::{api_key, session},
    ui::{
        self, icon,
        list::Asked,
        words::{self, GROUPS},
    },
    visit::{Answered, Visit},
};

/// The panel beside the list: the facts of one user.
pub(super) async fn panel(visit: &Visit, asked: &Asked) -> Option<Markup> {
    let id = asked.get("peek");
    if id.is_empty() {
        return None;
    }
    let user = visit.get(&format!("/users/{id}")).send::<User>().await.ok()?.body;
    let history = history(visit, &user.id).await;
    Some(html! { aside.peek #peek aria-label=(user.name()) tabindex="-1" {
        header { (ui::face(user.name(), "big")) div { h2 { (user.name()) } (words::status(&user.status)) }
            a.btn.icon href=(asked.changed(&[("peek", "")])) hx-boost="true" data-unpeek aria-label="Close the panel" { (icon("x")) } }
        (facts(visit, &user))
        div.sec { a.btn.edge href=(visit.url(&format!("/users/{}", user.id))) { "Open" (icon("arrow-right")) } }
        @if let Some(history) = history { div.sec { h3 { "History" } a href=(visit.url(&format!("/audit-log?target={id}"))) { "All" } } (history) }
    } })
}

pub(super) async fn show(visit: Visit) -> Answered {
    let id = visit.param("user").to_owned();
    let user = visit.get(&format!("/users/{id}")).send::<User>().await?.body;
    let (sessions, keys, history) =
        join!(session::of_user(&visit, &user), api_key::of_owner(&visit, &id), history(&visit, &id));
    let menu = html! {
        button.btn.edge type="button" popovertarget="actions" { "Actions" (icon("chevron-down")) }
        div.menu #actions popover { (actions(&visit, &user)) }
    };
    let content = html! {
        div.head { div.who { (ui::face(user.name(), "big")) div { h1 { (user.name()) } p { (words::status(&user.status)) " " (words::role(&user.role)) } } } div.row { (menu) } }
        @if user.status == "invited" { (mail_note(&visit, &user)) }
        div.grid.wide {
            div.form {
                section.card { header { h2 { "Profile" } } (facts(&visit, &user)) }
                section.card { header { h2 { "Permissions" }
                    @if visit.may("roles:write") && user.status != "deactivated" { (ui::sheet_link(&visit.url(&format!("/users/{id}/role")), "btn edge", "shield-check", "Change")) } }
                    (permissions(&user)) }
                (sessions)
                (keys)
            }
            @if let Some(history) = history { section.card { header { h2 { "History" } a href=(visit.url(&format!("/audit-log?target={id}"))) { "All" } } (history) } }
        }
    };
    Ok(visit.page(
        user.name(),
        &[("Settings", &visit.url("/general")), ("Users & roles", &visit.url("/users")), (user.name(), "")],
        content,
    ))
}

fn permissions(user: &User) -> Markup {
    html! { table.table { caption.hide { "Permissions by group" } thead { tr { th scope="col" { "Group" } th.end scope="col" { "Access" } } }
    tbody { @for (key, name, hint) in GROUPS { tr { td { b { (name) } div.soft { (hint) } }
        td.end { @match user.permissions.get(key).map_or("none", String::as_str) {
            "write" => (words::badge("ok", "Write")), "read" => (words::badge("info", "Read")), _ => (words::badge("", "None")),
        } } } } } } }
}

/// Where the invitation's email is if none is sent, so that a first try does not end here.
fn mail_note(visit: &Visit, user: &User) -> Markup {
    html! { @if let Some(folder) = &visit.console.settings.mail_folder { @if visit.may("users:write") {
        (ui::note("info", "mail", "Emails stay on the server", html! { p {
            "No mail server is configured: the invitation is a file in " code { (folder) } ". Read it with "
            code { "porttask mail last --to " (user.email()) } "."
        } }))
    } } }
}
