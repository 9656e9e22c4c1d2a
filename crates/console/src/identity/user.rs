//! Users & roles: who has access, and to what?

use std::collections::BTreeMap;

use axum::{Router, http::Method, response::Response, routing::get};
use futures_util::join;
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{api_key, session};
use crate::{
    Console,
    action::Action,
    api::{Answer, Page, Problem},
    compliance::audit_log,
    form::{Fields, STEP},
    ui::{
        self,
        field::{choices, field, tick},
        icon,
        list::{Asked, Column, Listing, Select},
        time,
        words::{self, GROUPS, ROLES},
    },
    visit::{Answered, Message, Visit},
};

pub(crate) fn settings() -> Router<Console> {
    Router::new()
        .route("/users", get(list))
        .route("/users/export", get(export))
        .route("/users/invite", get(invite_form).post(invite))
        .route("/users/invite-several", get(several_form).post(invite_several))
        .route("/users/{user}", get(show))
        .route("/users/{user}/role", get(role_form).post(change_role))
        .route("/users/{user}/edit", get(edit_form).post(edit))
        .route("/users/{user}/{command}", get(command_form).post(run_command))
        .merge(session::settings())
}

pub(crate) fn routes() -> Router<Console> {
    Router::new().route("/admin/users", get(search))
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct User {
    pub(crate) id: String,
    pub(crate) organization: String,
    pub(crate) name: Option<String>,
    pub(crate) email: Option<String>,
    pub(crate) pending_email: Option<String>,
    pub(crate) role: String,
    pub(crate) permissions: BTreeMap<String, String>,
    pub(crate) status: String,
    pub(crate) created_at: Timestamp,
    pub(crate) accepted_at: Option<Timestamp>,
    pub(crate) invitation_expires_at: Option<Timestamp>,
    pub(crate) last_signed_in_at: Option<Timestamp>,
    pub(crate) locked_until: Option<Timestamp>,
    pub(crate) email_delivery: Option<EmailDelivery>,
    #[serde(default)]
    pub(crate) organization_name: Option<String>,
}

/// What happened to the latest emails to a user.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct EmailDelivery {
    state: String,
    error: Option<String>,
    next_attempt_at: Option<Timestamp>,
}

impl User {
    pub(crate) fn name(&self) -> &str {
        self.name.as_deref().unwrap_or("Erased user")
    }

    fn email(&self) -> &str {
        self.email.as_deref().unwrap_or_default()
    }

    fn is_locked(&self, now: Timestamp) -> bool {
        self.locked_until.is_some_and(|until| until > now)
    }
}

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

async fn list(visit: Visit) -> Answered {
    let asked = Asked::of(&visit.frame.url);
    let since = not_since(&asked);
    let pairs = asked
        .pick(&FILTERS)
        .map(|(name, value)| (name, if name == "not_signed_in_since" { since.as_str() } else { value }));
    let call = visit.get("/users").query(pairs).query([("limit", "25"), ("count", "true")]).send::<Page<User>>();
    let (found, panel) = join!(call, panel(&visit, &asked));
    let found = found.map(|answer| answer.body);
    if let Err(problem) = &found
        && matches!(problem.status, 401 | 403 | 404)
    {
        return Err(problem.clone().into());
    }
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
    };
    let lead = format!(
        "Who has access to {}, and to what. A change takes effect on the person’s next request.",
        visit.frame.organization.name
    );
    let actions = html! { @if visit.may("users:write") {
        a.btn.edge href=(visit.url("/users/import")) { (icon("upload")) "Import" }
        a.btn.edge data-download href=(export_url(&visit, &asked)) { (icon("download")) "Export" }
        (ui::sheet_link(&visit.url("/users/invite-several"), "btn edge", "users", "Add several"))
        (ui::sheet_link(&visit.url("/users/invite"), "btn main-act", "user-plus", "Add user"))
    } };
    let content = html! {
        (ui::head("Users & roles", &lead, actions))
        div.split { (listing.render(&visit.frame, &asked, &found, |user| row(&visit, user, &asked))) @if let Some(panel) = panel { (panel) } }
    };
    Ok(visit.page("Users & roles", &[("Settings", &visit.url("/general")), ("Users & roles", "")], content))
}

fn export_url(visit: &Visit, asked: &Asked) -> String {
    asked.changed(&[("cursor", ""), ("peek", "")]).replacen(&visit.url("/users"), &visit.url("/users/export"), 1)
}

