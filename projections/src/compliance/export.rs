//! Descriptions of exports.

mod operations;

use porttask_domain::{
    TextEnum,
    compliance::export::{
        BillingFileSelection, CouponSelection, CreditNoteSelection, Event, Format, InvoiceSelection, LicenceSelection,
        OrganizationSelection, PaymentSelection, PlanSelection, PlatformSelection, RevenueSelection, Selection,
        SubscriptionSelection, TaxReportKind, TaxReportSelection, TicketSelection, UsageReport, UsageSelection,
        UserSelection,
    },
};

use self::operations::{documents, port_calls, service_orders, vendors};
use crate::audit_text::{DescriptionSink, DisplayValue, change_if_different};

/// Describes an event for the audit log.
pub(crate) fn describe(event: &Event, sink: &mut dyn DescriptionSink) {
    match event {
        Event::AuditLogTaken { format, selection } => of_an_organization(*format, selection, sink),
        Event::PlatformAuditLogTaken { format, selection } => of_the_platform(*format, selection, sink),
        Event::UsersTaken { format, selection } => users(*format, selection, sink),
        Event::OrganizationsTaken { format, selection } => organizations(*format, selection, sink),
        Event::DocumentsTaken { format, selection } => documents(*format, selection, sink),
        Event::ServiceOrdersTaken { format, selection } => service_orders(*format, selection, sink),
        Event::VendorsTaken { format, selection } => vendors(*format, selection, sink),
        Event::PaymentsTaken { format, selection } => payments(*format, selection, sink),
        Event::TicketsTaken { format, selection } => tickets(*format, selection, sink),
        Event::PortCallsTaken { format, selection } => port_calls(*format, selection, sink),
        Event::UsageTaken { format, selection } => usage(*format, selection, sink),
        Event::PlansTaken { format, selection } => plans(*format, selection, sink),
        Event::CouponsTaken { format, selection } => coupons(*format, selection, sink),
        Event::SubscriptionsTaken { format, selection } => subscriptions(*format, selection, sink),
        Event::LicencesTaken { format, selection } => licences(*format, selection, sink),
        Event::InvoicesTaken { format, selection } => invoices(*format, selection, sink),
        Event::CreditNotesTaken { format, selection } => credit_notes(*format, selection, sink),
        Event::BillingFilesTaken { selection } => billing_files(selection, sink),
        Event::RevenueTaken { format, selection } => revenue(*format, selection, sink),
        Event::TaxReportTaken { format, selection } => tax_report(*format, selection, sink),
    }
}

/// The name of a format.
fn name_of(format: Format) -> &'static str {
    match format {
        Format::Csv => "CSV",
        Format::Json => "JSON",
    }
}

fn of_an_organization(format: Format, selection: &Selection, sink: &mut dyn DescriptionSink) {
    sink.words("exported the audit log as ");
    sink.value(DisplayValue::Text(name_of(format)));
    sink.change("format", None, Some(DisplayValue::Text(format.as_str())));
    let Selection { actor, action, target, from, until, text, session, request, ip } = selection;
    let filters = [
        ("actor", actor.as_deref().map(DisplayValue::Text)),
        ("action", action.as_deref().map(DisplayValue::Text)),
        ("target", target.as_deref().map(DisplayValue::Text)),
        ("from", from.as_ref().map(|from| DisplayValue::Filtered(from))),
        ("until", until.as_ref().map(|until| DisplayValue::Filtered(until))),
        ("session", session.as_ref().map(|session| DisplayValue::Filtered(session))),
        ("request", request.as_ref().map(|request| DisplayValue::Filtered(request))),
        ("ip", ip.as_ref().map(DisplayValue::Personal)),
        ("text", text.as_ref().map(DisplayValue::Personal)),
    ];
    for (field, filter) in filters {
        change_if_different(field, None, filter, sink);
    }
}

