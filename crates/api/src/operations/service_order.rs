//! The service orders of an organization.
//!
//! | file | what it owns |
//! |---|---|
//! | `bodies.rs` | service orders in requests and responses |
//! | `answer.rs` | answers of vendors, by link or recorded by a user |
//! | `related.rs` | names of what service orders refer to |
//! | `exported.rs` | service orders as CSV |

pub(crate) mod answer;
mod bodies;
mod exported;
mod related;

use axum::{extract::State, http::StatusCode, response::Response};
use porttask_app::operations::service_orders::{check_vendor, port_zone};
use porttask_domain::{
    OrganizationId,
    operations::{
        PortCall, ServiceOrder, port_call,
        service_order::{Command, ServiceOrderId},
        vendor::{NotOrderable, VendorId},
    },
};
use porttask_projections::{ColumnType, operations::service_order as view};
use porttask_runtime::{execute::Tx, views::Condition};
use utoipa_axum::{router::OpenApiRouter, routes};

use self::bodies::{
    Assignment, NewServiceOrderBody, OrderCancellation, ServiceOrderFilter, ServiceOrderPage, ServiceOrderPatch,
    ServiceOrderResponse,
};
use crate::http::{
    app::App,
    document::tagged,
    listing::Sort,
    permissions::{Impersonable, ReadOperations, WriteOperations},
    problem::Problem,
    request::{Authorized, CommandParameters, CommandRequest, EmptyBody, Id, List, ListParameters, Listed, Resource},
    response::CommandResult,
};

/// The routes of service orders.
pub(super) fn routes() -> OpenApiRouter<App> {
    tagged("service orders", "Services that vendors are asked to provide for port calls.")
        .routes(routes!(create_service_order, list_service_orders))
        .routes(routes!(get_service_order, change_service_order))
        .routes(routes!(assign_service_order))
        .routes(routes!(ask_vendor_again))
        .routes(routes!(start_service_order))
        .routes(routes!(cancel_service_order))
        .routes(routes!(answer::answer_service_order))
        .routes(routes!(answer::respond_as_vendor))
}

impl Listed for view::ServiceOrders {
    type Item = ServiceOrderResponse;
    type Filter = ServiceOrderFilter;
    const SORTS: &'static [Sort] =
        &[("requested_at", &["requested_at", "service_order"]), ("created_at", &["created_at", "service_order"])];

    fn conditions(filter: ServiceOrderFilter) -> Result<Vec<Condition>, Problem> {
        let ServiceOrderFilter { port_call, vendor, status, service, answered_from, format: _ } = filter;
        let conditions = [
            port_call.map(|port_call| Condition::Equal("port_call", port_call.to_value())),
            vendor.map(|vendor| Condition::Equal("vendor", vendor.to_value())),
            status.map(|status| Condition::Equal("status", status.to_value())),
            service.map(|service| Condition::Equal("service", service.to_value())),
            answered_from.map(|from| Condition::AtLeast("answered_at", from.0.to_value())),
        ];
        Ok(conditions.into_iter().flatten().collect())
    }

    async fn complete(
        app: &App,
        organization: OrganizationId,
        items: Vec<ServiceOrderResponse>,
    ) -> Result<Vec<ServiceOrderResponse>, Problem> {
        related::named(app, organization, items).await
    }
}

/// Rejects vendors who cannot provide the service.
async fn must_be_orderable(tx: &Tx, order: ServiceOrderId, vendor: VendorId) -> Result<(), Problem> {
    let state = tx.read::<ServiceOrder>(order).await?;
    let Some(content) = state.content() else { return Ok(()) };
    match check_vendor(tx, vendor, content.service).await? {
        Ok(()) => Ok(()),
        Err(fault @ NotOrderable::NotFound) => Err(Problem::invalid("/vendor", fault.to_string())),
        Err(fault) => Err(Problem::new(StatusCode::CONFLICT, "vendor-not-orderable", fault.to_string())),
    }
}

