//! What payment providers report. It is only a hint which payment changed: its present state is looked up, so order and
//! repetition of reports do not matter, and no money depends on them.

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use porttask_domain::{Actor, Meta, billing::payment::PaymentId};
use porttask_runtime::{execute::Request, ports::payments::EventError};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::http::{app::App, document::tagged, problem::Problem, request::read_at_most};

/// Maximum size of an event.
const MAX_BYTES: usize = 256 * 1024;

/// The routes of events of payment providers.
pub(super) fn routes() -> OpenApiRouter<App> {
    tagged("payments", "What organizations paid, and what became of it.").routes(routes!(receive_stripe_event))
}

/// Receive an event of Stripe.
///
/// The body must be signed: `Stripe-Signature` with a secret of the endpoint, not older than five minutes. The payment that
/// it is about is looked up; if that fails, the answer is 503, and Stripe sends the event again.
#[utoipa::path(post, path = "/v1/payment-providers/stripe/events", tag = "payments", security(()),
    request_body(content = String, content_type = "application/json"),
    responses((status = 200, description = "It was taken, or is about nothing that matters here.")))]
pub(crate) async fn receive_stripe_event(
    State(app): State<App>,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, Problem> {
    let body = read_at_most(&app, body, MAX_BYTES).await?;
    let signature = headers.get("stripe-signature").and_then(|value| value.to_str().ok());
    let provider = app.payments.provider();
    let hint = provider.read_event(signature, &body, app.clock.now()).map_err(|error| match error {
        EventError::NotExpected => Problem::not_found("resource"),
        EventError::BadSignature => Problem::new(StatusCode::BAD_REQUEST, "bad-signature", format!("{error}.")),
        EventError::Malformed => Problem::new(StatusCode::BAD_REQUEST, "malformed-event", format!("{error}.")),
    })?;
    let Some(hint) = hint else { return Ok(StatusCode::OK) };
    let request = Request::new(hint.organization, Meta::by(Actor::System));
    app.payments.refresh(&request, PaymentId(hint.payment)).await?;
    Ok(StatusCode::OK)
}
