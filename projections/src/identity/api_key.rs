//! Keys by which programs work.

use std::collections::BTreeSet;

use jiff::Timestamp;
use porttask_domain::{
    ApiKeyId, Fact, OrganizationId, UserId,
    identity::{
        Access, Permissions,
        api_key::{Event, Grant, KeyScope},
    },
};

use crate::{Change, Index, Key, ReadModel, Recorded, Value, row, words::Word};

row! {
    /// An API key.
    pub struct ApiKey {
        key {
            /// Where it is good.
            organization: OrganizationId,
            /// Its id.
            key: ApiKeyId,
        }
        row {
            /// What it is for.
            name: String,
            /// In whose name it works.
            maker: UserId,
            /// Access to tickets; none for a key of the platform.
            tickets: Access,
            /// Access to invoices; none for a key of the platform.
            invoices: Access,
            /// Access to reports; none for a key of the platform.
            reports: Access,
            /// Access to administration; none for a key of the platform.
            administration: Access,
            /// What a key of the platform may, separated by blanks; empty for others.
            scopes: String,
            /// From where it is accepted, separated by blanks; empty is everywhere.
            networks: String,
            /// When it was made.
            created_at: Timestamp,
            /// When it ends.
            expires_at: Option<Timestamp>,
            /// When it was given its present secret.
            rotated_at: Option<Timestamp>,
            /// Until when the secret before that is accepted.
            former_until: Option<Timestamp>,
            /// When it was revoked.
            revoked_at: Option<Timestamp>,
            /// Its version.
            version: u64,
        }
    }
}

/// Which programs have access to an organization, and in whose name?
pub struct ApiKeys;

impl ReadModel for ApiKeys {
    const NAME: &'static str = "api_keys";
    const VERSION: u32 = 1;
    const INDEXES: &'static [Index] = &[
        Index { name: "by_age", columns: &["organization", "created_at", "key"] },
        Index { name: "by_maker", columns: &["organization", "maker", "created_at", "key"] },
    ];
    type Row = ApiKey;

    fn keys(recorded: &Recorded) -> Vec<Key> {
        match &recorded.fact {
            Fact::ApiKey(_) => vec![vec![Value::Id(recorded.organization.0), Value::Id(recorded.subject)]],
            Fact::Organization(_)
            | Fact::User(_)
            | Fact::Session(_)
            | Fact::Mailbox(_)
            | Fact::Refusal(_)
            | Fact::Reading(_)
            | Fact::Export(_) => Vec::new(),
        }
    }

    fn project(row: Option<ApiKey>, recorded: &Recorded) -> Change<ApiKey> {
        let Fact::ApiKey(event) = &recorded.fact else { return Change::Keep };
        let (version, now) = (recorded.version, recorded.recorded_at);
        if let Event::Created { maker, name, grant, networks, expires_at } = event {
            let Permissions { tickets, invoices, reports, administration } = permissions(grant);
            return Change::Put(ApiKey {
                organization: recorded.organization,
                key: ApiKeyId(recorded.subject),
                name: name.clone(),
                maker: *maker,
                tickets,
                invoices,
                reports,
                administration,
                scopes: scopes(grant),
                networks: networks.join(" "),
                created_at: now,
                expires_at: *expires_at,
                rotated_at: None,
                former_until: None,
                revoked_at: None,
                version,
            });
        }
        let Some(row) = row else { return Change::Keep };
        let row = match event {
            Event::Created { .. } => row,
            Event::Rotated { former_until } => {
                ApiKey { rotated_at: Some(now), former_until: Some(*former_until), ..row }
            }
            Event::Revoked {} => ApiKey { revoked_at: Some(now), ..row },
            Event::Adopted { to, .. } => ApiKey { maker: *to, ..row },
        };
        Change::Put(ApiKey { version, ..row })
    }
}

fn permissions(grant: &Grant) -> Permissions {
    match grant {
        Grant::Permissions(permissions) => *permissions,
        Grant::Scopes(_) => Permissions::NONE,
    }
}

fn scopes(grant: &Grant) -> String {
    let none = BTreeSet::new();
    let scopes = match grant {
        Grant::Permissions(_) => &none,
        Grant::Scopes(scopes) => scopes,
    };
    scopes.iter().map(KeyScope::word).collect::<Vec<_>>().join(" ")
}
