//! What is kept for those who check what was done.
//!
//! | file | what it owns |
//! |---|---|
//! | `denial.rs` | requests that were denied, how often |
//! | `staff_access.rs` | what staff read while they acted as a user, how often |
//! | `export.rs` | exports of the audit log |

pub mod denial;
pub mod export;
pub mod staff_access;

pub use denial::Denials;
pub use export::Export;
pub use staff_access::StaffAccess;
