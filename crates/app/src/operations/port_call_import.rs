//! From a file to lines of port calls.
//!
//! A line is identified by its reference, or else by IMO number, voyage and port: the id of its port call is derived from
//! that, so that an import that is repeated creates no second one.

use std::{collections::HashMap, fmt};

use csv::ByteRecord;
use hmac::{Hmac, Mac};
use porttask_domain::{
    InvalidText, OrganizationId,
    identity::{EmailAddress, settings::ZoneName},
    operations::{
        port::{GivenPort, PlaceName, Port, PortTime, Unlocode},
        port_call::{PortCallId, Reference, Schedule},
        vessel::{ImoNumber, VesselName, VoyageNumber},
    },
};
use porttask_runtime::id_made_by;
use sha2::Sha256;

use crate::sheet::{self, Columns, Header, UnknownColumns, Unreadable};

porttask_domain::texts! {
    /// A column of the file.
    pub enum Column {
        /// The customer's own reference.
        Reference = "reference",
        /// The name of the vessel.
        Vessel = "vessel",
        /// The IMO number of the vessel.
        Imo = "imo",
        /// The number of the voyage.
        Voyage = "voyage",
        /// The UN/LOCODE of the port.
        Port = "port",
        /// The name of a port that is not in the list.
        PortName = "port_name",
        /// The country of a port that is not in the list.
        PortCountry = "port_country",
        /// The time zone of a port that has none in the list.
        TimeZone = "time_zone",
        /// The estimated time of arrival.
        Eta = "eta",
        /// The estimated time of departure.
        Etd = "etd",
        /// The email address of the user who is responsible.
        Agent = "agent",
    }
}

impl Columns for Column {
    const ALL: &'static [Self] = <Self as porttask_domain::TextEnum>::ALL;
    const REQUIRED: &'static [Self] = &[Self::Vessel, Self::Imo, Self::Port, Self::Eta, Self::Etd];
    const MAX_LINES: usize = 1_000;

    fn name(self) -> &'static str {
        porttask_domain::TextEnum::as_str(&self)
    }

    fn synonym(heading: &str) -> Option<Self> {
        match heading {
            "ref" | "ourreference" => Some(Self::Reference),
            "vesselname" | "ship" => Some(Self::Vessel),
            "imonumber" | "imono" => Some(Self::Imo),
            "voyagenumber" | "voyageno" => Some(Self::Voyage),
            "unlocode" | "locode" => Some(Self::Port),
            "country" => Some(Self::PortCountry),
            "timezone" => Some(Self::TimeZone),
            "responsible" | "email" => Some(Self::Agent),
            _ => None,
        }
    }
}

/// What is wrong with a line. Never includes values of the line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The column; `None` if it concerns the whole line.
    pub field: Option<Column>,
    /// What is wrong, in words.
    pub reason: String,
}

/// A port call in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedCall {
    /// The customer's own reference.
    pub reference: Option<Reference>,
    /// The name of the vessel.
    pub vessel: VesselName,
    /// The IMO number of the vessel.
    pub imo: ImoNumber,
    /// The number of the voyage.
    pub voyage: Option<VoyageNumber>,
    /// The port.
    pub port: Port,
    /// When the vessel is expected.
    pub schedule: Schedule,
    /// The email address of the user who is responsible; `None` is whoever imports it.
    pub agent: Option<EmailAddress>,
}

/// A line of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The line number at which it starts: the header is line 1.
    pub number: u64,
    /// The port call, or all faults.
    pub content: Result<Box<ImportedCall>, Vec<Fault>>,
}

impl ImportedCall {
    /// What identifies it in repeated imports.
    fn identity(&self) -> String {
        match &self.reference {
            Some(reference) => format!("reference {}", reference.as_str()),
            None => {
                let voyage = self.voyage.as_ref().map_or("", VoyageNumber::as_str);
                format!("voyage {} {} {voyage}", self.imo.as_str(), self.port.unlocode)
            }
        }
    }

