//! The runtime between the rules and the machinery: it owns the ports that `infra` implements.
//!
//! So far that is one port, the event log: [`log::EventLog`].

pub mod log;
