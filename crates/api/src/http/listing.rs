//! Listings: filtering, sorting and pagination of any read model.

use std::borrow::Cow;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use futures_util::future::try_join_all;
use hmac::{Hmac, Mac};
use jiff::Timestamp;
use porttask_domain::OrganizationId;
use porttask_projections::{ReadModel, Row, Value, Values};
use porttask_runtime::{
    log::PartitionId,
    views::{Condition, Direction, Query},
};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        ArrayBuilder, ObjectBuilder, Ref, RefOr,
        schema::{Schema, Type},
    },
};
use uuid::Uuid;

use crate::http::{app::App, problem::Problem};

const DEFAULT_LIMIT: usize = 50;
pub(crate) const MAX_LIMIT: usize = 200;
const MAC_BYTES: usize = 16;

/// A page of a listing.
#[derive(Debug, Serialize)]
pub(crate) struct Page<T> {
    /// The rows of this page.
    pub(crate) items: Vec<T>,
    /// Start of the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_cursor: Option<String>,
    /// The number of rows, if the request asked for it.
    #[serde(flatten)]
    pub(crate) total: Option<Total>,
}

/// The number of rows of all pages.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Total {
    total: u64,
    total_is_exact: bool,
}

impl Total {
    /// That of no rows.
    pub(crate) fn none() -> Self {
        Self { total: 0, total_is_exact: true }
    }
}

/// Maximum number of rows that are examined to count them.
const MOST_COUNTED: usize = 10_000;

/// The schema is named after its items and refers to theirs. Responses name it by an alias without type parameters.
impl<T: ToSchema> ToSchema for Page<T> {
    fn name() -> Cow<'static, str> {
        format!("{}Page", T::name()).into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((T::name().into_owned(), T::schema()));
        T::schemas(schemas);
    }
}

impl<T: ToSchema> PartialSchema for Page<T> {
    fn schema() -> RefOr<Schema> {
        let items =
            ArrayBuilder::new().items(Ref::from_schema_name(T::name())).description(Some("The rows of this page."));
        let next_cursor = ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("Start of the next page; absent on the last one."));
        let total = ObjectBuilder::new()
            .schema_type(Type::Integer)
            .description(Some("The number of rows of all pages; only with `count=true`."));
        let total_is_exact = ObjectBuilder::new().schema_type(Type::Boolean).description(Some(
            "Whether `total` is exact; otherwise, more than 10,000 rows would have to be examined, and there are at least \
             as many.",
        ));
        let page = ObjectBuilder::new()
            .property("items", items)
            .required("items")
            .property("next_cursor", next_cursor)
            .property("total", total)
            .property("total_is_exact", total_is_exact)
            .description(Some("A page of a listing."));
        page.into()
    }
}

/// The query parameters that all listings share.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) sort: Option<&'a str>,
    pub(crate) limit: Option<usize>,
    pub(crate) cursor: Option<&'a str>,
    pub(crate) text: Option<&'a str>,
    /// Whether the rows of all pages are counted.
    pub(crate) count: bool,
}

