//! Vendors in requests and responses.

use std::collections::BTreeSet;

use jiff::Timestamp;
use porttask_domain::{
    PersonName, TextEnum,
    identity::EmailAddress,
    operations::vendor::{Command, ContactId, NewContact, Service, Status, VendorId, VendorName},
};
use porttask_projections::operations::vendor as view;
use porttask_runtime::new_id;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::http::{
    listing::Page,
    request::{ListFormat, not_null, nullable},
};

/// A vendor.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Vendor)]
pub(crate) struct VendorResponse {
    pub(super) id: VendorId,
    pub(super) name: String,
    pub(super) services: Vec<Service>,
    pub(super) contacts: Vec<VendorContact>,
    /// The email address to which orders are sent; null if there is none or it was erased.
    pub(super) order_email: Option<String>,
    pub(super) status: Status,
    pub(super) created_at: Timestamp,
    /// The version: the ETag.
    version: u64,
}

/// A contact person of a vendor.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct VendorContact {
    id: ContactId,
    /// The full name; null once it was erased.
    pub(super) name: Option<String>,
    /// The email address; null once it was erased.
    pub(super) email: Option<String>,
}

impl From<view::Vendor> for VendorResponse {
    fn from(row: view::Vendor) -> Self {
        Self {
            id: row.vendor,
            name: row.name,
            services: row.services.split_whitespace().filter_map(Service::from_text).collect(),
            contacts: serde_json::from_str(&row.contacts).unwrap_or_default(),
            order_email: row.order_email,
            status: row.status,
            created_at: row.created_at,
            version: row.version,
        }
    }
}

/// A page of vendors.
pub(super) type VendorPage = Page<VendorResponse>;

/// Filters of vendors.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct VendorFilter {
    /// Only vendors with this status.
    pub(super) status: Option<Status>,
    /// Only vendors who offer this service.
    pub(super) service: Option<Service>,
    /// `json` (default) is in pages; `csv` contains all rows, without `limit`, `cursor` and `count`. That they were exported
    /// is recorded in the audit log.
    #[serde(default)]
    pub(super) format: ListFormat,
}

/// A vendor to be created.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewVendor {
    #[schema(value_type = String, max_length = 200, example = "Svitzer Santos")]
    name: VendorName,
    #[schema(min_items = 1)]
    services: BTreeSet<Service>,
    #[serde(default)]
    #[schema(max_items = 20)]
    contacts: Vec<NewVendorContact>,
    /// The email address to which orders are sent.
    #[schema(value_type = Option<String>, example = "orders@svitzer.example")]
    order_email: Option<EmailAddress>,
}

/// A contact person of a vendor in a request.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewVendorContact {
    /// The full name.
    #[schema(value_type = String, max_length = 200, example = "Rui Prado")]
    name: PersonName,
    #[schema(value_type = String, example = "rui@svitzer.example")]
    email: EmailAddress,
}

impl NewVendor {
    pub(super) fn command(&self, vendor: VendorId) -> Command {
        Command::Create {
            vendor,
            name: self.name.clone(),
            services: self.services.clone(),
            contacts: contacts(&self.contacts),
            order_email: self.order_email.clone(),
        }
    }
}

/// A change of a vendor: a JSON merge patch (RFC 7396).
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VendorPatch {
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = String, required = false, max_length = 200, example = "Svitzer Santos")]
    name: Option<VendorName>,
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = BTreeSet<Service>, required = false, min_items = 1)]
    services: Option<BTreeSet<Service>>,
    /// All contacts. A contact whose name and email address are unchanged keeps its id.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = Vec<NewVendorContact>, required = false, max_items = 20)]
    contacts: Option<Vec<NewVendorContact>>,
    /// The email address to which orders are sent; null removes it.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>, example = "orders@svitzer.example")]
    order_email: Option<Option<EmailAddress>>,
}

impl VendorPatch {
    pub(super) fn commands(&self, vendor: VendorId) -> Vec<Command> {
        let changes = [
            self.name.clone().map(|name| Command::Rename { name }),
            self.services.clone().map(|services| Command::ChangeServices { services }),
            self.contacts.as_deref().map(|it| Command::ChangeContacts { contacts: contacts(it) }),
            self.order_email.clone().map(|order_email| Command::ChangeOrderEmail { vendor, order_email }),
        ];
        changes.into_iter().flatten().collect()
    }
}

fn contacts(given: &[NewVendorContact]) -> Vec<NewContact> {
    let contact = |NewVendorContact { name, email }| NewContact { id: new_id(), name, email };
    given.iter().cloned().map(contact).collect()
}
