//! Recurring revenue.

use super::*;
use crate::billing::mrr;

#[test]
fn revenue_changes_when_what_is_held_takes_effect() {
    let (_, mut events) = after(active());
    let mut state = Subscription::default();
    events.iter().for_each(|event| state.evolve(event));
    let invoice = InvoiceId(Uuid::from_u128(1));
    let (dearer, why) = (held(PROFESSIONAL, 0, Interval::Year), EndReason::Unpaid);
    let commands = [
        discount(1, Off::Percent(Decimal::from(50)), Duration::Once),
        reach("2026-02-25T00:00:00Z"),
        reach("2026-03-25T00:00:00Z"),
        change(dearer.clone(), "2026-04-10T10:00:00Z"),
        Command::BecomeReadOnly { invoice, ends_at: at("2026-05-21T00:00:00Z") },
        Command::End { why, now: at("2026-05-20T12:00:00Z") },
        change(held(STARTER, 0, Interval::Month), "2026-06-10T10:00:00Z"),
    ];
    for command in commands {
        let new = state.decide(&command).unwrap();
        assert!(!new.is_empty(), "{command:?}");
        new.iter().for_each(|event| state.evolve(event));
        events.extend(new);
    }
    let (mut state, mut history) = (Subscription::default(), mrr::History::default());
    events.iter().for_each(|event| state.evolve_with_revenue(event, &mut history));
    let changes = history.changes("org", eur(), None);
    let amounts: Vec<(String, i64)> = changes.iter().map(|it| (it.on.to_string(), it.recurring_net)).collect();
    let yearly = dearer.full().full_net(&[]).unwrap();
    let expected = [
        ("2026-01-25", 4_900),
        ("2026-02-25", 2_450),
        ("2026-03-25", 4_900),
        // The first instants of dates of summer time in Lisbon.
        ("2026-04-09", crate::billing::amount::ratio(yearly.into(), 12).unwrap()),
        ("2026-05-20", 0),
        ("2026-06-10", 4_900),
    ];
    assert_eq!(amounts, expected.map(|(date, amount)| (date.to_owned(), amount)));
    let [april, may, june] = [4, 5, 6].map(|month| mrr::movements(date(2026, month, 1), &changes).unwrap());
    assert_eq!((april.start, april.expansion, april.customers_end()), (4_900, expected[3].1 - 4_900, 1));
    assert_eq!((may.churn, may.end, may.customer_churn()), (expected[3].1, 0, Ok(Some(10_000))));
    assert_eq!((june.reactivation, june.new, june.net_retention()), (4_900, 0, Ok(None)));
    let months = [4, 5, 6].map(|month| date(2026, month, 1));
    assert_eq!(mrr::report(&months, &changes), Ok(vec![april, may, june]));
    let moved = mrr::moved(months[1], &changes).unwrap();
    assert_eq!((moved.len(), moved[0].movement, moved[0].after), (1, mrr::Movement::Churn, 0));
}

#[test]
fn revenue_is_without_the_tax_that_prices_include() {
    let mut inclusive = held(STARTER, 0, Interval::Month);
    inclusive.terms.offer.prices_include_tax = true;
    let mut dearer = held(PROFESSIONAL, 0, Interval::Month);
    dearer.terms.offer.prices_include_tax = true;
    let bill = |event, rate: i64, now| Command::Bill {
        event,
        documents: vec![],
        invoice: None,
        usage: vec![],
        included_tax: Some(rate.into()),
        now: at(now),
    };
    let (_, events) = after([
        start(),
        change(inclusive, "2026-01-20T10:00:00Z"),
        reach("2026-01-25T00:00:00Z"),
        bill(3, 19, "2026-01-25T01:00:00Z"),
        change(dearer, "2026-02-03T10:00:00Z"),
        bill(5, 19, "2026-02-03T10:00:00Z"),
        reach("2026-02-25T00:00:00Z"),
        bill(7, 16, "2026-02-25T01:00:00Z"),
    ]);
    let (mut state, mut history) = (Subscription::default(), mrr::History::default());
    events.iter().for_each(|event| state.evolve_with_revenue(event, &mut history));
    let changes = history.changes("org", eur(), None);
    let amounts: Vec<(String, i64)> = changes.iter().map(|it| (it.on.to_string(), it.recurring_net)).collect();
    let expected = [("2026-01-25", 4_118), ("2026-02-03", 12_521), ("2026-02-25", 12_845)];
    assert_eq!(amounts, expected.map(|(date, amount)| (date.to_owned(), amount)));
}
