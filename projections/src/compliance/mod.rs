//! Read models and descriptions for compliance.
//!
//! | file | what it owns |
//! |---|---|
//! | `audit_log.rs` | the index of the audit log: filters and order |
//! | `platform_audit_log.rs` | the index of the platform's audit trail |
//! | `description.rs` | human-readable entries: a sentence, and the changed fields |
//! | `denial.rs`, `staff_access.rs`, `export.rs` | the descriptions of their events |

pub mod audit_log;
mod denial;
pub mod description;
mod export;
pub mod platform_audit_log;
mod staff_access;

use crate::{Model, model};

/// The read models of the module.
pub(crate) fn models() -> Vec<Box<dyn Model>> {
    vec![model::<audit_log::AuditLog>(), model::<platform_audit_log::PlatformAuditLog>()]
}
