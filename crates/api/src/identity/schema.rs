//! Words of the domain as the OpenAPI document shows them. The values themselves are the domain's own.
#![expect(dead_code, reason = "they describe, and are never made")]

use utoipa::ToSchema;

/// What somebody is in an organization: the ceiling of what they may do.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum Role {
    Admin,
    Agent,
    ReadOnly,
    Auditor,
    SuperAdmin,
}

/// What a key of the platform may in all organizations.
#[derive(ToSchema)]
pub(crate) enum KeyScope {
    #[schema(rename = "organizations:read")]
    ReadOrganizations,
    #[schema(rename = "organizations:write")]
    WriteOrganizations,
    #[schema(rename = "users:read")]
    ReadUsers,
    #[schema(rename = "users:write")]
    WriteUsers,
    #[schema(rename = "audit_log:read")]
    ReadAuditLog,
}

/// Where an account is in its life.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum Status {
    Registered,
    Invited,
    Active,
    Deactivated,
}

/// How an organization stands with the platform.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum OrganizationStatus {
    Active,
    Suspended,
    Deactivated,
}

/// How far somebody may go in one group of things.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum Access {
    None,
    Read,
    Write,
}

/// What a user is permitted, by group.
#[derive(ToSchema)]
pub(crate) struct Permissions {
    /// Support tickets and billing inquiries.
    tickets: Access,
    /// Subscription, invoices and payment.
    invoices: Access,
    /// Usage and reports.
    reports: Access,
    /// Users, roles, settings, integrations, the audit log.
    administration: Access,
}

/// In which form something is taken out.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum Format {
    Csv,
    Json,
}
