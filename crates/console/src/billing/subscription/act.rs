//! Commands on the subscription that are confirmed.

use axum::http::{Method, StatusCode};
use maud::{Markup, html};
use serde_json::{Value, json};

use super::Subscription;
use crate::{
    action::{Action, Inputs},
    api::Problem,
    form::Fields,
    ui::{field::field, money::minor},
    visit::{Answered, Visit},
};

/// How the dialog of a command looks.
struct Dialog {
    title: &'static str,
    lead: &'static str,
    button: &'static str,
    done: &'static str,
    is_dangerous: bool,
    right: &'static str,
    is_previewed: bool,
}

fn dialog(command: &str) -> Option<Dialog> {
    let write = "billing:write";
    let staff = "billing:administer";
    let of = |title, lead, button, done, is_dangerous, right, is_previewed| {
        Some(Dialog { title, lead, button, done, is_dangerous, right, is_previewed })
    };
    match command {
        "cancel" => of(
            "Cancel the subscription",
            "It ends with the paid period; until then, nothing changes.",
            "Cancel subscription",
            "The subscription is canceled.",
            true,
            write,
            true,
        ),
        "resume" => of(
            "Resume the subscription",
            "It goes on as if it had not been canceled. This costs nothing.",
            "Resume",
            "The subscription goes on.",
            false,
            write,
            true,
        ),
        "withdraw-change" => of(
            "Withdraw the scheduled change",
            "What you hold now goes on.",
            "Withdraw",
            "The change is withdrawn.",
            false,
            write,
            true,
        ),
        "redeem" => of(
            "Redeem a coupon",
            "Its discount applies from the next period on.",
            "Redeem",
            "The coupon is redeemed.",
            false,
            write,
            false,
        ),
        "extend-trial" => {
            of("Extend the trial", "Nothing is billed for it.", "Extend", "The trial is extended.", false, staff, false)
        }
        "add-discount" => of(
            "Add a discount",
            "It applies from the next period on.",
            "Add discount",
            "The discount is added.",
            false,
            staff,
            false,
        ),
        "change-zone" => of(
            "Change the time zone of billing",
            "Days are counted in it from the next period on.",
            "Change",
            "The time zone is changed.",
            false,
            staff,
            false,
        ),
        "end" => of(
            "End the subscription today",
            "What was paid for later days is credited. The organization can only read then.",
            "End subscription",
            "The subscription has ended.",
            true,
            staff,
            true,
        ),
        _ => None,
    }
}

fn no_page() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "There is no such page.")
}

fn text(fields: Option<&Fields>, name: &str) -> String {
    fields.map_or("", |fields| fields.text(name)).to_owned()
}

/// The body of a command, and its inputs: for staff, some have more.
fn parts<'a>(command: &str, fields: Option<&Fields>, is_staff: bool) -> (Value, Inputs<'a>) {
    let of = |name: &str| text(fields, name);
    match command {
        "cancel" => {
            let (reason, on) = (of("reason"), of("on"));
            let body = Value::Object(fields.map(|fields| fields.json(&["reason", "on"])).unwrap_or_default());
            let inputs = move |problem: Option<&Problem>| -> Markup {
                html! {
                    @if is_staff { (field("First day without it", "on").value(&on).optional().hint("The end of the paid period if empty. Inside of it, what was paid is credited.").error(problem, "/on").input("date")) }
                    (field("Why", "reason").value(&reason).optional().error(problem, "/reason").input("text"))
                }
            };
            (body, Inputs::new(inputs))
        }
        "redeem" => {
            let code = of("code");
            let body = json!({ "code": code });
            let inputs = move |problem: Option<&Problem>| {
                field("Code", "code").value(&code).error(problem, "/code").input("text")
            };
            (body, Inputs::new(inputs))
        }
        "extend-trial" => {
            let (until, reason) = (of("until"), of("reason"));
            let body = json!({ "until": until, "reason": reason });
            let inputs = move |problem: Option<&Problem>| {
                html! {
                    (field("First date after the trial", "until").value(&until).error(problem, "/until").input("date"))
                    (field("Why", "reason").value(&reason).error(problem, "/reason").input("text"))
                }
            };
            (body, Inputs::new(inputs))
        }
        "change-zone" => {
            let zone = of("time_zone");
            let body = json!({ "time_zone": zone });
            let inputs = move |problem: Option<&Problem>| {
                field("Time zone", "time_zone")
                    .value(&zone)
                    .hint("Such as Europe/Lisbon.")
                    .error(problem, "/time_zone")
                    .input("text")
            };
            (body, Inputs::new(inputs))
        }
        "add-discount" => discount(fields),
        _ => (json!({}), Inputs::none()),
    }
}