fn of_the_platform(format: Format, selection: &PlatformSelection, sink: &mut dyn DescriptionSink) {
    sink.words("exported the platform's audit log as ");
    sink.value(DisplayValue::Text(name_of(format)));
    sink.change("format", None, Some(DisplayValue::Text(format.as_str())));
    let PlatformSelection { organization, actor, action, from, until } = selection;
    let filters = [
        ("organization", organization.as_ref().map(|organization| DisplayValue::Written(organization))),
        ("actor", actor.as_deref().map(DisplayValue::Text)),
        ("action", action.as_deref().map(DisplayValue::Text)),
        ("from", from.as_ref().map(|from| DisplayValue::Filtered(from))),
        ("until", until.as_ref().map(|until| DisplayValue::Filtered(until))),
    ];
    for (field, filter) in filters {
        change_if_different(field, None, filter, sink);
    }
}

fn users(format: Format, selection: &UserSelection, sink: &mut dyn DescriptionSink) {
    sink.words("exported users as ");
    sink.value(DisplayValue::Text(name_of(format)));
    sink.change("format", None, Some(DisplayValue::Text(format.as_str())));
    let UserSelection { role, status, not_signed_in_since, locked, text } = selection;
    let filters = [
        ("role", role.as_ref().map(|role| DisplayValue::Text(role.as_str()))),
        ("status", status.as_ref().map(|status| DisplayValue::Text(status.as_str()))),
        ("not_signed_in_since", not_signed_in_since.as_ref().map(|since| DisplayValue::Filtered(since))),
        ("locked", locked.as_ref().map(|locked| DisplayValue::Filtered(locked))),
        ("text", text.as_ref().map(DisplayValue::Personal)),
    ];
    for (field, filter) in filters {
        change_if_different(field, None, filter, sink);
    }
}

fn organizations(format: Format, selection: &OrganizationSelection, sink: &mut dyn DescriptionSink) {
    sink.words("exported organizations as ");
    sink.value(DisplayValue::Text(name_of(format)));
    sink.change("format", None, Some(DisplayValue::Text(format.as_str())));
    let OrganizationSelection { status, text } = selection;
    let status = status.as_ref().map(|status| DisplayValue::Text(status.as_str()));
    for (field, filter) in [("status", status), ("text", text.as_ref().map(DisplayValue::Personal))] {
        change_if_different(field, None, filter, sink);
    }
}

fn tickets(format: Format, selection: &TicketSelection, sink: &mut dyn DescriptionSink) {
    sink.words("exported tickets as ");
    sink.value(DisplayValue::Text(name_of(format)));
    sink.change("format", None, Some(DisplayValue::Text(format.as_str())));
    let TicketSelection { organization, kind, status, escalated, assignee, text } = selection;
    let filters = [
        ("organization", organization.as_ref().map(|organization| DisplayValue::Filtered(organization))),
        ("kind", kind.as_ref().map(|kind| DisplayValue::Text(kind.as_str()))),
        ("status", status.as_ref().map(|status| DisplayValue::Text(status.as_str()))),
        ("escalated", escalated.as_ref().map(|escalated| DisplayValue::Filtered(escalated))),
        ("assignee", assignee.as_ref().map(|assignee| DisplayValue::Filtered(assignee))),
        ("text", text.as_ref().map(DisplayValue::Personal)),
    ];
    for (field, filter) in filters {
        change_if_different(field, None, filter, sink);
    }
}

fn licences(format: Format, selection: &LicenceSelection, sink: &mut dyn DescriptionSink) {
    sink.words("exported the licences of all organizations as ");
    sink.value(DisplayValue::Text(name_of(format)));
    sink.change("format", None, Some(DisplayValue::Text(format.as_str())));
    let LicenceSelection { kind, status, expires_before } = selection;
    let filters = [
        ("kind", kind.as_ref().map(|kind| DisplayValue::Text(kind.as_str()))),
        ("status", status.as_ref().map(|status| DisplayValue::Text(status.as_str()))),
        ("expires_before", expires_before.as_ref().map(|before| DisplayValue::Filtered(before))),
    ];
    for (field, filter) in filters {
        change_if_different(field, None, filter, sink);
    }
}

