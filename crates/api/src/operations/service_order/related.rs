//! Names of what service orders refer to: vessels, ports, vendors.

use std::collections::BTreeMap;

use porttask_domain::{
    OrganizationId,
    operations::{port_call::PortCallId, vendor::VendorId},
};
use porttask_projections::{
    ColumnType,
    operations::{port_call, vendor},
};

use super::bodies::ServiceOrderResponse;
use crate::{
    http::{app::App, problem::Problem},
    operations::related::rows,
};

/// Service orders with the names of their vessels, ports and vendors.
pub(super) async fn named(
    app: &App,
    organization: OrganizationId,
    items: Vec<ServiceOrderResponse>,
) -> Result<Vec<ServiceOrderResponse>, Problem> {
    let calls = items.iter().map(|item| item.port_call.to_value()).collect();
    let vendors = items.iter().filter_map(|item| item.vendor).map(|vendor| vendor.to_value()).collect();
    let calls = rows::<port_call::PortCalls>(app, organization, "port_call", calls).await?;
    let vendors = rows::<vendor::Vendors>(app, organization, "vendor", vendors).await?;
    let calls: BTreeMap<PortCallId, port_call::PortCall> = calls.into_iter().map(|row| (row.port_call, row)).collect();
    let vendors: BTreeMap<VendorId, String> = vendors.into_iter().map(|row| (row.vendor, row.name)).collect();
    let named = |mut item: ServiceOrderResponse| {
        let call = calls.get(&item.port_call);
        item.vendor_name = item.vendor.and_then(|vendor| vendors.get(&vendor).cloned());
        item.vessel = call.map(|row| row.vessel.clone());
        item.port_name = call.map(|row| row.port_name.clone());
        item.time_zone = call.map(|row| row.time_zone.clone());
        item.agent = call.map(|row| row.agent);
        item
    };
    Ok(items.into_iter().map(named).collect())
}
