//! The series of numbers of the seller's documents, and how they go on after a restore.

use axum::{
    Router,
    http::{Method, StatusCode},
    routing::get,
};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{API, URL as SELLER};
use crate::{
    Console,
    action::{Action, Inputs},
    api::{FieldError, Problem},
    form::Fields,
    ui::{self, field::field, words},
    visit::{Answered, Message, Visit},
};

pub(super) fn routes() -> Router<Console> {
    Router::new().route(URL, get(list)).route("/admin/seller/series/{series}/continue", get(form).post(run))
}

pub(super) const URL: &str = "/admin/seller/series";

#[derive(Debug, Deserialize)]
struct NumberSeriesList {
    items: Vec<NumberSeries>,
}

#[derive(Debug, Deserialize)]
struct NumberSeries {
    id: String,
    kind: String,
    prefix: String,
    year: i16,
    last_number: u64,
    last_issue_date: Option<String>,
    next_number: String,
}

impl NumberSeries {
    /// What its numbers begin with, such as `PT-2026`.
    fn name(&self) -> String {
        format!("{}-{}", self.prefix, self.year)
    }
}

async fn read(visit: &Visit) -> Result<Vec<NumberSeries>, Problem> {
    Ok(visit.client.get(format!("{API}/series")).send::<NumberSeriesList>().await?.body.items)
}

async fn list(visit: Visit) -> Answered {
    visit.require("billing:administer")?;
    let items = read(&visit).await?;
    let lead = "Numbers of invoices and credit notes have no gaps. They are counted from 1 in each year.";
    let restored = html! { p { "A backup does not know the numbers that were assigned after it. Continue each series behind the last number that was sent out, so that none is assigned twice." } };
    let content = html! {
        (ui::head("Number series", lead, html! { a.btn.edge href=(SELLER) { "Seller" } }))
        (ui::note("info", "rotate-ccw", "After a restore", restored))
        section.card { table.table {
            caption.hide { "Series of the present prefix, of this year and of the year before" }
            thead { tr {
                th scope="col" { "Series" }
                th.only-wide scope="col" { "Prefix" }
                th.only-wide scope="col" { "Year" }
                th.sum scope="col" { "Last number" }
                th.only-wide scope="col" { "Issued" }
                th.only-wide scope="col" { "Next number" }
                th.end.act scope="col" { span.hide { "Actions" } }
            } }
            tbody { @for it in &items { (row(it)) } }
        } }
    };
    Ok(visit.page("Number series", &[("Seller", SELLER), ("Number series", "")], content))
}

fn row(it: &NumberSeries) -> Markup {
    html! { tr id=(it.id) {
        td { b { (words::words(&it.kind)) } span.only-narrow { br; small.soft { "Next: " (it.next_number) } } }
        td.only-wide { (it.prefix) }
        td.only-wide { (it.year) }
        td.sum { @if it.last_number == 0 { span.soft { "none" } } @else { (it.last_number) } }
        td.fit.soft.only-wide { (it.last_issue_date.as_deref().unwrap_or("–")) }
        td.only-wide { code { (it.next_number) } }
        td.end.act { (ui::sheet_link(&format!("{URL}/{}/continue", it.id), "btn edge", "rotate-ccw", "Continue…")) }
    } }
}

async fn action<'a>(visit: &Visit, fields: &Fields) -> Result<Action<'a>, Problem> {
    let id = visit.param("series").to_owned();
    let no_page = || Problem::new(StatusCode::NOT_FOUND, "There is no such page.");
    let it = read(visit).await?.into_iter().find(|it| it.id == id).ok_or_else(no_page)?;
    let (last, reason) = (fields.text("last_number").to_owned(), fields.text("reason").to_owned());
    let number = last.parse::<u64>().map_or_else(|_| last.clone().into(), Value::from);
    let hint = format!("41 for {}-000041.", it.name());
    let inputs = move |problem: Option<&Problem>| {
        html! {
            (field("Last number that was sent out", "last_number").value(&last).hint(&hint).error(problem, "/last_number").input("number"))
            (field("Why", "reason").value(&reason).error(problem, "/reason").input("text"))
        }
    };
    Ok(Action {
        title: format!("Continue {} after a restore", it.name()),
        lead: html! { "The next number would be " b { (it.next_number) } ". A series never goes back." },
        button: "Continue series",
        is_dangerous: true,
        method: Method::POST,
        path: format!("{API}/series/{id}/continue"),
        // Its number is what is confirmed; the API shows no version of it.
        resource: String::new(),
        body: json!({ "last_number": number, "reason": fields.text("reason") }),
        inputs: Inputs::new(inputs),
        is_previewed: false,
        typed: None,
        back: URL.to_owned(),
        done: format!("The series {} is continued.", it.name()),
        crumbs: vec![("Seller".to_owned(), SELLER.to_owned()), ("Number series".to_owned(), URL.to_owned())],
    })
}

/// What is wrong with the number, beside its field: the API names no field for it.
fn beside_the_number(mut problem: Problem) -> Problem {
    let is_of_the_number = ["series-backwards", "series-number"].iter().any(|end| problem.kind.ends_with(end));
    if is_of_the_number && problem.errors.is_empty() {
        problem.errors = vec![FieldError { pointer: "/last_number".to_owned(), detail: problem.detail.clone() }];
    }
    problem
}

async fn form(visit: Visit) -> Answered {
    visit.require("billing:administer")?;
    action(&visit, &Fields::default()).await?.show(&visit).await
}

async fn run(visit: Visit, fields: Fields) -> Answered {
    let action = action(&visit, &fields).await?;
    if fields.is_preview() {
        return action.submit(&visit, &fields).await;
    }
    match action.run(&visit, &fields).await {
        Ok(_) => Ok(visit.done(&action.back, &Message { text: action.done.clone(), ..Message::default() })),
        Err(problem) => action.failed(&visit, &fields, &beside_the_number(problem)).await,
    }
}
