mod borders;
mod revenue;
mod unpaid;
mod usage;

use jiff::civil::date;
use proptest::prelude::*;
use rust_decimal::Decimal;
use uuid::Uuid;

use super::*;
use crate::{
    billing::{
        Currency,
        coupon::{AppliesTo, Duration, Off},
        period::{self, Interval},
        plan::{PlanId, built_in},
        quote::{Action, DocumentKind, OverLimit},
    },
    testing::given,
};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn terms(plan: usize) -> Terms {
    let (id, code, name, _, offer) = built_in()[plan].clone();
    Terms { plan: id, code: code.to_owned(), name: name.to_owned(), version: 1, offer }
}

fn eur() -> Currency {
    "EUR".parse().unwrap()
}

fn held(plan: usize, seats: u32, interval: Interval) -> Held {
    Held::new(terms(plan), seats, interval, eur()).unwrap()
}

const STARTER: usize = 0;
const PROFESSIONAL: usize = 1;
const ENTERPRISE: usize = 2;

fn start() -> Command {
    Command::StartTrial {
        terms: terms(PROFESSIONAL).in_trial(),
        zone: "Europe/Lisbon".to_owned(),
        created_at: at("2026-01-10T15:00:00Z"),
        trial_ends_at: at("2026-01-24T15:00:00Z"),
    }
}

/// Carries out commands one after the other; returns the state and all events.
fn after(commands: impl IntoIterator<Item = Command>) -> (Subscription, Vec<Event>) {
    let (mut state, mut all) = (Subscription::default(), Vec::new());
    for command in commands {
        let events = state.decide(&command).unwrap_or_else(|rejection| panic!("{command:?}: {rejection}"));
        events.iter().for_each(|event| state.evolve(event));
        all.extend(events);
    }
    (state, all)
}

fn change(to: Held, now: &str) -> Command {
    change_with(to, now, None, false)
}

fn change_with(to: Held, now: &str, effective: Option<Date>, is_gated: bool) -> Command {
    Command::Change(Box::new(ChangeTerms {
        to,
        effective,
        quote: None,
        is_gated,
        balance: 0,
        change: ChangeId(Uuid::from_u128(7)),
        used: Used::default(),
        tax: None,
        now: at(now),
    }))
}

fn reach(due: &str) -> Command {
    Command::Reach { due: at(due), can_pay: true, now: at(due) }
}

/// Active on Starter since 25 January.
fn active() -> Vec<Command> {
    vec![start(), change(held(STARTER, 0, Interval::Month), "2026-01-20T10:00:00Z"), reach("2026-01-25T00:00:00Z")]
}

#[test]
fn a_trial_ends_on_a_date_and_every_feature_holds_in_it() {
    let (state, events) = after([start()]);
    let Event::TrialStarted { trial_until, ends_at, remind_at, .. } = &events[0] else { panic!("{events:?}") };
    assert_eq!((*trial_until, *ends_at), (date(2026, 1, 25), at("2026-01-25T00:00:00Z")));
    assert_eq!(*remind_at, Some(at("2026-01-18T09:00:00Z")));
    assert!(state.has(Feature::ApiKeys) && state.limit(Meter::PortCalls) == Some(500));
    assert_eq!(state.decide(&start()), Ok(vec![]));
}

#[test]
fn a_chosen_plan_becomes_active_when_the_trial_ends() {
    let (state, events) = after(active());
    let Some(Event::Activated { anchor, period, .. }) = events.last() else { panic!("{events:?}") };
    assert_eq!((*anchor, period.from, period.until), (date(2026, 1, 25), date(2026, 1, 25), date(2026, 2, 25)));
    assert_eq!((state.status(), state.limit(Meter::PortCalls)), (Some(Status::Active), Some(50)));
    assert!(!state.has(Feature::ApiKeys));
    assert_eq!(state.decide(&reach("2026-01-25T00:00:00Z")), Ok(vec![]), "a repetition");
}

