//! Who did what.
//!
//! | file | what it owns |
//! |---|---|
//! | `audit_log.rs` | what entries are found and sorted by |
//! | `description.rs` | an entry for people: a sentence and what has changed |
//! | `telling.rs` | what each event says; whoever adds an event says it there |

pub mod audit_log;
pub mod description;
mod telling;
