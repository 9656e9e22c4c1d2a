//! The licences of an organization.

mod all;
mod bodies;
mod program;
mod signing_key;

use axum::{
    Json,
    extract::{Path, State},
    response::Response,
};
use porttask_app::billing::licences::LicenceError;
use porttask_domain::{
    OrganizationId,
    billing::{
        Licence, LicenceSigningKeys, Subscription,
        licence::{ActivationId, Command, Kind, LicenceId, Rejection, Status},
        licence_signing_key::{LicenceSigningKeyId, Rejection as KeyRejection},
    },
    identity::Capability,
};
use porttask_projections::{ColumnType, billing::licence as view};
use porttask_runtime::{
    execute::{Rejected, Tx},
    views::Condition,
};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use self::bodies::{LicenceResponse, LicenceRevocation, NewLicence};
use crate::http::{
    app::App,
    document::tagged,
    listing::{Page, Sort},
    permissions::{Impersonable, Permission, ReadBilling, WriteBilling, WriteLicences},
    problem::Problem,
    request::{Authorized, CommandParameters, CommandRequest, EmptyBody, Id, List, ListParameters, Listed, Resource},
    response::CommandResult,
};

/// The routes of licences.
pub(super) fn routes() -> OpenApiRouter<App> {
    tagged("licences", "Licences for installations: signed tokens, activations, revocation.")
        .routes(routes!(issue_licence, list_licences))
        .routes(routes!(get_licence))
        .routes(routes!(revoke_licence))
        .routes(routes!(replace_licence))
        .routes(routes!(remove_licence_activation))
        .merge(all::routes())
        .merge(signing_key::routes())
        .merge(program::routes())
}

impl From<LicenceError> for Problem {
    fn from(error: LicenceError) -> Self {
        match error {
            LicenceError::Execute(error) => error.into(),
            LicenceError::View(error) => error.into(),
            LicenceError::Vault(_) | LicenceError::KeyLost(_) => Self::unavailable(&error),
        }
    }
}

/// The thumbprint of the key that signs now.
async fn signing_kid(tx: &Tx) -> Result<String, Problem> {
    let keys: LicenceSigningKeys = tx.read_in(OrganizationId::PLATFORM, LicenceSigningKeyId::ALL).await?;
    Ok(keys.signing().ok_or(Rejected::from(KeyRejection::NoneSigns))?.kid.clone())
}

/// A page of licences.
type LicencePage = Page<LicenceResponse>;

/// Filters of licences.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct LicenceFilter {
    /// Only licences of this kind.
    kind: Option<Kind>,
    /// Only licences with this status.
    status: Option<Status>,
}

impl Listed for view::Licences {
    type Item = LicenceResponse;
    type Filter = LicenceFilter;
    const SORTS: &'static [Sort] =
        &[("-created_at", &["created_at", "licence"]), ("expires_at", &["expires_at", "licence"])];

    fn conditions(LicenceFilter { kind, status }: LicenceFilter) -> Result<Vec<Condition>, Problem> {
        Ok(conditions(kind, status))
    }

    async fn complete(
        app: &App,
        _: OrganizationId,
        items: Vec<LicenceResponse>,
    ) -> Result<Vec<LicenceResponse>, Problem> {
        let now = app.clock.now();
        Ok(items.into_iter().map(|item| item.at(now)).collect())
    }
}

fn conditions(kind: Option<Kind>, status: Option<Status>) -> Vec<Condition> {
    let kind = kind.map(|kind| Condition::Equal("kind", kind.to_value()));
    let status = status.map(|status| Condition::Equal("status", status.to_value()));
    kind.into_iter().chain(status).collect()
}

/// Issue a licence.
///
/// A `trial` once per organization, for 14 days and one machine; a `subscription` licence until 15 days after the period,
/// issued again at each renewal; `enterprise` and `partner` as agreed. Needs `licences:write`, and an `Idempotency-Key`.
#[utoipa::path(post, path = "/v1/organizations/{org}/billing/licences", tag = "licences", params(CommandParameters),
    request_body = NewLicence, responses((status = 201, body = CommandResult)))]
pub(crate) async fn issue_licence(
    State(app): State<App>,
    request: CommandRequest<WriteLicences, NewLicence>,
) -> Result<Response, Problem> {
    request.must_have_key()?;
    let request = request.needing(Capability::BeAdministered);
    let (organization, licence): (OrganizationId, LicenceId) = (request.caller.organization, request.new_id(&app));
    if organization == OrganizationId::PLATFORM {
        return Err(Problem::invalid("org", "must be another organization: the platform itself has no licences"));
    }
    let (body, tokens) = (&request.body, &app.licences);
    let work = move |tx: Tx| async move {
        let subscription: Subscription = tx.read(organization.into()).await?;
        let kid = signing_kid(&tx).await?;
        let issue = body.issue(licence, &subscription, (tokens, kid, tx.now()))?;
        Ok(tx.decide_new::<Licence>(licence, &Command::Issue(Box::new(issue))).await?)
    };
    request.create_with::<Licence, _>(&app, licence, work).await
}