#[test]
fn a_trial_without_a_plan_becomes_read_only_and_ends() {
    let (state, events) = after([start(), reach("2026-01-18T09:00:00Z"), reach("2026-01-22T09:00:00Z")]);
    assert!(matches!(&events[1], Event::Reminded { remind_at, .. } if *remind_at == Some(at("2026-01-22T09:00:00Z"))));
    assert!(matches!(&events[2], Event::Reminded { remind_at, .. } if *remind_at == Some(at("2026-01-24T09:00:00Z"))));
    assert!(!state.is_read_only());
    let (state, events) = after([start(), reach("2026-01-25T00:00:00Z")]);
    let Some(Event::BecameReadOnly { ends_at, .. }) = events.last() else { panic!("{events:?}") };
    assert_eq!((state.is_read_only(), *ends_at), (true, at("2026-02-24T00:00:00Z")));
    let mut state = state;
    let ended = state.decide(&reach("2026-02-24T00:00:00Z")).unwrap();
    ended.iter().for_each(|event| state.evolve(event));
    assert_eq!(state.status(), Some(Status::Ended));
    // A plan that is chosen then begins on the next day, and no second trial with it.
    let to = held(STARTER, 0, Interval::Month);
    let quote = state.quote(&Change::To(to.clone(), None), at("2026-03-01T12:00:00Z"), Used::default()).unwrap();
    assert_eq!((quote.action, quote.effective, quote.net()), (Action::Activate, date(2026, 3, 2), 4_900));
    let events = state.decide(&change(to, "2026-03-01T12:00:00Z")).unwrap();
    assert!(matches!(&events[..], [Event::Activated { anchor, .. }] if *anchor == date(2026, 3, 2)), "{events:?}");
}

#[test]
fn an_extended_trial_bills_nothing_and_moves_its_end() {
    let reason = Reason::new("a pilot").unwrap();
    let extend =
        || Command::ExtendTrial { until: date(2026, 2, 10), reason: reason.clone(), now: at("2026-01-20T10:00:00Z") };
    let (state, _) = after([start(), extend()]);
    assert_eq!(state.decide(&extend()), Ok(vec![]));
    assert!(matches!(state.decide(&reach("2026-01-25T00:00:00Z")).as_deref(), Ok([])));
    let (active, _) = after(active());
    assert_eq!(active.decide(&extend()), Err(Rejection::NoTrial));
}

#[test]
fn an_upgrade_holds_from_today_and_is_billed_by_the_day() {
    let (state, _) = after(active());
    let to = held(PROFESSIONAL, 2, Interval::Month);
    let now = at("2026-02-10T18:00:00Z");
    let quote = state.quote(&Change::To(to.clone(), None), now, Used::default()).unwrap();
    // 15 of 31 days are left from 10 February on.
    let part = |amount: i64| crate::billing::amount::part(amount, (16, 31), 31).unwrap();
    let nets: Vec<i64> = quote.lines().iter().map(|line| line.net).collect();
    assert_eq!(nets, [-part(4_900), part(14_900), part(1_800)]);
    assert_eq!((quote.action, quote.documents[0].kind), (Action::Upgrade, DocumentKind::Invoice));
    assert_eq!(quote.next_renewal.as_ref().map(|it| (it.on, it.net)), Some((date(2026, 2, 25), 16_700)));
    let mut state = state;
    let events = state.decide(&change(to.clone(), "2026-02-10T18:00:00Z")).unwrap();
    let [Event::TermsChanged { lines, effective, .. }] = &events[..] else { panic!("{events:?}") };
    assert_eq!((lines, *effective), (&quote.lines(), date(2026, 2, 10)), "what was shown is what is billed");
    state.evolve(&events[0]);
    assert_eq!(state.decide(&change(to, "2026-02-10T18:00:00Z")), Ok(vec![]), "a retry");
    assert_eq!(state.limit(Meter::Users), Some(12));
}

