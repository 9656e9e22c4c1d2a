//! Human-readable audit log entries: events found with the read model, described, with the names of the people
//! involved.

mod asked;
mod platform;

use std::{collections::HashMap, net::IpAddr, sync::Arc};

use jiff::Timestamp;
use porttask_domain::{Actor, Meta, OrganizationId, Personal, SessionId, UserId, compliance::export::Selection};
use porttask_projections::{
    ColumnType, Times, Value,
    compliance::{
        audit_log as view,
        description::{Description, describe},
    },
    identity::user::Users,
};
use porttask_runtime::{
    ledger::Database,
    log::{EventId, LogError, Offset, PartitionId, Position, RecordedEvent, StreamId, Version},
    vault::{Vault, VaultError},
    views::{Condition, Query, ViewError, Views},
};
use uuid::Uuid;

use crate::identity::staff::StaffNumbers;

pub use self::{
    asked::{Asked, AskedError},
    platform::{PlatformAsked, PlatformFilter, PlatformTaking},
};

/// Entries per batch of an export.
const BATCH: usize = 500;
/// The filter value for the operator and the platform itself as actor.
pub const PLATFORM: &str = "platform";

/// Reads audit log entries.
pub struct AuditLog {
    database: Arc<dyn Database>,
    vault: Arc<Vault>,
    views: Arc<Views>,
    numbers: StaffNumbers,
}

/// A filter: entries must match all fields that are set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Who acted; the nil id stands for the operator and the platform itself.
    pub actor: Option<Uuid>,
    /// What they did: `user.role_changed`, or `user` for all events of users.
    pub action: Option<String>,
    /// What they did it to: its UUID and its public id.
    pub target: Option<(Uuid, String)>,
    /// Happened at or after this time.
    pub from: Option<Timestamp>,
    /// Happened before this time.
    pub until: Option<Timestamp>,
    /// Search words.
    pub text: Option<String>,
    /// In this session.
    pub session: Option<SessionId>,
    /// In the request with this id.
    pub request: Option<String>,
    /// From this IP address, which no index has, because it is personal: entries are compared one by one.
    pub ip: Option<IpAddr>,
}

/// The conditions for an action, or for all actions of a category.
pub fn on_action(action: &str) -> Vec<Condition> {
    if action.contains('.') {
        return vec![Condition::Equal("action", Value::Text(action.to_owned()))];
    }
    // All actions of a category are between `category.` and `category/`: `/` follows `.` in ASCII.
    let bound = |end: char| Value::Text(format!("{action}{end}"));
    vec![Condition::AtLeast("action", bound('.')), Condition::Below("action", bound('/'))]
}

/// An audit log entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its position in the log.
    pub position: Position,
    /// The id of its event.
    pub id: EventId,
    /// When it happened: the time of its event.
    pub occurred_at: Timestamp,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// Who acted, and from where.
    pub meta: Meta,
    /// What happened, in words.
    pub description: Description,
    /// The user who acted, by name.
    pub actor: Option<Person>,
    /// The staff number of the actor, if a member of the platform's staff acted in another organization.
    pub number: Option<String>,
    /// The staff member who acted on behalf of the actor.
    pub impersonator: Option<ByStaff>,
    /// The user who was the target, by name.
    pub target: Option<Person>,
}

/// A member of the platform's staff who impersonated a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByStaff {
    /// The staff number that organizations see.
    pub number: String,
    /// Their account and current name: only for readers from the platform's staff.
    pub account: Option<(UserId, Person)>,
}

/// The current name and email address of a user; empty once erased.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Person {
    /// Their full name.
    pub name: Option<String>,
    /// Their email address.
    pub email: Option<String>,
}

