//! Commands that are previewed and confirmed: what will happen is shown by a dry run before it does, and nothing that
//! somebody else changed meanwhile is overwritten silently.

use axum::{
    http::{Method, StatusCode},
    response::Response,
};
use jiff::{Timestamp, tz::TimeZone};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;

use crate::{
    api::Problem,
    form::{Fields, STEP, VERSION},
    ui::{self, icon, sentence, time, words},
    visit::{Answered, Frame, Message, Undo, Visit},
};

/// The field in which a name is typed to confirm what cannot be undone.
const TYPED: &str = "typed";

/// A command, as a dialog with a preview.
pub(crate) struct Action<'a> {
    pub(crate) title: String,
    pub(crate) lead: Markup,
    /// What the button says: the act.
    pub(crate) button: &'a str,
    pub(crate) is_dangerous: bool,
    pub(crate) method: Method,
    /// The operation's path in the API.
    pub(crate) path: String,
    /// The path of the resource whose version is confirmed; empty for none.
    pub(crate) resource: String,
    pub(crate) body: Value,
    pub(crate) inputs: Inputs<'a>,
    /// Whether the command can be tried before anything is entered.
    pub(crate) is_previewed: bool,
    /// What must be typed to confirm.
    pub(crate) typed: Option<String>,
    /// Where to go when done, or not.
    pub(crate) back: String,
    /// What the next page says.
    pub(crate) done: String,
    pub(crate) crumbs: Vec<(String, String)>,
}

/// The inputs of a dialog, with what was entered; what is wrong is shown beside each.
pub(crate) struct Inputs<'a>(Box<Draw<'a>>);

/// Draws inputs, with what is wrong.
type Draw<'a> = dyn Fn(Option<&Problem>) -> Markup + Send + Sync + 'a;

impl<'a> Inputs<'a> {
    pub(crate) fn new(inputs: impl Fn(Option<&Problem>) -> Markup + Send + Sync + 'a) -> Self {
        Self(Box::new(inputs))
    }

    /// A dialog that only asks for confirmation.
    pub(crate) fn none() -> Self {
        Self::new(|_| html! {})
    }
}

/// What a command did, or would do.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Effect {
    pub(crate) id: String,
    pub(crate) events: Vec<String>,
    pub(crate) changes: Vec<Change>,
    pub(crate) rights_gained: Vec<String>,
    pub(crate) rights_lost: Vec<String>,
    pub(crate) sessions: u64,
    pub(crate) api_keys: Value,
    pub(crate) keys_that_stop: Vec<String>,
    pub(crate) pending_invitations: Vec<String>,
    pub(crate) service_orders: Vec<String>,
    /// Subscriptions that are moved to another version.
    pub(crate) scheduled: u64,
    pub(crate) open_port_calls: Vec<String>,
    pub(crate) open_tickets: Vec<String>,
    pub(crate) handed_over_to: Option<String>,
    /// What became of a payment.
    pub(crate) payment: Option<String>,
    pub(crate) undo: Option<Undo>,
    pub(crate) token: Option<String>,
}

/// A changed field.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Change {
    pub(crate) field: String,
    pub(crate) from: Option<String>,
    pub(crate) to: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Anything {}