#[test]
fn a_gated_upgrade_happens_once_it_is_paid() {
    let to = held(PROFESSIONAL, 0, Interval::Month);
    let ask = || change_with(to.clone(), "2026-02-10T23:30:00Z", None, true);
    let (state, events) = after(active().into_iter().chain([ask()]));
    let Some(Event::ChangeRequested { change: id, quote, .. }) = events.last() else { panic!("{events:?}") };
    let (id, lines) = (*id, quote.lines.clone());
    assert_eq!((state.limit(Meter::PortCalls), state.in_flight().unwrap().0), (Some(50), id));
    assert_eq!(state.decide(&ask()), Ok(vec![]));
    let other = held(ENTERPRISE, 0, Interval::Month);
    assert_eq!(state.decide(&change(other, "2026-02-10T23:31:00Z")), Err(Rejection::ChangeInProgress));
    // The money arrives after midnight: the date of the quote holds.
    let finish = Command::FinishChange { change: id, now: at("2026-02-11T00:10:00Z") };
    let mut paid = state.clone();
    let events = paid.decide(&finish).unwrap();
    assert!(matches!(&events[..], [Event::TermsChanged { effective, lines: billed, .. }]
        if *effective == date(2026, 2, 10) && *billed == lines));
    paid.evolve(&events[0]);
    assert_eq!(paid.decide(&finish), Ok(vec![]));
    let mut unpaid = state;
    let events = unpaid.decide(&reach("2026-02-11T00:30:00Z")).unwrap();
    assert!(matches!(&events[..], [Event::ChangeAbandoned { why: AbandonReason::TooLate, .. }]), "{events:?}");
    unpaid.evolve(&events[0]);
    assert_eq!((unpaid.limit(Meter::PortCalls), unpaid.decide(&finish)), (Some(50), Err(Rejection::NoChange)));
}

#[test]
fn a_downgrade_holds_from_the_next_period_and_can_be_withdrawn() {
    let up = change(held(PROFESSIONAL, 0, Interval::Month), "2026-02-10T10:00:00Z");
    let down = || change(held(STARTER, 0, Interval::Month), "2026-02-12T10:00:00Z");
    let (state, events) = after(active().into_iter().chain([up, down()]));
    assert!(matches!(events.last(), Some(Event::ChangeScheduled { effective, .. }) if *effective == date(2026, 2, 25)));
    assert_eq!(state.decide(&down()), Ok(vec![]));
    assert_eq!(state.limit(Meter::PortCalls), Some(500), "what was paid for is kept until then");
    let mut renewed = state.clone();
    let events = renewed.decide(&reach("2026-02-25T00:00:00Z")).unwrap();
    assert!(
        matches!(&events[..], [Event::TermsChanged { cause: Cause::Downgrade, .. }, Event::Renewed { period, .. }]
        if period.until == date(2026, 3, 25)),
        "{events:?}"
    );
    events.iter().for_each(|event| renewed.evolve(event));
    assert_eq!(renewed.limit(Meter::PortCalls), Some(50));
    let withdrawn = state.decide(&change(held(PROFESSIONAL, 0, Interval::Month), "2026-02-13T10:00:00Z"));
    assert_eq!(withdrawn, Ok(vec![Event::ChangeWithdrawn {}]));
}

#[test]
fn staff_can_downgrade_and_cancel_inside_a_period_with_a_credit() {
    let up = change(held(PROFESSIONAL, 0, Interval::Month), "2026-01-25T10:00:00Z");
    let down = change_with(held(STARTER, 0, Interval::Month), "2026-02-10T10:00:00Z", Some(date(2026, 2, 15)), false);
    let (mut state, _) = after(active().into_iter().chain([up, down]));
    let events = state.decide(&reach("2026-02-15T00:00:00Z")).unwrap();
    let [Event::TermsChanged { effective, lines, .. }] = &events[..] else { panic!("{events:?}") };
    assert_eq!((*effective, lines.iter().map(|line| line.net).sum::<i64>() < 0), (date(2026, 2, 15), true));
    events.iter().for_each(|event| state.evolve(event));
    let on = Some(date(2026, 2, 20));
    let cancel = Command::Cancel { on, reason: None, now: at("2026-02-16T10:00:00Z") };
    let events = state.decide(&cancel).unwrap();
    events.iter().for_each(|event| state.evolve(event));
    let events = state.decide(&reach("2026-02-20T00:00:00Z")).unwrap();
    assert!(
        matches!(&events[..], [Event::Ended { why: EndReason::Canceled, lines, .. }] if lines[0].days == 5),
        "{events:?}"
    );
    for wrong in [date(2026, 2, 16), date(2026, 2, 26)] {
        let cancel = Command::Cancel { on: Some(wrong), reason: None, now: at("2026-02-16T10:00:00Z") };
        assert!(matches!(state.decide(&cancel), Err(Rejection::Date(_))));
    }
}

