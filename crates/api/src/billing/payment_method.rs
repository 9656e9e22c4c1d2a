//! The payment methods of an organization.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use porttask_domain::{
    OrganizationId,
    billing::{
        BillingAccount, PaymentMethods, Subscription,
        billing_account::{BillingAccountId, Collection},
        payment_method::{Command, Details, Method, MethodKind, PaymentMethodId, PaymentMethodsId},
        subscription::Status,
    },
    identity::Capability,
};
use porttask_runtime::{
    execute::Tx,
    ports::payments::{Account, ProviderError, TestMethod},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::http::{
    app::App,
    document::tagged,
    permissions::{Impersonable, ReadBilling, WriteBilling},
    problem::Problem,
    request::{Authorized, Body, CommandParameters, CommandRequest, EmptyBody, Resource},
    response::CommandResult,
};

/// The routes of payment methods.
pub(super) fn routes() -> OpenApiRouter<App> {
    tagged("payment-methods", "The ways in which an organization pays.")
        .routes(routes!(add_payment_method, list_payment_methods))
        .routes(routes!(begin_payment_method))
        .routes(routes!(make_payment_method_default))
        .routes(routes!(remove_payment_method))
}

/// A payment method.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PaymentMethod)]
pub(crate) struct PaymentMethodResponse {
    id: PaymentMethodId,
    kind: MethodKind,
    /// The brand of a card, or the bank.
    #[schema(example = "visa")]
    brand: String,
    /// The last four digits.
    #[schema(example = "4242")]
    last4: String,
    /// The last month in which a card is valid.
    #[schema(example = "2030-04")]
    expires: Option<String>,
    #[schema(example = "stripe")]
    provider: String,
    /// Whether it is charged by default.
    is_default: bool,
    /// Why it will never be accepted again; null if it can be charged.
    #[schema(example = "stolen_card")]
    failed: Option<String>,
}

impl PaymentMethodResponse {
    fn new(id: PaymentMethodId, method: &Method, default: Option<PaymentMethodId>) -> Self {
        let Details { provider, kind, brand, last4, expires, .. } = method.details.clone();
        let (is_default, failed) = (default == Some(id), method.failed.clone());
        Self { id, kind, brand, last4, expires, provider, is_default, failed }
    }
}

/// A payment method of the payment simulator, which moves no money.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TestPaymentMethod {
    /// The setup to be finished.
    #[schema(example = "sim_ok")]
    setup: &'static str,
    /// What it does.
    #[schema(example = "pays")]
    description: &'static str,
}

/// The payment methods of an organization.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PaymentMethods)]
pub(crate) struct PaymentMethodList {
    items: Vec<PaymentMethodResponse>,
    /// The payment provider of this service.
    #[schema(example = "stripe")]
    provider: &'static str,
    /// The key with which the provider's form is shown, into which cards are entered; null if it has none.
    #[schema(example = "pk_live_51NG8Du2eZvKYlo2C")]
    publishable_key: Option<String>,
    /// What can be added, if this service simulates payments; otherwise empty.
    test_methods: Vec<TestPaymentMethod>,
    /// The version: the ETag.
    version: u64,
}

/// List the payment methods, in the order in which they were added.
///
/// Needs `billing:read`.
#[utoipa::path(get, path = "/v1/organizations/{org}/billing/payment-methods", tag = "payment-methods",
    extensions(("x-impersonable" = json!(true))), responses((status = 200, body = PaymentMethodList)))]
pub(crate) async fn list_payment_methods(
    State(app): State<App>,
    caller: Authorized<Impersonable<ReadBilling>>,
) -> Result<Resource<PaymentMethodList>, Problem> {
    let organization = caller.organization;
    must_pay(organization)?;
    let (state, version) = app.executor.load::<PaymentMethods>(organization, organization.into()).await?;
    let items: Vec<_> =
        state.all().map(|(id, method)| PaymentMethodResponse::new(id, method, state.default_id())).collect();
    caller.shows_items(&items);
    let provider = app.payments.provider();
    let test = |&TestMethod { setup, description }: &TestMethod| TestPaymentMethod { setup, description };
    let test_methods = provider.test_methods().iter().map(test).collect();
    let publishable_key = provider.publishable_key().map(str::to_owned);
    let list =
        PaymentMethodList { items, provider: provider.name(), publishable_key, test_methods, version: version.0 };
    Ok(Resource::new(list, Some(version.0).filter(|version| *version > 0)))
}

