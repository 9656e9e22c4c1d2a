//! Which organization is meant, which of its users, and what its status allows.

use async_trait::async_trait;
use porttask_domain::{
    OrganizationId, UserId,
    identity::{DomainName, EmailAddress, Organization},
};
use porttask_runtime::{
    execute::{Precondition, Request, Stop, UnitOfWork},
    ledger::Database,
    log::LogError,
    vault::Vault,
};

/// The status of the organization allows what the request needs. The platform's own has none, nor has one that is created.
pub struct StatusAllows;

#[async_trait]
impl Precondition for StatusAllows {
    async fn check(&self, request: &Request, work: &mut UnitOfWork<'_>) -> Result<(), Stop> {
        if request.organization == OrganizationId::PLATFORM || request.creates_organization {
            return Ok(());
        }
        let organization: Organization = work.read::<Organization>(request.organization).await?;
        organization.allow(request.capability).map_err(|rejection| Stop::Rejected(rejection.into()))
    }
}

/// An organization by its id or its domain; `None` if there is none.
///
/// # Errors
/// If the log fails.
pub async fn named(database: &dyn Database, vault: &Vault, name: &str) -> Result<Option<OrganizationId>, LogError> {
    if let Ok(id) = name.parse::<OrganizationId>() {
        return Ok(database.partition_of(id).await?.map(|_| id));
    }
    let Ok(domain) = DomainName::new(name) else { return Ok(None) };
    let key = vault.claim_key(OrganizationId::PLATFORM, "domain", domain.as_str());
    Ok(database.holder(&key).await?.and_then(|id| id.parse().ok()))
}

/// The user of an organization who has this address; `None` if nobody has it.
///
/// # Errors
/// If the log fails.
pub async fn user_with(
    database: &dyn Database,
    vault: &Vault,
    organization: OrganizationId,
    email: &EmailAddress,
) -> Result<Option<UserId>, LogError> {
    let key = vault.claim_key(organization, "email", &email.comparable());
    Ok(database.holder(&key).await?.and_then(|user| user.parse().ok()))
}
