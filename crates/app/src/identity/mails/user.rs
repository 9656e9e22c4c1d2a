//! Mails to a user about the account: requested links, and notices of changes.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use porttask_domain::{
    Actor, Aggregate, OrganizationId, UserId,
    identity::{Capability, Organization, Role, User, user::Event},
};
use porttask_projections::Times;
use porttask_runtime::{
    execute::{ExecuteError, Executor, stream_of},
    ledger::Database,
    log::{RecordedEvent, Version},
    reactors::TaskError,
    tasks::Task,
    vault::Vault,
};

use super::{
    PLATFORM_NAME,
    message::{Message, Offer},
    texts::letter,
};
use crate::{
    identity::{
        accounts::Accounts,
        links::{Link, Links, Purpose},
    },
    mail::{
        Draft, Mails,
        language::{Language, Reader, unlinked},
    },
};

/// Events per read of a user's stream.
const PAGE: usize = 1_000;

porttask_domain::texts! {
    /// The kinds of mail.
    pub enum Kind {
        /// A link to accept an invitation.
        Invitation = "invitation",
        /// A link to set a new password.
        PasswordReset = "password_reset",
        /// The password was changed.
        PasswordChanged = "password_changed",
        /// A link to confirm a new email address.
        AddressConfirmation = "address_confirmation",
        /// A change of the email address was requested, with a link to cancel it.
        AddressChangeNotice = "address_change_notice",
        /// The email address was changed.
        AddressChanged = "address_changed",
        /// The account of a super admin was reactivated.
        SuperAdminReinstated = "super_admin_reinstated",
    }
}

pub(super) struct UserMails {
    pub(super) database: Arc<dyn Database>,
    pub(super) vault: Arc<Vault>,
    pub(super) executor: Arc<Executor>,
    pub(super) links: Links,
    pub(super) accounts: Accounts,
}

/// An account at several versions, replayed from the log: cached state may contain data that was erased since.
#[derive(Default)]
struct Account {
    now: User,
    /// After the event that triggered the mail.
    then: User,
    /// Before that event.
    before: User,
    /// That event; `None` if the stream has no event of this version.
    event: Option<RecordedEvent>,
}

#[async_trait]
impl Mails for UserMails {
    type Source = Event;
    type Kind = Kind;

    fn kinds(event: &Event, organization: OrganizationId) -> Vec<Kind> {
        match event {
            Event::Invited { .. } | Event::InvitationSent { .. } => vec![Kind::Invitation],
            Event::PasswordResetRequested { .. } => vec![Kind::PasswordReset],
            Event::PasswordReset {} | Event::PasswordChanged { .. } => vec![Kind::PasswordChanged],
            Event::AddressChangeRequested { .. } => vec![Kind::AddressChangeNotice, Kind::AddressConfirmation],
            Event::AddressChanged { .. } => vec![Kind::AddressChanged],
            // Other users learn of it from the admin who reactivates them.
            Event::Reactivated {} if organization == OrganizationId::PLATFORM => vec![Kind::SuperAdminReinstated],
            Event::Registered { .. }
            | Event::InvitationAccepted {}
            | Event::InvitationRevoked {}
            | Event::RoleChanged { .. }
            | Event::PermissionsChanged { .. }
            | Event::Deactivated {}
            | Event::Reactivated {}
            | Event::Renamed { .. }
            | Event::LocaleChanged { .. }
            | Event::TimeZoneChanged { .. }
            | Event::Promoted { .. }
            | Event::Demoted {}
            | Event::Locked { .. }
            | Event::Unlocked {}
            | Event::SessionsEnded { .. }
            | Event::AddressChangeCancelled {}
            | Event::AddressCorrected { .. }
            | Event::Removed {}
            | Event::LinkExpired { .. } => Vec::new(),
        }
    }

