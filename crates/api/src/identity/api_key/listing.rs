//! API keys as they are shown, without their secrets.

use std::time::Duration;

use axum::{
    Json,
    extract::{Path, Query, State},
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use porttask_app::identity::credential_activity::LastUse;
use porttask_domain::{ApiKeyId, OrganizationId, UserId, identity::Permissions};
use porttask_projections::{ColumnType, ReadModel, identity::api_key as view};
use porttask_runtime::views::{self, Condition};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{MOST, key_in};
use crate::{
    http::{
        app::App,
        listing::{Asked, Listing, Page, Sort},
        permissions::{Impersonable, Permission, ReadKeys},
        problem::Problem,
        request::Authorized,
        response::etag,
    },
    identity::{schema, user::user_in},
};

const SORTS: &[Sort] = &[("created_at", &["created_at", "key"])];
/// How long it may take until the list of keys has come to now.
const PATIENCE: Duration = Duration::from_secs(2);

/// An API key, without its secret.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ApiKey)]
pub(crate) struct Shown {
    #[schema(value_type = String, example = "key_01h455vb4pex5vsknk084sn02q")]
    id: ApiKeyId,
    #[schema(value_type = String)]
    organization: OrganizationId,
    name: String,
    /// In whose name it works. It may what both may; if they are not active, nothing.
    #[schema(value_type = String)]
    owner: UserId,
    /// What it may at most; null for a key of the platform.
    #[schema(value_type = Option<schema::Permissions>)]
    permissions: Option<Permissions>,
    /// What it may in all organizations; empty for others than keys of the platform.
    #[schema(value_type = Vec<schema::KeyScope>)]
    scopes: Vec<String>,
    /// From where it is accepted; empty is everywhere.
    networks: Vec<String>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    /// When it was given its present secret; null if it has its first.
    #[schema(value_type = Option<String>, format = DateTime)]
    rotated_at: Option<Timestamp>,
    /// Until when the secret before that is accepted.
    #[schema(value_type = Option<String>, format = DateTime)]
    former_secret_until: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    revoked_at: Option<Timestamp>,
    /// When it was last used, to the minute; null if it never was.
    #[schema(value_type = Option<String>, format = DateTime)]
    last_used_at: Option<Timestamp>,
    /// The address from which it was last used; null if it is not known.
    #[schema(example = "203.0.113.7")]
    last_used_ip: Option<String>,
    /// The version: the ETag.
    version: u64,
}

impl From<view::ApiKey> for Shown {
    fn from(row: view::ApiKey) -> Self {
        let view::ApiKey { tickets, invoices, reports, administration, .. } = row;
        let list = |text: &str| text.split_ascii_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let permissions = Permissions { tickets, invoices, reports, administration };
        Self {
            id: row.key,
            organization: row.organization,
            name: row.name,
            owner: row.owner,
            permissions: row.scopes.is_empty().then_some(permissions),
            scopes: list(&row.scopes),
            networks: list(&row.networks),
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

/// Which keys.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct KeyFilter {
    /// Only those in this user's name.
    owner: Option<String>,
    /// `created_at`, or `-created_at`: the latest first.
    #[param(pattern = "^-?created_at$")]
    sort: Option<String>,
    /// The most rows: 1 to 200, otherwise 50.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
    /// Where the page begins: `next_cursor` of the page before.
    cursor: Option<String>,
}

/// List API keys.
///
/// Needs `api_keys:read`.
#[utoipa::path(get, path = "/v1/organizations/{org}/api-keys", tag = "API keys", operation_id = "list_api_keys", extensions(("x-impersonable" = json!(true))),
    params(("org" = String, Path), KeyFilter), responses((status = 200, body = Page<Shown>)))]
pub(crate) async fn list_api_keys(
    State(app): State<App>,
    caller: Authorized<Impersonable<ReadKeys>>,
    filter: Result<Query<KeyFilter>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<Page<Shown>>, Problem> {
    let Query(filter) = filter.map_err(|error| Problem::invalid("query", error.body_text()))?;
    caller.catch_up(&app, view::ApiKeys::NAME).await?;
    let mut conditions = vec![Condition::Equal("organization", caller.organization.to_value())];
    if let Some(owner) = &filter.owner {
        let owner: UserId = owner.parse().map_err(|_| Problem::invalid("owner", "must be the id of a user: usr_…"))?;
        conditions.push(Condition::Equal("owner", owner.to_value()));
    }
    let KeyFilter { sort, limit, cursor, .. } = &filter;
    let asked = Asked { sort: sort.as_deref(), limit: *limit, cursor: cursor.as_deref(), text: None };
    let place = (caller.organization, vec![caller.partition]);
    let listing = Listing::new::<view::ApiKeys>(&app, place, conditions, SORTS, &asked)?;
    let Page { items, next_cursor } = listing.page::<view::ApiKeys, Shown>(&app).await?;
    Ok(Json(Page { items: with_uses(&app, caller.organization, items).await?, next_cursor }))
}

/// Show an API key.
///
/// Its secret is not shown again. Needs `api_keys:read`.
#[utoipa::path(get, path = "/v1/organizations/{org}/api-keys/{key}", tag = "API keys", operation_id = "get_api_key", extensions(("x-impersonable" = json!(true))),
    params(("org" = String, Path), ("key" = String, Path)), responses((status = 200, body = Shown)))]
