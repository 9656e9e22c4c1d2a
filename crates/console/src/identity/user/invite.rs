//! Inviting one or several users.

use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    action::count,
    api::{Answer, Problem},
    form::{Fields, STEP},
    ui::{self, field::field, icon, words::ROLES},
    visit::{Answered, Message, Undo, Visit},
};

pub(super) async fn invite_form(visit: Visit) -> Answered {
    visit.require("users:write")?;
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

pub(super) async fn invite(visit: Visit, fields: Fields) -> Answered {
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
    undo: Option<Undo>,
}

pub(super) async fn several_form(visit: Visit) -> Answered {
    visit.require("users:write")?;
    Ok(several_page(&visit, &Fields::with([("role", "agent".to_owned())]), &html! {}, None))
}

fn several_page(visit: &Visit, fields: &Fields, results: &Markup, problem: Option<&Problem>) -> Response {
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
                    @if let Some(problem) = problem { (ui::summary(problem)) }
                    (results)
                    (field("People", "people").value(fields.exact("people")).hint("Such as: Ana Souza <ana@acme.example>").error(problem, "/users").area(6))
                    (field("Role", "role").value(fields.text("role")).select(&roles))
                }
                footer { a.btn.edge href=(back) data-close { "Close" } button.btn.main-act type="submit" name=(STEP) value="confirm" { (icon("mail")) "Invite all" } }
            },
        ),
    );
    visit.page_with(problem, "Add several users", &[("Users & roles", &back), ("Add several users", "")], sheet)
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

pub(super) async fn invite_several(visit: Visit, fields: Fields) -> Answered {
    let lines: Vec<&str> = fields.exact("people").lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let user = |(name, email): (String, String)| json!({ "name": name, "email": email, "role": fields.text("role") });
    let body = json!({ "users": lines.iter().map(|line| user(person(line))).collect::<Vec<_>>() });
    let results =
        match visit.client.post(visit.path("/users/invite")).key(fields.key()).json(&body).send::<Results>().await {
            Ok(results) => results.body.items,
            Err(problem) if matches!(problem.status, 401 | 404) => return Err(problem.into()),
            Err(problem) => return Ok(several_page(&visit, &fields, &html! {}, Some(&problem))),
        };
    let failed: Vec<(&str, &Problem)> =
        lines.iter().copied().zip(&results).filter_map(|(line, it)| Some((line, it.problem.as_ref()?))).collect();
    let text =
        format!("{} invited.", count((lines.len() - failed.len()) as u64, "person").replace("persons", "people"));
    if failed.is_empty() {
        return Ok(visit.done(&visit.url("/users?sort=-created_at"), &Message { text, ..Message::default() }));
    }
    let reason =
        |problem: &Problem| problem.errors.first().map_or_else(|| problem.detail.clone(), |error| error.detail.clone());
    let list = html! { div.note.warn role="alert" tabindex="-1" autofocus { (icon("triangle-alert")) div { b { (text) " These were not:" }
    ul.list { @for (line, problem) in &failed { li { code { (line) } " " (ui::sentence(&reason(problem))) } } } } } };
    let left = failed.iter().map(|(line, _)| *line).collect::<Vec<_>>().join("\n");
    Ok(several_page(&visit, &Fields::with([("people", left), ("role", fields.text("role").to_owned())]), &list, None))
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
