//! The forms by which port calls are created and changed.

use axum::response::Response;
use futures_util::join;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    PortCall, URL,
    list::{Agent, agents},
};
use crate::{
    action::{conflict, outdated},
    api::{Page, Problem},
    form::{Fields, STEP, VERSION},
    ui::{self, field::field, icon, time},
    visit::{Answered, Message, Visit},
};

/// A port of the list.
#[derive(Debug, Clone, Deserialize)]
struct ListedPort {
    unlocode: String,
    name: String,
    country: String,
}

/// Members of a port that the list does not have: field, member, label, hint.
const UNLISTED: [(&str, &str, &str, &str); 3] = [
    ("unlocode", "/port/unlocode", "UN/LOCODE", "Two letters of the country and three of the place."),
    ("port_name", "/port/name", "Name", ""),
    ("port_country", "/port/country", "Country", ""),
];

/// What a form is about: the port call that is changed, with its version; none for a new one.
struct Subject<'a> {
    call: Option<&'a PortCall>,
    version: &'a str,
    note: Markup,
}

/// The ports that match what was entered, and the one that is chosen.
async fn ports(visit: &Visit, fields: &Fields) -> Vec<ListedPort> {
    let mut found = Vec::new();
    for words in [fields.text("find"), fields.text("port")].into_iter().filter(|words| !words.is_empty()) {
        let call = visit.client.get("/v1/ports").query([("q", words), ("limit", "50")]);
        let page = call.send::<Page<ListedPort>>().await;
        found.extend(page.map(|answer| answer.body.items).unwrap_or_default());
    }
    found.dedup_by(|one, other| one.unlocode == other.unlocode);
    found
}

pub(super) async fn new_form(visit: Visit) -> Answered {
    visit.require("operations:write")?;
    let fields = Fields::with([("agent", visit.frame.me.id.clone())]);
    Ok(page(&visit, &fields, Subject { call: None, version: "", note: html! {} }, None).await)
}

async fn page(visit: &Visit, fields: &Fields, subject: Subject<'_>, problem: Option<&Problem>) -> Response {
    let (ports, agents) = join!(ports(visit, fields), agents(visit));
    let call = subject.call;
    let title = call.map_or_else(|| "New port call".to_owned(), |call| format!("Change {}", call.title()));
    let url = call.map_or_else(|| format!("{URL}/new"), |call| call.url("/edit"));
    let back = call.map_or_else(|| URL.to_owned(), |call| call.url(""));
    let content = html! {
        (ui::head(&title, "Times are those of the port.", html! {}))
        section.card { (ui::form(&visit.frame, &url, html! { div.in.form {
            input type="hidden" name=(VERSION) value=(subject.version);
            @if let Some(problem) = problem { (ui::summary(problem)) }
            (subject.note)
            @if call.is_none_or(|call| call.status == "planned") { (port_inputs(fields, &ports, problem)) }
            (inputs(fields, call.is_none(), &agents, problem))
            div.row {
                button.btn.main-act type="submit" name=(STEP) value="confirm" { (icon("check")) @if call.is_some() { "Save" } @else { "Create" } }
                a.btn.edge href=(back) { "Cancel" }
            }
        } })) }
    };
    visit.page_with(problem, &title, &[("Port calls", URL), (&title, "")], content)
}

fn port_inputs(fields: &Fields, ports: &[ListedPort], problem: Option<&Problem>) -> Markup {
    let names: Vec<String> =
        ports.iter().map(|port| format!("{}, {} ({})", port.name, port.country, port.unlocode)).collect();
    let nothing = match fields.text("find") {
        "" => "Find it first",
        _ if ports.is_empty() => "No port was found",
        _ => "Choose one",
    };
    let options: Vec<(&str, &str)> = [("", nothing)]
        .into_iter()
        .chain(ports.iter().zip(&names).map(|(port, name)| (port.unlocode.as_str(), name.as_str())))
        .collect();
    let is_unlisted = UNLISTED.iter().any(|(name, _, _, _)| !fields.text(name).is_empty());
    html! {
        div.pair {
            (field("Find a port", "find").optional().value(fields.text("find")).hint("Its name, country or UN/LOCODE.").input("search"))
            (field("Port", "port").value(fields.text("port")).error(problem, "/port").select(&options))
        }
        div.row { button.btn.edge type="submit" name=(STEP) value="preview" { (icon("search")) "Find" } }
        details open[is_unlisted] { summary { "The port is not in the list" } div.form {
            @for (name, pointer, label, hint) in UNLISTED {
                (field(label, name).optional().value(fields.text(name)).hint(hint).error(problem, pointer).input("text"))
            }
        } }
        (field("Time zone of the port", "time_zone").optional().value(fields.text("time_zone")).error(problem, "/port/time_zone")
            .hint("Such as America/Sao_Paulo. Only if the list has none.").input("text"))
    }
}

fn inputs(fields: &Fields, is_new: bool, agents: &[Agent], problem: Option<&Problem>) -> Markup {
    let input = |label: &'static str, name: &'static str, pointer: &str| {
        field(label, name).value(fields.text(name)).error(problem, pointer)
    };
    let chosen = fields.text("agent");
    let is_known = agents.iter().any(|agent| agent.id == chosen);
    let nobody = [("", "Choose an agent")].into_iter().filter(|_| !is_known);
    let options: Vec<(&str, &str)> = nobody.chain(agents.iter().map(Agent::option)).collect();
    html! {
        div.pair {
            (input("Vessel", "vessel", "/vessel").input("text"))
            (input("IMO number", "imo", "/imo").hint("Seven digits.").input("text"))
        }
        div.pair {
            (input("Voyage", "voyage", "/voyage").optional().input("text"))
            @if is_new { (input("Your reference", "reference", "/reference").optional().input("text")) }
        }
        div.pair {
            (input("ETA", "eta", "/eta").hint("At the port.").input("datetime-local"))
            (input("ETD", "etd", "/etd").hint("At the port.").input("datetime-local"))
        }
        (input("Agent", "agent", "/agent").hint("Who is responsible.").select(&options))
    }
}