#[test]
fn a_cancellation_ends_at_the_period_and_resuming_costs_nothing() {
    let cancel = || Command::Cancel { on: None, reason: None, now: at("2026-02-01T10:00:00Z") };
    let (state, _) = after(active().into_iter().chain([cancel()]));
    assert_eq!(state.decide(&cancel()), Ok(vec![]));
    let down = change(held(STARTER, 0, Interval::Month), "2026-02-02T10:00:00Z");
    assert_eq!(state.decide(&down), Ok(vec![]), "the terms are held already");
    assert_eq!(state.decide(&Command::Resume), Ok(vec![Event::CancellationWithdrawn {}]));
    let ended = state.decide(&reach("2026-02-25T00:00:00Z")).unwrap();
    assert!(matches!(&ended[..], [Event::Ended { why: EndReason::Canceled, lines, .. }] if lines.is_empty()));
    let up = change(held(PROFESSIONAL, 0, Interval::Month), "2026-02-02T10:00:00Z");
    let (upgraded, _) = after(active().into_iter().chain([cancel(), up]));
    let ended = upgraded.decide(&reach("2026-02-25T00:00:00Z")).unwrap();
    assert!(matches!(&ended[..], [Event::Ended { .. }]), "an upgrade does not resume");
    let down = change(held(STARTER, 0, Interval::Month), "2026-02-03T10:00:00Z");
    assert_eq!(upgraded.decide(&down), Err(Rejection::CancellationScheduled));
}

#[test]
fn a_year_begins_today_and_months_only_after_it() {
    let year = held(STARTER, 0, Interval::Year);
    let (state, events) = after(active().into_iter().chain([change(year, "2026-02-10T10:00:00Z")]));
    let Some(Event::TermsChanged { period: Some(period), lines, .. }) = events.last() else { panic!("{events:?}") };
    assert_eq!((period.from, period.until), (date(2026, 2, 10), date(2027, 2, 10)));
    assert_eq!(lines.last().map(|line| (line.net, line.days)), Some((49_000, 365)));
    let month = held(STARTER, 0, Interval::Month);
    let quote = state.quote(&Change::To(month, None), at("2026-05-01T10:00:00Z"), Used::default()).unwrap();
    assert_eq!((quote.action, quote.effective), (Action::Downgrade, date(2027, 2, 10)));
}

#[test]
fn years_of_renewals_keep_to_the_anchor() {
    let created = Command::StartTrial {
        terms: terms(PROFESSIONAL).in_trial(),
        zone: "America/Havana".to_owned(),
        created_at: at("2026-01-16T12:00:00Z"),
        trial_ends_at: at("2026-01-30T12:00:00Z"),
    };
    let (mut state, _) = after([created, change(held(STARTER, 0, Interval::Month), "2026-01-20T10:00:00Z")]);
    let mut dates = Vec::new();
    let mut due = at("2026-01-31T05:00:00Z");
    for _ in 0..37 {
        let events = state.decide(&Command::Reach { due, can_pay: true, now: due }).unwrap();
        events.iter().for_each(|event| state.evolve(event));
        let Some(Event::Activated { period, .. } | Event::Renewed { period, .. }) = events.last() else {
            panic!("{events:?}")
        };
        dates.push(period.from);
        due = period.ends_at;
    }
    let expected: Vec<Date> =
        (0..37).map(|number| period::start(date(2026, 1, 31), Interval::Month, number).unwrap()).collect();
    assert_eq!(dates, expected);
}

