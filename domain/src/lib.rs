//! Domain rules: aggregates, their events and their rejections.
//!
//! Pure: no IO, no async, no clock, no randomness. Time, new ids, hashes and looked-up facts are passed in as data.
//!
//! | module | what it owns |
//! |---|---|
//! | `identity` | organizations, users, sessions, API keys |
//! | `compliance` | denied requests, staff access, exports |
//! | `operations` | what organizations do on PortTask |
//! | `support` | tickets |
//! | `platform` | operations on the service itself |
//!
//! Shared by all modules: [`merge_patch`] (members of patches), [`Aggregate`] (the shape of an aggregate), [`DomainEvent`] (all events
//! in one type), [`Meta`] (who acted, and how), [`Personal`] (values that can be erased), typed ids, [`TextEnum`]
//! (enumerations represented as strings).

#![deny(clippy::wildcard_enum_match_arm)]

mod aggregate;
pub mod billing;
pub mod compliance;
#[doc(hidden)]
pub mod id;
pub mod identity;
pub mod merge_patch;
mod meta;
pub mod operations;
mod personal;
pub mod platform;
mod registry;
pub mod support;
#[cfg(test)]
mod testing;
mod text;
mod texts;

pub use aggregate::{Aggregate, Constraint, Kind, Rejection, Scope, Violation};
pub use id::{
    AccountReminderId, ApiKeyId, DenialId, ExportId, FailedSignInsId, InvalidId, JobId, OrganizationId, PersonId,
    SessionId, StaffAccessId, TaskId, UserId, UserImportId, uuid_of,
};
pub use identity::Capability;
pub use meta::{Actor, Impersonator, MAX_REQUEST_ID, Meta, is_request_id};
pub use personal::{Personal, Sealing};
pub use registry::{ConstraintReplay, DomainEvent, Registered, Source, Undecodable, category_of, id_prefix};
pub use text::{InvalidText, PersonName, Reason};
pub use texts::TextEnum;
