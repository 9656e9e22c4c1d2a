//! The service over HTTP, as a running process, on both engines.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod api_keys;
mod attacks;
mod attempts;
mod audit_log;
mod connections;
mod docs;
mod document;
mod identity;
mod impersonation;
mod import;
mod limits;
mod mail;
mod me;
mod metrics;
mod passwords;
mod requests;
mod service;
mod sessions;
mod strangers;
mod super_admins;
