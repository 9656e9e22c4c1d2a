//! Audit log filters as users enter them.

use std::net::IpAddr;

use jiff::Timestamp;
use porttask_domain::{OrganizationId, UserId, identity::EmailAddress, is_request_id, uuid_of};
use porttask_projections::compliance::description;
use uuid::Uuid;

use super::{Filter, PLATFORM};
use crate::identity::organizations::user_with;
use porttask_projections::{ColumnType, identity::user::Users, normalized};
use porttask_runtime::{
    ledger::Database,
    log::LogError,
    vault::Vault,
    views::{Condition, Query, ViewError, Views},
};

const MAX_ACTION: usize = 100;

/// A filter as entered: entries must match all fields that are set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    /// Who acted: the id or email address of a user, or [`PLATFORM`].
    pub actor: Option<String>,
    /// What they did: `user.role_changed`, or `user` for all events of users.
    pub action: Option<String>,
    /// What they did it to: an id, or the email address of a user.
    pub target: Option<String>,
    /// Happened at or after this time.
    pub from: Option<Timestamp>,
    /// Happened before this time.
    pub until: Option<Timestamp>,
    /// Search words.
    pub text: Option<String>,
    /// In this session: its id.
    pub session: Option<String>,
    /// In the request with this id.
    pub request: Option<String>,
    /// From this IP address.
    pub ip: Option<String>,
}

/// Why a filter is invalid.
#[derive(Debug, thiserror::Error)]
pub enum AskedError {
    /// A field is invalid.
    #[error("{field} {reason}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The user with an email address could not be looked up.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The user with a former email address could not be looked up.
    #[error(transparent)]
    View(#[from] ViewError),
}

/// The user of an organization who had this email address before.
async fn formerly_with(
    database: &dyn Database,
    views: &Views,
    organization: OrganizationId,
    email: &EmailAddress,
) -> Result<Option<UserId>, AskedError> {
    let Some(partition) = database.partition_of(organization).await? else { return Ok(None) };
    let (wanted, limit) = (normalized(&email.to_string()), 100);
    let (conditions, text) = (vec![Condition::Equal("organization", organization.to_value())], Some(wanted.clone()));
    let query = Query { partition, conditions, text, limit, ..Query::default() };
    let mut found = views.rows::<Users>(&query).await?.into_iter();
    Ok(found.find(|row| row.former_emails.split(' ').any(|former| former == wanted)).map(|row| row.user))
}

impl Asked {
    /// Resolves the filter in an organization. A former email address stands for the user who had it; an unknown one
    /// matches no entries.
    ///
    /// # Errors
    /// If a field is invalid, or the log fails.
    pub async fn filter(
        self,
        database: &dyn Database,
        vault: &Vault,
        views: &Views,
        organization: OrganizationId,
    ) -> Result<Filter, AskedError> {
        let Self { actor, action, target, from, until, text, session, request, ip } = self;
        let subject = async |field, named: &str| match uuid_of(named) {
            Some(id) => Ok((id, named.to_owned())),
            None => {
                let wrong = |_| invalid(field, "must be an id such as usr_…, or the email address of a user");
                let email = EmailAddress::new(named).map_err(wrong)?;
                let user = match user_with(database, vault, organization, &email).await? {
                    Some(user) => Some(user),
                    None => formerly_with(database, views, organization, &email).await?,
                };
                let user = user.unwrap_or(Filter::NOBODY);
                // Recorded as an id: an address is personal.
                Ok::<_, AskedError>((user.0, user.to_string()))
            }
        };
        let actor = match actor.as_deref() {
            Some(PLATFORM) => Some(Uuid::nil()),
            Some(named) => Some(subject("actor", named).await?.0),
            None => None,
        };
        let target = match target.as_deref() {
            Some(named) => Some(subject("target", named).await?),
            None => None,
        };
        if action.as_deref().is_some_and(|action| !is_action(action) || !description::is_known_action(action)) {
            return Err(invalid("action", "must be an action such as user.role_changed, or a category such as user"));
        }
        if from.zip(until).is_some_and(|(from, until)| from >= until) {
            return Err(invalid("until", "must be later than from"));
        }
        if text.as_deref().is_some_and(|text| text.chars().count() > Query::MAX_TEXT) {
            return Err(invalid("text", format!("must have at most {} characters", Query::MAX_TEXT)));
        }
        if text.as_deref().is_some_and(|text| text.contains('\0')) {
            return Err(invalid("text", "must not contain the character NUL"));
        }
        let session = session.map(|id| id.parse()).transpose();
        let session = session.map_err(|_| invalid("session", "must be the id of a session such as ses_…"))?;
        let ip = ip.map(|ip| ip.parse::<IpAddr>().map(|ip| ip.to_canonical())).transpose();
        let ip = ip.map_err(|_| invalid("ip", "must be an IP address"))?;
        if request.as_deref().is_some_and(|id| !is_request_id(id)) {
            return Err(invalid("request", "must be the id of a request, as in the header X-Request-Id"));
        }
        Ok(Filter { actor, action, target, from, until, text, session, request, ip })
    }
}

impl Filter {
    /// Stands for an email address that no user has.
    pub const NOBODY: UserId = UserId(Uuid::max());

    /// Whether it names an unknown user and so matches nothing.
    pub fn is_for_nobody(&self) -> bool {
        self.actor == Some(Self::NOBODY.0) || self.target.as_ref().is_some_and(|(id, _)| *id == Self::NOBODY.0)
    }
}

/// Whether it is written like an action or a category of actions.
pub(super) fn is_action(action: &str) -> bool {
    let is_good = |byte: u8| byte.is_ascii_lowercase() || matches!(byte, b'_' | b'.');
    (1..=MAX_ACTION).contains(&action.len()) && action.bytes().all(is_good)
}

pub(super) fn invalid(field: &'static str, reason: impl Into<String>) -> AskedError {
    AskedError::Invalid { field, reason: reason.into() }
}
