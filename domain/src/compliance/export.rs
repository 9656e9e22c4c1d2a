//! Exports of the audit log and of listings: recorded before the first byte is sent.

mod billing;
mod operations;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::billing::{
    BillingFileSelection, CouponSelection, CreditNoteSelection, InvoiceSelection, PlanSelection, RevenueSelection,
    SubscriptionSelection, TaxReportKind, TaxReportSelection, UsageReport, UsageSelection,
};
pub use self::operations::{DocumentSelection, PortCallSelection, ServiceOrderSelection, VendorSelection};
use crate::{
    Aggregate, ExportId, Kind, OrganizationId, Personal, SessionId, UserId,
    billing::{licence, payment},
    identity::{OrganizationStatus, Role, user},
    support::ticket,
};

/// Commands on an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Record what is exported.
    Take(Event),
}

/// Events of an export. Stored forever: never reuse a name; a new shape is a new `.vN`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", deny_unknown_fields)]
pub enum Event {
    /// Entries of the audit log were exported.
    #[serde(rename = "export.audit_log_taken.v1")]
    AuditLogTaken {
        /// The format.
        format: Format,
        /// The filter.
        selection: Selection,
    },
    /// Entries of the platform's audit trail were exported.
    #[serde(rename = "export.platform_audit_log_taken.v1")]
    PlatformAuditLogTaken {
        /// The format.
        format: Format,
        /// The filter.
        selection: PlatformSelection,
    },
    /// Users of the organization were exported.
    #[serde(rename = "export.users_taken.v1")]
    UsersTaken {
        /// The format.
        format: Format,
        /// The filter.
        selection: UserSelection,
    },
    /// Organizations were exported.
    #[serde(rename = "export.organizations_taken.v1")]
    OrganizationsTaken {
        /// The format.
        format: Format,
        /// The filter.
        selection: OrganizationSelection,
    },
    /// Tickets of the organization were exported, or by the platform those of any.
    #[serde(rename = "export.tickets_taken.v1")]
    TicketsTaken {
        /// The format.
        format: Format,
        /// The filter.
        selection: TicketSelection,
    },
    /// Port calls of the organization were exported.
    #[serde(rename = "export.port_calls_taken.v1")]
    PortCallsTaken {
        /// The format.
        format: Format,
        /// The filter.
        selection: PortCallSelection,
    },
    /// The list of documents was exported.
    #[serde(rename = "export.documents_taken.v1")]
    DocumentsTaken {
        /// The format.
        format: Format,
        /// The filter.
        selection: DocumentSelection,
    },
    /// Service orders of the organization were exported.
    #[serde(rename = "export.service_orders_taken.v1")]
    ServiceOrdersTaken {
        /// The format.
        format: Format,
        /// The filter.
        selection: ServiceOrderSelection,
    },
    /// Vendors of the organization were exported.
    #[serde(rename = "export.vendors_taken.v1")]
    VendorsTaken {
        /// The format.
        format: Format,
        /// The filter.
        selection: VendorSelection,
    },
    /// Payments were exported.
    #[serde(rename = "export.payments_taken.v1")]
    PaymentsTaken {
        /// The format.
        format: Format,
        /// The filter.
        selection: PaymentSelection,
    },
    /// What an organization used was exported.
    #[serde(rename = "export.usage_taken.v1")]
    UsageTaken {
        /// The format.
        format: Format,
        /// The filter.
        selection: UsageSelection,
    },
    /// The list of plans was exported.
    #[serde(rename = "export.plans_taken.v1")]
    PlansTaken {
        /// The format.
        format: Format,
        /// The filter.
        selection: PlanSelection,
    },
    /// The list of coupons was exported.
    #[serde(rename = "export.coupons_taken.v1")]
    CouponsTaken {
        /// The format.
        format: Format,
        /// The filter.
        selection: CouponSelection,
    },
    /// The subscriptions of all organizations were exported.
    #[serde(rename = "export.subscriptions_taken.v1")]
    SubscriptionsTaken {
        /// The format.
        format: Format,
        /// The filter.
        selection: SubscriptionSelection,
    },
    /// The licences of all organizations were exported.
    #[serde(rename = "export.licences_taken.v1")]
    LicencesTaken {
        /// The format.
        format: Format,
        /// The filter.
        selection: LicenceSelection,
    },
    /// Invoices of the organization were exported, or by the platform those of any.
    #[serde(rename = "export.invoices_taken.v1")]
    InvoicesTaken {
        /// The format.
        format: Format,
        /// The filter.
        selection: InvoiceSelection,
    },
    /// Credit notes of the organization were exported.
    #[serde(rename = "export.credit_notes_taken.v1")]
    CreditNotesTaken {
        /// The format.
        format: Format,
        /// The filter.
        selection: CreditNoteSelection,
    },
    /// The PDFs of invoices and credit notes of the organization were exported.
    #[serde(rename = "export.billing_files_taken.v1")]
    BillingFilesTaken {
        /// The filter.
        selection: BillingFileSelection,
    },
    /// The revenue of months was exported.
    #[serde(rename = "export.revenue_taken.v1")]
    RevenueTaken {
        /// The format.
        format: Format,
        /// The filter.
        selection: RevenueSelection,
    },
    /// The tax report was exported.
    #[serde(rename = "export.tax_report_taken.v1")]
    TaxReportTaken {
        /// The format.
        format: Format,
        /// The filter.
        selection: TaxReportSelection,
    },
}

