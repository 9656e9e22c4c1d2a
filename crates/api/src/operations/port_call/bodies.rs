//! Port calls in requests and responses.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use jiff::{Timestamp, tz::TimeZone};
use porttask_domain::{
    UserId,
    identity::settings::ZoneName,
    operations::{
        Remark,
        port::{GivenPort, PlaceName, Port, PortFault, PortTime, Unlocode},
        port_call::{Command, NewPortCall, Phase, PortCallId, Reference, Schedule, Status},
        service_order::ServiceOrderId,
        vessel::{ImoNumber, VesselName, VoyageNumber},
    },
};
use porttask_projections::operations::port_call as view;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::http::{
    listing::Page,
    problem::{FieldError, Problem},
    request::{Instant, ListFormat, not_null, nullable},
    response::CommandResult,
};

/// A port call.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PortCall)]
pub(crate) struct PortCallResponse {
    pub(super) id: PortCallId,
    pub(super) port: PortResponse,
    /// The name of the vessel.
    pub(super) vessel: String,
    /// The IMO number of the vessel.
    pub(super) imo: String,
    /// The number of the voyage; null if it has none.
    pub(super) voyage: Option<String>,
    /// Your own reference; null if it has none.
    pub(super) reference: Option<String>,
    /// The estimated time of arrival.
    pub(super) eta: Timestamp,
    /// The estimated time of departure.
    pub(super) etd: Timestamp,
    /// The user who is responsible.
    pub(super) agent: UserId,
    /// The name of that user; null once it was erased.
    pub(super) agent_name: Option<String>,
    pub(super) status: Status,
    /// The statuses that it reached, in their order; what was taken back is in the audit log.
    pub(super) statuses: Vec<ReachedStatus>,
    pub(super) created_at: Timestamp,
    /// The version: the ETag.
    pub(super) version: u64,
}

/// The port of a port call.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Port)]
pub(crate) struct PortResponse {
    /// The UN/LOCODE.
    #[schema(example = "BRSSZ")]
    pub(super) unlocode: String,
    pub(super) name: String,
    /// The name of the country.
    pub(super) country: String,
    /// The time zone, as it is named in the IANA database.
    #[schema(example = "America/Sao_Paulo")]
    pub(super) time_zone: String,
}

/// A status that a port call reached.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct ReachedStatus {
    status: Status,
    /// When it was reached; null for `planned`, which a port call is since it was created.
    occurred_at: Option<Timestamp>,
    remark: Option<String>,
}

impl From<view::PortCall> for PortCallResponse {
    fn from(row: view::PortCall) -> Self {
        let view::PortCall { port, port_name, port_country, time_zone, .. } = row;
        Self {
            id: row.port_call,
            port: PortResponse { unlocode: port, name: port_name, country: port_country, time_zone },
            vessel: row.vessel,
            imo: row.imo,
            voyage: row.voyage,
            reference: row.reference,
            eta: row.eta,
            etd: row.etd,
            agent: row.agent,
            agent_name: None,
            status: row.status,
            statuses: serde_json::from_str(&row.steps).unwrap_or_default(),
            created_at: row.created_at,
            version: row.version,
        }
    }
}

/// A page of port calls.
pub(super) type PortCallPage = Page<PortCallResponse>;

/// Filters of port calls.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct PortCallFilter {
    /// Only port calls with this status.
    pub(super) status: Option<Status>,
    /// Only port calls with a status of this phase.
    pub(super) phase: Option<Phase>,
    /// Only port calls at the port with this UN/LOCODE.
    #[param(value_type = Option<String>)]
    pub(super) port: Option<Unlocode>,
    /// Only port calls for which this user is responsible.
    pub(super) agent: Option<UserId>,
    /// Only vessels that are expected at or after this instant.
    #[param(value_type = Option<Timestamp>)]
    pub(super) eta_from: Option<Instant>,
    /// Only vessels that are expected before this instant.
    #[param(value_type = Option<Timestamp>)]
    pub(super) eta_until: Option<Instant>,
    /// `json` (default) is in pages; `csv` contains all rows, without `limit`, `cursor` and `count`. That they were exported
    /// is recorded in the audit log.
    #[serde(default)]
    pub(super) format: ListFormat,
}

