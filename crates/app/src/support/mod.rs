//! Support tickets: their mails, and what becomes due for them.
//!
//! | module | what it owns |
//! |---|---|
//! | [`mails`] | mails to whoever opened a ticket, and to the super admins |
//! | [`timers`] | response targets that are missed |

pub mod mails;
pub mod timers;
