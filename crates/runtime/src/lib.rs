//! The event-sourcing kernel: what commands, read models, reactors and jobs run on. It knows no noun; `infra` implements
//! its ports.
//!
//! | module | what it owns |
//! |---|---|
//! | [`log`] | the port of the event log |
//! | [`ledger`] | the port of durable state that does not follow from events |
//! | [`tasks`] | the port of what is left to be done because of events |
//! | [`credential_activity`] | the port of when sessions and keys were last used |
//! | [`ports`] | the ports of the outside world: mail |
//! | [`execute`] | command execution: load, decide, append |
//! | [`views`] | read models at work: tables that are folds of the log |
//! | [`reactors`] | what is done beyond the log because of events |
//! | [`jobs`] | long work that was requested |
//! | [`constraints`] | unique names and bounded counters, verified against the events |
//! | [`vault`] | keys: sealing and opening personal values, keyed hashes of names |

pub mod constraints;
pub mod credential_activity;
pub mod execute;
pub mod jobs;
pub mod ledger;
pub mod log;
pub mod ports;
pub mod reactors;
pub mod tasks;
pub mod vault;
pub mod views;

use hmac::{Hmac, Mac};
use sha2::Sha256;
use uuid::Uuid;

/// A new id, ordered by time (UUIDv7).
pub fn new_id<T: From<Uuid>>() -> T {
    Uuid::now_v7().into()
}

/// The id that a keyed hash makes: of the same things always the same.
pub fn id_made_by<T: From<Uuid>>(hash: Hmac<Sha256>) -> T {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.finalize().into_bytes()[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid().into()
}