/// Create a service order for a port call.
///
/// A draft, unless it names a vendor: then the vendor is asked by email. Needs `operations:write`.
#[utoipa::path(post, path = "/v1/organizations/{org}/service-orders", tag = "service orders", params(CommandParameters),
    request_body = NewServiceOrderBody, responses((status = 201, body = CommandResult)))]
pub(crate) async fn create_service_order(
    State(app): State<App>,
    request: CommandRequest<WriteOperations, NewServiceOrderBody>,
) -> Result<Response, Problem> {
    let (order, body) = (request.new_id::<ServiceOrderId>(&app), &request.body);
    let price = &body.price.as_ref().map(bodies::PriceBody::parse).transpose()?;
    let work = move |tx: Tx| async move {
        let port_call = body.port_call;
        let Some(zone) = port_zone(&tx, port_call).await? else {
            return Err(Id::<PortCall>::not_found());
        };
        tx.decide_new::<ServiceOrder>(order, &body.command(&zone, price.clone())).await?;
        tx.decide::<PortCall>(port_call, &port_call::Command::AddOrder { order }).await?;
        if let Some(vendor) = body.vendor {
            must_be_orderable(&tx, order, vendor).await?;
            tx.decide::<ServiceOrder>(order, &Command::Assign { vendor, now: tx.now() }).await?;
        }
        Ok(())
    };
    request.create_with::<ServiceOrder, _>(&app, order, work).await
}

/// List service orders.
///
/// Needs `operations:read`.
#[utoipa::path(get, path = "/v1/organizations/{org}/service-orders", tag = "service orders",
    extensions(("x-impersonable" = json!(true))), params(ListParameters<view::ServiceOrders>),
    responses((status = 200, description = "The service orders", content(
        (ServiceOrderPage = "application/json"), (String = "text/csv")))))]
pub(crate) async fn list_service_orders(
    State(app): State<App>,
    orders: List<Impersonable<ReadOperations>, view::ServiceOrders>,
) -> Result<Response, Problem> {
    orders.answer(&app).await
}

/// Get a service order.
///
/// Needs `operations:read`.
#[utoipa::path(get, path = "/v1/organizations/{org}/service-orders/{service_order}", tag = "service orders",
    extensions(("x-impersonable" = json!(true))), responses((status = 200, body = ServiceOrderResponse)))]
pub(crate) async fn get_service_order(
    State(app): State<App>,
    caller: Authorized<Impersonable<ReadOperations>>,
    order: Id<ServiceOrder>,
) -> Result<Resource<ServiceOrderResponse>, Problem> {
    caller.get::<view::ServiceOrders>(&app, &[order.get()?.to_value()], Id::<ServiceOrder>::not_found).await
}

/// Change what is ordered.
///
/// A vendor who was asked and has not declined is asked again, with a new link. Needs `operations:write`.
#[utoipa::path(patch, path = "/v1/organizations/{org}/service-orders/{service_order}", tag = "service orders",
    params(CommandParameters),
    request_body(content = ServiceOrderPatch, content_type = "application/merge-patch+json"),
    responses((status = 200, body = CommandResult)))]
pub(crate) async fn change_service_order(
    State(app): State<App>,
    order: Id<ServiceOrder>,
    request: CommandRequest<WriteOperations, ServiceOrderPatch>,
) -> Result<CommandResult, Problem> {
    let (order, body) = (order.get()?, &request.body);
    let price = &body.price()?;
    let work = move |tx: Tx| async move {
        let before = tx.read::<ServiceOrder>(order).await?;
        let zone = match before.port_call() {
            Some(port_call) => port_zone(&tx, port_call).await?,
            None => None,
        };
        tx.decide::<ServiceOrder>(order, &body.command(zone.as_ref(), price.clone(), tx.now())).await?;
        // A vendor who is asked again must offer the service that is ordered now, and have an address for the link.
        let after = tx.read::<ServiceOrder>(order).await?;
        if let Some(vendor) = after.vendor().filter(|_| after.requests() > before.requests()) {
            must_be_orderable(&tx, order, vendor).await?;
        }
        Ok(())
    };
    request.run::<ServiceOrder, _>(&app, order, work).await
}

