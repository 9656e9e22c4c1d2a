//! Paying an invoice with a payment method.

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use porttask_app::billing::invoices::collecting;
use porttask_domain::billing::{Invoice, billing_document::InvoiceId};
use porttask_runtime::{ports::payments::ChargeOutcome, supervise::once};
use serde::Serialize;
use tokio::sync::oneshot;
use utoipa::ToSchema;

use crate::http::{
    app::App,
    permissions::WriteBilling,
    problem::Problem,
    request::{CommandParameters, CommandRequest, EmptyBody, Id},
};

/// What became of a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum InvoicePaymentOutcome {
    /// It was paid, or nothing was due.
    Succeeded,
    /// The payer has to confirm it.
    ActionRequired,
    /// It is not known yet.
    Pending,
}

/// The payment of an invoice.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InvoicePaid {
    invoice: InvoiceId,
    payment: InvoicePaymentOutcome,
    /// With which the payer confirms it: only for the organization that pays.
    client_secret: Option<String>,
}

/// Pay an invoice with the default payment method.
///
/// 202 if the outcome is not known yet, or the payer has to confirm it. Needs `billing:write`, and an `Idempotency-Key`.
#[utoipa::path(post, path = "/v1/organizations/{org}/billing/invoices/{invoice}/pay", tag = "invoices",
    params(CommandParameters), request_body = EmptyBody,
    responses((status = 200, body = InvoicePaid), (status = 202, body = InvoicePaid)))]
pub(crate) async fn pay_invoice(
    State(app): State<App>,
    invoice: Id<Invoice>,
    request: CommandRequest<WriteBilling, EmptyBody>,
) -> Result<Response, Problem> {
    request.must_have_key()?;
    let (id, organization) = (invoice.get()?, request.caller.organization);
    let (state, _) = app.executor.load::<Invoice>(organization, id).await?;
    state.existing().and_then(|it| it.issued()).ok_or_else(Id::<Invoice>::not_found)?;
    let pay = request.unit_of_work();
    if request.dry_run {
        let paid = InvoicePaid { invoice: id, payment: InvoicePaymentOutcome::Pending, client_secret: None };
        return Ok(Json(paid).into_response());
    }
    // Not within this request, which ends if the client hangs up.
    let (executor, payments, (charged, charging)) = (app.executor.clone(), app.payments.clone(), oneshot::channel());
    let charge = async move {
        _ = charged.send(collecting::charge(&executor, &payments, &pay, id, None).await);
    };
    once("payment", charge).detach();
    let charged = charging.await.map_err(|error| Problem::unavailable(&error))??;
    if let Some(position) = charged.as_ref().and_then(|it| it.recorded.position) {
        app.last_changes.insert(request.caller.identity.credential.id(), position);
    }
    let (payment, client_secret) = match charged.map(|it| it.outcome) {
        None | Some(ChargeOutcome::Succeeded { .. }) => (InvoicePaymentOutcome::Succeeded, None),
        Some(ChargeOutcome::ActionRequired { client_secret }) => {
            (InvoicePaymentOutcome::ActionRequired, client_secret.filter(|_| request.caller.is_at_home()))
        }
        Some(ChargeOutcome::Processing | ChargeOutcome::Unknown) => (InvoicePaymentOutcome::Pending, None),
        Some(ChargeOutcome::Failed { code, .. }) => {
            let detail = format!("The payment failed ({code}). Use another payment method.");
            return Err(Problem::new(StatusCode::PAYMENT_REQUIRED, "payment-failed", detail));
        }
    };
    let status = match payment {
        InvoicePaymentOutcome::Succeeded => StatusCode::OK,
        InvoicePaymentOutcome::ActionRequired | InvoicePaymentOutcome::Pending => StatusCode::ACCEPTED,
    };
    Ok((status, Json(InvoicePaid { invoice: id, payment, client_secret })).into_response())
}
