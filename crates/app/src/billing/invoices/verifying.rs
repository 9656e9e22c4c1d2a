//! Whether an issued invoice follows from the events that its lines name: each line, group and total is calculated again
//! by the functions that issued it, and compared.

use std::collections::BTreeMap;

use jiff::civil::Date;
use porttask_domain::{
    OrganizationId,
    billing::{
        Invoice, Subscription, UsageMonth,
        billing_document::{InvoiceId, Line, LineKind, LineSource},
        invoice::IssuedInvoice,
        invoice::{self, Existing, InvoiceKind},
        issue,
        subscription::SubscriptionId,
        terms::{Held, Meter},
        usage_month::UsageMonthId,
    },
    operations::port_call::PORT_CALLS,
};
use porttask_runtime::{
    execute::{ExecuteError, Executor},
    log::Version,
};

use super::rejected;
use crate::billing::subscriptions::counted;

/// Something that is calculated otherwise than it was issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What, such as `lines/1/net`.
    pub place: String,
    /// As it was issued.
    pub issued: String,
    /// As it is calculated.
    pub calculated: String,
}

/// What differs; nothing if the invoice follows from its sources.
///
/// # Errors
/// If the log fails.
pub async fn differences(
    executor: &Executor,
    organization: OrganizationId,
    id: InvoiceId,
    issued: &IssuedInvoice,
) -> Result<Vec<Difference>, ExecuteError> {
    let document = &issued.document;
    let mut found = Vec::new();
    let expected = match issued.kind {
        InvoiceKind::Manual => drafted(executor, organization, id, &document.lines).await?,
        InvoiceKind::Subscription | InvoiceKind::Usage | InvoiceKind::Change => {
            billed(executor, organization, &document.lines).await?
        }
        // Its lines are those of the invoice that it replaces, which is verified itself.
        InvoiceKind::Correction => document.lines.clone(),
    };
    let too_large = |_| rejected(invoice::Rejection::TooLarge);
    let inclusive = document.prices_include_tax && issued.kind != InvoiceKind::Correction;
    let calculated = issue::calculate(expected, inclusive).map_err(too_large)?;
    let mut compare = |place: String, one: String, other: String| {
        if one != other {
            found.push(Difference { place, issued: one, calculated: other });
        }
    };
    compare("lines".to_owned(), document.lines.len().to_string(), calculated.lines.len().to_string());
    for (line, other) in document.lines.iter().zip(&calculated.lines) {
        let place = |name: &str| format!("lines/{}/{name}", line.id);
        compare(place("kind"), line.kind.to_string(), other.kind.to_string());
        compare(place("from"), line.from.to_string(), other.from.to_string());
        compare(place("until"), line.until.to_string(), other.until.to_string());
        compare(place("quantity"), line.quantity.to_string(), other.quantity.to_string());
        compare(place("unit_price"), text(line.unit_price), text(other.unit_price));
        compare(place("gross"), line.gross.to_string(), other.gross.to_string());
        compare(place("net"), line.net.to_string(), other.net.to_string());
    }
    compare("groups".to_owned(), format!("{:?}", document.groups), format!("{:?}", calculated.groups));
    compare("totals/net".to_owned(), document.totals.net.to_string(), calculated.totals.net.to_string());
    compare("totals/tax".to_owned(), document.totals.tax.to_string(), calculated.totals.tax.to_string());
    compare("totals/total".to_owned(), document.totals.total.to_string(), calculated.totals.total.to_string());
    Ok(found)
}

fn text(price: impl ToString) -> String {
    let text = price.to_string();
    match text.split_once('.') {
        Some((whole, fraction)) if fraction.trim_end_matches('0').is_empty() => whole.to_owned(),
        Some((whole, fraction)) => format!("{whole}.{}", fraction.trim_end_matches('0')),
        None => text,
    }
}

/// The lines that a super admin drafted.
async fn drafted(
    executor: &Executor,
    organization: OrganizationId,
    id: InvoiceId,
    lines: &[Line],
) -> Result<Vec<Line>, ExecuteError> {
    let (state, _) = executor.load::<Invoice>(organization, id).await?;
    let existing = state.existing().cloned().unwrap_or_else(Existing::default);
    let Some(currency) = existing.currency() else { return Ok(Vec::new()) };
    let mut all = Vec::new();
    for (line, issued) in existing.drafted().iter().zip(lines) {
        let source = LineSource::Event { stream: id.to_string(), version: 1 };
        let line = issue::manual(line, currency, issued.tax.clone(), source);
        all.push(line.map_err(|_| rejected(invoice::Rejection::TooLarge))?);
    }
    Ok(all)
}

