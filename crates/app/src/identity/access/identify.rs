//! From the state of a session or key to a caller.

use std::{collections::BTreeSet, net::IpAddr};

use ipnet::IpNet;
use jiff::Timestamp;
use porttask_domain::{
    ApiKeyId, Impersonator, OrganizationId, SessionId,
    identity::{ApiKey, Capability, Organization, Permissions, Role, Session, User, api_key::Grant, session::Holder},
};
use porttask_runtime::execute::{ExecuteError, Tx};

use super::{Access, AccessError, Caller, Credential, Token};

impl Access {
    /// The caller of a token, or why it is not accepted.
    pub(super) async fn identify(
        &self,
        tx: &Tx,
        token: &Token,
        ip: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<Caller, AccessError> {
        match token.credential() {
            Credential::Session(session) => self.holder(tx, token.organization(), session, now).await,
            Credential::Key { key, generation } => {
                self.key_holder(tx, token.organization(), (key, generation), (ip, now)).await
            }
        }
    }

    async fn holder(
        &self,
        tx: &Tx,
        organization: OrganizationId,
        session: SessionId,
        now: Timestamp,
    ) -> Result<Caller, AccessError> {
        let state: Session = tx.join(organization, session).await?;
        let holder = state.holder_at(now).ok_or(AccessError::Unknown)?;
        let Holder { user, started_at, session_epoch, impersonator } = holder;
        if self.activity.is_idle(organization, session.0, started_at, now).await? {
            return Err(AccessError::Unknown);
        }
        if let Some(staff) = impersonator
            && !is_staff(tx, staff, now).await?
        {
            return Err(AccessError::Unknown);
        }
        let state: User = tx.join(organization, user).await?;
        let (role, permissions) = state.rights().ok_or(AccessError::Unknown)?;
        let is_kept = state.keeps(session, session_epoch.user);
        if !is_kept || epoch_in_use(tx, organization).await? != session_epoch.organization {
            return Err(AccessError::Unknown);
        }
        let (credential, scopes, own_scopes) = (Credential::Session(session), None, BTreeSet::new());
        Ok(Caller { organization, user, credential, role, permissions, scopes, own_scopes, impersonator })
    }

    async fn key_holder(
        &self,
        tx: &Tx,
        organization: OrganizationId,
        (key, generation): (ApiKeyId, u32),
        (ip, now): (Option<IpAddr>, Timestamp),
    ) -> Result<Caller, AccessError> {
        let state: ApiKey = tx.join(organization, key).await?;
        let found = state.accepted(generation, now).ok_or(AccessError::Unknown)?;
        let (credential, user, impersonator) = (Credential::Key { key, generation }, found.owner, None);
        // Checked first, so that a stolen key reveals nothing from other networks.
        let is_near = |network: &IpNet| ip.is_some_and(|ip| network.contains(&ip.to_canonical()));
        if !found.networks.is_empty() && !found.networks.iter().any(is_near) {
            let (role, permissions, scopes, own_scopes) = (Role::ReadOnly, Permissions::NONE, None, BTreeSet::new());
            let nobody = Caller { organization, user, credential, role, permissions, scopes, own_scopes, impersonator };
            return Err(AccessError::Elsewhere(Box::new(nobody)));
        }
        epoch_in_use(tx, organization).await?;
        let owner: User = tx.join(organization, found.owner).await?;
        let (role, held) = owner.rights().ok_or(AccessError::OwnerInactive)?;
        let (permissions, scopes, own_scopes) = match &found.grant {
            Grant::Permissions(permissions) => (permissions.narrowed_to(held), None, BTreeSet::new()),
            Grant::PermissionsAndScopes { permissions, scopes } => {
                (permissions.narrowed_to(held), None, scopes.clone())
            }
            // The owner has all permissions on the platform, or none.
            Grant::Scopes(scopes) => (Permissions::NONE, Some(scopes.clone()), BTreeSet::new()),
        };
        Ok(Caller { organization, user, credential, role, permissions, scopes, own_scopes, impersonator })
    }
}

/// Whether the impersonator is still a super admin with an active session.
async fn is_staff(tx: &Tx, Impersonator { user, session }: Impersonator, now: Timestamp) -> Result<bool, ExecuteError> {
    let home = OrganizationId::PLATFORM;
    let state: Session = tx.join(home, session).await?;
    let Some(holder) = state.holder_at(now).filter(|holder| holder.user == user) else { return Ok(false) };
    let state: User = tx.join(home, user).await?;
    let is_super_admin = state.rights().is_some_and(|(role, _)| role == Role::SuperAdmin);
    Ok(is_super_admin && state.keeps(session, holder.session_epoch.user))
}

/// The session epoch of an organization, or why it cannot be used. The platform always can.
async fn epoch_in_use(tx: &Tx, organization: OrganizationId) -> Result<u64, AccessError> {
    if organization == OrganizationId::PLATFORM {
        return Ok(0);
    }
    let state: Organization = tx.join(organization, organization).await?;
    let allowed = state.allow(Capability::Use);
    allowed.map(|()| state.session_epoch()).map_err(|rejection| AccessError::Rejected(rejection.into()))
}
