//! API keys in responses, without their secrets.

use jiff::Timestamp;
use porttask_app::identity::credential_activity::LastUse;
use porttask_domain::{
    ApiKeyId, OrganizationId, TextEnum, UserId,
    identity::{Permissions, api_key::KeyScope},
};
use porttask_projections::{ColumnType, identity::api_key as view};
use porttask_runtime::views::Condition;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::http::{
    app::App,
    listing::{Page, Sort},
    problem::Problem,
    request::Listed,
};

/// An API key, without its secret.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ApiKey)]
pub(crate) struct ApiKeyResponse {
    id: ApiKeyId,
    organization: OrganizationId,
    /// Null once it was erased.
    name: Option<String>,
    /// The user on whose behalf the key acts, within the user's permissions. Rejected while the user is not active.
    owner: UserId,
    /// The permissions of the key; null for a key of the platform.
    permissions: Option<Permissions>,
    /// The scopes: of a key of the platform in all organizations, of a key of an organization there.
    scopes: Vec<KeyScope>,
    /// The networks from which it is accepted; empty means everywhere.
    networks: Vec<String>,
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
    /// When it was last rotated; null if never.
    rotated_at: Option<Timestamp>,
    /// Until when the former secret is accepted.
    former_secret_until: Option<Timestamp>,
    revoked_at: Option<Timestamp>,
    /// When it was last used, to the minute; null if never.
    last_used_at: Option<Timestamp>,
    /// The IP address from which it was last used; null if it is not known.
    #[schema(example = "203.0.113.7")]
    last_used_ip: Option<String>,
    /// The version: the ETag.
    version: u64,
}

/// A page of API keys.
pub(super) type ApiKeyPage = Page<ApiKeyResponse>;

impl From<view::ApiKey> for ApiKeyResponse {
    fn from(row: view::ApiKey) -> Self {
        let view::ApiKey { tickets, invoices, reports, administration, .. } = row;
        let permissions = Permissions { tickets, invoices, reports, administration };
        Self {
            id: row.key,
            organization: row.organization,
            name: row.name,
            owner: row.owner,
            permissions: (row.organization != OrganizationId::PLATFORM).then_some(permissions),
            scopes: row.scopes.split_ascii_whitespace().filter_map(KeyScope::from_text).collect(),
            networks: row.networks.split_ascii_whitespace().map(str::to_owned).collect(),
            created_at: row.created_at,
            expires_at: row.expires_at,
            rotated_at: row.rotated_at,
            former_secret_until: row.former_until,
            revoked_at: row.revoked_at,
            last_used_at: None,
            last_used_ip: None,
            version: row.version,
        }
    }
}

/// Filters of API keys.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct ApiKeyFilter {
    /// Only keys of this owner.
    owner: Option<UserId>,
}

impl Listed for view::ApiKeys {
    type Item = ApiKeyResponse;
    type Filter = ApiKeyFilter;
    const SORTS: &'static [Sort] = &[("created_at", &["created_at", "key"])];

    fn conditions(ApiKeyFilter { owner }: ApiKeyFilter) -> Result<Vec<Condition>, Problem> {
        Ok(owner.map(|owner| Condition::Equal("owner", owner.to_value())).into_iter().collect())
    }

    /// Adds their last use.
    async fn complete(
        app: &App,
        organization: OrganizationId,
        keys: Vec<ApiKeyResponse>,
    ) -> Result<Vec<ApiKeyResponse>, Problem> {
        let ids: Vec<_> = keys.iter().map(|key| key.id.0).collect();
        let mut uses = app.activity.of(organization, &ids).await.map_err(|error| Problem::unavailable(&error))?;
        let with_use = |key: ApiKeyResponse| match uses.remove(&key.id.0) {
            Some(LastUse { at, ip }) => ApiKeyResponse { last_used_at: Some(at), last_used_ip: ip, ..key },
            None => key,
        };
        Ok(keys.into_iter().map(with_use).collect())
    }
}
