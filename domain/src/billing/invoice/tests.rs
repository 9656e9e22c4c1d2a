use jiff::civil::date;
use rust_decimal::Decimal;

use super::*;
use crate::{
    billing::{
        billing_document::{Address, Buyer, Line, LineKind, LineTax, Name, RULES, Seller, TaxGroup, Totals},
        tax::{Category, Treatment},
    },
    testing::given,
};

fn id<T: From<uuid::Uuid>>(number: u128) -> T {
    uuid::Uuid::from_u128(number).into()
}

fn address(country: &str) -> Address {
    let street = vec![Name::Open("Am Sandtorkai 30".to_owned())];
    let (postcode, city) = ("20457".to_owned(), "Hamburg".to_owned());
    Address { street, postcode, city, region: None, country: country.to_owned() }
}

fn tax() -> LineTax {
    LineTax { category: Category::Standard, rate: 19.into(), reason: None }
}

fn document() -> Box<Issued> {
    let (from, until) = (date(2026, 11, 1), date(2026, 12, 1));
    let line = Line {
        id: 1,
        kind: LineKind::Base,
        plan: "Starter".to_owned(),
        version: 1,
        description: String::new(),
        from,
        until,
        days: 30,
        of_days: 30,
        quantity: 1,
        unit_price: 10_000.into(),
        gross: 10_000,
        discount: 0,
        net: 10_000,
        discounts: Vec::new(),
        tax: tax(),
        credits: None,
        sources: Vec::new(),
    };
    Box::new(Issued {
        number: "PT-2026-000001".to_owned(),
        issue_date: from,
        due_date: date(2026, 11, 15),
        currency: "EUR".parse().unwrap(),
        seller: Box::new(Seller {
            legal_name: "PortTask GmbH".to_owned(),
            address: address("DE"),
            vat_id: "DE136695976".to_owned(),
            registration_number: None,
            iban: None,
            bic: None,
            email: None,
            phone: None,
            logo: None,
            accent_colour: None,
        }),
        buyer: Box::new(Buyer {
            legal_name: Name::Open("Acme".to_owned()),
            address: address("DE"),
            is_business: true,
            vat_id: None,
            purchase_order: None,
            language: "en".to_owned(),
        }),
        treatment: Treatment::Domestic,
        prices_include_tax: false,
        lines: vec![line],
        groups: vec![TaxGroup { tax: tax(), taxable: 10_000, amount: 1_900 }],
        accounting_tax: None,
        totals: Totals { net: 10_000, tax: 1_900, total: 11_900 },
        rules: RULES,
    })
}

fn at(day: i8, hour: i8) -> Timestamp {
    date(2026, 11, day).at(hour, 0, 0, 0).in_tz("UTC").unwrap().timestamp()
}

fn dunning() -> Vec<Dunning> {
    let steps = [(Step::Charge, 2), (Step::Charge, 4), (Step::BecomeReadOnly, 16), (Step::EndUnpaid, 28)];
    steps.map(|(step, day)| Dunning { step, at: at(day, 9) }).to_vec()
}

fn issued() -> Event {
    let (kind, collection) = (InvoiceKind::Subscription, Collection::Automatic);
    Event::Issued { kind, collection, document: document(), dunning: dunning(), replaces: None }
}

fn paid(payment: u128, amount: i64, surplus: i64, due: i64) -> Event {
    Event::PaymentRecorded { payment: id(payment), amount, surplus, due, reference: None, paid_on: None }
}

fn credit(note: u128, net: i64, amount: i64, to: Target) -> Command {
    Command::Credit { credit_note: id(note), amount, lines: vec![CreditedLine { line: 1, net }], to }
}

#[test]
fn an_invoice_is_issued_once() {
    let (kind, collection) = (InvoiceKind::Subscription, Collection::Automatic);
    let issue = Command::Issue { kind, collection, document: document(), dunning: dunning(), replaces: None };
    given::<Invoice>([]).when(issue.clone()).then([issued()]);
    given::<Invoice>([issued()]).when(issue).then([]);
    given::<Invoice>([]).when(Command::DiscardDraft).then_rejected(Rejection::NotFound);
}

#[test]
fn a_payment_counts_once_and_what_is_above_due_goes_to_the_balance() {
    let pay = |payment, amount| Command::RecordPayment { payment: id(payment), amount };
    given::<Invoice>([issued()]).when(pay(1, 5_000)).then([paid(1, 5_000, 0, 6_900)]);
    given::<Invoice>([issued(), paid(1, 5_000, 0, 6_900)]).when(pay(1, 5_000)).then([]);
    given::<Invoice>([issued(), paid(1, 5_000, 0, 6_900)]).when(pay(2, 8_000)).then([paid(2, 8_000, 1_100, 0)]);
    given::<Invoice>([issued()]).when(pay(1, 0)).then_rejected(Rejection::Settlement(Refusal::AmountNotPositive));
}

