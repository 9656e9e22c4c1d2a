//! Commands on an invoice that are confirmed: payment, and those of staff.

use axum::http::{Method, StatusCode};
use maud::html;
use serde_json::{Value, json};

use super::{
    PATH,
    show::{InvoiceDetail, read, resource},
};
use crate::{
    action::{Action, Inputs},
    api::Problem,
    billing::payment::confirm,
    form::Fields,
    ui::{
        field::{field, tick},
        money::{minor, money},
    },
    visit::{Answered, Message, Visit},
};

const REASONS: [(&str, &str); 4] =
    [("error", "Error"), ("goodwill", "Goodwill"), ("cancellation", "Cancellation"), ("change", "Change")];
const TARGETS: [(&str, &str); 2] = [("balance", "To the balance"), ("refund", "Refunded")];

/// A command: title, lead, button, what is said when done, whether it is dangerous.
struct Known(&'static str, &'static str, &'static str, &'static str, bool);

fn known(command: &str) -> Option<Known> {
    Some(match command {
        "pay" => Known("Pay", "The default payment method is charged.", "Pay", "Paid.", false),
        "issue" => Known(
            "Issue",
            "It gets the next number, cannot be changed any more, and is mailed with its PDF.",
            "Issue invoice",
            "The invoice is issued.",
            false,
        ),
        "discard" => Known("Discard", "It uses no number.", "Discard draft", "The draft is discarded.", true),
        "mark-paid" => Known(
            "Record a transfer for",
            "What is above the amount that is due goes to the balance.",
            "Record transfer",
            "The transfer is recorded.",
            false,
        ),
        "void" => Known(
            "Void",
            "What is left of it is credited; its number stays used. It must have no payments.",
            "Void invoice",
            "The invoice is void.",
            true,
        ),
        "credit" => Known(
            "Credit lines of",
            "A credit note is issued. It lowers what is due first.",
            "Issue credit note",
            "The credit note is issued.",
            true,
        ),
        "correct" => Known(
            "Correct",
            "It is credited as a whole, and issued again with the present data of the buyer. Payments move over.",
            "Correct invoice",
            "The invoice is corrected: another one replaces it.",
            true,
        ),
        "mark-uncollectible" => Known(
            "Give up",
            "It is no longer expected to be paid. A payment that arrives later still counts.",
            "Mark uncollectible",
            "The invoice is marked as uncollectible.",
            true,
        ),
        _ => return None,
    })
}

fn no_page() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "There is no such page.")
}

/// An amount as it was entered, in minor units if it is one.
fn amount(text: &str, currency: &str) -> Value {
    minor(text, currency).map_or_else(|| text.into(), Into::into)
}

/// The body of a command, and its inputs.
fn parts<'a>(command: &str, it: &InvoiceDetail, fields: &Fields) -> (Value, Inputs<'a>) {
    let (entered, currency) = (fields.clone(), it.currency().to_owned());
    match command {
        "void" | "mark-uncollectible" => {
            let body = json!({ "reason": entered.text("reason") });
            let inputs = move |problem: Option<&Problem>| {
                field("Why", "reason").value(entered.text("reason")).error(problem, "/reason").input("text")
            };
            (body, Inputs::new(inputs))
        }
        "mark-paid" => {
            let body = json!({
                "amount": amount(entered.text("amount"), &currency), "currency": currency,
                "paid_on": entered.text("paid_on"), "reference": entered.text("reference"),
                "allow_duplicate": entered.has("allow_duplicate"),
            });
            let hint = format!("{} is due.", money(it.due, &currency));
            let inputs = move |problem: Option<&Problem>| {
                html! {
                    div.pair {
                        (field("Amount", "amount").value(entered.text("amount")).hint(&hint).error(problem, "/amount").input("text"))
                        (field("Arrived on", "paid_on").value(entered.text("paid_on")).error(problem, "/paid_on").input("date"))
                    }
                    (field("Text of the transfer", "reference").value(entered.text("reference")).error(problem, "/reference").input("text"))
                    (tick("Another transfer may have this text", "allow_duplicate", entered.has("allow_duplicate"), ""))
                }
            };
            (body, Inputs::new(inputs))
        }
        "credit" => credit(it, entered),
        _ => (json!({}), Inputs::none()),
    }
}

