//! Lines as a document states them: quantity times price is the amount before discounts, to the cent.

use porttask_domain::billing::{
    Currency,
    amount::rounded,
    billing_document::{Line, LineKind, LineSource},
    coupon::DiscountId,
};
use rust_decimal::Decimal;

use crate::{
    document::Document,
    format,
    texts::{Texts, fill},
};

/// A line. Amounts are minor units.
#[derive(Debug)]
pub(crate) struct Billed<'a> {
    pub(crate) line: &'a Line,
    pub(crate) name: String,
    /// What explains it, apart from its dates.
    pub(crate) details: Vec<String>,
    /// Negative for a credit.
    pub(crate) quantity: i64,
    /// Of one, in the currency; never negative.
    pub(crate) price: Decimal,
    /// Quantity times price.
    pub(crate) gross: i64,
    pub(crate) allowances: Vec<Allowance>,
    pub(crate) net: i64,
}

/// What a discount takes off a line.
#[derive(Debug)]
pub(crate) struct Allowance {
    pub(crate) amount: i64,
    /// What it is called.
    pub(crate) text: String,
    /// The percentage and what it was applied to, if that is exact.
    pub(crate) percent: Option<(Decimal, i64)>,
}

/// The lines of a document.
pub(crate) fn billed(document: &Document) -> Vec<Billed<'_>> {
    document.issued.lines.iter().map(|line| one(document, line)).collect()
}

fn one<'a>(document: &'a Document, line: &'a Line) -> Billed<'a> {
    let (sign, currency, texts) = (document.sign(), document.issued.currency, document.texts());
    let signed = |amount: i64| amount.saturating_mul(sign);
    let (gross, discount, net) = (signed(line.gross), signed(line.discount), signed(line.net));
    let quantity = signed(line.quantity);
    let mut details = details(line, texts);
    let stated = |quantity, price, gross, allowances| (quantity, price, gross, allowances);
    let is_credit = net < 0 || (quantity < 0 && net == 0);
    let (shown, price, gross, allowances) = if is_credit {
        stated(-1, currency.decimal(net.saturating_neg()), net, Vec::new())
    } else if discount < 0 || gross.saturating_sub(discount) != net {
        // The price includes the tax, so that discounts are not amounts without it.
        details.extend((discount > 0).then(|| included(document, line)));
        stated(1, currency.decimal(net), net, Vec::new())
    } else {
        let unit = major(line.unit_price, currency);
        let is_exact = line.days == line.of_days && quantity > 0 && product(line.unit_price, quantity) == Some(gross);
        let (shown, price) = if is_exact { (quantity, unit) } else { (1, currency.decimal(gross)) };
        stated(shown, price, gross, allowances(document, line, gross))
    };
    if shown != quantity && quantity.abs() > 1 {
        details.insert(0, fill(texts.pieces, &[("quantity", &format::count(quantity.abs()))]));
    }
    let name = name(line, texts);
    let name = if is_credit { fill(texts.credit, &[("name", &name)]) } else { name };
    Billed { line, name, details, quantity: shown, price, gross, allowances, net }
}

/// Minor units with a fraction, in the currency.
fn major(minor: Decimal, currency: Currency) -> Decimal {
    (minor / Decimal::from(10_i64.pow(currency.exponent()))).normalize()
}

fn product(price: Decimal, quantity: i64) -> Option<i64> {
    rounded(price.checked_mul(Decimal::from(quantity))?).ok()
}

fn name(line: &Line, texts: &Texts) -> String {
    let meter = line.sources.iter().find_map(|source| match source {
        LineSource::Usage { meter, .. } => Some(texts.meter(*meter)),
        LineSource::Event { .. } => None,
    });
    let values = [("plan", line.plan.as_str()), ("meter", meter.unwrap_or_default())];
    let name = match line.kind {
        LineKind::Base => line.plan.clone(),
        LineKind::Seats => fill(texts.extra_seats, &values),
        LineKind::Overage => fill(texts.overage, &values),
        LineKind::LateUsage => fill(texts.late_usage, &values),
        LineKind::Manual => line.description.clone(),
    };
    if name.trim().is_empty() { texts.description.to_owned() } else { name }
}

fn details(line: &Line, texts: &Texts) -> Vec<String> {
    let mut details = Vec::new();
    if line.days != line.of_days {
        let (days, of_days) = (line.days.to_string(), line.of_days.to_string());
        details.push(fill(texts.days, &[("days", &days), ("of_days", &of_days)]));
    }
    for source in &line.sources {
        if let LineSource::Usage { count, included, .. } = source {
            let (count, included) = (format::count(*count), format::count(*included));
            details.push(fill(texts.used, &[("count", &count), ("included", &included)]));
        }
    }
    details
}

/// What the discounts of a line are called, if they cannot be stated as amounts.
fn included(document: &Document, line: &Line) -> String {
    let names: Vec<String> = line.discounts.iter().map(|it| called(document, Some(it.discount)).0).collect();
    let names = if names.is_empty() { called(document, None).0 } else { names.join(", ") };
    fill(document.texts().discount_included, &[("text", &names)])
}

fn called(document: &Document, id: Option<DiscountId>) -> (String, Option<Decimal>) {
    let texts = document.texts();
    let Some(known) = id.and_then(|id| document.discounts.get(&id)) else { return (texts.discount.to_owned(), None) };
    let percent = known.percent.map(|it| fill(texts.percent_off, &[("percent", &format::rate(it))]));
    let percent = percent.map(|it| format!(" ({it})")).unwrap_or_default();
    (format!("{} {}{percent}", texts.discount, known.name), known.percent)
}

fn allowances(document: &Document, line: &Line, gross: i64) -> Vec<Allowance> {
    let (sign, discount) = (document.sign(), line.discount.saturating_mul(document.sign()));
    if discount == 0 {
        return Vec::new();
    }
    let amounts = line.discounts.iter().map(|it| (Some(it.discount), it.amount.saturating_mul(sign)));
    let mut amounts: Vec<_> = amounts.filter(|(_, amount)| *amount != 0).collect();
    let is_whole = amounts.iter().all(|(_, amount)| *amount > 0)
        && amounts.iter().try_fold(0_i64, |sum, (_, amount)| sum.checked_add(*amount)) == Some(discount);
    if !is_whole {
        amounts = vec![(None, discount)];
    }
    let mut left = gross;
    let allowance = |(id, amount): (_, i64)| {
        let (text, percent) = called(document, id);
        let base = left;
        left -= amount;
        let is_exact = |percent: &Decimal| {
            let share = percent.checked_mul(Decimal::from(base)).map(|share| share / Decimal::ONE_HUNDRED);
            share.and_then(|share| rounded(share).ok()) == Some(amount)
        };
        Allowance { amount, text, percent: percent.filter(is_exact).map(|percent| (percent, base)) }
    };
    amounts.into_iter().map(allowance).collect()
}
