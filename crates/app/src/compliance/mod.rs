//! What is kept for those who check what was done.
//!
//! | module | what it owns |
//! |---|---|
//! | [`audit_log`] | what happened, for people |
//! | [`denial_log`] | requests that were denied, and what staff read, by the hour |

pub mod audit_log;
pub mod denial_log;
