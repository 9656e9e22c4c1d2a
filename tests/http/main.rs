//! The service over HTTP, as a running process, on both engines.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod document;
mod identity;
mod requests;
mod service;
