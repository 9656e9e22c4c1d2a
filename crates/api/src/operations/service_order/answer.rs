//! Answers of vendors: with the link in their email, or recorded by a user who has heard of them otherwise.

use axum::{Json, extract::State, http::StatusCode};
use jiff::Timestamp;
use porttask_app::identity::links::{Link, Purpose};
use porttask_domain::{
    Actor, Meta, TextEnum,
    identity::{Organization, user::LinkState},
    operations::{
        PortCall, ServiceOrder,
        port_call::Schedule,
        service_order::{AnsweredBy, Command, ServiceOrderId, Status},
        vendor::Service,
    },
};
use porttask_runtime::execute::{ExecuteError, Request, Tx};
use serde::Serialize;
use utoipa::ToSchema;

use super::bodies::{PriceBody, RecordedAnswer, VendorResponseBody};
use crate::{
    http::{
        app::App,
        permissions::WriteOperations,
        problem::Problem,
        request::{Body, Client, CommandParameters, CommandRequest, Id},
        response::CommandResult,
    },
    identity::link,
};

/// Record the answer of a vendor, of which a user has heard otherwise.
///
/// Also whether an acceptance was withdrawn, or a refusal. Needs `operations:write`.
#[utoipa::path(post, path = "/v1/organizations/{org}/service-orders/{service_order}/answer", tag = "service orders",
    params(CommandParameters), request_body = RecordedAnswer, responses((status = 200, body = CommandResult)))]
pub(crate) async fn answer_service_order(
    State(app): State<App>,
    order: Id<ServiceOrder>,
    request: CommandRequest<WriteOperations, RecordedAnswer>,
) -> Result<CommandResult, Problem> {
    let RecordedAnswer { answer, remark } = &request.body;
    let answer = Command::Answer { answer: *answer, by: AnsweredBy::User, remark: remark.clone() };
    request.change::<ServiceOrder>(&app, &order, answer).await
}

/// What a vendor is asked, as the page of the link shows it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LinkServiceOrder {
    vessel: String,
    imo: String,
    port_name: String,
    /// The time zone of the port.
    time_zone: String,
    eta: Timestamp,
    etd: Timestamp,
    service: Service,
    details: String,
    /// When the service is needed.
    requested_at: Timestamp,
    /// The price; null if none was agreed on.
    price: Option<PriceBody>,
    status: Status,
}

impl LinkServiceOrder {
    /// What the vendor of a link is asked; `None` if it does not exist any more.
    fn of(order: &ServiceOrder, call: &PortCall) -> Option<Self> {
        let (content, vessel, port) = (order.content()?, call.vessel()?, call.port()?);
        let Schedule { eta, etd } = call.schedule()?;
        Some(Self {
            vessel: vessel.name.clone(),
            imo: vessel.imo.clone(),
            port_name: port.name.clone(),
            time_zone: port.time_zone.to_string(),
            eta,
            etd,
            service: content.service,
            details: content.details.clone(),
            requested_at: content.requested_at,
            price: content.price.clone().map(Into::into),
            status: order.status()?,
        })
    }
}

/// What became of the link of a vendor: its state, the name of the organization, and what is asked if the link is valid.
///
/// # Errors
/// If the organization's status does not allow it, or the order cannot be read.
pub(crate) async fn inspect(
    app: &App,
    client: &Client,
    link: &Link,
) -> Result<(LinkState, String, Option<LinkServiceOrder>), Problem> {
    let (organization, id) = (link.organization, ServiceOrderId(link.subject));
    let work = move |tx: Tx| async move {
        let home: Organization = tx.read(organization).await?;
        let order = tx.read::<ServiceOrder>(id).await?;
        let call = match order.port_call() {
            Some(call) => tx.read::<PortCall>(call).await?,
            None => PortCall::default(),
        };
        Ok::<_, ExecuteError>((home, order, call))
    };
    let read = app.executor.transact(&request_of(client, link, &ServiceOrder::default()), work).await?.value;
    let (home, order, call) = read.unwrap_or_default();
    let state = state(&order, link, app.clock.now());
    let asked = LinkServiceOrder::of(&order, &call).filter(|_| state == LinkState::Valid);
    Ok((state, home.shown_name().unwrap_or_default().to_owned(), asked))
}

fn state(order: &ServiceOrder, link: &Link, now: Timestamp) -> LinkState {
    let state = order.link_state(link.generation, now);
    // The time in the link counts as well.
    if state == LinkState::Valid && now >= link.expires_at { LinkState::Expired } else { state }
}

/// A request by the vendor who has the link. Traces belong to the vendor.
fn request_of(client: &Client, link: &Link, order: &ServiceOrder) -> Request {
    let meta = Meta::by(Actor::Anonymous);
    let meta = match order.vendor() {
        Some(vendor) => client.mark(meta, vendor),
        None => meta,
    };
    Request::new(link.organization, meta)
}

/// The answer of a vendor was recorded.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AnsweredOrder {
    /// The status of the service order now.
    status: Status,
}

/// Answer as a vendor, with the link in the email.
///
/// Without an account. First `accepted` or `declined`, later `completed`, until the link expires or another one is sent. A
/// repetition has no effect.
#[utoipa::path(post, path = "/v1/vendor-responses", tag = "service orders", security(()),
    request_body = VendorResponseBody, responses((status = 200, body = AnsweredOrder)))]
pub(crate) async fn respond_as_vendor(
    State(app): State<App>,
    client: Client,
    Body(VendorResponseBody { token, answer, remark }): Body<VendorResponseBody>,
) -> Result<Json<AnsweredOrder>, Problem> {
    let now = app.clock.now();
    let link = link::read(&app, &token, Purpose::VendorResponse, now)?;
    let id = ServiceOrderId(link.subject);
    let (known, _) = app.executor.load::<ServiceOrder>(link.organization, id).await?;
    let answer = &Command::Answer { answer, by: AnsweredBy::Vendor, remark };
    let work = move |tx: Tx| async move {
        let order = tx.read::<ServiceOrder>(id).await?;
        // What was answered with this link may be repeated.
        match state(&order, &link, now) {
            LinkState::Valid | LinkState::Used => tx.decide::<ServiceOrder>(id, answer).await?,
            other => return Err(ended(other)),
        }
        tx.read::<ServiceOrder>(id).await?.status().ok_or_else(|| ended(LinkState::Revoked))
    };
    let outcome = app.executor.transact(&request_of(&client, &link, &known), work).await?;
    let status = outcome.value.ok_or_else(|| ended(LinkState::Revoked))?;
    Ok(Json(AnsweredOrder { status }))
}

/// The problem of a link that can no longer be used.
fn ended(state: LinkState) -> Problem {
    let detail = match state {
        LinkState::Replaced => "Another link was sent: use the latest email.",
        LinkState::Expired => "The link has expired: ask for a new order.",
        LinkState::Revoked | LinkState::Used | LinkState::Valid => "The order was withdrawn.",
    };
    Problem::new(StatusCode::CONFLICT, &format!("link-{}", state.as_str()), detail)
}
