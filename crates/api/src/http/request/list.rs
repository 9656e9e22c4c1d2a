//! A listing as it is requested: filter, sort, page.

use std::marker::PhantomData;

use axum::{Json, RequestPartsExt, extract::FromRequestParts, http::request::Parts};
use jiff::Timestamp;
use porttask_domain::OrganizationId;
use porttask_projections::{ColumnType, ReadModel};
use porttask_runtime::views::Condition;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use utoipa::{
    IntoParams, ToSchema,
    openapi::{
        ObjectBuilder, RefOr,
        path::{Parameter, ParameterIn},
        schema::{Schema, Type},
    },
};

use super::{Authorized, query};
use crate::http::{
    app::App,
    listing::{Asked, Listing, Page, Sort},
    permissions::Permission,
    problem::Problem,
};

/// How a read model is listed.
pub(crate) trait Listed: ReadModel {
    /// A row in responses.
    type Item: From<Self::Row> + Serialize + ToSchema + Send + 'static;
    /// The filters, beside sort and page.
    type Filter: DeserializeOwned + IntoParams + Send;
    /// The sort orders. The first is the default, descending if it starts with `-`.
    const SORTS: &'static [Sort];
    /// Whether the rows of all organizations are listed, instead of one's.
    const IS_OF_THE_PLATFORM: bool = false;

    /// The filters as conditions on columns.
    ///
    /// # Errors
    /// Which filter is not valid.
    fn conditions(filter: Self::Filter) -> Result<Vec<Condition>, Problem>;

    /// Filters as conditions that depend on the current time. Cursors are not bound to them.
    fn conditions_at(filter: &Self::Filter, now: Timestamp) -> Vec<Condition> {
        _ = (filter, now);
        Vec::new()
    }

    /// Adds data that is not in the read model.
    fn complete(
        app: &App,
        organization: OrganizationId,
        items: Vec<Self::Item>,
    ) -> impl Future<Output = Result<Vec<Self::Item>, Problem>> + Send {
        _ = (app, organization);
        async { Ok(items) }
    }
}

/// Sort and page, the same for all listings.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Paging {
    /// Full-text search: only rows with all of these words, regardless of case and accents.
    #[param(max_length = 200)]
    pub(super) q: Option<String>,
    sort: Option<String>,
    /// Maximum number of rows: 1 to 200; default 50.
    #[param(minimum = 1, maximum = 200)]
    pub(super) limit: Option<usize>,
    /// Start of the page: `next_cursor` of the page before.
    pub(super) cursor: Option<String>,
    /// Also count the rows of all pages: `total`, exact if at most 10,000 rows need to be examined.
    #[serde(default)]
    pub(super) count: bool,
}

const PAGING: [&str; 5] = ["q", "sort", "limit", "cursor", "count"];

/// The parameters of a listing in the OpenAPI document.
pub(crate) struct ListParameters<M>(PhantomData<M>);

impl<M: Listed> IntoParams for ListParameters<M> {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let is_searchable = !M::FULL_TEXT_COLUMNS.is_empty();
        let filters = M::Filter::into_params(|| Some(ParameterIn::Query));
        let paging = Paging::into_params(|| Some(ParameterIn::Query)).into_iter();
        let paging = paging.filter(|it| is_searchable || it.name != "q");
        let sorted = |it: Parameter| if it.name == "sort" { sort::<M>(it) } else { it };
        filters.into_iter().chain(paging.map(sorted)).collect()
    }
}

fn sort<M: Listed>(mut parameter: Parameter) -> Parameter {
    let names: Vec<&str> = M::SORTS.iter().map(|(name, _)| name.trim_start_matches('-')).collect();
    let pattern = format!("^-?({})$", names.join("|"));
    let default = M::SORTS.first().map_or("", |(name, _)| name);
    let schema = ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern)).build();
    let description = format!("Sort order, with `-` in front for descending; default `{default}`.");
    parameter.schema = Some(RefOr::T(Schema::Object(schema)));
    parameter.description = Some(description);
    parameter
}

/// A listing requested by a caller with this permission.
pub(crate) struct List<P, M: Listed> {
    pub(super) caller: Authorized<P>,
    pub(super) filter: M::Filter,
    pub(super) paging: Paging,
}

