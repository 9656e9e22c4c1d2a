//! The state read to identify a caller.

use std::net::IpAddr;

use ipnet::IpNet;
use jiff::Timestamp;
use porttask_domain::{
    ApiKeyId, Impersonator, OrganizationId, SessionId,
    identity::{ApiKey, Capability, Organization, Permissions, Role, Session, User, api_key::Grant, session::Holder},
};

use super::{Access, AccessError, Caller, Credential};
use porttask_runtime::{
    execute::{ExecuteError, stream_of},
    log::{Expected, StreamId},
};

/// Loads the state that identifies a caller, and records the stream versions.
pub(super) struct Seen<'a> {
    access: &'a Access,
    may_be_old: bool,
    pub(super) versions: Vec<Expected>,
}

impl<'a> Seen<'a> {
    pub(super) fn new(access: &'a Access, may_be_old: bool) -> Self {
        Self { access, may_be_old, versions: Vec::new() }
    }
    /// The caller of a session, or why it is not valid; preliminary until the recorded versions are confirmed.
    pub(super) async fn session(
        &mut self,
        organization: OrganizationId,
        session: SessionId,
        now: Timestamp,
    ) -> Result<Result<Caller, AccessError>, ExecuteError> {
        let state: Session = self.look(stream_of::<Session>(organization, session)?).await?;
        let Some(Holder { user, started_at, session_epoch, impersonator }) = state.holder_at(now) else {
            return Ok(Err(AccessError::Unknown));
        };
        if self.access.activity.is_idle(organization, session.0, started_at, now).await? {
            return Ok(Err(AccessError::Unknown));
        }
        if let Some(staff) = impersonator
            && !self.is_staff(staff, now).await?
        {
            return Ok(Err(AccessError::Unknown));
        }
        let state: User = self.look(stream_of::<User>(organization, user)?).await?;
        let Some((role, permissions)) = state.rights() else { return Ok(Err(AccessError::Unknown)) };
        if !state.keeps(session, session_epoch.user) {
            return Ok(Err(AccessError::Unknown));
        }
        match self.epoch_in_use(organization).await? {
            Err(rejected) => return Ok(Err(rejected)),
            Ok(epoch) if epoch != session_epoch.organization => return Ok(Err(AccessError::Unknown)),
            Ok(_) => {}
        }
        let credential = Credential::Session(session);
        let (scopes, seen) = (None, Vec::new());
        Ok(Ok(Caller { organization, user, credential, role, permissions, scopes, impersonator, seen }))
    }

    /// Whether the impersonator is still a super admin with an active session.
    async fn is_staff(
        &mut self,
        Impersonator { user, session }: Impersonator,
        now: Timestamp,
    ) -> Result<bool, ExecuteError> {
        let home = OrganizationId::PLATFORM;
        let state: Session = self.look(stream_of::<Session>(home, session)?).await?;
        let Some(holder) = state.holder_at(now).filter(|holder| holder.user == user) else { return Ok(false) };
        let state: User = self.look(stream_of::<User>(home, user)?).await?;
        let is_super_admin = state.rights().is_some_and(|(role, _)| role == Role::SuperAdmin);
        Ok(is_super_admin && state.keeps(session, holder.session_epoch.user))
    }

    /// The caller of a key, or why it is not valid; preliminary until the recorded versions are confirmed.
    pub(super) async fn key(
        &mut self,
        organization: OrganizationId,
        (key, generation): (ApiKeyId, u32),
        (ip, now): (Option<IpAddr>, Timestamp),
    ) -> Result<Result<Caller, AccessError>, ExecuteError> {
        let state: ApiKey = self.look(stream_of::<ApiKey>(organization, key)?).await?;
        let Some(found) = state.accepted(generation, now) else { return Ok(Err(AccessError::Unknown)) };
        let (credential, user, seen) = (Credential::Key { key, generation }, found.owner, Vec::new());
        // Checked first, so that a stolen key reveals nothing from other networks.
        let is_near = |network: &IpNet| ip.is_some_and(|ip| network.contains(&ip.to_canonical()));
        if !found.networks.is_empty() && !found.networks.iter().any(is_near) {
            let (role, permissions, scopes, impersonator) = (Role::ReadOnly, Permissions::NONE, None, None);
            let nobody = Caller { organization, user, credential, role, permissions, scopes, impersonator, seen };
            return Ok(Err(AccessError::Elsewhere(Box::new(nobody))));
        }
        if let Err(rejected) = self.epoch_in_use(organization).await? {
            return Ok(Err(rejected));
        }
        let owner: User = self.look(stream_of::<User>(organization, found.owner)?).await?;
        let Some((role, held)) = owner.rights() else { return Ok(Err(AccessError::OwnerInactive)) };
        let (permissions, scopes) = match &found.grant {
            Grant::Permissions(permissions) => (permissions.narrowed_to(held), None),
            // The owner has all permissions on the platform, or none.
            Grant::Scopes(scopes) => (Permissions::NONE, Some(scopes.clone())),
        };
        let impersonator = None;
        Ok(Ok(Caller { organization, user, credential, role, permissions, scopes, impersonator, seen }))
    }

    /// The session epoch of an organization, or why it cannot be used. The platform always can.
    async fn epoch_in_use(&mut self, organization: OrganizationId) -> Result<Result<u64, AccessError>, ExecuteError> {
        if organization == OrganizationId::PLATFORM {
            return Ok(Ok(0));
        }
        let state: Organization = self.look(stream_of::<Organization>(organization, organization)?).await?;
        let allowed = state.allow(Capability::Use);
        Ok(allowed.map(|()| state.session_epoch()).map_err(|rejection| AccessError::Rejected(rejection.into())))
    }

    /// The session epoch of an organization; always 0 for the platform.
    pub(super) async fn session_epoch_of(&mut self, organization: OrganizationId) -> Result<u64, ExecuteError> {
        if organization == OrganizationId::PLATFORM {
            return Ok(0);
        }
        let state: Organization = self.look(stream_of::<Organization>(organization, organization)?).await?;
        Ok(state.session_epoch())
    }

    pub(super) async fn look<A: porttask_domain::Registered>(&mut self, stream: StreamId) -> Result<A, ExecuteError> {
        let (state, version) = self.access.executor.load_cached::<A>(&stream, self.may_be_old).await?;
        self.versions.push(Expected { stream, version });
        Ok(state)
    }
}