/// The lines that events of the subscription and metered use lead to, in the order of the issued ones.
async fn billed(executor: &Executor, organization: OrganizationId, lines: &[Line]) -> Result<Vec<Line>, ExecuteError> {
    let id = SubscriptionId::from(organization);
    let mut known: BTreeMap<u64, Subscription> = BTreeMap::new();
    let mut taken: BTreeMap<u64, usize> = BTreeMap::new();
    let mut all = Vec::new();
    for line in lines {
        match line.sources.first() {
            Some(LineSource::Event { version, .. }) => {
                if !known.contains_key(version) {
                    known.insert(*version, executor.load_at(organization, id, Version(*version)).await?);
                }
                let unbilled = known.get(version).and_then(|state| state.unbilled_of(*version));
                let place = taken.entry(*version).or_default();
                // A credit that stands on a credit note instead is no line of the invoice.
                let is_credit = line.quantity < 0;
                let quoted = unbilled.and_then(|it| {
                    let rest = it.lines.iter().enumerate().skip(*place);
                    rest.into_iter().find(|(_, quoted)| (quoted.quantity < 0) == is_credit).map(|found| (it, found))
                });
                let Some((unbilled, (index, quoted))) = quoted else { continue };
                *place = index + 1;
                let source = line.sources[0].clone();
                all.push(issue::recurring(quoted, &unbilled.plans, line.tax.clone(), source));
            }
            Some(LineSource::Usage { meter, from, until, billed, .. }) => {
                let (subscription, usage) = versions(line);
                if let Some(version) = subscription.filter(|version| !known.contains_key(version)) {
                    known.insert(version, executor.load_at(organization, id, Version(version)).await?);
                }
                let count = used(executor, organization, *meter, (*from, usage)).await?;
                let (Some(held), Some(count)) = (held_of(&known, *from), count) else { continue };
                let (dates, tax) = ((*from, *until), line.tax.clone());
                let calculated = match line.kind {
                    LineKind::LateUsage => issue::late_usage(&held, *meter, (*billed, count), dates, tax),
                    _ => issue::overage(&held, *meter, count, dates, tax),
                };
                all.extend(calculated.map_err(|_| rejected(invoice::Rejection::TooLarge))?);
            }
            None => {}
        }
    }
    Ok(all)
}

/// The versions of the subscription and of the usage month that a line of use names.
fn versions(line: &Line) -> (Option<u64>, Option<u64>) {
    let version = |is_searched: fn(&str) -> bool| {
        line.sources.iter().find_map(|source| match source {
            LineSource::Event { stream, version } if is_searched(stream) => Some(*version),
            LineSource::Event { .. } | LineSource::Usage { .. } => None,
        })
    };
    let is_usage = |stream: &str| stream.parse::<UsageMonthId>().is_ok();
    (version(|stream| stream.parse::<SubscriptionId>().is_ok()), version(is_usage))
}

/// What an organization used of a meter in the usage month that begins on a date, as a version of the month knows it.
async fn used(
    executor: &Executor,
    organization: OrganizationId,
    meter: Meter,
    (from, version): (Date, Option<u64>),
) -> Result<Option<u64>, ExecuteError> {
    if meter == Meter::PortCalls {
        return Ok(Some(counted(executor, organization, format!("{PORT_CALLS} {from}")).await?));
    }
    let id = UsageMonthId::new(organization, from);
    let usage: UsageMonth = match version {
        Some(version) => executor.load_at(organization, id, Version(version)).await?,
        None => executor.load(organization, id).await?.0,
    };
    Ok(usage.billed(meter))
}

/// What was held in a usage month, as the subscription knew when it billed it.
fn held_of(known: &BTreeMap<u64, Subscription>, from: Date) -> Option<Held> {
    known.values().find_map(|state| state.usage_to_bill(from)).map(|month| month.held.clone())
}
