//! Read models as folds over events, and descriptions of events for the audit log.
//!
//! Pure: no IO, no async, no SQL. A read model is a row, its keys, and one function from a row and an event to a
//! change of the row. The row type defines its table, once for all engines.
//!
//! | module | what it owns |
//! |---|---|
//! | `billing` | plans, subscriptions, discounts, usage |
//! | `identity` | organizations, users, sessions, API keys |
//! | `compliance` | the audit log |
//! | `operations` | what organizations do on PortTask |
//! | `support` | tickets |
//! | `platform` | timers, tasks |

#![deny(clippy::wildcard_enum_match_arm)]

mod audit_text;
pub mod billing;
pub mod compliance;
pub mod identity;
mod model;
pub mod operations;
pub mod platform;
mod recorded;
pub mod support;
mod table;
mod text;

pub use model::{Change, EventOf, Key, Model, NotARow, ReadModel, Values, model};
pub use recorded::{Recorded, Times};
pub use table::{Column, ColumnType, Index, Kind, Row, Table, Value};
pub use text::normalized;

/// All read models.
pub fn models() -> Vec<Box<dyn Model>> {
    let modules = [
        identity::models(),
        compliance::models(),
        operations::models(),
        support::models(),
        billing::models(),
        platform::models(),
    ];
    modules.into_iter().flatten().collect()
}
