//! Operational records: what organizations do on PortTask.
//!
//! | file | what it owns |
//! |---|---|
//! | `document.rs` | files |
//! | `port.rs` | ports: the UN/LOCODE list, and others that are named by a request |
//! | `port_call.rs` | calls of vessels at ports |
//! | `price.rs` | prices |
//! | `remark.rs` | remarks |
//! | `service_order.rs` | services that vendors are asked to provide |
//! | `vendor.rs` | companies whose services an organization orders |
//! | `vessel.rs` | names and IMO numbers of vessels, voyage numbers |

pub mod document;
pub mod port;
pub mod port_call;
pub mod price;
mod remark;
pub mod service_order;
pub mod vendor;
pub mod vessel;

pub use document::Document;
pub use port_call::PortCall;
pub use remark::Remark;
pub use service_order::ServiceOrder;
pub use vendor::Vendor;