/// The platform pays nothing for itself.
fn must_pay(organization: OrganizationId) -> Result<(), Problem> {
    match organization {
        OrganizationId::PLATFORM => Err(Problem::not_found("subscription")),
        _ => Ok(()),
    }
}

/// The beginning of a payment method.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PaymentMethodSetup {
    /// The setup, to be added when the payer has finished it with the provider.
    #[schema(example = "seti_1NG8Du2eZvKYlo2C")]
    setup: String,
    /// With which the payer finishes it; null if nothing is to be entered.
    client_secret: Option<String>,
}

/// Begin a payment method: what is secret of it is entered with the payment provider.
///
/// Nothing is recorded. Needs `billing:write`.
#[utoipa::path(post, path = "/v1/organizations/{org}/billing/payment-methods/setup", tag = "payment-methods",
    request_body = EmptyBody, responses((status = 200, body = PaymentMethodSetup)))]
pub(crate) async fn begin_payment_method(
    State(app): State<App>,
    caller: Authorized<WriteBilling>,
    Body(EmptyBody {}): Body<EmptyBody>,
) -> Result<Json<PaymentMethodSetup>, Problem> {
    let account = account(&app, caller.organization).await?;
    let setup = app.payments.provider().begin_setup(&account).await.map_err(not_done)?;
    Ok(Json(PaymentMethodSetup { setup: setup.id, client_secret: setup.client_secret }))
}

/// The organization, as the provider knows it.
async fn account(app: &App, organization: OrganizationId) -> Result<Account, Problem> {
    must_pay(organization)?;
    let (state, _) = app.executor.load::<PaymentMethods>(organization, organization.into()).await?;
    let customer = state.customer(app.payments.provider().name()).map(str::to_owned);
    Ok(Account { organization, customer })
}

pub(super) fn not_done(error: ProviderError) -> Problem {
    match error {
        ProviderError::Refused(detail) => Problem::invalid("/setup", detail),
        ProviderError::Unavailable(error) => {
            tracing::warn!(%error, "the payment provider could not be reached");
            let detail = "The payment provider could not be reached. Retry after a pause.";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "payment-provider-unavailable", detail).after(10)
        }
    }
}

/// A payment method to be added.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewPaymentMethod {
    /// A setup that the payer has finished; or one of `test_methods`.
    #[schema(example = "sim_ok", max_length = 255)]
    setup: String,
}

/// The result of adding a payment method.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PaymentMethodAdded {
    #[serde(flatten)]
    result: CommandResult,
    payment_method: PaymentMethodId,
}

impl IntoResponse for PaymentMethodAdded {
    fn into_response(self) -> Response {
        (StatusCode::OK, self.result.headers(), Json(self)).into_response()
    }
}

/// Add a payment method, which the payer has finished with the payment provider.
///
/// The first one is the default. Needs `billing:write`.
#[utoipa::path(post, path = "/v1/organizations/{org}/billing/payment-methods", tag = "payment-methods",
    params(CommandParameters), request_body = NewPaymentMethod, responses((status = 200, body = PaymentMethodAdded)))]