#[test]
fn more_use_than_the_new_terms_allow_is_listed() {
    let used = Used { users: 11, storage_bytes: 6_000_000_000 };
    let (state, _) = after([start()]);
    let to = held(STARTER, 0, Interval::Month);
    let ask = Command::Change(Box::new(ChangeTerms {
        to,
        effective: None,
        quote: None,
        is_gated: false,
        balance: 0,
        change: ChangeId(Uuid::from_u128(1)),
        used,
        tax: None,
        now: at("2026-01-20T10:00:00Z"),
    }));
    assert_eq!(
        state.decide(&ask),
        Err(Rejection::OverLimit(vec![
            OverLimit { meter: Meter::Users, limit: 3, used: 11 },
            OverLimit { meter: Meter::StorageBytes, limit: 5_000_000_000, used: 6_000_000_000 },
        ]))
    );
}

fn discount(number: u128, off: Off, duration: Duration) -> Command {
    Command::AddDiscount {
        discount: DiscountId(Uuid::from_u128(number)),
        coupon: Some(CouponId(Uuid::from_u128(number))),
        terms: DiscountTerms { off, duration, applies_to: AppliesTo::All, plans: vec![] },
        now: at("2026-01-19T10:00:00Z"),
    }
}

#[test]
fn a_discount_counts_periods_and_not_changes() {
    let once = discount(1, Off::Percent(Decimal::from(50)), Duration::Once);
    let mut commands = active();
    commands.insert(1, once.clone());
    let (mut state, _) = after(commands);
    let upgrade = held(PROFESSIONAL, 0, Interval::Month);
    let quote = state.quote(&Change::To(upgrade, None), at("2026-01-25T10:00:00Z"), Used::default()).unwrap();
    assert_eq!(quote.net(), 7_450 - 2_450, "the discount of the period holds for the change");
    assert_eq!(state.decide(&once), Ok(vec![]));
    let renewal =
        state.quote(&Change::None, at("2026-02-01T10:00:00Z"), Used::default()).unwrap().next_renewal.unwrap();
    assert_eq!(renewal.net, 4_900, "it is used up");
    let events = state.decide(&reach("2026-02-25T00:00:00Z")).unwrap();
    assert!(matches!(&events[..], [Event::Renewed { discounts, .. }] if discounts.is_empty()));
    events.iter().for_each(|event| state.evolve(event));
    assert_eq!(state.discounts().count(), 0);
}

#[test]
fn a_discount_of_another_currency_or_plan_does_not_apply() {
    let amount = Off::Amount { amount: 1_000, currency: "USD".parse().unwrap() };
    let mut commands = active();
    commands.insert(1, discount(1, amount, Duration::Forever));
    commands.insert(
        1,
        Command::AddDiscount {
            discount: DiscountId(Uuid::from_u128(2)),
            coupon: None,
            terms: DiscountTerms {
                off: Off::Percent(Decimal::from(10)),
                duration: Duration::Forever,
                applies_to: AppliesTo::All,
                plans: vec![PlanId::ENTERPRISE],
            },
            now: at("2026-01-19T10:00:00Z"),
        },
    );
    let (state, _) = after(commands);
    let renewal =
        state.quote(&Change::None, at("2026-02-01T10:00:00Z"), Used::default()).unwrap().next_renewal.unwrap();
    assert_eq!(renewal.net, 4_900);
}

#[test]
fn usage_months_count_from_the_anchor_and_overlap_nowhere() {
    let (state, _) = after(active());
    let month = |text: &str| state.usage_month(at(text)).unwrap().unwrap();
    assert_eq!(month("2026-01-24T12:00:00Z").until, date(2026, 1, 25), "the trial's month is cut at the anchor");
    assert_eq!(month("2026-01-25T00:00:00Z").from, date(2026, 1, 25));
    let mut at = at("2026-01-10T00:00:00Z");
    while at < "2027-02-01T00:00:00Z".parse().unwrap() {
        let month = state.usage_month(at).unwrap().unwrap();
        assert!(month.starts_at <= at && at < month.ends_at, "{at}: {month:?}");
        at += jiff::SignedDuration::from_hours(11);
    }
}

