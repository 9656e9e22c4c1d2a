//! Integrations: the API keys with which programs act.

use axum::{Router, http::Method, response::Response, routing::get};
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    Console,
    action::{Action, Effect, Inputs, in_days},
    api::{Page, Problem},
    form::Fields,
    ui::{
        self,
        field::{field, tick},
        icon,
        list::{Asked, Column, Listing},
        time, words,
    },
    visit::{Answered, Visit},
};

pub(crate) fn settings() -> Router<Console> {
    Router::new()
        .route("/integrations", get(list))
        .route("/integrations/new", get(new_form).post(create))
        .route("/integrations/{key}/{command}", get(command_form).post(run_command))
}

#[derive(Debug, Clone, Deserialize)]
struct ApiKey {
    id: String,
    name: String,
    owner: String,
    networks: Vec<String>,
    scopes: Vec<String>,
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
    revoked_at: Option<Timestamp>,
    last_used_at: Option<Timestamp>,
    last_used_ip: Option<String>,
    former_secret_until: Option<Timestamp>,
}

impl ApiKey {
    fn status(&self, now: Timestamp) -> &'static str {
        match (self.revoked_at, self.expires_at) {
            (Some(_), _) => "revoked",
            (None, Some(end)) if end <= now => "expired",
            (None, _) => "active",
        }
    }
}

/// What keys of the platform may do.
const SCOPES: [(&str, &str); 5] = [
    ("organizations:read", "Read organizations"),
    ("organizations:write", "Manage organizations"),
    ("users:read", "Read users"),
    ("users:write", "Manage users"),
    ("audit_log:read", "Read audit logs"),
];

/// What keys of an organization may do beside the permissions of their owner.
const OWN_SCOPES: [(&str, &str); 2] =
    [("operations:read", "Read port calls"), ("operations:write", "Manage port calls")];

async fn list(visit: Visit) -> Answered {
    let asked = Asked::of(&visit.frame.url);
    let call = visit.get("/api-keys").query(asked.pick(&["owner", "sort", "cursor"]));
    let found = call.query([("limit", "50")]).page::<ApiKey>().await?;
    let may_write = may_own(&visit);
    let create = html! { @if may_write { (ui::sheet_link(&visit.url("/integrations/new"), "btn main-act", "plus", "New API key")) } };
    let listing = Listing {
        name: "API keys",
        tabs: None,
        search: None,
        selects: &[],
        inputs: &[],
        columns: &[
            Column("Key", "", ""),
            Column("Status", "", "only-wide"),
            Column("Last used", "", "only-wide"),
            Column("Expires", "", "only-wide"),
            Column("", "", "end"),
        ],
        nothing: ui::empty(
            "plug",
            "No API key yet",
            "With a key, a program acts on your behalf, within your permissions.",
            create.clone(),
        ),
        panel: None,
    };
    let content = html! {
        (ui::head("Integrations", "Which programs act for you. A key never may more than its owner.", create))
        (listing.render(&visit.frame, &asked, &found, |key| row(&visit, key)))
    };
    Ok(visit.page("Integrations", &[("Settings", &visit.url("/general")), ("Integrations", "")], content))
}

fn row(visit: &Visit, key: &ApiKey) -> Markup {
    let (frame, status, menu) = (&visit.frame, key.status(visit.frame.now), format!("menu-{}", key.id));
    let link = |rest: &str, sign: &str, text: &str| {
        ui::sheet_link(&visit.url(&format!("/integrations/{}/{rest}", key.id)), "", sign, text)
    };
    html! { tr id=(key.id) {
        td { b { (key.name) } div.soft { (ui::id(&key.id)) }
            @if !key.scopes.is_empty() { div.soft { (key.scopes.join(", ")) } }
            @if !key.networks.is_empty() { div.soft { "only from " (key.networks.join(", ")) } }
            span.only-narrow { (words::status(status)) } }
        td.fit.only-wide { (words::status(status)) @if let Some(until) = key.former_secret_until.filter(|until| *until > frame.now) { div.soft { "former secret until " (time::instant(frame, until)) } } }
        td.fit.soft.only-wide { (time::maybe(frame, key.last_used_at, "never")) @if let Some(ip) = &key.last_used_ip { div { (ip) } } }
        td.fit.soft.only-wide { (time::maybe(frame, key.expires_at, "never")) div { "created " (time::instant(frame, key.created_at)) } }
        td.end { div.over {
            button.btn.icon type="button" popovertarget=(menu) aria-label=(format!("Actions for {}", key.name)) { (icon("ellipsis")) }
            div.menu id=(menu) popover {
                @if visit.may("users:read") { a href=(visit.url(&format!("/users/{}", key.owner))) { (icon("user")) "Owner" } }
                @if visit.may("audit_log:read") { a href=(visit.url(&format!("/audit-log?actor={}", key.id))) { (icon("scroll-text")) "What it did" } }
                @if visit.may("api_keys:write") && status == "active" {
                    @if may_own(visit) {
                        (link("rotate", "refresh-cw", "Rotate…"))
                        @if key.owner != frame.me.id { (link("adopt", "user-cog", "Adopt…")) }
                        hr;
                    }
                    (ui::sheet_link(&visit.url(&format!("/integrations/{}/revoke", key.id)), "bad", "circle-x", "Revoke…"))
                }
            }
        } }
    } }
}