/// The filtered list as CSV.
async fn export(visit: Visit) -> Answered {
    let asked = Asked::of(&visit.frame.url);
    let since = not_since(&asked);
    let names: Vec<&str> =
        FILTERS.into_iter().filter(|name| *name != "cursor" && *name != "not_signed_in_since").collect();
    let call = visit
        .get("/users")
        .query(asked.pick(&names))
        .query([("not_signed_in_since", since.as_str()), ("format", "csv")]);
    Ok(crate::form::attachment(call.download().await?, "users.csv"))
}

fn row(visit: &Visit, user: &User, asked: &Asked) -> Markup {
    let (frame, menu) = (&visit.frame, format!("menu-{}", user.id));
    html! { tr id=(user.id) aria-current=[(asked.get("peek") == user.id).then_some("true")] {
        td { div.who { (ui::face(user.name(), "")) span {
            a.stretch href=(asked.changed(&[("peek", &user.id)])) { b { (user.name()) } }
            small { (user.email()) }
            span.only-narrow { (words::role(&user.role)) " " (words::status(&user.status)) }
        } } }
        td.fit.only-wide { (words::role(&user.role)) }
        td.fit.only-wide { (words::status(&user.status)) @if user.is_locked(frame.now) { " " (words::badge("bad", "Locked")) } }
        td.fit.soft.only-wide { (time::maybe(frame, user.last_signed_in_at, "never")) }
        td.end { div.over {
            button.btn.icon type="button" popovertarget=(menu) aria-label=(format!("Actions for {}", user.name())) { (icon("ellipsis")) }
            div.menu id=(menu) popover hx-boost:inherited="false" { (actions(visit, user)) }
        } }
    } }
}

/// What can be done with a user: nothing that the reader may not, or that their status does not allow.
fn actions(visit: &Visit, user: &User) -> Markup {
    let url = |rest: &str| visit.url(&format!("/users/{}{rest}", user.id));
    let link = |rest: &str, sign: &str, text: &str| ui::sheet_link(&url(rest), "", sign, text);
    let (writes, is_pending) = (visit.may("users:write"), matches!(user.status.as_str(), "invited" | "registered"));
    html! {
        a href=(url("")) { (icon("user")) "Open" }
        @if visit.may("roles:write") && user.status != "deactivated" { (link("/role", "shield-check", "Change role and permissions…")) }
        @if writes && is_pending {
            (link("/edit", "pencil", "Correct name or address…"))
            (link("/invite", "mail", if user.status == "invited" { "Send the invitation again…" } else { "Send an invitation…" }))
            @if user.status == "invited" { (link("/revoke-invitation", "circle-x", "Revoke the invitation…")) }
        }
        @if writes && user.status == "active" {
            (link("/reset-password", "lock", "Send a password link…"))
            @if user.is_locked(visit.frame.now) { (link("/unlock", "lock-open", "Unlock…")) }
        }
        @if visit.may("users:impersonate") && user.status == "active" { (link("/impersonate", "eye", "Impersonate…")) }
        @if visit.may("audit_log:read") { a href=(visit.url(&format!("/audit-log?target={}", user.id))) { (icon("scroll-text")) "History" } }
        @if writes {
            hr;
            @if user.status == "deactivated" { (link("/reactivate", "rotate-ccw", "Reactivate…")) }
            @else { a.bad href=(url("/deactivate")) data-sheet { (icon("user-x")) "Deactivate…" } }
            @if is_pending { a.bad href=(url("/remove")) data-sheet { (icon("trash-2")) "Remove…" } }
        }
    }
}

/// The panel beside the list: the facts of one user.
async fn panel(visit: &Visit, asked: &Asked) -> Option<Markup> {
    let id = asked.get("peek");
    if id.is_empty() {
        return None;
    }
    let user = visit.get(&format!("/users/{id}")).send::<User>().await.ok()?.body;
    let history = history(visit, &user.id).await;
    Some(html! { aside.peek #peek aria-label=(user.name()) tabindex="-1" {
        header { (ui::face(user.name(), "big")) div { h2 { (user.name()) } (words::status(&user.status)) }
            a.btn.icon href=(asked.changed(&[("peek", "")])) data-unpeek aria-label="Close the panel" { (icon("x")) } }
        (facts(visit, &user))
        div.sec { a.btn.edge href=(visit.url(&format!("/users/{}", user.id))) { "Open" (icon("arrow-right")) } }
        @if let Some(history) = history { div.sec { h3 { "History" } a href=(visit.url(&format!("/audit-log?target={id}"))) { "All" } } (history) }
    } })
}

