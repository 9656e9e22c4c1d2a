//! Searching users in all organizations.

use std::collections::HashMap;

use axum::{Json, extract::State};
use futures_util::future::try_join_all;
use porttask_app::identity::organizations;
use porttask_domain::{
    OrganizationId,
    identity::{Role, user::Status},
};
use porttask_projections::{
    ColumnType, ReadModel, Value,
    identity::{organization as organizations_view, user as view},
};
use porttask_runtime::{
    log::PartitionId,
    views::{self, Condition},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::user::{self, UserResponse};
use crate::http::{
    app::App,
    listing::{Asked, Listing, Page, Sort, Total},
    permissions::SearchUsers,
    problem::Problem,
    request::{Authorized, Instant, Params},
};

/// The routes of the search.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(search_users))
}

const SORTS: &[Sort] = &[
    ("-created_at", &["created_at", "organization", "user"]),
    ("last_signed_in_at", &["last_signed_in_at", "organization", "user"]),
];
/// Maximum number of organizations that a filter by name may match.
const MAX_ORGANIZATIONS: usize = 32;

/// A user, with name and domain of the organization.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FoundUser {
    #[serde(flatten)]
    user: UserResponse,
    #[schema(example = "Acme Ports")]
    organization_name: Option<String>,
    #[schema(example = "acme.example")]
    organization_domain: Option<String>,
}

/// A page of users.
type FoundUserPage = Page<FoundUser>;

/// Filters of the search.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct SearchFilter {
    /// Full-text search: only users whose name or email address contains all of these words, regardless of case and
    /// accents. A word of one or two characters matches the beginning of a word.
    #[param(max_length = 200)]
    q: Option<String>,
    /// Only users of this organization: its id, its domain, or words of its name as in `q`.
    #[param(max_length = 253)]
    organization: Option<String>,
    /// Only users with this role.
    role: Option<Role>,
    /// Only accounts with this status.
    status: Option<Status>,
    /// Only users who have not signed in since this instant, or never.
    #[param(value_type = Option<Timestamp>)]
    not_signed_in_since: Option<Instant>,
    /// Only accounts that are locked after too many wrong passwords; with `false`, only those that are not.
    locked: Option<bool>,
    /// Sort order, with `-` in front for descending; default `-created_at`.
    #[param(pattern = "^-?(created_at|last_signed_in_at)$")]
    sort: Option<String>,
    /// Maximum number of rows: 1 to 200; default 50.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
    /// Start of the page: `next_cursor` of the page before.
    cursor: Option<String>,
    /// Also count the rows of all pages: `total`, exact if at most 10,000 rows need to be examined.
    #[serde(default)]
    count: bool,
}

/// Search users in all organizations.
///
/// Needs `users:search`.
#[utoipa::path(get, path = "/v1/platform/users", tag = "super admins", params(SearchFilter),
    responses((status = 200, body = FoundUserPage)))]
pub(crate) async fn search_users(
    State(app): State<App>,
    caller: Authorized<SearchUsers>,
    Params(filter): Params<SearchFilter>,
) -> Result<Json<FoundUserPage>, Problem> {
    caller.catch_up_everywhere(&app, view::Users::NAME).await?;
    let partitions = app.partitions().await?;
    let Some((mut conditions, places)) = scope(&app, &partitions, &filter).await? else {
        return Ok(Json(Page { items: Vec::new(), next_cursor: None, total: filter.count.then(Total::none) }));
    };
    conditions.extend(filter.role.map(|role| Condition::Equal("role", role.to_value())));
    conditions.extend(filter.status.map(|status| Condition::Equal("status", status.to_value())));
    conditions.extend(filter.not_signed_in_since.map(user::not_signed_in_since));
    let SearchFilter { q, sort, limit, cursor, count, .. } = &filter;
    let asked =
        Asked { sort: sort.as_deref(), limit: *limit, cursor: cursor.as_deref(), text: q.as_deref(), count: *count };
    let listing = Listing::new::<view::Users>(&app, (caller.organization, places), conditions, SORTS, &asked)?;
    let of_now = filter.locked.map(|locked| user::is_locked(locked, app.clock.now()));
    let listing = of_now.into_iter().fold(listing, Listing::bounded);
    let Page { items, next_cursor, total } = listing.rows::<view::Users>(&app).await?;
    let items = with_organizations(&app, &partitions, items).await?;
    caller.shows_items(&items);
    Ok(Json(Page { items, next_cursor, total }))
}