pub(crate) async fn add_payment_method(
    State(app): State<App>,
    request: CommandRequest<WriteBilling, NewPaymentMethod>,
) -> Result<PaymentMethodAdded, Problem> {
    let request = request.needing(Capability::BeAdministered);
    let (organization, setup) = (request.caller.organization, request.body.setup.trim());
    if setup.is_empty() || setup.len() > 255 {
        return Err(Problem::invalid("/setup", "must have 1 to 255 characters"));
    }
    let account = account(&app, organization).await?;
    let details = app.payments.provider().finish_setup(&account, setup).await.map_err(not_done)?;
    let (id, method): (PaymentMethodsId, PaymentMethodId) = (organization.into(), request.new_id(&app));
    let (token, add) = (details.token.clone(), Command::Add { method, details });
    let result = request.change_all::<PaymentMethods>(&app, id, &[add]).await?;
    let (state, _) = app.executor.load::<PaymentMethods>(organization, id).await?;
    // It may have been added before.
    let known = state.all().find(|(_, it)| it.details.token == token).map(|(id, _)| id);
    Ok(PaymentMethodAdded { result, payment_method: known.unwrap_or(method) })
}

/// The payment method in a path.
type MethodPath = Path<Vec<(String, String)>>;

fn method_of(path: &MethodPath) -> Result<PaymentMethodId, Problem> {
    let found = path.0.iter().find_map(|(_, text)| text.parse().ok());
    found.ok_or_else(|| Problem::not_found("payment-method"))
}

/// Charge a payment method by default from now on.
///
/// Open invoices that are collected automatically are charged with it at once. Needs `billing:write`.
#[utoipa::path(post, path = "/v1/organizations/{org}/billing/payment-methods/{payment_method}/make-default",
    tag = "payment-methods", params(CommandParameters), request_body = EmptyBody,
    responses((status = 200, body = CommandResult)))]
pub(crate) async fn make_payment_method_default(
    State(app): State<App>,
    path: MethodPath,
    request: CommandRequest<WriteBilling, EmptyBody>,
) -> Result<CommandResult, Problem> {
    let (method, id) = (method_of(&path)?, request.caller.organization.into());
    let request = request.needing(Capability::BeAdministered);
    request.change_all::<PaymentMethods>(&app, id, &[Command::MakeDefault { method }]).await
}

/// Remove a payment method; not the last one of an active subscription.
///
/// Needs `billing:write`.
#[utoipa::path(post, path = "/v1/organizations/{org}/billing/payment-methods/{payment_method}/remove",
    tag = "payment-methods", params(CommandParameters), request_body = EmptyBody,
    responses((status = 200, body = CommandResult)))]
pub(crate) async fn remove_payment_method(
    State(app): State<App>,
    path: MethodPath,
    request: CommandRequest<WriteBilling, EmptyBody>,
) -> Result<CommandResult, Problem> {
    let (method, organization) = (method_of(&path)?, request.caller.organization);
    let request = request.needing(Capability::BeAdministered);
    let id = PaymentMethodsId::from(organization);
    let work = move |tx: Tx| async move {
        let subscription: Subscription = tx.read(organization.into()).await?;
        let account: BillingAccount = tx.read(BillingAccountId::from(organization)).await?;
        let is_charged = account.collection() == Collection::Automatic;
        let is_running = matches!(subscription.status(), Some(Status::Active | Status::PastDue));
        let one_must_remain = is_charged && is_running;
        Ok(tx.decide::<PaymentMethods>(id, &Command::Remove { method, one_must_remain }).await?)
    };
    let result = request.run::<PaymentMethods, _>(&app, id, work).await?;
    if result.is_change() && !request.dry_run {
        forget(&app, organization, method).await;
    }
    Ok(result)
}

/// Lets the provider forget a payment method. One that it keeps is never charged again.
async fn forget(app: &App, organization: OrganizationId, method: PaymentMethodId) {
    let Ok((state, _)) = app.executor.load::<PaymentMethods>(organization, organization.into()).await else { return };
    let provider = app.payments.provider();
    let removed = state.current_or_removed(method).filter(|it| it.details.provider == provider.name());
    if let Some(removed) = removed
        && let Err(error) = provider.detach(&removed.details.token).await
    {
        tracing::warn!(%error, %method, "the payment provider keeps a payment method that was removed");
    }
}
