//! The reactor that mails: people learn that they are invited, and what happens to their accounts.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use porttask_domain::{
    Actor, Aggregate, MailboxId, OrganizationId, UserId,
    identity::{Capability, Mailbox, Organization, User},
    uuid_of,
};

use super::texts::{self, Message, Offer, Reader};
use crate::identity::{
    accounts::{Accounts, AccountsError},
    links::{Link, Links, Purpose},
};
use porttask_runtime::{
    execute::{ExecuteError, Executor, stream_of},
    ledger::Database,
    log::{RecordedEvent, Version},
    ports::mail::{Mail, MailTransport},
    reactors::{Deed, Reactor, TaskError},
    tasks::{NewTask, Task, TaskId},
    vault::Vault,
};

/// What is mailed. The tasks' subject is the user or mailbox, their number the version that the event gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Invitation,
    PasswordReset,
    PasswordChanged,
    AddressConfirmation,
    AddressChanged,
    AccountsTold,
}

impl Kind {
    const ALL: [Self; 6] = [
        Self::Invitation,
        Self::PasswordReset,
        Self::PasswordChanged,
        Self::AddressConfirmation,
        Self::AddressChanged,
        Self::AccountsTold,
    ];

    /// As it is stored with tasks.
    const fn name(self) -> &'static str {
        match self {
            Self::Invitation => "invitation",
            Self::PasswordReset => "password_reset",
            Self::PasswordChanged => "password_changed",
            Self::AddressConfirmation => "address_confirmation",
            Self::AddressChanged => "address_changed",
            Self::AccountsTold => "accounts_told",
        }
    }

    /// What is mailed because of an event.
    fn because_of(event_type: &str) -> Option<Self> {
        match event_type {
            "user.invited.v1" | "user.invitation_sent.v1" => Some(Self::Invitation),
            "user.password_reset_requested.v1" => Some(Self::PasswordReset),
            "user.password_reset.v1" | "user.password_changed.v1" => Some(Self::PasswordChanged),
            "user.address_change_requested.v1" => Some(Self::AddressConfirmation),
            "user.address_changed.v1" => Some(Self::AddressChanged),
            "mailbox.accounts_told.v1" => Some(Self::AccountsTold),
            _ => None,
        }
    }
}

/// What the platform is called before it has an organization of its own.
const PLATFORM_NAME: &str = "PortTask";
/// How many events of a user are read at a time.
const PAGE: usize = 1_000;
/// How many accounts are told at most.
const MOST_ACCOUNTS: usize = 50;

/// Mails what people have to know.
pub struct Mailer {
    database: Arc<dyn Database>,
    vault: Arc<Vault>,
    executor: Arc<Executor>,
    links: Links,
    accounts: Accounts,
    transport: Arc<dyn MailTransport>,
}

