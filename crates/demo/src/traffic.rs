//! The port calls of a year.

use jiff::{SignedDuration, Timestamp};
use porttask_domain::operations::{
    port::{ListedPort, Port},
    port_call::{PortCallId, Schedule, Status},
    service_order::{Answer, ServiceOrderId},
    vendor::{Service, VendorId},
};

use crate::{
    names,
    plan::{By, DAY, Planner, What},
};

/// A port call.
pub(crate) struct Call {
    pub(crate) id: PortCallId,
    pub(crate) port: Port,
    pub(crate) vessel: String,
    pub(crate) imo: String,
    pub(crate) voyage: String,
    pub(crate) schedule: Schedule,
    /// Who is responsible.
    pub(crate) agent: usize,
    /// Whether it is not canceled.
    pub(crate) takes_place: bool,
}

/// What happens to it.
pub(crate) enum CallStep {
    Create,
    Reschedule(Schedule),
    Reach(Status),
    /// Its last status was a mistake.
    TakeBack(Status),
    Cancel(&'static str),
}

/// What happens to a service order.
pub(crate) enum OrderStep {
    /// It is created for the port call with this number.
    Create {
        call: usize,
        service: Service,
        requested_at: Timestamp,
        euros: i64,
    },
    Assign(VendorId),
    Answer(Answer),
    Start,
}

const REASONS: [&str; 4] =
    ["The berth is not available", "The charter was canceled", "Diverted to another port", "Bad weather"];
/// How many ports an organization works at.
const PORTS: usize = 5;

/// Plans port calls that are created in a range of time.
pub(crate) fn year(planner: &mut Planner, (from, until): (Timestamp, Timestamp), count: usize) -> Vec<Call> {
    let ports: Vec<Port> = (0..PORTS).filter_map(|_| port(planner)).collect();
    let mut calls = Vec::new();
    for _ in 0..if from < until && !ports.is_empty() { count } else { 0 } {
        let created_at = planner.random.instant(from, until);
        let able = planner.agents.iter().filter(|(_, from, until)| (*from..*until).contains(&created_at));
        let able: Vec<(usize, Timestamp)> = able.map(|(it, _, until)| (*it, *until)).collect();
        if able.is_empty() {
            continue;
        }
        let (agent, agent_until) = *planner.random.pick(&able);
        let (vessel, imo) = names::vessel(&mut planner.random);
        let eta = created_at + planner.random.hours(48..14 * 24);
        let schedule = Schedule { eta, etd: eta + planner.random.hours(12..72) };
        let voyage = format!(
            "{}{:03}{}",
            planner.random.pick(&["NX", "AE", "FE", "WA"]),
            planner.random.below(900) + 100,
            planner.random.pick(&["E", "W", "N", "S"])
        );
        let port = planner.random.pick(&ports).clone();
        let id = planner.random.id(created_at);
        let until = until.min(agent_until);
        let takes_place = course(planner, calls.len(), (created_at, until), schedule, agent);
        calls.push(Call { id, port, vessel, imo, voyage, schedule, agent, takes_place });
        if takes_place && planner.random.chance(0.4) {
            order(planner, calls.len() - 1, (created_at, until), schedule, agent);
        }
    }
    calls
}

/// A port of the list that has a time zone.
fn port(planner: &mut Planner) -> Option<Port> {
    let all = ListedPort::all();
    let ListedPort { unlocode, name, country, time_zone } = *planner.random.pick(all);
    let time_zone = time_zone?.parse().ok()?;
    Some(Port { unlocode: unlocode.to_owned(), name: name.to_owned(), country: country.to_owned(), time_zone })
}

/// What happens to a port call, until its agent leaves or the year ends; returns whether it is not canceled.
fn course(
    planner: &mut Planner,
    number: usize,
    (created_at, until): (Timestamp, Timestamp),
    Schedule { eta, etd }: Schedule,
    agent: usize,
) -> bool {
    let minutes = SignedDuration::from_mins;
    let mut steps = vec![(created_at, CallStep::Create)];
    let confirmed_at = created_at + planner.random.hours(2..40);
    steps.push((confirmed_at, CallStep::Reach(Status::Confirmed)));
    if planner.random.chance(0.15) {
        let delay = planner.random.hours(3..30);
        let schedule = Schedule { eta: eta + delay, etd: etd + delay };
        steps.push((confirmed_at + minutes(31), CallStep::Reschedule(schedule)));
    }
    let takes_place = !planner.random.chance(0.05);
    if !takes_place {
        steps
            .push((confirmed_at + planner.random.hours(1..8), CallStep::Cancel(planner.random.pick::<&str>(&REASONS))));
    } else {
        let arrived_at = eta + planner.random.hours(0..12);
        steps.push((arrived_at, CallStep::Reach(Status::Arrived)));
        let alongside_at = arrived_at + planner.random.hours(1..6);
        if planner.random.chance(0.02) {
            steps.push((alongside_at - minutes(20), CallStep::Reach(Status::Alongside)));
            steps.push((alongside_at - minutes(15), CallStep::TakeBack(Status::Alongside)));
        }
        steps.push((alongside_at, CallStep::Reach(Status::Alongside)));
        let departed_at = (etd + planner.random.hours(0..10)).max(alongside_at + DAY / 2);
        steps.push((departed_at, CallStep::Reach(Status::Departed)));
        steps.push((departed_at + planner.random.hours(6..96), CallStep::Reach(Status::Closed)));
    }
    for (at, step) in steps.into_iter().filter(|(at, _)| *at < until) {
        planner.add(at, By::Person(agent), What::Call(number, step));
    }
    takes_place
}

/// An order for a port call: a vendor is asked, answers, and mostly provides the service.
fn order(
    planner: &mut Planner,
    call: usize,
    (created_at, until): (Timestamp, Timestamp),
    Schedule { eta, etd }: Schedule,
    agent: usize,
) {
    let able: Vec<(VendorId, Service)> = planner
        .vendors
        .iter()
        .filter(|(.., since)| *since < created_at)
        .map(|(id, service, _)| (*id, *service))
        .collect();
    if able.is_empty() {
        return;
    }
    let (vendor, service) = *planner.random.pick(&able);
    let id: ServiceOrderId = planner.random.id(created_at);
    let minutes = SignedDuration::from_mins;
    let ordered_at = created_at + minutes(20);
    let answered_at = ordered_at + planner.random.hours(1..20);
    let create = OrderStep::Create { call, service, requested_at: eta, euros: planner.random.within(4..90) * 50 };
    let asked = OrderStep::Assign(vendor);
    let mut steps = vec![(ordered_at, By::Person(agent), create), (ordered_at + minutes(1), By::Person(agent), asked)];
    if planner.random.chance(0.08) {
        steps.push((answered_at, By::Anonymous, OrderStep::Answer(Answer::Declined)));
    } else {
        steps.push((answered_at, By::Anonymous, OrderStep::Answer(Answer::Accepted)));
        steps.push((eta + planner.random.hours(13..15), By::Person(agent), OrderStep::Start));
        steps.push((etd.max(eta + minutes(16 * 60)), By::Anonymous, OrderStep::Answer(Answer::Completed)));
    }
    for (at, by, step) in steps.into_iter().filter(|(at, ..)| *at < until) {
        planner.add(at, by, What::Order(id, step));
    }
}
