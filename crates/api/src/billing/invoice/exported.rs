//! Invoices as CSV: those of an organization, and of all.

use porttask_domain::{
    Personal, TextEnum,
    compliance::export::{Command, Event, Format, InvoiceSelection},
};
use porttask_projections::billing::invoice as view;

use super::{
    InvoiceFilter,
    all::{AllInvoices, AllInvoicesFilter, FoundInvoice},
    bodies::{InvoiceResponse, InvoiceStatus},
};
use crate::http::request::{Exported, ListFormat};

fn status(status: Option<InvoiceStatus>) -> Option<String> {
    status.map(|it| view::Status::from(it).as_str().to_owned())
}

/// The fields before and after the organization.
fn fields(it: InvoiceResponse, organization_name: Option<Option<String>>) -> Vec<String> {
    let organization = it.organization.to_string();
    let organization = [Some(organization), organization_name.map(Option::unwrap_or_default)];
    let rest = [
        view::Status::from(it.status).as_str().to_owned(),
        it.kind.as_str().to_owned(),
        it.number.unwrap_or_default(),
        it.issue_date.unwrap_or_default(),
        it.due_date.unwrap_or_default(),
        it.currency,
        it.net.to_string(),
        it.tax.to_string(),
        it.total.to_string(),
        it.due.to_string(),
        it.created_at.to_string(),
    ];
    [it.id.to_string()].into_iter().chain(organization.into_iter().flatten()).chain(rest).collect()
}

impl Exported for view::Invoices {
    const FILE: &'static str = "invoices";
    const NAMES: &'static [&'static str] = &[
        "id",
        "organization",
        "status",
        "kind",
        "number",
        "issue_date",
        "due_date",
        "currency",
        "net",
        "tax",
        "total",
        "due",
        "created_at",
    ];

    fn format(filter: &InvoiceFilter) -> ListFormat {
        filter.format
    }

    fn recorded(filter: &InvoiceFilter, text: Option<Personal>) -> Command {
        let selection = InvoiceSelection {
            organization: None,
            status: status(filter.status),
            currency: filter.currency.clone(),
            issued_from: filter.issued_from.clone(),
            issued_until: filter.issued_until.clone(),
            overdue_on: filter.overdue_on.clone(),
            text,
        };
        Command::Take(Event::InvoicesTaken { format: Format::Csv, selection })
    }

    fn fields(item: InvoiceResponse) -> Vec<String> {
        fields(item, None)
    }
}

impl Exported for AllInvoices {
    const FILE: &'static str = "invoices";
    const NAMES: &'static [&'static str] = &[
        "id",
        "organization",
        "organization_name",
        "status",
        "kind",
        "number",
        "issue_date",
        "due_date",
        "currency",
        "net",
        "tax",
        "total",
        "due",
        "created_at",
    ];

    fn format(filter: &AllInvoicesFilter) -> ListFormat {
        filter.format
    }

    fn recorded(filter: &AllInvoicesFilter, text: Option<Personal>) -> Command {
        let selection = InvoiceSelection {
            organization: filter.organization,
            status: status(filter.status),
            currency: filter.currency.clone(),
            issued_from: filter.issued_from.clone(),
            issued_until: filter.issued_until.clone(),
            overdue_on: filter.overdue_on.clone(),
            text,
        };
        Command::Take(Event::InvoicesTaken { format: Format::Csv, selection })
    }

    fn fields(FoundInvoice { invoice, organization_name }: FoundInvoice) -> Vec<String> {
        fields(invoice, Some(organization_name))
    }
}