#[test]
fn a_new_version_is_migrated_to_after_notice_or_at_once_if_it_is_cheaper() {
    let (state, _) = after(active());
    let version = |price: i64| {
        let mut terms = Terms { version: 2, ..terms(STARTER) };
        terms.offer.prices[0].price = price;
        terms
    };
    let effective = |price| match &state
        .decide(&Command::Migrate { terms: version(price), now: at("2026-02-10T10:00:00Z") })
        .unwrap()[..]
    {
        [Event::ChangeScheduled { effective, cause: Cause::Migration, .. }] => *effective,
        other => panic!("{other:?}"),
    };
    assert_eq!((effective(4_000), effective(6_000)), (date(2026, 2, 25), date(2026, 3, 25)));
    let (migrating, _) = after(
        active().into_iter().chain([Command::Migrate { terms: version(6_000), now: at("2026-02-10T10:00:00Z") }]),
    );
    assert_eq!(migrating.decide(&Command::WithdrawChange), Err(Rejection::MigrationScheduled));
    let same = change(held(STARTER, 0, Interval::Month), "2026-02-11T10:00:00Z");
    assert_eq!(migrating.decide(&same), Ok(vec![]), "what is held does not withdraw it either");
    given::<Subscription>([]).when(Command::Resume).then_rejected(Rejection::NotFound);
}

#[test]
fn a_quote_that_has_changed_is_refused() {
    let (state, _) = after(active());
    let to = held(PROFESSIONAL, 0, Interval::Month);
    let quote = |text| state.quote(&Change::To(to.clone(), None), at(text), Used::default()).unwrap().digest();
    assert_eq!(quote("2026-02-10T00:00:01Z"), quote("2026-02-10T23:59:00Z"), "it holds all day");
    let ask = |quote: String| {
        let Command::Change(change) = change(to.clone(), "2026-02-11T10:00:00Z") else { unreachable!() };
        state.decide(&Command::Change(Box::new(ChangeTerms { quote: Some(quote), ..*change })))
    };
    assert_eq!(ask(quote("2026-02-10T10:00:00Z")), Err(Rejection::QuoteChanged));
    assert!(ask(quote("2026-02-11T09:00:00Z")).is_ok());
}

proptest! {
    /// What a period costs depends only on which terms held on which day, not on the order or number of changes.
    #[test]
    fn the_documents_of_a_period_add_up_to_the_terms_of_its_days(changes in prop::collection::vec((0_i32..31, 0_usize..3, 0_u32..4), 0..6)) {
        let (mut state, events) = after(active());
        let mut billed = events.iter().filter(|event| matches!(event, Event::Activated { .. })).count() as i64 * 4_900;
        let (mut days, mut changes) = ([[4_900_i64; 31], [0; 31]], changes);
        changes.sort_by_key(|(day, ..)| *day);
        for (day, plan, seats) in changes {
            let to = held(plan, seats, Interval::Month);
            let now = at("2026-01-25T12:00:00Z") + jiff::SignedDuration::from_hours(24 * i64::from(day));
            let quote = state.quote(&Change::To(to.clone(), None), now, Used::default()).unwrap();
            let ask = Command::Change(Box::new(ChangeTerms {
                to: to.clone(), effective: None, quote: Some(quote.digest()), is_gated: false, balance: 0,
                change: ChangeId(Uuid::nil()), used: Used::default(), tax: None, now,
            }));
            let events = state.decide(&ask).unwrap();
            for event in &events {
                if let Event::TermsChanged { lines, .. } = event {
                    prop_assert_eq!(lines, &quote.lines());
                    billed += lines.iter().map(|line| line.net).sum::<i64>();
                    let full = to.full();
                    days[0][day as usize..].fill(full.price);
                    days[1][day as usize..].fill(full.seat_price * i64::from(full.seats));
                }
                state.evolve(event);
            }
        }
        let part = |(net, from, until)| crate::billing::amount::part(net, (from, until), 31).unwrap();
        let closed: i64 = days.iter().flat_map(runs).map(part).sum();
        prop_assert_eq!(billed, closed);
    }
}

