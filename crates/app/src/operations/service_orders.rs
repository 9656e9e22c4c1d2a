//! What service orders take from other aggregates.

use jiff::tz::TimeZone;
use porttask_domain::operations::{
    PortCall, Remark, ServiceOrder, Vendor,
    port::Port,
    port_call::PortCallId,
    service_order::{Command, ServiceOrderId},
    vendor::{NotOrderable, Service, VendorId},
};
use porttask_runtime::execute::{ExecuteError, Tx};

/// The time zone of a port call's port; `None` if there is no such port call.
///
/// # Errors
/// If the port call cannot be read.
pub async fn port_zone(tx: &Tx, port_call: PortCallId) -> Result<Option<TimeZone>, ExecuteError> {
    Ok(tx.read::<PortCall>(port_call).await?.port().map(Port::zone))
}

/// Whether a vendor can be asked to provide a service.
///
/// # Errors
/// If the vendor cannot be read.
pub async fn check_vendor(
    tx: &Tx,
    vendor: VendorId,
    service: Service,
) -> Result<Result<(), NotOrderable>, ExecuteError> {
    Ok(tx.read::<Vendor>(vendor).await?.can_provide(service))
}

/// Cancels the open service orders of a port call that is canceled or deleted; returns which.
///
/// # Errors
/// If an order cannot be read.
pub async fn cancel_orders(
    tx: &Tx,
    port_call: PortCallId,
    remark: Option<&Remark>,
) -> Result<Vec<ServiceOrderId>, ExecuteError> {
    let mut canceled = Vec::new();
    for order in tx.read::<PortCall>(port_call).await?.orders() {
        let state = tx.read::<ServiceOrder>(*order).await?;
        if state.status().is_some_and(|status| !status.is_final()) {
            let cancel = Command::Cancel { remark: remark.cloned(), with_port_call: true };
            tx.decide::<ServiceOrder>(*order, &cancel).await?;
            canceled.push(*order);
        }
    }
    Ok(canceled)
}
