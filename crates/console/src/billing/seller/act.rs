//! Commands on the seller that are confirmed.

use axum::http::{Method, StatusCode};
use maud::{Markup, html};
use serde_json::{Value, json};

use super::{API, URL};
use crate::{
    action::{Action, Inputs},
    api::Problem,
    billing::country::countries,
    form::Fields,
    ui::field::field,
    visit::{Answered, Visit},
};

const SCHEMES: [(&str, &str); 2] = [("local", "in this country"), ("oss", "in the one-stop shop")];

/// The path below the seller, title, lead, button, what is said when done.
fn dialog(command: &str) -> Option<[&'static str; 5]> {
    match command {
        "add-registration" => Some([
            "/registrations",
            "Add a registration",
            "Sales in a country outside the European Union are taxed there; those to consumers of other member states through the one-stop shop.",
            "Add registration",
            "The registration is added.",
        ]),
        "remove-registration" => Some([
            "/registrations/remove",
            "Remove a registration",
            "It holds no longer for what is issued from now on.",
            "Remove registration",
            "The registration is removed.",
        ]),
        "tax-rates" => Some([
            "/tax-rates",
            "Set a tax rate",
            "It holds over the built-in table from its first date on.",
            "Set tax rate",
            "The tax rate is set.",
        ]),
        "exchange-rates" => Some([
            "/exchange-rates",
            "Set an exchange rate",
            "It holds on its date and, without a newer one, for seven days.",
            "Set exchange rate",
            "The exchange rate is set.",
        ]),
        "remove-logo" => Some([
            "/logo/remove",
            "Remove the logo",
            "What was issued keeps it.",
            "Remove logo",
            "The logo is removed.",
        ]),
        _ => None,
    }
}

/// The input of the VAT id of a registration: the page behind the dialog has one of the seller.
const REGISTERED: &str = "registered_vat_id";

/// What the API calls an input.
fn member(name: &str) -> &str {
    if name == REGISTERED { "vat_id" } else { name }
}

/// The names of the inputs of a command.
fn names(command: &str) -> &'static [&'static str] {
    match command {
        "add-registration" => &["country", "scheme", REGISTERED, "from"],
        "remove-registration" => &["country", "scheme"],
        "tax-rates" => &["country", "rate", "from"],
        "exchange-rates" => &["date", "currency", "rate", "source"],
        _ => &[],
    }
}

fn input(name: &str, value: &str, problem: Option<&Problem>, is_dialog: bool) -> Markup {
    let pointer = format!("/{}", member(name));
    let of = |label| field(label, name).value(value).error(problem, &pointer);
    match name {
        "country" => of("Country").select(&countries()),
        "scheme" => of("Registered").select(&SCHEMES),
        REGISTERED => {
            let field = of("VAT id").hint("With its prefix.");
            // The page behind the dialog has a field of this id.
            if is_dialog { field.id("f-registered_vat_id").input("text") } else { field.input("text") }
        }
        "from" => of("First date").input("date"),
        "date" => of("Date").input("date"),
        "currency" => of("Currency").hint("Such as USD.").input("text"),
        "rate" => {
            of("Rate").hint("Such as 19 percent, or how much of the accounting currency one unit is.").input("text")
        }
        _ => of("Source").hint("Who published it, such as ECB.").input("text"),
    }
}

fn action<'a>(visit: &Visit, fields: Option<&Fields>) -> Result<Action<'a>, Problem> {
    let command = visit.param("command").to_owned();
    let no_page = || Problem::new(StatusCode::NOT_FOUND, "There is no such page.");
    let [path, title, lead, button, done] = dialog(&command).ok_or_else(no_page)?;
    let entered = fields.cloned().unwrap_or_default();
    let names = names(&command);
    let mut body = json!({});
    for name in names {
        body[member(name)] = Value::from(entered.text(name));
    }
    let is_dialog = visit.frame.is_scripted;
    let inputs = move |problem: Option<&Problem>| {
        html! { @for name in names {
            (input(name, entered.text(name), problem, is_dialog))
        } }
    };
    Ok(Action {
        title: title.to_owned(),
        lead: html! { (lead) },
        button,
        is_dangerous: command.starts_with("remove"),
        method: Method::POST,
        path: format!("{API}{path}"),
        resource: API.to_owned(),
        body,
        inputs: Inputs::new(inputs),
        is_previewed: names.is_empty(),
        typed: None,
        back: URL.to_owned(),
        done: done.to_owned(),
        crumbs: vec![("Seller".to_owned(), URL.to_owned())],
    })
}

pub(super) async fn form(visit: Visit) -> Answered {
    visit.require("billing:administer")?;
    action(&visit, None)?.show(&visit).await
}

pub(super) async fn run(visit: Visit, fields: Fields) -> Answered {
    action(&visit, Some(&fields))?.submit(&visit, &fields).await
}
