//! The web console by plain HTTP, as a browser without scripts uses it, on both engines.
//!
//! Every page that a test is sent is checked by `structure`.

#![allow(clippy::disallowed_methods, reason = "tasks and threads end with their test")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../service/mailbox.rs"]
#[allow(dead_code, reason = "shared with the tests of the API")]
mod mailbox;
#[path = "../service/openapi.rs"]
#[allow(dead_code, reason = "shared with the tests of the API")]
mod openapi;
#[path = "../service/service.rs"]
#[allow(dead_code, reason = "shared with the tests of the API")]
mod service;
#[path = "../service/shared.rs"]
#[allow(dead_code, reason = "shared with the tests of the API")]
mod shared;

mod billing;
mod billing_staff;
mod browser;
mod document;
mod people;
mod structure;

mod access;
mod contract;
mod crawl;
mod documents;
mod first_start;
mod keys;
mod links;
mod port_calls;
mod requests;
mod service_orders;
mod sessions;
mod tickets;
mod users;