fn payments(format: Format, selection: &PaymentSelection, sink: &mut dyn DescriptionSink) {
    sink.words("exported payments as ");
    sink.value(DisplayValue::Text(name_of(format)));
    sink.change("format", None, Some(DisplayValue::Text(format.as_str())));
    let PaymentSelection { organization, status } = selection;
    let organization = organization.as_ref().map(|id| DisplayValue::Filtered(id));
    change_if_different("organization", None, organization, sink);
    change_if_different("status", None, status.as_ref().map(|status| DisplayValue::Text(status.as_str())), sink);
}

fn usage(format: Format, selection: &UsageSelection, sink: &mut dyn DescriptionSink) {
    let UsageSelection { report, meter, from, until } = selection;
    sink.words(match report {
        UsageReport::Days => "exported the usage of days as ",
        UsageReport::Months => "exported the usage of months as ",
        UsageReport::Top => "exported who used most as ",
    });
    sink.value(DisplayValue::Text(name_of(format)));
    sink.change("format", None, Some(DisplayValue::Text(format.as_str())));
    let filters = [
        ("report", Some(DisplayValue::Text(report.as_str()))),
        ("meter", meter.as_ref().map(|meter| DisplayValue::Text(meter.as_str()))),
        ("from", from.as_ref().map(|from| DisplayValue::Filtered(from))),
        ("until", until.as_ref().map(|until| DisplayValue::Filtered(until))),
    ];
    for (field, filter) in filters {
        change_if_different(field, None, filter, sink);
    }
}

fn plans(format: Format, selection: &PlanSelection, sink: &mut dyn DescriptionSink) {
    sink.words("exported plans as ");
    sink.value(DisplayValue::Text(name_of(format)));
    sink.change("format", None, Some(DisplayValue::Text(format.as_str())));
    let PlanSelection { visibility, retired, text } = selection;
    let filters = [
        ("visibility", visibility.as_ref().map(|visibility| DisplayValue::Text(visibility.as_str()))),
        ("retired", retired.as_ref().map(|retired| DisplayValue::Filtered(retired))),
        ("text", text.as_ref().map(DisplayValue::Personal)),
    ];
    for (field, filter) in filters {
        change_if_different(field, None, filter, sink);
    }
}

fn coupons(format: Format, selection: &CouponSelection, sink: &mut dyn DescriptionSink) {
    sink.words("exported coupons as ");
    sink.value(DisplayValue::Text(name_of(format)));
    sink.change("format", None, Some(DisplayValue::Text(format.as_str())));
    let CouponSelection { retired, text } = selection;
    let retired = retired.as_ref().map(|retired| DisplayValue::Filtered(retired));
    for (field, filter) in [("retired", retired), ("text", text.as_ref().map(DisplayValue::Personal))] {
        change_if_different(field, None, filter, sink);
    }
}

fn subscriptions(format: Format, selection: &SubscriptionSelection, sink: &mut dyn DescriptionSink) {
    sink.words("exported subscriptions as ");
    sink.value(DisplayValue::Text(name_of(format)));
    sink.change("format", None, Some(DisplayValue::Text(format.as_str())));
    let SubscriptionSelection { status, plan } = selection;
    let filters = [
        ("status", status.as_ref().map(|status| DisplayValue::Text(status.as_str()))),
        ("plan", plan.as_ref().map(|plan| DisplayValue::Filtered(plan))),
    ];
    for (field, filter) in filters {
        change_if_different(field, None, filter, sink);
    }
}

