//! Given/when/then tests of service orders.

use uuid::Uuid;

use super::*;
use crate::testing::given;

const CALL: PortCallId = PortCallId(Uuid::from_u128(31));
const TUGS: VendorId = VendorId(Uuid::from_u128(21));
const OTHERS: VendorId = VendorId(Uuid::from_u128(22));

fn second(number: i64) -> Timestamp {
    Timestamp::from_second(number).unwrap()
}

fn content(details: &str) -> Content {
    Content { service: Service::Towage, details: details.to_owned(), requested_at: second(1_000), price: None }
}

fn create(details: &str) -> Command {
    Command::Create(Box::new(NewServiceOrder {
        port_call: CALL,
        service: Service::Towage,
        details: Details::new(details).unwrap(),
        requested_at: second(1_000),
        price: None,
    }))
}

fn created() -> Event {
    Event::Created { port_call: CALL, content: content("two tugs") }
}

fn asked(vendor: VendorId, request: u64, from: i64) -> Event {
    Event::Assigned { vendor, from: None, request, expires_at: second(from) + ANSWERABLE }
}

fn accepted() -> Event {
    Event::Accepted { by: AnsweredBy::Vendor, from: Some(Status::Assigned), remark: None }
}

fn answer(answer: Answer, by: AnsweredBy) -> Command {
    Command::Answer { answer, by, remark: None }
}

fn amend(details: &str) -> Command {
    let details = Some(Details::new(details).unwrap());
    Command::Amend { service: None, details, requested_at: None, price: None, now: second(2_000) }
}

#[test]
fn a_service_order_is_created_once() {
    given::<ServiceOrder>([]).when(create("two tugs")).then([created()]);
    given::<ServiceOrder>([created()]).when(create("two tugs")).then([]);
    given::<ServiceOrder>([created()]).when(create("one tug")).then_rejected(Rejection::Exists);
}

#[test]
fn a_vendor_is_asked_and_can_answer_for_a_while() {
    let assign = |vendor, now| Command::Assign { vendor, now: second(now) };
    given::<ServiceOrder>([created()]).when(assign(TUGS, 5)).then([asked(TUGS, 1, 1_000)]);
    given::<ServiceOrder>([created()]).when(assign(TUGS, 5_000)).then([asked(TUGS, 1, 5_000)]);
    given::<ServiceOrder>([created(), asked(TUGS, 1, 1_000)]).when(assign(TUGS, 6)).then([]);
    given::<ServiceOrder>([created(), asked(TUGS, 1, 1_000)]).when(assign(OTHERS, 6)).then([Event::Assigned {
        vendor: OTHERS,
        from: Some(TUGS),
        request: 2,
        expires_at: second(1_000) + ANSWERABLE,
    }]);
    let again = |request| Command::AskAgain { request, now: second(9) };
    given::<ServiceOrder>([created(), asked(TUGS, 1, 1_000)]).when(again(2)).then([asked(TUGS, 2, 1_000)]);
    given::<ServiceOrder>([created(), asked(TUGS, 1, 1_000)]).when(again(1)).then([]);
    given::<ServiceOrder>([created()]).when(again(1)).then_rejected(Rejection::NotAssigned);
}

#[test]
fn a_vendor_accepts_or_declines_and_reports_completion() {
    let by = AnsweredBy::Vendor;
    let asked = || [created(), asked(TUGS, 1, 1_000)];
    given::<ServiceOrder>(asked()).when(answer(Answer::Accepted, by)).then([accepted()]);
    given::<ServiceOrder>(asked()).when(answer(Answer::Declined, by)).then([Event::Declined {
        by,
        from: Some(Status::Assigned),
        remark: None,
    }]);
    given::<ServiceOrder>(asked())
        .when(answer(Answer::Completed, by))
        .then_rejected(Rejection::NotNow(Status::Assigned));
    given::<ServiceOrder>([created()]).when(answer(Answer::Accepted, by)).then_rejected(Rejection::NotAssigned);
    let after = |events: &[Event]| [&asked()[..], events].concat();
    let completed = |from| Event::Completed { by, from: Some(from), remark: None };
    given::<ServiceOrder>(after(&[accepted()])).when(answer(Answer::Completed, by)).then([completed(Status::Accepted)]);
    given::<ServiceOrder>(after(&[accepted()])).when(Command::Start).then([Event::Started {}]);
    given::<ServiceOrder>(after(&[accepted(), Event::Started {}]))
        .when(answer(Answer::Completed, by))
        .then([completed(Status::InProgress)]);
    given::<ServiceOrder>(after(&[accepted()]))
        .when(answer(Answer::Declined, by))
        .then_rejected(Rejection::NotNow(Status::Accepted));
    let declined = Event::Declined { by: AnsweredBy::User, from: Some(Status::Accepted), remark: None };
    given::<ServiceOrder>(after(&[accepted()])).when(answer(Answer::Declined, AnsweredBy::User)).then([declined]);
    given::<ServiceOrder>(after(&[accepted(), completed(Status::Accepted)]))
        .when(answer(Answer::Declined, by))
        .then_rejected(Rejection::Finished(Status::Completed));
}

