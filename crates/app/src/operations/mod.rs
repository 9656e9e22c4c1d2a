//! Operational records: what becomes due for documents, and what is left of their contents.
//!
//! | module | what it owns |
//! |---|---|
//! | [`sweeper`] | deletes contents that no document refers to |
//! | [`timers`] | uploads that were not finished in time |

pub mod sweeper;
pub mod timers;