/// The API keys of a user, as a section of their page.
pub(crate) async fn of_owner(visit: &Visit, owner: &str) -> Markup {
    if !visit.may("api_keys:read") {
        return html! {};
    }
    let Ok(keys) = visit.get("/api-keys").query([("owner", owner)]).send::<Page<ApiKey>>().await else {
        return html! {};
    };
    html! { @if !keys.body.items.is_empty() { section.card { header { h2 { "API keys" } } ul.rows { @for key in &keys.body.items { li {
        div { b { (key.name) } " " (words::status(key.status(visit.frame.now))) div.soft { "used " (time::maybe(&visit.frame, key.last_used_at, "never")) } }
        a.btn.edge href=(visit.url("/integrations")) { "Open" }
    } } } } } }
}

fn is_platform(visit: &Visit) -> bool {
    visit.frame.is_staff() && visit.frame.scope.is_own()
}

/// Whether the reader can own keys of this organization: staff cannot, in the organizations of others.
fn may_own(visit: &Visit) -> bool {
    visit.may("api_keys:write") && (visit.frame.scope.is_own() || !visit.frame.is_staff())
}

/// Refuses a page that only leads to a key of one's own.
fn require_own(visit: &Visit) -> Result<(), Problem> {
    if may_own(visit) {
        return Ok(());
    }
    let detail = "Only users of an organization can create, rotate and adopt its keys.";
    Err(Problem::new(axum::http::StatusCode::FORBIDDEN, detail))
}

async fn new_form(visit: Visit) -> Answered {
    visit.require("api_keys:write")?;
    require_own(&visit)?;
    Ok(new_page(&visit, &Fields::default(), None))
}

fn new_page(visit: &Visit, fields: &Fields, problem: Option<&Problem>) -> Response {
    let days = [("", "Never"), ("30", "In 30 days"), ("90", "In 90 days"), ("365", "In a year")];
    let back = visit.url("/integrations");
    let sheet = ui::sheet(
        "New API key",
        html! { "Its secret is shown once." },
        ui::sheet_form(
            &visit.frame,
            &visit.url("/integrations/new"),
            html! {
                div.in {
                    @if let Some(problem) = problem { (ui::summary(problem)) }
                    (field("Name", "name").value(fields.text("name")).hint("What it is for, such as “harbour robot”.").error(problem, "/name").input("text"))
                    (field("Expires", "days").value(fields.text("days")).error(problem, "/expires_at").select(&days))
                    (field("Only from these networks", "networks").optional().value(fields.text("networks")).hint("Separated by commas, such as 203.0.113.0/24.").error(problem, "/networks").input("text"))
                    @if is_platform(visit) { (scopes("Scopes, in all organizations", &SCOPES, fields)) }
                    @else {
                        (tick("Read only", "is_read_only", fields.has("is_read_only"), "The key may read what you may read, and change nothing."))
                        (scopes("Operations", &OWN_SCOPES, fields))
                    }
                }
                footer { a.btn.edge href=(back) data-close { "Cancel" } button.btn.main-act type="submit" { (icon("plus")) "Create" } }
            },
        ),
    );
    visit.page_with(problem, "New API key", &[("Integrations", &back), ("New API key", "")], sheet)
}

fn scopes(legend: &str, scopes: &[(&str, &str)], fields: &Fields) -> Markup {
    html! { fieldset.choices { legend { (legend) }
        @for (scope, text) in scopes { label.choice { input type="checkbox" name="scopes" value=(scope) checked[fields.all("scopes").any(|it| it == *scope)]; b { (text) } } }
    } }
}

