//! Given/when/then tests of port calls.

use jiff::SignedDuration;
use uuid::Uuid;

use super::*;
use crate::{
    operations::port::{GivenPort, Unlocode},
    testing::given,
};

const ANA: UserId = UserId(Uuid::from_u128(11));
const BOB: UserId = UserId(Uuid::from_u128(12));

fn port(code: &str) -> Port {
    let unlocode = Unlocode::new(code).unwrap();
    GivenPort { unlocode, name: None, country: None, time_zone: None }.resolve().unwrap()
}

/// An hour of a day in December.
fn hour(hour: i64) -> Timestamp {
    "2026-12-02T00:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_hours(hour)
}

fn schedule(eta: i64, etd: i64) -> Schedule {
    Schedule { eta: hour(eta), etd: hour(etd) }
}

fn new() -> NewPortCall {
    NewPortCall {
        port: port("BRSSZ"),
        vessel: VesselName::new("MSC Anna").unwrap(),
        imo: ImoNumber::new("9074729").unwrap(),
        voyage: Some(VoyageNumber::new("NX648R").unwrap()),
        reference: None,
        schedule: schedule(8, 30),
        agent: ANA,
        usage_month: "2026-11".to_owned(),
    }
}

fn create(new: NewPortCall) -> Command {
    Command::Create(Box::new(new))
}

fn vessel(name: &str) -> Vessel {
    Vessel { name: name.to_owned(), imo: "9074729".to_owned() }
}

fn created() -> Event {
    Event::Created {
        port: port("BRSSZ"),
        vessel: vessel("MSC Anna"),
        voyage: Some("NX648R".to_owned()),
        reference: None,
        schedule: schedule(8, 30),
        agent: ANA,
        usage_month: "2026-11".to_owned(),
    }
}

/// The statuses that were reached one after the other, each an hour after the one before.
fn reached(statuses: &[Status]) -> Vec<Event> {
    let mut from = Status::Planned;
    let mut events = vec![created()];
    for (place, to) in statuses.iter().enumerate() {
        events.push(Event::StatusChanged { from, to: *to, occurred_at: hour(place as i64), remark: None });
        from = *to;
    }
    events
}

fn change_at(to: Status, at: Timestamp) -> Command {
    Command::ChangeStatus { to, occurred_at: Some(at), remark: None, now: hour(100) }
}

#[test]
fn a_port_call_is_created_once_and_counted_in_its_month() {
    given::<PortCall>([]).when(create(new())).then([created()]);
    given::<PortCall>([created()]).when(create(new())).then([]);
    given::<PortCall>([created()]).when(create(NewPortCall { usage_month: "2026-12".to_owned(), ..new() })).then([]);
    given::<PortCall>([created()]).when(create(NewPortCall { agent: BOB, ..new() })).then_rejected(Rejection::Exists);
    let counted = PortCall::default().constraints(&created());
    let [Constraint::Count { name, by: 1, maximum: None, .. }] = &counted[..] else { panic!("{counted:?}") };
    assert_eq!(name, "port_calls 2026-11");
    assert_eq!(PortCall::default().constraints(&Event::Deleted {}), []);
}

#[test]
fn a_vessel_departs_after_it_arrives() {
    for wrong in [schedule(8, 8), schedule(8, 7)] {
        given::<PortCall>([])
            .when(create(NewPortCall { schedule: wrong, ..new() }))
            .then_rejected(Rejection::DepartsBeforeArrival);
    }
    given::<PortCall>([created()])
        .when(Command::Reschedule { eta: Some(hour(31)), etd: None })
        .then_rejected(Rejection::DepartsBeforeArrival);
    given::<PortCall>([created()])
        .when(Command::Reschedule { eta: Some(hour(31)), etd: Some(hour(40)) })
        .then([Event::ScheduleChanged { from: schedule(8, 30), to: schedule(31, 40) }]);
}

