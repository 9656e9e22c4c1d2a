//! Support tickets: who can ask, their mails, and what becomes due for them.
//!
//! | module | what it owns |
//! |---|---|
//! | [`escalations`] | by when staff has to reply |
//! | [`mails`] | mails to whoever asks in a ticket, and to the super admins |
//! | [`requesters`] | to whom tickets can be handed over |
//! | [`timers`] | response targets that are missed |

pub mod escalations;
pub mod mails;
pub mod requesters;
pub mod timers;
