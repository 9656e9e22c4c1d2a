//! Drafts of invoices, by staff.

use axum::http::{Method, StatusCode};
use jiff::civil::Date;
use maud::html;
use serde_json::{Value, json};

use super::{
    PATH, must_be_customer,
    show::{InvoiceDetail, read, resource},
};
use crate::{
    action::{Action, Inputs},
    api::Problem,
    form::Fields,
    ui::{field::field, icon, sentence},
    visit::{Answered, Message, Visit},
};

/// How many lines can be entered, as in the API.
const MOST: usize = 200;
/// How many are shown at least.
const LEAST: usize = 5;
/// How many empty ones are shown after those of a draft.
const EMPTY: usize = 3;
const NAMES: [&str; 5] = ["description", "quantity", "unit_price", "from", "last_day"];

/// A field of a line.
fn name(field: &str, line: usize) -> String {
    format!("{field}_{line}")
}

/// Whether anything of a line is entered.
fn is_entered(fields: &Fields, line: usize) -> bool {
    NAMES.iter().any(|it| !fields.text(&name(it, line)).is_empty())
}

/// How many lines are shown.
fn shown(fields: &Fields) -> usize {
    let last = (1..=MOST).rev().find(|line| is_entered(fields, *line)).unwrap_or_default();
    (last + EMPTY).clamp(LEAST, MOST)
}

/// The lines that are entered, as the API takes them.
fn lines(fields: &Fields) -> Vec<Value> {
    let entered = (1..=MOST).filter(|line| is_entered(fields, *line)).map(|line| {
        let text = |field: &str| fields.text(&name(field, line)).to_owned();
        let (quantity, last) = (text("quantity"), text("last_day"));
        // Until the end of the day that was entered.
        let until = last.parse::<Date>().ok().and_then(|day| day.tomorrow().ok()).map_or(last, |next| next.to_string());
        json!({
            "description": text("description"), "from": text("from"), "until": until,
            "quantity": quantity.parse::<i64>().map_or_else(|_| Value::from(quantity), Value::from),
            "unit_price": text("unit_price"),
        })
    });
    entered.collect()
}

/// A draft as the values of the form.
fn entered(it: &InvoiceDetail) -> Fields {
    let mut pairs = Vec::new();
    for (place, line) in it.lines.iter().flatten().enumerate() {
        let last = line.until.parse::<Date>().ok().and_then(|day| day.yesterday().ok());
        let values = [
            ("description", line.description.clone()),
            ("quantity", line.quantity.to_string()),
            ("unit_price", line.unit_price.clone()),
            ("from", line.from.clone()),
            ("last_day", last.map(|it| it.to_string()).unwrap_or_default()),
        ];
        pairs.extend(values.map(|(field, value)| (name(field, place + 1), value)));
    }
    Fields::with(pairs.iter().map(|(name, value)| (name.as_str(), value.clone())))
}

fn inputs<'a>(fields: &Fields, has_currency: bool) -> Inputs<'a> {
    let entered = fields.clone();
    let currency = if fields.text("currency").is_empty() { "EUR" } else { fields.text("currency") }.to_owned();
    Inputs::new(move |problem: Option<&Problem>| {
        html! {
            @if has_currency { (field("Currency", "currency").value(&currency).error(problem, "/currency").input("text")) }
            fieldset.form #f-lines { legend.hide { "Lines" }
                @if let Some(text) = problem.and_then(|it| it.at("/lines")) { span.error { (icon("circle-alert")) span { (sentence(text)) } } }
                @for line in 1..=shown(&entered) {
                    @let of = |name: &str| entered.text(name).to_owned();
                    @let (what, quantity, price) = (name("description", line), name("quantity", line), name("unit_price", line));
                    @let (from, last) = (name("from", line), name("last_day", line));
                    fieldset.form { legend { b { "Line " (line) } }
                        @if line == 1 { (field("Description", &what).value(&of(&what)).input("text")) }
                        @else { (field("Description", &what).value(&of(&what)).optional().input("text")) }
                        div.pair {
                            (field("Quantity", &quantity).value(&of(&quantity)).optional().input("number"))
                            (field("Price of one", &price).value(&of(&price)).optional().input("text"))
                        }
                        div.pair {
                            (field("First day", &from).value(&of(&from)).optional().input("date"))
                            (field("Last day", &last).value(&of(&last)).optional().input("date"))
                        }
                    }
                }
                @if shown(&entered) < MOST { p.soft { "For more lines, save the draft and edit it." } }
            }
        }
    })
}

fn drafting<'a>(visit: &Visit, fields: &Fields) -> Action<'a> {
    let back = visit.url(PATH);
    let currency = if fields.text("currency").is_empty() { "EUR" } else { fields.text("currency") };
    Action {
        title: "Draft an invoice".to_owned(),
        lead: html! { "Prices are without tax. Nobody is billed before it is issued." },
        button: "Draft invoice",
        is_dangerous: false,
        method: Method::POST,
        path: visit.path(PATH),
        resource: String::new(),
        body: json!({ "currency": currency, "lines": lines(fields) }),
        inputs: inputs(fields, true),
        is_previewed: false,
        typed: None,
        back: back.clone(),
        done: "The invoice is drafted.".to_owned(),
        crumbs: vec![("Invoices".to_owned(), back)],
    }
}

pub(super) async fn new_form(visit: Visit) -> Answered {
    visit.require("billing:administer")?;
    must_be_customer(&visit)?;
    drafting(&visit, &Fields::default()).show(&visit).await
}

pub(super) async fn create(visit: Visit, fields: Fields) -> Answered {
    let action = drafting(&visit, &fields);
    if fields.is_preview() {
        return action.submit(&visit, &fields).await;
    }
    match action.run(&visit, &fields).await {
        Ok(effect) => {
            let message = Message { text: action.done, ..Message::default() };
            Ok(visit.done(&visit.url(&format!("{PATH}/{}", effect.id)), &message))
        }
        Err(problem) => action.failed(&visit, &fields, &problem).await,
    }
}

async fn changing<'a>(visit: &Visit, fields: Option<&Fields>) -> Result<Action<'a>, Problem> {
    let it = read(visit).await?;
    if it.lines.is_none() {
        return Err(Problem::new(StatusCode::CONFLICT, "Only a draft can be changed."));
    }
    let fields = fields.cloned().unwrap_or_else(|| entered(&it));
    let list = visit.url(PATH);
    let back = format!("{list}/{}", it.id);
    Ok(Action {
        title: "Change the draft".to_owned(),
        lead: html! { "Prices are in " (it.currency()) ", without tax." },
        button: "Save",
        is_dangerous: false,
        method: Method::PATCH,
        path: resource(visit),
        resource: resource(visit),
        body: json!({ "lines": lines(&fields) }),
        inputs: inputs(&fields, false),
        is_previewed: false,
        typed: None,
        back: back.clone(),
        done: "The draft is changed.".to_owned(),
        crumbs: vec![("Invoices".to_owned(), list), (it.name(), back)],
    })
}

pub(super) async fn form(visit: Visit) -> Answered {
    visit.require("billing:administer")?;
    changing(&visit, None).await?.show(&visit).await
}

pub(super) async fn change(visit: Visit, fields: Fields) -> Answered {
    changing(&visit, Some(&fields)).await?.submit(&visit, &fields).await
}