/// The runs of equal terms.
fn runs(days: &[i64; 31]) -> Vec<(i64, i64, i64)> {
    let mut runs: Vec<(i64, i64, i64)> = Vec::new();
    for (day, net) in (0..).zip(days) {
        match runs.last_mut() {
            Some((last, _, until)) if last == net => *until = day + 1,
            _ => runs.push((*net, day, day + 1)),
        }
    }
    runs
}

fn invoice(number: u128) -> InvoiceId {
    InvoiceId(Uuid::from_u128(number))
}

fn bill(state: &Subscription, now: &str) -> Command {
    let event = state.unbilled().unwrap().event;
    Command::Bill {
        event,
        documents: vec![invoice(1).to_string()],
        invoice: Some(invoice(1)),
        usage: vec![],
        included_tax: None,
        now: at(now),
    }
}

#[test]
fn periods_are_billed_an_hour_after_they_began_and_changes_at_once_in_order() {
    let (mut state, _) = after([
        start(),
        change(held(STARTER, 0, Interval::Month), "2026-01-12T10:00:00Z"),
        Command::Reach { due: at("2026-01-25T00:00:00Z"), can_pay: true, now: at("2026-01-25T00:00:00Z") },
    ]);
    assert!(!state.must_bill(at("2026-01-25T00:59:00Z")));
    assert!(state.must_bill(at("2026-01-25T01:00:00Z")));
    let upgrade = change(held(PROFESSIONAL, 0, Interval::Month), "2026-01-25T00:30:00Z");
    state.decide(&upgrade).unwrap().iter().for_each(|event| state.evolve(event));
    // The change waits for the period that it credits: both are due now, the period first.
    assert!(state.must_bill(at("2026-01-25T00:30:00Z")));
    assert_eq!(state.unbilled().unwrap().lines.iter().map(|line| line.net).sum::<i64>(), 4_900);
    let billed = state.decide(&bill(&state, "2026-01-25T00:30:00Z")).unwrap();
    assert!(matches!(&billed[..], [Event::Billed { next_at: Some(next), .. }] if *next == at("2026-01-25T00:30:00Z")));
    billed.iter().for_each(|event| state.evolve(event));
    assert_eq!(state.unbilled().unwrap().lines.iter().map(|line| line.net).sum::<i64>(), 10_000);
    assert_eq!(state.invoices_of_period().collect::<Vec<_>>(), [invoice(1)]);
    let again = Command::Bill {
        event: 1,
        documents: vec![],
        invoice: None,
        usage: vec![],
        included_tax: None,
        now: at("2026-01-25T00:31:00Z"),
    };
    assert_eq!(state.decide(&again), Ok(vec![]));
}

#[test]
fn a_quote_has_its_tax_and_is_charged_with_it() {
    let (state, _) = after([start(), Command::End { why: EndReason::Canceled, now: at("2026-01-15T10:00:00Z") }]);
    let decision = tax::Decision {
        treatment: tax::Treatment::Domestic,
        category: tax::Category::Standard,
        rate: 19.into(),
        reason: None,
    };
    let to = Change::To(held(STARTER, 0, Interval::Month), None);
    let quote = state.quote(&to, at("2026-01-20T10:00:00Z"), Used::default()).unwrap().taxed(&decision).unwrap();
    assert_eq!((quote.net(), quote.total()), (4_900, 5_831));
    let Command::Change(mut ask) = change_with(held(STARTER, 0, Interval::Month), "2026-01-20T10:00:00Z", None, true)
    else {
        unreachable!()
    };
    ask.tax = Some(decision);
    let events = state.decide(&Command::Change(ask)).unwrap();
    assert!(
        matches!(&events[..], [Event::ChangeRequested { quote, .. }] if (quote.net, quote.total) == (4_900, 5_831))
    );
}
