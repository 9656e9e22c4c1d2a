//! Tax details: to whom an organization's documents are addressed, its VAT id, and how it pays.

mod act;

use axum::{Router, response::Response, routing::get};
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};

use super::address::{self, Address};
use crate::{
    Console,
    action::{conflict, outdated},
    api::Problem,
    form::{Fields, VERSION},
    identity::me::LOCALES,
    ui::{self, field::field, money::money, time, words},
    visit::{Answered, Message, Visit},
};

pub(super) fn settings() -> Router<Console> {
    Router::new()
        .route("/billing/account", get(show).post(save))
        .route("/billing/account/{command}", get(act::form).post(act::run))
}

/// The billing account, as the API shows it.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Account {
    legal_name: Option<String>,
    address: Option<Address>,
    is_business: bool,
    vat_id: Option<String>,
    vat_id_status: String,
    vat_id_check: Option<Check>,
    purchase_order: Option<String>,
    language: String,
    contact: Option<Contact>,
    collection: Collection,
    invoice_billing_requested: bool,
    balances: Vec<Balance>,
    pub(super) missing: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
struct Check {
    source: String,
    checked_at: Timestamp,
}

#[derive(Debug, Clone, Deserialize)]
struct Contact {
    name: Option<String>,
    email: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
struct Collection {
    kind: String,
    days: Option<u16>,
}

#[derive(Debug, Clone, Deserialize)]
struct Balance {
    amount: i64,
    currency: String,
}

/// The account as the fields of its form.
fn fields_of(account: &Account) -> Fields {
    let it = account.clone();
    let text = Option::unwrap_or_default;
    let contact = it.contact.unwrap_or(Contact { name: None, email: None });
    let own = [
        ("legal_name", text(it.legal_name)),
        ("is_business", it.is_business.to_string()),
        ("vat_id", text(it.vat_id)),
        ("purchase_order", text(it.purchase_order)),
        ("language", it.language),
        ("contact_name", text(contact.name)),
        ("contact_email", text(contact.email)),
    ];
    let address = it.address.as_ref().map(Address::fields).into_iter().flatten();
    Fields::with(own.into_iter().chain(address))
}

/// The members of an account or a seller that are missing, in words.
pub(super) fn missing_in_words(missing: &[String]) -> String {
    let word = |name: &String| match name.as_str() {
        "vat_id" => "VAT id".to_owned(),
        "zone" => "time zone".to_owned(),
        name => name.replace('_', " "),
    };
    missing.iter().map(word).collect::<Vec<_>>().join(", ")
}

/// A note of what invoices still need; nothing if it is complete.
pub(super) fn incomplete(visit: &Visit, account: &Account) -> Markup {
    html! { @if !account.missing.is_empty() {
        (ui::note("warn", "triangle-alert", "Tax details are missing", html! { p {
            "No invoice can be issued without: " (missing_in_words(&account.missing)) ". "
            a href=(visit.url("/billing/account")) { "Enter the tax details" } "."
        } }))
    } }
}

/// The account in short, for the overview.
pub(super) fn card(visit: &Visit, it: &Account) -> Markup {
    html! { section.card { header { h2 { "Tax details" } a href=(visit.url("/billing/account")) { "Tax details" } } dl.facts {
        dt { "Invoices to" } dd { (it.legal_name.as_deref().unwrap_or("not entered")) }
        @if let Some(address) = &it.address { dt { "Address" } dd { (address.in_words()) } }
        @if let Some(id) = &it.vat_id { dt { "VAT id" } dd { (id) " " span.soft { (status(it).1) } } }
    } } }
}

async fn show(visit: Visit) -> Answered {
    visit.require("billing:read")?;
    let answer = visit.get("/billing/account").send::<Account>().await?;
    let version = answer.etag.unwrap_or_default();
    Ok(page(&visit, &answer.body, &fields_of(&answer.body), &version, &html! {}, None))
}

fn page(
    visit: &Visit,
    now: &Account,
    fields: &Fields,
    version: &str,
    note: &Markup,
    problem: Option<&Problem>,
) -> Response {
    let may_write = visit.may("billing:write");
    let input = |label: &'static str, name: &'static str, pointer: &str| {
        field(label, name).value(fields.text(name)).error(problem, pointer)
    };
    let language = fields.text("language");
    let known = LOCALES.iter().skip(1).copied();
    let languages: Vec<(&str, &str)> = match LOCALES.iter().any(|(code, _)| *code == language) {
        true => known.collect(),
        false => known.chain([(language, language)]).collect(),
    };
    let content = html! {
        (ui::head("Tax details", "To whom invoices are addressed.", html! {}))
        @if problem.is_none() { (incomplete(visit, now)) }
        div.grid.wide {
            section.card { (ui::form(&visit.frame, &visit.url("/billing/account"), html! {
                input type="hidden" name=(VERSION) value=(version);
                fieldset.in.form disabled[!may_write] {
                    legend.hide { "Tax details" }
                    @if let Some(problem) = problem { (ui::summary(problem)) }
                    (note)
                    (input("Legal name", "legal_name", "/legal_name").input("text"))
                    (input("Buyer", "is_business", "/is_business").hint("The name and street of a person are encrypted.").select(&[("true", "A business"), ("false", "A person")]))
                    (address::inputs(fields, problem))
                    (input("VAT id", "vat_id", "/vat_id").optional().hint("With its prefix, such as DE136695976. It is checked when you save.").input("text"))
                    div.pair {
                        (input("Purchase order", "purchase_order", "/purchase_order").optional().input("text"))
                        (input("Language of invoices", "language", "/language").select(&languages))
                    }
                    h2 { "Contact" }
                    p.soft { "Who gets invoices by email. If nobody is named, the Admins do." }
                    div.pair {
                        (input("Name", "contact_name", "/contact/name").optional().input("text"))
                        (input("Email address", "contact_email", "/contact/email").optional().input("email"))
                    }
                    @if may_write { div.row { button.btn.main-act type="submit" name="step" value="confirm" { "Save" } } }
                }
            })) }
            div.form { (vat_card(visit, now)) (payment_card(visit, now)) }
        }
    };
    let crumbs = [("Billing", &*visit.url("/billing")), ("Tax details", "")];
    visit.page_with(problem, "Tax details", &crumbs, content)
}

/// What is known of the VAT id, in words.
fn status(account: &Account) -> (&'static str, &'static str) {
    match account.vat_id_status.as_str() {
        "valid" => ("good dot", "Valid"),
        "invalid" => ("bad dot", "Not valid"),
        "pending" => ("warn dot", "Being checked"),
        _ => ("dot", "None"),
    }
}

fn vat_card(visit: &Visit, now: &Account) -> Markup {
    let (tone, text) = status(now);
    html! { section.card { header { h2 { "VAT id" } (words::badge(tone, text)) } dl.facts {
        @if let Some(id) = &now.vat_id { dt { "Number" } dd { (id) } }
        @if let Some(check) = &now.vat_id_check {
            dt { "Checked" } dd { (time::instant(&visit.frame, check.checked_at)) @if check.source == "checksum" { span.soft { " by its check digits" } } }
        }
    } @if now.vat_id.is_some() && visit.may("billing:write") { div.in.row {
        (ui::sheet_link(&visit.url("/billing/account/check-tax-id"), "btn edge", "rotate-ccw", "Check again…"))
    } } } }
}

fn payment_card(visit: &Visit, now: &Account) -> Markup {
    let url = |command: &str| visit.url(&format!("/billing/account/{command}"));
    html! { section.card { header { h2 { "Payment" } } dl.facts {
        dt { "Invoices are paid" } dd { @match now.collection.days { Some(days) => { "by transfer within " (days) " days" } None => "automatically" } }
        @if now.invoice_billing_requested { dt { "Requested" } dd { "payment by transfer" } }
        @for it in &now.balances { dt { "Balance" } dd { (money(it.amount, &it.currency)) } }
    } div.in.row {
        @if now.collection.kind == "automatic" && !now.invoice_billing_requested && visit.may("billing:write") {
            (ui::sheet_link(&url("request-invoice-billing"), "btn edge", "mail", "Ask to pay by transfer…"))
        }
        @if visit.may("billing:administer") {
            (ui::sheet_link(&url("collection"), "btn edge", "credit-card", "Change how it pays…"))
            (ui::sheet_link(&url("grant-balance"), "btn edge", "plus", "Grant balance…"))
        }
    } } }
}

/// The account that was entered.
fn body(fields: &Fields) -> Value {
    let optional = |name: &str| match fields.text(name) {
        "" => Value::Null,
        text => text.into(),
    };
    let has_contact = ["contact_name", "contact_email"].iter().any(|name| !fields.text(name).is_empty());
    let contact = json!({ "name": fields.text("contact_name"), "email": fields.text("contact_email") });
    json!({
        "legal_name": optional("legal_name"),
        "address": address::entered(fields),
        "is_business": fields.text("is_business") != "false",
        "vat_id": optional("vat_id"),
        "purchase_order": optional("purchase_order"),
        "language": fields.text("language"),
        "contact": if has_contact { contact } else { Value::Null },
    })
}

async fn save(visit: Visit, fields: Fields) -> Answered {
    let now = visit.get("/billing/account").send::<Account>().await?;
    let call = visit.client.patch(visit.path("/billing/account")).version(fields.version());
    match call.json(&body(&fields)).send::<Value>().await {
        Ok(_) => {
            let saved = visit.get("/billing/account").send::<Account>().await?.body;
            let text = match &saved.vat_id {
                Some(id) => format!("Saved. VAT id {id}: {}.", status(&saved).1.to_lowercase()),
                None => "Saved.".to_owned(),
            };
            Ok(visit.done(&visit.url("/billing/account"), &Message { text, ..Message::default() }))
        }
        Err(problem) if matches!(problem.status, 401 | 404) => Err(problem.into()),
        Err(problem) if problem.status == 412 => {
            let note = conflict(&visit, &problem, "Save");
            let version = now.etag.as_deref().unwrap_or_default();
            Ok(outdated(page(&visit, &now.body, &fields, version, &note, None)))
        }
        Err(problem) => Ok(page(&visit, &now.body, &fields, fields.version(), &html! {}, Some(&problem))),
    }
}
