//! What is kept for those who check what was done.
//!
//! | file | what it owns |
//! |---|---|
//! | `refusal.rs` | that a caller was refused something, how often |
//! | `reading.rs` | that staff read something in somebody's name, how often |
//! | `export.rs` | that the audit log was taken out of the platform |

pub mod export;
pub mod reading;
pub mod refusal;

pub use export::Export;
pub use reading::Readings;
pub use refusal::Refusals;
