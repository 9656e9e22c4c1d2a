//! The way of a command on every engine: rules, constraints, memory, personal data.

#![allow(clippy::disallowed_methods, reason = "tasks and threads end with their test")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod access;
mod constraints;
mod import;
mod licences;
mod memory;
mod personal;
mod requests;
mod units;
mod vat_ids;
