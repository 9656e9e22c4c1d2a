//! Permissions as types, in one table. A handler names the permission that it requires in its signature.

use porttask_app::identity::access::{Caller, Credential};
use porttask_domain::{
    OrganizationId,
    identity::{Access, Role, api_key::KeyScope},
};
use std::marker::PhantomData;

/// A permission.
pub(crate) trait Permission: Send + Sync + 'static {
    /// `resource:action`.
    const NAME: &'static str;
    /// Whether it can be used while impersonating a user.
    const IS_IMPERSONABLE: bool = false;
    /// Whether a request counts as use of the session.
    const IS_USE: bool = true;

    /// Whether a caller holds it in an organization.
    fn is_held(caller: &Caller, organization: OrganizationId) -> bool;
}

/// A permission for an operation that is also available while impersonating a user.
pub(crate) struct Impersonable<P>(PhantomData<P>);

impl<P: Permission> Permission for Impersonable<P> {
    const NAME: &'static str = P::NAME;
    const IS_IMPERSONABLE: bool = true;
    const IS_USE: bool = P::IS_USE;

    fn is_held(caller: &Caller, organization: OrganizationId) -> bool {
        P::is_held(caller, organization)
    }
}

/// A permission for an operation that clients call by themselves: it does not count as use of the session.
pub(crate) struct Background<P>(PhantomData<P>);

impl<P: Permission> Permission for Background<P> {
    const NAME: &'static str = P::NAME;
    const IS_IMPERSONABLE: bool = P::IS_IMPERSONABLE;
    const IS_USE: bool = false;

    fn is_held(caller: &Caller, organization: OrganizationId) -> bool {
        P::is_held(caller, organization)
    }
}

/// Staff of the platform hold all permissions in all organizations; other users only in their own. No key is staff.
pub(crate) fn is_staff(caller: &Caller) -> bool {
    caller.organization == OrganizationId::PLATFORM && caller.role == Role::SuperAdmin && caller.session().is_some()
}

/// Whether users with a role can hold a permission at all: auditors of the platform read its audit trail, and nothing
/// else.
fn is_open_to(role: Role, permission: &str) -> bool {
    role != Role::PlatformAuditor || [SignedIn::NAME, ReadPlatformAuditLog::NAME].contains(&permission)
}

/// Which API keys can hold a permission.
#[derive(Clone, Copy)]
enum Keys {
    /// None: for permissions on people and credentials.
    Never,
    /// Keys of an organization, within their permissions.
    OfOrganization,
    /// Keys of an organization, within their permissions; and keys of the platform with this scope.
    OrScope(KeyScope),
    /// Keys of the platform with this scope.
    Scope(KeyScope),
    /// Keys of an organization with this scope, within what their owner holds.
    OwnScope(KeyScope),
}

impl Keys {
    fn hold(self, caller: &Caller, organization: OrganizationId, held: bool) -> bool {
        match (&caller.scopes, self) {
            (_, Self::Never) | (Some(_), Self::OfOrganization | Self::OwnScope(_)) => false,
            (None, Self::OwnScope(scope)) => {
                let has = |scope| caller.own_scopes.contains(&scope);
                // Write includes read.
                let has = has(scope) || (scope == KeyScope::ReadOperations && has(KeyScope::WriteOperations));
                caller.organization == organization && held && has
            }
            (None, Self::OfOrganization | Self::OrScope(_)) => caller.organization == organization && held,
            (None, Self::Scope(_)) => false,
            // A key can never change the platform's own organization or its staff.
            (Some(scopes), Self::OrScope(scope) | Self::Scope(scope)) => match scope {
                KeyScope::ReadOrganizations => {
                    scopes.contains(&scope) || scopes.contains(&KeyScope::WriteOrganizations)
                }
                KeyScope::ReadUsers => scopes.contains(&scope) || scopes.contains(&KeyScope::WriteUsers),
                KeyScope::ReadAuditLog => scopes.contains(&scope),
                KeyScope::WriteOrganizations => {
                    // Organizations are created in the platform's organization, whose own settings no key can change.
                    let is_of_all = matches!(self, Self::Scope(_));
                    scopes.contains(&scope) && (is_of_all || organization != OrganizationId::PLATFORM)
                }
                KeyScope::WriteUsers => scopes.contains(&scope) && organization != OrganizationId::PLATFORM,
                KeyScope::ReadOperations | KeyScope::WriteOperations => false,
            },
        }
    }
}

