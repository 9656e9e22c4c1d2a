//! Changing a user: role and permissions, name and address, and commands.

use axum::http::{Method, StatusCode};
use maud::html;
use serde_json::{Map, Value, json};

use super::User;
use crate::{
    action::{Action, Inputs},
    api::Problem,
    form::Fields,
    identity::impersonation,
    operations::port_call::list::{Agent, agents},
    ui::{
        field::{choices, field, tick},
        words::{GROUPS, ROLES},
    },
    visit::{Answered, Visit},
};

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
    // Left out: what the role allows if it is new, and otherwise what they have now.
    let asked = |group: &str| fields.map_or("", |fields| fields.text(group)).to_owned();
    let access = [("", "As now, or as a new role allows"), ("write", "Write"), ("read", "Read"), ("none", "None")];
    let asked = GROUPS.map(|(group, name, hint)| (group, name, hint, asked(group)));
    let (chosen, now) = (chosen.to_owned(), user.role.clone());
    let inputs = Inputs::new(move |problem| {
        html! {
            (choices("Role", "role", &ROLES, &chosen, &now))
            details open[asked.iter().any(|(.., access)| !access.is_empty())] {
                summary { "Narrow the permissions" }
                div.form { @for (group, name, hint, chosen) in &asked {
                    (field(name, group).value(chosen).hint(hint).error(problem, &format!("/permissions/{group}")).select(&access))
                } }
            }
        }
    });
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

pub(super) async fn role_form(visit: Visit) -> Answered {
    visit.require("roles:write")?;
    role_action(&visit, None).await?.show(&visit).await
}

pub(super) async fn change_role(visit: Visit, fields: Fields) -> Answered {
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
        inputs: Inputs::new(move |problem| {
            html! {
                (field("Full name", "name").value(&name).error(problem, "/name").input("text"))
                (field("Email address", "email").value(&email).hint("A new address gets a new invitation; the former link ends.").error(problem, "/email").input("email"))
            }
        }),
        is_previewed: false,
        typed: None,
        back: visit.url(&format!("/users/{}", user.id)),
        done: "Saved.".to_owned(),
        crumbs: crumbs(visit, &user),
    })
}

pub(super) async fn edit_form(visit: Visit) -> Answered {
    visit.require("users:write")?;
    edit_action(&visit, None).await?.show(&visit).await
}

pub(super) async fn edit(visit: Visit, fields: Fields) -> Answered {
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
    let not_found = || Problem::new(StatusCode::NOT_FOUND, "There is no such page.");
    let Command(_, title, button, is_dangerous, done) =
        COMMANDS.iter().find(|it| it.0 == name).ok_or_else(not_found)?;
    let resource = visit.path(&format!("/users/{}", visit.param("user")));
    let user = visit.client.get(resource.clone()).send::<User>().await?.body;
    let revokes = fields.is_some_and(|fields| fields.has("revoke_invitations"));
    let (lead, inputs, body) = match name {
        "deactivate" => {
            let mut agents = agents(visit).await;
            agents.retain(|agent| agent.id != user.id);
            let successor = fields.map_or("", |fields| fields.text("hand_over_to")).to_owned();
            let mut body = json!({ "revoke_invitations": revokes });
            if !successor.is_empty() {
                body["hand_over_to"] = successor.as_str().into();
            }
            let inputs = Inputs::new(move |problem| {
                let (label, hint) = ("Revoke the invitations they sent", "Those that are not accepted yet.");
                let stay = [("", "Leave them with the user")].into_iter();
                let others: Vec<(&str, &str)> = stay.chain(agents.iter().map(Agent::option)).collect();
                html! {
                    (tick(label, "revoke_invitations", revokes, hint))
                    (field("Their open port calls and tickets", "hand_over_to").value(&successor).error(problem, "/hand_over_to").select(&others))
                }
            });
            ("They cannot sign in any more. Everything they did stays; they can be reactivated.", inputs, body)
        }
        "remove" => (
            "They never accepted the invitation. Their name and address are erased; the history stays.",
            Inputs::none(),
            Value::Null,
        ),
        "reset-password" => ("Their password stays valid until they choose a new one.", Inputs::none(), json!({})),
        "impersonate" => (
            "You act as them for up to an hour. They and their admins read the reason in the audit log.",
            impersonation::inputs(fields),
            impersonation::body(fields),
        ),
        _ => (user.email(), Inputs::none(), json!({})),
    };
    let is_removal = name == "remove";
    Ok(Action {
        title: format!("{title} {}", user.name()),
        lead: html! { (lead) },
        button,
        is_dangerous: *is_dangerous,
        method: if is_removal { Method::DELETE } else { Method::POST },
        path: if is_removal { resource.clone() } else { format!("{resource}/{name}") },
        // An impersonation changes no user: it is a new session.
        resource: if name == "impersonate" { String::new() } else { resource },
        body,
        inputs,
        is_previewed: name != "impersonate",
        typed: None,
        back: if is_removal { visit.url("/users") } else { visit.url(&format!("/users/{}", user.id)) },
        done: format!("{} {done}", user.name()),
        crumbs: crumbs(visit, &user),
    })
}

pub(super) async fn command_form(visit: Visit) -> Answered {
    visit.require(if visit.param("command") == "impersonate" { "users:impersonate" } else { "users:write" })?;
    command_action(&visit, None).await?.show(&visit).await
}

pub(super) async fn run_command(visit: Visit, fields: Fields) -> Answered {
    let action = command_action(&visit, Some(&fields)).await?;
    if visit.param("command") == "impersonate" && !fields.is_preview() {
        return impersonation::begin(&visit, action, &fields).await;
    }
    action.submit(&visit, &fields).await
}
