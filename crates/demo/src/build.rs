//! Carries out the plans: all organizations at once, week by week, each with a clock of its own.

use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use porttask_app::identity::{
    organizations::StatusAllows,
    passwords::{NewPassword, PasswordError, Passwords},
    setup::{self, FirstSuperAdmin, SetupError},
};
use porttask_domain::{
    Actor, InvalidText, Meta, OrganizationId, PersonName, TextEnum, UserId,
    identity::{DomainName, EmailAddress, Role, User, organization::OrganizationName, user},
};
use porttask_runtime::{
    clock::Clock,
    execute::{ExecuteError, Executor, Request, Tx},
    ledger::Database,
    log::NewSecret,
    vault::Vault,
};

use crate::{
    names,
    plan::{Plan, YEAR, plans},
    random::Random,
    site::Site,
};

/// The password of all accounts.
pub const PASSWORD: &str = "lantern quay seven tides";
/// How many organizations are worked on at once.
const AT_ONCE: usize = 64;
/// The period that all organizations complete before one begins the next: the log is roughly in the order of time.
const PERIOD: SignedDuration = SignedDuration::from_hours(7 * 24);
pub(crate) const INVITATION: SignedDuration = SignedDuration::from_hours(7 * 24);
/// The members of the platform's staff.
const STAFF: [(&str, Role); 4] = [
    ("ana", Role::SuperAdmin),
    ("bruno", Role::SuperAdmin),
    ("priya", Role::SuperAdmin),
    ("olaf", Role::PlatformAuditor),
];
const STAFF_DOMAIN: &str = "porttask.example";

/// What is built.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How many times 40 organizations with 1,500 users.
    pub scale: f64,
    /// Selects one of many platforms.
    pub seed: u64,
    /// The end of the year that is shown.
    pub now: Timestamp,
}

/// What a log is made of.
pub struct Parts {
    /// An empty log, and its ledger.
    pub database: Arc<dyn Database>,
    /// Its keys.
    pub vault: Arc<Vault>,
}

/// An account to sign in with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Whose it is, such as `Super admin`.
    pub role: String,
    /// The email address.
    pub email: String,
}

/// What was built.
#[derive(Debug)]
pub struct Built {
    /// One account of each kind.
    pub accounts: Vec<Account>,
    /// How many events were recorded.
    pub events: u64,
}

/// Why the platform could not be built.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A use case failed.
    #[error(transparent)]
    Execute(#[from] ExecuteError),
    /// The first super admin could not be created.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The password could not be hashed.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// A session could not be started.
    #[error("a session was refused: {0}")]
    Session(String),
    /// A text of the demonstration is not valid.
    #[error("{0}")]
    Text(String),
}

impl From<InvalidText> for Error {
    fn from(error: InvalidText) -> Self {
        Self::Text(error.to_string())
    }
}

/// Builds the platform in an empty log.
///
/// # Errors
/// If a use case fails.
pub async fn build(parts: &Parts, options: Options, progress: &(dyn Fn(&str) + Sync)) -> Result<Built, Error> {
    let Options { scale, seed, now } = options;
    let password = Arc::new(hashed(parts).await?);
    let staff = staff(parts, seed, now - YEAR, &password).await?;
    let plans = plans(seed, scale, now);
    let accounts = accounts(&plans);
    let mut sites: Vec<Site> = plans
        .into_iter()
        .enumerate()
        .map(|(number, plan)| Site::new(parts, plan, staff.clone(), &password, (seed, number)))
        .collect();
    let mut until = now - YEAR;
    while until < now {
        until = (until + PERIOD).min(now);
        let period = sites.iter_mut().map(|site| site.work(until));
        stream::iter(period).buffer_unordered(AT_ONCE).try_for_each(|()| async { Ok(()) }).await?;
        progress(&format!("until {}", until.strftime("%F")));
    }
    let heads = parts.database.heads().await.map_err(ExecuteError::from)?;
    Ok(Built { accounts, events: heads.iter().map(|head| head.position.offset.0).sum() })
}