async fn history(visit: &Visit, id: &str) -> Option<Markup> {
    if !visit.may("audit_log:read") {
        return None;
    }
    let entries =
        visit.get("/audit-log").query([("target", id), ("limit", "6")]).send::<Page<audit_log::Entry>>().await.ok()?;
    Some(audit_log::trail(&visit.frame, &entries.body.items))
}

fn facts(visit: &Visit, user: &User) -> Markup {
    let frame = &visit.frame;
    html! { dl.facts {
        dt { "Email address" } dd { (user.email()) @if let Some(pending) = &user.pending_email { br; span.soft { "to become " (pending) " once confirmed" } } }
        dt { "Role" } dd { (words::role(&user.role)) }
        @if user.status == "invited" { dt { "Invitation" } dd { "valid until " (time::maybe(frame, user.invitation_expires_at, "unknown")) } }
        @if let Some(delivery) = &user.email_delivery { dt { "Email" } dd { (words::status(&delivery.state))
            @if let Some(error) = &delivery.error { br; span.soft { (error) } }
            @if let Some(next) = delivery.next_attempt_at { br; span.soft { "next attempt " (time::instant(frame, next)) } }
        } }
        @if user.is_locked(frame.now) { dt { "Locked" } dd { "until " (time::maybe(frame, user.locked_until, "")) ", after too many wrong passwords" } }
        dt { "Last sign-in" } dd { (time::maybe(frame, user.last_signed_in_at, "never")) }
        dt { "Joined" } dd { (time::maybe(frame, user.accepted_at, "not yet")) }
        dt { "Added" } dd { (time::instant(frame, user.created_at)) }
        dt { "Id" } dd { (ui::id(&user.id)) }
    } }
}

