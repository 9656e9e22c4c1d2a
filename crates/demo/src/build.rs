//! Carries out the plans: all organizations at once, week by week, each with a clock of its own.

use std::{io, sync::Arc};

use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use porttask_app::{
    billing::{self, licences::demonstration_key},
    identity::{
        organizations::StatusAllows,
        passwords::{NewPassword, PasswordError, Passwords},
        setup::{self, FirstSuperAdmin, SetupError},
    },
};
use porttask_domain::{
    Actor, InvalidText, Meta, OrganizationId, PersonName, TextEnum, UserId,
    billing::{
        Coupon, LicenceSigningKeys,
        coupon::{self, AppliesTo, DiscountTerms, Duration, Off, Redemption},
        licence_signing_key::LicenceSigningKeyId,
        plan::{Code, ProductName},
    },
    identity::{DomainName, EmailAddress, Role, User, organization::OrganizationName, user},
};
use porttask_runtime::{
    clock::Clock,
    execute::{ExecuteError, Executor, Request, Tx},
    ledger::Database,
    log::{Head, LogError, NewSecret},
    ports::blobs::BlobStore,
    vault::Vault,
};

use rust_decimal::Decimal;

use crate::{
    money, names,
    plan::{Plan, YEAR, plans},
    random::Random,
    site::Site,
    tax,
};

/// The password of all accounts.
pub const PASSWORD: &str = "lantern quay seven tides";
/// How many organizations are worked on at once.
const AT_ONCE: usize = 64;
/// How much of the year the last month is.
const MONTH: SignedDuration = SignedDuration::from_hours(31 * 24);
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
pub struct Options<'a> {
    /// How many times 40 organizations with 1,500 users.
    pub scale: f64,
    /// Selects one of many platforms.
    pub seed: u64,
    /// The end of the year that is shown.
    pub now: Timestamp,
    /// The URL of the service, as licences have it.
    pub issuer: &'a str,
}

/// What a log is made of.
pub struct Parts {
    /// An empty log, and its ledger.
    pub database: Arc<dyn Database>,
    /// Its keys.
    pub vault: Arc<Vault>,
    /// The contents of documents.
    pub blobs: Arc<dyn BlobStore>,
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
    /// Where the last month begins in the log, by partition.
    pub last_month: Vec<Head>,
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
    /// The content of a document could not be stored.
    #[error("the content of a document could not be stored: {0}")]
    Blobs(#[from] io::Error),
    /// A text of the demonstration is not valid.
    #[error("{0}")]
    Text(String),
}

impl Error {
    pub(crate) fn from_log(error: LogError) -> Self {
        Self::Execute(error.into())
    }
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
pub async fn build(parts: &Parts, options: Options<'_>, progress: &(dyn Fn(&str) + Sync)) -> Result<Built, Error> {
    let Options { scale, seed, now, issuer } = options;
    let password = Arc::new(hashed(parts).await?);
    let staff = staff(parts, seed, now - YEAR, &password).await?;
    let plans = plans(seed, scale, now);
    let accounts = accounts(&plans);
    let mut sites: Vec<Site> = plans
        .into_iter()
        .map(|plan| Site::new(parts, plan, staff.clone(), &password, (seed, now - YEAR), issuer))
        .collect();
    let (mut until, mut last_month) = (now - YEAR, None);
    while until < now {
        until = (until + PERIOD).min(now);
        let period = sites.iter_mut().map(|site| site.work(until));
        stream::iter(period).buffer_unordered(AT_ONCE).try_for_each(|()| async { Ok(()) }).await?;
        progress(&format!("until {}", until.strftime("%F")));
        if last_month.is_none() && until >= now - MONTH {
            last_month = Some(parts.database.heads().await.map_err(ExecuteError::from)?);
        }
    }
    let heads = parts.database.heads().await.map_err(ExecuteError::from)?;
    let events = heads.iter().map(|head| head.position.offset.0).sum();
    Ok(Built { accounts, events, last_month: last_month.unwrap_or_default() })
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
    billing::plans::make_plans(&executor).await?;
    make_coupon(&executor, seed, at).await?;
    tax::make_seller(&executor, at).await?;
    make_signing_key(&executor, &parts.vault, seed, at).await?;
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

/// Creates the coupon that some organizations redeem.
async fn make_coupon(executor: &Arc<Executor>, seed: u64, at: Timestamp) -> Result<(), Error> {
    let off = Off::Percent(Decimal::TEN);
    let terms = DiscountTerms { off, duration: Duration::Periods(3), applies_to: AppliesTo::All, plans: Vec::new() };
    let (code, name, redemption) = (Code::new("WELCOME10")?, ProductName::new("Welcome")?, Redemption::default());
    let create = coupon::Command::Create { code, name, terms, redemption };
    let actor = Actor::User { organization: OrganizationId::PLATFORM, user: UserId::FIRST_SUPER_ADMIN };
    let request = Request::new(OrganizationId::PLATFORM, Meta::by(actor));
    executor.execute::<Coupon>(money::coupon(seed, at), create, &request).await?;
    Ok(())
}

/// Creates the key that signs licences: the same one for the same seed. Keys of a service are random.
async fn make_signing_key(executor: &Arc<Executor>, vault: &Vault, seed: u64, at: Timestamp) -> Result<(), Error> {
    use porttask_domain::billing::licence_signing_key::Command;
    let mut random = Random::new(seed, u64::MAX - 1);
    let key: LicenceSigningKeyId = random.id(at);
    let public = demonstration_key(vault, key, random.bytes()).await.map_err(ExecuteError::from)?;
    let (kid, public_key) = (public.kid(), public.to_base64());
    let commands = &[Command::Create { key, kid, public_key, now: at }, Command::Activate { key, now: at }];
    let actor = Actor::User { organization: OrganizationId::PLATFORM, user: UserId::FIRST_SUPER_ADMIN };
    let request = Request::new(OrganizationId::PLATFORM, Meta::by(actor));
    let work =
        move |tx: Tx| async move { tx.decide_all::<LicenceSigningKeys>(LicenceSigningKeyId::ALL, commands).await };
    Ok(executor.transact(&request, work).await.map(drop)?)
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