    async fn compose(&self, kind: Kind, task: &Task, now: Timestamp) -> Result<Vec<Draft>, TaskError> {
        let (home, id) = (task.organization, UserId(task.subject));
        let (organization, _) = self.executor.load::<Organization>(home, home).await?;
        let is_allowed = match organization.status() {
            Some(status) => status.allows(Capability::Use),
            None => home == OrganizationId::PLATFORM,
        };
        let account = self.account(home, id, Version(task.number)).await?;
        let Some(event) = account.event.as_ref().filter(|_| is_allowed) else { return Ok(Vec::new()) };
        let link = account.link(kind, home, id, now);
        let Some((name, to)) = account.addressee(kind) else { return Ok(Vec::new()) };
        let metas = self.vault.metas(std::slice::from_ref(event)).await?;
        let meta = metas.first();
        let by = self.name_of(meta.map_or(Actor::System, |meta| meta.actor), id).await?;
        let address = link.map(|link| self.links.address(&link));
        let offer = link.zip(address.as_deref());
        let offer = offer.map(|(link, address)| Offer { address, expires_at: link.expires_at });
        let at = Times::new(event.recorded_at, meta.and_then(|meta| meta.occurred_at)).time();
        let keys_left: Vec<String>;
        let message = match (kind, offer) {
            (Kind::Invitation, Some(link)) => {
                let Some(role) = account.now.role() else { return Ok(Vec::new()) };
                Message::Invitation { inviter: by.as_deref(), role, link }
            }
            (Kind::PasswordReset, Some(link)) => Message::PasswordReset { by: by.as_deref(), link },
            (Kind::AddressConfirmation, Some(link)) => Message::AddressConfirmation { link },
            (Kind::AddressChangeNotice, Some(link)) => {
                let Some((_, _, email)) = account.now.address_change() else { return Ok(Vec::new()) };
                let Some(email) = email.value() else { return Ok(Vec::new()) };
                Message::AddressChangeNotice { email, at, ip: meta.and_then(|meta| meta.ip.as_ref()?.value()), link }
            }
            (Kind::PasswordChanged, _) => {
                let ip = meta.and_then(|meta| meta.ip.as_ref()?.value());
                let keys = self.accounts.api_keys(home, id, now).await?;
                keys_left = keys.into_iter().map(|key| key.name.unwrap_or_else(|| key.key.to_string())).collect();
                Message::PasswordChanged { at, ip, keys: &keys_left }
            }
            (Kind::SuperAdminReinstated, _) => {
                if account.now.rights().is_none_or(|(role, _)| role != Role::SuperAdmin) {
                    return Ok(Vec::new());
                }
                Message::SuperAdminReinstated { at }
            }
            (Kind::AddressChanged, _) => Message::AddressChanged { at },
            (Kind::Invitation | Kind::PasswordReset | Kind::AddressConfirmation | Kind::AddressChangeNotice, _) => {
                return Ok(Vec::new());
            }
        };
        let settings = organization.settings();
        let locale = account.now.locale().or(settings.map(|settings| &settings.locale)).map(ToString::to_string);
        let language = Language::nearest(locale.as_deref());
        let shown_name = unlinked(organization.shown_name().unwrap_or(PLATFORM_NAME));
        let reader = Reader {
            name,
            organization: &shown_name,
            time_zone: settings.map_or("UTC", |settings| &settings.business_hours.time_zone),
        };
        let letter = letter(language, &message, &reader);
        Ok(vec![Draft::new((name, to), language, letter)])
    }
}

impl UserMails {
    /// Replays an account, with the event that led to this version.
    async fn account(&self, organization: OrganizationId, user: UserId, at: Version) -> Result<Account, TaskError> {
        let stream = stream_of::<User>(organization, user)?;
        let mut account = Account::default();
        let mut after = Version::NONE;
        loop {
            let events = self.database.read_stream(&stream, after, PAGE).await?;
            let Some(end) = events.last() else { return Ok(account) };
            after = end.version;
            for (event, domain_event) in events.iter().zip(self.vault.domain_events(&events).await?) {
                let domain_event = domain_event.try_into().map_err(|_| ExecuteError::ForeignEvent(stream.clone()))?;
                if event.version == at {
                    (account.before, account.event) = (account.now.clone(), Some(event.clone()));
                }
                account.now.evolve(&domain_event);
                if event.version == at {
                    account.then = account.now.clone();
                }
            }
        }
    }

    /// The name of the actor, if it is another user. Members of the platform's staff are not named.
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
    /// The link that the event offers, if it is still valid.
    fn link(&self, kind: Kind, organization: OrganizationId, user: UserId, now: Timestamp) -> Option<Link> {
        // Earlier links to reset a password stay valid beside later ones.
        let reset = |(number, until)| self.now.awaits_password_reset(number).then_some((number, until));
        let change = |user: &User| user.address_change().map(|(number, until, _)| (number, until));
        let (purpose, offered, open) = match kind {
            Kind::Invitation => (Purpose::Invitation, self.then.invitation(), self.now.invitation()),
            Kind::PasswordReset => {
                let offered = self.then.password_reset();
                (Purpose::PasswordReset, offered, offered.and_then(reset))
            }
            Kind::AddressConfirmation => (Purpose::AddressChange, change(&self.then), change(&self.now)),
            Kind::AddressChangeNotice => (Purpose::AddressChangeCancellation, change(&self.then), change(&self.now)),
            Kind::PasswordChanged | Kind::AddressChanged | Kind::SuperAdminReinstated => return None,
        };
        let (generation, expires_at) = open.filter(|it| Some(*it) == offered && now < it.1)?;
        Some(Link { purpose, organization, subject: user.0, generation, expires_at })
    }

    /// The name and email address of the recipient.
    fn addressee(&self, kind: Kind) -> Option<(&str, &str)> {
        let (name, email) = self.now.person()?;
        let to = match kind {
            Kind::Invitation
            | Kind::PasswordReset
            | Kind::PasswordChanged
            | Kind::AddressChangeNotice
            | Kind::SuperAdminReinstated => email,
            Kind::AddressConfirmation => self.now.address_change()?.2,
            Kind::AddressChanged => self.before.person()?.1,
        };
        Some((name.value()?, to.value()?))
    }
}