async fn show(visit: Visit) -> Answered {
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

async fn invite_form(visit: Visit) -> Answered {
    let fields = Fields::with([("role", "agent".to_owned())]);
    Ok(invite_page(&visit, &fields, None))
}

fn invite_page(visit: &Visit, fields: &Fields, problem: Option<&Problem>) -> Response {
    let roles = ROLES.map(|(code, name, _)| (code, name));
    let back = visit.url("/users");
    let sheet = ui::sheet(
        "Add user",
        html! { "They get an email with a link to choose a password." },
        ui::sheet_form(
            &visit.frame,
            &visit.url("/users/invite"),
            html! {
                div.in {
                    @if let Some(problem) = problem { (ui::summary(problem)) }
                    (field("Full name", "name").value(fields.text("name")).error(problem, "/name").input("text"))
                    (field("Email address", "email").value(fields.text("email")).hint("The invitation goes there, and with it they sign in.").error(problem, "/email").input("email"))
                    (field("Role", "role").value(fields.text("role")).hint("Permissions can be narrowed afterwards.").error(problem, "/role").select(&roles))
                }
                footer { a.btn.edge href=(back) data-close { "Cancel" } button.btn.main-act type="submit" name=(STEP) value="confirm" { (icon("mail")) "Invite" } }
            },
        ),
    );
    let crumbs = [("Users & roles", back.as_str()), ("Add user", "")];
    visit.page_with(problem, "Add user", &crumbs, sheet)
}

async fn invite(visit: Visit, fields: Fields) -> Answered {
    let body = Value::Object(fields.json(&["name", "email", "role"]));
    match visit.client.post(visit.path("/users")).key(fields.key()).json(&body).send::<Invited>().await {
        Ok(Answer { body: Invited { id, undo }, .. }) => {
            let text = format!("{} is invited.", fields.text("name"));
            Ok(visit.done(&visit.url(&format!("/users/{id}")), &Message { text, undo, audit: None }))
        }
        Err(problem) if matches!(problem.status, 401 | 404) => Err(problem.into()),
        Err(problem) => Ok(invite_page(&visit, &fields, Some(&problem))),
    }
}

#[derive(Debug, Deserialize)]
struct Invited {
    id: String,
    undo: Option<crate::visit::Undo>,
}

async fn several_form(visit: Visit) -> Answered {
    Ok(several_page(&visit, &Fields::with([("role", "agent".to_owned())]), &html! {}))
}

fn several_page(visit: &Visit, fields: &Fields, results: &Markup) -> Response {
    let roles = ROLES.map(|(code, name, _)| (code, name));
    let back = visit.url("/users");
    let sheet = ui::sheet(
        "Add several users",
        html! { "One person a line. For hundreds, " a href=(visit.url("/users/import")) { "import a CSV file" } "." },
        ui::sheet_form(
            &visit.frame,
            &visit.url("/users/invite-several"),
            html! {
                div.in {
                    (results)
                    (field("People", "people").value(fields.exact("people")).hint("Such as: Ana Souza <ana@acme.example>").area(6))
                    (field("Role", "role").value(fields.text("role")).select(&roles))
                }
                footer { a.btn.edge href=(back) data-close { "Close" } button.btn.main-act type="submit" name=(STEP) value="confirm" { (icon("mail")) "Invite all" } }
            },
        ),
    );
    visit.page("Add several users", &[("Users & roles", &back), ("Add several users", "")], sheet)
}

/// A line such as `Ana Souza <ana@acme.example>`; without a name, that of the address is used.
fn person(line: &str) -> (String, String) {
    let (name, email) = match line.split_once('<') {
        Some((name, rest)) => (name, rest.trim_end_matches(['>', ' ', ',', ';'])),
        None => ("", line),
    };
    let name = match name.trim().trim_matches('"') {
        "" => email.split('@').next().unwrap_or_default().replace(['.', '_'], " "),
        name => name.to_owned(),
    };
    (name.trim().to_owned(), email.trim().to_owned())
}

#[derive(Debug, Deserialize)]
struct Results {
    items: Vec<Outcome>,
}

#[derive(Debug, Deserialize)]
struct Outcome {
    problem: Option<Problem>,
}

async fn invite_several(visit: Visit, fields: Fields) -> Answered {
    let lines: Vec<&str> = fields.exact("people").lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let user = |(name, email): (String, String)| json!({ "name": name, "email": email, "role": fields.text("role") });
    let body = json!({ "users": lines.iter().map(|line| user(person(line))).collect::<Vec<_>>() });
    let results =
        match visit.client.post(visit.path("/users/invite")).key(fields.key()).json(&body).send::<Results>().await {
            Ok(results) => results.body.items,
            Err(problem) if matches!(problem.status, 401 | 404) => return Err(problem.into()),
            Err(problem) => return Ok(several_page(&visit, &fields, &ui::summary(&problem))),
        };
    let failed: Vec<(&str, &Problem)> =
        lines.iter().copied().zip(&results).filter_map(|(line, it)| Some((line, it.problem.as_ref()?))).collect();
    let text = format!(
        "{} invited.",
        crate::action::count((lines.len() - failed.len()) as u64, "person").replace("persons", "people")
    );
    if failed.is_empty() {
        return Ok(visit.done(&visit.url("/users?sort=-created_at"), &Message { text, ..Message::default() }));
    }
    let reason =
        |problem: &Problem| problem.errors.first().map_or_else(|| problem.detail.clone(), |error| error.detail.clone());
    let list = html! { div.note.warn role="alert" tabindex="-1" autofocus { (icon("triangle-alert")) div { b { (text) " These were not:" }
    ul.list { @for (line, problem) in &failed { li { code { (line) } " " (ui::sentence(&reason(problem))) } } } } } };
    let left = failed.iter().map(|(line, _)| *line).collect::<Vec<_>>().join("\n");
    Ok(several_page(&visit, &Fields::with([("people", left), ("role", fields.text("role").to_owned())]), &list))
}

/// What role and permissions a form asks for: groups that stay at the role's maximum are left out.
fn wanted(fields: &Fields) -> Value {
    let groups = GROUPS.iter().filter(|(group, _, _)| !fields.text(group).is_empty());
    let permissions: Map<String, Value> =
        groups.map(|(group, _, _)| ((*group).to_owned(), fields.text(group).into())).collect();
    let mut body = fields.json(&["role"]);
    if !permissions.is_empty() {
        body.insert("permissions".to_owned(), Value::Object(permissions));
    }
    Value::Object(body)
}

async fn role_action<'a>(visit: &Visit, fields: Option<&Fields>) -> Result<Action<'a>, Problem> {
    let path = visit.path(&format!("/users/{}", visit.param("user")));
    let user = visit.client.get(path.clone()).send::<User>().await?.body;
    let chosen = fields.map_or(user.role.as_str(), |fields| fields.text("role"));
    let current = |group: &str| match fields {
        Some(fields) => fields.text(group).to_owned(),
        None => user.permissions.get(group).cloned().unwrap_or_default(),
    };
    let access = [("", "As the role allows"), ("write", "Write"), ("read", "Read"), ("none", "None")];
    let inputs = html! {
        (choices("Role", "role", &ROLES, chosen, &user.role))
        details open[fields.is_some_and(|fields| GROUPS.iter().any(|(group, _, _)| !fields.text(group).is_empty()))] {
            summary { "Narrow the permissions" }
            div.form { @for (group, name, hint) in GROUPS { (field(name, group).value(&current(group)).hint(hint).select(&access)) } }
        }
    };
    let back = visit.url(&format!("/users/{}", user.id));
    Ok(Action {
        title: format!("Change role of {}", user.name()),
        lead: html! { (user.email()) },
        button: "Change role",
        is_dangerous: false,
        method: Method::PATCH,
        resource: path.clone(),
        path,
        body: fields.map_or(Value::Null, wanted),
        inputs,
        is_previewed: false,
        typed: None,
        done: format!("The role of {} is changed.", user.name()),
        crumbs: crumbs(visit, &user),
        back,
    })
}

fn crumbs(visit: &Visit, user: &User) -> Vec<(String, String)> {
    let own = visit.url(&format!("/users/{}", user.id));
    vec![("Users & roles".to_owned(), visit.url("/users")), (user.name().to_owned(), own)]
}

async fn role_form(visit: Visit) -> Answered {
    role_action(&visit, None).await?.show(&visit).await
}

async fn change_role(visit: Visit, fields: Fields) -> Answered {
    role_action(&visit, Some(&fields)).await?.submit(&visit, &fields).await
}

async fn edit_action<'a>(visit: &Visit, fields: Option<&Fields>) -> Result<Action<'a>, Problem> {
    let path = visit.path(&format!("/users/{}", visit.param("user")));
    let user = visit.client.get(path.clone()).send::<User>().await?.body;
    let value = |name: &str, now: &str| fields.map_or(now, |fields| fields.text(name)).to_owned();
    let (name, email) = (value("name", user.name()), value("email", user.email()));
    let changed = [("name", &name, user.name()), ("email", &email, user.email())];
    let changed = changed.into_iter().filter(|(_, value, now)| value != now);
    let body: Map<String, Value> = changed.map(|(field, value, _)| (field.to_owned(), value.as_str().into())).collect();
    Ok(Action {
        title: format!("Correct {}", user.name()),
        lead: html! { "Possible until the invitation is accepted." },
        button: "Save",
        is_dangerous: false,
        method: Method::PATCH,
        resource: path.clone(),
        path,
        body: Value::Object(body),
        inputs: html! {
            (field("Full name", "name").value(&name).input("text"))
            (field("Email address", "email").value(&email).hint("A new address gets a new invitation; the former link ends.").input("email"))
        },
        is_previewed: false,
        typed: None,
        back: visit.url(&format!("/users/{}", user.id)),
        done: "Saved.".to_owned(),
        crumbs: crumbs(visit, &user),
    })
}

async fn edit_form(visit: Visit) -> Answered {
    edit_action(&visit, None).await?.show(&visit).await
}

async fn edit(visit: Visit, fields: Fields) -> Answered {
    edit_action(&visit, Some(&fields)).await?.submit(&visit, &fields).await
}

/// A command on a user that needs at most a few inputs: its title, button, whether it is dangerous, and what is said when done.
struct Command(&'static str, &'static str, &'static str, bool, &'static str);

const COMMANDS: [Command; 8] = [
    Command("deactivate", "Deactivate", "Deactivate", true, "is deactivated: their sessions have ended."),
    Command("reactivate", "Reactivate", "Reactivate", false, "is reactivated."),
    Command(
        "reset-password",
        "Send a password link to",
        "Send the link",
        false,
        "gets an email with a link to set a new password.",
    ),
    Command("unlock", "Unlock", "Unlock", false, "is unlocked."),
    Command("invite", "Send an invitation to", "Send the invitation", false, "is invited; former links have ended."),
    Command("revoke-invitation", "Revoke the invitation of", "Revoke", true, "is no longer invited."),
    Command("remove", "Remove", "Remove", true, "is removed."),
    Command("impersonate", "Impersonate", "Impersonate", true, "is impersonated."),
];

async fn command_action<'a>(visit: &Visit, fields: Option<&Fields>) -> Result<Action<'a>, Problem> {
    let name = visit.param("command");
    let not_found = || Problem::new(axum::http::StatusCode::NOT_FOUND, "There is no such page.");
    let Command(_, title, button, is_dangerous, done) =
        COMMANDS.iter().find(|it| it.0 == name).ok_or_else(not_found)?;
    let resource = visit.path(&format!("/users/{}", visit.param("user")));
    let user = visit.client.get(resource.clone()).send::<User>().await?.body;
    let has = |name: &str| fields.is_some_and(|fields| fields.has(name));
    let (lead, inputs, body) = match name {
        "deactivate" => (
            "They cannot sign in any more. Everything they did stays; they can be reactivated.",
            tick(
                "Revoke the invitations they sent",
                "revoke_invitations",
                has("revoke_invitations"),
                "Those that are not accepted yet.",
            ),
            json!({ "revoke_invitations": has("revoke_invitations") }),
        ),
        "remove" => (
            "They never accepted the invitation. Their name and address are erased; the history stays.",
            html! {},
            Value::Null,
        ),
        "reset-password" => ("Their password stays valid until they choose a new one.", html! {}, json!({})),
        "impersonate" => (
            "You act as them for up to an hour. They and their admins read the reason in the audit log.",
            super::impersonation::inputs(fields),
            super::impersonation::body(fields),
        ),
        _ => (user.email(), html! {}, json!({})),
    };
    let is_removal = name == "remove";
    Ok(Action {
        title: format!("{title} {}", user.name()),
        lead: html! { (lead) },
        button,
        is_dangerous: *is_dangerous,
        method: if is_removal { Method::DELETE } else { Method::POST },
        path: if is_removal { resource.clone() } else { format!("{resource}/{name}") },
        resource,
        body,
        inputs,
        is_previewed: name != "impersonate",
        typed: None,
        back: if is_removal { visit.url("/users") } else { visit.url(&format!("/users/{}", user.id)) },
        done: format!("{} {done}", user.name()),
        crumbs: crumbs(visit, &user),
    })
}

async fn command_form(visit: Visit) -> Answered {
    command_action(&visit, None).await?.show(&visit).await
}

async fn run_command(visit: Visit, fields: Fields) -> Answered {
    let action = command_action(&visit, Some(&fields)).await?;
    if visit.param("command") == "impersonate" && !fields.is_preview() {
        return super::impersonation::begin(&visit, action, &fields).await;
    }
    action.submit(&visit, &fields).await
}

/// Users in all organizations.
async fn search(visit: Visit) -> Answered {
    let asked = Asked::of(&visit.frame.url);
    let since = not_since(&asked);
    let names = ["q", "organization", "role", "status", "sort", "cursor", "locked"];
    let call = visit.client.get("/v1/platform/users").query(asked.pick(&names));
    let found = call
        .query([("not_signed_in_since", since.as_str()), ("limit", "25"), ("count", "true")])
        .send::<Page<User>>()
        .await;
    let found = found.map(|answer| answer.body);
    if let Err(problem) = &found
        && matches!(problem.status, 401 | 403)
    {
        return Err(problem.clone().into());
    }
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
            Column("Person", "name", ""),
            Column("Organization", "", "only-wide"),
            Column("Role", "", "only-wide"),
            Column("Status", "", "only-wide"),
            Column("Last sign-in", "", "only-wide"),
        ],
        nothing: ui::empty(
            "users",
            "Nobody yet",
            "Create an organization first: its first admin is invited with it.",
            html! { (ui::sheet_link("/admin/organizations/new", "btn main-act", "plus", "New organization")) },
        ),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_a_person() {
        let of = |line| person(line);
        assert_eq!(of("Ana Souza <ana@acme.example>"), ("Ana Souza".to_owned(), "ana@acme.example".to_owned()));
        assert_eq!(of("\"Souza, Ana\" <ana@acme.example>,"), ("Souza, Ana".to_owned(), "ana@acme.example".to_owned()));
        assert_eq!(of("ana.souza@acme.example"), ("ana souza".to_owned(), "ana.souza@acme.example".to_owned()));
    }
}
