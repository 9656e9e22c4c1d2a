//! Lookup of organizations and users, and the check of what the organization's status allows.

use async_trait::async_trait;
use porttask_domain::{
    OrganizationId, UserId,
    identity::{DomainName, EmailAddress, Organization},
};
use porttask_runtime::{
    execute::{ExecuteError, Precondition, Request, Tx},
    ledger::Database,
    log::LogError,
    vault::Vault,
};

use crate::billing::subscriptions::must_allow;

/// Requires that the organization's status and its subscription allow the request, and limits it. Skipped for the platform's organization and for new
/// ones.
pub struct StatusAllows;

#[async_trait]
impl Precondition for StatusAllows {
    async fn check(&self, request: &Request, tx: &Tx) -> Result<(), ExecuteError> {
        if request.organization == OrganizationId::PLATFORM || request.creates_organization {
            return Ok(());
        }
        let organization: Organization = tx.read(request.organization).await?;
        organization.allow(request.capability).map_err(|rejection| ExecuteError::Rejected(rejection.into()))?;
        must_allow(request, tx).await
    }
}

/// The organization with this id or domain; `None` if it does not exist.
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

/// The user of an organization with this email address; `None` if there is no such user.
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
