//! The reactor that mails: people learn that they are invited.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use porttask_domain::{
    Actor, OrganizationId, UserId,
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

/// An invitation that can be taken up.
struct Current {
    /// Which one of the user's.
    number: u64,
    /// Who has sent it.
    actor: Actor,
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
        let (user, _) = self.executor.load::<User>(home, id).await?;
        let (organization, _) = self.executor.load::<Organization>(home, home).await?;
        let is_allowed = match organization.standing() {
            Some(standing) => standing.allows(Capability::Use),
            None => home == OrganizationId::PLATFORM,
        };
        let Some((number, expires_at)) = user.invitation().filter(|(_, expires_at)| is_allowed && now < *expires_at)
        else {
            return Ok(None);
        };
        let current = self.invitation_at(home, id, Version(task.number)).await?;
        let Some(current) = current.filter(|current| current.number == number) else { return Ok(None) };
        let person = user.person().and_then(|(name, email)| Some((name.value()?, email.value()?)));
        let Some(((name, address), role)) = person.zip(user.role()) else { return Ok(None) };
        let inviter = self.name_of(current.actor).await?;
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

    /// The invitation that a user got by their event of this version, if it is their last.
    async fn invitation_at(
        &self,
        organization: OrganizationId,
        user: UserId,
        version: Version,
    ) -> Result<Option<Current>, TaskError> {
        let stream = stream_of::<User>(organization, user)?;
        let (mut after, mut number, mut last) = (Version::NONE, 0, None);
        loop {
            let events = self.database.read_stream(&stream, after, PAGE).await?;
            let Some(end) = events.last() else { break };
            after = end.version;
            let is_invitation = |event: &&RecordedEvent| is_an_invitation(event.event_type.as_str());
            for event in events.iter().filter(is_invitation) {
                (number, last) = (number + 1, Some(event.clone()));
            }
        }
        let Some(event) = last.filter(|event| event.version == version) else { return Ok(None) };
        let metas = self.vault.metas(std::slice::from_ref(&event)).await?;
        Ok(metas.first().map(|meta| Current { number, actor: meta.actor }))
    }

    /// What an actor is called, if it is a person with a name. The platform's staff acts as the platform.
    async fn name_of(&self, actor: Actor) -> Result<Option<String>, TaskError> {
        match actor {
            Actor::User { organization, user } if organization != OrganizationId::PLATFORM => {
                let (user, _) = self.executor.load::<User>(organization, user).await?;
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
