//! Looking for users in all organizations.

use std::collections::HashMap;

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
};
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

use super::{schema, user::Shown};
use crate::http::{
    app::App,
    listing::{Asked, Listing, Page, Sort},
    permissions::SearchUsers,
    problem::Problem,
    request::Authorized,
};
use utoipa_axum::{router::OpenApiRouter, routes};

/// Its routes.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(search_users))
}

const SORTS: &[Sort] = &[("-created_at", &["created_at", "organization", "user"])];
/// Users of how many organizations are looked for at once, if these are named by a part of their names.
const MOST_ORGANIZATIONS: usize = 32;

/// A user, and where they are.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FoundUser {
    #[serde(flatten)]
    user: Shown,
    #[schema(example = "Acme Ports")]
    organization_name: Option<String>,
    #[schema(example = "acme.example")]
    organization_domain: Option<String>,
}

/// Which users.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct SearchFilter {
    /// Only those whose name or address contains all of these words, whatever their case and accents. Of a word of one or
    /// two characters, the beginning of a word is found.
    #[param(max_length = 200)]
    q: Option<String>,
    /// Only those of this organization: its id, its domain, or words of its name as in `q`.
    #[param(max_length = 253)]
    organization: Option<String>,
    /// Only those who are this.
    #[param(value_type = Option<schema::Role>)]
    role: Option<Role>,
    /// Only accounts that are here in their life.
    #[param(value_type = Option<schema::Status>)]
    status: Option<Status>,
    /// `-created_at`, the latest first, or `created_at`.
    #[param(pattern = "^-?created_at$")]
    sort: Option<String>,
    /// The most rows: 1 to 200, otherwise 50.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
    /// Where the page begins: `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Look for users in all organizations.
///
/// Needs `users:search`.
#[utoipa::path(get, path = "/v1/platform/users", tag = "super admins", operation_id = "search_users",
    params(SearchFilter), responses((status = 200, body = Page<FoundUser>)))]
pub(crate) async fn search_users(
    State(app): State<App>,
    caller: Authorized<SearchUsers>,
    filter: Result<Query<SearchFilter>, QueryRejection>,
) -> Result<Json<Page<FoundUser>>, Problem> {
    let Query(filter) = filter.map_err(|error| Problem::invalid("query", error.body_text()))?;
    caller.catch_up_everywhere(&app, view::Users::NAME).await?;
    let partitions = app.partitions().await?;
    // Without an organization, all are searched at once.
    let (mut conditions, mut places) = (Vec::new(), Vec::new());
    if let Some(named) = filter.organization.as_deref().map(str::trim).filter(|named| !named.is_empty()) {
        let meant = meant(&app, &partitions, named).await?;
        if meant.is_empty() {
            return Ok(Json(Page { items: Vec::new(), next_cursor: None }));
        }
        for organization in &meant {
            places.push(app.partition(*organization).await?);
        }
        places.sort_unstable();
        places.dedup();
        conditions.push(Condition::OneOf("organization", meant.iter().map(ColumnType::to_value).collect()));
    }
    conditions.extend(filter.role.map(|role| Condition::Equal("role", role.to_value())));
    conditions.extend(filter.status.map(|status| Condition::Equal("status", status.to_value())));
    let SearchFilter { q, sort, limit, cursor, .. } = &filter;
    let asked = Asked { sort: sort.as_deref(), limit: *limit, cursor: cursor.as_deref(), text: q.as_deref() };
    let listing = Listing::new::<view::Users>(&app, (caller.organization, places), conditions, SORTS, &asked)?;
    let Page { items, next_cursor } = listing.rows::<view::Users>(&app).await?;
    let names = names(&app, &partitions, &items).await?;
    let found = items.into_iter().map(|row| {
        let organization = names.get(&row.organization).cloned();
        let (organization_name, organization_domain) = organization.unzip();
        FoundUser { user: row.into(), organization_name, organization_domain }
    });
    Ok(Json(Page { items: found.collect(), next_cursor }))
}

/// The organizations that are meant by an id, a domain or words of a name.
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
        let (sort, limit) = (vec!["normalized_name", "organization"], MOST_ORGANIZATIONS + 1);
        let query = views::Query { partition, text, sort, limit, ..views::Query::default() };
        async move { app.views.rows::<organizations_view::Organizations>(&query).await }
    }));
    let found: Vec<OrganizationId> = found.await?.into_iter().flatten().map(|row| row.organization).collect();
    match found.len() <= MOST_ORGANIZATIONS {
        true => Ok(found),
        false => {
            let detail = format!("is in the names of more than {MOST_ORGANIZATIONS} organizations: say more of it");
            Err(Problem::invalid("organization", detail))
        }
    }
}

/// How the organizations of these users are called.
async fn names(
    app: &App,
    partitions: &[PartitionId],
    users: &[view::User],
) -> Result<HashMap<OrganizationId, (String, String)>, Problem> {
    let mut wanted: Vec<Value> = users.iter().map(|row| row.organization.to_value()).collect();
    wanted.sort();
    wanted.dedup();
    if wanted.is_empty() {
        return Ok(HashMap::new());
    }
    let found = try_join_all(partitions.iter().map(|partition| {
        let (partition, limit) = (*partition, wanted.len());
        let conditions = vec![Condition::OneOf("organization", wanted.clone())];
        let query = views::Query { partition, conditions, limit, ..views::Query::default() };
        async move { app.views.rows::<organizations_view::Organizations>(&query).await }
    }));
    let rows = found.await?.into_iter().flatten();
    Ok(rows.map(|row| (row.organization, (row.name, row.domain))).collect())
}
