//! Filters on what is exported of operational records.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    Personal, UserId,
    operations::{document, port_call, service_order, vendor},
};

/// A filter on port calls: they must match all fields that are set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PortCallSelection {
    /// With this status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<port_call::Status>,
    /// With a status of this phase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<port_call::Phase>,
    /// At the port with this UN/LOCODE.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    /// For which this user is responsible.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<UserId>,
    /// Expected to arrive at or after this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eta_from: Option<Timestamp>,
    /// Expected to arrive before this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eta_until: Option<Timestamp>,
    /// Search words; personal, because they may name people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<Personal>,
}

/// A filter on documents: they must match all fields that are set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DocumentSelection {
    /// With this status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<document::Status>,
    /// Of this type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<document::ContentType>,
    /// That belong to this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<document::Subject>,
    /// Search words; personal, because they may name people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<Personal>,
}

/// A filter on service orders: they must match all fields that are set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceOrderSelection {
    /// For this port call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port_call: Option<port_call::PortCallId>,
    /// Of which this vendor was asked last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor: Option<vendor::VendorId>,
    /// With this status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<service_order::Status>,
    /// Of this service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<vendor::Service>,
    /// Whose vendor answered at or after this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered_from: Option<Timestamp>,
    /// Search words; personal, because they may name people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<Personal>,
}

/// A filter on vendors: they must match all fields that are set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VendorSelection {
    /// With this status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<vendor::Status>,
    /// Who offer this service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<vendor::Service>,
    /// Search words; personal, because they may name people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<Personal>,
}