fn credit<'a>(it: &InvoiceDetail, entered: Fields) -> (Value, Inputs<'a>) {
    let currency = it.currency().to_owned();
    let lines: Vec<(String, String, String)> = it
        .issued
        .iter()
        .flat_map(|issued| &issued.lines)
        .map(|line| (line.id.to_string(), line.title(), format!("Of {}, without tax.", money(line.net, &currency))))
        .collect();
    let name = |id: &str| format!("line_{id}");
    let credited = lines.iter().filter(|(id, ..)| !entered.text(&name(id)).is_empty());
    let credited = credited
        .map(|(id, ..)| json!({ "line": id.parse::<u32>().unwrap_or_default(), "net": amount(entered.text(&name(id)), &currency) }));
    let or = |name: &str, otherwise: &str| match entered.text(name) {
        "" => otherwise.to_owned(),
        text => text.to_owned(),
    };
    let (reason, to) = (or("reason", REASONS[0].0), or("to", TARGETS[0].0));
    let body = json!({ "lines": credited.collect::<Vec<_>>(), "reason": reason, "to": to });
    let inputs = move |problem: Option<&Problem>| {
        html! {
            fieldset.form #f-lines { legend.hide { "Amounts to credit" }
                @for (id, title, hint) in &lines {
                    @let name = format!("line_{id}");
                    (field(title, &name).value(entered.text(&name)).optional().hint(hint).input("text"))
                }
            }
            div.pair {
                (field("Why", "reason").value(&reason).error(problem, "/reason").select(&REASONS))
                (field("What was paid already", "to").value(&to).error(problem, "/to").select(&TARGETS))
            }
        }
    };
    (body, Inputs::new(inputs))
}

async fn action<'a>(visit: &Visit, fields: &Fields) -> Result<Action<'a>, Problem> {
    let command = visit.param("command").to_owned();
    let Known(title, lead, button, done, is_dangerous) = known(&command).ok_or_else(no_page)?;
    let it = read(visit).await?;
    let (body, inputs) = parts(&command, &it, fields);
    let (name, list) = (it.name(), visit.url(PATH));
    let back = format!("{list}/{}", it.id);
    let title = if name == "Draft" { format!("{title} the draft") } else { format!("{title} {name}") };
    Ok(Action {
        title,
        lead: html! { @if command == "pay" { b { (money(it.due, it.currency())) } " is due. " } (lead) },
        button,
        is_dangerous,
        method: Method::POST,
        path: format!("{}/{command}", resource(visit)),
        resource: resource(visit),
        body,
        inputs,
        is_previewed: ["issue", "discard", "correct"].contains(&command.as_str()),
        typed: None,
        back: back.clone(),
        done: done.to_owned(),
        crumbs: vec![("Invoices".to_owned(), list), (name, back)],
    })
}

/// The permission of a command.
fn right(visit: &Visit) -> &'static str {
    if visit.param("command") == "pay" { "billing:write" } else { "billing:administer" }
}

pub(super) async fn form(visit: Visit) -> Answered {
    visit.require(right(&visit))?;
    action(&visit, &Fields::default()).await?.show(&visit).await
}

pub(super) async fn run(visit: Visit, fields: Fields) -> Answered {
    let action = action(&visit, &fields).await?;
    if visit.param("command") != "pay" || fields.is_preview() {
        return action.submit(&visit, &fields).await;
    }
    match action.run(&visit, &fields).await {
        Ok(effect) => {
            let has_to_be_confirmed = effect.payment.as_deref() == Some("action_required");
            if has_to_be_confirmed && let Some(page) = confirm::page_of(&visit, visit.param("invoice")).await? {
                return Ok(visit.redirect(&page));
            }
            let text = match effect.payment.as_deref() {
                Some("action_required") => "Confirm the payment with your bank.",
                Some("pending") => "It is paid as soon as the payment is confirmed.",
                _ => "Paid.",
            };
            Ok(visit.done(&action.back, &Message { text: text.to_owned(), ..Message::default() }))
        }
        Err(problem) => action.failed(&visit, &fields, &problem).await,
    }
}
