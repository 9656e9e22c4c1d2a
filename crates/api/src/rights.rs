//! Who may: rights as types, in one table. A handler names the right that it needs in its signature.

use porttask_app::access::Caller;
use porttask_domain::{
    OrganizationId,
    identity::{Access, Role},
};

/// A right to do something.
pub(crate) trait Right: Send + Sync + 'static {
    /// `resource:action`.
    const NAME: &'static str;

    /// Whether a caller has it in an organization.
    fn is_held(caller: &Caller, organization: OrganizationId) -> bool;
}

/// Staff of the platform may everything everywhere; others only at home.
pub(crate) fn is_staff(caller: &Caller) -> bool {
    caller.organization == OrganizationId::PLATFORM && caller.role == Role::SuperAdmin
}

macro_rules! rights {
    ($($(#[doc = $doc:literal])+ $right:ident = $name:literal: |$caller:ident| $held:expr;)+) => {
        $(
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Copy)]
        pub(crate) struct $right;

        impl Right for $right {
            const NAME: &'static str = $name;

            fn is_held($caller: &Caller, organization: OrganizationId) -> bool {
                is_staff($caller) || ($caller.organization == organization && $held)
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

rights! {
    /// To be signed in: one's own account and sessions.
    SignedIn = "account:own": |_caller| true;
    /// To see the organization and its settings.
    ReadOrganization = "organization:read": |_caller| true;
    /// To change the organization's name and settings.
    WriteOrganization = "organization:write": |caller| caller.permissions.administration == Access::Write;
    /// To see users and their sessions.
    ReadUsers = "users:read": |caller| caller.permissions.administration >= Access::Read;
    /// To invite, lock out and let in users, and to end their sessions.
    WriteUsers = "users:write": |caller| caller.permissions.administration == Access::Write;
    /// To make somebody something else: only Admins.
    WriteRoles = "roles:write":
        |caller| caller.role == Role::Admin && caller.permissions.administration == Access::Write;
    /// To see who did what, and to take it out of the platform: only Admins and Auditors.
    ReadAuditLog = "audit_log:read": |caller|
        matches!(caller.role, Role::Admin | Role::Auditor) && caller.permissions.administration >= Access::Read;
    /// To see all organizations: only staff of the platform.
    ReadOrganizations = "organizations:read": |_caller| false;
    /// To make, lock out and end organizations: only staff of the platform.
    WriteOrganizations = "organizations:write": |_caller| false;
}
