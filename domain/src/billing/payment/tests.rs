use super::*;
use crate::testing::given;

fn change() -> Target {
    Target::Change(ChangeId(Uuid::from_u128(7)))
}

fn start() -> Start {
    Start {
        target: change(),
        amount: 4_900,
        currency: "EUR".parse().unwrap(),
        method: PaymentMethodId(Uuid::from_u128(1)),
        provider: "simulator".to_owned(),
        attempt: 1,
        now: Timestamp::UNIX_EPOCH,
    }
}

fn started() -> Event {
    Event::started(&start())
}

fn succeed() -> Command {
    Command::Succeed { provider_ref: "pi_1".to_owned(), at: Timestamp::UNIX_EPOCH }
}

fn succeeded() -> Event {
    Event::Succeeded { provider_ref: "pi_1".to_owned(), at: Timestamp::UNIX_EPOCH }
}

fn fail() -> Command {
    Command::Fail { code: "declined".to_owned(), is_final: false }
}

fn failed() -> Event {
    Event::Failed { code: "declined".to_owned(), is_final: false }
}

fn refund(number: u32) -> RefundId {
    RefundId::of(PaymentId::of(change(), 1), number)
}

fn start_refund(number: u32, amount: i64) -> Command {
    Command::StartRefund { refund: refund(number), amount, credit_note: None }
}

fn refund_started(number: u32, amount: i64) -> Event {
    Event::RefundStarted { refund: refund(number), amount, currency: start().currency, credit_note: None }
}

#[test]
fn an_attempt_is_always_the_same_payment() {
    assert_eq!(PaymentId::of(change(), 1), PaymentId::of(change(), 1));
    assert_ne!(PaymentId::of(change(), 1), PaymentId::of(change(), 2));
    given::<Payment>([]).when(Command::Start(start())).then([started()]);
    given::<Payment>([started(), succeeded()]).when(Command::Start(start())).then([]);
    given::<Payment>([started()])
        .when(Command::Start(Start { amount: 5_000, ..start() }))
        .then_rejected(Rejection::Exists);
    given::<Payment>([]).when(Command::Start(Start { amount: 0, ..start() })).then_rejected(Rejection::NotPositive);
}

#[test]
fn a_success_wins_and_is_recorded_once() {
    for before in [vec![], vec![Event::ActionRequired {}], vec![Event::OutcomeUnknown {}], vec![failed()]] {
        let events: Vec<Event> = [started()].into_iter().chain(before).collect();
        given::<Payment>(events).when(succeed()).then([succeeded()]);
    }
    given::<Payment>([started(), succeeded()]).when(succeed()).then([]);
    for late in [fail(), Command::RequireAction, Command::LoseOutcome] {
        given::<Payment>([started(), succeeded()]).when(late.clone()).then([]);
        given::<Payment>([started(), failed()]).when(late).then([]);
    }
    given::<Payment>([]).when(succeed()).then_rejected(Rejection::NotFound);
}

#[test]
fn the_target_is_held_while_the_payment_is_in_flight() {
    let is_claim = |it: &Constraint| matches!(it, Constraint::Claim { .. });
    assert!(Payment::default().constraints(&started()).iter().all(is_claim));
    let in_flight = Payment::after(&[started()]);
    for end in [succeeded(), failed()] {
        assert!(matches!(in_flight.constraints(&end)[..], [Constraint::Release { .. }]));
    }
    assert_eq!(in_flight.constraints(&Event::OutcomeUnknown {}), []);
    assert_eq!(Payment::after(&[started(), failed()]).constraints(&succeeded()), [], "it was released before");
}

#[test]
fn no_more_is_paid_back_than_was_paid() {
    given::<Payment>([started()]).when(start_refund(1, 1)).then_rejected(Rejection::NotPaid);
    let paid = [started(), succeeded(), refund_started(1, 4_000)];
    given::<Payment>(paid.clone()).when(start_refund(1, 4_000)).then([]);
    given::<Payment>(paid.clone()).when(start_refund(2, 901)).then_rejected(Rejection::TooMuch(900));
    given::<Payment>(paid.clone()).when(start_refund(2, 900)).then([refund_started(2, 900)]);
    let lost = Event::RefundFailed { refund: refund(1), code: "no_account".to_owned() };
    given::<Payment>(paid.into_iter().chain([lost])).when(start_refund(2, 4_900)).then([refund_started(2, 4_900)]);
}

#[test]
fn a_refund_is_finished_once() {
    let refunded = Event::Refunded { refund: refund(1), provider_ref: "re_1".to_owned() };
    let finish = Command::FinishRefund { refund: refund(1), provider_ref: "re_1".to_owned() };
    let open = [started(), succeeded(), refund_started(1, 4_900)];
    assert_eq!(Payment::after(&open).open_refunds(), [(refund(1), 4_900)]);
    given::<Payment>(open.clone()).when(finish.clone()).then([refunded.clone()]);
    let done: Vec<Event> = open.into_iter().chain([refunded]).collect();
    assert_eq!(Payment::after(&done).status(), Some(Status::Refunded));
    given::<Payment>(done).when(finish.clone()).then([]);
    given::<Payment>([started(), succeeded()]).when(finish).then_rejected(Rejection::NoRefund);
}

#[test]
fn a_chargeback_takes_what_is_left() {
    let reverse = |amount| Command::Reverse { amount, reason: "fraud".to_owned() };
    let reversed = |amount| Event::Reversed { amount, currency: start().currency, reason: "fraud".to_owned() };
    given::<Payment>([started()]).when(reverse(None)).then_rejected(Rejection::NotPaid);
    let paid = [started(), succeeded(), refund_started(1, 900)];
    given::<Payment>(paid.clone()).when(reverse(None)).then([reversed(4_000)]);
    given::<Payment>(paid.clone()).when(reverse(Some(4_001))).then_rejected(Rejection::TooMuch(4_000));
    given::<Payment>(paid.clone()).when(reverse(Some(0))).then_rejected(Rejection::NotPositive);
    let all: Vec<Event> = paid.into_iter().chain([reversed(4_000)]).collect();
    assert_eq!(Payment::after(&all).status(), Some(Status::Reversed));
    given::<Payment>(all).when(reverse(None)).then([]);
}

#[test]
fn money_that_came_otherwise_is_recorded_once() {
    let record = Command::RecordManually {
        target: Target::Invoice(Uuid::from_u128(9)),
        amount: 100,
        currency: "EUR".parse().unwrap(),
        reference: "RF18".to_owned(),
        paid_on: jiff::civil::date(2026, 12, 1),
    };
    let recorded = Payment::default().decide(&record).unwrap();
    assert_eq!(Payment::after(&recorded).status(), Some(Status::Succeeded));
    assert_eq!(Payment::default().constraints(&recorded[0]), []);
    given::<Payment>(recorded).when(record).then([]);
}