impl Action<'_> {
    /// The dialog, before anything was submitted.
    pub(crate) async fn show(self, visit: &Visit) -> Answered {
        self.preview(visit, &Fields::default()).await
    }

    /// Whether the operation can be tried: those that handle secrets or pay cannot.
    fn has_preview(&self) -> bool {
        !["/rotate", "/impersonate", "/licence-signing-keys", "/pay"].iter().any(|end| self.path.ends_with(end))
    }

    /// Previews or confirms what was submitted.
    pub(crate) async fn submit(self, visit: &Visit, fields: &Fields) -> Answered {
        if fields.is_preview() {
            return self.preview(visit, fields).await;
        }
        if let Some(wanted) = self.typed.as_ref().filter(|wanted| fields.text(TYPED) != wanted.as_str()) {
            let problem = Problem {
                status: 422,
                errors: vec![crate::api::FieldError {
                    pointer: format!("/{TYPED}"),
                    detail: format!("type {wanted} to confirm"),
                }],
                ..Problem::default()
            };
            return Ok(self.page(visit, fields.version(), &html! {}, Some(&problem)));
        }
        match self.run(visit, fields).await {
            Ok(effect) => Ok(visit.done(&self.back, &self.message(visit, effect))),
            Err(problem) => self.failed(visit, fields, &problem).await,
        }
    }

    /// Executes the command. For actions that do not lead back at once.
    ///
    /// # Errors
    /// Why it failed.
    pub(crate) async fn run(&self, visit: &Visit, fields: &Fields) -> Result<Effect, Problem> {
        let call =
            visit.client.call(self.method.clone(), self.path.clone()).version(fields.version()).key(fields.key());
        let call = if self.body.is_null() { call } else { call.json(&self.body) };
        Ok(call.send::<Option<Effect>>().await?.body.unwrap_or_default())
    }

    /// The dialog again, with what is wrong.
    pub(crate) async fn failed(&self, visit: &Visit, fields: &Fields, problem: &Problem) -> Answered {
        match problem.status {
            401 => Err(problem.clone().into()),
            // Without a resource, what was entered is not found.
            404 if !self.resource.is_empty() => Err(problem.clone().into()),
            412 => {
                let version = self.version(visit).await?;
                let note = conflict(visit, problem, self.button);
                let page = self.page(visit, &version, &note, None);
                // Who only opens the dialog has submitted nothing that could be outdated.
                Ok(if fields.has(STEP) { outdated(page) } else { page })
            }
            _ => Ok(self.page(visit, fields.version(), &html! {}, Some(problem))),
        }
    }

    fn message(&self, visit: &Visit, effect: Effect) -> Message {
        let audit = (!effect.id.is_empty()).then(|| visit.url(&format!("/audit-log?target={}", effect.id)));
        Message { text: self.done.clone(), undo: effect.undo, audit }
    }

    async fn version(&self, visit: &Visit) -> Result<String, Problem> {
        if self.resource.is_empty() {
            return Ok(String::new());
        }
        Ok(visit.client.get(self.resource.clone()).send::<Anything>().await?.etag.unwrap_or_default())
    }

    async fn preview(self, visit: &Visit, fields: &Fields) -> Answered {
        let version = self.version(visit).await?;
        if !self.has_preview() || !(self.is_previewed || fields.has(STEP)) {
            return Ok(self.page(visit, &version, &html! {}, None));
        }
        let call = visit.client.call(self.method.clone(), self.path.clone()).dry_run(true).version(&version);
        let call = if self.body.is_null() { call } else { call.json(&self.body) };
        match call.send::<Option<Effect>>().await {
            Ok(answer) => Ok(self.page(visit, &version, &shown(&visit.frame, &answer.body.unwrap_or_default()), None)),
            // While somebody still chooses, what is wrong stands where the effect would, and leaves the focus alone.
            Err(problem)
                if visit.frame.is_scripted && fields.has(STEP) && !matches!(problem.status, 401 | 404 | 412) =>
            {
                Ok(self.page(visit, &version, &impossible(&problem), None))
            }
            Err(problem) => self.failed(visit, fields, &problem).await,
        }
    }

    /// The dialog; with the status of what is wrong.
    fn page(&self, visit: &Visit, version: &str, effect: &Markup, problem: Option<&Problem>) -> Response {
        let url = visit.frame.url.split('?').next().unwrap_or_default();
        let class = if self.is_dangerous { "btn risk" } else { "btn main-act" };
        let sheet = ui::sheet(
            &self.title,
            self.lead.clone(),
            ui::sheet_form(
                &visit.frame,
                url,
                html! {
                    // Whatever is chosen is tried at once; only the latest choice counts.
                    div.in hx-post=[self.has_preview().then_some(url)] hx-trigger="change" hx-include="closest form"
                        hx-sync="this:replace" hx-target="#effect" hx-select="#effect" hx-swap="outerMorph"
                        hx-vals=(format!(r#"{{"{STEP}":"preview"}}"#)) {
                        @if let Some(problem) = problem { (ui::summary(problem)) }
                        ((self.inputs.0)(problem))
                        // The version stands with what was shown for it: whoever confirms has seen what they overwrite.
                        div #effect aria-live="polite" { input type="hidden" name=(VERSION) value=(version); (effect) }
                        @if let Some(typed) = &self.typed {
                            (ui::field::field(&format!("Type {typed} to confirm"), TYPED).error(problem, "/typed").input("text"))
                        }
                    }
                    footer {
                        a.btn.edge href=(self.back) data-close { "Cancel" }
                        @if self.has_preview() { button.btn.edge.no-js type="submit" name=(STEP) value="preview" { "Preview" } }
                        button class=(class) type="submit" name=(STEP) value="confirm" { (self.button) }
                    }
                },
            ),
        );
        let mut crumbs: Vec<(&str, &str)> =
            self.crumbs.iter().map(|(text, url)| (text.as_str(), url.as_str())).collect();
        crumbs.push((&self.title, ""));
        visit.page_with(problem, &self.title, &crumbs, sheet)
    }
}

/// A page that shows what somebody else did meanwhile.
pub(crate) fn outdated(mut page: Response) -> Response {
    *page.status_mut() = StatusCode::PRECONDITION_FAILED;
    page
}

