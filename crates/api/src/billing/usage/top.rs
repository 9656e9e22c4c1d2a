//! Who used most in a usage month.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
};

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use jiff::{Timestamp, civil::Date};
use porttask_domain::{
    ApiKeyId, UserId,
    billing::{
        UsageMonth,
        subscription::UsageRange,
        terms::Meter,
        usage_month::{TOP_KEYS, UsageMonthId},
    },
    compliance::export::{Command, Event, Format, UsageReport, UsageSelection},
};
use porttask_projections::{
    ColumnType, ReadModel,
    billing::usage_actor::UsageActors,
    identity::{api_key::ApiKeys, user::Users},
};
use porttask_runtime::views::{Condition, Query};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{asked_month, daily::utc_dates, subscription};
use crate::http::{
    app::App,
    permissions::{Impersonable, Permission, ReadUsage},
    problem::Problem,
    request::{Authorized, ListFormat, Params, whole},
};

/// How many are listed.
const MOST: usize = 20;
/// The most rows that are read: those of 3,000 users who create port calls on each day of a month.
const MOST_ROWS: usize = 3_000 * 31;

/// The requests of an API key.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KeyUsage {
    key: ApiKeyId,
    /// Its name; null once it was erased.
    #[schema(example = "harbour robot")]
    name: Option<String>,
    requests: u64,
}

/// What a user or an API key used: either `user` or `key` is null.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ActorUsage {
    user: Option<UserId>,
    key: Option<ApiKeyId>,
    /// The name of the user or key; null once it was erased, or the user was removed.
    #[schema(example = "Ana Souza")]
    name: Option<String>,
    used: u64,
}

/// Who used most of a meter in a usage month.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TopUsage {
    meter: Meter,
    /// The first date of the usage month.
    #[schema(value_type = String, format = Date)]
    from: Date,
    /// The date after the last one.
    #[schema(value_type = String, format = Date)]
    until: Date,
    /// When this was read.
    as_of: Timestamp,
    /// The one who used most first; at most 20.
    items: Vec<ActorUsage>,
}

/// Of which meter and month.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct TopParameters {
    /// `port_calls` (default): who created most; `api_calls`: the API keys with the most requests on the days that are over.
    meter: Option<Meter>,
    /// A date in the usage month; today by default.
    #[param(value_type = Option<String>, format = Date)]
    month: Option<String>,
    /// `json` (default) or `csv`. That it was exported as CSV is recorded in the audit log.
    #[serde(default)]
    format: ListFormat,
}

/// Get who used most in a month.
///
/// The 20 users and API keys that created most port calls, or the 20 API keys with the most requests. Port calls that
/// neither a user nor a key of the organization created are not listed. Needs `usage:read`.
#[utoipa::path(get, path = "/v1/organizations/{org}/billing/usage/top", tag = "usage", params(TopParameters),
    extensions(("x-impersonable" = json!(true))), responses((status = 200, description = "Who used most", content(
        (TopUsage = "application/json"), (String = "text/csv")))))]
pub(crate) async fn get_top_usage(
    State(app): State<App>,
    caller: Authorized<Impersonable<ReadUsage>>,
    Params(TopParameters { meter, month, format }): Params<TopParameters>,
) -> Result<Response, Problem> {
    let now = app.clock.now();
    let state = subscription(&app, caller.organization).await?;
    let range = asked_month(&state, month.as_deref(), now)?;
    let meter = meter.unwrap_or(Meter::PortCalls);
    let items = match meter {
        Meter::PortCalls => top_users(&app, &caller, &range).await?,
        Meter::ApiCalls => {
            let keys = top_keys(&app, &caller, range.from).await?.into_iter();
            keys.map(|it| ActorUsage { user: None, key: Some(it.key), name: it.name, used: it.requests }).collect()
        }
        Meter::Users | Meter::StorageBytes => {
            return Err(Problem::invalid("meter", "must be `port_calls` or `api_calls`"));
        }
    };
    if format == ListFormat::Json {
        let (from, until, as_of) = (range.from, range.until, now);
        return Ok(Json(TopUsage { meter, from, until, as_of, items }).into_response());
    }
    let (from, until) = (Some(range.from), Some(range.until));
    let selection = UsageSelection { report: UsageReport::Top, meter: Some(meter), from, until };
    let command = Command::Take(Event::UsageTaken { format: Format::Csv, selection });
    let text = |id: Option<String>| id.unwrap_or_default();
    let lines = items.into_iter().map(|it| {
        let (user, key) = (it.user.map(|id| id.to_string()), it.key.map(|id| id.to_string()));
        vec![text(user), text(key), text(it.name), it.used.to_string()]
    });
    whole(&app, &caller, &command, ("usage-top", &["user", "key", "name", "used"]), lines.collect()).await
}

