//! Changes of a subscription: previews, and the change itself with its payment.

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use jiff::civil::Date;
use porttask_app::billing::{invoices::issuing::tax_now, payments::Charged, subscriptions::used};
use porttask_domain::{
    DomainEvent,
    billing::{
        BillingAccount, Subscription,
        billing_account::BillingAccountId,
        payment::{PaymentId, Target},
        quote::{Change, Quote},
        subscription::{ChangeId, ChangeTerms, Command, SubscriptionId},
    },
    identity::Capability,
};
use porttask_runtime::{
    execute::{self, ExecuteError, OutcomeEvent, Tx},
    ports::payments::ChargeOutcome,
    supervise::once,
};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use utoipa::ToSchema;

use super::must_be_staff;
use crate::{
    billing::{
        account::check_before_use,
        quote::{QuoteResponse, WantedPlan},
    },
    http::{
        app::App,
        permissions::{Impersonable, Permission, ReadBilling, WriteBilling, is_staff},
        problem::Problem,
        request::{Authorized, Body, CommandParameters, CommandRequest},
        response::CommandResult,
    },
};

/// A change to be previewed: to a plan, or a cancellation.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SubscriptionPreview {
    /// The terms that are asked for; absent for a cancellation.
    #[serde(default)]
    to: Option<WantedPlan>,
    /// Whether it is a cancellation.
    #[serde(default)]
    cancel: bool,
    /// The first date, if cheaper terms or a cancellation take effect before the period ends: for staff.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = Date)]
    effective: Option<Date>,
}

/// Preview a change of the subscription: what it costs, and what the next renewal costs.
///
/// Nothing is recorded. The same function decides the change. Needs `billing:read`.
#[utoipa::path(post, path = "/v1/organizations/{org}/billing/subscription/preview", tag = "subscription",
    extensions(("x-impersonable" = json!(true))), request_body = SubscriptionPreview,
    responses((status = 200, body = QuoteResponse)))]
pub(crate) async fn preview_subscription_change(
    State(app): State<App>,
    caller: Authorized<Impersonable<ReadBilling>>,
    Body(body): Body<SubscriptionPreview>,
) -> Result<Json<QuoteResponse>, Problem> {
    let (organization, by_staff) = (caller.organization, is_staff(&caller.identity));
    must_be_staff(by_staff, body.effective, "/effective")?;
    let used = used(&app.executor, organization).await.map_err(|error| Problem::unavailable(&error))?;
    let (body, now) = (&body, app.clock.now());
    let request = execute::Request::new(organization, caller.meta.clone()).needing(Capability::Settle);
    let request = execute::Request { dry_run: true, ..request };
    let work = move |tx: Tx| async move {
        let state: Subscription = tx.read(organization.into()).await?;
        let change = match &body.to {
            _ if body.cancel && body.to.is_some() => {
                return Err(Problem::invalid("/cancel", "leave out `to` with a cancellation"));
            }
            None if body.cancel => Change::Cancel(body.effective),
            None => Change::None,
            Some(to) => Change::To(to.held(&tx, organization, state.kept(), by_staff).await?, body.effective),
        };
        let quote = state.quote(&change, now, used).map_err(execute::Rejected::from)?;
        taxed(&tx, quote).await
    };
    let outcome = app.executor.transact(&request, work).await?;
    let (quote, waits_for) = outcome.value.ok_or_else(|| Problem::not_found("subscription"))?;
    Ok(Json(QuoteResponse::from(&quote).waiting_for(waits_for)))
}

/// A quote with its tax; otherwise what is missing for it.
async fn taxed(tx: &Tx, quote: Quote) -> Result<(Quote, Option<String>), Problem> {
    match tax_now(tx).await? {
        Ok(decision) => Ok((quote.taxed(&decision).map_err(execute::Rejected::from)?, None)),
        Err(rejected) => Ok((quote, Some(rejected.slug.to_owned()))),
    }
}

/// A change of the subscription.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SubscriptionChange {
    to: WantedPlan,
    /// The first date, if cheaper terms take effect before the period ends: for staff.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = Date)]
    effective: Option<Date>,
    /// The digest of the quote that was shown: another one is refused.
    #[serde(default)]
    quote: Option<String>,
}

/// What became of the payment of a change.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ChangePayment {
    /// It was paid, and the change has happened.
    Succeeded,
    /// It is not known yet: the change happens when it is paid.
    Pending,
    /// The payer has to confirm it with the payment provider: the change happens when they do.
    ActionRequired,
}

/// The result of a change of the subscription.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SubscriptionChanged {
    #[serde(flatten)]
    result: CommandResult,
    /// The change that was paid; absent if nothing was to be paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    change: Option<ChangeId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payment: Option<ChangePayment>,
    /// With which the payer confirms the payment: only for the organization that pays.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret: Option<String>,
}

impl SubscriptionChanged {
    fn unpaid(result: CommandResult) -> Self {
        Self { result, change: None, payment: None, client_secret: None }
    }
}