/// An account, as the log has it now and had it: what is in memory may be of somebody who was erased since.
#[derive(Default)]
struct Account {
    now: User,
    /// As it was after the event that is mailed about.
    then: User,
    /// As it was before that.
    before: User,
    /// That event; `None` if there is none of this version.
    event: Option<RecordedEvent>,
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
        accounts: Accounts,
        transport: Arc<dyn MailTransport>,
    ) -> Self {
        Self { database, vault, executor, links, accounts, transport }
    }

    /// The mail of a task; `None` if there is no reason for it any more.
    async fn mail(&self, kind: Kind, task: &Task, now: Timestamp) -> Result<Option<Mail>, TaskError> {
        let (home, id) = (task.organization, UserId(task.subject));
        let (organization, _) = self.executor.load::<Organization>(home, home).await?;
        let is_allowed = match organization.standing() {
            Some(standing) => standing.allows(Capability::Use),
            None => home == OrganizationId::PLATFORM,
        };
        let account = self.account(home, id, Version(task.number)).await?;
        let Some(event) = account.event.as_ref().filter(|_| is_allowed) else { return Ok(None) };
        let link = account.link(kind, home, id, now);
        let Some((name, to)) = account.addressee(kind) else { return Ok(None) };
        let metas = self.vault.metas(std::slice::from_ref(event)).await?;
        let meta = metas.first();
        let by = self.name_of(meta.map_or(Actor::System, |meta| meta.actor), id).await?;
        let address = link.map(|link| self.links.address(&link));
        let offer = link.zip(address.as_deref());
        let offer = offer.map(|(link, address)| Offer { address, expires_at: link.expires_at });
        let at = event.recorded_at;
        let message = match (kind, offer) {
            (Kind::Invitation, Some(link)) => {
                let Some(role) = account.now.role() else { return Ok(None) };
                Message::Invitation { inviter: by.as_deref(), role, link }
            }
            (Kind::PasswordReset, Some(link)) => Message::PasswordReset { by: by.as_deref(), link },
            (Kind::AddressConfirmation, Some(link)) => Message::AddressConfirmation { link },
            (Kind::PasswordChanged, _) => {
                Message::PasswordChanged { at, ip: meta.and_then(|meta| meta.ip.as_ref()?.value()) }
            }
            (Kind::AddressChanged, _) => Message::AddressChanged { at },
            (Kind::Invitation | Kind::PasswordReset | Kind::AddressConfirmation | Kind::AccountsTold, _) => {
                return Ok(None);
            }
        };
        let settings = organization.settings();
        let locale = account.now.locale().or(settings.map(|settings| &settings.locale)).map(ToString::to_string);
        let texts = texts::of(locale.as_deref());
        let letter = (texts.letter)(
            &message,
            &Reader {
                name,
                organization: organization.shown_name().unwrap_or(PLATFORM_NAME),
                time_zone: settings.map_or("UTC", |settings| &settings.business_hours.time_zone),
            },
        );
        let (to_name, to_address) = (name.to_owned(), to.to_owned());
        let (text, html) = (letter.text(), letter.html(texts.tag));
        Ok(Some(Mail { id: task.id.0, to_name, to_address, subject: letter.subject, text, html }))
    }

    /// Which accounts there are with an address; `None` if there are not several any more.
    async fn accounts_of(&self, task: &Task) -> Result<Option<Mail>, TaskError> {
        let (home, id) = (task.organization, MailboxId(task.subject));
        let (mailbox, _) = self.executor.load::<Mailbox>(home, id).await?;
        let Some(address) = mailbox.email().and_then(|email| email.value()) else { return Ok(None) };
        let accounts = self.accounts.meant(address, None, MOST_ACCOUNTS).await?;
        let (mut organizations, mut reader) = (Vec::with_capacity(accounts.len()), None);
        for (organization, user) in accounts {
            let (state, _) = self.executor.load::<Organization>(organization, organization).await?;
            let (name, domain) = (state.shown_name().unwrap_or(PLATFORM_NAME).to_owned(), state.domain());
            organizations.push((name, domain.unwrap_or_default().to_owned()));
            reader = Some(self.account(organization, user, Version::NONE).await?.now);
        }
        let Some(reader) = reader.filter(|_| organizations.len() > 1) else { return Ok(None) };
        let Some(name) = reader.person().and_then(|(name, _)| name.value()) else { return Ok(None) };
        organizations.sort();
        let texts = texts::of(reader.locale().map(ToString::to_string).as_deref());
        let message = Message::Accounts { organizations: &organizations };
        let letter = (texts.letter)(&message, &Reader { name, organization: PLATFORM_NAME, time_zone: "UTC" });
        let (text, html) = (letter.text(), letter.html(texts.tag));
        let (to_name, to_address) = (name.to_owned(), address.to_owned());
        Ok(Some(Mail { id: task.id.0, to_name, to_address, subject: letter.subject, text, html }))
    }

    /// An account, now and after the event that gave it this version.
    async fn account(&self, organization: OrganizationId, user: UserId, at: Version) -> Result<Account, TaskError> {
        let stream = stream_of::<User>(organization, user)?;
        let mut account = Account::default();
        let mut after = Version::NONE;
        loop {
            let events = self.database.read_stream(&stream, after, PAGE).await?;
            let Some(end) = events.last() else { return Ok(account) };
            after = end.version;
            for (event, fact) in events.iter().zip(self.vault.facts(&events).await?) {
                let fact = fact.try_into().map_err(|_| ExecuteError::ForeignEvent(stream.clone()))?;
                if event.version == at {
                    (account.before, account.event) = (account.now.clone(), Some(event.clone()));
                }
                account.now.evolve(&fact);
                if event.version == at {
                    account.then = account.now.clone();
                }
            }
        }
    }

    /// What an actor is called, if it is another person, with a name. The platform's staff acts as the platform.
    async fn name_of(&self, actor: Actor, reader: UserId) -> Result<Option<String>, TaskError> {
        match actor {
            Actor::User { organization, user } if organization != OrganizationId::PLATFORM && user != reader => {
                let account = self.account(organization, user, Version::NONE).await?;
                Ok(account.now.person().and_then(|(name, _)| name.value()).map(str::to_owned))
            }
            Actor::User { .. } | Actor::ApiKey { .. } | Actor::Operator | Actor::System | Actor::Anonymous => Ok(None),
        }
    }
}

