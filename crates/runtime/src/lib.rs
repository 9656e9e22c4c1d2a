//! The event-sourcing kernel: commands, read models, reactors and jobs. It is independent of the domain's aggregates;
//! `infra` implements its ports.
//!
//! | module | what it owns |
//! |---|---|
//! | [`log`] | the port of the event log |
//! | [`clock`] | the only source of the current time |
//! | [`ledger`] | the port of durable state that is not derived from events |
//! | [`tasks`] | the port of reactor tasks and cursors |
//! | [`lease`] | temporary ownership of tasks and jobs |
//! | [`nodes`] | the port of the registry of nodes |
//! | [`credential_activity`] | the port of when sessions and API keys were last used |
//! | [`attempts`] | the port of counts of failed attempts that all nodes share |
//! | [`simulated_payments`] | the port of the books of the payment simulator |
//! | [`usage_counts`] | the port of counts of requests with API keys that all nodes share |
//! | [`ports`] | the ports of external systems: email |
//! | [`execute`] | command execution: load, decide, append |
//! | [`views`] | running read models: tables folded from the log |
//! | [`reactors`] | side effects triggered by events |
//! | [`timers`] | what becomes due, carried out at its time |
//! | [`jobs`] | long-running work that was requested |
//! | [`constraints`] | uniqueness constraints and counters, verified against the events |
//! | [`supervise`] | what outlives a request: restarted, watched, reported |
//! | [`vault`] | keys: encryption of personal values, keyed hashes of names |

pub mod attempts;
pub mod clock;
pub mod constraints;
pub mod credential_activity;
pub mod execute;
pub mod jobs;
pub mod lease;
pub mod ledger;
pub mod log;
pub mod nodes;
pub mod ports;
pub mod reactors;
pub mod simulated_payments;
pub mod supervise;
pub mod tasks;
pub mod timers;
pub mod usage_counts;
pub mod vault;
pub mod views;

use hmac::{Hmac, Mac};
use sha2::Sha256;
use uuid::Uuid;

/// A new id, ordered by time (UUIDv7).
pub fn new_id<T: From<Uuid>>() -> T {
    Uuid::now_v7().into()
}

/// An id derived deterministically from a keyed hash.
pub fn id_made_by<T: From<Uuid>>(hash: Hmac<Sha256>) -> T {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.finalize().into_bytes()[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid().into()
}
