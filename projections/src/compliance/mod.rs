//! Who did what.

pub mod audit_log;
