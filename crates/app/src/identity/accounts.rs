//! Lookup of accounts by email address.

use jiff::Timestamp;
use porttask_domain::{
    OrganizationId, UserId,
    identity::{self as account, Access, DomainName, EmailAddress, Role, user::Status},
};
use porttask_projections::{
    ColumnType, ReadModel, Value,
    identity::{
        api_key::{ApiKey, ApiKeys},
        session::{Session, Sessions},
        user::{User, Users},
    },
    normalized,
};
use std::{sync::Arc, time::Duration};

use crate::identity::organizations;
use porttask_runtime::{
    ledger::Database,
    log::{LogError, PartitionId},
    vault::Vault,
    views::{Condition, Direction, Query, ViewError, Views},
};

/// How long to wait for the read model to catch up. A stale result after that is corrected by the next attempt.
const PATIENCE: Duration = Duration::from_secs(1);
/// Rows per query.
const PAGE: usize = 50;
/// How long a sign-in waits for the read model of sessions. Those that it misses are ended by the next sign-in.
const SHORT_PATIENCE: Duration = Duration::from_millis(200);
/// The latest sessions of a user that are read.
const MOST_SESSIONS_READ: usize = 200;

/// The most super admins that are notified by email.
const MOST_SUPER_ADMINS: usize = 100;
/// The most admins of an organization that are notified by email.
const MOST_ADMINS: usize = 100;

/// Finds accounts by email address.
#[derive(Clone)]
pub struct Accounts {
    database: Arc<dyn Database>,
    vault: Arc<Vault>,
    views: Arc<Views>,
}

/// An organization that a client named by id or domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// It exists.
    Known(OrganizationId),
    /// There is none with this normalized name.
    Unknown(String),
}

impl Named {
    /// The name under which attempts are counted, however it was spelled.
    pub fn name(&self) -> String {
        match self {
            Self::Known(organization) => organization.to_string(),
            Self::Unknown(name) => name.clone(),
        }
    }
}