/// The hash of the password: it is the same for all, so that it is made once.
async fn hashed(parts: &Parts) -> Result<NewSecret, Error> {
    let password = NewPassword::new(PASSWORD, &[]).map_err(|error| Error::Text(error.to_string()))?;
    let passwords = Passwords::new(Arc::clone(&parts.database));
    Ok(passwords.secret(OrganizationId::PLATFORM, UserId::FIRST_SUPER_ADMIN, password).await?)
}

/// One account of each kind, in the largest organization that works.
fn accounts(plans: &[Plan]) -> Vec<Account> {
    let staff = STAFF.iter().map(|(mailbox, role)| (*role, format!("{mailbox}@{STAFF_DOMAIN}")));
    let mut accounts: Vec<(Role, String)> = staff.collect();
    for role in [Role::Admin, Role::Agent, Role::ReadOnly, Role::Auditor] {
        let person = plans.first().and_then(|plan| plan.account(role));
        accounts.extend(person.map(|person| (role, person.email.clone())));
    }
    accounts.dedup_by_key(|(role, _)| *role);
    accounts.into_iter().map(|(role, email)| Account { role: role.as_str().replace('_', " "), email }).collect()
}

/// Creates the platform's organization and its staff; returns the ids of the super admins.
async fn staff(parts: &Parts, seed: u64, at: Timestamp, password: &Arc<NewSecret>) -> Result<Vec<UserId>, Error> {
    let mut random = Random::new(seed, 0);
    let (executor, clock) = executor(parts);
    set(&clock, at);
    let (name, domain) = (OrganizationName::new("PortTask")?, DomainName::new(STAFF_DOMAIN)?);
    setup::make_platform(&executor, name, domain).await?;
    let mut super_admins = Vec::new();
    for (number, (mailbox, role)) in STAFF.into_iter().enumerate() {
        let (name, email) = (PersonName::new(&names::person(&mut random))?, format!("{mailbox}@{STAFF_DOMAIN}"));
        let email = EmailAddress::new(&email)?;
        let id = if number == 0 { UserId::FIRST_SUPER_ADMIN } else { random.id(at) };
        if number == 0 {
            let password = NewPassword::new(PASSWORD, &[]).map_err(|error| Error::Text(error.to_string()))?;
            let passwords = Passwords::new(Arc::clone(&parts.database));
            setup::first_super_admin(&executor, &passwords, FirstSuperAdmin { name, email, password }, at).await?;
        } else {
            let organization = OrganizationId::PLATFORM;
            let invite = user::Command::Invite {
                organization,
                user: id,
                name,
                email,
                role,
                permissions: role.ceiling(),
                expires_at: at + INVITATION,
            };
            let actor = Actor::User { organization, user: UserId::FIRST_SUPER_ADMIN };
            let request = Request::new(organization, Meta::by(actor));
            let secret = &Passwords::shared(password, organization, id);
            let commands = &[invite, user::Command::Accept { invitation: 1, now: at }];
            let work = move |tx: Tx| async move {
                tx.secret(secret.clone());
                tx.decide_all::<User>(id, commands).await
            };
            executor.transact(&request, work).await?;
        }
        super_admins.extend((role == Role::SuperAdmin).then_some(id));
    }
    Ok(super_admins)
}

/// Executes commands, at the time of a clock of its own.
pub(crate) fn executor(parts: &Parts) -> (Arc<Executor>, Arc<Clock>) {
    let clock = Arc::new(Clock::new());
    let (database, vault) = (Arc::clone(&parts.database), Arc::clone(&parts.vault));
    (Executor::new(database, vault, Arc::new(StatusAllows), Arc::clone(&clock)), clock)
}

pub(crate) fn set(clock: &Clock, at: Timestamp) {
    clock.set_offset(clock.offset() + at.duration_since(clock.now()));
}