/// List the licences of an organization, without their tokens.
///
/// Needs `billing:read`.
#[utoipa::path(get, path = "/v1/organizations/{org}/billing/licences", tag = "licences",
    extensions(("x-impersonable" = json!(true))), params(ListParameters<view::Licences>),
    responses((status = 200, body = LicencePage)))]
pub(crate) async fn list_licences(
    State(app): State<App>,
    licences: List<Impersonable<ReadBilling>, view::Licences>,
) -> Result<Json<LicencePage>, Problem> {
    licences.page(&app).await
}

/// Get a licence, with its token for those who hold `billing:write` and are not impersonating.
///
/// Needs `billing:read`.
#[utoipa::path(get, path = "/v1/organizations/{org}/billing/licences/{licence}", tag = "licences",
    extensions(("x-impersonable" = json!(true))), responses((status = 200, body = LicenceResponse)))]
pub(crate) async fn get_licence(
    State(app): State<App>,
    caller: Authorized<Impersonable<ReadBilling>>,
    licence: Id<Licence>,
) -> Result<Resource<LicenceResponse>, Problem> {
    let (id, organization) = (licence.get()?, caller.organization);
    let found = caller.get::<view::Licences>(&app, &[id.to_value()], Id::<Licence>::not_found).await?;
    let may_see = WriteBilling::is_held(&caller.identity, organization) && caller.identity.impersonator.is_none();
    let (state, _) = app.executor.load::<Licence>(organization, id).await?;
    let Some(issue) = state.issue().filter(|_| may_see && state.status() == Some(Status::Active)) else {
        return Ok(found);
    };
    let token = Some(app.licences.token(organization, issue, app.clock.now()).await?);
    Ok(found.map(|item| item.with_token(token)))
}

/// Revoke a licence.
///
/// It is on the revocation list at once, and cannot be activated any more. Needs `licences:write`.
#[utoipa::path(post, path = "/v1/organizations/{org}/billing/licences/{licence}/revoke", tag = "licences",
    params(CommandParameters), request_body = LicenceRevocation, responses((status = 200, body = CommandResult)))]
pub(crate) async fn revoke_licence(
    State(app): State<App>,
    licence: Id<Licence>,
    request: CommandRequest<WriteLicences, LicenceRevocation>,
) -> Result<CommandResult, Problem> {
    let request = request.needing(Capability::BeAdministered);
    let reason = request.body.reason.clone();
    request.change::<Licence>(&app, &licence, Command::Revoke { reason }).await
}

/// Replace a licence by another one with the same content, such as one whose token was lost.
///
/// The former one is on the revocation list at once; its machines must be activated again. Needs `licences:write`.
#[utoipa::path(post, path = "/v1/organizations/{org}/billing/licences/{licence}/replace", tag = "licences",
    params(CommandParameters), request_body = EmptyBody, responses((status = 201, body = CommandResult)))]
pub(crate) async fn replace_licence(
    State(app): State<App>,
    licence: Id<Licence>,
    request: CommandRequest<WriteLicences, EmptyBody>,
) -> Result<Response, Problem> {
    let request = request.needing(Capability::BeAdministered);
    let (old, new): (LicenceId, LicenceId) = (licence.get()?, request.new_id(&app));
    let work = move |tx: Tx| async move {
        let replaced: Licence = tx.read(old).await?;
        let issue = replaced.replacement(new, signing_kid(&tx).await?, tx.now());
        let issue = issue.ok_or(Rejected::from(Rejection::NotFound))?;
        tx.decide_new::<Licence>(new, &Command::Issue(Box::new(issue))).await?;
        Ok(tx.decide::<Licence>(old, &Command::Replace { by: new }).await?)
    };
    let place = format!("/v1/organizations/{}/billing/licences", request.caller.organization);
    Ok(request.run::<Licence, _>(&app, new, work).await?.created(&place))
}

/// Remove an activation, such as that of a machine that was lost.
///
/// What runs there can go on until its lease ends. Needs `billing:write`.
#[utoipa::path(post, path = "/v1/organizations/{org}/billing/licences/{licence}/activations/{activation}/remove",
    tag = "licences", params(CommandParameters), request_body = EmptyBody,
    responses((status = 200, body = CommandResult)))]
pub(crate) async fn remove_licence_activation(
    State(app): State<App>,
    licence: Id<Licence>,
    path: Path<Vec<(String, String)>>,
    request: CommandRequest<WriteBilling, EmptyBody>,
) -> Result<CommandResult, Problem> {
    let found = path.0.iter().find_map(|(_, text)| text.parse::<ActivationId>().ok());
    let activation = found.ok_or_else(|| Problem::not_found("activation"))?;
    let request = request.needing(Capability::BeAdministered);
    request.change::<Licence>(&app, &licence, Command::RemoveActivation { activation }).await
}
