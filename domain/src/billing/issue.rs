//! What a billing document says, from lines and a decision on tax: the same function issues a document and recalculates it.

use std::collections::BTreeMap;

use jiff::{civil::Date, tz::TimeZone};
use rust_decimal::Decimal;

use super::{
    Currency,
    amount::{TooLarge, rounded},
    billing_account::Collection,
    billing_document::{AccountingTax, Credited, Line, LineKind, LineSource, LineTax, TaxGroup, Totals},
    invoice::{Dunning, ManualLine, Step},
    period::OutOfRange,
    proration::Kind,
    quote,
    schedule::{self, What},
    seller::ExchangeRate,
    tax::{self, Decision, Taxed},
    terms::{Held, Meter},
};

/// The calculated part of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calculated {
    /// Its lines.
    pub lines: Vec<Line>,
    /// Its groups of tax.
    pub groups: Vec<TaxGroup>,
    /// Its totals.
    pub totals: Totals,
}

impl From<&Decision> for LineTax {
    fn from(decision: &Decision) -> Self {
        Self { category: decision.category, rate: decision.rate, reason: decision.reason.map(str::to_owned) }
    }
}

/// The line of a document that a line of a quote becomes.
pub fn recurring(line: &quote::Line, plans: &BTreeMap<String, String>, tax: LineTax, source: LineSource) -> Line {
    let kind = match line.kind {
        Kind::Base => LineKind::Base,
        Kind::Seats => LineKind::Seats,
    };
    let is_credit = line.quantity < 0;
    // A price is never negative: of credits, the quantity is, and the discount is taken off the price.
    let (unit_price, gross, discount) = match is_credit {
        true => (line.net.abs(), line.net, 0),
        false => (line.unit_price, line.gross, line.discount),
    };
    Line {
        id: 0,
        kind,
        plan: plans.get(&line.plan).cloned().unwrap_or_else(|| line.plan.clone()),
        version: line.version,
        description: String::new(),
        from: line.from,
        until: line.until,
        days: line.days,
        of_days: line.of_days,
        quantity: line.quantity,
        unit_price: unit_price.into(),
        gross,
        discount,
        net: line.net,
        discounts: Vec::new(),
        tax,
        credits: None,
        sources: vec![source],
    }
}

/// The line of use beyond what is included in a usage month; `None` if there is none.
///
/// # Errors
/// If the amount is too large.
pub fn overage(
    held: &Held,
    meter: Meter,
    count: u64,
    dates: (Date, Date),
    tax: LineTax,
) -> Result<Option<Line>, TooLarge> {
    let overage = held.overage(meter, count)?;
    used(held, (meter, count, 0), overage, LineKind::Overage, dates, tax)
}

/// The line of what was used of a usage month after it had been billed, at the price of that month; `None` if that costs
/// nothing more. A unit that had begun is not billed again.
///
/// # Errors
/// If the amount is too large.
pub fn late_usage(
    held: &Held,
    meter: Meter,
    (billed, count): (u64, u64),
    dates: (Date, Date),
    tax: LineTax,
) -> Result<Option<Line>, TooLarge> {
    let (Some(before), Some(now)) = (held.overage(meter, billed)?, held.overage(meter, count)?) else {
        return Ok(None);
    };
    let more = Some((now.0.saturating_sub(before.0), now.1.saturating_sub(before.1)));
    used(held, (meter, count, billed), more, LineKind::LateUsage, dates, tax)
}

fn used(
    held: &Held,
    (meter, count, billed): (Meter, u64, u64),
    overage: Option<(u64, i64)>,
    kind: LineKind,
    (from, until): (Date, Date),
    tax: LineTax,
) -> Result<Option<Line>, TooLarge> {
    let Some((units, amount)) = overage.filter(|(_, amount)| *amount > 0) else { return Ok(None) };
    let offer = &held.terms.offer;
    let price = offer.overage.iter().find(|it| it.meter == meter && it.currency == held.currency);
    let minor =
        price.map_or(Decimal::ZERO, |it| it.price_per_unit * Decimal::from(10_i64.pow(held.currency.exponent())));
    let units = i64::try_from(units).map_err(|_| TooLarge)?;
    // The quantity times the price is the amount exactly, or the line has one piece at the rounded amount.
    let is_exact = minor.checked_mul(units.into()) == Some(amount.into());
    let (quantity, unit_price) = if is_exact { (units, minor) } else { (1, amount.into()) };
    let days = i64::from(from.until(until).map_err(|_| TooLarge)?.get_days());
    let included = offer.included(meter, held.seats).unwrap_or_default();
    Ok(Some(Line {
        id: 0,
        kind,
        plan: held.terms.name.clone(),
        version: held.terms.version,
        description: String::new(),
        from,
        until,
        days,
        of_days: days,
        quantity,
        unit_price,
        gross: amount,
        discount: 0,
        net: amount,
        discounts: Vec::new(),
        tax,
        credits: None,
        sources: vec![LineSource::Usage { meter, from, until, count, included, billed }],
    }))
}

