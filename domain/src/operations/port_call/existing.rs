//! How an existing port call handles commands and events.

use jiff::Timestamp;

use super::{
    Command, Event, MAX_ORDERS, NewPortCall, Port, Rejection, Remark, Schedule, ServiceOrderId, Status, Vessel,
};
use crate::UserId;

/// A port call that was created.
#[derive(Debug, Clone)]
pub(super) struct Existing {
    pub(super) port: Port,
    pub(super) vessel: Vessel,
    pub(super) voyage: Option<String>,
    reference: Option<String>,
    pub(super) schedule: Schedule,
    pub(super) agent: UserId,
    pub(super) orders: Vec<ServiceOrderId>,
    /// The statuses that it reached before the current one.
    before: Vec<Step>,
    current: Step,
    /// The status that was taken back last, unless another one was reached since.
    reverted: Option<Status>,
    pub(super) is_deleted: bool,
}

/// A status that was reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The status.
    pub status: Status,
    /// When it was reached; `None` for the first one, which a port call has since it was created.
    pub occurred_at: Option<Timestamp>,
    /// The remark on it.
    pub remark: Option<String>,
}

/// Whether the vessel departs after it arrives.
pub(super) fn check(schedule: Schedule) -> Result<(), Rejection> {
    if schedule.eta < schedule.etd { Ok(()) } else { Err(Rejection::DepartsBeforeArrival) }
}

impl Existing {
    pub(super) fn new(
        port: Port,
        vessel: Vessel,
        voyage: Option<String>,
        reference: Option<String>,
        schedule: Schedule,
        agent: UserId,
    ) -> Self {
        let current = Step { status: Status::Planned, occurred_at: None, remark: None };
        let (orders, before, reverted, is_deleted) = (Vec::new(), Vec::new(), None, false);
        Self { port, vessel, voyage, reference, schedule, agent, orders, before, current, reverted, is_deleted }
    }

    pub(super) fn step(&self) -> &Step {
        &self.current
    }

    pub(super) fn decide(&self, command: &Command) -> Result<Vec<Event>, Rejection> {
        let status = self.current.status;
        if self.is_deleted && !matches!(command, Command::Create(_) | Command::Delete { .. }) {
            return Err(Rejection::NotFound);
        }
        match command {
            Command::Create(new) if self.is_same(new) => Ok(vec![]),
            Command::Create(_) => Err(Rejection::Exists),
            Command::Delete { .. } if self.is_deleted => Ok(vec![]),
            Command::Delete { in_any_status } => {
                let is_free = matches!(status, Status::Planned | Status::Canceled);
                if is_free || *in_any_status {
                    Ok(vec![Event::Deleted {}])
                } else {
                    Err(Rejection::NotDeletable(status))
                }
            }
            Command::ChangeStatus { to, occurred_at, remark, now } => {
                self.change_status(*to, *occurred_at, remark.as_ref(), *now)
            }
            Command::AddOrder { order } if self.orders.contains(order) => Ok(vec![]),
            Command::AddOrder { .. } if status.is_final() => Err(Rejection::Finished(status)),
            Command::AddOrder { .. } if self.orders.len() >= MAX_ORDERS => Err(Rejection::TooManyOrders),
            Command::AddOrder { order } => Ok(vec![Event::OrderAdded { order: *order }]),
            Command::RevertStatus { status } => self.revert(*status),
            Command::Reopen => Ok(match self.before.last() {
                Some(former) if status.is_final() => vec![Event::Reopened { from: status, to: former.status }],
                Some(_) | None => vec![],
            }),
            Command::ChangePort { .. }
            | Command::ChangeVessel { .. }
            | Command::ChangeVoyage { .. }
            | Command::Reschedule { .. }
            | Command::Assign { .. } => self.amend(command),
        }
    }

