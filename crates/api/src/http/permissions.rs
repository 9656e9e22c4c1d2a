//! Who may: rights as types, in one table. A handler names the right that it needs in its signature.

use porttask_app::identity::access::{Caller, Credential};
use porttask_domain::{
    OrganizationId,
    identity::{Access, Role, api_key::KeyScope},
};
use std::marker::PhantomData;

/// A right to do something.
pub(crate) trait Permission: Send + Sync + 'static {
    /// `resource:action`.
    const NAME: &'static str;
    /// Whether staff of the platform may use it while they act as somebody else.
    const IS_IMPERSONABLE: bool = false;

    /// Whether a caller has it in an organization.
    fn is_held(caller: &Caller, organization: OrganizationId) -> bool;
}

/// A right in an operation that staff of the platform may carry out while they act as somebody else.
pub(crate) struct Impersonable<R>(PhantomData<R>);

impl<R: Permission> Permission for Impersonable<R> {
    const NAME: &'static str = R::NAME;
    const IS_IMPERSONABLE: bool = true;

    fn is_held(caller: &Caller, organization: OrganizationId) -> bool {
        R::is_held(caller, organization)
    }
}

/// Staff of the platform may everything everywhere; others only at home. No key is staff.
pub(crate) fn is_staff(caller: &Caller) -> bool {
    caller.organization == OrganizationId::PLATFORM && caller.role == Role::SuperAdmin && caller.session().is_some()
}

/// Who else than people has a right.
#[derive(Clone, Copy)]
enum Keys {
    /// Nobody: what is about people and credentials.
    Never,
    /// Keys of an organization, as far as their permissions let; and keys of the platform with this scope.
    OrScope(KeyScope),
    /// Keys of the platform with this scope.
    Scope(KeyScope),
}

impl Keys {
    fn hold(self, caller: &Caller, organization: OrganizationId, held: bool) -> bool {
        match (&caller.scopes, self) {
            (_, Self::Never) => false,
            (None, Self::OrScope(_)) => caller.organization == organization && held,
            (None, Self::Scope(_)) => false,
            // A key never changes the platform's own organization, nor who its staff is.
            (Some(scopes), Self::OrScope(scope) | Self::Scope(scope)) => match scope {
                KeyScope::ReadOrganizations => {
                    scopes.contains(&scope) || scopes.contains(&KeyScope::WriteOrganizations)
                }
                KeyScope::ReadUsers => scopes.contains(&scope) || scopes.contains(&KeyScope::WriteUsers),
                KeyScope::ReadAuditLog => scopes.contains(&scope),
                KeyScope::WriteOrganizations => {
                    // To make one is asked of the platform; its own settings are not for keys.
                    let is_of_all = matches!(self, Self::Scope(_));
                    scopes.contains(&scope) && (is_of_all || organization != OrganizationId::PLATFORM)
                }
                KeyScope::WriteUsers => scopes.contains(&scope) && organization != OrganizationId::PLATFORM,
            },
        }
    }
}

macro_rules! permissions {
    ($($(#[doc = $doc:literal])+ $right:ident = $name:literal, $keys:expr, |$caller:ident| $held:expr;)+) => {
        $(
            $(#[doc = $doc])+
            #[derive(Debug, Clone, Copy)]
            pub(crate) struct $right;

            impl Permission for $right {
                const NAME: &'static str = $name;

                fn is_held($caller: &Caller, organization: OrganizationId) -> bool {
                    match $caller.credential {
                        Credential::Session(_) => {
                            is_staff($caller) || ($caller.organization == organization && $held)
                        }
                        Credential::Key { .. } => $keys.hold($caller, organization, $held),
                    }
                }
            }
        )+

        /// The names of the rights that a caller has in an organization, in the order of the table.
        pub(crate) fn held(caller: &Caller, organization: OrganizationId) -> Vec<&'static str> {
            let mut held = Vec::new();
            $(if $right::is_held(caller, organization) {
                held.push($right::NAME);
            })+
            held
        }
    };
}

permissions! {
    /// To be signed in: one's own account and sessions.
    SignedIn = "account:own", Keys::Never, |_caller| true;
    /// To see the organization and its settings.
    ReadOrganization = "organization:read", Keys::OrScope(KeyScope::ReadOrganizations), |_caller| true;
    /// To change the organization's name and settings.
    WriteOrganization = "organization:write", Keys::OrScope(KeyScope::WriteOrganizations),
        |caller| caller.permissions.administration == Access::Write;
    /// To see users and their sessions.
    ReadUsers = "users:read", Keys::OrScope(KeyScope::ReadUsers),
        |caller| caller.permissions.administration >= Access::Read;
    /// To invite, lock out and let in users, and to end their sessions.
    WriteUsers = "users:write", Keys::Scope(KeyScope::WriteUsers),
        |caller| caller.permissions.administration == Access::Write;
    /// To make somebody something else: only Admins.
    WriteRoles = "roles:write", Keys::Never,
        |caller| caller.role == Role::Admin && caller.permissions.administration == Access::Write;
    /// To see API keys, never their secrets.
    ReadKeys = "api_keys:read", Keys::Never, |caller| caller.permissions.administration >= Access::Read;
    /// To make, rotate, revoke and adopt API keys.
    WriteKeys = "api_keys:write", Keys::Never, |caller| caller.permissions.administration == Access::Write;
    /// To see who did what, and to take it out of the platform: only Admins and Auditors.
    ReadAuditLog = "audit_log:read", Keys::OrScope(KeyScope::ReadAuditLog), |caller|
        matches!(caller.role, Role::Admin | Role::Auditor) && caller.permissions.administration >= Access::Read;
    /// To act as a user of an organization: only staff of the platform.
    Impersonate = "users:impersonate", Keys::Never, |_caller| false;
    /// To look for users in all organizations: only staff of the platform.
    SearchUsers = "users:search", Keys::Scope(KeyScope::ReadUsers), |_caller| false;
    /// To see who is staff of the platform: only they.
    ReadStaff = "super_admins:read", Keys::Never, |_caller| false;
    /// To say who is staff of the platform: only they.
    WriteStaff = "super_admins:write", Keys::Never, |_caller| false;
    /// To see all organizations: only staff of the platform.
    ReadOrganizations = "organizations:read", Keys::Scope(KeyScope::ReadOrganizations), |_caller| false;
    /// To make, lock out and end organizations: only staff of the platform.
    WriteOrganizations = "organizations:write", Keys::Scope(KeyScope::WriteOrganizations), |_caller| false;
}
