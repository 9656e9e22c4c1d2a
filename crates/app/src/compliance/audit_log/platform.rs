//! The platform's audit trail: entries of any organization, in the order of their times.

use std::{collections::HashMap, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use porttask_domain::{OrganizationId, compliance::export::PlatformSelection, uuid_of};
use porttask_projections::{ColumnType, Value, compliance::platform_audit_log as view};
use porttask_runtime::{
    ledger::Database,
    log::{Offset, Position},
    vault::Vault,
    views::{Condition, Query, ViewError},
};
use uuid::Uuid;

use super::{
    AskedError, AuditLog, AuditLogError, BATCH, Entry, PLATFORM,
    asked::{invalid, is_action},
    on_action,
};
use crate::identity::organizations;

/// The sort order of the trail, in which no two entries are equal.
const IN_ORDER: [&str; 2] = ["occurred_at", "event"];

/// A filter: entries must match all fields that are set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PlatformFilter {
    /// In this organization.
    pub organization: Option<OrganizationId>,
    /// Who acted: a UUID and the public id; the nil id stands for the operator and the platform itself.
    pub actor: Option<(Uuid, String)>,
    /// What they did: `user.role_changed`, or `user` for all events of users.
    pub action: Option<String>,
    /// Happened at or after this time.
    pub from: Option<Timestamp>,
    /// Happened before this time.
    pub until: Option<Timestamp>,
}

/// A filter as entered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PlatformAsked {
    /// In this organization: its id or its domain.
    pub organization: Option<String>,
    /// Who acted: the id of a user or an API key, or [`PLATFORM`].
    pub actor: Option<String>,
    /// What they did: `user.role_changed`, or `user` for all events of users.
    pub action: Option<String>,
    /// Happened at or after this time.
    pub from: Option<Timestamp>,
    /// Happened before this time.
    pub until: Option<Timestamp>,
}

impl PlatformAsked {
    /// Resolves the filter.
    ///
    /// # Errors
    /// If a field is invalid, or the log fails.
    pub async fn filter(self, database: &dyn Database, vault: &Vault) -> Result<PlatformFilter, AskedError> {
        let Self { organization, actor, action, from, until } = self;
        let organization = match organization {
            None => None,
            Some(named) => {
                let found = organizations::named(database, vault, &named).await?;
                Some(found.ok_or_else(|| invalid("organization", "is not known"))?)
            }
        };
        let actor = match actor {
            None => None,
            Some(named) if named == PLATFORM => Some((Uuid::nil(), named)),
            Some(named) => {
                let wrong = || invalid("actor", "must be the id of a user or key, or platform");
                Some((uuid_of(&named).ok_or_else(wrong)?, named))
            }
        };
        if action.as_deref().is_some_and(|action| !is_action(action)) {
            return Err(invalid("action", "must be an action such as user.role_changed, or a category"));
        }
        if from.zip(until).is_some_and(|(from, until)| from >= until) {
            return Err(invalid("until", "must be later than from"));
        }
        Ok(PlatformFilter { organization, actor, action, from, until })
    }
}

impl PlatformFilter {
    /// The filter as recorded with an export.
    pub fn recorded(&self) -> PlatformSelection {
        PlatformSelection {
            organization: self.organization,
            actor: self.actor.clone().map(|(_, name)| name),
            action: self.action.clone(),
            from: self.from,
            until: self.until,
        }
    }

    /// The conditions on the read model.
    pub fn conditions(&self) -> Vec<Condition> {
        let organization = self.organization.map(|id| Condition::Equal("organization", id.to_value()));
        let mut conditions: Vec<Condition> = organization.into_iter().collect();
        conditions.extend(self.actor.iter().map(|(actor, _)| Condition::Equal("actor", Value::Id(*actor))));
        conditions.extend(self.action.iter().flat_map(|action| on_action(action)));
        conditions.extend(self.from.map(|from| Condition::AtLeast("occurred_at", Value::Time(from))));
        conditions.extend(self.until.map(|until| Condition::Below("occurred_at", Value::Time(until))));
        conditions
    }
}

impl AuditLog {
    /// The entries of these rows of the platform's audit trail, in order, with their organizations.
    ///
    /// # Errors
    /// If they cannot be read.
    pub async fn of_the_platform(&self, rows: &[view::Entry]) -> Result<Vec<(OrganizationId, Entry)>, AuditLogError> {
        let mut offsets: HashMap<OrganizationId, Vec<Offset>> = HashMap::new();
        for row in rows {
            offsets.entry(row.organization).or_default().push(Offset(row.offset));
        }
        let mut entries = HashMap::with_capacity(rows.len());
        for (organization, offsets) in offsets {
            let Some(partition) = self.database.partition_of(organization).await? else { continue };
            let found = self.at(partition, offsets, true).await?;
            entries.extend(found.into_iter().map(|entry| (entry.id.0, (organization, entry))));
        }
        Ok(rows.iter().filter_map(|row| entries.remove(&row.event)).collect())
    }

    /// Streams entries that happened up to that at a position of the platform's partition, oldest first, in batches. The
    /// read model must have caught up with this position and with the heads of all other partitions.
    ///
    /// # Errors
    /// If the read model fails.
    pub async fn take_of_the_platform(
        self: &Arc<Self>,
        filter: &PlatformFilter,
        until: Position,
    ) -> Result<PlatformTaking, ViewError> {
        let offset = Value::Integer(until.offset.0 as i64);
        let last = self.views.row::<view::PlatformAuditLog>(until.partition, [("offset", offset)]).await?;
        let mut conditions = filter.conditions();
        // Times are stored in microseconds.
        let end = last.map(|last| last.occurred_at + SignedDuration::from_micros(1));
        conditions.extend(end.map(|end| Condition::Below("occurred_at", Value::Time(end))));
        let query =
            Query { is_everywhere: true, conditions, sort: IN_ORDER.to_vec(), limit: BATCH, ..Query::default() };
        Ok(PlatformTaking { log: Arc::clone(self), query, is_over: false })
    }
}

/// A stream of entries of the platform's audit trail for an export.
pub struct PlatformTaking {
    log: Arc<AuditLog>,
    query: Query,
    is_over: bool,
}

impl PlatformTaking {
    /// The next entries with their organizations; `None` after the last.
    ///
    /// # Errors
    /// If they cannot be read.
    pub async fn next(&mut self) -> Result<Option<Vec<(OrganizationId, Entry)>>, AuditLogError> {
        if self.is_over {
            return Ok(None);
        }
        let rows = self.log.views.rows::<view::PlatformAuditLog>(&self.query).await?;
        self.is_over = rows.len() < BATCH;
        self.query.after = rows.last().map(|last| vec![last.occurred_at.to_value(), last.event.to_value()]);
        Ok(Some(self.log.of_the_platform(&rows).await?))
    }
}
