//! Port calls and service orders: what they take from other aggregates, imports, and mails. Documents: what they belong to,
//! what becomes due, and what is left of their contents.
//!
//! | module | what it owns |
//! |---|---|
//! | [`port_calls`] | who can be responsible, and the month in which a port call counts |
//! | [`port_call_import`] | from a file to lines of port calls |
//! | [`documents`] | what documents belong to |
//! | [`service_orders`] | which vendors can be asked |
//! | [`mails`] | mails to vendors, and about their answers |
//! | [`sweeper`] | deletes contents that no document refers to |
//! | [`timers`] | uploads that were not finished in time |

pub mod documents;
pub mod mails;
pub mod port_call_import;
pub mod port_calls;
pub mod service_orders;
pub mod sweeper;
pub mod timers;
