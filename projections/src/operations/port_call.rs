//! Port calls.

use jiff::Timestamp;
use porttask_domain::{
    OrganizationId, TextEnum, UserId,
    operations::{
        port::Port,
        port_call::{Event, PortCallId, Schedule, Status},
        vessel::Vessel,
    },
};
use serde_json::{Value, json};

use crate::{
    Change, Index, ReadModel, Recorded,
    audit_text::{DescriptionSink, DisplayValue, change_if_different, coded_change_in_words},
    id_columns, normalized, row, text_columns,
};

id_columns!(PortCallId);
text_columns!(Status);

row! {
    /// A port call that was not deleted.
    pub struct PortCall {
        key {
            /// The organization.
            organization: OrganizationId,
            /// The id.
            port_call: PortCallId,
        }
        row {
            /// The UN/LOCODE of the port.
            port: String,
            /// The name of the port.
            port_name: String,
            /// The country of the port.
            port_country: String,
            /// The time zone of the port.
            time_zone: String,
            /// The name of the vessel.
            vessel: String,
            /// The name of the vessel as it is sorted.
            normalized_vessel: String,
            /// The IMO number of the vessel.
            imo: String,
            /// The number of the voyage.
            voyage: Option<String>,
            /// The customer's own reference.
            reference: Option<String>,
            /// The words by which it is found: vessel, IMO number, voyage, reference, port.
            words: String,
            /// The estimated time of arrival.
            eta: Timestamp,
            /// The estimated time of departure.
            etd: Timestamp,
            /// The user who is responsible.
            agent: UserId,
            /// The current status.
            status: Status,
            /// The statuses that it reached, as a JSON array of `{status, occurred_at, remark}`; the first one has no time.
            steps: String,
            /// When it was created.
            created_at: Timestamp,
            /// The version.
            version: u64,
        }
    }
}

/// Which vessels call at which ports, and when?
pub struct PortCalls;

impl ReadModel for PortCalls {
    const NAME: &'static str = "port_calls";
    const VERSION: u32 = 1;
    const INDEXES: &'static [Index] = &[
        Index { name: "by_eta", columns: &["organization", "eta", "port_call"] },
        Index { name: "by_age", columns: &["organization", "created_at", "port_call"] },
        Index { name: "by_vessel", columns: &["organization", "normalized_vessel", "port_call"] },
        Index { name: "by_agent", columns: &["organization", "agent", "eta", "port_call"] },
    ];
    const FULL_TEXT_COLUMNS: &'static [&'static str] = &["words"];
    type Source = Event;
    type Row = PortCall;

    fn project(row: Option<PortCall>, event: &Event, recorded: &Recorded) -> Change<PortCall> {
        if let Event::Created { port, vessel, voyage, reference, schedule, agent, usage_month: _ } = event {
            return Change::Put(created(port, vessel, (voyage, reference), *schedule, *agent, recorded).found());
        }
        let Some(row) = row else { return Change::Keep };
        let row = match event {
            Event::Created { .. } | Event::OrderAdded { .. } => row,
            Event::Deleted {} => return Change::Delete,
            Event::PortChanged { to, .. } => row.at(to),
            Event::VesselChanged { to, .. } => row.of(to),
            Event::VoyageChanged { to, .. } => PortCall { voyage: to.clone(), ..row },
            Event::ScheduleChanged { to: Schedule { eta, etd }, .. } => PortCall { eta: *eta, etd: *etd, ..row },
            Event::AgentChanged { to, .. } => PortCall { agent: *to, ..row },
            Event::StatusChanged { to, occurred_at, remark, .. } => {
                let mut steps = steps(&row.steps);
                steps.push(json!({"status": to, "occurred_at": occurred_at, "remark": remark}));
                PortCall { status: *to, steps: Value::from(steps).to_string(), ..row }
            }
            Event::StatusReverted { to, .. } | Event::Reopened { to, .. } => {
                let mut steps = steps(&row.steps);
                steps.pop();
                PortCall { status: *to, steps: Value::from(steps).to_string(), ..row }
            }
        };
        Change::Put(PortCall { version: recorded.version, ..row }.found())
    }
}

fn created(
    port: &Port,
    vessel: &Vessel,
    (voyage, reference): (&Option<String>, &Option<String>),
    Schedule { eta, etd }: Schedule,
    agent: UserId,
    recorded: &Recorded,
) -> PortCall {
    let first = json!([{"status": Status::Planned, "occurred_at": null, "remark": null}]);
    let row = PortCall {
        organization: recorded.organization,
        port_call: PortCallId(recorded.subject),
        port: String::new(),
        port_name: String::new(),
        port_country: String::new(),
        time_zone: String::new(),
        vessel: String::new(),
        normalized_vessel: String::new(),
        imo: String::new(),
        voyage: voyage.clone(),
        reference: reference.clone(),
        words: String::new(),
        eta,
        etd,
        agent,
        status: Status::Planned,
        steps: first.to_string(),
        created_at: recorded.time(),
        version: recorded.version,
    };
    row.at(port).of(vessel)
}

impl PortCall {
    fn at(self, port: &Port) -> Self {
        let Port { unlocode, name, country, time_zone } = port.clone();
        Self { port: unlocode, port_name: name, port_country: country, time_zone: time_zone.to_string(), ..self }
    }