#[test]
fn the_reference_of_a_transfer_is_used_once_unless_allowed() {
    let transfer = |payment, allow_duplicate, day| Command::MarkPaid {
        payment: id(payment),
        amount: 1_000,
        reference: "F-1".to_owned(),
        paid_on: date(2026, 11, day),
        allow_duplicate,
        today: date(2026, 11, 3),
    };
    let recorded = |payment, due| Event::PaymentRecorded {
        payment: id(payment),
        amount: 1_000,
        surplus: 0,
        due,
        reference: Some("F-1".to_owned()),
        paid_on: Some(date(2026, 11, 3)),
    };
    given::<Invoice>([issued()]).when(transfer(1, false, 3)).then([recorded(1, 10_900)]);
    let again = || given::<Invoice>([issued(), recorded(1, 10_900)]);
    again().when(transfer(2, false, 3)).then_rejected(Rejection::DuplicateReference);
    again().when(transfer(2, true, 3)).then([recorded(2, 9_900)]);
    given::<Invoice>([issued()])
        .when(transfer(1, false, 4))
        .then_rejected(Rejection::Date("a payment cannot be in the future"));
}

#[test]
fn no_more_than_what_is_left_of_a_line_is_credited() {
    let credited = |note, net, amount, due| Event::Credited {
        credit_note: id(note),
        amount,
        lines: vec![CreditedLine { line: 1, net }],
        to_balance: 0,
        to_refund: 0,
        due,
    };
    let first = || credited(1, 6_000, 7_140, 4_760);
    given::<Invoice>([issued()]).when(credit(1, 6_000, 7_140, Target::Balance)).then([first()]);
    let after = || given::<Invoice>([issued(), first()]);
    after().when(credit(1, 6_000, 7_140, Target::Balance)).then([]);
    after().when(credit(2, 5_000, 5_950, Target::Balance)).then_rejected(Rejection::LineCredited(1));
    after().when(credit(2, 4_000, 4_760, Target::Balance)).then([credited(2, 4_000, 4_760, 0)]);
    let other = Command::Credit {
        credit_note: id(3),
        amount: 1,
        lines: vec![CreditedLine { line: 9, net: 1 }],
        to: Target::Balance,
    };
    after().when(other).then_rejected(Rejection::NoLine(9));
}

#[test]
fn what_was_paid_and_is_credited_leaves_the_invoice() {
    let all = |to_balance, to_refund| Event::Credited {
        credit_note: id(1),
        amount: 11_900,
        lines: vec![CreditedLine { line: 1, net: 10_000 }],
        to_balance,
        to_refund,
        due: 0,
    };
    let settled = || given::<Invoice>([issued(), paid(1, 11_900, 0, 0)]);
    settled().when(credit(1, 10_000, 11_900, Target::Balance)).then([all(11_900, 0)]);
    settled().when(credit(1, 10_000, 11_900, Target::Refund)).then([all(0, 11_900)]);
}

#[test]
fn an_invoice_with_payments_or_later_documents_is_not_voided() {
    let void = || Command::Void { credit_note: id(7), reason: Reason::new("sent twice").unwrap() };
    let voided = || Event::Voided { credit_note: id(7), reason: "sent twice".to_owned(), to_balance: 0 };
    given::<Invoice>([issued()]).when(void()).then([voided()]);
    given::<Invoice>([issued(), voided()]).when(void()).then([]);
    given::<Invoice>([issued(), paid(1, 100, 0, 11_800)])
        .when(void())
        .then_rejected(Rejection::Settlement(Refusal::HasPayments));
    let built_on = Event::BuiltOn { invoice: id(2), lines: vec![CreditedLine { line: 1, net: 5_000 }] };
    given::<Invoice>([issued(), built_on]).when(void()).then_rejected(Rejection::BuiltOn);
}

