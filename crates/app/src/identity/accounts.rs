//! Which accounts are meant by an address.

use porttask_domain::{
    OrganizationId, UserId,
    identity::{EmailAddress, user::Status},
};
use porttask_projections::{ColumnType, ReadModel, Value, identity::user::Users, normalized};
use std::{sync::Arc, time::Duration};

use crate::identity::organizations;
use porttask_runtime::{
    ledger::Database,
    log::LogError,
    vault::Vault,
    views::{Condition, Query, ViewError, Views},
};

/// How long the list of users may take to come to now. A wrong answer after that is put right by the next attempt.
const PATIENCE: Duration = Duration::from_secs(1);
/// How many accounts are looked at in one go.
const PAGE: usize = 50;

/// Finds accounts by their address.
#[derive(Clone)]
pub struct Accounts {
    database: Arc<dyn Database>,
    vault: Arc<Vault>,
    views: Arc<Views>,
}

/// Why it could not be found out.
#[derive(Debug, thiserror::Error)]
pub enum AccountsError {
    /// The log failed.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A read model could not be read.
    #[error(transparent)]
    View(#[from] ViewError),
}

impl Accounts {
    /// Those of this log.
    pub fn new(database: Arc<dyn Database>, vault: Arc<Vault>, views: Arc<Views>) -> Self {
        Self { database, vault, views }
    }

    /// The account with this address in an organization, given by id or domain, whatever its status; or without one the
    /// active accounts with it in all organizations, so many at most. None if it is no address.
    ///
    /// # Errors
    /// If it cannot be found out.
    pub async fn meant(
        &self,
        email: &str,
        organization: Option<&str>,
        most: usize,
    ) -> Result<Vec<(OrganizationId, UserId)>, AccountsError> {
        let Ok(email) = EmailAddress::new(email) else { return Ok(Vec::new()) };
        let Some(organization) = organization else { return self.everywhere(&email, most).await };
        let Some(organization) = organizations::named(&*self.database, &self.vault, organization).await? else {
            return Ok(Vec::new());
        };
        let user = organizations::user_with(&*self.database, &self.vault, organization, &email).await?;
        Ok(user.map(|user| (organization, user)).into_iter().collect())
    }

    /// The active accounts with this address, in all organizations.
    async fn everywhere(
        &self,
        email: &EmailAddress,
        most: usize,
    ) -> Result<Vec<(OrganizationId, UserId)>, AccountsError> {
        let mut accounts = Vec::new();
        let wanted = email.comparable();
        // Whoever has just accepted an invitation can sign in at once.
        self.views.catch_up(Users::NAME, PATIENCE).await?;
        let mut query = Query {
            is_everywhere: true,
            conditions: vec![
                Condition::Equal("normalized_email", Value::Text(normalized(&email.to_string()))),
                Condition::Equal("status", Status::Active.to_value()),
            ],
            sort: vec!["normalized_email", "organization", "user"],
            limit: PAGE,
            ..Query::default()
        };
        loop {
            let rows = self.views.rows::<Users>(&query).await?;
            query.after = rows.last().map(|last| {
                vec![Value::Text(last.normalized_email.clone()), last.organization.to_value(), last.user.to_value()]
            });
            let is_last = rows.len() < PAGE;
            for row in rows {
                let address = row.email.and_then(|email| EmailAddress::new(&email).ok());
                // Folding forgets accents; addresses with and without them are different ones.
                if address.is_some_and(|it| it.comparable() == wanted) {
                    accounts.push((row.organization, row.user));
                }
            }
            if is_last || accounts.len() >= most {
                break;
            }
        }
        accounts.truncate(most);
        Ok(accounts)
    }
}
