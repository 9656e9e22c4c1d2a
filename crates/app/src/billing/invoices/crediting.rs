//! Which lines of earlier invoices a change of a subscription credits.

use porttask_domain::billing::{
    Invoice,
    billing_document::{InvoiceId, Line},
    invoice::{CreditedLine, IssuedInvoice},
    settlement::State,
    tax,
};

type Known = [(InvoiceId, Invoice)];

/// The issued invoices, but those that are void.
fn valid(known: &Known) -> impl Iterator<Item = (InvoiceId, &IssuedInvoice)> {
    let issued = known.iter().filter_map(|(id, invoice)| Some((*id, invoice.existing()?.issued()?)));
    issued.filter(|(_, it)| it.settlement.state != State::Void)
}

/// The lines of an invoice that a credit may be about.
fn alike<'a>(issued: &'a IssuedInvoice, credit: &Line) -> impl Iterator<Item = &'a Line> {
    let wanted = (credit.kind, credit.until);
    issued.document.lines.iter().filter(move |line| (line.kind, line.until) == wanted && line.net > 0)
}

/// The line of which a credit is a part: of the first invoice that has enough left of it.
pub(super) fn whole<'a>(known: &'a Known, credit: &Line) -> Option<(InvoiceId, &'a Line)> {
    valid(known).find_map(|(id, issued)| {
        let has_enough = |line: &&Line| issued.left_of(line.id).unwrap_or_default() >= -credit.net;
        Some((id, alike(issued, credit).find(has_enough)?))
    })
}

/// Of which lines credits are taken, by invoice. Of each line at most what is left of it, and of each invoice at most what
/// is left of it as a whole: lines of it that are credits themselves have lowered it. What is left of none is not credited:
/// it has been.
pub(super) fn parts(known: &Known, credits: &[Line]) -> Vec<(InvoiceId, Vec<CreditedLine>)> {
    let mut parts: Vec<(InvoiceId, Vec<CreditedLine>)> = Vec::new();
    for credit in credits {
        // Of a price that included the tax, with the tax.
        let mut rest = -credit.net;
        for (id, issued) in valid(known) {
            for line in alike(issued, credit) {
                let others = parts.iter().find(|(known, _)| *known == id).map(|(_, lines)| lines.as_slice());
                let others = others.unwrap_or_default();
                let is_inclusive = issued.document.prices_include_tax;
                let wanted = if is_inclusive { tax::without(rest, line.tax.rate).unwrap_or_default() } else { rest };
                let taken: i64 = others.iter().filter(|it| it.line == line.id).map(|it| it.net).sum();
                let left = issued.left_of(line.id).unwrap_or_default() - taken;
                let net = wanted.min(left).min(room(issued, line, others));
                if net <= 0 {
                    continue;
                }
                rest -= match is_inclusive {
                    _ if net == wanted => rest,
                    true => net + tax::tax(net, line.tax.rate).unwrap_or_default(),
                    false => net,
                };
                let part = CreditedLine { line: line.id, net };
                match parts.iter_mut().find(|(known, _)| *known == id) {
                    Some((_, lines)) => lines.push(part),
                    None => parts.push((id, vec![part])),
                }
            }
        }
    }
    parts
}