#[test]
fn what_a_voided_change_had_credited_can_be_credited_again() {
    let lines = |net| vec![CreditedLine { line: 1, net }];
    let built_on = || Event::BuiltOn { invoice: id(2), lines: lines(5_000) };
    let give_back = |net| Command::ReturnCredit { invoice: id(2), credit_note: id(8), lines: lines(net) };
    let returned = |net| Event::CreditReturned { invoice: id(2), credit_note: id(8), lines: lines(net) };
    let build_on = |net| Command::BuildOn { invoice: id(3), lines: lines(net) };
    given::<Invoice>([issued(), built_on()]).when(build_on(6_000)).then_rejected(Rejection::LineCredited(1));
    given::<Invoice>([issued(), built_on()]).when(give_back(5_000)).then([returned(5_000)]);
    let later = Event::BuiltOn { invoice: id(3), lines: lines(6_000) };
    given::<Invoice>([issued(), built_on(), returned(5_000)]).when(build_on(6_000)).then([later]);
    // Once, and never more than was credited.
    given::<Invoice>([issued(), built_on(), returned(5_000)]).when(give_back(5_000)).then([]);
    given::<Invoice>([issued(), built_on()]).when(give_back(5_001)).then_rejected(Rejection::NotCredited(1));
    given::<Invoice>([issued()]).when(give_back(1)).then_rejected(Rejection::NoLine(1));
    // Nothing builds on it any more.
    let voided = |it: Vec<Event>| it.iter().any(|it| matches!(it, Event::Voided { .. }));
    let mut state = Invoice::default();
    for event in [issued(), built_on(), returned(5_000)] {
        state.evolve(&event);
    }
    let void = Command::Void { credit_note: id(9), reason: Reason::new("sent twice").unwrap() };
    assert!(state.decide(&void).is_ok_and(voided));
}

#[test]
fn collection_goes_step_by_step_and_ends_when_nothing_is_due() {
    let dun = |day, hour| Command::Dun { now: at(day, hour) };
    let dunned = |step, stage, rest: &[Dunning]| Event::Dunned { step, stage, rest: rest.to_vec() };
    let plan = dunning();
    let first = || dunned(Step::Charge, 1, &dunning()[1..]);
    given::<Invoice>([issued()]).when(dun(2, 8)).then([]);
    given::<Invoice>([issued()]).when(dun(2, 9)).then([first()]);
    given::<Invoice>([issued(), first()]).when(dun(2, 9)).then([]);
    given::<Invoice>([issued(), paid(1, 11_900, 0, 0)]).when(dun(2, 9)).then([]);
    // A week without a node: one charge, and nothing is taken away before it can have arrived.
    let rest = plan[2..].to_vec();
    given::<Invoice>([issued()]).when(dun(9, 9)).then([dunned(Step::Charge, 2, &rest)]);
    let later = Dunning { step: Step::BecomeReadOnly, at: at(18, 12) };
    given::<Invoice>([issued()]).when(dun(17, 12)).then([dunned(Step::Charge, 2, &[later, plan[3]])]);
}

#[test]
fn only_an_overdue_invoice_is_uncollectible() {
    let mark = |day| Command::MarkUncollectible { reason: "insolvent".to_owned(), today: date(2026, 11, day) };
    given::<Invoice>([issued()]).when(mark(15)).then_rejected(Rejection::Settlement(Refusal::NotOverdue));
    given::<Invoice>([issued()]).when(mark(16)).then([Event::MarkedUncollectible { reason: "insolvent".to_owned() }]);
}

#[test]
fn drafts_are_changed_and_discarded_until_they_are_issued() {
    let line = |price: i64| ManualLine {
        description: "Training on site".to_owned(),
        quantity: 2,
        unit_price: Decimal::new(price, 2),
        from: date(2026, 11, 1),
        until: date(2026, 11, 2),
    };
    let eur: Currency = "EUR".parse().unwrap();
    let drafted = || Event::Drafted { currency: eur, lines: vec![line(100)] };
    given::<Invoice>([]).when(Command::Draft { currency: eur, lines: vec![line(100)] }).then([drafted()]);
    given::<Invoice>([])
        .when(Command::Draft { currency: eur, lines: vec![line(-100)] })
        .then_rejected(Rejection::Line(1, "the price must not be negative"));
    given::<Invoice>([]).when(Command::Draft { currency: eur, lines: vec![] }).then_rejected(Rejection::LineCount);
    let change = Command::ChangeDraft { lines: vec![line(200)] };
    given::<Invoice>([drafted()])
        .when(change.clone())
        .then([Event::DraftChanged { from: vec![line(100)], to: vec![line(200)] }]);
    given::<Invoice>([drafted()]).when(Command::DiscardDraft).then([Event::DraftDiscarded {}]);
    given::<Invoice>([drafted(), Event::DraftDiscarded {}]).when(change).then_rejected(Rejection::NotDraft);
}
