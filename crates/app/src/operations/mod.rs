//! Port calls: what they take from other aggregates, and their import. Documents: what becomes due, and what is left of
//! their contents.
//!
//! | module | what it owns |
//! |---|---|
//! | [`port_calls`] | who can be responsible, and the month in which a port call counts |
//! | [`port_call_import`] | from a file to lines of port calls |
//! | [`sweeper`] | deletes contents that no document refers to |
//! | [`timers`] | uploads that were not finished in time |

pub mod port_call_import;
pub mod port_calls;
pub mod sweeper;
pub mod timers;
