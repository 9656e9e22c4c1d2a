//! The mails of the module: orders for vendors, and their answers for those who are responsible.
//!
//! | file | what it owns |
//! |---|---|
//! | `service_order.rs` | which events trigger which mails, and to whom |
//! | `texts.rs`, `english.rs` | their text |

mod english;
mod service_order;
mod texts;

use std::sync::Arc;

use porttask_runtime::{execute::Executor, ledger::Database, vault::Vault};

use self::service_order::ServiceOrderMails;
use crate::{
    identity::links::Links,
    mail::{AnyMails, boxed},
};

/// All mails of the module.
pub fn mails(
    database: Arc<dyn Database>,
    vault: Arc<Vault>,
    executor: Arc<Executor>,
    links: Links,
) -> Vec<Box<dyn AnyMails>> {
    vec![boxed(ServiceOrderMails { database, vault, executor, links })]
}
