//! The way of a command on every engine: rules, constraints, memory, personal data.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod access;
mod constraints;
mod import;
mod memory;
mod personal;
mod requests;
mod units;
