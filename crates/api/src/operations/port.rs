//! The list of ports.

use std::sync::LazyLock;

use axum::Json;
use porttask_domain::operations::port::ListedPort;
use porttask_projections::normalized;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    http::{
        app::App,
        document::tagged,
        listing::{MAX_LIMIT, Page},
        permissions::{Impersonable, SignedIn},
        problem::Problem,
        request::{Authorized, Params},
    },
    platform::job::limit_of,
};

/// The routes of ports.
pub(super) fn routes() -> OpenApiRouter<App> {
    tagged("ports", "Ports of the UN/LOCODE list.").routes(routes!(list_ports))
}

const DEFAULT_LIMIT: usize = 50;
/// Words of the search that are shorter match only at the beginning of a word.
const SHORT: usize = 3;

/// A port of the list.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ListedPort)]
pub(crate) struct ListedPortResponse {
    /// The UN/LOCODE.
    #[schema(example = "BRSSZ")]
    unlocode: &'static str,
    name: &'static str,
    /// The name of the country.
    country: &'static str,
    /// The time zone; null if the list has none.
    time_zone: Option<&'static str>,
}

/// A page of ports.
type PortPage = Page<ListedPortResponse>;

impl From<&'static ListedPort> for ListedPortResponse {
    fn from(port: &'static ListedPort) -> Self {
        let ListedPort { unlocode, name, country, time_zone } = *port;
        Self { unlocode, name, country, time_zone }
    }
}

/// Which ports.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PortFilter {
    /// Only ports whose code, name or country has all of these words, regardless of case and accents. A word of one or two
    /// characters matches the beginning of a word.
    #[param(max_length = 200)]
    q: Option<String>,
    /// Maximum number of ports: 1 to 200; default 50.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
    /// Start of the page: `next_cursor` of the page before.
    cursor: Option<String>,
}

/// The words by which each port is found.
static WORDS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let words = |port: &ListedPort| normalized(&format!("{} {} {}", port.unlocode, port.name, port.country));
    ListedPort::all().iter().map(words).collect()
});

/// List ports by their UN/LOCODE.
///
/// The list is the same for everybody. Port calls may also be at other ports, which they name. Needs `account:own`.
#[utoipa::path(get, path = "/v1/ports", tag = "ports", extensions(("x-impersonable" = json!(true))),
    params(PortFilter), responses((status = 200, body = PortPage)))]
pub(crate) async fn list_ports(
    _caller: Authorized<Impersonable<SignedIn>>,
    Params(PortFilter { q, limit, cursor }): Params<PortFilter>,
) -> Result<Json<PortPage>, Problem> {
    let limit = limit_of(limit, DEFAULT_LIMIT, MAX_LIMIT)?;
    let (sought, after) = (normalized(&q.unwrap_or_default()), cursor.unwrap_or_default());
    let has = |words: &str, sought: &str| match sought.chars().count() < SHORT {
        true => words.split(' ').any(|word| word.starts_with(sought)),
        false => words.contains(sought),
    };
    let is_found = |words: &str| sought.split_whitespace().all(|sought| has(words, sought));
    let found = ListedPort::all().iter().zip(WORDS.iter());
    let found = found.filter(|(port, words)| port.unlocode > after.as_str() && is_found(words));
    let mut items: Vec<ListedPortResponse> = found.map(|(port, _)| port.into()).take(limit + 1).collect();
    let is_last = items.len() <= limit;
    items.truncate(limit);
    let next_cursor = items.last().filter(|_| !is_last).map(|port| port.unlocode.to_owned());
    Ok(Json(Page { items, next_cursor, total: None }))
}
