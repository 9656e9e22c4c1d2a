//! Vendors.

use std::collections::BTreeSet;

use jiff::Timestamp;
use porttask_domain::{
    OrganizationId, Personal, TextEnum,
    operations::vendor::{Contact, Event, Service, Status, VendorId},
};

use crate::{
    Change, Index, ReadModel, Recorded,
    audit_text::{DescriptionSink, DisplayValue, change_if_different, change_in_words},
    id_columns, normalized, row, text_columns,
};

id_columns!(VendorId);
text_columns!(Status);

row! {
    /// A vendor.
    pub struct Vendor {
        key {
            /// The organization.
            organization: OrganizationId,
            /// The id.
            vendor: VendorId,
        }
        row {
            /// The name.
            name: String,
            /// The name as it is sorted and searched.
            normalized_name: String,
            /// The services, separated by spaces.
            services: String,
            /// The contacts as a JSON array of `{id, name, email}`; names and addresses are null once they were erased.
            contacts: String,
            /// The email address to which orders are sent.
            order_email: Option<String>,
            /// The status.
            status: Status,
            /// When it was created.
            created_at: Timestamp,
            /// The version.
            version: u64,
        }
    }
}

/// From whom can an organization order which services?
pub struct Vendors;

impl ReadModel for Vendors {
    const NAME: &'static str = "vendors";
    const VERSION: u32 = 2;
    const INDEXES: &'static [Index] = &[
        Index { name: "by_name", columns: &["organization", "normalized_name", "vendor"] },
        Index { name: "by_age", columns: &["organization", "created_at", "vendor"] },
    ];
    const FULL_TEXT_COLUMNS: &'static [&'static str] = &["normalized_name", "services"];
    type Source = Event;
    type Row = Vendor;

    fn project(row: Option<Vendor>, event: &Event, recorded: &Recorded) -> Change<Vendor> {
        let version = recorded.version;
        if let Event::Created { name, services, contacts, order_email } = event {
            return Change::Put(Vendor {
                organization: recorded.organization,
                vendor: VendorId(recorded.subject),
                name: name.clone(),
                normalized_name: normalized(name),
                services: texts(services),
                contacts: json(contacts),
                order_email: open(order_email.as_ref()),
                status: Status::Active,
                created_at: recorded.time(),
                version,
            });
        }
        let Some(row) = row else { return Change::Keep };
        let row = match event {
            Event::Created { .. } => row,
            Event::Renamed { to, .. } => Vendor { name: to.clone(), normalized_name: normalized(to), ..row },
            Event::ServicesChanged { to, .. } => Vendor { services: texts(to), ..row },
            Event::ContactsChanged { to, .. } => Vendor { contacts: json(to), ..row },
            Event::OrderEmailChanged { to, .. } => Vendor { order_email: open(to.as_ref()), ..row },
            Event::Archived {} => Vendor { status: Status::Archived, ..row },
            Event::Restored {} => Vendor { status: Status::Active, ..row },
        };
        Change::Put(Vendor { version, ..row })
    }
}

fn texts(services: &BTreeSet<Service>) -> String {
    services.iter().map(Service::as_str).collect::<Vec<_>>().join(" ")
}

fn open(value: Option<&Personal>) -> Option<String> {
    value.and_then(Personal::value).map(str::to_owned)
}

fn json(contacts: &[Contact]) -> String {
    let contact = |Contact { id, name, email }: &Contact| serde_json::json!({"id": id, "name": name.value(), "email": email.value()});
    serde_json::Value::from_iter(contacts.iter().map(contact)).to_string()
}

/// What happened, for the audit log.
pub(crate) fn describe(event: &Event, sink: &mut dyn DescriptionSink) {
    match event {
        Event::Created { name, services, contacts, order_email } => {
            sink.words("created the vendor ");
            sink.value(DisplayValue::Text(name));
            sink.change("name", None, Some(DisplayValue::Text(name)));
            sink.change("services", None, Some(DisplayValue::Text(&texts(services))));
            contact_changes(&[], contacts, sink);
            change_if_different("order_email", None, order_email.as_ref().map(DisplayValue::Personal), sink);
        }
        Event::Renamed { from, to } => {
            change_in_words("renamed the vendor", "name", DisplayValue::Text(from), DisplayValue::Text(to), sink);
        }
        Event::ServicesChanged { from, to } => {
            let (from, to) = (texts(from), texts(to));
            sink.words("changed the services of the vendor");
            sink.change("services", Some(DisplayValue::Text(&from)), Some(DisplayValue::Text(&to)));
        }
        Event::ContactsChanged { from, to } => {
            sink.words("changed the contacts of the vendor");
            contact_changes(from, to, sink);
        }
        Event::OrderEmailChanged { from, to } => {
            sink.words(match to {
                Some(_) => "changed the order email of the vendor",
                None => "removed the order email of the vendor",
            });
            let (from, to) = (from.as_ref().map(DisplayValue::Personal), to.as_ref().map(DisplayValue::Personal));
            sink.change("order_email", from, to);
        }
        Event::Archived {} => {
            sink.words("archived the vendor");
            sink.change("status", None, Some(DisplayValue::Text(Status::Archived.as_str())));
        }
        Event::Restored {} => {
            sink.words("restored the vendor");
            sink.change("status", None, Some(DisplayValue::Text(Status::Active.as_str())));
        }
    }
}

/// The contacts that are gone, and those that are new.
fn contact_changes(from: &[Contact], to: &[Contact], sink: &mut dyn DescriptionSink) {
    let is_in = |contacts: &[Contact], one: &Contact| contacts.iter().any(|it| it.id == one.id);
    for gone in from.iter().filter(|one| !is_in(to, one)) {
        sink.change("contact", Some(DisplayValue::Personal(&gone.name)), None);
        sink.change("contact_email", Some(DisplayValue::Personal(&gone.email)), None);
    }
    for new in to.iter().filter(|one| !is_in(from, one)) {
        sink.change("contact", None, Some(DisplayValue::Personal(&new.name)));
        sink.change("contact_email", None, Some(DisplayValue::Personal(&new.email)));
    }
}
