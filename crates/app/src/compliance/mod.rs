//! The audit log and the recording of denied requests.
//!
//! | module | what it owns |
//! |---|---|
//! | [`audit_log`] | human-readable audit log entries |
//! | [`denial_log`] | denied requests, and what staff read, by the hour |

pub mod audit_log;
pub mod denial_log;