    fn of(self, Vessel { name, imo }: &Vessel) -> Self {
        Self { vessel: name.clone(), normalized_vessel: normalized(name), imo: imo.clone(), ..self }
    }

    /// With the words by which it is found.
    fn found(self) -> Self {
        let Self { vessel, imo, port, port_name, port_country, .. } = &self;
        let own = [self.voyage.as_deref(), self.reference.as_deref()].into_iter().flatten();
        let all = [vessel, imo, port, port_name, port_country].into_iter().map(String::as_str).chain(own);
        Self { words: normalized(&all.collect::<Vec<_>>().join(" ")), ..self }
    }
}

fn steps(stored: &str) -> Vec<Value> {
    serde_json::from_str(stored).unwrap_or_default()
}

/// The name of a status in a sentence.
fn name_of(status: Status) -> &'static str {
    match status {
        Status::Planned => "Planned",
        Status::Confirmed => "Confirmed",
        Status::Arrived => "Arrived",
        Status::Alongside => "Alongside",
        Status::Departed => "Departed",
        Status::Closed => "Closed",
        Status::Canceled => "Canceled",
    }
}

/// What happened, for the audit log.
pub(crate) fn describe(event: &Event, sink: &mut dyn DescriptionSink) {
    match event {
        Event::Created { port, vessel, voyage, reference, schedule, agent, usage_month } => {
            sink.words("created the port call of ");
            sink.value(DisplayValue::Text(&vessel.name));
            sink.words(" at ");
            sink.value(DisplayValue::Text(&port.name));
            sink.change("port", None, Some(DisplayValue::Text(&port.unlocode)));
            sink.change("vessel", None, Some(DisplayValue::Text(&vessel.name)));
            sink.change("imo", None, Some(DisplayValue::Text(&vessel.imo)));
            change_if_different("voyage", None, voyage.as_deref().map(DisplayValue::Text), sink);
            change_if_different("reference", None, reference.as_deref().map(DisplayValue::Text), sink);
            sink.change("eta", None, Some(DisplayValue::Filtered(&schedule.eta)));
            sink.change("etd", None, Some(DisplayValue::Filtered(&schedule.etd)));
            sink.change("agent", None, Some(DisplayValue::Filtered(agent)));
            sink.change("usage_month", None, Some(DisplayValue::Filtered(usage_month)));
        }
        Event::PortChanged { from, to } => port_changed(from, to, sink),
        Event::VesselChanged { from, to } => {
            sink.words("changed the vessel of the port call to ");
            sink.value(DisplayValue::Text(&to.name));
            for (field, from, to) in [("vessel", &from.name, &to.name), ("imo", &from.imo, &to.imo)] {
                change_if_different(field, Some(DisplayValue::Text(from)), Some(DisplayValue::Text(to)), sink);
            }
        }
        Event::VoyageChanged { from, to } => {
            sink.words(match to {
                Some(_) => "changed the voyage of the port call",
                None => "removed the voyage of the port call",
            });
            let (from, to) = (from.as_deref().map(DisplayValue::Text), to.as_deref().map(DisplayValue::Text));
            sink.change("voyage", from, to);
        }
        Event::ScheduleChanged { from, to } => {
            sink.words("rescheduled the port call");
            for (field, from, to) in [("eta", &from.eta, &to.eta), ("etd", &from.etd, &to.etd)] {
                change_if_different(field, Some(DisplayValue::Filtered(from)), Some(DisplayValue::Filtered(to)), sink);
            }
        }
        Event::AgentChanged { from, to } => {
            sink.words("changed who is responsible for the port call");
            sink.change("agent", Some(DisplayValue::Filtered(from)), Some(DisplayValue::Filtered(to)));
        }
        Event::StatusChanged { from, to, occurred_at, remark } => {
            coded_change_in_words("changed the status of the port call", "status", (*from, *to), name_of, sink);
            sink.change("occurred_at", None, Some(DisplayValue::Filtered(occurred_at)));
            change_if_different("remark", None, remark.as_deref().map(DisplayValue::Text), sink);
        }
        Event::StatusReverted { from, to } => {
            coded_change_in_words("took back the status of the port call", "status", (*from, *to), name_of, sink);
        }
        Event::Reopened { from, to } => {
            sink.words("reopened the port call");
            status_changed(*from, *to, sink);
        }
        Event::OrderAdded { order } => {
            sink.words("added a service order to the port call");
            sink.change("service_order", None, Some(DisplayValue::Filtered(order)));
        }
        Event::Deleted {} => sink.words("deleted the port call"),
    }
}

fn port_changed(from: &Port, to: &Port, sink: &mut dyn DescriptionSink) {
    sink.words("moved the port call from ");
    sink.value(DisplayValue::Text(&from.name));
    sink.words(" to ");
    sink.value(DisplayValue::Text(&to.name));
    sink.change("port", Some(DisplayValue::Text(&from.unlocode)), Some(DisplayValue::Text(&to.unlocode)));
    let (from, to) = (&from.time_zone, &to.time_zone);
    change_if_different("time_zone", Some(DisplayValue::Filtered(from)), Some(DisplayValue::Filtered(to)), sink);
}

fn status_changed(from: Status, to: Status, sink: &mut dyn DescriptionSink) {
    sink.change("status", Some(DisplayValue::Text(from.as_str())), Some(DisplayValue::Text(to.as_str())));
}
