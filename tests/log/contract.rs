//! What `porttask_runtime::log` promises, as tests that run on every engine.

mod append;
mod follow;
mod foundings;
mod guards;
mod jobs;
mod ledger;
mod nodes;
mod once;
mod partitions;
mod read;
mod tasks;
mod uses;
