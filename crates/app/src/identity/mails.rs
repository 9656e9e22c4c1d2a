//! The mails of the module: invitations, links and notices for users, and account reminders.
//!
//! | file | what it owns |
//! |---|---|
//! | `user.rs` | mails to a user about the account |
//! | `reminder.rs` | a mail that lists the accounts with an email address |
//! | `texts.rs`, `english.rs` | their texts |

mod english;
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
        boxed(ReminderMails { executor: Arc::clone(&executor), accounts }),
        boxed(UserMails { database, vault, executor, links }),
    ]
}