    /// The id of the port call, derived by a key.
    pub fn id(&self, key: &Hmac<Sha256>, organization: OrganizationId) -> PortCallId {
        let key = key.clone().chain_update(b"port call").chain_update(organization.0.as_bytes());
        id_made_by(key.chain_update(self.identity()))
    }
}

/// The lines of a file.
///
/// # Errors
/// If the file cannot be read at all.
pub fn read(bytes: &[u8], unknown: UnknownColumns) -> Result<Vec<Line>, Unreadable> {
    let (records, header) = sheet::open::<Column>(bytes, unknown)?;
    let mut lines = Vec::new();
    let mut known: HashMap<String, u64> = HashMap::new();
    for (number, record) in records {
        if lines.len() == Column::MAX_LINES {
            return Err(Unreadable::TooManyLines(Column::MAX_LINES));
        }
        let of_line = |reason: String| vec![Fault { field: None, reason }];
        let mut content = match record {
            Err(reason) => Err(of_line(reason.to_owned())),
            Ok(record) => call(&record, &header).map(Box::new),
        };
        if let Ok(call) = &content {
            let first = *known.entry(call.identity()).or_insert(number);
            if first != number {
                content = Err(of_line(format!("is the same port call as line {first}")));
            }
        }
        lines.push(Line { number, content });
    }
    Ok(lines)
}

/// The values of a line, and what is wrong with them.
struct Fields<'a> {
    record: &'a ByteRecord,
    header: &'a Header<Column>,
    faults: Vec<Fault>,
}

impl Fields<'_> {
    /// A value; `None` if it is missing or invalid.
    fn optional<T, E: fmt::Display>(&mut self, column: Column, read: impl Fn(&str) -> Result<T, E>) -> Option<T> {
        match self.header.field(self.record, column) {
            "" => None,
            text => read(text).map_err(|error| self.fault(column, error)).ok(),
        }
    }

    /// A value that every line has.
    fn required<T>(&mut self, column: Column, read: impl Fn(&str) -> Result<T, InvalidText>) -> Option<T> {
        if self.header.field(self.record, column).is_empty() {
            self.fault(column, "is required");
        }
        self.optional(column, read)
    }

    fn fault(&mut self, column: Column, reason: impl fmt::Display) {
        self.faults.push(Fault { field: Some(column), reason: reason.to_string() });
    }

    fn port(&mut self) -> Option<Port> {
        let unlocode = self.required(Column::Port, Unlocode::new);
        let name = self.optional(Column::PortName, PlaceName::new);
        let country = self.optional(Column::PortCountry, PlaceName::new);
        let time_zone = self.optional(Column::TimeZone, str::parse::<ZoneName>);
        match (GivenPort { unlocode: unlocode?, name, country, time_zone }).resolve() {
            Ok(port) => Some(port),
            Err(faults) => {
                for fault in faults {
                    let column = match fault.field {
                        "name" => Column::PortName,
                        "country" => Column::PortCountry,
                        _ => Column::TimeZone,
                    };
                    // What is invalid was reported already.
                    if self.faults.iter().all(|it| it.field != Some(column)) {
                        self.fault(column, fault.reason);
                    }
                }
                None
            }
        }
    }
}