/// The line that a super admin drafted.
///
/// # Errors
/// If the amount is too large.
pub fn manual(line: &ManualLine, currency: Currency, tax: LineTax, source: LineSource) -> Result<Line, TooLarge> {
    let minor = line.unit_price.checked_mul(Decimal::from(10_i64.pow(currency.exponent()))).ok_or(TooLarge)?;
    let net = rounded(minor.checked_mul(line.quantity.into()).ok_or(TooLarge)?)?;
    let is_exact = minor.checked_mul(line.quantity.into()) == Some(net.into());
    let (quantity, unit_price) = if is_exact { (line.quantity, minor) } else { (1, net.into()) };
    let days = i64::from(line.from.until(line.until).map_err(|_| TooLarge)?.get_days());
    Ok(Line {
        id: 0,
        kind: LineKind::Manual,
        plan: String::new(),
        version: 0,
        description: line.description.clone(),
        from: line.from,
        until: line.until,
        days,
        of_days: days,
        quantity,
        unit_price,
        gross: net,
        discount: 0,
        net,
        discounts: Vec::new(),
        tax,
        credits: None,
        sources: vec![source],
    })
}

/// A line of a credit note over some of a line of an invoice: amounts are positive, but those of a line that is a credit
/// itself.
pub fn credit(line: &Line, net: i64, invoice: super::billing_document::InvoiceId) -> Line {
    Line {
        id: 0,
        quantity: net.signum(),
        unit_price: net.abs().into(),
        gross: net,
        discount: 0,
        net,
        discounts: Vec::new(),
        credits: Some(Credited { invoice, line: line.id }),
        ..line.clone()
    }
}

/// The numbered lines of a document, its groups of tax and its totals.
///
/// # Errors
/// If an amount is too large.
pub fn calculate(mut lines: Vec<Line>, prices_include_tax: bool) -> Result<Calculated, TooLarge> {
    let taxed = |line: &Line| Taxed { amount: line.net, category: line.tax.category, rate: line.tax.rate };
    let totals = tax::totals(&lines.iter().map(taxed).collect::<Vec<_>>(), prices_include_tax)?;
    for ((line, net), id) in lines.iter_mut().zip(&totals.line_nets).zip(1..) {
        line.id = id;
        if line.net != *net {
            without_tax(line, *net)?;
        }
    }
    let reason = |group: &tax::Group| {
        let of_group = |line: &&Line| (line.tax.category, line.tax.rate) == (group.category, group.rate);
        lines.iter().find(of_group).and_then(|line| line.tax.reason.clone())
    };
    let groups = totals.groups.iter().map(|group| TaxGroup {
        tax: LineTax { category: group.category, rate: group.rate, reason: reason(group) },
        taxable: group.taxable,
        amount: group.tax,
    });
    let groups = groups.collect();
    let (net, tax) = (totals.net(), totals.tax());
    let total = net.checked_add(tax).ok_or(TooLarge)?;
    Ok(Calculated { lines, groups, totals: Totals { net, tax, total } })
}

/// A line whose price included the tax, without it.
fn without_tax(line: &mut Line, net: i64) -> Result<(), TooLarge> {
    let factor = Decimal::ONE_HUNDRED / (Decimal::ONE_HUNDRED + line.tax.rate);
    let discount = rounded(Decimal::from(line.discount) * factor)?;
    let gross = net + discount;
    (line.net, line.gross, line.discount) = (net, gross, discount);
    (line.quantity, line.unit_price) = (line.quantity.signum(), gross.abs().into());
    Ok(())
}

/// The tax in the accounting currency.
///
/// # Errors
/// If it is too large.
pub fn accounting_tax(
    tax: i64,
    currency: Currency,
    accounting: Currency,
    rate: &ExchangeRate,
) -> Result<AccountingTax, TooLarge> {
    let exact = currency.decimal(tax).checked_mul(rate.rate).ok_or(TooLarge)?;
    let minor = exact.checked_mul(Decimal::from(10_i64.pow(accounting.exponent()))).ok_or(TooLarge)?;
    let amount = rounded(minor)?;
    Ok(AccountingTax { currency: accounting, amount, rate: rate.rate, on: rate.on, source: rate.source.clone() })
}

/// The date until which an invoice is to be paid, and the steps while it is not.
///
/// # Errors
/// If a date is out of range.
pub fn collection(issued: Date, collection: Collection, zone: &TimeZone) -> Result<(Date, Vec<Dunning>), OutOfRange> {
    let (due_date, all) = match collection {
        Collection::Automatic => (issued, schedule::automatic_collection(issued, zone)?),
        Collection::Invoice { days } => schedule::invoice_billing(issued, days.into(), zone)?,
    };
    let step = |due: schedule::Due| {
        let step = match due.what {
            What::Charge { .. } => Step::Charge,
            What::Remind => Step::Remind,
            What::BecomeReadOnly => Step::BecomeReadOnly,
            What::EndUnpaid => Step::EndUnpaid,
            What::RemindRenewal | What::EndTrial | What::EndWithoutPlan | What::Renew | What::Bill => return None,
        };
        Some(Dunning { step, at: due.at? })
    };
    Ok((due_date, all.into_iter().filter_map(step).collect()))
}