/// A port in a request. What the list of ports has may be left out.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewPort)]
pub(crate) struct PortBody {
    /// The UN/LOCODE.
    #[schema(value_type = String, example = "BRSSZ")]
    unlocode: Unlocode,
    /// The name: required if the list does not have the port.
    #[schema(value_type = Option<String>, max_length = 100)]
    name: Option<PlaceName>,
    /// The name of the country: required if the list does not have the port.
    #[schema(value_type = Option<String>, max_length = 100)]
    country: Option<PlaceName>,
    /// The time zone, as it is named in the IANA database: required if the list does not have it.
    time_zone: Option<String>,
}

impl PortBody {
    /// The port that is meant.
    ///
    /// # Errors
    /// What is missing or wrong.
    pub(super) fn resolve(&self) -> Result<Port, Problem> {
        let Self { unlocode, name, country, time_zone } = self.clone();
        let at = |field: &str, detail: String| FieldError { pointer: format!("/port/{field}"), detail };
        let time_zone = time_zone.map(|zone| zone.parse::<ZoneName>()).transpose();
        let time_zone = time_zone.map_err(|error| Problem::invalid_fields(vec![at("time_zone", error.to_string())]))?;
        let port = GivenPort { unlocode, name, country, time_zone }.resolve();
        let wrong = |PortFault { field, reason }: PortFault| at(field, reason);
        port.map_err(|faults| Problem::invalid_fields(faults.into_iter().map(wrong).collect()))
    }
}

/// A port call to be created.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewPortCall)]
pub(crate) struct NewPortCallBody {
    pub(super) port: PortBody,
    /// The name of the vessel.
    #[schema(value_type = String, max_length = 100, example = "MSC Anna")]
    vessel: VesselName,
    /// The IMO number of the vessel: seven digits, the last of which is a check digit.
    #[schema(value_type = String, example = "9074729")]
    imo: ImoNumber,
    /// The number of the voyage.
    #[schema(value_type = Option<String>, max_length = 40, example = "NX648R")]
    voyage: Option<VoyageNumber>,
    /// Your own reference. It cannot be changed later.
    #[schema(value_type = Option<String>, max_length = 60)]
    reference: Option<Reference>,
    /// The estimated time of arrival: an instant, or without an offset the local time of the port.
    #[schema(value_type = String, example = "2030-01-31T09:00:00Z")]
    eta: PortTime,
    /// The estimated time of departure, after the arrival: an instant, or the local time of the port.
    #[schema(value_type = String, example = "2030-02-01T18:00:00Z")]
    etd: PortTime,
    /// The user who is responsible: an active Admin or Agent of the organization; default: the caller.
    pub(super) agent: Option<UserId>,
}

impl NewPortCallBody {
    pub(super) fn command(&self, port: &Port, agent: UserId, usage_month: String) -> Command {
        let zone = port.zone();
        Command::Create(Box::new(NewPortCall {
            port: port.clone(),
            vessel: self.vessel.clone(),
            imo: self.imo.clone(),
            voyage: self.voyage.clone(),
            reference: self.reference.clone(),
            schedule: Schedule { eta: self.eta.at(&zone), etd: self.etd.at(&zone) },
            agent,
            usage_month,
        }))
    }
}

