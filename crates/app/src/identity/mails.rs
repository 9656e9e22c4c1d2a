//! The mails of the module: invitations, links and notices for users, and account reminders.
//!
//! | file | what it owns |
//! |---|---|
//! | `user.rs` | mails to a user about the account |
//! | `reminder.rs` | a mail that lists the accounts with an email address |
//! | `message.rs` | what a mail says, independent of language |
//! | `texts.rs`, `english.rs` | its text |

mod english;
mod message;
mod reminder;
mod texts;
mod user;

use std::sync::Arc;

use porttask_runtime::{execute::Executor, ledger::Database, vault::Vault};

use self::{reminder::ReminderMails, user::UserMails};
use super::{accounts::Accounts, links::Links};
use crate::mail::{AnyMails, boxed};

/// The name shown where no organization is concerned.
const PLATFORM_NAME: &str = "PortTask";

/// All mails of the module.
pub fn mails(
    database: Arc<dyn Database>,
    vault: Arc<Vault>,
    executor: Arc<Executor>,
    links: Links,
    accounts: Accounts,
) -> Vec<Box<dyn AnyMails>> {
    vec![
        boxed(ReminderMails { executor: Arc::clone(&executor), accounts: accounts.clone() }),
        boxed(UserMails { database, vault, executor, links, accounts }),
    ]
}
