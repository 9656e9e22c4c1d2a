//! The seller, for staff: its profile, registrations, tax rates, exchange rates, logo; and its series of numbers
//! (`series.rs`).

mod act;
mod series;

use axum::{Router, body::Body, extract::Request, http::HeaderValue, response::Response, routing::get};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    account::missing_in_words,
    address::{self, Address},
    country::country_name,
};
use crate::{
    Console,
    action::{conflict, outdated},
    api::Problem,
    form::{Fields, Upload, VERSION},
    ui::{self, field::field, icon},
    visit::{Answered, Message, Visit},
};

pub(super) fn routes() -> Router<Console> {
    Router::new()
        .route(URL, get(show).post(save))
        .route("/admin/seller/logo", get(logo_form).post(upload))
        .route("/admin/seller/{command}", get(act::form).post(act::run))
        .merge(series::routes())
}

const URL: &str = "/admin/seller";
const API: &str = "/v1/platform/billing/seller";

/// The seller, as the API shows it.
#[derive(Debug, Clone, Deserialize)]
struct Seller {
    id: String,
    legal_name: Option<String>,
    address: Option<Address>,
    vat_id: Option<String>,
    registration_number: Option<String>,
    iban: Option<String>,
    bic: Option<String>,
    email: Option<String>,
    phone: Option<String>,
    zone: Option<String>,
    accounting_currency: Option<String>,
    accent_colour: Option<String>,
    logo: Option<Logo>,
    prefix: String,
    credit_note_prefix: String,
    payment_days: u16,
    registrations: Vec<Registration>,
    tax_rates: Vec<TaxRate>,
    missing: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
struct Logo {
    bytes: u64,
    content_type: String,
}

#[derive(Debug, Clone, Deserialize)]
struct Registration {
    country: String,
    scheme: String,
    vat_id: String,
    from: String,
}

#[derive(Debug, Clone, Deserialize)]
struct TaxRate {
    country: String,
    rate: String,
    from: String,
}

#[derive(Debug, Clone, Deserialize)]
struct ExchangeRate {
    date: String,
    currency: String,
    rate: String,
    source: String,
}

#[derive(Debug, Clone, Deserialize)]
struct ExchangeRates {
    items: Vec<ExchangeRate>,
}

/// The most exchange rates that the page shows.
const SHOWN: usize = 10;
/// Members that null removes if nothing is entered.
const OPTIONAL: [&str; 8] =
    ["legal_name", "vat_id", "registration_number", "iban", "bic", "email", "phone", "accent_colour"];

fn fields_of(seller: &Seller) -> Fields {
    let it = seller.clone();
    let text = Option::unwrap_or_default;
    let own = [
        ("legal_name", text(it.legal_name)),
        ("vat_id", text(it.vat_id)),
        ("registration_number", text(it.registration_number)),
        ("iban", text(it.iban)),
        ("bic", text(it.bic)),
        ("email", text(it.email)),
        ("phone", text(it.phone)),
        ("zone", text(it.zone)),
        ("accounting_currency", text(it.accounting_currency)),
        ("accent_colour", text(it.accent_colour)),
        ("prefix", it.prefix),
        ("payment_days", it.payment_days.to_string()),
    ];
    let address = it.address.as_ref().map(Address::fields).into_iter().flatten();
    Fields::with(own.into_iter().chain(address))
}

async fn show(visit: Visit) -> Answered {
    visit.require("billing:administer")?;
    let answer = visit.client.get(API).send::<Seller>().await?;
    let version = answer.etag.unwrap_or_default();
    page(&visit, &answer.body, &fields_of(&answer.body), &version, &html! {}, None).await
}

async fn page(
    visit: &Visit,
    now: &Seller,
    fields: &Fields,
    version: &str,
    note: &Markup,
    problem: Option<&Problem>,
) -> Answered {
    let rates = visit.client.get("/v1/platform/billing/seller/exchange-rates").send::<ExchangeRates>().await?.body;
    let content = html! {
        (ui::head("Seller", "Who issues invoices, and how they are taxed.", html! { a.btn.edge href=(series::URL) { "Number series" } }))
        @if !now.missing.is_empty() && problem.is_none() {
            (ui::note("warn", "triangle-alert", "Billing waits", html! { p { "No invoice can be issued without: " (missing_in_words(&now.missing)) "." } }))
        }
        div.grid.wide {
            section.card { (ui::form(&visit.frame, URL, html! {
                input type="hidden" name=(VERSION) value=(version);
                fieldset.in.form { legend.hide { "Profile of the seller" }
                    @if let Some(problem) = problem { (ui::summary(problem)) }
                    (note)
                    (profile_inputs(fields, problem))
                    div.row { button.btn.main-act type="submit" name="step" value="confirm" { "Save" } }
                }
            })) }
            div.form { (registrations_card(now)) (tax_rates_card(now)) (exchange_rates_card(&rates.items)) (logo_card(now)) }
        }
    };
    Ok(visit.page_with(problem, "Seller", &[("Administration", "/admin/organizations"), ("Seller", "")], content))
}

fn profile_inputs(fields: &Fields, problem: Option<&Problem>) -> Markup {
    let input = |label: &'static str, name: &'static str| {
        field(label, name).value(fields.text(name)).error(problem, &format!("/{name}"))
    };
    html! {
        (input("Legal name", "legal_name").input("text"))
        (address::inputs(fields, problem))
        div.pair {
            (input("VAT id", "vat_id").hint("With its prefix, such as DE136695976.").input("text"))
            (input("Registration number", "registration_number").optional().input("text"))
        }
        div.pair {
            (input("Time zone", "zone").hint("Invoices are dated in it. Such as Europe/Berlin.").input("text"))
            (input("Accounting currency", "accounting_currency").hint("Such as EUR. Exchange rates are deleted when it changes.").input("text"))
        }
        h2 { "Bank account" }
        div.pair { (input("IBAN", "iban").optional().input("text")) (input("BIC", "bic").optional().input("text")) }
        (input("Days until an invoice is due", "payment_days").input("number"))
        h2 { "On documents" }
        div.pair { (input("Email address", "email").optional().input("email")) (input("Phone", "phone").optional().input("text")) }
        div.pair {
            (input("Prefix of numbers", "prefix").hint("Capitals and digits. A new one begins a new series.").input("text"))
            (input("Colour of headings", "accent_colour").optional().hint("#rrggbb").input("text"))
        }
    }
}

fn registrations_card(now: &Seller) -> Markup {
    html! { section.card { header { h2 { "Registrations" } (ui::sheet_link("/admin/seller/add-registration", "btn edge", "plus", "Add…")) }
        @if now.registrations.is_empty() { p.in.soft { "None but the VAT id of the profile." } } @else {
            table.table { caption.hide { "Registrations" } thead { tr { th scope="col" { "Country" } th scope="col" { "VAT id" } th.only-wide scope="col" { "From" } } }
                tbody { @for it in &now.registrations { tr {
                    td { (country_name(&it.country)) @if it.scheme == "oss" { " " span.tag { "one-stop shop" } } }
                    td { (it.vat_id) } td.only-wide { (it.from) }
                } } }
            }
            div.in.row { (ui::sheet_link("/admin/seller/remove-registration", "btn edge", "x", "Remove one…")) }
        }
    } }
}

fn tax_rates_card(now: &Seller) -> Markup {
    html! { section.card { header { h2 { "Tax rates" } (ui::sheet_link("/admin/seller/tax-rates", "btn edge", "plus", "Set one…")) }
        @if now.tax_rates.is_empty() { p.in.soft { "Those of the built-in table." } } @else {
            table.table { caption.hide { "Tax rates" } thead { tr { th scope="col" { "Country" } th.sum scope="col" { "Rate" } th.only-wide scope="col" { "From" } } }
                tbody { @for it in &now.tax_rates { tr { td { (country_name(&it.country)) } td.sum { (it.rate) "%" } td.only-wide { (it.from) } } } }
            }
        }
    } }
}

fn exchange_rates_card(rates: &[ExchangeRate]) -> Markup {
    html! { section.card { header { h2 { "Exchange rates" } (ui::sheet_link("/admin/seller/exchange-rates", "btn edge", "plus", "Set one…")) }
        @if rates.is_empty() { p.in.soft { "None. Invoices in other currencies need one of their date or the seven days before." } } @else {
            table.table { caption.hide { "Exchange rates" } thead { tr { th scope="col" { "Date" } th scope="col" { "Currency" } th.sum scope="col" { "Rate" } th.only-wide scope="col" { "Source" } } }
                tbody { @for it in rates.iter().take(SHOWN) { tr { td { (it.date) } td { (it.currency) } td.sum { (it.rate) } td.only-wide { (it.source) } } } }
            }
        }
    } }
}

fn logo_card(now: &Seller) -> Markup {
    html! { section.card { header { h2 { "Logo" } } div.in.form {
        @match &now.logo { Some(logo) => p { (logo.content_type) ", " (logo.bytes) " bytes" } None => p.soft { "None." } }
        div.row {
            (ui::sheet_link("/admin/seller/logo", "btn edge", "upload", "Upload…"))
            @if now.logo.is_some() { (ui::sheet_link("/admin/seller/remove-logo", "btn edge", "x", "Remove…")) }
        }
    } dl.facts {
        dt { "Credit notes" } dd { (now.credit_note_prefix) "-…" }
        dt { "Id" } dd { (ui::id(&now.id)) }
    } } }
}

fn body(fields: &Fields) -> Value {
    let mut body = json!({ "address": address::entered(fields), "prefix": fields.text("prefix") });
    for name in OPTIONAL {
        body[name] = if fields.text(name).is_empty() { Value::Null } else { fields.text(name).into() };
    }
    for name in ["zone", "accounting_currency"] {
        if !fields.text(name).is_empty() {
            body[name] = fields.text(name).into();
        }
    }
    let days = fields.text("payment_days");
    body["payment_days"] = days.parse::<u16>().map_or_else(|_| days.into(), Value::from);
    body
}

async fn save(visit: Visit, fields: Fields) -> Answered {
    let now = visit.client.get(API).send::<Seller>().await?;
    match visit.client.patch(API).version(fields.version()).json(&body(&fields)).send::<Value>().await {
        Ok(_) => Ok(visit.done(URL, &Message { text: "Saved.".to_owned(), ..Message::default() })),
        Err(problem) if matches!(problem.status, 401 | 403 | 404) => Err(problem.into()),
        Err(problem) if problem.status == 412 => {
            let note = conflict(&visit, &problem, "Save");
            let version = now.etag.as_deref().unwrap_or_default();
            Ok(outdated(page(&visit, &now.body, &fields, version, &note, None).await?))
        }
        Err(problem) => page(&visit, &now.body, &fields, fields.version(), &html! {}, Some(&problem)).await,
    }
}

async fn logo_form(visit: Visit) -> Answered {
    visit.require("billing:administer")?;
    Ok(logo_page(&visit, None))
}

fn logo_page(visit: &Visit, problem: Option<&Problem>) -> Response {
    let sheet = ui::sheet(
        "Upload a logo",
        html! { "Invoices that are issued from now on show it." },
        html! { form method="post" action="/admin/seller/logo" enctype="multipart/form-data" novalidate { (ui::hidden(&visit.frame))
            div.in {
                @if let Some(problem) = problem { (ui::summary(problem)) }
                (field("File", "file").hint("PNG or SVG, at most 200 KiB.").file(".png,.svg,image/png,image/svg+xml"))
            }
            footer {
                a.btn.edge href=(URL) data-close { "Cancel" }
                button.btn.main-act type="submit" name="step" value="confirm" { (icon("upload")) "Upload" }
            }
        } },
    );
    visit.page_with(problem, "Upload a logo", &[("Seller", URL), ("Logo", "")], sheet)
}

async fn upload(visit: Visit, request: Request) -> Answered {
    let Upload { file, .. } = Upload::read(&visit, request).await?;
    let length = HeaderValue::from(file.len() as u64);
    let call = visit.client.post("/v1/platform/billing/seller/logo");
    let call = call.header(axum::http::header::CONTENT_LENGTH, length.to_str().unwrap_or_default());
    match call.body("application/octet-stream", Body::from(file)).send::<Value>().await {
        Ok(_) => Ok(visit.done(URL, &Message { text: "The logo is uploaded.".to_owned(), ..Message::default() })),
        Err(problem) if matches!(problem.status, 401 | 403) => Err(problem.into()),
        Err(problem) => Ok(logo_page(&visit, Some(&problem))),
    }
}