/// The fields of a discount, as they are entered.
pub(in crate::billing) fn discount_body(of: impl Fn(&str) -> String) -> Value {
    let mut body = json!({ "duration": of("duration"), "applies_to": of("applies_to") });
    let currency = of("currency").to_uppercase();
    match (of("percent"), of("amount")) {
        (percent, amount) if amount.is_empty() => body["percent"] = percent.into(),
        (percent, amount) => {
            body["amount"] = minor(&amount, &currency).map_or_else(|| amount.into(), Value::from);
            body["currency"] = currency.into();
            if !percent.is_empty() {
                body["percent"] = percent.into();
            }
        }
    }
    if body["duration"] == "periods" {
        body["periods"] = of("periods").parse::<u32>().map_or_else(|_| of("periods").into(), Value::from);
    }
    body
}

/// The inputs of a discount, below a pointer.
pub(in crate::billing) fn discount_inputs(
    of: impl Fn(&str) -> String,
    problem: Option<&Problem>,
    below: &str,
) -> Markup {
    let at = |name: &str| format!("{below}/{name}");
    html! {
        div.pair {
            (field("Percent", "percent").value(&of("percent")).optional().error(problem, &at("percent")).input("text"))
            (field("or an amount", "amount").value(&of("amount")).optional().hint("Such as 10.00.").error(problem, &at("amount")).input("text"))
        }
        div.pair {
            (field("Currency of the amount", "currency").value(&of("currency")).optional().error(problem, &at("currency")).input("text"))
            (field("Applies to", "applies_to").value(&of("applies_to")).select(&[("all", "plan and seats"), ("base", "the plan"), ("seats", "extra seats")]))
        }
        div.pair {
            (field("Holds", "duration").value(&of("duration")).select(&[("once", "for one period"), ("periods", "for some periods"), ("forever", "always")]))
            (field("How many periods", "periods").value(&of("periods")).optional().error(problem, &at("periods")).input("number"))
        }
    }
}

fn discount<'a>(fields: Option<&Fields>) -> (Value, Inputs<'a>) {
    let entered = fields.cloned().unwrap_or_default();
    let of = move |name: &str| entered.text(name).to_owned();
    (discount_body(&of), Inputs::new(move |problem| discount_inputs(&of, problem, "")))
}

async fn action<'a>(visit: &Visit, fields: Option<&Fields>) -> Result<(Action<'a>, &'static str), Problem> {
    let command = visit.param("command").to_owned();
    let dialog = dialog(&command).ok_or_else(no_page)?;
    let resource = visit.path("/billing/subscription");
    let rest = match command.as_str() {
        "redeem" => "discounts",
        "add-discount" => "discounts/add",
        other => other,
    };
    let (body, inputs) = parts(&command, fields, visit.may("billing:administer"));
    let Dialog { title, lead, button, done, is_dangerous, right, is_previewed } = dialog;
    let action = Action {
        title: title.to_owned(),
        lead: html! { (lead) },
        button,
        is_dangerous,
        method: Method::POST,
        path: format!("{resource}/{rest}"),
        resource,
        body,
        inputs,
        is_previewed,
        typed: None,
        back: visit.url("/billing"),
        done: done.to_owned(),
        crumbs: vec![("Billing".to_owned(), visit.url("/billing"))],
    };
    Ok((action, right))
}

pub(in crate::billing) async fn form(visit: Visit) -> Answered {
    let (action, right) = action(&visit, None).await?;
    visit.require(right)?;
    action.show(&visit).await
}

pub(in crate::billing) async fn run(visit: Visit, fields: Fields) -> Answered {
    action(&visit, Some(&fields)).await?.0.submit(&visit, &fields).await
}

async fn removal<'a>(visit: &Visit) -> Result<Action<'a>, Problem> {
    let resource = visit.path("/billing/subscription");
    let known = visit.client.get(resource.clone()).send::<Subscription>().await?.body;
    let id = visit.param("discount");
    let discount = known.discounts.iter().find(|it| it.id == id).ok_or_else(no_page)?;
    Ok(Action {
        title: "Remove the discount".to_owned(),
        lead: html! { (discount.discount.in_words()) ". It holds until the end of the period." },
        button: "Remove",
        is_dangerous: true,
        method: Method::POST,
        path: format!("{resource}/discounts/{id}/remove"),
        resource,
        body: json!({}),
        inputs: Inputs::none(),
        is_previewed: true,
        typed: None,
        back: visit.url("/billing"),
        done: "The discount is removed.".to_owned(),
        crumbs: vec![("Billing".to_owned(), visit.url("/billing"))],
    })
}

pub(in crate::billing) async fn removal_form(visit: Visit) -> Answered {
    visit.require("billing:administer")?;
    removal(&visit).await?.show(&visit).await
}

pub(in crate::billing) async fn remove(visit: Visit, fields: Fields) -> Answered {
    removal(&visit).await?.submit(&visit, &fields).await
}