async fn create(visit: Visit, fields: Fields) -> Answered {
    let mut body = fields.json(&["name"]);
    if let Some(end) = fields.text("days").parse().ok().and_then(|days| in_days(visit.frame.now, days)) {
        body.insert("expires_at".to_owned(), end.into());
    }
    let networks: Vec<&str> = fields.text("networks").split([',', ' ']).filter(|it| !it.is_empty()).collect();
    body.insert("networks".to_owned(), networks.into());
    body.insert("scopes".to_owned(), fields.all("scopes").collect::<Vec<_>>().into());
    if !is_platform(&visit) && fields.has("is_read_only") {
        let groups = words::GROUPS.map(|(group, _, _)| (group.to_owned(), Value::from("read")));
        body.insert("permissions".to_owned(), Value::Object(groups.into_iter().collect()));
    }
    let call = visit.client.post(visit.path("/api-keys")).key(fields.key()).json(&Value::Object(body));
    match call.send::<Effect>().await {
        Ok(answer) => Ok(secret_page(&visit, fields.text("name"), answer.body.token.as_deref())),
        Err(problem) if matches!(problem.status, 401 | 404) => Err(problem.into()),
        Err(problem) => Ok(new_page(&visit, &fields, Some(&problem))),
    }
}

/// The secret, once. The page is not compressed, so that its length tells nothing about it.
fn secret_page(visit: &Visit, name: &str, secret: Option<&str>) -> Response {
    let back = visit.url("/integrations");
    let sheet = ui::sheet(
        &format!("The secret of {name}"),
        html! { "Copy it now: it is not shown again." },
        html! { div.in.form {
            @match secret {
                Some(secret) => div.field { label for="f-secret" { "Secret" } input #f-secret type="text" readonly value=(secret);
                    div.row { button.btn.edge.need-js type="button" data-copy=(secret) { (icon("copy")) "Copy" } } },
                None => (ui::note("info", "info", "This was done before", html! { p { "The secret was shown then. If it was not kept, rotate the key." } })),
            }
            a.btn.main-act href=(back) { "Done" }
        } },
    );
    let mut response = visit.page("The secret of an API key", &[("Integrations", &back), ("Secret", "")], sheet);
    response.headers_mut().insert("content-encoding", axum::http::HeaderValue::from_static("identity"));
    response
}

async fn command_action<'a>(visit: &Visit, fields: Option<&Fields>) -> Result<Action<'a>, Problem> {
    let path = visit.path(&format!("/api-keys/{}", visit.param("key")));
    let key = visit.client.get(path.clone()).send::<ApiKey>().await?.body;
    let name = visit.param("command").to_owned();
    let hours = fields.map_or("24", |fields| fields.text("overlap_hours")).to_owned();
    let (title, lead, button, done) = match name.as_str() {
        "rotate" => ("Rotate", "It gets a new secret, which is shown once.", "Rotate", "has a new secret."),
        "adopt" => ("Adopt", "It acts on your behalf from now on, within your permissions.", "Adopt", "is yours."),
        "revoke" => {
            ("Revoke", "Programs that use it are refused at once. This cannot be undone.", "Revoke", "is revoked.")
        }
        _ => return Err(Problem::new(axum::http::StatusCode::NOT_FOUND, "There is no such page.")),
    };
    let is_rotation = name == "rotate";
    let overlaps = [("0", "Not at all"), ("1", "For an hour"), ("24", "For a day"), ("168", "For a week")];
    let back = visit.url("/integrations");
    Ok(Action {
        title: format!("{title} {}", key.name),
        lead: html! { (lead) },
        button,
        is_dangerous: name == "revoke",
        method: Method::POST,
        path: format!("{path}/{name}"),
        resource: path,
        body: if is_rotation { json!({ "overlap_hours": hours.parse::<u32>().unwrap_or(24) }) } else { json!({}) },
        inputs: Inputs::new(move |problem| {
            html! { @if is_rotation {
                (field("The former secret stays valid", "overlap_hours").value(&hours).error(problem, "/overlap_hours").select(&overlaps))
            } }
        }),
        is_previewed: true,
        typed: None,
        done: format!("{} {done}", key.name),
        crumbs: vec![("Integrations".to_owned(), back.clone())],
        back,
    })
}

async fn command_form(visit: Visit) -> Answered {
    visit.require("api_keys:write")?;
    if visit.param("command") != "revoke" {
        require_own(&visit)?;
    }
    command_action(&visit, None).await?.show(&visit).await
}

async fn run_command(visit: Visit, fields: Fields) -> Answered {
    let action = command_action(&visit, Some(&fields)).await?;
    if fields.is_preview() || visit.param("command") != "rotate" {
        return action.submit(&visit, &fields).await;
    }
    match action.run(&visit, &fields).await {
        Ok(effect) => Ok(secret_page(&visit, action.title.trim_start_matches("Rotate "), effect.token.as_deref())),
        Err(problem) => action.failed(&visit, &fields, &problem).await,
    }
}
