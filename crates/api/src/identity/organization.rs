//! The organizations of the platform.

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use jiff::{SignedDuration, Timestamp};
use porttask_domain::{
    OrganizationId, Reason, UserId,
    identity::{
        Capability, DomainName, Organization, OrganizationStatus, Role, User,
        organization::{Command, OrganizationName},
        settings::{Branding, BusinessHours, Locale},
    },
};
use porttask_projections::{ColumnType, ReadModel, identity::organization as view};
use porttask_runtime::{
    execute::{Commands, Request, stream_of},
    new_id,
    views::Condition,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    invite::{ends, invite},
    schema,
};
use crate::http::document::tagged;
use crate::http::{
    app::App,
    listing::{Asked, Listing, Page, Sort},
    permissions::{
        Impersonable, Permission, ReadOrganization, ReadOrganizations, WriteOrganization, WriteOrganizations,
    },
    problem::Problem,
    request::{Authorized, CommandParameters, CommandRequest, Nothing},
    response::{CommandResult, etag},
};
use utoipa_axum::{router::OpenApiRouter, routes};

/// Its routes.
pub(super) fn routes() -> OpenApiRouter<App> {
    tagged("organizations", "The organizations of the platform and their settings.")
        .routes(routes!(create_organization, list_organizations))
        .routes(routes!(get_organization, change_organization))
        .routes(routes!(suspend_organization))
        .routes(routes!(reactivate_organization))
        .routes(routes!(deactivate_organization))
}

const SORTS: &[Sort] =
    &[("name", &["normalized_name", "organization"]), ("created_at", &["created_at", "organization"])];
/// How long every organization tries the platform.
const TRIAL: SignedDuration = SignedDuration::from_hours(14 * 24);

/// An organization.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Organization)]
pub(crate) struct Shown {
    #[schema(value_type = String, example = "org_01h455vb4pex5vsknk084sn02q")]
    id: OrganizationId,
    name: String,
    /// Its domain in A-labels.
    domain: String,
    #[schema(value_type = schema::OrganizationStatus)]
    status: OrganizationStatus,
    /// The name of its plan.
    plan: String,
    #[schema(value_type = String, format = DateTime)]
    trial_ends_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// The version: the ETag.
    version: u64,
}

impl From<view::Organization> for Shown {
    fn from(row: view::Organization) -> Self {
        Self {
            id: row.organization,
            name: row.name,
            domain: row.domain,
            status: row.status,
            plan: row.plan,
            trial_ends_at: row.trial_ends_at,
            created_at: row.created_at,
            version: row.version,
        }
    }
}

/// An organization to be made, and its first admin.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewOrganization {
    #[schema(example = "Acme Ship Agency", max_length = 200)]
    name: String,
    /// Unique on the platform.
    #[schema(example = "acme.example")]
    domain: String,
    first_admin: FirstAdmin,
}

/// Who is invited to administer a new organization.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FirstAdmin {
    /// Their full name.
    #[schema(example = "Ana Souza", max_length = 200)]
    name: String,
    /// Where the invitation is sent to.
    #[schema(example = "ana@acme.example")]
    email: String,
}

/// Why something is done.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Because {
    /// For the record; up to 500 characters.
    #[schema(example = "unpaid for three months", max_length = 500)]
    reason: String,
}

/// What is to be changed of an organization: a JSON merge patch (RFC 7396), whose objects are replaced whole.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OrganizationPatch {
    name: Option<String>,
    /// `display_name`, `primary_colour` and `secondary_colour` (`#rrggbb`), `logo` (an https address).
    #[schema(value_type = Option<Object>)]
    branding: Option<Branding>,
    /// `time_zone` (IANA) and `days`: `{"monday": {"opens": "09:00", "closes": "17:00"}}`.
    #[schema(value_type = Option<Object>)]
    business_hours: Option<BusinessHours>,
    /// A language tag, as in `en` or `pt-BR`.
    #[schema(value_type = Option<String>)]
    locale: Option<Locale>,
}

/// Make an organization.
///
/// It begins with default settings, a trial on the Starter plan, and its first admin invited. Needs
/// `organizations:write`.
#[utoipa::path(post, path = "/v1/organizations", tag = "organizations", operation_id = "create_organization",
    params(CommandParameters), request_body = NewOrganization, responses((status = 201, body = CommandResult)))]
