//! Operational records: what organizations do on PortTask.
//!
//! | file | what it owns |
//! |---|---|
//! | `vendor.rs` | companies whose services an organization orders |

pub mod vendor;

pub use vendor::Vendor;