/// The port that was entered, as the API takes it.
fn port(fields: &Fields) -> Option<Value> {
    let (chosen, unlisted, found) = (fields.text("port"), fields.text("unlocode"), fields.text("find"));
    let is_code = found.len() == 5 && found.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let (code, members) = if !unlisted.is_empty() {
        (unlisted, &[("name", "port_name"), ("country", "port_country"), ("time_zone", "time_zone")][..])
    } else if !chosen.is_empty() {
        (chosen, &[("time_zone", "time_zone")][..])
    } else if is_code {
        // A code that was typed needs no search.
        (found, &[("time_zone", "time_zone")][..])
    } else {
        return None;
    };
    let given = members.iter().filter(|(_, name)| !fields.text(name).is_empty());
    let given = given.map(|(member, name)| ((*member).to_owned(), Value::from(fields.text(name))));
    Some(Value::Object(given.chain([("unlocode".to_owned(), code.into())]).collect()))
}

pub(super) async fn create(visit: Visit, fields: Fields) -> Answered {
    let subject = Subject { call: None, version: "", note: html! {} };
    if fields.is_preview() {
        return Ok(page(&visit, &fields, subject, None).await);
    }
    let mut body = fields.json(&["vessel", "imo", "voyage", "reference", "eta", "etd", "agent"]);
    body.extend(port(&fields).map(|port| ("port".to_owned(), port)));
    #[derive(Deserialize)]
    struct Created {
        id: String,
    }
    let call = visit.client.post(visit.path("/port-calls")).key(fields.key()).json(&body.into());
    match call.send::<Created>().await {
        Ok(created) => {
            let text = format!("The port call of {} is created.", fields.text("vessel"));
            let to = format!("{URL}/{}", created.body.id);
            Ok(visit.done(&to, &Message { text, ..Message::default() }))
        }
        Err(problem) if matches!(problem.status, 401 | 404) => Err(problem.into()),
        Err(problem) => Ok(page(&visit, &fields, subject, Some(&problem)).await),
    }
}

/// The values of a port call, as its form has them.
fn values(call: &PortCall) -> Vec<(&'static str, String)> {
    let zone = &call.port.time_zone;
    vec![
        ("port", call.port.unlocode.clone()),
        ("vessel", call.vessel.clone()),
        ("imo", call.imo.clone()),
        ("voyage", call.voyage.clone().unwrap_or_default()),
        ("eta", time::local_input(call.eta, zone)),
        ("etd", time::local_input(call.etd, zone)),
        ("agent", call.agent.clone()),
    ]
}

pub(super) async fn edit_form(visit: Visit) -> Answered {
    visit.require("operations:write")?;
    let answer = visit.get(&format!("/port-calls/{}", visit.param("port_call"))).send::<PortCall>().await?;
    let (call, version) = (&answer.body, answer.etag.as_deref().unwrap_or_default());
    Ok(page(&visit, &Fields::with(values(call)), Subject { call: Some(call), version, note: html! {} }, None).await)
}

/// What was changed in the form.
fn patch(fields: &Fields, call: &PortCall) -> Value {
    let is_changed = |name: &str, value: &str| name != "port" && fields.text(name) != value;
    let now = values(call);
    let changed = now.iter().filter(|(name, value)| is_changed(name, value)).map(|(name, _)| {
        let value = fields.text(name);
        // Only the voyage can be removed; of others, the API says that they are required.
        let value = if value.is_empty() && *name == "voyage" { Value::Null } else { value.into() };
        ((*name).to_owned(), value)
    });
    let mut body: Map<String, Value> = changed.collect();
    if let Some(port) = port(fields).filter(|port| port["unlocode"] != call.port.unlocode.as_str()) {
        body.insert("port".to_owned(), port);
        // The form shows the time on the clocks of a port: it stays that, at the other port.
        body.extend(["eta", "etd"].map(|name| (name.to_owned(), fields.text(name).into())));
    }
    body.into()
}

pub(super) async fn save(visit: Visit, fields: Fields) -> Answered {
    let path = visit.path(&format!("/port-calls/{}", visit.param("port_call")));
    let answer = visit.client.get(path.clone()).send::<PortCall>().await?;
    let (call, etag) = (&answer.body, answer.etag.as_deref().unwrap_or_default());
    let subject = |version, note| Subject { call: Some(call), version, note };
    if fields.is_preview() {
        return Ok(page(&visit, &fields, subject(fields.version(), html! {}), None).await);
    }
    match visit.client.patch(path).version(fields.version()).json(&patch(&fields, call)).send::<Value>().await {
        Ok(_) => {
            let text = format!("The port call of {} is saved.", fields.text("vessel"));
            Ok(visit.done(&call.url(""), &Message { text, ..Message::default() }))
        }
        Err(problem) if matches!(problem.status, 401 | 404) => Err(problem.into()),
        Err(problem) if problem.status == 412 => {
            Ok(outdated(page(&visit, &fields, subject(etag, conflict(&visit, &problem, "Save")), None).await))
        }
        Err(problem) => Ok(page(&visit, &fields, subject(fields.version(), html! {}), Some(&problem)).await),
    }
}
