//! The tables of the read models, on both engines.
//!
//! | file | what it owns |
//! |---|---|
//! | `sql.rs` | statements from a table's definition, for both dialects |
//! | `sqlite.rs` | a file of its own beside the embedded log |
//! | `postgres.rs` | the schema `views` of the log's database |

pub mod postgres;
mod sql;
pub mod sqlite;