/// Change the subscription: choose a plan, upgrade today, downgrade at the period's end, or withdraw what is scheduled.
///
/// An upgrade is charged first, to the default payment method, and happens when it is paid. Of the plan that is held, the version that is held stays.
/// Needs `billing:write`, and an `Idempotency-Key`.
#[utoipa::path(post, path = "/v1/organizations/{org}/billing/subscription/change", tag = "subscription",
    params(CommandParameters), request_body = SubscriptionChange,
    responses((status = 200, body = SubscriptionChanged), (status = 202, body = SubscriptionChanged)))]
pub(crate) async fn change_subscription(
    State(app): State<App>,
    request: CommandRequest<WriteBilling, SubscriptionChange>,
) -> Result<Response, Problem> {
    request.must_have_key()?;
    let request = request.needing(Capability::BeAdministered);
    let (organization, by_staff) = (request.caller.organization, is_staff(&request.caller.identity));
    must_be_staff(by_staff, request.body.effective, "/effective")?;
    let used = used(&app.executor, organization).await.map_err(|error| Problem::unavailable(&error))?;
    let (id, change): (SubscriptionId, ChangeId) = (organization.into(), request.new_id(&app));
    let SubscriptionChange { to, effective, quote } = &request.body;
    if !request.dry_run {
        // What is charged is taxed like the invoice that follows.
        check_before_use(&app, &request.caller).await;
    }
    let payments = &app.payments;
    let work = move |tx: Tx| async move {
        let state: Subscription = tx.read(id).await?;
        let to = to.held(&tx, organization, state.kept(), by_staff).await?;
        let (effective, quote, now, is_gated) = (*effective, quote.clone(), tx.now(), !by_staff);
        let tax = tax_now(&tx).await?;
        let decision = tax.as_ref().ok().copied();
        // The invoice is paid from the balance first.
        let account: BillingAccount = tx.read(BillingAccountId::from(organization)).await?;
        let balance = account.balance(to.currency);
        let ask = ChangeTerms { to, effective, quote, is_gated, balance, change, used, tax: decision, now };
        tx.decide::<Subscription>(id, &Command::Change(Box::new(ask))).await?;
        let state: Subscription = tx.read(id).await?;
        if let Some((change, amount, currency)) = state.in_flight() {
            // What cannot be invoiced is not charged.
            tax.map_err(ExecuteError::Rejected)?;
            payments.start(&tx, Target::Change(change), 1, (amount - balance, currency)).await?;
        }
        Ok(())
    };
    let result = request.run::<Subscription, _>(&app, id, work).await?;
    if request.dry_run {
        return Ok(SubscriptionChanged::unpaid(result).into_response());
    }
    pay_for(&app, &request.caller, result).await
}

/// Charges for a change that waits for its payment, if there is one.
async fn pay_for<P: Permission>(app: &App, caller: &Authorized<P>, result: CommandResult) -> Result<Response, Problem> {
    let organization = caller.organization;
    let (state, _) = app.executor.load::<Subscription>(organization, organization.into()).await?;
    let Some((change, ..)) = state.in_flight() else {
        return Ok(SubscriptionChanged::unpaid(result).into_response());
    };
    let request = execute::Request::new(organization, caller.meta.clone());
    let payment = PaymentId::of(Target::Change(change), 1);
    // One that was started before may have been charged.
    let is_new = result.is_change() && !result.is_repeated();
    // Not within this request, which ends if the client hangs up.
    let (payments, (charged, charging)) = (app.payments.clone(), oneshot::channel());
    once("payment", async move { _ = charged.send(payments.charge(&request, payment, is_new).await) }).detach();
    let Charged { outcome, recorded } = charging.await.map_err(|error| Problem::unavailable(&error))??;
    if let Some(position) = recorded.position {
        app.last_changes.insert(caller.identity.credential.id(), position);
    }
    let (payment, client_secret) = match outcome {
        ChargeOutcome::Succeeded { .. } => (ChangePayment::Succeeded, None),
        ChargeOutcome::ActionRequired { client_secret } => {
            (ChangePayment::ActionRequired, client_secret.filter(|_| caller.is_at_home()))
        }
        ChargeOutcome::Processing | ChargeOutcome::Unknown => (ChangePayment::Pending, None),
        ChargeOutcome::Failed { code, .. } => {
            let detail = format!("The payment failed ({code}), so nothing has changed. Use another payment method.");
            return Err(Problem::new(StatusCode::PAYMENT_REQUIRED, "payment-failed", detail));
        }
    };
    let id = SubscriptionId::from(organization);
    let of_subscription = |it: &&OutcomeEvent| matches!(it.event, DomainEvent::Subscription(_));
    let version = recorded.events.iter().rfind(of_subscription).map(|it| it.version);
    let result = match recorded.position {
        Some(position) => {
            let version = match version {
                Some(version) => version,
                None => app.executor.load::<Subscription>(organization, id).await?.1,
            };
            result.at(app.positions.seal(caller.identity.organization, position), version.0)
        }
        None => result,
    };
    let (change, payment) = (Some(change), Some(payment));
    Ok(SubscriptionChanged { result, change, payment, client_secret }.into_response())
}

impl IntoResponse for SubscriptionChanged {
    fn into_response(self) -> Response {
        let status = match self.payment {
            Some(ChangePayment::Pending | ChangePayment::ActionRequired) => StatusCode::ACCEPTED,
            Some(ChangePayment::Succeeded) | None => StatusCode::OK,
        };
        (status, self.result.headers(), Json(self)).into_response()
    }
}