impl Account {
    /// The link that the event offers, if it is still good.
    fn link(&self, kind: Kind, organization: OrganizationId, user: UserId, now: Timestamp) -> Option<Link> {
        let change = |user: &User| user.address_change().map(|(number, until, _)| (number, until));
        let (purpose, offered, open) = match kind {
            Kind::Invitation => (Purpose::Invitation, self.then.invitation(), self.now.invitation()),
            Kind::PasswordReset => (Purpose::PasswordReset, self.then.password_reset(), self.now.password_reset()),
            Kind::AddressConfirmation => (Purpose::AddressChange, change(&self.then), change(&self.now)),
            Kind::PasswordChanged | Kind::AddressChanged | Kind::AccountsTold => return None,
        };
        let (generation, expires_at) = open.filter(|it| Some(*it) == offered && now < it.1)?;
        Some(Link { purpose, organization, subject: user.0, generation, expires_at })
    }

    /// What the person is called, and where the mail goes.
    fn addressee(&self, kind: Kind) -> Option<(&str, &str)> {
        let (name, email) = self.now.person()?;
        let to = match kind {
            Kind::Invitation | Kind::PasswordReset | Kind::PasswordChanged | Kind::AccountsTold => email,
            Kind::AddressConfirmation => self.now.address_change()?.2,
            Kind::AddressChanged => self.before.person()?.1,
        };
        Some((name.value()?, to.value()?))
    }
}

#[async_trait]
impl Reactor for Mailer {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn tasks(&self, event: &RecordedEvent) -> Vec<NewTask> {
        let Some(kind) = Kind::because_of(event.event_type.as_str()) else { return Vec::new() };
        let Some(user) = uuid_of(event.stream.name.id()) else { return Vec::new() };
        vec![NewTask {
            id: TaskId::generate(),
            organization: event.stream.organization,
            kind: kind.name(),
            subject: user,
            number: event.version.0,
            target: user,
            due_at: event.recorded_at,
        }]
    }

    async fn carry_out(&self, task: &Task) -> Result<Deed, TaskError> {
        let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.name() == task.kind) else {
            // Recorded by a newer version of the program: it will be back.
            return Err(TaskError::Temporary(format!("this version does not know how to mail {:?}", task.kind)));
        };
        let mail = match kind {
            Kind::AccountsTold => self.accounts_of(task).await?,
            kind => self.mail(kind, task, Timestamp::now()).await?,
        };
        let Some(mail) = mail else { return Ok(Deed::Needless) };
        self.transport.send(&mail).await?;
        Ok(Deed::Done)
    }
}

impl From<AccountsError> for TaskError {
    fn from(error: AccountsError) -> Self {
        Self::Temporary(error.to_string())
    }
}