/// A name to sort by and its columns, the key last.
pub(crate) type Sort = (&'static str, &'static [&'static str]);

/// A query for one page of a listing.
#[derive(Clone)]
pub(crate) struct Listing {
    query: Query,
    /// The partitions, whose pages are merged. If empty, one query covers all partitions.
    partitions: Vec<PartitionId>,
    bound_to: String,
    counts: bool,
    /// Whether [`Listing::next`] has returned the last page.
    is_over: bool,
}

impl Listing {
    /// Rows of a model that meet these conditions, sorted by one of `sorts`; the first is the default.
    ///
    /// # Errors
    /// Which parameter is not valid.
    pub(crate) fn new<M: ReadModel>(
        app: &App,
        (organization, partitions): (OrganizationId, Vec<PartitionId>),
        conditions: Vec<Condition>,
        sorts: &[Sort],
        asked: &Asked<'_>,
    ) -> Result<Self, Problem> {
        let sort = asked.sort.unwrap_or(sorts[0].0);
        let (name, direction) = match sort.strip_prefix('-') {
            Some(name) => (name, Direction::Descending),
            None => (sort, Direction::Ascending),
        };
        let known = || {
            let names: Vec<&str> = sorts.iter().map(|(name, _)| name.trim_start_matches('-')).collect();
            Problem::invalid("sort", format!("must be one of {}, with - in front for descending", names.join(", ")))
        };
        let (_, columns) = sorts.iter().find(|(it, _)| it.trim_start_matches('-') == name).ok_or_else(known)?;
        let limit = asked.limit.unwrap_or(DEFAULT_LIMIT);
        if limit == 0 || limit > MAX_LIMIT {
            return Err(Problem::invalid("limit", format!("must be 1 to {MAX_LIMIT}")));
        }
        let text = asked.text.filter(|text| !text.trim().is_empty());
        if text.is_some_and(|text| text.chars().count() > Query::MAX_TEXT) {
            return Err(Problem::invalid("q", format!("must have at most {} characters", Query::MAX_TEXT)));
        }
        // A cursor is valid only for the listing, filters and sort order that it comes from.
        let bound_to = format!("{organization} {} v{} {sort} {conditions:?} {text:?}", M::NAME, M::VERSION);
        let after = asked.cursor.map(|cursor| read_cursor(app, cursor, &bound_to)).transpose()?;
        let (sort, text) = (columns.to_vec(), text.map(str::to_owned));
        let partition = PartitionId::PLATFORM;
        let is_everywhere = partitions.is_empty();
        let query = Query { partition, is_everywhere, conditions, text, sort, direction, after, limit: limit + 1 };
        Ok(Self { query, partitions, bound_to, counts: asked.count, is_over: false })
    }

    /// With a condition that cursors are not bound to: it may differ from page to page.
    #[must_use]
    pub(crate) fn bounded(mut self, condition: Condition) -> Self {
        self.query.conditions.push(condition);
        self
    }

    /// The page.
    ///
    /// # Errors
    /// If the view cannot be read.
    pub(crate) async fn page<M: ReadModel, T: From<M::Row>>(self, app: &App) -> Result<Page<T>, Problem> {
        let Page { items, next_cursor, total } = self.rows::<M>(app).await?;
        Ok(Page { items: items.into_iter().map(T::from).collect(), next_cursor, total })
    }

    /// The rows of the page, after which the listing is at the next one; `None` after the last.
    ///
    /// # Errors
    /// If the view cannot be read.
    pub(crate) async fn next<M: ReadModel>(&mut self, app: &App) -> Result<Option<Vec<M::Row>>, Problem> {
        if self.is_over {
            return Ok(None);
        }
        let Page { items, next_cursor, .. } = self.clone().rows::<M>(app).await?;
        match next_cursor {
            Some(cursor) => self.query.after = Some(read_cursor(app, &cursor, &self.bound_to)?),
            None => self.is_over = true,
        }
        Ok(Some(items))
    }

    /// The page, as rows of the view.
    ///
    /// # Errors
    /// If the view cannot be read.
    pub(crate) async fn rows<M: ReadModel>(self, app: &App) -> Result<Page<M::Row>, Problem> {
        let column = |name: &&str| M::Row::COLUMNS.iter().position(|column| column.name == *name);
        let sorted: Vec<usize> = self.query.sort.iter().filter_map(column).collect();
        let place = |row: &M::Row| -> Values {
            let values = row.to_values();
            sorted.iter().map(|index| values[*index].clone()).collect()
        };
        let mut rows = Vec::new();
        let each = self.partitions.iter().map(|partition| Query { partition: *partition, ..self.query.clone() });
        let queries: Vec<Query> = match self.query.is_everywhere {
            true => vec![self.query.clone()],
            false => each.collect(),
        };
        let total = match self.counts {
            true => Some(total::<M>(app, &queries).await?),
            false => None,
        };
        let pages = queries.into_iter().map(|query| async move { app.views.rows::<M>(&query).await });
        for page in try_join_all(pages).await? {
            rows.extend(page);
        }
        if self.partitions.len() > 1 {
            rows.sort_by_cached_key(&place);
            if self.query.direction == Direction::Descending {
                rows.reverse();
            }
        }
        let limit = self.query.limit - 1;
        let is_last = rows.len() <= limit;
        rows.truncate(limit);
        let last = rows.last().filter(|_| !is_last);
        let next_cursor = last.map(|last| write_cursor(app, &place(last), &self.bound_to));
        Ok(Page { items: rows, next_cursor, total })
    }
}

/// The number of rows that queries select together.
async fn total<M: ReadModel>(app: &App, queries: &[Query]) -> Result<Total, Problem> {
    let counts = queries.iter().map(|query| app.views.count(M::NAME, query, MOST_COUNTED));
    let counts = try_join_all(counts).await?;
    let (total, total_is_exact) = (counts.iter().map(|it| it.rows).sum(), counts.iter().all(|it| it.is_exact));
    Ok(Total { total, total_is_exact })
}

#[derive(Serialize, Deserialize)]
enum Kept {
    Null,
    Id(Uuid),
    Integer(i64),
    Boolean(bool),
    Time(Timestamp),
    Text(String),
}

fn write_cursor(app: &App, values: &Values, bound_to: &str) -> String {
    let kept: Vec<Kept> = values
        .iter()
        .map(|value| match value.clone() {
            Value::Null => Kept::Null,
            Value::Id(it) => Kept::Id(it),
            Value::Integer(it) => Kept::Integer(it),
            Value::Boolean(it) => Kept::Boolean(it),
            Value::Time(it) => Kept::Time(it),
            Value::Text(it) => Kept::Text(it),
        })
        .collect();
    let json = serde_json::to_vec(&kept).unwrap_or_default();
    // Encrypted: the values of a row may be names and addresses, and links with cursors end up in histories and logs.
    let mut bytes = seal_of(app, &json, bound_to).finalize().into_bytes()[..MAC_BYTES].to_vec();
    let masked = masked(app, &bytes, &json);
    bytes.extend_from_slice(&masked);
    URL_SAFE_NO_PAD.encode(bytes)
}

fn read_cursor(app: &App, cursor: &str, bound_to: &str) -> Result<Values, Problem> {
    let wrong = || Problem::invalid("cursor", "is not a cursor of this listing: start without it");
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| wrong())?;
    let (sum, sealed) = bytes.split_at_checked(MAC_BYTES).ok_or_else(wrong)?;
    let json = masked(app, sum, sealed);
    seal_of(app, &json, bound_to).verify_truncated_left(sum).map_err(|_| wrong())?;
    let kept: Vec<Kept> = serde_json::from_slice(&json).map_err(|_| wrong())?;
    let values = kept.into_iter().map(|kept| match kept {
        Kept::Null => Value::Null,
        Kept::Id(it) => Value::Id(it),
        Kept::Integer(it) => Value::Integer(it),
        Kept::Boolean(it) => Value::Boolean(it),
        Kept::Time(it) => Value::Time(it),
        Kept::Text(it) => Value::Text(it),
    });
    Ok(values.collect())
}

/// Encrypts or decrypts with a key stream that follows from the MAC of the plain text.
fn masked(app: &App, sum: &[u8], text: &[u8]) -> Vec<u8> {
    let block = |number: usize| {
        let seal = app.seal.clone().chain_update(b"cursor mask").chain_update(sum);
        seal.chain_update((number as u64).to_be_bytes()).finalize().into_bytes()
    };
    let stream = text.chunks(32).enumerate().flat_map(|(number, chunk)| {
        let block = block(number);
        chunk.iter().zip(block).map(|(byte, mask)| byte ^ mask).collect::<Vec<u8>>()
    });
    stream.collect()
}

fn seal_of(app: &App, json: &[u8], bound_to: &str) -> Hmac<Sha256> {
    let seal = app.seal.clone().chain_update(b"cursor").chain_update((bound_to.len() as u64).to_be_bytes());
    seal.chain_update(bound_to).chain_update(json)
}
