//! The vendors of an organization.

mod bodies;
mod exported;

use axum::{extract::State, response::Response};
use porttask_domain::operations::{Vendor, vendor::Command};
use porttask_projections::{ColumnType, operations::vendor as view};
use porttask_runtime::views::Condition;
use utoipa_axum::{router::OpenApiRouter, routes};

use self::bodies::{NewVendor, VendorFilter, VendorPage, VendorPatch, VendorResponse};
use crate::http::{
    app::App,
    changes::Undo,
    document::tagged,
    listing::Sort,
    permissions::{Impersonable, ReadVendors, WriteVendors},
    problem::Problem,
    request::{Authorized, CommandParameters, CommandRequest, EmptyBody, Id, List, ListParameters, Listed, Resource},
    response::{CommandResult, place_of},
};

/// The routes of vendors.
pub(super) fn routes() -> OpenApiRouter<App> {
    tagged("vendors", "Companies whose services an organization orders.")
        .routes(routes!(create_vendor, list_vendors))
        .routes(routes!(get_vendor, change_vendor))
        .routes(routes!(archive_vendor))
        .routes(routes!(restore_vendor))
}

impl Listed for view::Vendors {
    type Item = VendorResponse;
    type Filter = VendorFilter;
    const SORTS: &'static [Sort] =
        &[("name", &["normalized_name", "vendor"]), ("created_at", &["created_at", "vendor"])];

    fn conditions(filter: VendorFilter) -> Result<Vec<Condition>, Problem> {
        let VendorFilter { status, service, format: _ } = filter;
        let conditions = [
            status.map(|status| Condition::Equal("status", status.to_value())),
            service.map(|service| Condition::HasWord("services", service.to_value())),
        ];
        Ok(conditions.into_iter().flatten().collect())
    }
}

/// Create a vendor.
///
/// Needs `vendors:write`.
#[utoipa::path(post, path = "/v1/organizations/{org}/vendors", tag = "vendors", params(CommandParameters),
    request_body = NewVendor, responses((status = 201, body = CommandResult)))]
pub(crate) async fn create_vendor(
    State(app): State<App>,
    request: CommandRequest<WriteVendors, NewVendor>,
) -> Result<Response, Problem> {
    let vendor = request.new_id(&app);
    request.create::<Vendor>(&app, vendor, request.body.command(vendor)).await
}

/// List vendors.
///
/// Needs `vendors:read`.
#[utoipa::path(get, path = "/v1/organizations/{org}/vendors", tag = "vendors",
    extensions(("x-impersonable" = json!(true))), params(ListParameters<view::Vendors>),
    responses((status = 200, description = "The vendors", content(
        (VendorPage = "application/json"), (String = "text/csv")))))]
pub(crate) async fn list_vendors(
    State(app): State<App>,
    vendors: List<Impersonable<ReadVendors>, view::Vendors>,
) -> Result<Response, Problem> {
    vendors.answer(&app).await
}

/// Get a vendor.
///
/// Needs `vendors:read`.
#[utoipa::path(get, path = "/v1/organizations/{org}/vendors/{vendor}", tag = "vendors",
    extensions(("x-impersonable" = json!(true))), responses((status = 200, body = VendorResponse)))]
pub(crate) async fn get_vendor(
    State(app): State<App>,
    caller: Authorized<Impersonable<ReadVendors>>,
    vendor: Id<Vendor>,
) -> Result<Resource<VendorResponse>, Problem> {
    caller.get::<view::Vendors>(&app, &[vendor.get()?.to_value()], Id::<Vendor>::not_found).await
}

/// Change a vendor's name, services, contacts and order email.
///
/// Needs `vendors:write`.
#[utoipa::path(patch, path = "/v1/organizations/{org}/vendors/{vendor}", tag = "vendors", params(CommandParameters),
    request_body(content = VendorPatch, content_type = "application/merge-patch+json"),
    responses((status = 200, body = CommandResult)))]
pub(crate) async fn change_vendor(
    State(app): State<App>,
    vendor: Id<Vendor>,
    request: CommandRequest<WriteVendors, VendorPatch>,
) -> Result<CommandResult, Problem> {
    let vendor = vendor.get()?;
    request.change_all::<Vendor>(&app, vendor, &request.body.commands(vendor)).await
}

/// Archive a vendor.
///
/// It stays readable and cannot be changed until it is restored. Needs `vendors:write`.
#[utoipa::path(post, path = "/v1/organizations/{org}/vendors/{vendor}/archive", tag = "vendors",
    params(CommandParameters), request_body = EmptyBody, responses((status = 200, body = CommandResult)))]
pub(crate) async fn archive_vendor(
    State(app): State<App>,
    vendor: Id<Vendor>,
    request: CommandRequest<WriteVendors, EmptyBody>,
) -> Result<CommandResult, Problem> {
    let place = place_of(request.caller.organization);
    let result = request.change::<Vendor>(&app, &vendor, Command::Archive).await?;
    Ok(result.undone_by(|vendor| Undo::post(format!("{place}/vendors/{vendor}/restore"))))
}

/// Restore a vendor from the archive.
///
/// Needs `vendors:write`.
#[utoipa::path(post, path = "/v1/organizations/{org}/vendors/{vendor}/restore", tag = "vendors",
    params(CommandParameters), request_body = EmptyBody, responses((status = 200, body = CommandResult)))]
pub(crate) async fn restore_vendor(
    State(app): State<App>,
    vendor: Id<Vendor>,
    request: CommandRequest<WriteVendors, EmptyBody>,
) -> Result<CommandResult, Problem> {
    let place = place_of(request.caller.organization);
    let result = request.change::<Vendor>(&app, &vendor, Command::Restore).await?;
    Ok(result.undone_by(|vendor| Undo::post(format!("{place}/vendors/{vendor}/archive"))))
}