fn invoices(format: Format, selection: &InvoiceSelection, sink: &mut dyn DescriptionSink) {
    sink.words("exported invoices as ");
    sink.value(DisplayValue::Text(name_of(format)));
    sink.change("format", None, Some(DisplayValue::Text(format.as_str())));
    let InvoiceSelection { organization, status, currency, issued_from, issued_until, overdue_on, text } = selection;
    let filters = [
        ("organization", organization.as_ref().map(|organization| DisplayValue::Filtered(organization))),
        ("status", status.as_deref().map(DisplayValue::Text)),
        ("currency", currency.as_deref().map(DisplayValue::Text)),
        ("issued_from", issued_from.as_deref().map(DisplayValue::Text)),
        ("issued_until", issued_until.as_deref().map(DisplayValue::Text)),
        ("overdue_on", overdue_on.as_deref().map(DisplayValue::Text)),
        ("text", text.as_ref().map(DisplayValue::Personal)),
    ];
    for (field, filter) in filters {
        change_if_different(field, None, filter, sink);
    }
}

fn credit_notes(format: Format, selection: &CreditNoteSelection, sink: &mut dyn DescriptionSink) {
    sink.words("exported credit notes as ");
    sink.value(DisplayValue::Text(name_of(format)));
    sink.change("format", None, Some(DisplayValue::Text(format.as_str())));
    let CreditNoteSelection { organization, invoice, reason, text } = selection;
    let filters = [
        ("organization", organization.as_ref().map(|organization| DisplayValue::Filtered(organization))),
        ("invoice", invoice.as_ref().map(|invoice| DisplayValue::Filtered(invoice))),
        ("reason", reason.as_ref().map(|reason| DisplayValue::Text(reason.as_str()))),
        ("text", text.as_ref().map(DisplayValue::Personal)),
    ];
    for (field, filter) in filters {
        change_if_different(field, None, filter, sink);
    }
}

fn billing_files(selection: &BillingFileSelection, sink: &mut dyn DescriptionSink) {
    sink.words("exported the files of invoices and credit notes from ");
    let BillingFileSelection { from, until } = selection;
    sink.value(DisplayValue::Written(from));
    sink.words(" until before ");
    sink.value(DisplayValue::Written(until));
    sink.change("from", None, Some(DisplayValue::Filtered(from)));
    sink.change("until", None, Some(DisplayValue::Filtered(until)));
}

fn revenue(format: Format, selection: &RevenueSelection, sink: &mut dyn DescriptionSink) {
    sink.words("exported the recurring revenue as ");
    sink.value(DisplayValue::Text(name_of(format)));
    sink.change("format", None, Some(DisplayValue::Text(format.as_str())));
    let RevenueSelection { from, until, currency, plan, movement } = selection;
    let filters = [
        ("from", Some(DisplayValue::Filtered(from))),
        ("until", Some(DisplayValue::Filtered(until))),
        ("currency", currency.as_ref().map(|currency| DisplayValue::Filtered(currency))),
        ("plan", plan.as_ref().map(|plan| DisplayValue::Filtered(plan))),
        ("movement", movement.as_ref().map(|movement| DisplayValue::Text(movement.as_str()))),
    ];
    for (field, filter) in filters {
        change_if_different(field, None, filter, sink);
    }
}

fn tax_report(format: Format, selection: &TaxReportSelection, sink: &mut dyn DescriptionSink) {
    let TaxReportSelection { report, from, until, country, treatment } = selection;
    sink.words(match report {
        TaxReportKind::Sales => "exported the tax report as ",
        TaxReportKind::EcSalesByMonth => "exported the EC sales list by month as ",
        TaxReportKind::EcSalesByQuarter => "exported the EC sales list by quarter as ",
    });
    sink.value(DisplayValue::Text(name_of(format)));
    sink.change("format", None, Some(DisplayValue::Text(format.as_str())));
    let filters = [
        ("report", Some(DisplayValue::Text(report.as_str()))),
        ("from", Some(DisplayValue::Filtered(from))),
        ("until", Some(DisplayValue::Filtered(until))),
        ("country", country.as_deref().map(DisplayValue::Text)),
        ("treatment", treatment.as_ref().map(|treatment| DisplayValue::Text(treatment.as_str()))),
    ];
    for (field, filter) in filters {
        change_if_different(field, None, filter, sink);
    }
}
