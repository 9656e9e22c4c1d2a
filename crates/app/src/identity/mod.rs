//! Who calls, and how people get in.
//!
//! | module | what it owns |
//! |---|---|
//! | [`account_reminders`] | mails that list the accounts with an email address |
//! | [`access`] | from a token to permissions that hold now |
//! | [`accounts`] | which accounts an email address means |
//! | [`credential_activity`] | when and from where sessions and keys were last used |
//! | [`attempts`] | how often somebody may try to sign in |
//! | [`import`] | users from a file |
//! | [`invitations`] | how many people are invited, and how long an invitation lasts |
//! | [`links`] | links that prove something: an invitation, the first sign-in |
//! | [`mails`] | what is mailed to users |
//! | [`organizations`] | which organization is meant |
//! | [`password_resets`] | links for people who have lost their passwords |
//! | [`passwords`] | hashes of passwords, and the work that an attempt costs |
//! | [`setup`] | the platform's organization and its first super admin |
//! | [`sign_in`] | from an email address and a password to a session |
//! | [`staff`] | by which number organizations see the platform's staff |

pub mod access;
pub mod account_reminders;
pub mod accounts;
pub mod attempts;
pub mod credential_activity;
pub mod import;
pub mod invitations;
pub mod links;
pub mod mails;
pub mod organizations;
pub mod password_resets;
pub mod passwords;
pub mod setup;
pub mod sign_in;
pub mod staff;
