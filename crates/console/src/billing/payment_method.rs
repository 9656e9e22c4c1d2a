//! The payment methods of an organization.

use axum::{
    Router,
    http::{HeaderValue, Method, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    Console,
    action::{Action, Inputs},
    api::Problem,
    assets,
    form::Fields,
    ui::{self, field::field, icon, words},
    visit::{Answered, Message, Visit},
};

pub(crate) fn settings() -> Router<Console> {
    Router::new()
        .route("/billing/payment-methods", get(list))
        .route("/billing/payment-methods/new", get(new_form).post(create))
        .route("/billing/payment-methods/setup", post(begin))
        .route("/billing/payment-methods/{method}/{command}", get(form).post(run))
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct PaymentMethods {
    items: Vec<PaymentMethod>,
    provider: String,
    pub(super) publishable_key: Option<String>,
    test_methods: Vec<TestMethod>,
}

#[derive(Debug, Clone, Deserialize)]
struct PaymentMethod {
    id: String,
    kind: String,
    brand: String,
    last4: String,
    expires: Option<String>,
    is_default: bool,
    failed: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
struct TestMethod {
    setup: String,
    description: String,
}

impl PaymentMethods {
    /// Whether there is one that can be charged.
    pub(super) fn can_pay(&self) -> bool {
        self.items.iter().any(|it| it.is_default && it.failed.is_none())
    }

    /// Whether no money is moved.
    pub(super) fn is_simulated(&self) -> bool {
        !self.test_methods.is_empty()
    }

    /// Whether payments can be confirmed in the console.
    pub(super) fn can_confirm(&self) -> bool {
        self.is_simulated() || self.publishable_key.is_some()
    }
}

impl PaymentMethod {
    fn name(&self) -> String {
        format!("{} ending in {}", self.brand, self.last4)
    }
}

const PATH: &str = "/billing/payment-methods";

pub(super) async fn read(visit: &Visit) -> Result<PaymentMethods, Problem> {
    Ok(visit.get(PATH).send::<PaymentMethods>().await?.body)
}

fn crumbs(visit: &Visit) -> Vec<(String, String)> {
    vec![("Billing".to_owned(), visit.url("/billing")), ("Payment methods".to_owned(), visit.url(PATH))]
}

async fn list(visit: Visit) -> Answered {
    let found = read(&visit).await?;
    let may_write = visit.may("billing:write");
    let url = |rest: &str| visit.url(&format!("{PATH}/{rest}"));
    // The provider's form is a page of its own: it needs the provider's script.
    let add = html! { @if may_write {
        @if found.publishable_key.is_some() { a.btn.main-act href=(url("new")) { (icon("plus")) "Add card" } }
        @else { (ui::sheet_link(&url("new"), "btn main-act", "plus", "Add method")) }
    } };
    let content = html! {
        (ui::head("Payment methods", "The default one is charged. Numbers of cards and accounts stay with the payment provider.", add))
        @if found.is_simulated() { (simulated()) }
        section.card {
            @if found.items.is_empty() { p.in.soft { "There is none yet. Upgrades need one." } } @else { table.table {
                caption.hide { "Payment methods" }
                thead { tr { th scope="col" { "Method" } th.only-wide scope="col" { "Valid until" } th scope="col" { "State" } @if may_write { th.end scope="col" { span.hide { "Actions" } } } } }
                tbody { @for it in &found.items { tr id=(it.id) {
                    td { b { (it.name()) } br; small.soft { (words::words(&it.kind)) } }
                    td.only-wide.soft { (it.expires.as_deref().unwrap_or("–")) }
                    td { (state(it)) }
                    @if may_write { td.end {
                        @if !it.is_default && it.failed.is_none() { (ui::sheet_link(&url(&format!("{}/make-default", it.id)), "btn edge", "check", "Make default…")) " " }
                        (ui::sheet_link(&url(&format!("{}/remove", it.id)), "btn edge", "x", "Remove…"))
                    } }
                } } }
            } }
        }
    };
    Ok(visit.page("Payment methods", &[("Billing", &visit.url("/billing")), ("Payment methods", "")], content))
}

fn state(it: &PaymentMethod) -> Markup {
    match (&it.failed, it.is_default) {
        (Some(code), _) => words::badge("bad dot", &format!("Declined: {}", words::words(code).to_lowercase())),
        (None, true) => words::badge("ok dot", "Default"),
        (None, false) => words::badge("dot", "Usable"),
    }
}

pub(super) fn simulated() -> Markup {
    ui::note(
        "info",
        "info",
        "Payments are simulated",
        html! { p { "This service moves no money. Test methods stand for cards, and show what happens with them." } },
    )
}

async fn new_form(visit: Visit) -> Answered {
    visit.require("billing:write")?;
    let found = read(&visit).await?;
    Ok(form_page(&visit, &found, &Fields::default(), None))
}

/// The policy of pages with the script of Stripe, which shows its forms in frames of its own.
const POLICY_OF_STRIPE: &str = "default-src 'none'; script-src 'self' https://js.stripe.com https://*.js.stripe.com; \
    style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self' https://api.stripe.com; \
    frame-src https://js.stripe.com https://*.js.stripe.com https://hooks.stripe.com; form-action 'self'; \
    base-uri 'none'; frame-ancestors 'none'";

/// The page with the form of Stripe. Its script asks for a setup, and sends the form when the setup is finished.
fn card_page(visit: &Visit, key: &str, problem: Option<&Problem>) -> Response {
    let content = html! {
        (ui::head("Add a card", "The first one becomes the default. The number goes to Stripe, which charges the card; this service never sees it.", html! {}))
        section.card {
            form method="post" action=(visit.url(&format!("{PATH}/new"))) data-payment-key=(key) data-payment-setup=(visit.url(&format!("{PATH}/setup"))) {
                (ui::hidden(&visit.frame))
                input type="hidden" name="setup";
                div.in {
                    @if let Some(problem) = problem { (ui::summary(problem)) }
                    noscript { p { "Cards are entered with JavaScript, which this browser does not run." } }
                    div data-payment-form {}
                    div.field { span.error role="alert" data-payment-error {} }
                }
                footer {
                    a.btn.edge href=(visit.url(PATH)) { "Cancel" }
                    button.btn.main-act type="submit" disabled { (icon("check")) "Add card" }
                }
            }
        }
    };
    let crumbs = crumbs(visit);
    let crumbs: Vec<(&str, &str)> = crumbs.iter().map(|(name, url)| (name.as_str(), url.as_str())).collect();
    let crumbs = [&crumbs[..], &[("Add", "")]].concat();
    with_stripe(|scripts| visit.page_with(problem, "Add a card", &crumbs, html! { (content) (scripts) }))
}

/// A page with the script of Stripe and ours that calls it, under the policy that they need.
pub(super) fn with_stripe(page: impl FnOnce(Markup) -> Response) -> Response {
    let mut response = page(html! {
        script src="https://js.stripe.com/v3/" defer {}
        script src=(assets::url("payment.js")) defer {}
    });
    let headers = response.headers_mut();
    headers.insert("content-security-policy", HeaderValue::from_static(POLICY_OF_STRIPE));
    headers.insert("permissions-policy", HeaderValue::from_static(PERMISSIONS_OF_STRIPE));
    response
}

const PERMISSIONS_OF_STRIPE: &str =
    "camera=(), geolocation=(), microphone=(), payment=(self \"https://js.stripe.com\" \"https://hooks.stripe.com\")";

/// Begins a setup for the script of the page.
async fn begin(visit: Visit) -> Answered {
    let setup = visit.client.post(visit.path(&format!("{PATH}/setup"))).json(&json!({})).send::<Value>().await?;
    Ok(axum::Json(setup.body).into_response())
}

fn form_page(visit: &Visit, found: &PaymentMethods, fields: &Fields, problem: Option<&Problem>) -> Response {
    if let Some(key) = &found.publishable_key {
        return card_page(visit, key, problem);
    }
    let labels: Vec<String> =
        found.test_methods.iter().map(|it| format!("{} – {}", it.setup, it.description)).collect();
    let options: Vec<(&str, &str)> =
        found.test_methods.iter().zip(&labels).map(|(it, label)| (it.setup.as_str(), label.as_str())).collect();
    let sheet = ui::sheet(
        "Add a payment method",
        html! { "The first one becomes the default." },
        ui::sheet_form(
            &visit.frame,
            &visit.url(&format!("{PATH}/new")),
            html! {
                div.in {
                    @if let Some(problem) = problem { (ui::summary(problem)) }
                    @if options.is_empty() {
                        (field("Setup", "setup").value(fields.text("setup")).error(problem, "/setup")
                            .hint(&format!("The id of a setup that was finished with {}, such as seti_….", found.provider)).input("text"))
                    } @else {
                        (simulated())
                        (field("Test method", "setup").value(fields.text("setup")).error(problem, "/setup").select(&options))
                    }
                }
                footer {
                    a.btn.edge href=(visit.url(PATH)) data-close { "Cancel" }
                    button.btn.main-act type="submit" name="step" value="confirm" { (icon("check")) "Add method" }
                }
            },
        ),
    );
    let crumbs = crumbs(visit);
    let crumbs: Vec<(&str, &str)> = crumbs.iter().map(|(name, url)| (name.as_str(), url.as_str())).collect();
    visit.page_with(problem, "Add a payment method", &[&crumbs[..], &[("Add", "")]].concat(), sheet)
}

async fn create(visit: Visit, fields: Fields) -> Answered {
    let body = json!({ "setup": fields.text("setup") });
    match visit.client.post(visit.path(PATH)).key(fields.key()).json(&body).send::<Value>().await {
        Ok(_) => {
            let text = "The payment method is added.".to_owned();
            Ok(visit.done(&visit.url(PATH), &Message { text, ..Message::default() }))
        }
        Err(problem) if problem.status == 401 => Err(problem.into()),
        Err(problem) => {
            let found = read(&visit).await?;
            Ok(form_page(&visit, &found, &fields, Some(&problem)))
        }
    }
}

async fn action<'a>(visit: &Visit) -> Result<Action<'a>, Problem> {
    let no_page = || Problem::new(StatusCode::NOT_FOUND, "There is no such page.");
    let (id, command) = (visit.param("method").to_owned(), visit.param("command").to_owned());
    let found = read(visit).await?;
    let name = found.items.iter().find(|it| it.id == id).ok_or_else(no_page)?.name();
    let (title, lead, button, done, is_dangerous) = match command.as_str() {
        "make-default" => (
            format!("Pay with {name}"),
            "It is charged from now on.",
            "Make default",
            format!("{name} is charged from now on."),
            false,
        ),
        "remove" => (
            format!("Remove {name}"),
            "It is not charged any more. If it is the default one, another one takes its place.",
            "Remove",
            format!("{name} is removed."),
            true,
        ),
        _ => return Err(no_page()),
    };
    let resource = visit.path(PATH);
    Ok(Action {
        title,
        lead: html! { (lead) },
        button,
        is_dangerous,
        method: Method::POST,
        path: format!("{resource}/{id}/{command}"),
        resource,
        body: json!({}),
        inputs: Inputs::none(),
        is_previewed: true,
        typed: None,
        back: visit.url(PATH),
        done,
        crumbs: crumbs(visit),
    })
}

async fn form(visit: Visit) -> Answered {
    visit.require("billing:write")?;
    action(&visit).await?.show(&visit).await
}

async fn run(visit: Visit, fields: Fields) -> Answered {
    action(&visit).await?.submit(&visit, &fields).await
}
