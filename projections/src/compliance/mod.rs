//! What is there for those who check what was done.
//!
//! | file | what it owns |
//! |---|---|
//! | `audit_log.rs` | what entries are found and sorted by |
//! | `description.rs` | an entry for people: a sentence, and the fields that changed |
//! | `denial.rs`, `staff_access.rs`, `export.rs` | what their events say |

pub mod audit_log;
mod denial;
pub mod description;
mod export;
mod staff_access;

use crate::{Model, model};

/// The read models of the module.
pub(crate) fn models() -> Vec<Box<dyn Model>> {
    vec![model::<audit_log::AuditLog>()]
}