    /// Changes of what was planned. What is so already changes nothing, whatever the status is.
    fn amend(&self, command: &Command) -> Result<Vec<Event>, Rejection> {
        let status = self.current.status;
        let event = match command {
            Command::ChangePort { port } => {
                let (from, to) = (self.port.clone(), port.clone());
                (from != to).then_some(Event::PortChanged { from, to })
            }
            Command::ChangeVessel { name, imo } => {
                let (from, mut to) = (self.vessel.clone(), self.vessel.clone());
                name.iter().for_each(|name| name.as_str().clone_into(&mut to.name));
                imo.iter().for_each(|imo| imo.as_str().clone_into(&mut to.imo));
                (from != to).then_some(Event::VesselChanged { from, to })
            }
            Command::ChangeVoyage { voyage } => {
                let (from, to) = (self.voyage.clone(), voyage.as_ref().map(|voyage| voyage.as_str().to_owned()));
                (from != to).then_some(Event::VoyageChanged { from, to })
            }
            Command::Reschedule { eta, etd } => {
                let from = self.schedule;
                let to = Schedule { eta: eta.unwrap_or(from.eta), etd: etd.unwrap_or(from.etd) };
                check(to)?;
                (from != to).then_some(Event::ScheduleChanged { from, to })
            }
            Command::Assign { agent } => {
                let (from, to) = (self.agent, *agent);
                (from != to).then_some(Event::AgentChanged { from, to })
            }
            Command::Create(_)
            | Command::ChangeStatus { .. }
            | Command::RevertStatus { .. }
            | Command::Reopen
            | Command::AddOrder { .. }
            | Command::Delete { .. } => None,
        };
        match event {
            Some(_) if status.is_final() => Err(Rejection::Finished(status)),
            Some(Event::PortChanged { .. }) if status != Status::Planned => Err(Rejection::PortIsFixed(status)),
            event => Ok(event.into_iter().collect()),
        }
    }

    fn change_status(
        &self,
        to: Status,
        occurred_at: Option<Timestamp>,
        remark: Option<&Remark>,
        now: Timestamp,
    ) -> Result<Vec<Event>, Rejection> {
        let from = self.current.status;
        if to == from {
            let is_same = occurred_at.is_none() || occurred_at == self.current.occurred_at;
            return if is_same { Ok(vec![]) } else { Err(Rejection::HasStatus(from)) };
        }
        match from.next() {
            None => return Err(Rejection::Finished(from)),
            Some(next) if to != next && to != Status::Canceled => {
                return Err(Rejection::AnotherFollows { from, next });
            }
            Some(_) => {}
        }
        let occurred_at = occurred_at.unwrap_or(now);
        if occurred_at > now {
            return Err(Rejection::InTheFuture);
        }
        if self.current.occurred_at.is_some_and(|current| occurred_at < current) {
            return Err(Rejection::BeforeTheCurrent(from));
        }
        let remark = remark.map(|remark| remark.as_str().to_owned());
        Ok(vec![Event::StatusChanged { from, to, occurred_at, remark }])
    }

    fn revert(&self, status: Status) -> Result<Vec<Event>, Rejection> {
        let current = self.current.status;
        if current.is_final() {
            return Err(Rejection::Finished(current));
        }
        if current != status && self.reverted == Some(status) {
            return Ok(vec![]);
        }
        match self.before.last() {
            None => Err(Rejection::NothingToRevert),
            Some(former) if current == status => Ok(vec![Event::StatusReverted { from: current, to: former.status }]),
            Some(_) => Err(Rejection::NotTheCurrent(current)),
        }
    }

    /// Whether it is as it would be created.
    fn is_same(&self, new: &NewPortCall) -> bool {
        let NewPortCall { port, vessel, imo, voyage, reference, schedule, agent, usage_month: _ } = new;
        !self.is_deleted
            && (&self.port, self.schedule, self.agent) == (port, *schedule, *agent)
            && (self.vessel.name.as_str(), self.vessel.imo.as_str()) == (vessel.as_str(), imo.as_str())
            && self.voyage.as_deref() == voyage.as_ref().map(|voyage| voyage.as_str())
            && self.reference.as_deref() == reference.as_ref().map(|reference| reference.as_str())
    }

    pub(super) fn evolve(&mut self, event: &Event) {
        match event {
            Event::Created { .. } => {}
            Event::PortChanged { to, .. } => self.port.clone_from(to),
            Event::VesselChanged { to, .. } => self.vessel.clone_from(to),
            Event::VoyageChanged { to, .. } => self.voyage.clone_from(to),
            Event::ScheduleChanged { to, .. } => self.schedule = *to,
            Event::AgentChanged { to, .. } => self.agent = *to,
            Event::StatusChanged { to, occurred_at, remark, .. } => {
                let reached = Step { status: *to, occurred_at: Some(*occurred_at), remark: remark.clone() };
                self.before.push(std::mem::replace(&mut self.current, reached));
                self.reverted = None;
            }
            Event::StatusReverted { from, .. } => {
                self.step_back();
                self.reverted = Some(*from);
            }
            Event::Reopened { .. } => self.step_back(),
            Event::OrderAdded { order } => self.orders.push(*order),
            Event::Deleted {} => self.is_deleted = true,
        }
    }

    fn step_back(&mut self) {
        if let Some(former) = self.before.pop() {
            self.current = former;
        }
    }
}
