//! The audit log for people: events, found through their view and told in words, with the names of those who appear.

mod asked;

use std::{collections::HashMap, sync::Arc};

use jiff::Timestamp;
use porttask_domain::{Actor, Meta, OrganizationId, Personal, UserId, compliance::export::Selection};
use porttask_projections::{
    ColumnType, Value,
    compliance::{
        audit_log as view,
        description::{Description, describe},
    },
    identity::user::Users,
};
use porttask_runtime::{
    ledger::Database,
    log::{EventId, LogError, Offset, PartitionId, Position, RecordedEvent},
    vault::{Vault, VaultError},
    views::{Condition, Query, ViewError, Views},
};
use uuid::Uuid;

use crate::identity::staff::StaffNumbers;

pub use self::asked::{Asked, AskedError};

/// How many entries are taken out at a time.
const BATCH: usize = 500;
/// The word for the operator and the platform itself, where an actor is asked for.
pub const PLATFORM: &str = "platform";

/// Reads entries.
pub struct AuditLog {
    database: Arc<dyn Database>,
    vault: Arc<Vault>,
    views: Arc<Views>,
    numbers: StaffNumbers,
}

/// Which entries: all that are as everything here says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// By whom; the nil id stands for the operator and the platform itself.
    pub actor: Option<Uuid>,
    /// Doing what: `user.role_changed`, or all that happens to users: `user`.
    pub action: Option<String>,
    /// To what: its number and its id.
    pub target: Option<(Uuid, String)>,
    /// Not before.
    pub from: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
    /// With these words.
    pub text: Option<String>,
}

/// An entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its place in the log.
    pub position: Position,
    /// The id of its event.
    pub id: EventId,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// Who did it, from where.
    pub meta: Meta,
    /// What happened.
    pub description: Description,
    /// Who did it, by name.
    pub actor: Option<Person>,
    /// The number of whoever did it, if it was staff of the platform, and not at home.
    pub number: Option<String>,
    /// Who did it in the actor's name.
    pub impersonator: Option<ByStaff>,
    /// To whom it happened, by name.
    pub target: Option<Person>,
}

/// Staff of the platform who acted in somebody's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByStaff {
    /// The number by which organizations see them.
    pub number: String,
    /// Their account, and how they are called now: for the platform's staff alone.
    pub account: Option<(UserId, Person)>,
}

/// How somebody is called now; nothing once they were erased.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Person {
    /// Their full name.
    pub name: Option<String>,
    /// Their mail address.
    pub email: Option<String>,
}

