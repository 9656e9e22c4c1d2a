//! Use cases that span several aggregates, and mails. The infrastructure is in `runtime`.
//!
//! | module | what it owns |
//! |---|---|
//! | [`identity`] | callers, sign-in, passwords, links, imports, the first super admin |
//! | [`billing`] | plans and subscriptions; requests with API keys: metered and limited; mails |
//! | [`compliance`] | the audit log, and the log of denied requests |
//! | [`operations`] | port calls and service orders: who is responsible, the month in which they count, imports, mails; documents: uploads |
//! | | that expire, contents that are left |
//! | [`support`] | mails about tickets, and their response targets |
//! | [`positions`] | positions as callers see them |
//! | [`mail`] | mails: who receives which, and why |
//! | [`sheet`] | CSV files as spreadsheets write them |

pub mod billing;
pub mod compliance;
pub mod identity;
pub mod mail;
pub mod operations;
pub mod positions;
pub mod sheet;
pub mod support;