macro_rules! permissions {
    ($($(#[doc = $doc:literal])+ $permission:ident = $name:literal, $keys:expr, |$caller:ident| $held:expr;)+) => {
        $(
            $(#[doc = $doc])+
            #[derive(Debug, Clone, Copy)]
            pub(crate) struct $permission;

            impl Permission for $permission {
                const NAME: &'static str = $name;

                fn is_held($caller: &Caller, organization: OrganizationId) -> bool {
                    match $caller.credential {
                        Credential::Session(_) => {
                            is_staff($caller)
                                || ($caller.organization == organization && is_open_to($caller.role, $name) && $held)
                        }
                        Credential::Key { .. } => $keys.hold($caller, organization, $held),
                    }
                }
            }
        )+

        /// Whether API keys can hold the permission with this name.
        pub(crate) fn accepts_keys(name: &str) -> bool {
            match name {
                $($name => !matches!($keys, Keys::Never),)+
                _ => false,
            }
        }

        /// The names of the permissions that a caller holds in an organization, in the order of the table.
        pub(crate) fn held(caller: &Caller, organization: OrganizationId) -> Vec<&'static str> {
            let mut held = Vec::new();
            $(if $permission::is_held(caller, organization) {
                held.push($permission::NAME);
            })+
            held
        }
    };
}

permissions! {
    /// Manage the caller's own account and sessions.
    SignedIn = "account:own", Keys::Never, |_caller| true;
    /// Read the organization and its settings.
    ReadOrganization = "organization:read", Keys::OrScope(KeyScope::ReadOrganizations), |_caller| true;
    /// Change the organization's name and settings.
    WriteOrganization = "organization:write", Keys::OrScope(KeyScope::WriteOrganizations),
        |caller| caller.permissions.administration == Access::Write;
    /// Read users and their sessions.
    ReadUsers = "users:read", Keys::OrScope(KeyScope::ReadUsers),
        |caller| caller.permissions.administration >= Access::Read;
    /// Invite, deactivate and reactivate users, and revoke their sessions.
    WriteUsers = "users:write", Keys::Scope(KeyScope::WriteUsers),
        |caller| caller.permissions.administration == Access::Write;
    /// Change the role and permissions of users: only Admins.
    WriteRoles = "roles:write", Keys::Never,
        |caller| caller.role == Role::Admin && caller.permissions.administration == Access::Write;
    /// Read API keys, without their secrets.
    ReadKeys = "api_keys:read", Keys::Never, |caller| caller.permissions.administration >= Access::Read;
    /// Create, rotate, revoke and adopt API keys.
    WriteKeys = "api_keys:write", Keys::Never, |caller| caller.permissions.administration == Access::Write;
    /// Read and export the audit log: only Admins and Auditors.
    ReadAuditLog = "audit_log:read", Keys::OrScope(KeyScope::ReadAuditLog), |caller|
        matches!(caller.role, Role::Admin | Role::Auditor) && caller.permissions.administration >= Access::Read;
    /// Read and export what staff, keys of the platform and operators did in any organization: only staff, auditors and
    /// keys of the platform.
    ReadPlatformAuditLog = "platform_audit_log:read", Keys::Scope(KeyScope::ReadAuditLog),
        |caller| caller.role == Role::PlatformAuditor;
    /// Read vendors.
    ReadVendors = "vendors:read", Keys::Never, |_caller| true;
    /// Create, change and archive vendors: only Admins and Agents.
    WriteVendors = "vendors:write", Keys::Never, |caller| matches!(caller.role, Role::Admin | Role::Agent);
    /// Read tickets.
    ReadTickets = "tickets:read", Keys::OfOrganization, |caller| caller.permissions.tickets >= Access::Read;
    /// Open tickets, reply to them, escalate, resolve and reopen them.
    WriteTickets = "tickets:write", Keys::OfOrganization, |caller| caller.permissions.tickets == Access::Write;
    /// List the tickets of all organizations, assign them, and write internal notes: only staff of the platform.
    ManageTickets = "tickets:manage", Keys::Never, |_caller| false;
    /// Read port calls, service orders and documents.
    ReadOperations = "operations:read", Keys::OwnScope(KeyScope::ReadOperations), |_caller| true;
    /// Create and change port calls, service orders and documents: only Admins and Agents.
    WriteOperations = "operations:write", Keys::OwnScope(KeyScope::WriteOperations),
        |caller| matches!(caller.role, Role::Admin | Role::Agent);
    /// Correct what others cannot any more: reopen port calls, delete them in any status. Only Admins.
    ManageOperations = "operations:manage", Keys::Never, |caller| caller.role == Role::Admin;
    /// Read the subscription, plans and discounts.
    ReadBilling = "billing:read", Keys::OfOrganization, |caller| caller.permissions.invoices >= Access::Read;
    /// Change the subscription and redeem coupons.
    WriteBilling = "billing:write", Keys::OfOrganization, |caller| caller.permissions.invoices == Access::Write;
    /// Read usage.
    ReadUsage = "usage:read", Keys::OfOrganization, |caller|
        caller.permissions.invoices >= Access::Read || caller.permissions.reports >= Access::Read;
    /// Administer subscriptions, discounts and coupons of all organizations: only staff of the platform.
    AdministerBilling = "billing:administer", Keys::Never, |_caller| false;
    /// Create and change plans: only staff of the platform.
    WritePlans = "plans:write", Keys::Never, |_caller| false;
    /// Issue and revoke licences, and manage the keys that sign them: only staff of the platform.
    WriteLicences = "licences:write", Keys::Never, |_caller| false;
    /// Impersonate users: only staff of the platform.
    Impersonate = "users:impersonate", Keys::Never, |_caller| false;
    /// Search users in all organizations: only staff and keys of the platform.
    SearchUsers = "users:search", Keys::Scope(KeyScope::ReadUsers), |_caller| false;
    /// Read super admins: only staff of the platform.
    ReadStaff = "super_admins:read", Keys::Never, |_caller| false;
    /// Promote and demote super admins: only staff of the platform.
    WriteStaff = "super_admins:write", Keys::Never, |_caller| false;
    /// Read what is due next and what failed: only staff of the platform.
    ReadTimers = "timers:read", Keys::Never, |_caller| false;
    /// Read the state of the service itself: only staff of the platform.
    ReadSystem = "system:read", Keys::Never, |_caller| false;
    /// Intervene in the service itself, such as to retry tasks: only staff of the platform.
    WriteSystem = "system:write", Keys::Never, |_caller| false;
    /// List all organizations: only staff and keys of the platform.
    ReadOrganizations = "organizations:read", Keys::Scope(KeyScope::ReadOrganizations), |_caller| false;
    /// Create, suspend, reactivate and deactivate organizations: only staff and keys of the platform.
    WriteOrganizations = "organizations:write", Keys::Scope(KeyScope::WriteOrganizations), |_caller| false;
}