/// Why entries cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum AuditLogError {
    /// Their view.
    #[error(transparent)]
    View(#[from] ViewError),
    /// Their events.
    #[error(transparent)]
    Log(#[from] LogError),
    /// What is sealed in them.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

impl Filter {
    /// As it is recorded when what it chooses is taken out.
    pub fn recorded(&self, organization: OrganizationId) -> Selection {
        let actor = |id: Uuid| if id.is_nil() { PLATFORM.to_owned() } else { UserId(id).to_string() };
        Selection {
            actor: self.actor.map(actor),
            action: self.action.clone(),
            target: self.target.clone().map(|(_, id)| id),
            from: self.from,
            until: self.until,
            text: self.text.clone().map(|text| Personal::identity(organization, text)),
        }
    }

    /// As conditions on the view. The words are not among them.
    pub fn conditions(&self, organization: OrganizationId) -> Vec<Condition> {
        let mut conditions = vec![Condition::Equal("organization", organization.to_value())];
        conditions.extend(self.actor.map(|actor| Condition::Equal("actor", Value::Id(actor))));
        conditions.extend(self.target.iter().map(|(target, _)| Condition::Equal("target", Value::Id(*target))));
        match &self.action {
            Some(action) if action.contains('.') => {
                conditions.push(Condition::Equal("action", Value::Text(action.clone())));
            }
            // The names of what happens to a thing are those between its own with a dot and with what follows the dot.
            Some(thing) => conditions.extend([
                Condition::AtLeast("action", Value::Text(format!("{thing}."))),
                Condition::Below("action", Value::Text(format!("{thing}/"))),
            ]),
            None => {}
        }
        conditions.extend(self.from.map(|from| Condition::AtLeast("recorded_at", Value::Time(from))));
        conditions.extend(self.until.map(|until| Condition::Below("recorded_at", Value::Time(until))));
        conditions
    }
}

impl AuditLog {
    /// Of this log.
    ///
    /// # Errors
    /// If a key cannot be had.
    pub async fn open(database: Arc<dyn Database>, vault: Arc<Vault>, views: Arc<Views>) -> Result<Self, VaultError> {
        let numbers = StaffNumbers::open(&vault).await?;
        Ok(Self { database, vault, views, numbers })
    }

    /// The entries of these rows, in their order. All rows are of one organization, which lives in this partition. The
    /// platform's staff is named only to the platform's staff.
    ///
    /// # Errors
    /// If they cannot be read.
    pub async fn entries(
        &self,
        partition: PartitionId,
        rows: &[view::Entry],
        is_for_staff: bool,
    ) -> Result<Vec<Entry>, AuditLogError> {
        let offsets: Vec<Offset> = rows.iter().map(|row| Offset(row.offset)).collect();
        let mut events = HashMap::with_capacity(rows.len());
        // A page of the log may be shorter than asked for when events are large.
        while events.len() < offsets.len() {
            let missing: Vec<Offset> = offsets.iter().filter(|offset| !events.contains_key(*offset)).copied().collect();
            let found = self.database.read_at(partition, &missing).await?;
            if found.is_empty() {
                break;
            }
            events.extend(found.into_iter().map(|event| (event.position.offset, event)));
        }
        let events: Vec<RecordedEvent> = offsets.iter().filter_map(|offset| events.remove(offset)).collect();
        self.tell(partition, events, is_for_staff).await
    }

    /// Entries up to a place, the oldest first, a batch at a time. What is read must have come to this place.
    pub fn take(
        self: &Arc<Self>,
        organization: OrganizationId,
        filter: &Filter,
        until: Position,
        is_for_staff: bool,
    ) -> Taking {
        let mut conditions = filter.conditions(organization);
        conditions.push(Condition::Below("offset", Value::Integer(until.offset.0 as i64 + 1)));
        let (partition, text, sort) = (until.partition, filter.text.clone(), vec!["recorded_at", "offset"]);
        let query = Query { partition, conditions, text, sort, limit: BATCH, ..Query::default() };
        Taking { log: Arc::clone(self), query, is_for_staff, is_over: false }
    }

    async fn tell(
        &self,
        partition: PartitionId,
        events: Vec<RecordedEvent>,
        is_for_staff: bool,
    ) -> Result<Vec<Entry>, AuditLogError> {
        let Some(organization) = events.first().map(|event| event.stream.organization) else { return Ok(Vec::new()) };
        let domain_events = self.vault.domain_events(&events).await?;
        let metas = self.vault.metas(&events).await?;
        let mut entries = Vec::with_capacity(events.len());
        let mut people: HashMap<(OrganizationId, UserId), Option<Person>> = HashMap::new();
        for ((event, domain_event), mut meta) in events.iter().zip(&domain_events).zip(metas) {
            let is_by_staff =
                meta.impersonator.is_some() || actor_of(&meta).is_some_and(|(home, _)| home != organization);
            if !is_for_staff && is_by_staff {
                // From where the platform's staff works is no business of others.
                let Meta { actor, impersonator, request_id, .. } = meta;
                let session = meta.session.filter(|_| impersonator.is_some());
                meta = Meta { impersonator, session, request_id, ..Meta::by(actor) };
            }
            let subject = porttask_domain::uuid_of(event.stream.name.id()).unwrap_or_default();
            let description = describe(event.event_type.as_str(), subject, domain_event);
            people.extend(actor_of(&meta).map(|actor| (actor, None)));
            people.extend(staff_of(&meta).map(|staff| (staff, None)));
            people.extend(user_of(organization, &description).map(|target| (target, None)));
            let (position, id, recorded_at) = (event.position, event.id, event.recorded_at);
            let (actor, number, impersonator, target) = (None, None, None, None);
            entries.push(Entry { position, id, recorded_at, meta, description, actor, number, impersonator, target });
        }
        for (home, at) in [(organization, partition), (OrganizationId::PLATFORM, PartitionId::PLATFORM)] {
            if home == organization || is_for_staff {
                self.name(home, at, &mut people).await?;
            }
        }
        for entry in &mut entries {
            let named = |who| people.get(&who).cloned().flatten();
            let actor = actor_of(&entry.meta);
            entry.actor = actor.and_then(named);
            let (numbers, guest) = (&self.numbers, actor.filter(|(home, _)| *home != organization));
            entry.number = guest.map(|(_, user)| numbers.of(user));
            entry.impersonator = staff_of(&entry.meta).map(|staff| ByStaff {
                number: numbers.of(staff.1),
                account: is_for_staff.then(|| (staff.1, named(staff).unwrap_or_default())),
            });
            entry.target = user_of(organization, &entry.description).and_then(named);
        }
        Ok(entries)
    }

    /// Says who the people of one organization are.
    async fn name(
        &self,
        home: OrganizationId,
        partition: PartitionId,
        people: &mut HashMap<(OrganizationId, UserId), Option<Person>>,
    ) -> Result<(), AuditLogError> {
        let wanted: Vec<Value> =
            people.keys().filter(|(at, _)| *at == home).map(|(_, user)| Value::Id(user.0)).collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let limit = wanted.len();
        let conditions = vec![Condition::Equal("organization", home.to_value()), Condition::OneOf("user", wanted)];
        for row in self.views.rows::<Users>(&Query { partition, conditions, limit, ..Query::default() }).await? {
            people.insert((home, row.user), Some(Person { name: row.name, email: row.email }));
        }
        Ok(())
    }
}

/// Entries on their way out.
pub struct Taking {
    log: Arc<AuditLog>,
    query: Query,
    is_for_staff: bool,
    is_over: bool,
}

impl Taking {
    /// The next entries; `None` after the last.
    ///
    /// # Errors
    /// If they cannot be read.
    pub async fn next(&mut self) -> Result<Option<Vec<Entry>>, AuditLogError> {
        if self.is_over {
            return Ok(None);
        }
        let rows = self.log.views.rows::<view::AuditLog>(&self.query).await?;
        self.is_over = rows.len() < BATCH;
        self.query.after = rows.last().map(|last| vec![last.recorded_at.to_value(), last.offset.to_value()]);
        self.log.entries(self.query.partition, &rows, self.is_for_staff).await.map(Some)
    }
}

/// The account that acted.
fn actor_of(meta: &Meta) -> Option<(OrganizationId, UserId)> {
    match meta.actor {
        Actor::User { organization, user } => Some((organization, user)),
        Actor::ApiKey { .. } | Actor::Operator | Actor::System | Actor::Anonymous => None,
    }
}

/// The account of staff of the platform that acted in somebody's name.
fn staff_of(meta: &Meta) -> Option<(OrganizationId, UserId)> {
    meta.impersonator.map(|staff| (OrganizationId::PLATFORM, staff.user))
}

/// The account to which something happened.
fn user_of(organization: OrganizationId, description: &Description) -> Option<(OrganizationId, UserId)> {
    description.target.id.parse().ok().map(|user| (organization, user))
}
