//! The organizations of the platform.

mod exported;

use axum::{extract::State, response::Response};
use jiff::Timestamp;
use porttask_app::billing::subscriptions::start_trial;
use porttask_domain::{
    OrganizationId, Reason, UserId,
    billing::{
        Subscription,
        schedule::TRIAL,
        subscription::{self, EndReason, Status as SubscriptionStatus, SubscriptionId},
    },
    identity::{
        Capability, DomainName, Organization, OrganizationStatus, Role, User,
        organization::{Command, OrganizationName},
        settings::{Branding, BrandingPatch, BusinessHours, BusinessHoursPatch, KnownLocale, Locale},
    },
};
use porttask_projections::{ColumnType, billing::subscription::Subscriptions, identity::organization as view};
use porttask_runtime::{execute::Tx, new_id, views::Condition};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::invitation_quota::InvitationQuotaResponse;
use super::invite::{expiry, invite};
use crate::http::{
    app::App,
    changes::Undo,
    document::tagged,
    listing::{Page, Sort},
    permissions::{
        Impersonable, Permission, ReadOrganization, ReadOrganizations, WriteOrganization, WriteOrganizations,
    },
    problem::Problem,
    request::{
        Authorized, CommandParameters, CommandRequest, EmptyBody, Id, List, ListFormat, ListParameters, Listed,
        Resource, not_null,
    },
    response::CommandResult,
};

/// The routes of organizations.
pub(super) fn routes() -> OpenApiRouter<App> {
    tagged("organizations", "The organizations of the platform and their settings.")
        .routes(routes!(create_organization, list_organizations))
        .routes(routes!(get_organization, change_organization))
        .routes(routes!(suspend_organization))
        .routes(routes!(reactivate_organization))
        .routes(routes!(deactivate_organization))
}

/// An organization.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Organization)]
pub(crate) struct OrganizationResponse {
    id: OrganizationId,
    name: String,
    /// The domain in A-labels.
    domain: String,
    status: OrganizationStatus,
    /// The code of the plan that is held or chosen; null before one is chosen, and for the platform's own organization.
    #[schema(example = "starter")]
    plan: Option<String>,
    /// When the trial ends or ended; null for the platform's own organization.
    trial_ends_at: Option<Timestamp>,
    branding: Branding,
    business_hours: BusinessHours,
    /// The language of emails to users who have not chosen one.
    #[schema(value_type = Locale)]
    locale: String,
    invitation_quota: InvitationQuotaResponse,
    created_at: Timestamp,
    /// The version: the ETag.
    version: u64,
}

/// A page of organizations.
type OrganizationPage = Page<OrganizationResponse>;

impl From<view::Organization> for OrganizationResponse {
    fn from(row: view::Organization) -> Self {
        let invitation_quota = InvitationQuotaResponse::from(&row);
        Self {
            id: row.organization,
            name: row.name,
            domain: row.domain,
            status: row.status,
            plan: None,
            trial_ends_at: row.trial_ends_at,
            branding: serde_json::from_str(&row.branding).unwrap_or_default(),
            business_hours: serde_json::from_str(&row.business_hours).unwrap_or_default(),
            locale: row.locale,
            invitation_quota,
            created_at: row.created_at,
            version: row.version,
        }
    }
}

/// An organization to be created, and its first admin.
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

/// The first admin of an organization.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FirstAdmin {
    /// The full name.
    #[schema(example = "Ana Souza", max_length = 200)]
    name: String,
    /// The email address to which the invitation is sent.
    #[schema(example = "ana@acme.example")]
    email: String,
}

/// The reason for a change of status.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StatusChange {
    /// Recorded in the audit log; up to 500 characters.
    #[schema(value_type = String, example = "unpaid for three months", max_length = 500)]
    reason: Reason,
}

/// A change of an organization: a JSON merge patch (RFC 7396). Members of `branding` and days of `business_hours` that
/// are absent stay as they are.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({
    "name": "Acme Ports",
    "business_hours": {"time_zone": "Europe/Lisbon", "days": {"monday": [{"opens": "08:00", "closes": "17:30"}]}},
    "locale": "pt-PT"
}))]
#[serde(deny_unknown_fields)]
pub(crate) struct OrganizationPatch {
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = String, required = false, max_length = 200)]
    name: Option<String>,
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = BrandingPatch, required = false)]
    branding: Option<BrandingPatch>,
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = BusinessHoursPatch, required = false)]
    business_hours: Option<BusinessHoursPatch>,
    /// The language of emails to users who have not chosen one.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = Locale, required = false)]
    locale: Option<KnownLocale>,
}

