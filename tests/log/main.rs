//! The event log on every engine: its contract, and what happens to it in races, crashes and failures.

#![allow(clippy::disallowed_methods, reason = "tasks and threads end with their test")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod blocked;
mod contract;
mod crash;
mod failure;
mod model;
mod page_cache;
mod race;
mod two_partitions;
mod vectors;
