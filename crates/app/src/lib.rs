//! Use cases that need more than one aggregate, and mails. What they run on is `runtime`'s.
//!
//! | module | what it owns |
//! |---|---|
//! | [`identity`] | callers, sign-in, passwords, links, imports, the first super admin |
//! | [`compliance`] | the audit log, and the log of denied requests |
//! | [`mail`] | what is mailed to whom, and why |

pub mod compliance;
pub mod identity;
pub mod mail;
