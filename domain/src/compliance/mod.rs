//! What is recorded for compliance.
//!
//! | file | what it owns |
//! |---|---|
//! | `denial.rs` | denied requests and their number |
//! | `staff_access.rs` | what staff read while impersonating a user, and how often |
//! | `export.rs` | exports of the audit log and of listings |

pub mod denial;
pub mod export;
pub mod staff_access;

pub use denial::Denials;
pub use export::Export;
pub use staff_access::StaffAccess;
