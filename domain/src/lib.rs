//! What may happen: aggregates, their events and their refusals.
//!
//! Pure: no IO, no async, no clock, no randomness. Time, new ids, hashes and looked-up facts come in as data.
//!
//! | room | what it owns |
//! |---|---|
//! | `identity` | organizations, users, sessions, API keys, mailboxes |
//! | `compliance` | refusals that callers met, readings of staff, exports |
//!
//! Beside the rooms stands what all of them use: [`Aggregate`] (the shape of a noun), [`Fact`] (all events in one type),
//! [`Meta`] (who did it), [`Personal`] (values that can be erased), the typed ids.

#![deny(clippy::wildcard_enum_match_arm)]

mod aggregate;
pub mod compliance;
mod fact;
mod id;
pub mod identity;
mod meta;
mod personal;
mod tally;
#[cfg(test)]
mod testing;
mod text;

pub use aggregate::{Aggregate, Guard, Kind, Refusal, Scope};
pub use fact::{Fact, Undecodable};
pub use id::{
    ApiKeyId, ExportId, InvalidId, JobId, MailboxId, OrganizationId, PersonId, ReadingId, RefusalId, SessionId, UserId,
    uuid_of,
};
pub use meta::{Actor, Impersonator, Meta};
pub use personal::{Personal, Sealing};
pub use tally::Tally;
pub use text::{InvalidText, PersonName, Reason};
