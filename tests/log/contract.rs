//! What `porttask_app::log` promises, as tests that run on every engine.

mod append;
mod follow;
mod foundings;
mod guards;
mod nodes;
mod once;
mod partitions;
mod person_keys;
mod read;
