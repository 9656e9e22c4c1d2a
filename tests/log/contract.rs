//! What `porttask_runtime::log` promises, as tests that run on every engine.

mod append;
mod attempts;
mod clock;
mod constraints;
mod creations;
mod credential_activity;
mod follow;
mod idempotency;
mod jobs;
mod ledger;
mod nodes;
mod partitions;
mod read;
mod registry;
mod tasks;
mod usage_counts;
