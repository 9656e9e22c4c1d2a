//! Operational records: what organizations do on PortTask.
//!
//! | file | what it owns |
//! |---|---|
//! | `document.rs` | files |
//! | `vendor.rs` | companies whose services an organization orders |

pub mod document;
pub mod vendor;

pub use document::Document;
pub use vendor::Vendor;