/// Where to search: everywhere unless organizations are named; `None` if the named ones do not exist.
async fn scope(
    app: &App,
    partitions: &[PartitionId],
    filter: &SearchFilter,
) -> Result<Option<(Vec<Condition>, Vec<PartitionId>)>, Problem> {
    let named = filter.organization.as_deref().map(str::trim).filter(|named| !named.is_empty());
    let Some(named) = named else { return Ok(Some((Vec::new(), Vec::new()))) };
    let meant = meant(app, partitions, named).await?;
    if meant.is_empty() {
        return Ok(None);
    }
    let mut places = Vec::with_capacity(meant.len());
    for organization in &meant {
        places.push(app.partition(*organization).await?);
    }
    places.sort_unstable();
    places.dedup();
    let organizations = meant.iter().map(ColumnType::to_value).collect();
    Ok(Some((vec![Condition::OneOf("organization", organizations)], places)))
}

/// The organizations named by an id, a domain or words of a name.
async fn meant(app: &App, partitions: &[PartitionId], named: &str) -> Result<Vec<OrganizationId>, Problem> {
    let found = organizations::named(&*app.database, &app.vault, named).await;
    if let Some(organization) = found.map_err(|error| Problem::unavailable(&error))? {
        return Ok(vec![organization]);
    }
    if named.chars().count() > views::Query::MAX_TEXT {
        return Ok(Vec::new());
    }
    let text = Some(named.to_owned());
    let found = try_join_all(partitions.iter().map(|partition| {
        let (partition, text) = (*partition, text.clone());
        let (sort, limit) = (vec!["normalized_name", "organization"], MAX_ORGANIZATIONS + 1);
        let query = views::Query { partition, text, sort, limit, ..views::Query::default() };
        async move { app.views.rows::<organizations_view::Organizations>(&query).await }
    }));
    let found: Vec<OrganizationId> = found.await?.into_iter().flatten().map(|row| row.organization).collect();
    match found.len() <= MAX_ORGANIZATIONS {
        true => Ok(found),
        false => {
            let detail = format!("matches the names of more than {MAX_ORGANIZATIONS} organizations: be more specific");
            Err(Problem::invalid("organization", detail))
        }
    }
}

/// Users with names and domains of their organizations.
async fn with_organizations(
    app: &App,
    partitions: &[PartitionId],
    users: Vec<view::User>,
) -> Result<Vec<FoundUser>, Problem> {
    let mut wanted: Vec<Value> = users.iter().map(|row| row.organization.to_value()).collect();
    wanted.sort();
    wanted.dedup();
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let found = try_join_all(partitions.iter().map(|partition| {
        let (partition, limit) = (*partition, wanted.len());
        let conditions = vec![Condition::OneOf("organization", wanted.clone())];
        let query = views::Query { partition, conditions, limit, ..views::Query::default() };
        async move { app.views.rows::<organizations_view::Organizations>(&query).await }
    }));
    let rows = found.await?.into_iter().flatten();
    let names: HashMap<OrganizationId, (String, String)> =
        rows.map(|row| (row.organization, (row.name, row.domain))).collect();
    let of: Vec<OrganizationId> = users.iter().map(|row| row.organization).collect();
    let users = user::completed(app, users.into_iter().map(UserResponse::from).collect()).await?;
    let found = users.into_iter().zip(of).map(|(user, organization)| {
        let (organization_name, organization_domain) = names.get(&organization).cloned().unzip();
        FoundUser { user, organization_name, organization_domain }
    });
    Ok(found.collect())
}
