//! What can be seen: read models as folds over events.
//!
//! Pure: no IO, no async, no SQL. A read model is a row, its keys, and one function from a row and an event to what
//! becomes of the row. Its table is defined by the row, once for all engines.
//!
//! | room | what it owns |
//! |---|---|
//! | `identity` | organizations, users, sessions, API keys |
//! | `compliance` | the audit log |

#![deny(clippy::wildcard_enum_match_arm)]

pub mod compliance;
pub mod identity;
mod model;
mod recorded;
mod table;
mod text;
mod words;

pub use model::{Change, Key, Model, NotARow, ReadModel, Values, model};
pub use recorded::Recorded;
pub use table::{Column, ColumnType, Index, Kind, Row, Table, Value};
pub use text::folded;

/// All read models.
pub fn models() -> Vec<Box<dyn Model>> {
    vec![
        model::<identity::organization::Organizations>(),
        model::<identity::user::Users>(),
        model::<identity::session::Sessions>(),
        model::<identity::api_key::ApiKeys>(),
        model::<compliance::audit_log::AuditLog>(),
    ]
}
