//! Authentication and accounts: callers, sign-in, invitations, imports.
//!
//! | module | what it owns |
//! |---|---|
//! | [`account_reminders`] | mails that list the accounts with an email address |
//! | `caller` | who calls: a user with a session, or a program with an API key |
//! | [`access`] | from a token to the caller's current permissions |
//! | [`accounts`] | lookup of accounts by email address |
//! | [`credential_activity`] | when and from where sessions and keys were last used |
//! | [`attempts`] | rate limits on sign-in attempts |
//! | `devices` | tokens by which devices that have signed in before are recognized |
//! | [`import`] | import of users from a file |
//! | [`invitations`] | limits on invitations: how many per day, and their lifetime |
//! | [`links`] | signed links: setup, invitations, password resets, address changes |
//! | [`locks`] | recording that accounts are locked after too many failed attempts |
//! | [`mails`] | mails to users |
//! | [`organizations`] | lookup of organizations and users, and the status check |
//! | [`password_resets`] | links for forgotten passwords |
//! | [`passwords`] | password hashing, with bounded concurrency |
//! | [`setup`] | the platform's organization and its first super admin |
//! | [`sign_in`] | from an email address and a password to a session |
//! | [`staff`] | staff numbers: pseudonyms of the platform's staff |

pub mod access;
pub mod account_reminders;
pub mod accounts;
pub mod attempts;
mod caller;
pub mod credential_activity;
mod devices;
pub mod import;
pub mod invitations;
pub mod links;
pub mod locks;
pub mod mails;
pub mod organizations;
pub mod password_resets;
pub mod passwords;
pub mod setup;
pub mod sign_in;
pub mod staff;
pub mod timers;
