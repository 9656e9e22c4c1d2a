//! Setup of an installation: the platform's own organization, and its first super admin.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use porttask_domain::{
    Actor, Meta, OrganizationId, PersonName, UserId,
    identity::{
        DomainName, EmailAddress, Organization, Role, User,
        organization::{self, OrganizationName},
        user,
    },
};
use porttask_runtime::execute::{ExecuteError, Executor, Request, Tx};

use crate::identity::{
    links::{Link, Purpose},
    passwords::{NewPassword, PasswordError, Passwords},
};

/// How long a setup link is valid.
const LINK: SignedDuration = SignedDuration::from_hours(1);

/// The first super admin.
pub struct FirstSuperAdmin {
    /// Their name.
    pub name: PersonName,
    /// Their email address.
    pub email: EmailAddress,
    /// Their password.
    pub password: NewPassword,
}

/// Why an installation cannot be set up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    /// The password cannot be hashed.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// It cannot be recorded.
    #[error(transparent)]
    Execute(#[from] ExecuteError),
}

/// Creates the platform's organization, if it does not exist.
///
/// # Errors
/// If it cannot be recorded.
pub async fn make_platform(
    executor: &Arc<Executor>,
    name: OrganizationName,
    domain: DomainName,
) -> Result<(), ExecuteError> {
    let create = &organization::Command::Create { name, domain, trial_ends_at: None };
    let request = Request::new(OrganizationId::PLATFORM, Meta::by(Actor::Operator));
    let create_once = move |tx: Tx| async move {
        let platform: Organization = tx.read(OrganizationId::PLATFORM).await?;
        match platform.status() {
            Some(_) => Ok(()),
            None => tx.decide::<Organization>(OrganizationId::PLATFORM, create).await,
        }
    };
    executor.transact(&request, create_once).await.map(drop)
}

/// A link to become the first super admin; `None` if there already is one.
///
/// # Errors
/// If the log fails.
pub async fn link(executor: &Executor, now: Timestamp) -> Result<Option<Link>, ExecuteError> {
    let first = UserId::FIRST_SUPER_ADMIN;
    let (user, _) = executor.load::<User>(OrganizationId::PLATFORM, first).await?;
    let link = Link {
        purpose: Purpose::Setup,
        organization: OrganizationId::PLATFORM,
        subject: first.0,
        generation: 0,
        expires_at: now + LINK,
    };
    Ok(user.status().is_none().then_some(link))
}

/// Creates the first super admin, if there is none. Returns whether it was created.
///
/// # Errors
/// If it cannot be recorded.
pub async fn first_super_admin(
    executor: &Arc<Executor>,
    passwords: &Passwords,
    admin: FirstSuperAdmin,
    now: Timestamp,
) -> Result<bool, SetupError> {
    if link(executor, now).await?.is_none() {
        return Ok(false);
    }
    let (organization, user) = (OrganizationId::PLATFORM, UserId::FIRST_SUPER_ADMIN);
    let FirstSuperAdmin { name, email, password } = admin;
    let (role, permissions) = (Role::SuperAdmin, Role::SuperAdmin.ceiling());
    let invite = user::Command::Invite { organization, user, name, email, role, permissions, expires_at: now + LINK };
    let accept = user::Command::Accept { invitation: 1, now };
    let request = Request::new(organization, Meta::by(Actor::Operator));
    let secret = &passwords.secret(organization, user, password).await?;
    let commands = &[invite, accept];
    let create = move |tx: Tx| async move {
        tx.secret(secret.clone());
        tx.decide_all::<User>(user, commands).await
    };
    let done = executor.transact(&request, create).await?;
    Ok(!done.events.is_empty())
}
