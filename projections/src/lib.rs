//! What can be seen: read models as folds over events, and what events say in the audit log.
//!
//! Pure: no IO, no async, no SQL. A read model is a row, its keys, and one function from a row and an event to what
//! becomes of the row. Its table is defined by the row, once for all engines.
//!
//! | module | what it owns |
//! |---|---|
//! | `identity` | organizations, users, sessions, API keys |
//! | `compliance` | the audit log |

#![deny(clippy::wildcard_enum_match_arm)]

mod audit_text;
pub mod compliance;
pub mod identity;
mod model;
mod recorded;
mod table;
mod text;

pub use model::{Change, EventOf, Key, Model, NotARow, ReadModel, Values, model};
pub use recorded::Recorded;
pub use table::{Column, ColumnType, Index, Kind, Row, Table, Value};
pub use text::normalized;

/// All read models.
pub fn models() -> Vec<Box<dyn Model>> {
    [identity::models(), compliance::models()].into_iter().flatten().collect()
}
