//! Long work that somebody ordered.
//!
//! | file | what it owns |
//! |---|---|
//! | `course.rs` | how far the work has come, and whether it is to stop |

mod course;

pub use self::course::{Counts, Course};