/// Filters of organizations.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct OrganizationFilter {
    /// Only organizations with this status.
    status: Option<OrganizationStatus>,
    /// `json` (default) is in pages; `csv` contains all rows, without `limit`, `cursor` and `count`. That they were exported
    /// is recorded in the audit log.
    #[serde(default)]
    format: ListFormat,
}

impl Listed for view::Organizations {
    type Item = OrganizationResponse;
    type Filter = OrganizationFilter;
    const SORTS: &'static [Sort] =
        &[("name", &["normalized_name", "organization"]), ("created_at", &["created_at", "organization"])];
    const IS_OF_THE_PLATFORM: bool = true;

    fn conditions(OrganizationFilter { status, .. }: OrganizationFilter) -> Result<Vec<Condition>, Problem> {
        Ok(status.map(|status| Condition::Equal("status", status.to_value())).into_iter().collect())
    }

    /// Where an organization has no quota of its own, the operator's default applies. The plan is that of its subscription.
    async fn complete(
        app: &App,
        _: OrganizationId,
        mut items: Vec<OrganizationResponse>,
    ) -> Result<Vec<OrganizationResponse>, Problem> {
        for item in &mut items {
            item.invitation_quota.complete(app);
            let partition = app.partition(item.id).await?;
            let key = [("organization", item.id.to_value())];
            let Some(row) = app.views.row::<Subscriptions>(partition, key).await? else { continue };
            if row.status == SubscriptionStatus::Trialing {
                item.trial_ends_at = Some(row.next_at);
            }
            item.plan = Some(row.plan_code).filter(|code| !code.is_empty());
        }
        Ok(items)
    }
}

/// Create an organization.
///
/// It starts with default settings, a trial of 14 days, and an invitation for its first admin. Needs
/// `organizations:write`.
#[utoipa::path(post, path = "/v1/organizations", tag = "organizations", params(CommandParameters),
    request_body = NewOrganization, responses((status = 201, body = CommandResult)))]
pub(crate) async fn create_organization(
    State(app): State<App>,
    request: CommandRequest<WriteOrganizations, NewOrganization>,
) -> Result<Response, Problem> {
    let (organization, admin): (OrganizationId, UserId) = (request.new_id(&app), new_id());
    let NewOrganization { name, domain, first_admin } = &request.body;
    let name = OrganizationName::new(name).map_err(|it| Problem::invalid("/name", it.to_string()))?;
    let domain = DomainName::new(domain).map_err(|it| Problem::invalid("/domain", it.to_string()))?;
    let fields = ((&*first_admin.name, "/first_admin/name"), (&*first_admin.email, "/first_admin/email"));
    let (role, permissions) = (Role::Admin, Role::Admin.ceiling());
    let invitation = invite(fields.0, fields.1, role, permissions, organization, admin, expiry(&app))?;
    let trial_ends_at = app.clock.now() + TRIAL;
    let create = Command::Create { name, domain, trial_ends_at: Some(trial_ends_at) };
    let (create, invitation) = (&create, &invitation);
    let work = move |tx: Tx| async move {
        tx.decide_new::<Organization>(organization, create).await?;
        start_trial(&tx, organization, trial_ends_at).await?;
        Ok(tx.decide_new::<User>(admin, invitation).await?)
    };
    request.creating(organization).create_with::<Organization, _>(&app, organization, work).await
}

/// List all organizations.
///
/// Needs `organizations:read`.
#[utoipa::path(get, path = "/v1/organizations", tag = "organizations", params(ListParameters<view::Organizations>),
    responses((status = 200, description = "The organizations", content(
        (OrganizationPage = "application/json"), (String = "text/csv")))))]
pub(crate) async fn list_organizations(
    State(app): State<App>,
    organizations: List<ReadOrganizations, view::Organizations>,
) -> Result<Response, Problem> {
    organizations.answer(&app).await
}

/// Get an organization.
///
/// Needs `organization:read`.
#[utoipa::path(get, path = "/v1/organizations/{org}", tag = "organizations",
    extensions(("x-impersonable" = json!(true))), responses((status = 200, body = OrganizationResponse)))]
pub(crate) async fn get_organization(
    State(app): State<App>,
    caller: Authorized<Impersonable<ReadOrganization>>,
) -> Result<Resource<OrganizationResponse>, Problem> {
    caller.get::<view::Organizations>(&app, &[], Id::<Organization>::not_found).await
}