/// Why entries cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum AuditLogError {
    /// The read model failed.
    #[error(transparent)]
    View(#[from] ViewError),
    /// Their events could not be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Personal data could not be decrypted.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

impl Entry {
    /// Who acted, in a few words: a name or number, and the member of the platform's staff who acted on behalf of them.
    pub fn actor_in_words(&self) -> String {
        let staff = |number: &str| format!("PortTask staff {number}");
        let actor = match (&self.meta.actor, &self.number) {
            (Actor::User { .. }, Some(number)) => staff(number),
            (Actor::User { user, .. }, None) => {
                let name = self.actor.as_ref().and_then(|person| person.name.clone());
                name.unwrap_or_else(|| user.to_string())
            }
            (Actor::ApiKey { key, .. }, _) => key.to_string(),
            (Actor::Operator, _) => "operator".to_owned(),
            (Actor::System, _) => "system".to_owned(),
            (Actor::Anonymous, _) => "anonymous".to_owned(),
        };
        match &self.impersonator {
            Some(by) => format!("{} on behalf of {actor}", staff(&by.number)),
            None => actor,
        }
    }
}

impl Filter {
    /// The filter as recorded with an export.
    pub fn recorded(&self, organization: OrganizationId) -> Selection {
        let actor = |id: Uuid| if id.is_nil() { PLATFORM.to_owned() } else { UserId(id).to_string() };
        Selection {
            actor: self.actor.map(actor),
            action: self.action.clone(),
            target: self.target.clone().map(|(_, id)| id),
            from: self.from,
            until: self.until,
            text: self.text.clone().map(|text| Personal::identity(organization, text)),
            session: self.session,
            request: self.request.clone(),
            ip: self.ip.map(|ip| Personal::identity(organization, ip.to_string())),
        }
    }

    /// Whether an entry is from the IP address of the filter.
    pub fn is_from(&self, entry: &Entry) -> bool {
        let shown = || entry.meta.ip.as_ref().and_then(Personal::value)?.parse().ok();
        self.ip.is_none_or(|ip| shown() == Some(ip))
    }

    /// The conditions on the read model, without the search words and the IP address.
    pub fn conditions(&self, organization: OrganizationId) -> Vec<Condition> {
        let mut conditions = vec![Condition::Equal("organization", organization.to_value())];
        conditions.extend(self.actor.map(|actor| Condition::Equal("actor", Value::Id(actor))));
        conditions.extend(self.target.iter().map(|(target, _)| Condition::Equal("target", Value::Id(*target))));
        conditions.extend(self.action.iter().flat_map(|action| on_action(action)));
        conditions.extend(self.session.map(|session| Condition::Equal("session", Value::Id(session.0))));
        conditions.extend(self.request.iter().map(|id| Condition::Equal("request", Value::Text(id.clone()))));
        conditions.extend(self.from.map(|from| Condition::AtLeast("occurred_at", Value::Time(from))));
        conditions.extend(self.until.map(|until| Condition::Below("occurred_at", Value::Time(until))));
        conditions
    }
}

impl AuditLog {
    /// Opens the audit log.
    ///
    /// # Errors
    /// If a key is unavailable.
    pub async fn open(database: Arc<dyn Database>, vault: Arc<Vault>, views: Arc<Views>) -> Result<Self, VaultError> {
        let numbers = StaffNumbers::open(&vault).await?;
        Ok(Self { database, vault, views, numbers })
    }

    /// The entries of these rows, in order. All rows must belong to one organization, in this partition. The platform's
    /// staff is named only to readers from the platform's staff.
    ///
    /// # Errors
    /// If they cannot be read.
    pub async fn entries(
        &self,
        partition: PartitionId,
        rows: &[view::Entry],
        is_for_staff: bool,
    ) -> Result<Vec<Entry>, AuditLogError> {
        self.at(partition, rows.iter().map(|row| Offset(row.offset)).collect(), is_for_staff).await
    }

    /// The entry of the event that made this version of an aggregate; `None` if there is none.
    ///
    /// # Errors
    /// If it cannot be read.
    pub async fn of_version(
        &self,
        stream: &StreamId,
        version: Version,
        is_for_staff: bool,
    ) -> Result<Option<Entry>, AuditLogError> {
        let Some(before) = version.0.checked_sub(1) else { return Ok(None) };
        let events = self.database.read_stream(stream, Version(before), 1).await?;
        let Some(partition) = events.first().map(|event| event.position.partition) else { return Ok(None) };
        Ok(self.tell(partition, events, is_for_staff).await?.pop())
    }

    async fn at(
        &self,
        partition: PartitionId,
        offsets: Vec<Offset>,
        is_for_staff: bool,
    ) -> Result<Vec<Entry>, AuditLogError> {
        let mut events = HashMap::with_capacity(offsets.len());
        // The log may return fewer events than requested when they are large.
        while events.len() < offsets.len() {
            let missing: Vec<Offset> = offsets.iter().filter(|offset| !events.contains_key(*offset)).copied().collect();
            let found = self.database.read_at(partition, &missing).await?;
            if found.is_empty() {
                break;
            }
            events.extend(found.into_iter().map(|event| (event.position.offset, event)));
        }
        // The read model names only events that were recorded.
        if let Some(offset) = offsets.iter().find(|offset| !events.contains_key(*offset)) {
            let position = Position { partition, offset: *offset };
            return Err(LogError::Damaged(format!("the event at {position} is missing")).into());
        }
        let events: Vec<RecordedEvent> = offsets.iter().filter_map(|offset| events.remove(offset)).collect();
        self.tell(partition, events, is_for_staff).await
    }

    /// Streams entries up to a position, oldest first, in batches. The read model must have caught up to this position.
    pub fn take(
        self: &Arc<Self>,
        organization: OrganizationId,
        filter: &Filter,
        until: Position,
        is_for_staff: bool,
    ) -> Taking {
        let mut conditions = filter.conditions(organization);
        conditions.push(Condition::Below("offset", Value::Integer(until.offset.0 as i64 + 1)));
        let (partition, text, sort) = (until.partition, filter.text.clone(), vec!["offset"]);
        let query = Query { partition, conditions, text, sort, limit: BATCH, ..Query::default() };
        Taking { log: Arc::clone(self), query, filter: filter.clone(), is_for_staff, is_over: false }
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
            let occurred_at = Times::new(event.recorded_at, meta.occurred_at).time();
            let is_by_staff = meta.impersonator.is_some() || home_of(&meta).is_some_and(|home| home != organization);
            if !is_for_staff && is_by_staff {
                // IP addresses and user agents of the platform's staff and keys are not disclosed to organizations.
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
            entries.push(Entry {
                position,
                id,
                occurred_at,
                recorded_at,
                meta,
                description,
                actor,
                number,
                impersonator,
                target,
            });
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

    /// Looks up the names of users of one organization.
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

/// A stream of entries for an export.
pub struct Taking {
    log: Arc<AuditLog>,
    query: Query,
    filter: Filter,
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
        self.query.after = rows.last().map(|last| vec![last.offset.to_value()]);
        let mut entries = self.log.entries(self.query.partition, &rows, self.is_for_staff).await?;
        entries.retain(|entry| self.filter.is_from(entry));
        Ok(Some(entries))
    }
}

/// The organization of the account or key that acted.
fn home_of(meta: &Meta) -> Option<OrganizationId> {
    match meta.actor {
        Actor::User { organization, .. } | Actor::ApiKey { organization, .. } => Some(organization),
        Actor::Operator | Actor::System | Actor::Anonymous => None,
    }
}

/// The account that acted.
fn actor_of(meta: &Meta) -> Option<(OrganizationId, UserId)> {
    match meta.actor {
        Actor::User { organization, user } => Some((organization, user)),
        Actor::ApiKey { .. } | Actor::Operator | Actor::System | Actor::Anonymous => None,
    }
}

/// The account of the staff member who impersonated the actor.
fn staff_of(meta: &Meta) -> Option<(OrganizationId, UserId)> {
    meta.impersonator.map(|staff| (OrganizationId::PLATFORM, staff.user))
}

/// The account that was the target.
fn user_of(organization: OrganizationId, description: &Description) -> Option<(OrganizationId, UserId)> {
    description.target.id.parse().ok().map(|user| (organization, user))
}