pub(crate) async fn get_api_key(
    State(app): State<App>,
    caller: Authorized<Impersonable<ReadKeys>>,
    Path((_, key)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let key = key_in(&key)?;
    caller.catch_up(&app, view::ApiKeys::NAME).await?;
    let conditions = vec![Condition::Equal("key", key.to_value())];
    let row = rows(&app, &caller, conditions, 1).await?.pop().ok_or_else(|| Problem::not_found("api-key"))?;
    let headers: HeaderMap = etag(row.version).map(|tag| (header::ETAG, tag)).into_iter().collect();
    let shown = with_uses(&app, caller.organization, vec![row.into()]).await?.pop();
    Ok((headers, Json(shown)).into_response())
}

/// The same keys, with when they were last used.
async fn with_uses(app: &App, organization: OrganizationId, keys: Vec<Shown>) -> Result<Vec<Shown>, Problem> {
    let ids: Vec<_> = keys.iter().map(|key| key.id.0).collect();
    let mut uses = app.activity.of(organization, &ids).await.map_err(|error| Problem::unavailable(&error))?;
    let with_use = |key: Shown| match uses.remove(&key.id.0) {
        Some(LastUse { at, ip }) => Shown { last_used_at: Some(at), last_used_ip: ip, ..key },
        None => key,
    };
    Ok(keys.into_iter().map(with_use).collect())
}

/// The keys that stop when a user is locked out.
pub(crate) async fn in_the_name_of<R: Permission>(
    app: &App,
    caller: &Authorized<R>,
    user: &str,
) -> Result<Vec<ApiKeyId>, Problem> {
    // Also those that others have made just now.
    app.views.catch_up(view::ApiKeys::NAME, PATIENCE).await?;
    let owner = user_in(user)?.to_value();
    let of_owner = [("organization", caller.organization.to_value()), ("owner", owner)];
    let conditions = of_owner.map(|(column, value)| Condition::Equal(column, value)).into();
    let (sort, limit) = (vec!["created_at", "key"], MOST as usize);
    let mut query = views::Query { partition: caller.partition, conditions, sort, limit, ..Default::default() };
    let (mut keys, now) = (Vec::new(), Timestamp::now());
    loop {
        let rows = app.views.rows::<view::ApiKeys>(&query).await?;
        let lasts = |row: &&view::ApiKey| row.revoked_at.is_none() && row.expires_at.is_none_or(|end| now < end);
        keys.extend(rows.iter().filter(lasts).map(|row| row.key));
        match rows.last() {
            Some(last) if rows.len() == limit => {
                query.after = Some(vec![last.created_at.to_value(), last.key.to_value()]);
            }
            Some(_) | None => return Ok(keys),
        }
    }
}

async fn rows<R: Permission>(
    app: &App,
    caller: &Authorized<R>,
    mut conditions: Vec<Condition>,
    limit: usize,
) -> Result<Vec<view::ApiKey>, Problem> {
    conditions.insert(0, Condition::Equal("organization", caller.organization.to_value()));
    let query = views::Query { partition: caller.partition, conditions, limit, ..Default::default() };
    Ok(app.views.rows::<view::ApiKeys>(&query).await?)
}