pub(crate) async fn create_organization(
    State(app): State<App>,
    mut request: CommandRequest<WriteOrganizations, NewOrganization>,
) -> Result<Response, Problem> {
    let (organization, admin, now): (OrganizationId, UserId, _) = (request.new_id(&app), new_id(), Timestamp::now());
    let NewOrganization { name, domain, first_admin } = &request.body;
    let name = OrganizationName::new(name).map_err(|it| Problem::invalid("/name", it.to_string()))?;
    let domain = DomainName::new(domain).map_err(|it| Problem::invalid("/domain", it.to_string()))?;
    let fields = ((&*first_admin.name, "/first_admin/name"), (&*first_admin.email, "/first_admin/email"));
    let invitation = invite(fields.0, fields.1, Role::Admin, None, organization, admin, ends(&app))?;
    let create = Command::Create { name, domain, trial_ends_at: now + TRIAL };
    let commands = Commands::new().on_new::<Organization>(organization, create).on_new::<User>(admin, invitation);
    request.caller.organization = organization;
    let subject = stream_of::<Organization>(organization, organization)?;
    let done = request.execute(&app, &subject, &commands, Request::creates_organization).await?;
    Ok(CommandResult::of(&app, done, &subject, request.dry_run).await?.created("/v1/organizations"))
}

/// Which organizations, in which request.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct OrganizationFilter {
    /// Only those that stand so.
    #[param(value_type = Option<schema::OrganizationStatus>)]
    status: Option<OrganizationStatus>,
    /// Only those whose name or domain contains all of these words, whatever their case and accents.
    #[param(max_length = 200)]
    q: Option<String>,
    /// `name` or `created_at`; with `-` in front: descending.
    #[param(pattern = "^-?(name|created_at)$")]
    sort: Option<String>,
    /// The most rows: 1 to 200, otherwise 50.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
    /// Where the page begins: `next_cursor` of the page before.
    cursor: Option<String>,
}

/// List all organizations.
///
/// Needs `organizations:read`.
#[utoipa::path(get, path = "/v1/organizations", tag = "organizations", operation_id = "list_organizations",
    params(OrganizationFilter), responses((status = 200, body = Page<Shown>)))]
pub(crate) async fn list_organizations(
    State(app): State<App>,
    caller: Authorized<ReadOrganizations>,
    filter: Result<Query<OrganizationFilter>, QueryRejection>,
) -> Result<Json<Page<Shown>>, Problem> {
    let Query(filter) = filter.map_err(|error| Problem::invalid("query", error.body_text()))?;
    caller.catch_up_everywhere(&app, view::Organizations::NAME).await?;
    let is_so = |status: OrganizationStatus| Condition::Equal("status", status.to_value());
    let conditions = filter.status.map(is_so).into_iter().collect();
    let OrganizationFilter { q, sort, limit, cursor, .. } = &filter;
    let asked = Asked { sort: sort.as_deref(), limit: *limit, cursor: cursor.as_deref(), text: q.as_deref() };
    let everywhere = (caller.organization, app.partitions().await?);
    let listing = Listing::new::<view::Organizations>(&app, everywhere, conditions, SORTS, &asked)?;
    Ok(Json(listing.page::<view::Organizations, Shown>(&app).await?))
}

/// Show an organization.
///
/// Needs `organization:read`.
#[utoipa::path(get, path = "/v1/organizations/{org}", tag = "organizations", operation_id = "get_organization", extensions(("x-impersonable" = json!(true))),
    params(("org" = String, Path, description = "The organization, or `current`")),
    responses((status = 200, body = Shown)))]
pub(crate) async fn get_organization(
    State(app): State<App>,
    caller: Authorized<Impersonable<ReadOrganization>>,
) -> Result<Response, Problem> {
    caller.catch_up(&app, view::Organizations::NAME).await?;
    let key = [("organization", caller.organization.to_value())];
    let row = app.views.row::<view::Organizations>(caller.partition, key).await?;
    let row = row.ok_or_else(|| Problem::not_found("organization"))?;
    let headers: HeaderMap = etag(row.version).map(|tag| (header::ETAG, tag)).into_iter().collect();
    Ok((headers, Json(Shown::from(row))).into_response())
}

