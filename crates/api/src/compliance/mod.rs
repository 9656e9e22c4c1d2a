//! What is there for those who check what was done.
//!
//! | file | what it owns |
//! |---|---|
//! | `audit_log.rs` | entries: listed and shown |
//! | `export.rs` | entries: taken out as CSV and JSON |
//! | `device.rs` | what a user agent says about a device |

pub(crate) mod audit_log;
pub(crate) mod device;
pub(crate) mod export;
