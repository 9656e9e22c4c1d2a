//! What meets the end of a trial or a period: payments, cancellations, what was scheduled.

use super::*;

fn cancel(on: Option<Date>, now: &str) -> Command {
    Command::Cancel { on, reason: None, now: at(now) }
}

#[test]
fn a_chosen_plan_without_a_way_to_pay_does_not_begin() {
    let chosen = change(held(STARTER, 0, Interval::Month), "2026-01-20T10:00:00Z");
    let over = at("2026-01-25T00:00:00Z");
    let (state, events) = after([start(), chosen, Command::Reach { due: over, can_pay: false, now: over }]);
    let Some(Event::BecameReadOnly { why: ReadOnlyReason::TrialOver, .. }) = events.last() else {
        panic!("{events:?}")
    };
    assert!(state.held().is_none() && state.chosen().is_none());
    // It begins once it is paid.
    let again = change(held(STARTER, 0, Interval::Month), "2026-01-27T10:00:00Z");
    assert!(matches!(&state.decide(&again).unwrap()[..], [Event::Activated { .. }]));
}

#[test]
fn a_payment_is_too_late_once_the_period_is_over() {
    let to = held(PROFESSIONAL, 0, Interval::Month);
    let ask = change_with(to, "2026-02-24T23:45:00Z", None, true);
    let (state, events) = after(active().into_iter().chain([ask, reach("2026-02-25T00:00:00Z")]));
    assert!(matches!(events.last(), Some(Event::ChangeAbandoned { why: AbandonReason::TooLate, .. })), "{events:?}");
    let renewed = state.decide(&reach("2026-02-25T00:00:00Z")).unwrap();
    assert!(matches!(&renewed[..], [Event::Renewed { .. }]), "{renewed:?}");
}

#[test]
fn a_change_that_the_balance_pays_waits_for_no_payment() {
    let Command::Change(ask) = change_with(held(PROFESSIONAL, 0, Interval::Month), "2026-02-10T10:00:00Z", None, true)
    else {
        panic!("a change")
    };
    let with = |balance| Command::Change(Box::new(ChangeTerms { balance, ..(*ask).clone() }));
    let (state, _) = after(active());
    assert!(matches!(&state.decide(&with(1)).unwrap()[..], [Event::ChangeRequested { .. }]));
    assert!(matches!(&state.decide(&with(1_000_000)).unwrap()[..], [Event::TermsChanged { .. }]));
}

#[test]
fn a_cancellation_survives_an_upgrade_with_its_date() {
    let (on, up) = (date(2026, 2, 20), change(held(PROFESSIONAL, 0, Interval::Month), "2026-02-10T10:00:00Z"));
    let (state, _) = after(active().into_iter().chain([cancel(Some(on), "2026-02-09T10:00:00Z"), up]));
    let ended = state.decide(&reach("2026-02-20T00:00:00Z")).unwrap();
    assert!(matches!(&ended[..], [Event::Ended { on, lines, .. }] if *on == date(2026, 2, 20) && !lines.is_empty()));
    // At the end of a period, it moves to the end of the new one.
    let yearly = change(held(STARTER, 0, Interval::Year), "2026-02-10T10:00:00Z");
    let (state, events) = after(active().into_iter().chain([cancel(None, "2026-02-09T10:00:00Z"), yearly]));
    let until = date(2027, 2, 10);
    let moved = |event: &Event| matches!(event, Event::CancellationScheduled { effective, .. } if *effective == until);
    assert!(events.last().is_some_and(moved), "{events:?}");
    let ended = state.decide(&reach("2027-02-10T00:00:00Z")).unwrap();
    assert!(matches!(&ended[..], [Event::Ended { on, .. }] if *on == until), "{ended:?}");
}

#[test]
fn what_was_canceled_does_not_begin_again_when_it_is_paid_late() {
    let unpaid = || {
        let read_only = Command::BecomeReadOnly { invoice: invoice(1), ends_at: at("2026-03-10T00:00:00Z") };
        [Command::BecomePastDue { invoice: invoice(1) }, read_only]
    };
    let paid = |now: &str| Command::Recover { invoice: invoice(1), now: at(now) };
    let canceled = cancel(None, "2026-02-01T10:00:00Z");
    let (state, _) = after(active().into_iter().chain([canceled]).chain(unpaid()));
    let late = state.decide(&paid("2026-03-02T10:00:00Z")).unwrap();
    assert!(matches!(&late[..], [Event::Recovered { .. }, Event::Ended { why: EndReason::Canceled, .. }]), "{late:?}");
    // A date inside the period is due again.
    let canceled = cancel(Some(date(2026, 2, 20)), "2026-02-01T10:00:00Z");
    let (state, _) = after(active().into_iter().chain([canceled]).chain(unpaid()));
    let within = state.decide(&paid("2026-02-15T10:00:00Z")).unwrap();
    assert!(matches!(&within[..], [Event::Recovered { .. }, Event::CancellationScheduled { .. }]), "{within:?}");
}

#[test]
fn what_was_scheduled_survives_an_unpaid_invoice() {
    let up = change(held(PROFESSIONAL, 0, Interval::Month), "2026-01-26T10:00:00Z");
    let down = change(held(STARTER, 0, Interval::Month), "2026-02-01T10:00:00Z");
    let read_only = Command::BecomeReadOnly { invoice: invoice(1), ends_at: at("2026-03-10T00:00:00Z") };
    let (mut state, _) = after(active().into_iter().chain([up, down, read_only]));
    let paid = Command::Recover { invoice: invoice(1), now: at("2026-03-02T10:00:00Z") };
    let events = state.decide(&paid).unwrap();
    events.iter().for_each(|event| state.evolve(event));
    assert_eq!(state.terms().map(|terms| terms.code.as_str()), Some("starter"), "{events:?}");
}

#[test]
fn the_invoice_of_a_paid_change_is_remembered() {
    let ask = change_with(held(PROFESSIONAL, 0, Interval::Month), "2026-02-10T10:00:00Z", None, true);
    let id = ChangeId(Uuid::from_u128(7));
    let finish = Command::FinishChange { change: id, now: at("2026-02-10T10:01:00Z") };
    let (mut state, _) = after(active().into_iter().chain([ask, finish]));
    while let Some(unbilled) = state.unbilled() {
        let (event, number) = (unbilled.event, unbilled.change.map_or(2, |_| 1));
        let (documents, usage, now) = (Vec::new(), Vec::new(), at("2026-02-10T10:02:00Z"));
        let bill = Command::Bill { event, documents, invoice: Some(invoice(number)), usage, included_tax: None, now };
        state.decide(&bill).unwrap().iter().for_each(|event| state.evolve(event));
    }
    let renewed = state.decide(&reach("2026-02-25T00:00:00Z")).unwrap();
    renewed.iter().for_each(|event| state.evolve(event));
    assert_eq!((state.invoice_of_change(id), state.invoices_of_period().count()), (Some(invoice(1)), 0));
}

#[test]
fn the_move_to_another_version_survives_an_upgrade() {
    let mut next = terms(STARTER);
    next.version = 2;
    let migrate = Command::Migrate { terms: next, now: at("2026-02-01T10:00:00Z") };
    let seats = change(held(STARTER, 2, Interval::Month), "2026-02-10T10:00:00Z");
    let (state, events) = after(active().into_iter().chain([migrate, seats]));
    let Some(Event::ChangeScheduled { to, cause: Cause::Migration, .. }) = events.last() else { panic!("{events:?}") };
    assert_eq!((to.terms.version, to.seats, state.scheduled().is_some()), (2, 2, true));
}