/// A change of a port call: a JSON merge patch (RFC 7396).
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PortCallPatch {
    /// Another port: only while the port call is planned.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = PortBody, required = false)]
    pub(super) port: Option<PortBody>,
    /// The name of the vessel.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = String, required = false, max_length = 100, example = "MSC Anna")]
    vessel: Option<VesselName>,
    /// The IMO number of the vessel.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = String, required = false, example = "9074729")]
    imo: Option<ImoNumber>,
    /// The number of the voyage; null removes it.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>, max_length = 40, example = "NX648R")]
    voyage: Option<Option<VoyageNumber>>,
    /// The estimated time of arrival: an instant, or the local time of the port.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = String, required = false, example = "2030-01-31T09:00:00Z")]
    eta: Option<PortTime>,
    /// The estimated time of departure: an instant, or the local time of the port.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = String, required = false, example = "2030-02-01T18:00:00Z")]
    etd: Option<PortTime>,
    /// The user who is responsible: an active Admin or Agent of the organization.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = UserId, required = false)]
    pub(super) agent: Option<UserId>,
}

impl PortCallPatch {
    pub(super) fn commands(&self, port: Option<&Port>, zone: &TimeZone) -> Vec<Command> {
        let Self { vessel, imo, voyage, eta, etd, agent, port: _ } = self;
        let (name, imo) = (vessel.clone(), imo.clone());
        let [eta, etd] = [eta, etd].map(|time| time.map(|time| time.at(zone)));
        let changes = [
            port.cloned().map(|port| Command::ChangePort { port }),
            (name.is_some() || imo.is_some()).then_some(Command::ChangeVessel { name, imo }),
            voyage.clone().map(|voyage| Command::ChangeVoyage { voyage }),
            (eta.is_some() || etd.is_some()).then_some(Command::Reschedule { eta, etd }),
            agent.map(|agent| Command::Assign { agent }),
        ];
        changes.into_iter().flatten().collect()
    }
}

/// A status that follows another one.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum NextStatus {
    /// Confirmed by the port or the carrier.
    Confirmed,
    /// The vessel has arrived at the port.
    Arrived,
    /// The vessel is at its berth.
    Alongside,
    /// The vessel has left.
    Departed,
    /// Everything is settled.
    Closed,
}

impl From<NextStatus> for Status {
    fn from(next: NextStatus) -> Self {
        match next {
            NextStatus::Confirmed => Self::Confirmed,
            NextStatus::Arrived => Self::Arrived,
            NextStatus::Alongside => Self::Alongside,
            NextStatus::Departed => Self::Departed,
            NextStatus::Closed => Self::Closed,
        }
    }
}

/// The next status of a port call.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PortCallStatusChange {
    pub(super) status: NextStatus,
    /// When it was reached: an instant, or the local time of the port; default: now. Neither in the future nor before the
    /// current status was reached.
    #[schema(value_type = Option<String>)]
    pub(super) occurred_at: Option<PortTime>,
    /// A remark.
    #[schema(value_type = Option<String>, max_length = 500, example = "pilot on board at 18:40")]
    pub(super) remark: Option<Remark>,
}

/// A cancellation of a port call.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cancellation {
    /// When it was canceled: an instant, or the local time of the port; default: now.
    #[schema(value_type = Option<String>)]
    pub(super) occurred_at: Option<PortTime>,
    /// A remark.
    #[schema(value_type = Option<String>, max_length = 500, example = "berth not available")]
    pub(super) remark: Option<Remark>,
}

/// A port call that was canceled or deleted, or in a dry run would be.
#[derive(Serialize, ToSchema)]
pub(crate) struct EndedPortCall {
    #[serde(flatten)]
    pub(super) result: CommandResult,
    /// The open service orders that were canceled with it, or in a dry run would be; their vendors get an email.
    pub(super) service_orders: Vec<ServiceOrderId>,
}

impl IntoResponse for EndedPortCall {
    fn into_response(self) -> Response {
        (self.result.headers(), Json(self)).into_response()
    }
}

/// The status to be taken back.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StatusReversion {
    /// The current status, which was set by mistake: named, so that a repeated request takes back no other one.
    pub(super) status: NextStatus,
}