crate::texts! {
    /// The format of an export.
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
    #[cfg_attr(feature = "schema", schema(as = ExportFormat))]
    pub enum Format {
        /// Comma-separated values (RFC 4180).
        Csv = "csv",
        /// One JSON object per line.
        Json = "json",
    }
}

/// A filter on the audit log: entries must match all fields that are set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Selection {
    /// Who acted: the id of a user, or `platform`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// What they did, such as `user.role_changed` or `user`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// What they did it to: an id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Recorded at or after this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// Recorded before this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Search words; personal, because they may name people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<Personal>,
    /// In this session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// In the request with this id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// From this IP address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<Personal>,
}

/// A filter on the platform's audit trail: entries must match all fields that are set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlatformSelection {
    /// In this organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    /// Who acted: the id of a user or an API key, or `platform`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// What they did, such as `user.role_changed` or `user`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// Happened at or after this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// Happened before this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// A filter on users: they must match all fields that are set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserSelection {
    /// With this role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// With this status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<user::Status>,
    /// Who have not signed in since this time, or never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_signed_in_since: Option<Timestamp>,
    /// Whose account is locked, or is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locked: Option<bool>,
    /// Search words; personal, because they may name people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<Personal>,
}

/// A filter on organizations: they must match all fields that are set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrganizationSelection {
    /// With this status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<OrganizationStatus>,
    /// Search words; personal, because they may name people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<Personal>,
}

/// A filter on tickets: they must match all fields that are set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TicketSelection {
    /// Of this organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    /// Of this kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<ticket::TicketKind>,
    /// With this status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<ticket::Status>,
    /// That are escalated, or are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escalated: Option<bool>,
    /// Assigned to this member of the staff.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assignee: Option<UserId>,
    /// Search words; personal, because they may name people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<Personal>,
}

/// A filter on payments: they must match all fields that are set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaymentSelection {
    /// Of this organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    /// With this status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<payment::Status>,
}

/// A filter on licences: they must match all fields that are set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LicenceSelection {
    /// Of this kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<licence::Kind>,
    /// With this status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<licence::Status>,
    /// That expire before this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_before: Option<Timestamp>,
}

/// Why an export is rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// A different export with this id exists.
    #[error("an export with this id already exists")]
    Exists,
}

impl crate::Rejection for Rejection {
    fn kind(&self) -> Kind {
        match self {
            Self::Exists => Kind::Conflict,
        }
    }

    fn slug(&self) -> &'static str {
        match self {
            Self::Exists => "export-exists",
        }
    }
}

/// The state of an export: only what `decide` needs.
#[derive(Debug, Clone, Default)]
pub struct Export(Option<Event>);

impl Aggregate for Export {
    const CATEGORY: &'static str = "export";
    const CONSTRAINTS_NEED_STATE: bool = false;
    type Id = ExportId;
    type Command = Command;
    type Event = Event;
    type Rejection = Rejection;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Rejection> {
        let Command::Take(event) = command;
        match &self.0 {
            None => Ok(vec![event.clone()]),
            Some(taken) if taken == event => Ok(vec![]),
            Some(_) => Err(Rejection::Exists),
        }
    }

    fn evolve(&mut self, event: &Event) {
        self.0 = Some(event.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{OrganizationId, testing::given};

    fn selection(text: &str) -> Selection {
        let text = Some(Personal::identity(OrganizationId(uuid::Uuid::from_u128(7)), text));
        Selection {
            action: Some("user.invited".to_owned()),
            from: Some(Timestamp::UNIX_EPOCH),
            text,
            ..Default::default()
        }
    }

    #[test]
    fn an_export_is_recorded_once() {
        let taken = |text| Event::AuditLogTaken { format: Format::Csv, selection: selection(text) };
        let take = |text| Command::Take(taken(text));
        given::<Export>([]).when(take("ana")).then([taken("ana")]);
        given::<Export>([taken("ana")]).when(take("ana")).then([]);
        given::<Export>([taken("ana")]).when(take("bob")).then_rejected(Rejection::Exists);
        let selection = PlatformSelection { actor: Some("platform".to_owned()), ..Default::default() };
        let another = Event::PlatformAuditLogTaken { format: Format::Json, selection };
        given::<Export>([taken("ana")]).when(Command::Take(another)).then_rejected(Rejection::Exists);
    }
}