/// Change an organization's name and settings.
///
/// Needs `organization:write`.
#[utoipa::path(patch, path = "/v1/organizations/{org}", tag = "organizations", operation_id = "change_organization", extensions(("x-impersonable" = json!(true))),
    params(("org" = String, Path, description = "The organization, or `current`"), CommandParameters),
    request_body(content = OrganizationPatch, content_type = "application/merge-patch+json"),
    responses((status = 200, body = CommandResult)))]
pub(crate) async fn change_organization(
    State(app): State<App>,
    request: CommandRequest<Impersonable<WriteOrganization>, OrganizationPatch>,
) -> Result<CommandResult, Problem> {
    let OrganizationPatch { name, branding, business_hours, locale } = &request.body;
    let name = name.as_deref().map(OrganizationName::new).transpose();
    let name = name.map_err(|it| Problem::invalid("/name", it.to_string()))?;
    let wanted = [
        name.map(|name| Command::Rename { name }),
        branding.clone().map(Command::ChangeBranding),
        business_hours.clone().map(Command::ChangeBusinessHours),
        locale.clone().map(Command::ChangeLocale),
    ];
    change(&app, &request, wanted.into_iter().flatten(), Capability::Use).await
}

/// Lock an organization out.
///
/// Its data is kept; its users are locked out at once. Needs `organizations:write`.
#[utoipa::path(post, path = "/v1/organizations/{org}/suspend", tag = "organizations",
    operation_id = "suspend_organization", params(("org" = String, Path), CommandParameters),
    request_body = Because, responses((status = 200, body = CommandResult)))]
pub(crate) async fn suspend_organization(
    State(app): State<App>,
    request: CommandRequest<WriteOrganizations, Because>,
) -> Result<CommandResult, Problem> {
    let command = Command::Suspend { organization: request.caller.organization, reason: reason(&request.body)? };
    change(&app, &request, [command], Capability::ChangeStatus).await
}

/// Let a suspended organization in again.
///
/// Needs `organizations:write`.
#[utoipa::path(post, path = "/v1/organizations/{org}/reactivate", tag = "organizations",
    operation_id = "reactivate_organization", params(("org" = String, Path), CommandParameters),
    request_body = Nothing, responses((status = 200, body = CommandResult)))]
pub(crate) async fn reactivate_organization(
    State(app): State<App>,
    request: CommandRequest<WriteOrganizations, Nothing>,
) -> Result<CommandResult, Problem> {
    change(&app, &request, [Command::Reactivate], Capability::ChangeStatus).await
}

/// End an organization for good.
///
/// Its data is kept until its retention ends; its domain stays taken. Needs `organizations:write`.
#[utoipa::path(post, path = "/v1/organizations/{org}/deactivate", tag = "organizations",
    operation_id = "deactivate_organization", params(("org" = String, Path), CommandParameters),
    request_body = Because, responses((status = 200, body = CommandResult)))]
pub(crate) async fn deactivate_organization(
    State(app): State<App>,
    request: CommandRequest<WriteOrganizations, Because>,
) -> Result<CommandResult, Problem> {
    let command = Command::Deactivate { organization: request.caller.organization, reason: reason(&request.body)? };
    change(&app, &request, [command], Capability::ChangeStatus).await
}

fn reason(because: &Because) -> Result<Reason, Problem> {
    Reason::new(&because.reason).map_err(|it| Problem::invalid("/reason", it.to_string()))
}

/// Commands to an organization that exists.
async fn change<R: Permission, B>(
    app: &App,
    request: &CommandRequest<R, B>,
    wanted: impl IntoIterator<Item = Command>,
    capability: Capability,
) -> Result<CommandResult, Problem> {
    let organization = request.caller.organization;
    let is_by_staff = request.caller.caller.organization != organization;
    let capability = if is_by_staff && capability == Capability::Use { Capability::BeAdministered } else { capability };
    let subject = stream_of::<Organization>(organization, organization)?;
    let commands = wanted.into_iter().fold(Commands::new(), |all, one| all.on::<Organization>(organization, one));
    let done = request.execute(app, &subject, &commands, |request| request.needing(capability)).await?;
    CommandResult::of(app, done, &subject, request.dry_run).await
}
