//! Operations on the service itself.
//!
//! | file | what it owns |
//! |---|---|
//! | `task.rs` | retries of dead-lettered tasks |

pub mod task;

pub use task::Task;
