//! Commands on the billing account that are confirmed.

use axum::http::{Method, StatusCode};
use maud::html;
use serde_json::{Value, json};

use crate::{
    action::{Action, Inputs},
    api::Problem,
    form::Fields,
    ui::{field::field, money::minor},
    visit::{Answered, Visit},
};

/// Title, lead, button, what is said when done, the right.
fn dialog(command: &str) -> Option<[&'static str; 5]> {
    let (write, staff) = ("billing:write", "billing:administer");
    match command {
        "check-tax-id" => Some([
            "Check the VAT id",
            "The registry is asked whether it is registered.",
            "Check",
            "The VAT id was checked.",
            write,
        ]),
        "request-invoice-billing" => Some([
            "Ask to pay by transfer",
            "We answer your request; until then, invoices are paid as before.",
            "Send request",
            "The request is sent.",
            write,
        ]),
        "collection" => Some([
            "Change how invoices are paid",
            "It holds for invoices that are issued from now on, and answers a request.",
            "Change",
            "How invoices are paid is changed.",
            staff,
        ]),
        "grant-balance" => Some([
            "Grant balance",
            "Invoices are paid from it first. A negative amount takes some back.",
            "Grant balance",
            "The balance is changed.",
            staff,
        ]),
        _ => None,
    }
}

/// An amount that was entered, possibly negative, in minor units; otherwise what was entered.
fn amount(text: &str, currency: &str) -> Value {
    let (sign, digits) = match text.strip_prefix(['-', '−']) {
        Some(digits) => (-1, digits),
        None => (1, text),
    };
    minor(digits, currency).map_or_else(|| text.into(), |minor| Value::from(sign * minor))
}

/// The body of a command, and its inputs.
fn parts<'a>(command: &str, fields: Option<&Fields>) -> (Value, Inputs<'a>) {
    let entered = fields.cloned().unwrap_or_default();
    let of = |name: &str| entered.text(name).to_owned();
    match command {
        "collection" => {
            let (kind, days) = (of("kind"), of("days"));
            let mut body = json!({ "kind": kind });
            if !days.is_empty() {
                body["days"] = days.parse::<u16>().map_or_else(|_| days.clone().into(), Value::from);
            }
            let inputs = move |problem: Option<&Problem>| {
                html! { div.pair {
                    (field("Invoices are paid", "kind").value(&kind).error(problem, "/kind").select(&[("automatic", "automatically"), ("invoice", "by transfer")]))
                    (field("Within how many days", "days").value(&days).optional().hint("By transfer only.").error(problem, "/days").input("number"))
                } }
            };
            (body, Inputs::new(inputs))
        }
        "grant-balance" => {
            let (text, currency, reason) = (of("amount"), of("currency").to_uppercase(), of("reason"));
            let body = json!({ "amount": amount(&text, &currency), "currency": currency, "reason": reason });
            let inputs = move |problem: Option<&Problem>| {
                html! {
                    div.pair {
                        (field("Amount", "amount").value(&text).hint("Such as 10.00.").error(problem, "/amount").input("text"))
                        (field("Currency", "currency").value(&currency).hint("Such as EUR.").error(problem, "/currency").input("text"))
                    }
                    (field("Why", "reason").value(&reason).error(problem, "/reason").input("text"))
                }
            };
            (body, Inputs::new(inputs))
        }
        _ => (json!({}), Inputs::none()),
    }
}

fn action<'a>(visit: &Visit, fields: Option<&Fields>) -> Result<(Action<'a>, &'static str), Problem> {
    let command = visit.param("command").to_owned();
    let no_page = || Problem::new(StatusCode::NOT_FOUND, "There is no such page.");
    let [title, lead, button, done, right] = dialog(&command).ok_or_else(no_page)?;
    let resource = visit.path("/billing/account");
    let (body, inputs) = parts(&command, fields);
    let action = Action {
        title: title.to_owned(),
        lead: html! { (lead) },
        button,
        is_dangerous: false,
        method: Method::POST,
        path: format!("{resource}/{command}"),
        resource,
        body,
        inputs,
        is_previewed: false,
        typed: None,
        back: visit.url("/billing/account"),
        done: done.to_owned(),
        crumbs: vec![("Tax details".to_owned(), visit.url("/billing/account"))],
    };
    Ok((action, right))
}

pub(super) async fn form(visit: Visit) -> Answered {
    let (action, right) = action(&visit, None)?;
    visit.require(right)?;
    action.show(&visit).await
}

pub(super) async fn run(visit: Visit, fields: Fields) -> Answered {
    action(&visit, Some(&fields))?.0.submit(&visit, &fields).await
}
