//! The confirmation of a payment: the payer's bank asks for it, and the payer answers with the payment provider.

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use porttask_app::billing::payments::Charged;
use porttask_domain::billing::{
    Payment,
    payment::{PaymentId, Status},
};
use porttask_runtime::{execute, ports::payments::ChargeOutcome, supervise::once};
use serde::Serialize;
use tokio::sync::oneshot;
use utoipa::ToSchema;

use crate::{
    billing::payment_method::not_done,
    http::{
        app::App,
        permissions::WriteBilling,
        problem::Problem,
        request::{Authorized, Body, EmptyBody, Id},
    },
};

/// A payment that the payer may have to confirm, as the provider knows it now.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PaymentConfirmation {
    id: PaymentId,
    /// `action_required` until it is confirmed.
    status: Status,
    /// With which the payer confirms it with the provider: only while it has to be, and only for the organization that pays.
    client_secret: Option<String>,
}

impl PaymentConfirmation {
    fn new(id: PaymentId, status: Status) -> Self {
        Self { id, status, client_secret: None }
    }
}

impl IntoResponse for PaymentConfirmation {
    fn into_response(self) -> Response {
        let status = match self.status {
            Status::Processing | Status::ActionRequired | Status::Unknown => StatusCode::ACCEPTED,
            Status::Succeeded | Status::Failed | Status::Refunded | Status::Reversed => StatusCode::OK,
        };
        (status, Json(self)).into_response()
    }
}

/// Get what a payment is confirmed with, or what became of it.
///
/// A payment with the status `action_required` is looked up with the provider. 202 while its outcome is not known, 402 if it
/// failed. Needs `billing:write`.
#[utoipa::path(post, path = "/v1/organizations/{org}/billing/payments/{payment}/confirm", tag = "payments",
    request_body = EmptyBody,
    responses((status = 200, body = PaymentConfirmation), (status = 202, body = PaymentConfirmation)))]
pub(crate) async fn confirm_payment(
    State(app): State<App>,
    caller: Authorized<WriteBilling>,
    payment: Id<Payment>,
    Body(EmptyBody {}): Body<EmptyBody>,
) -> Result<PaymentConfirmation, Problem> {
    look_up(&app, &caller, payment.get()?).await
}

/// Confirm a payment with the payment simulator, in the place of the payer's bank.
///
/// 404 if this service moves money: payments are confirmed with its provider. Needs `billing:write`.
#[utoipa::path(post, path = "/v1/organizations/{org}/billing/payments/{payment}/simulate-confirmation",
    tag = "payments", request_body = EmptyBody,
    responses((status = 200, body = PaymentConfirmation), (status = 202, body = PaymentConfirmation)))]
pub(crate) async fn simulate_payment_confirmation(
    State(app): State<App>,
    caller: Authorized<WriteBilling>,
    payment: Id<Payment>,
    Body(EmptyBody {}): Body<EmptyBody>,
) -> Result<PaymentConfirmation, Problem> {
    let (id, provider) = (payment.get()?, app.payments.provider());
    if provider.test_methods().is_empty() {
        return Err(Problem::not_found("resource"));
    }
    // Only one of the organization.
    let (state, _) = app.executor.load::<Payment>(caller.organization, id).await?;
    if state.status().ok_or_else(Id::<Payment>::not_found)? == Status::ActionRequired {
        provider.simulate_confirmation(id.0).await.map_err(not_done)?;
    }
    look_up(&app, &caller, id).await
}

/// What became of a payment; one that has to be confirmed is looked up, and its outcome recorded.
async fn look_up(app: &App, caller: &Authorized<WriteBilling>, id: PaymentId) -> Result<PaymentConfirmation, Problem> {
    let organization = caller.organization;
    let (state, _) = app.executor.load::<Payment>(organization, id).await?;
    match (state.status().ok_or_else(Id::<Payment>::not_found)?, state.failure()) {
        (Status::ActionRequired, _) => {}
        (Status::Failed, failure) => return Err(failed(failure.map_or("unknown", |(code, _)| code))),
        (status, _) => return Ok(PaymentConfirmation::new(id, status)),
    }
    let request = execute::Request::new(organization, caller.meta.clone());
    // Not within this request, which ends if the client hangs up.
    let (payments, (looked_up, looking)) = (app.payments.clone(), oneshot::channel());
    // It was charged before, so it is only looked up.
    once("payment", async move { _ = looked_up.send(payments.charge(&request, id, false).await) }).detach();
    let Charged { outcome, recorded } = looking.await.map_err(|error| Problem::unavailable(&error))??;
    if let Some(position) = recorded.position {
        app.last_changes.insert(caller.identity.credential.id(), position);
    }
    let status = match outcome {
        ChargeOutcome::ActionRequired { client_secret } => {
            // Staff of the platform does not pay in the place of an organization.
            let client_secret = client_secret.filter(|_| caller.is_at_home());
            return Ok(PaymentConfirmation { id, status: Status::ActionRequired, client_secret });
        }
        ChargeOutcome::Succeeded { .. } => Status::Succeeded,
        ChargeOutcome::Processing => Status::Processing,
        ChargeOutcome::Unknown => Status::Unknown,
        ChargeOutcome::Failed { code, .. } => return Err(failed(&code)),
    };
    Ok(PaymentConfirmation::new(id, status))
}

fn failed(code: &str) -> Problem {
    let detail = format!("The payment failed ({code}). Pay again, or with another payment method.");
    Problem::new(StatusCode::PAYMENT_REQUIRED, "payment-failed", detail)
}
