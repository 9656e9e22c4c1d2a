//! How many invitations an organization may send per day.

use axum::{Json, extract::State};
use porttask_app::identity::invitations::InvitationLimits;
use porttask_domain::identity::{Capability, InvitationQuotaPatch, Organization, organization::Command};
use porttask_projections::{ReadModel, identity::organization as view};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::organization;
use crate::http::{
    app::App,
    permissions::{Impersonable, ReadOrganization, WriteOrganizations},
    problem::Problem,
    request::{Authorized, CommandParameters, CommandRequest, Id},
    response::CommandResult,
};

/// The routes of the quota.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(get_invitation_quota, change_invitation_quota))
}

/// How many invitations an organization may send.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InvitationQuota)]
pub(crate) struct InvitationQuotaResponse {
    /// Maximum invitations per day, without those of imports.
    #[schema(value_type = u32, example = 1_000)]
    per_day: Option<u64>,
    /// Maximum invitations of imports per day.
    #[schema(value_type = u32, example = 1_000)]
    imports_per_day: Option<u64>,
}

impl From<&view::Organization> for InvitationQuotaResponse {
    fn from(row: &view::Organization) -> Self {
        Self { per_day: row.invitations_per_day, imports_per_day: row.import_invitations_per_day }
    }
}

impl InvitationQuotaResponse {
    /// Adds the operator's defaults, which apply where the organization has no quota of its own.
    pub(super) fn complete(&mut self, app: &App) {
        let InvitationLimits { per_day, imports_per_day, .. } = app.settings.invitations;
        self.per_day.get_or_insert(per_day.into());
        self.imports_per_day.get_or_insert(imports_per_day.into());
    }
}

/// Get how many invitations an organization may send.
///
/// Needs `organization:read`.
#[utoipa::path(get, path = "/v1/organizations/{org}/invitation-quota", tag = "organizations",
    extensions(("x-impersonable" = json!(true))), responses((status = 200, body = InvitationQuotaResponse)))]
pub(crate) async fn get_invitation_quota(
    State(app): State<App>,
    caller: Authorized<Impersonable<ReadOrganization>>,
) -> Result<Json<InvitationQuotaResponse>, Problem> {
    caller.catch_up(&app, view::Organizations::NAME).await?;
    let row = caller.row::<view::Organizations>(&app, &[]).await?.ok_or_else(Id::<Organization>::not_found)?;
    let mut quota = InvitationQuotaResponse::from(&row);
    quota.complete(&app);
    Ok(Json(quota))
}

/// Change how many invitations an organization may send.
///
/// Invitations sent by imports have a limit of their own. Null restores the operator's default. Needs
/// `organizations:write`.
#[utoipa::path(patch, path = "/v1/organizations/{org}/invitation-quota", tag = "organizations",
    params(CommandParameters),
    request_body(content = InvitationQuotaPatch, content_type = "application/merge-patch+json"),
    responses((status = 200, body = CommandResult)))]
pub(crate) async fn change_invitation_quota(
    State(app): State<App>,
    request: CommandRequest<WriteOrganizations, InvitationQuotaPatch>,
) -> Result<CommandResult, Problem> {
    let command = Command::ChangeInvitationQuota(request.body.clone());
    organization::change(&app, request.needing(Capability::BeAdministered), vec![command]).await
}