impl<P: Permission, M: Listed> FromRequestParts<App> for List<P, M> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let caller = parts.extract_with_state::<Authorized<P>, _>(app).await?;
        let is_paging = |pair: &&str| PAGING.contains(&pair.split('=').next().unwrap_or_default());
        let is_searchable = !M::FULL_TEXT_COLUMNS.is_empty();
        let is_paging = |pair: &&str| is_paging(pair) && (is_searchable || !pair.starts_with("q="));
        let pairs = parts.uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        let (paging, filter): (Vec<&str>, Vec<&str>) = pairs.partition(is_paging);
        Ok(Self { caller, filter: query::parse(&filter.join("&"))?, paging: query::parse(&paging.join("&"))? })
    }
}

impl<P: Permission, M: Listed> List<P, M> {
    /// The page.
    ///
    /// # Errors
    /// If a parameter is not valid, or the view cannot be read.
    pub(crate) async fn page(self, app: &App) -> Result<Json<Page<M::Item>>, Problem> {
        self.page_within(app, None).await
    }

    async fn page_within(self, app: &App, within: Option<Condition>) -> Result<Json<Page<M::Item>>, Problem> {
        let (caller, listing) = self.begin(app, within).await?;
        let Page { items, next_cursor, total } = listing.page::<M, M::Item>(app).await?;
        let items = M::complete(app, caller.organization, items).await?;
        caller.shows_items(&items);
        Ok(Json(Page { items, next_cursor, total }))
    }

    /// The page of rows that belong to one row of another model, by a column that is its key.
    ///
    /// # Errors
    /// If there is no such row, a parameter is not valid, or the view cannot be read.
    pub(crate) async fn page_of<O: ReadModel>(
        self,
        app: &App,
        (column, id): (&'static str, porttask_projections::Value),
        not_found: impl Fn() -> Problem,
    ) -> Result<Json<Page<M::Item>>, Problem> {
        self.caller.catch_up(app, O::NAME).await?;
        let owner = self.caller.row::<O>(app, std::slice::from_ref(&id)).await?;
        owner.ok_or_else(not_found)?;
        self.page_within(app, Some(Condition::Equal(column, id))).await
    }

    /// The query, on a view that includes what the caller has done.
    pub(super) async fn begin(self, app: &App, within: Option<Condition>) -> Result<(Authorized<P>, Listing), Problem> {
        let Self { caller, filter, paging: Paging { q, sort, limit, cursor, count } } = self;
        let of_now = M::conditions_at(&filter, app.clock.now());
        let mut conditions: Vec<Condition> = within.into_iter().chain(M::conditions(filter)?).collect();
        let partitions = if M::IS_OF_THE_PLATFORM {
            caller.catch_up_everywhere(app, M::NAME).await?;
            app.partitions().await?
        } else {
            caller.catch_up(app, M::NAME).await?;
            conditions.insert(0, Condition::Equal("organization", caller.organization.to_value()));
            vec![caller.partition]
        };
        let asked = Asked { sort: sort.as_deref(), limit, cursor: cursor.as_deref(), text: q.as_deref(), count };
        let listing = Listing::new::<M>(app, (caller.organization, partitions), conditions, M::SORTS, &asked)?;
        Ok((caller, of_now.into_iter().fold(listing, Listing::bounded)))
    }
}

impl<P: Permission> Authorized<P> {
    /// An item of the organization by its key, as in the listing, with its version as the ETag.
    ///
    /// # Errors
    /// Not found; if the view cannot be read.
    pub(crate) async fn get<M: Listed>(
        &self,
        app: &App,
        key: &[porttask_projections::Value],
        not_found: impl Fn() -> Problem,
    ) -> Result<super::Resource<M::Item>, Problem> {
        self.catch_up(app, M::NAME).await?;
        let row = self.row::<M>(app, key).await?.ok_or_else(&not_found)?;
        let version = super::resource::version_of(&row);
        let item = M::complete(app, self.organization, vec![row.into()]).await?.pop();
        let item = item.ok_or_else(not_found)?;
        self.shows_items(std::slice::from_ref(&item));
        Ok(super::Resource::new(item, version))
    }

    /// A row of the organization by the rest of its key.
    ///
    /// # Errors
    /// If the view cannot be read.
    pub(crate) async fn row<M: ReadModel>(
        &self,
        app: &App,
        key: &[porttask_projections::Value],
    ) -> Result<Option<M::Row>, Problem> {
        use porttask_projections::Row;
        let values = std::iter::once(self.organization.to_value()).chain(key.iter().cloned());
        let names = M::Row::COLUMNS.iter().map(|column| column.name);
        Ok(app.views.row::<M>(self.partition, names.zip(values)).await?)
    }
}
