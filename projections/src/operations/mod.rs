//! Operational records.

pub mod document;
pub mod port_call;
pub mod service_order;
pub mod vendor;

use crate::{Model, model};

/// The read models of the module.
pub(crate) fn models() -> Vec<Box<dyn Model>> {
    vec![
        model::<document::Documents>(),
        model::<port_call::PortCalls>(),
        model::<service_order::ServiceOrders>(),
        model::<vendor::Vendors>(),
    ]
}