/// Why accounts could not be looked up.
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
    /// Looks up accounts in this database.
    pub fn new(database: Arc<dyn Database>, vault: Arc<Vault>, views: Arc<Views>) -> Self {
        Self { database, vault, views }
    }

    /// The account with this email address in an organization (given by id or domain), whatever its status; without an
    /// organization, at most `most` active accounts in all organizations. Empty if it is not an email address.
    ///
    /// # Errors
    /// If the log or the read model fails.
    pub async fn meant(
        &self,
        email: &str,
        organization: Option<&str>,
        most: usize,
    ) -> Result<Vec<(OrganizationId, UserId)>, AccountsError> {
        let organization = match organization {
            Some(name) => Some(self.organization(name).await?),
            None => None,
        };
        self.of(email, organization.as_ref(), most).await
    }

    /// The organization with this id or domain.
    ///
    /// # Errors
    /// If the log fails.
    pub async fn organization(&self, name: &str) -> Result<Named, AccountsError> {
        Ok(match organizations::named(&*self.database, &self.vault, name).await? {
            Some(organization) => Named::Known(organization),
            None => Named::Unknown(match DomainName::new(name) {
                Ok(domain) => domain.as_str().to_owned(),
                Err(_) => name.trim().to_lowercase(),
            }),
        })
    }

    /// As [`Accounts::meant`], with an organization that was looked up.
    ///
    /// # Errors
    /// If the log or the read model fails.
    pub async fn of(
        &self,
        email: &str,
        organization: Option<&Named>,
        most: usize,
    ) -> Result<Vec<(OrganizationId, UserId)>, AccountsError> {
        let Ok(email) = EmailAddress::new(email) else { return Ok(Vec::new()) };
        let organization = match organization {
            None => return self.everywhere(&email, most).await,
            Some(Named::Unknown(_)) => return Ok(Vec::new()),
            Some(Named::Known(organization)) => *organization,
        };
        let user = organizations::user_with(&*self.database, &self.vault, organization, &email).await?;
        Ok(user.map(|user| (organization, user)).into_iter().collect())
    }

    /// The API keys that a user owns and that are accepted now.
    ///
    /// # Errors
    /// If the log or the read model fails.
    pub async fn api_keys(
        &self,
        organization: OrganizationId,
        owner: UserId,
        now: Timestamp,
    ) -> Result<Vec<ApiKey>, AccountsError> {
        // Include keys that others have just created.
        let Some(partition) = self.database.partition_of(organization).await? else { return Ok(Vec::new()) };
        self.views.catch_up_in(ApiKeys::NAME, partition, PATIENCE).await?;
        let key = [("organization", organization.to_value()), ("owner", owner.to_value())];
        let conditions = key.map(|(column, value)| Condition::Equal(column, value)).into();
        let mut query =
            Query { partition, conditions, sort: vec!["created_at", "key"], limit: PAGE, ..Query::default() };
        let mut keys = Vec::new();
        loop {
            let rows = self.views.rows::<ApiKeys>(&query).await?;
            query.after = rows.last().map(|last| vec![last.created_at.to_value(), last.key.to_value()]);
            let is_last = rows.len() < PAGE;
            let is_valid = |row: &ApiKey| row.revoked_at.is_none() && row.expires_at.is_none_or(|end| now < end);
            keys.extend(rows.into_iter().filter(is_valid));
            if is_last {
                return Ok(keys);
            }
        }
    }

    /// The active super admins, at most 100.
    ///
    /// # Errors
    /// If the read model fails.
    pub async fn super_admins(&self) -> Result<Vec<UserId>, AccountsError> {
        self.views.catch_up_in(Users::NAME, PartitionId::PLATFORM, PATIENCE).await?;
        let conditions = vec![
            Condition::Equal("organization", OrganizationId::PLATFORM.to_value()),
            Condition::Equal("role", Role::SuperAdmin.to_value()),
            Condition::Equal("status", Status::Active.to_value()),
        ];
        let (partition, sort, limit) = (PartitionId::PLATFORM, vec!["user"], MOST_SUPER_ADMINS);
        let query = Query { partition, conditions, sort, limit, ..Query::default() };
        Ok(self.views.rows::<Users>(&query).await?.into_iter().map(|row| row.user).collect())
    }

    /// The active admins of an organization who can administer it, at most 100.
    ///
    /// # Errors
    /// If the log or the read model fails.
    pub async fn admins(&self, organization: OrganizationId) -> Result<Vec<UserId>, AccountsError> {
        let administers = Condition::Equal("administration", Access::Write.to_value());
        self.active_admins(organization, Some(administers)).await
    }

    /// The active admins of an organization, at most 100.
    ///
    /// # Errors
    /// If the log or the read model fails.
    pub async fn all_admins(&self, organization: OrganizationId) -> Result<Vec<UserId>, AccountsError> {
        self.active_admins(organization, None).await
    }

    async fn active_admins(
        &self,
        organization: OrganizationId,
        more: Option<Condition>,
    ) -> Result<Vec<UserId>, AccountsError> {
        let Some(partition) = self.database.partition_of(organization).await? else { return Ok(Vec::new()) };
        self.views.catch_up_in(Users::NAME, partition, PATIENCE).await?;
        let mut conditions = vec![
            Condition::Equal("organization", organization.to_value()),
            Condition::Equal("role", Role::Admin.to_value()),
            Condition::Equal("status", Status::Active.to_value()),
        ];
        conditions.extend(more);
        let query = Query { partition, conditions, sort: vec!["user"], limit: MOST_ADMINS, ..Query::default() };
        Ok(self.views.rows::<Users>(&query).await?.into_iter().map(|row| row.user).collect())
    }

    /// The users whose pending invitation a user has sent.
    ///
    /// # Errors
    /// If the log or the read model fails.
    pub async fn invited_by(
        &self,
        organization: OrganizationId,
        inviter: UserId,
        now: Timestamp,
    ) -> Result<Vec<UserId>, AccountsError> {
        let Some(partition) = self.database.partition_of(organization).await? else { return Ok(Vec::new()) };
        self.views.catch_up_in(Users::NAME, partition, PATIENCE).await?;
        let key = [("organization", organization.to_value()), ("invited_by", inviter.to_value())];
        let conditions = key.map(|(column, value)| Condition::Equal(column, value)).into();
        let mut query = Query { partition, conditions, sort: vec!["user"], limit: PAGE, ..Query::default() };
        let mut invited = Vec::new();
        loop {
            let rows = self.views.rows::<Users>(&query).await?;
            query.after = rows.last().map(|last| vec![last.user.to_value()]);
            let is_last = rows.len() < PAGE;
            let is_pending =
                |row: &User| row.status == Status::Invited && row.invitation_expires_at.is_some_and(|end| now < end);
            invited.extend(rows.iter().filter(|row| is_pending(row)).map(|row| row.user));
            if is_last {
                return Ok(invited);
            }
        }
    }

    /// The sessions of a user that have not ended or expired, the latest first; the idle ones included. `epoch` is the
    /// session epoch of the organization.
    ///
    /// # Errors
    /// If the log or the read model fails.
    pub async fn open_sessions(
        &self,
        (organization, user): (OrganizationId, UserId),
        state: &account::User,
        epoch: u64,
        now: Timestamp,
    ) -> Result<Vec<Session>, AccountsError> {
        let Some(partition) = self.database.partition_of(organization).await? else { return Ok(Vec::new()) };
        self.views.catch_up_in(Sessions::NAME, partition, SHORT_PATIENCE).await?;
        let key = [("organization", organization.to_value()), ("user", user.to_value())];
        let query = Query {
            partition,
            conditions: key.map(|(column, value)| Condition::Equal(column, value)).into(),
            sort: vec!["started_at", "session"],
            direction: Direction::Descending,
            limit: MOST_SESSIONS_READ,
            ..Query::default()
        };
        let mut rows = self.views.rows::<Sessions>(&query).await?;
        rows.retain(|row| {
            let is_kept = state.keeps(row.session, row.user_session_epoch) && row.organization_session_epoch == epoch;
            row.ended_at.is_none() && now < row.expires_at && is_kept
        });
        Ok(rows)
    }

    /// The active accounts with this email address, in all organizations.
    async fn everywhere(
        &self,
        email: &EmailAddress,
        most: usize,
    ) -> Result<Vec<(OrganizationId, UserId)>, AccountsError> {
        let mut accounts = Vec::new();
        let wanted = email.comparable();
        // Users who have just accepted an invitation can sign in immediately.
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
                // Normalization removes accents, but addresses with and without them are different.
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