/// How much of a line an invoice has room for as a whole, without tax, beside other parts.
fn room(issued: &IssuedInvoice, line: &Line, others: &[CreditedLine]) -> i64 {
    let rate = line.tax.rate;
    let gross = |net: i64| net.saturating_add(tax::tax(net, rate).unwrap_or(i64::MAX));
    let others: i64 = others.iter().map(|it| it.net).sum();
    let room = issued.settlement.total - issued.settlement.credited;
    // Rounded, it may be a minor unit too much.
    let mut net = tax::without(room, rate).unwrap_or_default() - others;
    while net > 0 && gross(net + others) > room {
        net -= 1;
    }
    net
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use porttask_domain::{
        Aggregate,
        billing::{
            billing_account::Collection,
            billing_document::{Credited, Issued, LineKind, LineTax},
            invoice::{self, Event, InvoiceKind},
            issue,
            tax::{Category, Treatment},
        },
    };
    use uuid::Uuid;

    use super::*;

    fn line(net: i64) -> Line {
        let manual = invoice::ManualLine {
            description: "Starter".to_owned(),
            quantity: 1,
            unit_price: 1.into(),
            from: date(2026, 1, 1),
            until: date(2026, 2, 1),
        };
        let tax = LineTax { category: Category::Standard, rate: 19.into(), reason: None };
        let source = porttask_domain::billing::billing_document::LineSource::Event { stream: "sub".into(), version: 1 };
        let line = issue::manual(&manual, "EUR".parse().unwrap(), tax, source).unwrap();
        Line { kind: LineKind::Base, quantity: net.signum(), gross: net, net, ..line }
    }

    fn issued(number: u128, lines: Vec<Line>) -> (InvoiceId, Invoice) {
        let calculated = issue::calculate(lines, false).unwrap();
        let mut document: Issued = serde_json::from_value(serde_json::json!({
            "number": "PT-2026-000001", "issue_date": "2026-01-01", "due_date": "2026-01-01", "currency": "EUR",
            "seller": {"legal_name": "S", "vat_id": "DE123456788",
                "address": {"street": ["A"], "postcode": "1", "city": "B", "country": "DE"}},
            "buyer": {"legal_name": "B", "is_business": true, "language": "en",
                "address": {"street": ["A"], "postcode": "1", "city": "B", "country": "DE"}},
            "treatment": Treatment::Domestic, "prices_include_tax": false, "lines": [], "groups": [],
            "totals": {"net": 0, "tax": 0, "total": 0}, "rules": 1,
        }))
        .unwrap();
        (document.lines, document.groups, document.totals) = (calculated.lines, calculated.groups, calculated.totals);
        let mut invoice = Invoice::default();
        invoice.evolve(&Event::Issued {
            kind: InvoiceKind::Change,
            collection: Collection::Automatic,
            document: Box::new(document),
            dunning: Vec::new(),
            replaces: None,
        });
        (InvoiceId(Uuid::from_u128(number)), invoice)
    }

    fn taken(known: &Known, credit: i64) -> Vec<(u128, u32, i64)> {
        let parts = parts(known, &[line(-credit)]).into_iter();
        parts.flat_map(|(id, lines)| lines.into_iter().map(move |it| (id.0.as_u128(), it.line, it.net))).collect()
    }

    #[test]
    fn a_credit_is_taken_of_the_latest_invoice_and_beyond_its_total_of_the_one_before() {
        let first = issued(1, vec![line(4_900)]);
        let mut credit = line(-4_900);
        credit.credits = Some(Credited { invoice: first.0, line: 1 });
        let change = issued(2, vec![credit, line(14_900)]);
        let known = [change, first];
        assert_eq!(taken(&known, 9_000), [(2, 2, 9_000)]);
        assert_eq!(taken(&known, 12_000), [(2, 2, 10_000), (1, 1, 2_000)]);
        // More than was invoiced is not credited.
        assert_eq!(taken(&known, 20_000), [(2, 2, 10_000), (1, 1, 4_900)]);
        assert_eq!(whole(&known, &line(-12_000)).map(|(id, line)| (id.0.as_u128(), line.id)), Some((2, 2)));
        assert!(whole(&known, &line(-15_000)).is_none());
    }

    #[test]
    fn parts_of_several_credits_stay_within_the_total() {
        let known = [issued(1, vec![line(101), line(-51)])];
        let parts = parts(&known, &[line(-30), line(-30)]);
        assert_eq!(parts[0].1.iter().map(|it| it.net).collect::<Vec<_>>(), [30, 20]);
    }
}