/// Change an organization's name and settings.
///
/// Needs `organization:write`.
#[utoipa::path(patch, path = "/v1/organizations/{org}", tag = "organizations",
    extensions(("x-impersonable" = json!(true))), params(CommandParameters),
    request_body(content = OrganizationPatch, content_type = "application/merge-patch+json"),
    responses((status = 200, body = CommandResult)))]
pub(crate) async fn change_organization(
    State(app): State<App>,
    request: CommandRequest<Impersonable<WriteOrganization>, OrganizationPatch>,
) -> Result<CommandResult, Problem> {
    let OrganizationPatch { name, branding, business_hours, locale } = &request.body;
    let name = name.as_deref().map(OrganizationName::new).transpose();
    let name = name.map_err(|it| Problem::invalid("/name", it.to_string()))?;
    let changes = [
        name.map(|name| Command::Rename { name }),
        branding.clone().map(Command::ChangeBranding),
        business_hours.clone().map(Command::ChangeBusinessHours),
        locale.clone().map(|KnownLocale(locale)| Command::ChangeLocale(locale)),
    ];
    let is_by_staff = request.caller.identity.organization != request.caller.organization;
    let capability = if is_by_staff { Capability::BeAdministered } else { Capability::Use };
    change(&app, request.needing(capability), changes.into_iter().flatten().collect()).await
}

/// Suspend an organization.
///
/// Its data is kept; its users cannot sign in, and their sessions end at once. Needs `organizations:write`.
#[utoipa::path(post, path = "/v1/organizations/{org}/suspend", tag = "organizations", params(CommandParameters),
    request_body = StatusChange, responses((status = 200, body = CommandResult)))]
pub(crate) async fn suspend_organization(
    State(app): State<App>,
    request: CommandRequest<WriteOrganizations, StatusChange>,
) -> Result<CommandResult, Problem> {
    let command = Command::Suspend { organization: request.caller.organization, reason: request.body.reason.clone() };
    let result = change(&app, request.needing(Capability::ChangeStatus), vec![command]).await?;
    Ok(result.undone_by(|organization| Undo::post(format!("/v1/organizations/{organization}/reactivate"))))
}

/// Reactivate a suspended organization.
///
/// Needs `organizations:write`.
#[utoipa::path(post, path = "/v1/organizations/{org}/reactivate", tag = "organizations", params(CommandParameters),
    request_body = EmptyBody, responses((status = 200, body = CommandResult)))]
pub(crate) async fn reactivate_organization(
    State(app): State<App>,
    request: CommandRequest<WriteOrganizations, EmptyBody>,
) -> Result<CommandResult, Problem> {
    change(&app, request.needing(Capability::ChangeStatus), vec![Command::Reactivate]).await
}

/// Deactivate an organization for good.
///
/// Its data is kept until the retention period ends; its domain stays reserved; its subscription ends. Needs `organizations:write`.
#[utoipa::path(post, path = "/v1/organizations/{org}/deactivate", tag = "organizations", params(CommandParameters),
    request_body = StatusChange, responses((status = 200, body = CommandResult)))]
pub(crate) async fn deactivate_organization(
    State(app): State<App>,
    request: CommandRequest<WriteOrganizations, StatusChange>,
) -> Result<CommandResult, Problem> {
    let (organization, reason) = (request.caller.organization, request.body.reason.clone());
    let deactivate = &Command::Deactivate { organization, reason };
    let work = move |tx: Tx| async move {
        tx.decide::<Organization>(organization, deactivate).await?;
        let subscription = SubscriptionId::from(organization);
        if tx.read::<Subscription>(subscription).await?.status().is_some() {
            let end = subscription::Command::End { why: EndReason::Deactivated, now: tx.now() };
            tx.decide::<Subscription>(subscription, &end).await?;
        }
        Ok(())
    };
    request.needing(Capability::ChangeStatus).run::<Organization, _>(&app, organization, work).await
}

/// Executes commands on an existing organization.
///
/// # Errors
/// If a command is rejected or fails.
pub(super) async fn change<P: Permission, B>(
    app: &App,
    request: CommandRequest<P, B>,
    changes: Vec<Command>,
) -> Result<CommandResult, Problem> {
    let organization = request.caller.organization;
    request.change_all::<Organization>(app, organization, &changes).await
}
