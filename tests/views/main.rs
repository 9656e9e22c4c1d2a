//! Read models at work, on every engine.

#![allow(clippy::disallowed_methods, reason = "tasks and threads end with their test")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod failure;
mod folding;
mod listing;
mod real_history;
mod rebuild;
mod work;