#[test]
fn statuses_follow_each_other() {
    let all = [Status::Confirmed, Status::Arrived, Status::Alongside, Status::Departed, Status::Closed];
    let mut from = Status::Planned;
    for (place, to) in all.into_iter().enumerate() {
        let events = reached(&all[..place]);
        given::<PortCall>(events.clone()).when(change_at(to, hour(50))).then([Event::StatusChanged {
            from,
            to,
            occurred_at: hour(50),
            remark: None,
        }]);
        given::<PortCall>(events.clone()).when(change_at(Status::Canceled, hour(50))).then([Event::StatusChanged {
            from,
            to: Status::Canceled,
            occurred_at: hour(50),
            remark: None,
        }]);
        if let Some(skipped) = to.next() {
            let rejection = Rejection::AnotherFollows { from, next: to };
            given::<PortCall>(events).when(change_at(skipped, hour(50))).then_rejected(rejection);
        }
        from = to;
    }
    for last in [Status::Closed, Status::Canceled] {
        let events = || if last == Status::Closed { reached(&all) } else { reached(&[last]) };
        given::<PortCall>(events())
            .when(change_at(Status::Confirmed, hour(50)))
            .then_rejected(Rejection::Finished(last));
        given::<PortCall>(events()).when(Command::Assign { agent: BOB }).then_rejected(Rejection::Finished(last));
        given::<PortCall>(events()).when(Command::Assign { agent: ANA }).then([]);
    }
}

#[test]
fn a_status_is_reached_neither_in_the_future_nor_before_the_former_one() {
    let confirmed = || reached(&[Status::Confirmed]);
    let change = |at| Command::ChangeStatus { to: Status::Arrived, occurred_at: at, remark: None, now: hour(9) };
    given::<PortCall>(confirmed()).when(change(Some(hour(10)))).then_rejected(Rejection::InTheFuture);
    given::<PortCall>(confirmed())
        .when(change(Some(hour(-1))))
        .then_rejected(Rejection::BeforeTheCurrent(Status::Confirmed));
    let arrived = Event::StatusChanged {
        from: Status::Confirmed,
        to: Status::Arrived,
        occurred_at: hour(9),
        remark: Some("at anchor".to_owned()),
    };
    let remark = Some(Remark::new("at anchor").unwrap());
    given::<PortCall>(confirmed())
        .when(Command::ChangeStatus { to: Status::Arrived, occurred_at: None, remark, now: hour(9) })
        .then([arrived]);
    given::<PortCall>(confirmed())
        .when(change_at(Status::Confirmed, hour(1)))
        .then_rejected(Rejection::HasStatus(Status::Confirmed));
}

#[test]
fn a_status_is_taken_back_one_step_at_a_time() {
    let alongside = || reached(&[Status::Confirmed, Status::Arrived, Status::Alongside]);
    let revert = |status| Command::RevertStatus { status };
    let reverted = || Event::StatusReverted { from: Status::Alongside, to: Status::Arrived };
    given::<PortCall>(alongside()).when(revert(Status::Alongside)).then([reverted()]);
    given::<PortCall>(alongside())
        .when(revert(Status::Arrived))
        .then_rejected(Rejection::NotTheCurrent(Status::Alongside));
    let mut events = alongside();
    events.push(reverted());
    given::<PortCall>(events.clone())
        .when(revert(Status::Arrived))
        .then([Event::StatusReverted { from: Status::Arrived, to: Status::Confirmed }]);
    // After the time of the status before.
    given::<PortCall>(events).when(change_at(Status::Alongside, hour(1))).then([Event::StatusChanged {
        from: Status::Arrived,
        to: Status::Alongside,
        occurred_at: hour(1),
        remark: None,
    }]);
    given::<PortCall>([created()]).when(revert(Status::Planned)).then_rejected(Rejection::NothingToRevert);
    given::<PortCall>(reached(&[Status::Canceled]))
        .when(revert(Status::Canceled))
        .then_rejected(Rejection::Finished(Status::Canceled));
}

