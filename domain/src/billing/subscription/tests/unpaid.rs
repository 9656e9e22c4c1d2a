//! What happens while invoices are not paid.

use super::*;

#[test]
fn an_unpaid_invoice_takes_away_and_a_payment_gives_back() {
    let active = || {
        after([
            start(),
            change(held(STARTER, 0, Interval::Month), "2026-01-12T10:00:00Z"),
            Command::Reach { due: at("2026-01-25T00:00:00Z"), can_pay: true, now: at("2026-01-25T00:00:00Z") },
            Command::BecomePastDue { invoice: invoice(1) },
        ])
    };
    let (state, _) = active();
    assert_eq!(state.status(), Some(Status::PastDue));
    let upgrade = change(held(PROFESSIONAL, 0, Interval::Month), "2026-02-01T10:00:00Z");
    assert_eq!(state.decide(&upgrade), Err(Rejection::PastDue));
    let recover = |now: &str| Command::Recover { invoice: invoice(1), now: at(now) };
    assert_eq!(state.decide(&recover("2026-02-01T10:00:00Z")), Ok(vec![Event::Recovered { renew_at: None }]));

    let read_only = Command::BecomeReadOnly { invoice: invoice(1), ends_at: at("2026-03-10T00:00:00Z") };
    let (mut state, _) = active();
    state.decide(&read_only).unwrap().iter().for_each(|event| state.evolve(event));
    assert!(state.is_read_only());
    let renewal = Command::Reach { due: at("2026-02-25T00:00:00Z"), can_pay: true, now: at("2026-02-25T00:00:00Z") };
    assert_eq!(state.decide(&renewal), Ok(vec![]), "nothing is renewed while it is not paid");
    let within = state.decide(&recover("2026-02-20T10:00:00Z")).unwrap();
    assert_eq!(within, [Event::Recovered { renew_at: Some(at("2026-02-25T00:00:00Z")) }]);
    let late = state.decide(&recover("2026-03-02T10:00:00Z")).unwrap();
    assert!(
        matches!(&late[..], [Event::Recovered { .. }, Event::Activated { anchor, .. }] if *anchor == date(2026, 3, 3))
    );
    late.iter().for_each(|event| state.evolve(event));
    assert_eq!(state.status(), Some(Status::Active));
}

#[test]
fn all_that_is_past_due_must_be_paid() {
    let past_due = |number| Command::BecomePastDue { invoice: invoice(number) };
    let paid = |number| Command::Recover { invoice: invoice(number), now: at("2026-02-20T10:00:00Z") };
    let (state, events) = after(active().into_iter().chain([past_due(1), past_due(2), past_due(2), paid(1)]));
    assert_eq!(events[events.len() - 1], Event::PastDueInvoicePaid { invoice: invoice(1) });
    assert_eq!(state.status(), Some(Status::PastDue));
    assert_eq!(state.decide(&paid(1)), Ok(vec![]), "a repetition");
    assert_eq!(state.decide(&paid(2)), Ok(vec![Event::Recovered { renew_at: None }]));
    let read_only = Command::BecomeReadOnly { invoice: invoice(2), ends_at: at("2026-03-10T00:00:00Z") };
    let (state, _) = after(active().into_iter().chain([past_due(1), read_only, past_due(3), paid(2), paid(1)]));
    assert!(state.is_read_only(), "an invoice that became past due while it was read-only");
    assert_eq!(state.decide(&paid(3)), Ok(vec![Event::Recovered { renew_at: Some(at("2026-02-25T00:00:00Z")) }]));
}
