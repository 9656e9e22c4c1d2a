//! Reactors on every engine: what happened is reacted to once, by whichever node, also after failures and restarts; and
//! what is mailed to whom.

#![allow(clippy::disallowed_methods, reason = "tasks and threads end with their test")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod fake;
mod invoices;
mod jobs;
mod mail;
mod payments;
mod rendering;
mod renewals;
mod running;
mod sweeping;
mod timers;
mod transports;
mod usage;