/// Ask a vendor to provide the service.
///
/// Instead of the one who was asked before, whose link becomes void. The vendor must be active, offer the service and have
/// an email address for orders, to which a link is sent. Needs `operations:write`.
#[utoipa::path(post, path = "/v1/organizations/{org}/service-orders/{service_order}/assign", tag = "service orders",
    params(CommandParameters), request_body = Assignment, responses((status = 200, body = CommandResult)))]
pub(crate) async fn assign_service_order(
    State(app): State<App>,
    order: Id<ServiceOrder>,
    request: CommandRequest<WriteOperations, Assignment>,
) -> Result<CommandResult, Problem> {
    let (order, vendor) = (order.get()?, request.body.vendor);
    let work = move |tx: Tx| async move {
        must_be_orderable(&tx, order, vendor).await?;
        Ok(tx.decide::<ServiceOrder>(order, &Command::Assign { vendor, now: tx.now() }).await?)
    };
    request.run::<ServiceOrder, _>(&app, order, work).await
}

/// Ask the same vendor again.
///
/// A new link is sent, and the former one becomes void. Needs `operations:write`.
#[utoipa::path(post, path = "/v1/organizations/{org}/service-orders/{service_order}/ask-again", tag = "service orders",
    params(CommandParameters), request_body = EmptyBody, responses((status = 200, body = CommandResult)))]
pub(crate) async fn ask_vendor_again(
    State(app): State<App>,
    order: Id<ServiceOrder>,
    request: CommandRequest<WriteOperations, EmptyBody>,
) -> Result<CommandResult, Problem> {
    let order = order.get()?;
    let work = move |tx: Tx| async move {
        let state = tx.read::<ServiceOrder>(order).await?;
        if let Some(vendor) = state.vendor().filter(|_| state.status().is_some_and(|status| !status.is_final())) {
            must_be_orderable(&tx, order, vendor).await?;
        }
        let ask = Command::AskAgain { request: state.requests() + 1, now: tx.now() };
        Ok(tx.decide::<ServiceOrder>(order, &ask).await?)
    };
    request.run::<ServiceOrder, _>(&app, order, work).await
}

/// Record that the service is being provided.
///
/// After the vendor has accepted. Needs `operations:write`.
#[utoipa::path(post, path = "/v1/organizations/{org}/service-orders/{service_order}/start", tag = "service orders",
    params(CommandParameters), request_body = EmptyBody, responses((status = 200, body = CommandResult)))]
pub(crate) async fn start_service_order(
    State(app): State<App>,
    order: Id<ServiceOrder>,
    request: CommandRequest<WriteOperations, EmptyBody>,
) -> Result<CommandResult, Problem> {
    request.change::<ServiceOrder>(&app, &order, Command::Start).await
}

/// Cancel a service order.
///
/// A vendor who was asked gets an email, and the link becomes void. Needs `operations:write`.
#[utoipa::path(post, path = "/v1/organizations/{org}/service-orders/{service_order}/cancel", tag = "service orders",
    params(CommandParameters), request_body = OrderCancellation, responses((status = 200, body = CommandResult)))]
pub(crate) async fn cancel_service_order(
    State(app): State<App>,
    order: Id<ServiceOrder>,
    request: CommandRequest<WriteOperations, OrderCancellation>,
) -> Result<CommandResult, Problem> {
    let cancel = Command::Cancel { remark: request.body.remark.clone(), with_port_call: false };
    request.change::<ServiceOrder>(&app, &order, cancel).await
}
