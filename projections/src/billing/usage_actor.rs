//! Who used how much on a day.

use porttask_domain::{Actor, OrganizationId, operations::port_call::Event};

use super::usage::day_of;
use crate::{Change, Index, Key, ReadModel, Recorded, Value, row};

row! {
    /// What a user or an API key used on a day, in UTC.
    pub struct UsageActor {
        key {
            /// The organization.
            organization: OrganizationId,
            /// The date: `2026-11-27`.
            day: String,
            /// The id of the user or of the API key.
            actor: String,
        }
        row {
            /// Port calls created.
            port_calls: u64,
        }
    }
}

/// Who used how much on which day?
pub struct UsageActors;

impl ReadModel for UsageActors {
    const NAME: &'static str = "usage_actors";
    const VERSION: u32 = 1;
    const INDEXES: &'static [Index] = &[Index { name: "by_day", columns: &["organization", "day", "actor"] }];
    type Source = Event;
    type Row = UsageActor;

    fn keys(event: &Event, recorded: &Recorded) -> Vec<Key> {
        let Event::Created { .. } = event else { return Vec::new() };
        let Some(actor) = actor_of(recorded) else { return Vec::new() };
        let (organization, day) = (recorded.organization.0, day_of(recorded.time()));
        vec![vec![Value::Id(organization), Value::Text(day), Value::Text(actor)]]
    }

    fn project(row: Option<UsageActor>, _: &Event, recorded: &Recorded) -> Change<UsageActor> {
        let (organization, day) = (recorded.organization, day_of(recorded.time()));
        let Some(actor) = actor_of(recorded) else { return Change::Keep };
        let row = row.unwrap_or(UsageActor { organization, day, actor, port_calls: 0 });
        Change::Put(UsageActor { port_calls: row.port_calls + 1, ..row })
    }
}

/// The user or API key of the organization that acted.
fn actor_of(recorded: &Recorded) -> Option<String> {
    match recorded.actor {
        Actor::User { organization, user } if organization == recorded.organization => Some(user.to_string()),
        Actor::ApiKey { organization, key } if organization == recorded.organization => Some(key.to_string()),
        Actor::User { .. } | Actor::ApiKey { .. } | Actor::Operator | Actor::System | Actor::Anonymous => None,
    }
}