/// The port call of a record, or its faults.
fn call(record: &ByteRecord, header: &Header<Column>) -> Result<ImportedCall, Vec<Fault>> {
    header.fits(record).map_err(|reason| vec![Fault { field: None, reason }])?;
    let mut fields = Fields { record, header, faults: Vec::new() };
    let reference = fields.optional(Column::Reference, Reference::new);
    let vessel = fields.required(Column::Vessel, VesselName::new);
    let imo = fields.required(Column::Imo, ImoNumber::new);
    let voyage = fields.optional(Column::Voyage, VoyageNumber::new);
    let port = fields.port();
    let eta = fields.required(Column::Eta, PortTime::new);
    let etd = fields.required(Column::Etd, PortTime::new);
    let agent = fields.optional(Column::Agent, EmailAddress::new);
    let mut faults = fields.faults;
    if reference.is_none() && voyage.is_none() && faults.is_empty() {
        let reason = "needs a reference or a voyage, by which it is recognized when the file is imported again";
        faults.push(Fault { field: None, reason: reason.to_owned() });
    }
    match (vessel, imo, port, eta, etd) {
        (Some(vessel), Some(imo), Some(port), Some(eta), Some(etd)) if faults.is_empty() => {
            let zone = port.zone();
            let schedule = Schedule { eta: eta.at(&zone), etd: etd.at(&zone) };
            Ok(ImportedCall { reference, vessel, imo, voyage, port, schedule, agent })
        }
        _ => Err(faults),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<Line> {
        read(text.as_bytes(), UnknownColumns::Reject).unwrap()
    }

    /// The faults of a line, as `column: reason`.
    fn faults(line: &Line) -> Vec<String> {
        let column = |fault: &Fault| fault.field.map_or("line", Columns::name);
        let faults = line.content.as_ref().unwrap_err();
        faults.iter().map(|fault| format!("{}: {}", column(fault), fault.reason)).collect()
    }

    #[test]
    fn local_times_are_those_of_the_port() {
        let read = lines(
            "Vessel;IMO number;Voyage;UN/LOCODE;ETA;ETD\n\
             MSC Anna;9074729;NX648R;br ssz;2026-12-03 08:30;2026-12-04T18:00:00Z\n",
        );
        let call = read[0].content.clone().unwrap();
        assert_eq!(call.schedule.eta.to_string(), "2026-12-03T11:30:00Z");
        assert_eq!(call.schedule.etd.to_string(), "2026-12-04T18:00:00Z");
        assert_eq!((call.port.name.as_str(), call.agent), ("Santos", None));
    }

    #[test]
    fn every_fault_of_a_line_is_reported() {
        let header = "reference,vessel,imo,voyage,port,port_name,time_zone,eta,etd,agent\n";
        let read = lines(&format!(
            "{header},,9074728,V1,XXQQQ,www.evil.example,Mars/Base,soon,2026-12-04 18:00,nobody\n\
             ,MSC Anna,9074729,,BRSSZ,,,2026-12-03 08:30,2026-12-04 18:00,\n"
        ));
        let found = faults(&read[0]);
        for start in ["vessel: is required", "imo: is no", "port_name: must", "port_country: is required", "time_zone:"]
        {
            assert!(found.iter().any(|fault| fault.starts_with(start)), "{start}: {found:?}");
        }
        for start in ["eta: must be a time", "agent: must be"] {
            assert!(found.iter().any(|fault| fault.starts_with(start)), "{start}: {found:?}");
        }
        assert!(faults(&read[1])[0].starts_with("line: needs a reference or a voyage"), "{:?}", read[1]);
    }

    #[test]
    fn a_line_is_identified_by_its_reference_or_by_vessel_voyage_and_port() {
        let read = lines(
            "reference,vessel,imo,voyage,port,eta,etd\n\
             A-1,MSC Anna,9074729,V1,BRSSZ,2026-12-03 08:30,2026-12-04 18:00\n\
             A-1,MSC Anita,9176187,V2,PTLIS,2026-12-03 08:30,2026-12-04 18:00\n\
             ,MSC Anna,9074729,V1,BRSSZ,2026-12-03 08:30,2026-12-04 18:00\n\
             ,MSC Anna,IMO 9074729,V1,brssz,2026-12-05 08:30,2026-12-06 18:00\n",
        );
        assert_eq!(faults(&read[1]), ["line: is the same port call as line 2"]);
        assert!(read[2].content.is_ok());
        assert_eq!(faults(&read[3]), ["line: is the same port call as line 4"]);
    }
}
