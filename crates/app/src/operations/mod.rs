//! Port calls: what they take from other aggregates, and their import.
//!
//! | module | what it owns |
//! |---|---|
//! | [`port_calls`] | who can be responsible, and the month in which a port call counts |
//! | [`port_call_import`] | from a file to lines of port calls |

pub mod port_call_import;
pub mod port_calls;
