//! Vendors as CSV.

use porttask_domain::{
    Personal, TextEnum,
    compliance::export::{Command, Event, Format, VendorSelection},
    operations::vendor::Service,
};
use porttask_projections::operations::vendor as view;

use super::bodies::{VendorContact, VendorFilter, VendorResponse};
use crate::http::request::{Exported, ListFormat};

impl Exported for view::Vendors {
    const FILE: &'static str = "vendors";
    const NAMES: &'static [&'static str] =
        &["id", "name", "services", "order_email", "contacts", "status", "created_at"];

    fn format(filter: &VendorFilter) -> ListFormat {
        filter.format
    }

    fn recorded(filter: &VendorFilter, text: Option<Personal>) -> Command {
        let VendorFilter { status, service, format: _ } = *filter;
        let selection = VendorSelection { status, service, text };
        Command::Take(Event::VendorsTaken { format: Format::Csv, selection })
    }

    fn fields(vendor: VendorResponse) -> Vec<String> {
        let contact = |VendorContact { name, email, .. }: &VendorContact| {
            format!("{} <{}>", name.as_deref().unwrap_or_default(), email.as_deref().unwrap_or_default())
        };
        vec![
            vendor.id.to_string(),
            vendor.name,
            vendor.services.iter().map(Service::as_str).collect::<Vec<_>>().join(" "),
            vendor.order_email.unwrap_or_default(),
            vendor.contacts.iter().map(contact).collect::<Vec<_>>().join("; "),
            vendor.status.as_str().to_owned(),
            vendor.created_at.to_string(),
        ]
    }
}
