//! The way of a command on every engine: rules, guards, memory, personal data.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod access;
mod guards;
mod import;
mod memory;
mod personal;
mod requests;
