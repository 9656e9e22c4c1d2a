//! What is used, and when it is billed.

use super::*;
use crate::billing::terms::Overage;

/// Starter, which bills what is used beyond what it includes.
fn with_overage(interval: Interval) -> Held {
    let mut held = held(STARTER, 0, interval);
    let overage = Overage { meter: Meter::ApiCalls, currency: eur(), unit: 1_000, price_per_unit: Decimal::new(15, 1) };
    held.terms.offer.overage = vec![overage];
    held.terms.offer.limits.api_calls = Some(10_000);
    held
}

#[test]
fn use_of_a_month_that_was_billed_is_known_for_a_year() {
    let (mut state, _) =
        after([start(), change(with_overage(Interval::Month), "2026-01-12T10:00:00Z"), reach("2026-01-25T00:00:00Z")]);
    let mut renew = |at: &str, usage: Vec<BilledUsage>| {
        let event = state.unbilled().unwrap().event;
        let (documents, now) = (Vec::new(), at.parse().unwrap());
        let commands = [Command::Bill { event, documents, invoice: None, usage, included_tax: None, now }, reach(at)];
        for command in commands {
            state.decide(&command).unwrap().iter().for_each(|event| state.evolve(event));
        }
        (state.unbilled().unwrap().clone(), state.billed_months().to_vec())
    };
    let (unbilled, billed) = renew("2026-02-25T00:00:00Z", vec![]);
    let month = |it: &UsageToBill| (it.from, it.until);
    let first = (date(2026, 1, 25), date(2026, 2, 25));
    assert_eq!(unbilled.usage.iter().map(month).collect::<Vec<_>>(), [first]);
    assert!(billed.is_empty() && unbilled.takes_late_usage());
    let count = |from, count| BilledUsage { from, meter: Meter::ApiCalls, count };
    let (_, billed) = renew("2026-03-25T00:00:00Z", vec![count(first.0, 12_000)]);
    assert_eq!(
        billed.iter().map(|it| (month(&it.month), it.counts.clone())).collect::<Vec<_>>(),
        [(first, [(Meter::ApiCalls, 12_000)].into())]
    );
    // What came late is billed too.
    let (_, billed) = renew("2026-04-25T00:00:00Z", vec![count(date(2026, 2, 25), 7), count(first.0, 12_500)]);
    assert_eq!((billed.len(), billed[0].counts[&Meter::ApiCalls]), (2, 12_500));
    for month in 5..=12 {
        renew(&format!("2026-{month:02}-25T00:00:00Z"), vec![]);
    }
    let (_, billed) = renew("2027-01-25T00:00:00Z", vec![]);
    assert_eq!((billed.len(), billed[0].month.from), (11, first.0));
    renew("2027-02-25T00:00:00Z", vec![]);
    let (_, billed) = renew("2027-03-25T00:00:00Z", vec![]);
    assert_eq!((billed.len(), billed[0].month.from), (12, date(2026, 2, 25)), "after twelve months it is only shown");
}

#[test]
fn a_month_that_a_year_cuts_short_is_billed_with_the_change() {
    let (state, _) = after([
        start(),
        change(with_overage(Interval::Month), "2026-01-12T10:00:00Z"),
        reach("2026-01-25T00:00:00Z"),
        Command::Bill {
            event: 3,
            documents: vec![],
            invoice: None,
            usage: vec![],
            included_tax: None,
            now: at("2026-01-25T01:00:00Z"),
        },
        change(with_overage(Interval::Year), "2026-02-03T10:00:00Z"),
    ]);
    let unbilled = state.unbilled().unwrap();
    let months: Vec<(Date, Date)> = unbilled.usage.iter().map(|it| (it.from, it.until)).collect();
    assert_eq!(months, [(date(2026, 1, 25), date(2026, 2, 3))]);
    assert_eq!(unbilled.usage[0].held.interval, Interval::Month);
}

#[test]
fn late_use_costs_what_a_month_would_have_cost_more() {
    use crate::billing::{billing_document::LineTax, issue, tax::Category};
    let tax = || LineTax { category: Category::Standard, rate: 19.into(), reason: None };
    let late = |billed, count| {
        let dates = (date(2026, 1, 25), date(2026, 2, 25));
        let line = issue::late_usage(&with_overage(Interval::Month), Meter::ApiCalls, (billed, count), dates, tax());
        line.unwrap().map(|line| (line.quantity, line.net))
    };
    assert_eq!(late(9_000, 12_000), Some((2, 300)));
    assert_eq!(late(12_000, 14_500), Some((3, 450)));
    // Within what is included, or a unit that had begun.
    assert_eq!((late(5_000, 9_999), late(12_001, 12_900), late(12_000, 12_000)), (None, None, None));
}

fn months(usage: &[UsageToBill]) -> Vec<(String, String)> {
    usage.iter().map(|it| (it.from.to_string(), it.until.to_string())).collect()
}

fn month(from: &str, until: &str) -> (String, String) {
    (from.to_owned(), until.to_owned())
}

/// Active for a year from 31 January, billed once.
fn yearly() -> Vec<Command> {
    let trial = |terms, zone: &str| Command::StartTrial {
        terms,
        zone: zone.to_owned(),
        created_at: at("2026-01-10T15:00:00Z"),
        trial_ends_at: at("2026-01-30T15:00:00Z"),
    };
    vec![
        trial(terms(PROFESSIONAL).in_trial(), "Europe/Lisbon"),
        change(with_overage(Interval::Year), "2026-01-12T10:00:00Z"),
        reach("2026-01-31T00:00:00Z"),
        bill_of(3, "2026-01-31T01:00:00Z"),
    ]
}

