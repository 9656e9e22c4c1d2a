//! The API keys of an organization.

use std::collections::BTreeSet;

use jiff::Timestamp;
use porttask_domain::{
    ApiKeyId, OrganizationId, TextEnum, UserId,
    identity::{
        Access, Permissions,
        api_key::{Creation, Event, Grant, KeyScope},
    },
};

use crate::{
    Change, Index, ReadModel, Recorded,
    audit_text::{DescriptionSink, DisplayValue, permission_groups},
    id_columns, row,
};

id_columns!(ApiKeyId);

row! {
    /// An API key.
    pub struct ApiKey {
        key {
            /// The organization that it belongs to.
            organization: OrganizationId,
            /// Its id.
            key: ApiKeyId,
        }
        row {
            /// Its purpose in a few words; `None` once it was erased.
            name: Option<String>,
            /// The user on whose behalf it acts.
            owner: UserId,
            /// Access to tickets; none for a key of the platform.
            tickets: Access,
            /// Access to invoices; none for a key of the platform.
            invoices: Access,
            /// Access to reports; none for a key of the platform.
            reports: Access,
            /// Access to administration; none for a key of the platform.
            administration: Access,
            /// The scopes, separated by spaces; empty if it has none.
            scopes: String,
            /// The networks from which it is accepted, separated by spaces; empty means everywhere.
            networks: String,
            /// When it was created.
            created_at: Timestamp,
            /// When it expires.
            expires_at: Option<Timestamp>,
            /// When its secret was last rotated.
            rotated_at: Option<Timestamp>,
            /// Until when the previous secret stays valid.
            former_until: Option<Timestamp>,
            /// When it was revoked.
            revoked_at: Option<Timestamp>,
            /// Its version.
            version: u64,
        }
    }
}

/// Which programs have access to an organization, and on whose behalf?
pub struct ApiKeys;

impl ReadModel for ApiKeys {
    const NAME: &'static str = "api_keys";
    const VERSION: u32 = 2;
    const INDEXES: &'static [Index] = &[
        Index { name: "by_age", columns: &["organization", "created_at", "key"] },
        Index { name: "by_owner", columns: &["organization", "owner", "created_at", "key"] },
    ];
    type Source = Event;
    type Row = ApiKey;

    fn project(row: Option<ApiKey>, event: &Event, recorded: &Recorded) -> Change<ApiKey> {
        let (version, now) = (recorded.version, recorded.time());
        if let Some(Creation { owner, name, grant, networks, expires_at }) = event.creation() {
            let Permissions { tickets, invoices, reports, administration } = permissions(grant);
            return Change::Put(ApiKey {
                organization: recorded.organization,
                key: ApiKeyId(recorded.subject),
                name: name.map(str::to_owned),
                owner,
                tickets,
                invoices,
                reports,
                administration,
                scopes: scopes(grant),
                networks: networks.join(" "),
                created_at: now,
                expires_at,
                rotated_at: None,
                former_until: None,
                revoked_at: None,
                version,
            });
        }
        let Some(row) = row else { return Change::Keep };
        let row = match event {
            Event::CreatedV1 { .. } | Event::Created { .. } => row,
            Event::Rotated { former_until } => {
                ApiKey { rotated_at: Some(now), former_until: Some(*former_until), ..row }
            }
            Event::Revoked {} => ApiKey { revoked_at: Some(now), ..row },
            Event::Adopted { to, .. } => ApiKey { owner: *to, ..row },
        };
        Change::Put(ApiKey { version, ..row })
    }
}

fn permissions(grant: &Grant) -> Permissions {
    match grant {
        Grant::Permissions(permissions) | Grant::PermissionsAndScopes { permissions, .. } => *permissions,
        Grant::Scopes(_) => Permissions::NONE,
    }
}

fn scopes(grant: &Grant) -> String {
    let none = BTreeSet::new();
    let scopes = match grant {
        Grant::Permissions(_) => &none,
        Grant::Scopes(scopes) | Grant::PermissionsAndScopes { scopes, .. } => scopes,
    };
    scopes.iter().map(KeyScope::as_str).collect::<Vec<_>>().join(" ")
}

/// Describes an event for the audit log.
pub(crate) fn describe(event: &Event, sink: &mut dyn DescriptionSink) {
    match event {
        Event::CreatedV1 { name, .. } => creation(event, DisplayValue::Text(name), sink),
        Event::Created { name, .. } => creation(event, DisplayValue::Personal(name), sink),
        Event::Rotated { former_until } => {
            sink.words("rotated the API key");
            sink.change("former_secret_until", None, Some(DisplayValue::Filtered(former_until)));
        }
        Event::Revoked {} => sink.words("revoked the API key"),
        Event::Adopted { from, to } => {
            sink.words("adopted the API key");
            sink.change("owner", Some(DisplayValue::Filtered(from)), Some(DisplayValue::Filtered(to)));
        }
    }
}

fn creation(event: &Event, name: DisplayValue<'_>, sink: &mut dyn DescriptionSink) {
    let Some(Creation { owner, grant, networks, expires_at, .. }) = event.creation() else { return };
    sink.words("created the API key ");
    sink.value(name);
    sink.change("name", None, Some(name));
    sink.change("owner", None, Some(DisplayValue::Filtered(&owner)));
    let (permissions, scopes) = match grant {
        Grant::Permissions(permissions) => (Some(permissions), None),
        Grant::PermissionsAndScopes { permissions, scopes } => (Some(permissions), Some(scopes)),
        Grant::Scopes(scopes) => (None, Some(scopes)),
    };
    for (field, access) in permissions.into_iter().flat_map(permission_groups) {
        sink.change(field, None, Some(DisplayValue::Text(access)));
    }
    for scope in scopes.into_iter().flatten() {
        sink.change("scope", None, Some(DisplayValue::Text(scope.as_str())));
    }
    for network in networks {
        sink.change("network", None, Some(DisplayValue::Text(network)));
    }
    if let Some(expires_at) = &expires_at {
        sink.change("expires_at", None, Some(DisplayValue::Filtered(expires_at)));
    }
}