/// What somebody else did meanwhile.
pub(crate) fn conflict(visit: &Visit, problem: &Problem, button: &str) -> Markup {
    html! { div.note.warn role="alert" tabindex="-1" autofocus { (icon("triangle-alert")) div {
        b { "Somebody else changed this in the meantime" }
        @if let Some(last) = &problem.last_change {
            p { b { (last.actor.as_deref().unwrap_or("Somebody")) } " " (last.summary) ", " (time::instant(&visit.frame, last.occurred_at)) "." }
        }
        p { "Nothing was overwritten. “" (button) "” applies yours on top of theirs; “Cancel” keeps theirs." }
    } } }
}

/// Why a command would be refused.
fn impossible(problem: &Problem) -> Markup {
    let details = problem.errors.iter().map(|error| sentence(&error.detail)).collect::<Vec<_>>();
    let text = if details.is_empty() { sentence(&problem.detail) } else { details.join(" ") };
    ui::note("bad", "circle-alert", "This is not possible yet", html! { p { (text) } })
}

/// What will happen.
pub(crate) fn shown(frame: &Frame, effect: &Effect) -> Markup {
    let rights = |rights: &[String]| rights.iter().map(|right| words::right(right)).collect::<Vec<_>>().join(", ");
    html! { div.effect { h2 { (icon("eye")) "What will happen" } ul.list {
        @if effect.events.is_empty() && effect.scheduled == 0 { li { (icon("info")) span { "Nothing: it is so already." } } }
        @for change in &effect.changes { li { (icon("arrow-right")) span { (words::words(&change.field)) ": " (changed(&frame.zone, change)) } } }
        @if effect.changes.is_empty() { @for event in &effect.events { li { (icon("arrow-right")) span { (event_in_words(event)) } } } }
        @if !effect.rights_gained.is_empty() { li { (icon("plus")) span { "Gains: " (rights(&effect.rights_gained)) } } }
        @if !effect.rights_lost.is_empty() { li { (icon("x")) span { "Loses: " (rights(&effect.rights_lost)) } } }
        @if effect.sessions > 0 { li { (icon("clock")) span { "Takes effect at once in " (count(effect.sessions, "open session")) } } }
        @if !effect.keys_that_stop.is_empty() {
            li { (icon("key-round")) span { (count(effect.keys_that_stop.len() as u64, "API key")) " will stop working" } }
        }
        @if !effect.service_orders.is_empty() {
            li { (icon("package")) span { "Cancels " (count(effect.service_orders.len() as u64, "service order")) "; their vendors get an email" } }
        }
        @for (sign, left, name) in [("ship", &effect.open_port_calls, "open port call"), ("ticket", &effect.open_tickets, "open ticket")] {
            @if !left.is_empty() { li { (icon(sign)) span { (count(left.len() as u64, name))
                @if effect.handed_over_to.is_some() { " will be handed over" } @else { " will stay with them" } } } }
        }
        @if effect.scheduled > 0 { li { (icon("receipt")) span { "Schedules the move of " (count(effect.scheduled, "subscription")) "; their admins get an email" } } }
        @if !effect.pending_invitations.is_empty() {
            li { (icon("mail")) span { (count(effect.pending_invitations.len() as u64, "invitation")) " that they sent " @if effect.pending_invitations.len() == 1 { "is" } @else { "are" } " not accepted yet" } }
        }
    } } }
}

/// The fields whose values are codes of the API.
const CODED: [&str; 7] = ["role", "status", "administration", "invoices", "reports", "tickets", "format"];

/// An old and a new value. Instants have date and time, in a time zone that is named with them: only so can two be compared.
pub(crate) fn changed(zone: &TimeZone, change: &Change) -> Markup {
    let in_words = |value: &str| match value.parse::<Timestamp>() {
        Ok(at) => time::exact(at, zone),
        Err(_) if CODED.contains(&change.field.as_str()) => html! { (words::role_name(value)) },
        Err(_) => html! { (value) },
    };
    html! {
        @if let Some(from) = &change.from { span.from { (in_words(from)) } " → " }
        span.to { (change.to.as_deref().map_or_else(|| html! { "none" }, in_words)) }
    }
}

/// An event such as `user.role_changed` in words.
pub(crate) fn event_in_words(event: &str) -> String {
    sentence(&event.replace(['.', '_'], " "))
}

/// A number with its noun.
pub(crate) fn count(count: u64, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// The moment until which something holds, as ISO 8601, from a number of days: the end of the last one, so that a form that
/// is submitted twice asks for the same.
pub(crate) fn in_days(now: Timestamp, days: i64) -> Option<String> {
    const DAY: i64 = 24 * 60 * 60;
    let end = now.as_second().div_euclid(DAY).checked_add(days)?.checked_add(1)?.checked_mul(DAY)?;
    Timestamp::from_second(end).ok().map(|at| at.to_string())
}
