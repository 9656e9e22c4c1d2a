//! Which entries people ask for, in their words.

use jiff::Timestamp;
use porttask_domain::{OrganizationId, UserId, identity::EmailAddress, uuid_of};
use uuid::Uuid;

use super::{Filter, PLATFORM};
use crate::identity::organizations::user_with;
use porttask_runtime::{ledger::Database, log::LogError, vault::Vault, views::Query};

const MAX_ACTION: usize = 100;

/// Which entries: all that are as everything here says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    /// By whom: the id or the mail address of a user, or [`PLATFORM`].
    pub actor: Option<String>,
    /// Doing what: `user.role_changed`, or all that happens to users: `user`.
    pub action: Option<String>,
    /// To what: an id, or the mail address of a user.
    pub target: Option<String>,
    /// Not before.
    pub from: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
    /// With these words.
    pub text: Option<String>,
}

/// Why what is asked has no meaning.
#[derive(Debug, thiserror::Error)]
pub enum AskedError {
    /// A part of it is not as it must be.
    #[error("{field} {reason}")]
    Invalid {
        /// Which part.
        field: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// Whoever has an address could not be looked up.
    #[error(transparent)]
    Log(#[from] LogError),
}

impl Asked {
    /// What is to be found in an organization. By somebody whom nobody knows, nothing is.
    ///
    /// # Errors
    /// What is wrong with it.
    pub async fn filter(
        self,
        database: &dyn Database,
        vault: &Vault,
        organization: OrganizationId,
    ) -> Result<Filter, AskedError> {
        let Self { actor, action, target, from, until, text } = self;
        let subject = async |field, named: &str| match uuid_of(named) {
            Some(id) => Ok((id, named.to_owned())),
            None => {
                let wrong = |_| invalid(field, "must be an id, as in usr_…, or the mail address of a user");
                let email = EmailAddress::new(named).map_err(wrong)?;
                let user = user_with(database, vault, organization, &email).await?;
                let user = user.unwrap_or(Filter::NOBODY);
                // As an id: an address is personal.
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
        if action.as_deref().is_some_and(|action| !is_action(action)) {
            return Err(invalid("action", "must be the name of an action, as in user.role_changed, or user"));
        }
        if from.zip(until).is_some_and(|(from, until)| from >= until) {
            return Err(invalid("until", "must be later than from"));
        }
        if text.as_deref().is_some_and(|text| text.chars().count() > Query::MAX_TEXT) {
            return Err(invalid("text", format!("must have at most {} characters", Query::MAX_TEXT)));
        }
        Ok(Filter { actor, action, target, from, until, text })
    }
}

impl Filter {
    /// Whom an address names that nobody has.
    pub const NOBODY: UserId = UserId(Uuid::max());

    /// Whether it asks for somebody whom nobody knows, so that nothing is found.
    pub fn is_for_nobody(&self) -> bool {
        self.actor == Some(Self::NOBODY.0) || self.target.as_ref().is_some_and(|(id, _)| *id == Self::NOBODY.0)
    }
}

fn is_action(action: &str) -> bool {
    let is_good = |byte: u8| byte.is_ascii_lowercase() || matches!(byte, b'_' | b'.');
    (1..=MAX_ACTION).contains(&action.len()) && action.bytes().all(is_good)
}

fn invalid(field: &'static str, reason: impl Into<String>) -> AskedError {
    AskedError::Invalid { field, reason: reason.into() }
}
