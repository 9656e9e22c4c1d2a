//! Who gets the mails: the admins of the organization who can administer it.

use std::sync::Arc;

use jiff::Timestamp;
use porttask_domain::{
    OrganizationId, Registered,
    identity::{Access, Organization, Role, User},
};
use porttask_runtime::{
    execute::{ExecuteError, Executor, stream_of},
    log::Version,
    reactors::TaskError,
    tasks::Task,
    vault::Vault,
};

use super::texts::{Message, letter};
use crate::{
    identity::{accounts::Accounts, links::Links},
    mail::{
        Draft,
        language::{Language, Reader, unlinked},
    },
};

/// The page of the console with the subscription and its usage.
const PAGE: &str = "settings/billing";

pub(super) struct Recipients {
    pub(super) executor: Arc<Executor>,
    pub(super) vault: Arc<Vault>,
    pub(super) links: Links,
    pub(super) accounts: Accounts,
}

impl Recipients {
    /// The event that triggered a task.
    pub(super) async fn event<A: Registered>(&self, task: &Task, id: A::Id) -> Result<Option<A::Event>, TaskError> {
        Ok(self.recorded::<A>(task, id).await?.map(|(event, _)| event))
    }

    /// The event that triggered a task, and when it was recorded.
    pub(super) async fn recorded<A: Registered>(
        &self,
        task: &Task,
        id: A::Id,
    ) -> Result<Option<(A::Event, Timestamp)>, TaskError> {
        let stream = stream_of::<A>(task.organization, id)?;
        let before = Version(task.number.saturating_sub(1));
        let events = self.executor.database().read_stream(&stream, before, 1).await?;
        let Some(recorded_at) = events.first().map(|event| event.recorded_at) else { return Ok(None) };
        let event = self.vault.domain_events(&events).await?.pop();
        let event = event.map(A::Event::try_from).transpose().map_err(|_| ExecuteError::ForeignEvent(stream))?;
        Ok(event.map(|event| (event, recorded_at)))
    }

    /// The mail to each admin.
    pub(super) async fn drafts(&self, home: OrganizationId, message: &Message<'_>) -> Result<Vec<Draft>, TaskError> {
        let (organization, _) = self.executor.load::<Organization>(home, home).await?;
        let settings = organization.settings();
        let shown_name = unlinked(organization.shown_name().unwrap_or("PortTask"));
        let time_zone = settings.map_or("UTC", |settings| &settings.business_hours.time_zone);
        let address = self.links.page(PAGE);
        let mut drafts = Vec::new();
        for user in self.accounts.admins(home).await? {
            let (account, _) = self.executor.load::<User>(home, user).await?;
            let administers = account
                .rights()
                .is_some_and(|(role, permissions)| role == Role::Admin && permissions.administration == Access::Write);
            let person = account.person().filter(|_| administers);
            let Some((name, to)) = person.and_then(|(name, email)| name.value().zip(email.value())) else { continue };
            let locale = account.locale().or(settings.map(|settings| &settings.locale)).map(ToString::to_string);
            let language = Language::nearest(locale.as_deref());
            let reader = Reader { name, organization: &shown_name, time_zone };
            let letter = letter(language, message, &reader, &address);
            drafts.push(Draft::new((name, to), language, letter));
        }
        Ok(drafts)
    }
}
