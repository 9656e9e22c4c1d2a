//! The runtime between the rules and the machinery: it owns the ports that `infra` implements.
//!
//! | module | what it owns |
//! |---|---|
//! | [`log`] | the port of the event log |
//! | [`ledger`] | the port of what does not follow from events |
//! | [`tasks`] | the port of what is left to be carried out because of events |
//! | [`execute`] | the way of a command: load, decide, append |
//! | [`views`] | read models at work: tables that are folds of the log |
//! | [`access`] | who calls: from a token to rights that hold now |
//! | [`audit_log`] | what happened, for people |
//! | [`refusals`] | what callers were refused, by the hour |
//! | [`passwords`] | hashes of passwords, and the work that an attempt costs |
//! | [`password_resets`] | links for people who have lost their passwords |
//! | [`accounts`] | which accounts are meant by an address |
//! | [`attempts`] | how often somebody may try to sign in |
//! | [`staff`] | by which number organizations see the platform's staff |
//! | [`sign_in`] | from an address and a password to a session |
//! | [`organizations`] | which organization is meant |
//! | [`import`] | users from a file |
//! | [`invitations`] | how many people are invited, and how long they have to come |
//! | [`jobs`] | long work that somebody ordered |
//! | [`reactors`] | tasks at work: what is done beyond the log because of events |
//! | [`mail`] | what is mailed to whom, and why |
//! | [`mailboxes`] | telling people which accounts they have |
//! | [`setup`] | the platform's organization and its first super admin |
//! | [`links`] | links that prove something: an invitation, the first sign-in |
//! | [`guards`] | names and counts, checked against the events |
//! | [`uses`] | when and from where sessions and keys were last used |
//! | [`vault`] | keys: sealing and opening personal values, keyed hashes of names |

pub mod access;
pub mod accounts;
pub mod attempts;
pub mod audit_log;
pub mod execute;
pub mod guards;
pub mod import;
pub mod invitations;
pub mod jobs;
pub mod ledger;
pub mod links;
pub mod log;
pub mod mail;
pub mod mailboxes;
pub mod organizations;
pub mod password_resets;
pub mod passwords;
pub mod reactors;
pub mod refusals;
pub mod setup;
pub mod sign_in;
pub mod staff;
pub mod tasks;
pub mod uses;
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
