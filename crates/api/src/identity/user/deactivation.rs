//! Deactivating users: what stops with them, and who goes on with their work.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use porttask_domain::{
    ApiKeyId, UserId,
    identity::{User, user::Command},
    operations::port_call::PortCallId,
    support::ticket::TicketId,
};
use porttask_runtime::execute::{self, ExecuteError};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    ChangedAccess, change_access,
    hand_over::{OpenWork, must_be_able},
    place_of_user,
};
use crate::http::{
    app::App,
    changes::{AccessChange, Undo},
    permissions::{Permission, WriteUsers},
    problem::Problem,
    request::{Authorized, CommandParameters, CommandRequest, Id},
    response::CommandResult,
};

/// How a user is deactivated.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Deactivation {
    /// Also revoke the invitations that the user has sent and that were not accepted yet.
    #[serde(default)]
    #[schema(example = true)]
    revoke_invitations: bool,
    /// Who becomes responsible for the user's open port calls, and asks in their open tickets: an active Admin or Agent, who
    /// must hold `tickets:write` if there are such tickets. They stay with the user if it is left out.
    #[schema(example = "usr_01h455vb4pex5vsknk084sn02q")]
    hand_over_to: Option<UserId>,
}

/// A user who was deactivated.
#[derive(Serialize, ToSchema)]
pub(crate) struct DeactivatedUser {
    #[serde(flatten)]
    result: CommandResult,
    /// The API keys that the user owns: they are rejected until an admin adopts them.
    keys_that_stop: Vec<ApiKeyId>,
    /// Users whom the user has invited and who have not accepted yet.
    pending_invitations: Vec<UserId>,
    /// Whether these invitations were revoked, or in a dry run would be; otherwise they stay valid.
    invitations_revoked: bool,
    /// The port calls that are not closed or canceled and for which the user is responsible; at most 500, by arrival.
    open_port_calls: Vec<PortCallId>,
    /// The open tickets in which the user asks; at most 500, by number.
    open_tickets: Vec<TicketId>,
    /// Who is responsible for them now, or in a dry run would be; absent if they stay with the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    handed_over_to: Option<UserId>,
    #[serde(flatten)]
    access: AccessChange,
}

impl IntoResponse for DeactivatedUser {
    fn into_response(self) -> Response {
        (self.result.headers(), Json(self)).into_response()
    }
}

/// Deactivate a user.
///
/// Takes effect on the user's next request; the history is kept. The user's API keys are rejected until an admin adopts
/// them. Invitations that the user has sent stay valid, unless the request revokes them. Open port calls and tickets stay with
/// the user, unless the request hands them over: each is changed on its own, after the user was deactivated. Needs
/// `users:write`.
#[utoipa::path(post, path = "/v1/organizations/{org}/users/{user}/deactivate", tag = "users",
    params(CommandParameters), request_body = Deactivation, responses((status = 200, body = DeactivatedUser)))]
pub(crate) async fn deactivate_user(
    State(app): State<App>,
    user: Id<User>,
    request: CommandRequest<WriteUsers, Deactivation>,
) -> Result<DeactivatedUser, Problem> {
    deactivate(&app, &user, &request, Command::Deactivate).await
}

/// Deactivates a user, and returns what stops with them, and what they leave.
///
/// # Errors
/// If the request is rejected or fails.
pub(crate) async fn deactivate<P: Permission>(
    app: &App,
    user: &Id<User>,
    request: &CommandRequest<P, Deactivation>,
    command: Command,
) -> Result<DeactivatedUser, Problem> {
    let (organization, user) = (request.caller.organization, user.get()?);
    let Deactivation { revoke_invitations: invitations_revoked, hand_over_to } = request.body;
    if let Some(successor) = hand_over_to {
        must_be_able(app, &request.caller, user, successor).await?;
    }
    let keys = app.accounts.api_keys(organization, user, app.clock.now()).await;
    let keys = keys.map_err(|error| Problem::unavailable(&error))?;
    let keys_that_stop = keys.into_iter().map(|key| key.key).collect();
    let invited = async || {
        let invited = app.accounts.invited_by(organization, user, app.clock.now()).await;
        invited.map_err(|error| Problem::unavailable(&error))
    };
    // To revoke all, they are read when the user can invite nobody any more; this waits for the read model.
    let before = if invitations_revoked { Vec::new() } else { invited().await? };
    let is_demotion = command == Command::Demote;
    let ChangedAccess { result, access } = change_access(app, request, user, command).await?;
    let result = match is_demotion {
        true => result,
        false => result.undone_by(|user| Undo::post(format!("{}/reactivate", place_of_user(organization, user)))),
    };
    let pending_invitations = if invitations_revoked { invited().await? } else { before };
    if invitations_revoked && !request.dry_run {
        revoke_invitations(app, &request.caller, &pending_invitations).await?;
    }
    // Nobody can make a user responsible who is not active, and the user opens no tickets any more.
    let open = OpenWork::of(app, &request.caller, user, hand_over_to.is_some()).await?;
    if let Some(successor) = hand_over_to.filter(|_| !request.dry_run) {
        open.hand_over(app, &request.caller, (user, successor)).await?;
    }
    Ok(DeactivatedUser {
        result,
        keys_that_stop,
        pending_invitations,
        invitations_revoked,
        open_port_calls: open.port_calls,
        open_tickets: open.tickets,
        handed_over_to: hand_over_to,
        access,
    })
}

/// Revokes invitations. Those that were accepted meanwhile are left.
async fn revoke_invitations<P: Permission>(
    app: &App,
    caller: &Authorized<P>,
    invited: &[UserId],
) -> Result<(), Problem> {
    let request = execute::Request::new(caller.organization, caller.meta.clone());
    for user in invited {
        match app.executor.execute::<User>(*user, Command::RevokeInvitation, &request).await {
            Ok(_) | Err(ExecuteError::Rejected(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