#[test]
fn an_amendment_asks_the_vendor_anew() {
    let amended = || Event::Amended { from: content("two tugs"), to: content("one tug") };
    given::<ServiceOrder>([created()]).when(amend("one tug")).then([amended()]);
    given::<ServiceOrder>([created()]).when(amend("two tugs")).then([]);
    let asked_once = || [created(), asked(TUGS, 1, 1_000)];
    given::<ServiceOrder>(asked_once()).when(amend("one tug")).then([amended(), asked(TUGS, 2, 2_000)]);
    let declined = Event::Declined { by: AnsweredBy::Vendor, from: Some(Status::Assigned), remark: None };
    given::<ServiceOrder>([&asked_once()[..], &[declined]].concat()).when(amend("one tug")).then([amended()]);
    let after = [&asked_once()[..], &[accepted()]].concat();
    given::<ServiceOrder>(after.clone()).when(amend("one tug")).then([amended(), asked(TUGS, 2, 2_000)]);
    given::<ServiceOrder>([after, vec![Event::Started {}]].concat())
        .when(amend("one tug"))
        .then([amended(), asked(TUGS, 2, 2_000)]);
}

#[test]
fn what_was_canceled_does_not_change_any_more() {
    let cancel = || Command::Cancel { remark: None, with_port_call: true };
    let canceled = || Event::Canceled { from: Some(Status::Draft), remark: None, with_port_call: true };
    given::<ServiceOrder>([created()]).when(cancel()).then([canceled()]);
    let after = || [created(), canceled()];
    given::<ServiceOrder>(after()).when(cancel()).then([]);
    given::<ServiceOrder>(after()).when(amend("one tug")).then_rejected(Rejection::Finished(Status::Canceled));
    given::<ServiceOrder>(after())
        .when(Command::Assign { vendor: TUGS, now: second(5) })
        .then_rejected(Rejection::Finished(Status::Canceled));
    let completed = Event::Completed { by: AnsweredBy::User, from: Some(Status::Accepted), remark: None };
    given::<ServiceOrder>([created(), asked(TUGS, 1, 1_000), accepted(), completed])
        .when(cancel())
        .then_rejected(Rejection::Finished(Status::Completed));
    given::<ServiceOrder>([]).when(cancel()).then_rejected(Rejection::NotFound);
}

#[test]
fn a_link_is_that_of_the_last_request_until_it_expires() {
    let state = |events: &[Event], number, now| ServiceOrder::after(events).link_state(number, second(now));
    let asked_once = [created(), asked(TUGS, 1, 1_000)];
    let end = (second(1_000) + ANSWERABLE).as_second();
    assert_eq!(state(&asked_once, 1, end - 1), LinkState::Valid);
    assert_eq!(state(&asked_once, 1, end), LinkState::Expired);
    let with = |events: &[Event]| [&asked_once[..], events].concat();
    assert_eq!(state(&with(&[accepted()]), 1, 5), LinkState::Valid, "to report completion");
    assert_eq!(state(&with(&[asked(TUGS, 2, 1_000)]), 1, 5), LinkState::Replaced);
    assert_eq!(
        state(&with(&[Event::Declined { by: AnsweredBy::Vendor, from: None, remark: None }]), 1, 5),
        LinkState::Used
    );
    assert_eq!(
        state(&with(&[Event::Canceled { from: None, remark: None, with_port_call: false }]), 1, 5),
        LinkState::Revoked
    );
    assert_eq!(state(&[created()], 1, 5), LinkState::Revoked);
}