fn bill_of(event: u64, now: &str) -> Command {
    Command::Bill { event, documents: vec![], invoice: None, usage: vec![], included_tax: None, now: at(now) }
}

#[test]
fn each_usage_month_inside_a_year_is_billed_when_it_ends() {
    let (mut state, events) = after(yearly());
    let Event::Activated { usage_ends_at: Some(mut next), .. } = events[2] else { panic!("{events:?}") };
    assert_eq!(next, at("2026-02-28T00:00:00Z"), "the month lacks the day of the anchor");
    assert_eq!(state.decide(&reach("2026-02-27T23:59:59Z")), Ok(vec![]));
    let (mut billed, mut ends) = (Vec::new(), 0);
    loop {
        let new = state.decide(&Command::Reach { due: next, can_pay: true, now: next }).unwrap();
        let [Event::UsageMonthEnded { ended_at, usage_ends_at, .. }] = &new[..] else { panic!("{new:?}") };
        assert_eq!(*ended_at, next);
        assert!(timers(&new[0], next).contains(&(Due::UsageMonthEnd, *usage_ends_at)));
        new.iter().for_each(|event| state.evolve(event));
        assert_eq!(state.decide(&Command::Reach { due: next, can_pay: true, now: next }), Ok(vec![]), "a repetition");
        let unbilled = state.unbilled().unwrap().clone();
        assert_eq!((unbilled.due, unbilled.lines.len()), (Some(next + jiff::SignedDuration::from_hours(1)), 0));
        billed.extend(months(&unbilled.usage));
        let bill = bill_of(unbilled.event, "2027-01-30T00:00:00Z");
        state.decide(&bill).unwrap().iter().for_each(|event| state.evolve(event));
        ends += 1;
        match usage_ends_at {
            Some(at) => next = *at,
            None => break,
        }
    }
    assert_eq!((ends, billed.len()), (11, 11));
    state.decide(&reach("2027-01-31T00:00:00Z")).unwrap().iter().for_each(|event| state.evolve(event));
    billed.extend(months(&state.unbilled().unwrap().usage));
    assert_eq!(
        billed[..3],
        [month("2026-01-31", "2026-02-28"), month("2026-02-28", "2026-03-31"), month("2026-03-31", "2026-04-30")]
    );
    assert!(billed.windows(2).all(|pair| pair[0].1 == pair[1].0), "{billed:?}");
    assert_eq!(billed[11], month("2026-12-31", "2027-01-31"));
    // They are the months in which it is counted.
    let counted = state.usage_month(at("2026-03-30T12:00:00Z")).unwrap().unwrap();
    assert_eq!((counted.from.to_string(), counted.until.to_string()), billed[1]);
}

#[test]
fn what_is_left_of_usage_months_is_billed_when_the_year_is_cut_short() {
    let start =
        || after(yearly().into_iter().chain([reach("2026-02-28T00:00:00Z"), bill_of(5, "2026-02-28T01:00:00Z")]));
    let (state, _) = after(yearly().into_iter().chain([
        reach("2026-02-28T00:00:00Z"),
        bill_of(5, "2026-02-28T01:00:00Z"),
        Command::End { why: EndReason::Canceled, now: at("2026-04-10T10:00:00Z") },
    ]));
    let expected = [month("2026-02-28", "2026-03-31"), month("2026-03-31", "2026-04-11")];
    assert_eq!(months(&state.unbilled().unwrap().usage), expected, "also months whose timer was late");
    let (mut state, _) = start();
    let mut dearer = with_overage(Interval::Year);
    dearer.seats = 3;
    let events = state.decide(&change(dearer, "2026-03-10T10:00:00Z")).unwrap();
    let Event::TermsChanged { usage_ends_at, .. } = &events[0] else { panic!("{events:?}") };
    assert_eq!(*usage_ends_at, Some(at("2026-03-30T23:00:00Z")), "the month goes on");
    events.iter().for_each(|event| state.evolve(event));
    let ended = state.decide(&reach("2026-03-30T23:00:00Z")).unwrap();
    assert!(matches!(&ended[..], [Event::UsageMonthEnded { from, .. }] if *from == date(2026, 2, 28)), "{ended:?}");
}

#[test]
fn what_was_used_before_a_plan_billed_it_costs_nothing() {
    let (mut state, _) = after([
        start(),
        change(held(STARTER, 0, Interval::Year), "2026-01-12T10:00:00Z"),
        reach("2026-01-25T00:00:00Z"),
        bill_of(3, "2026-01-25T01:00:00Z"),
    ]);
    let mut to = with_overage(Interval::Year);
    to.seats = 2;
    let events = state.decide(&change(to, "2026-04-10T10:00:00Z")).unwrap();
    let Event::TermsChanged { usage_ends_at, .. } = &events[0] else { panic!("{events:?}") };
    assert_eq!(*usage_ends_at, Some(at("2026-04-24T23:00:00Z")));
    events.iter().for_each(|event| state.evolve(event));
    let ended = state.decide(&reach("2026-04-24T23:00:00Z")).unwrap();
    ended.iter().for_each(|event| state.evolve(event));
    let usage: Vec<_> = state.unbilled_of(state.events()).iter().flat_map(|it| months(&it.usage)).collect();
    assert_eq!(usage, [month("2026-03-25", "2026-04-25")]);
}
