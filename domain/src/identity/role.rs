//! Roles, and the permissions that refine them for one user.

use serde::{Deserialize, Serialize};

use crate::merge_patch::not_null;

crate::texts! {
    /// The role of a user: the ceiling of what they may do.
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
    pub enum Role {
        /// Everything within the organization.
        Admin = "admin",
        /// The daily work: port calls, service orders, vendors, documents, tickets.
        Agent = "agent",
        /// Read-only access.
        ReadOnly = "read_only",
        /// Read-only access, including users, permissions and the audit log.
        Auditor = "auditor",
        /// The platform's own staff: everything, in every organization. Only in the platform's organization.
        SuperAdmin = "super_admin",
        /// The audit trail of the platform, and nothing else. Only in the platform's organization.
        PlatformAuditor = "platform_auditor",
    }

    /// The level of access in one permission group.
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
    pub enum Access {
        /// No access.
        None = "none",
        /// Read access.
        Read = "read",
        /// Read and write access.
        Write = "write",
    }
}

impl Role {
    /// The maximum permissions of this role, which are also its default permissions.
    pub const fn ceiling(self) -> Permissions {
        use Access::{None, Read, Write};
        let [tickets, invoices, reports, administration] = match self {
            Self::Admin | Self::SuperAdmin => [Write, Write, Write, Write],
            Self::Agent => [Write, Read, Read, None],
            Self::ReadOnly => [Read, Read, Read, None],
            Self::Auditor => [Read, Read, Read, Read],
            Self::PlatformAuditor => [None, None, None, None],
        };
        Permissions { tickets, invoices, reports, administration }
    }

    /// Whether it allows everything that another role allows to users with the same permissions.
    pub const fn includes(self, other: Self) -> bool {
        match self {
            Self::Admin => !other.is_of_the_platform(),
            Self::Agent => matches!(other, Self::Agent | Self::ReadOnly),
            Self::Auditor => matches!(other, Self::Auditor | Self::ReadOnly),
            Self::ReadOnly => matches!(other, Self::ReadOnly),
            Self::SuperAdmin => matches!(other, Self::SuperAdmin),
            Self::PlatformAuditor => matches!(other, Self::PlatformAuditor),
        }
    }

    /// Whether it is a role for the platform's staff.
    pub const fn is_of_the_platform(self) -> bool {
        match self {
            Self::SuperAdmin | Self::PlatformAuditor => true,
            Self::Admin | Self::Agent | Self::ReadOnly | Self::Auditor => false,
        }
    }
}

/// The permissions of a user, by group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Permissions {
    /// Support tickets and billing inquiries.
    pub tickets: Access,
    /// Subscription, invoices and payment.
    pub invoices: Access,
    /// Usage and reports.
    pub reports: Access,
    /// Users, roles, settings, integrations, the audit log.
    pub administration: Access,
}

/// Permissions in some groups; what applies to the groups that are left out depends on the request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PermissionsPatch {
    /// Support tickets and billing inquiries.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(feature = "schema", schema(value_type = Access, required = false))]
    pub tickets: Option<Access>,
    /// Subscription, invoices and payment.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(feature = "schema", schema(value_type = Access, required = false))]
    pub invoices: Option<Access>,
    /// Usage and reports.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(feature = "schema", schema(value_type = Access, required = false))]
    pub reports: Option<Access>,
    /// Users, roles, settings, integrations, the audit log.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(feature = "schema", schema(value_type = Access, required = false))]
    pub administration: Option<Access>,
}

impl PermissionsPatch {
    /// These permissions, and those of `others` in the groups that are left out.
    #[must_use]
    pub fn or(self, others: Permissions) -> Permissions {
        Permissions {
            tickets: self.tickets.unwrap_or(others.tickets),
            invoices: self.invoices.unwrap_or(others.invoices),
            reports: self.reports.unwrap_or(others.reports),
            administration: self.administration.unwrap_or(others.administration),
        }
    }
}

impl Permissions {
    /// No permissions.
    pub const NONE: Self =
        Self { tickets: Access::None, invoices: Access::None, reports: Access::None, administration: Access::None };

    /// Whether no permission exceeds `ceiling`.
    pub fn is_within(self, ceiling: Self) -> bool {
        self.narrowed_to(ceiling) == self
    }

    /// These permissions, limited to `ceiling`.
    #[must_use]
    pub fn narrowed_to(self, ceiling: Self) -> Self {
        Self {
            tickets: self.tickets.min(ceiling.tickets),
            invoices: self.invoices.min(ceiling.invoices),
            reports: self.reports.min(ceiling.reports),
            administration: self.administration.min(ceiling.administration),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TextEnum;

    #[test]
    fn a_role_includes_those_that_allow_less() {
        for role in Role::ALL {
            assert!(role.includes(*role), "{role:?}");
            assert_eq!(Role::Admin.includes(*role), !role.is_of_the_platform(), "{role:?}");
        }
        assert!(Role::Agent.includes(Role::ReadOnly) && Role::Auditor.includes(Role::ReadOnly));
        assert!(!Role::Agent.includes(Role::Auditor) && !Role::Auditor.includes(Role::Agent));
        assert!(!Role::ReadOnly.includes(Role::Agent) && !Role::Agent.includes(Role::Admin));
    }

    #[test]
    fn groups_that_are_left_out_come_from_elsewhere() {
        let patch: PermissionsPatch = serde_json::from_str(r#"{"invoices":"none"}"#).unwrap();
        assert_eq!(patch.or(Role::Agent.ceiling()), Permissions { invoices: Access::None, ..Role::Agent.ceiling() });
        assert_eq!(PermissionsPatch::default().or(Permissions::NONE), Permissions::NONE);
        assert!(serde_json::from_str::<PermissionsPatch>(r#"{"invoices":null}"#).is_err());
    }

    #[test]
    fn permissions_narrow_a_role_and_never_widen_it() {
        let all = Role::Admin.ceiling();
        let agent = Role::Agent.ceiling();
        assert!(agent.is_within(all));
        assert!(!all.is_within(agent));
        assert_eq!(all.narrowed_to(agent), agent);
        assert!(Permissions { invoices: Access::None, ..agent }.is_within(agent));
        assert!(!Permissions { administration: Access::Read, ..agent }.is_within(agent));
    }
}
