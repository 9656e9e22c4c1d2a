//! The beginning of an installation: the platform's own organization, and its first super admin.

use jiff::{SignedDuration, Timestamp};
use porttask_domain::{
    Actor, Meta, OrganizationId, PersonName, UserId,
    identity::{
        DomainName, EmailAddress, Organization, Role, User,
        organization::{self, OrganizationName},
        user,
    },
};
use porttask_runtime::execute::{Commands, ExecuteError, Executor, Request};

use crate::identity::{
    links::{Link, Purpose},
    passwords::{NewPassword, PasswordError, Passwords},
};

/// How long a link for the first super admin is good.
const LINK: SignedDuration = SignedDuration::from_hours(1);

/// Who is to be the first super admin.
pub struct FirstSuperAdmin {
    /// Their name.
    pub name: PersonName,
    /// Their address.
    pub email: EmailAddress,
    /// Their password.
    pub password: NewPassword,
}

/// Why an installation cannot be begun.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    /// The password cannot be hashed.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// It cannot be recorded.
    #[error(transparent)]
    Execute(#[from] ExecuteError),
}

/// Makes the platform's organization, if it was not made yet.
///
/// # Errors
/// If it cannot be recorded.
pub async fn make_platform(
    executor: &Executor,
    name: OrganizationName,
    domain: DomainName,
) -> Result<(), ExecuteError> {
    let (organization, _) = executor.load::<Organization>(OrganizationId::PLATFORM, OrganizationId::PLATFORM).await?;
    if organization.status().is_some() {
        return Ok(());
    }
    // The platform tries nothing.
    let create = organization::Command::Create { name, domain, trial_ends_at: Timestamp::MAX };
    let request = Request::new(OrganizationId::PLATFORM, Meta::by(Actor::Operator));
    executor.execute::<Organization>(OrganizationId::PLATFORM, create, &request).await.map(drop)
}

/// A link by which somebody becomes the first super admin; `None` if there was one already.
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

/// Makes somebody the first super admin, if there was none yet. Answers whether it was done.
///
/// # Errors
/// If it cannot be recorded.
pub async fn first_super_admin(
    executor: &Executor,
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
    let mut request = Request::new(organization, Meta::by(Actor::Operator));
    request.secrets.push(passwords.secret(organization, user, password).await?);
    let commands = Commands::new().on::<User>(user, invite).on::<User>(user, accept);
    let done = executor.execute_all(&commands, &request).await?;
    Ok(!done.events.is_empty())
}
