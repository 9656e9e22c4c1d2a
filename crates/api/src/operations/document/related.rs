//! What documents belong to: services, vessels and ports.

use std::collections::BTreeMap;

use porttask_domain::{
    OrganizationId,
    operations::{document::Subject, port_call::PortCallId, service_order::ServiceOrderId, vendor::Service},
};
use porttask_projections::{
    ColumnType,
    operations::{port_call, service_order},
};

use super::bodies::DocumentResponse;
use crate::{
    http::{app::App, problem::Problem},
    operations::related::rows,
};

/// Documents with the services, vessels and ports of what they belong to.
pub(super) async fn named(
    app: &App,
    organization: OrganizationId,
    items: Vec<DocumentResponse>,
) -> Result<Vec<DocumentResponse>, Problem> {
    let subjects = items.iter().filter_map(|item| item.subject);
    let (mut calls, mut orders) = (Vec::new(), Vec::new());
    for subject in subjects {
        match subject {
            Subject::PortCall(id) => calls.push(id.to_value()),
            Subject::ServiceOrder(id) => orders.push(id.to_value()),
        }
    }
    let orders = rows::<service_order::ServiceOrders>(app, organization, "service_order", orders).await?;
    calls.extend(orders.iter().map(|row| row.port_call.to_value()));
    let calls = rows::<port_call::PortCalls>(app, organization, "port_call", calls).await?;
    let calls: BTreeMap<PortCallId, port_call::PortCall> = calls.into_iter().map(|row| (row.port_call, row)).collect();
    let orders: BTreeMap<ServiceOrderId, (Service, PortCallId)> =
        orders.into_iter().map(|row| (row.service_order, (row.service, row.port_call))).collect();
    let named = |mut item: DocumentResponse| {
        let (service, call) = match item.subject {
            Some(Subject::PortCall(id)) => (None, Some(id)),
            Some(Subject::ServiceOrder(id)) => orders.get(&id).copied().unzip(),
            None => (None, None),
        };
        let call = call.and_then(|id| calls.get(&id));
        item.service = service;
        item.vessel = call.map(|row| row.vessel.clone());
        item.port_name = call.map(|row| row.port_name.clone());
        item
    };
    Ok(items.into_iter().map(named).collect())
}