#[test]
fn a_port_call_that_is_reopened_has_its_former_status() {
    let canceled = || reached(&[Status::Confirmed, Status::Canceled]);
    let reopened = Event::Reopened { from: Status::Canceled, to: Status::Confirmed };
    given::<PortCall>(canceled()).when(Command::Reopen).then([reopened.clone()]);
    given::<PortCall>([created()]).when(Command::Reopen).then([]);
    let mut events = canceled();
    events.push(reopened);
    given::<PortCall>(events).when(change_at(Status::Arrived, hour(3))).then([Event::StatusChanged {
        from: Status::Confirmed,
        to: Status::Arrived,
        occurred_at: hour(3),
        remark: None,
    }]);
}

#[test]
fn changes_say_from_what_to_what_and_the_port_is_fixed_once_it_is_confirmed() {
    given::<PortCall>([created()])
        .when(Command::ChangeVessel { name: Some(VesselName::new("MSC Anita").unwrap()), imo: None })
        .then([Event::VesselChanged { from: vessel("MSC Anna"), to: vessel("MSC Anita") }]);
    given::<PortCall>([created()])
        .when(Command::ChangeVoyage { voyage: None })
        .then([Event::VoyageChanged { from: Some("NX648R".to_owned()), to: None }]);
    given::<PortCall>([created()])
        .when(Command::Assign { agent: BOB })
        .then([Event::AgentChanged { from: ANA, to: BOB }]);
    let change = || Command::ChangePort { port: port("PTLIS") };
    given::<PortCall>([created()]).when(change()).then([Event::PortChanged { from: port("BRSSZ"), to: port("PTLIS") }]);
    given::<PortCall>(reached(&[Status::Confirmed]))
        .when(change())
        .then_rejected(Rejection::PortIsFixed(Status::Confirmed));
    given::<PortCall>(reached(&[Status::Confirmed])).when(Command::ChangePort { port: port("BRSSZ") }).then([]);
}

#[test]
fn what_was_deleted_does_not_exist_any_more() {
    let delete = |in_any_status| Command::Delete { in_any_status };
    given::<PortCall>([created()]).when(delete(false)).then([Event::Deleted {}]);
    given::<PortCall>(reached(&[Status::Canceled])).when(delete(false)).then([Event::Deleted {}]);
    let confirmed = || reached(&[Status::Confirmed]);
    given::<PortCall>(confirmed()).when(delete(false)).then_rejected(Rejection::NotDeletable(Status::Confirmed));
    given::<PortCall>(confirmed()).when(delete(true)).then([Event::Deleted {}]);
    let deleted = || [created(), Event::Deleted {}];
    given::<PortCall>(deleted()).when(Command::Reopen).then_rejected(Rejection::NotFound);
    given::<PortCall>(deleted()).when(create(new())).then_rejected(Rejection::Exists);
    given::<PortCall>([]).when(Command::Reopen).then_rejected(Rejection::NotFound);
    assert_eq!(PortCall::after(&deleted()).status(), None);
}

#[test]
fn services_are_ordered_for_open_port_calls() {
    let order = |number| ServiceOrderId(Uuid::from_u128(number));
    let add = |number| Command::AddOrder { order: order(number) };
    let added = |number| Event::OrderAdded { order: order(number) };
    given::<PortCall>([created()]).when(add(1)).then([added(1)]);
    given::<PortCall>(reached(&[Status::Canceled])).when(add(1)).then_rejected(Rejection::Finished(Status::Canceled));
    let many = std::iter::once(created()).chain((0..MAX_ORDERS as u128).map(added));
    given::<PortCall>(many).when(add(1_000)).then_rejected(Rejection::TooManyOrders);
    assert_eq!(PortCall::after(&[created(), added(1), added(2)]).orders(), [order(1), order(2)]);
}

#[test]
fn every_status_has_a_phase_and_every_phase_a_status() {
    let grouped: Vec<Status> = [Phase::Expected, Phase::InPort, Phase::Departed, Phase::Finished]
        .into_iter()
        .flat_map(Phase::statuses)
        .collect();
    assert_eq!(grouped, <Status as crate::TextEnum>::ALL);
}
