//! The reactor that mails: people learn that they are invited.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use porttask_domain::{
    Actor, Aggregate, OrganizationId, UserId,
    identity::{Capability, Organization, User},
    uuid_of,
};

use super::{
    Mail, MailError, MailTransport,
    texts::{self, Invitation},
};
use crate::{
    execute::{ExecuteError, Executor, stream_of},
    ledger::Database,
    links::{Link, Links, Purpose},
    log::{LogError, RecordedEvent, Version},
    reactors::{Deed, Reactor, TaskError},
    tasks::{NewTask, Task, TaskId},
    vault::{Vault, VaultError},
};

/// The kind of the tasks: subject is the user, number the version that they had after they were invited.
const INVITATION: &str = "invitation";
/// What the platform is called before it has an organization of its own.
const PLATFORM_NAME: &str = "PortTask";
/// How many events of a user are read at a time.
const PAGE: usize = 1_000;

/// Mails what people have to know.
pub struct Mailer {
    database: Arc<dyn Database>,
    vault: Arc<Vault>,
    executor: Arc<Executor>,
    links: Links,
    transport: Arc<dyn MailTransport>,
}

/// Somebody who was invited, as the log has them now: what is in memory may be of somebody who was erased since.
struct Invited {
    user: User,
    /// How often they were invited.
    number: u64,
    /// The last invitation.
    last: Option<RecordedEvent>,
}

impl Mailer {
    /// The name of the reactor.
    pub const NAME: &'static str = "mail";

    /// Mails by this transport.
    pub fn new(
        database: Arc<dyn Database>,
        vault: Arc<Vault>,
        executor: Arc<Executor>,
        links: Links,
        transport: Arc<dyn MailTransport>,
    ) -> Self {
        Self { database, vault, executor, links, transport }
    }

    /// The mail of an invitation; `None` if there is no reason for it any more.
    async fn invitation(&self, task: &Task, now: Timestamp) -> Result<Option<Mail>, TaskError> {
        let (home, id) = (task.organization, UserId(task.subject));
        let (organization, _) = self.executor.load::<Organization>(home, home).await?;
        let is_allowed = match organization.standing() {
            Some(standing) => standing.allows(Capability::Use),
            None => home == OrganizationId::PLATFORM,
        };
        let Invited { user, number, last } = self.invited(home, id).await?;
        let is_the_last = last.as_ref().is_some_and(|event| event.version.0 == task.number);
        let expires_at = match user.invitation() {
            Some((current, expires_at)) if current == number && now < expires_at && is_allowed && is_the_last => {
                expires_at
            }
            Some(_) | None => return Ok(None),
        };
        let person = user.person().and_then(|(name, email)| Some((name.value()?, email.value()?)));
        let Some(((name, address), role)) = person.zip(user.role()) else { return Ok(None) };
        let metas = self.vault.metas(last.as_slice()).await?;
        let inviter = self.name_of(metas.first().map_or(Actor::System, |meta| meta.actor)).await?;
        let purpose = Purpose::Invitation;
        let link = Link { purpose, organization: home, subject: id.0, generation: number, expires_at };
        let settings = organization.settings();
        let locale = settings.map(|settings| settings.locale.to_string());
        let (subject, text) = texts::of(locale.as_deref()).invitation(&Invitation {
            name,
            inviter: inviter.as_deref(),
            organization: organization.shown_name().unwrap_or(PLATFORM_NAME),
            role,
            link: &self.links.address(&link),
            expires_at,
            time_zone: settings.map_or("UTC", |settings| &settings.business_hours.time_zone),
        });
        let (to_name, to_address) = (name.to_owned(), address.to_owned());
        Ok(Some(Mail { id: task.id.0, to_name, to_address, subject, text }))
    }

    /// Somebody who was invited, if they were.
    async fn invited(&self, organization: OrganizationId, user: UserId) -> Result<Invited, TaskError> {
        let stream = stream_of::<User>(organization, user)?;
        let mut invited = Invited { user: User::default(), number: 0, last: None };
        let mut after = Version::NONE;
        loop {
            let events = self.database.read_stream(&stream, after, PAGE).await?;
            let Some(end) = events.last() else { return Ok(invited) };
            after = end.version;
            for (event, fact) in events.iter().zip(self.vault.facts(&events).await?) {
                let fact = fact.try_into().map_err(|_| ExecuteError::ForeignEvent(stream.clone()))?;
                invited.user.evolve(&fact);
                if is_an_invitation(event.event_type.as_str()) {
                    (invited.number, invited.last) = (invited.number + 1, Some(event.clone()));
                }
            }
        }
    }

    /// What an actor is called, if it is a person with a name. The platform's staff acts as the platform.
    async fn name_of(&self, actor: Actor) -> Result<Option<String>, TaskError> {
        match actor {
            Actor::User { organization, user } if organization != OrganizationId::PLATFORM => {
                let Invited { user, .. } = self.invited(organization, user).await?;
                Ok(user.person().and_then(|(name, _)| name.value()).map(str::to_owned))
            }
            Actor::User { .. } | Actor::Operator | Actor::System => Ok(None),
        }
    }
}

fn is_an_invitation(event_type: &str) -> bool {
    matches!(event_type, "user.invited.v1" | "user.invitation_sent.v1")
}

#[async_trait]
impl Reactor for Mailer {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn tasks(&self, event: &RecordedEvent) -> Vec<NewTask> {
        if !is_an_invitation(event.event_type.as_str()) {
            return Vec::new();
        }
        let Some(user) = uuid_of(event.stream.name.id()) else { return Vec::new() };
        vec![NewTask {
            id: TaskId::generate(),
            organization: event.stream.organization,
            kind: INVITATION,
            subject: user,
            number: event.version.0,
            target: user,
            due_at: event.recorded_at,
        }]
    }

    async fn carry_out(&self, task: &Task) -> Result<Deed, TaskError> {
        if task.kind != INVITATION {
            // Recorded by a newer version of the program: it will be back.
            return Err(TaskError::Temporary(format!("this version does not know how to mail {:?}", task.kind)));
        }
        let Some(mail) = self.invitation(task, Timestamp::now()).await? else { return Ok(Deed::Needless) };
        self.transport.send(&mail).await?;
        Ok(Deed::Done)
    }
}

impl From<MailError> for TaskError {
    fn from(error: MailError) -> Self {
        match error {
            MailError::Temporary(error) => Self::Temporary(error),
            MailError::Permanent(error) => Self::Permanent(error),
        }
    }
}

impl From<ExecuteError> for TaskError {
    fn from(error: ExecuteError) -> Self {
        Self::Temporary(error.to_string())
    }
}

impl From<LogError> for TaskError {
    fn from(error: LogError) -> Self {
        Self::Temporary(error.to_string())
    }
}

impl From<VaultError> for TaskError {
    fn from(error: VaultError) -> Self {
        Self::Temporary(error.to_string())
    }
}