/// The API keys with the most requests on the days of a month that are over.
pub(super) async fn top_keys<P: Permission>(
    app: &App,
    caller: &Authorized<P>,
    from: Date,
) -> Result<Vec<KeyUsage>, Problem> {
    let month = UsageMonthId::new(caller.organization, from);
    let (month, _) = app.executor.load::<UsageMonth>(caller.organization, month).await?;
    let top: Vec<(ApiKeyId, u64)> = month.top_keys();
    let mut names = key_names(app, caller, top.iter().map(|(key, _)| *key).collect()).await?;
    let named = top.into_iter().take(TOP_KEYS);
    Ok(named.map(|(key, requests)| KeyUsage { key, name: names.remove(&key).flatten(), requests }).collect())
}

/// The users and API keys that created most port calls in a month.
pub(super) async fn top_users<P: Permission>(
    app: &App,
    caller: &Authorized<P>,
    range: &UsageRange,
) -> Result<Vec<ActorUsage>, Problem> {
    caller.catch_up(app, UsageActors::NAME).await?;
    let (from, until) = utc_dates(range);
    let conditions = vec![
        Condition::Equal("organization", caller.organization.to_value()),
        Condition::AtLeast("day", from.to_string().to_value()),
        Condition::Below("day", until.to_string().to_value()),
    ];
    let (partition, sort, limit) = (caller.partition, vec!["organization", "day", "actor"], MOST_ROWS);
    let query = Query { partition, conditions, sort, limit, ..Query::default() };
    let mut by_actor: BTreeMap<String, u64> = BTreeMap::new();
    for row in app.views.rows::<UsageActors>(&query).await? {
        *by_actor.entry(row.actor).or_default() += row.port_calls;
    }
    let mut top: Vec<(String, u64)> = by_actor.into_iter().collect();
    top.sort_by_key(|(_, used)| Reverse(*used));
    top.truncate(MOST);
    let mut users = user_names(app, caller, top.iter().filter_map(|(actor, _)| actor.parse().ok()).collect()).await?;
    let mut keys = key_names(app, caller, top.iter().filter_map(|(actor, _)| actor.parse().ok()).collect()).await?;
    let named = |(actor, used): (String, u64)| {
        let (user, key) = (actor.parse::<UserId>().ok(), actor.parse::<ApiKeyId>().ok());
        let name = user.and_then(|user| users.remove(&user)).or_else(|| key.and_then(|key| keys.remove(&key)));
        ActorUsage { user, key, name: name.flatten(), used }
    };
    Ok(top.into_iter().map(named).collect())
}

async fn user_names<P: Permission>(
    app: &App,
    caller: &Authorized<P>,
    users: Vec<UserId>,
) -> Result<HashMap<UserId, Option<String>>, Problem> {
    let query = of_ids(caller, "user", &users);
    let rows = app.views.rows::<Users>(&query).await?;
    Ok(rows.into_iter().map(|row| (row.user, row.name)).collect())
}

async fn key_names<P: Permission>(
    app: &App,
    caller: &Authorized<P>,
    keys: Vec<ApiKeyId>,
) -> Result<HashMap<ApiKeyId, Option<String>>, Problem> {
    let query = of_ids(caller, "key", &keys);
    let rows = app.views.rows::<ApiKeys>(&query).await?;
    Ok(rows.into_iter().map(|row| (row.key, row.name)).collect())
}

fn of_ids<P: Permission>(caller: &Authorized<P>, column: &'static str, ids: &[impl ColumnType]) -> Query {
    let conditions = vec![
        Condition::Equal("organization", caller.organization.to_value()),
        Condition::OneOf(column, ids.iter().map(ColumnType::to_value).collect()),
    ];
    Query { partition: caller.partition, conditions, limit: ids.len().max(1), ..Query::default() }
}
