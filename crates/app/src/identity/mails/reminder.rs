//! A mail that lists the accounts with an email address.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use porttask_domain::{
    AccountReminderId, OrganizationId,
    identity::{AccountReminder, Organization, User, account_reminder::Event},
};
use porttask_runtime::{execute::Executor, reactors::TaskError, tasks::Task};

use super::{PLATFORM_NAME, message::Message, texts::letter};
use crate::{
    identity::accounts::{Accounts, AccountsError},
    mail::{
        Draft, Mails,
        language::{Language, Reader, unlinked},
    },
};

/// Maximum accounts in a mail.
const MOST_ACCOUNTS: usize = 50;

pub(super) struct ReminderMails {
    pub(super) executor: Arc<Executor>,
    pub(super) accounts: Accounts,
}

porttask_domain::texts! {
    /// The kinds of mail.
    pub enum Kind {
        /// A list of the accounts with an email address.
        AccountReminder = "account_reminder",
    }
}

#[async_trait]
impl Mails for ReminderMails {
    type Source = Event;
    type Kind = Kind;

    fn kinds(event: &Event, _: OrganizationId) -> Vec<Kind> {
        match event {
            Event::Requested { .. } => vec![Kind::AccountReminder],
        }
    }

    async fn compose(&self, _: Kind, task: &Task, _: Timestamp) -> Result<Vec<Draft>, TaskError> {
        let (home, id) = (task.organization, AccountReminderId(task.subject));
        let (reminder, _) = self.executor.load::<AccountReminder>(home, id).await?;
        let Some(address) = reminder.email().and_then(|email| email.value()) else { return Ok(Vec::new()) };
        let accounts = self.accounts.meant(address, None, MOST_ACCOUNTS).await?;
        let (mut organizations, mut reader) = (Vec::with_capacity(accounts.len()), None);
        for (organization, user) in accounts {
            let (state, _) = self.executor.load::<Organization>(organization, organization).await?;
            let (name, domain) = (unlinked(state.shown_name().unwrap_or(PLATFORM_NAME)), state.domain());
            organizations.push((name, domain.unwrap_or_default().to_owned()));
            reader = Some(self.executor.load::<User>(organization, user).await?.0);
        }
        // With at most one account left, there is nothing to choose from.
        let Some(reader) = reader.filter(|_| organizations.len() > 1) else { return Ok(Vec::new()) };
        let Some(name) = reader.person().and_then(|(name, _)| name.value()) else { return Ok(Vec::new()) };
        organizations.sort();
        let language = Language::nearest(reader.locale().map(ToString::to_string).as_deref());
        let message = Message::Accounts { organizations: &organizations };
        let letter = letter(language, &message, &Reader { name, organization: PLATFORM_NAME, time_zone: "UTC" });
        Ok(vec![Draft::new((name, address), language, letter)])
    }
}

impl From<AccountsError> for TaskError {
    fn from(error: AccountsError) -> Self {
        Self::Temporary(error.to_string())
    }
}
