//! The documents of a year: small files of port calls.

use jiff::{SignedDuration, Timestamp};
use porttask_domain::operations::document::DocumentId;

use crate::{
    names,
    plan::{By, Planner, What},
    random::Random,
    traffic::Call,
};

/// What happens to a document.
pub(crate) enum DocumentStep {
    /// It is uploaded for the port call with this number.
    Upload {
        call: usize,
        name: &'static str,
        content: String,
    },
    Delete,
}

const NAMES: [&str; 4] = ["Crew list.csv", "Cargo manifest.csv", "Notice of readiness.txt", "Statement of facts.txt"];
const CARGOES: [&str; 5] = ["coffee in bags", "steel coils", "frozen poultry", "machine parts", "fertilizer"];

/// Plans documents of port calls that take place in a range of time.
pub(crate) fn year(planner: &mut Planner, until: Timestamp, calls: &[Call], count: usize) {
    let there_until = |it: usize| planner.agents.iter().find(|(agent, ..)| *agent == it).map(|(_, _, until)| *until);
    let candidates: Vec<(usize, Timestamp)> = calls
        .iter()
        .enumerate()
        .filter(|(_, call)| call.takes_place)
        .filter_map(|(number, call)| Some((number, there_until(call.agent)?.min(until))))
        .filter(|(number, until)| calls[*number].schedule.etd < *until)
        .collect();
    for _ in 0..if candidates.is_empty() { 0 } else { count } {
        let (number, until) = *planner.random.pick(&candidates);
        let call = &calls[number];
        let uploaded_at = planner.random.instant(call.schedule.eta, call.schedule.etd);
        let name = *planner.random.pick(&NAMES);
        let content = content(&mut planner.random, name, call);
        let document: DocumentId = planner.random.id(uploaded_at);
        let by = By::Person(call.agent);
        planner.add(uploaded_at, by, What::Document(document, DocumentStep::Upload { call: number, name, content }));
        let deleted_at = uploaded_at + SignedDuration::from_mins(5) + planner.random.hours(0..100);
        if planner.random.chance(0.1) && deleted_at < until {
            planner.add(deleted_at, by, What::Document(document, DocumentStep::Delete));
        }
    }
}

/// Some hundred bytes.
fn content(random: &mut Random, name: &str, call: &Call) -> String {
    let Call { vessel, imo, voyage, port, schedule, .. } = call;
    match name {
        "Crew list.csv" => {
            let ranks = ["Master", "Chief officer", "Chief engineer", "Bosun", "Able seaman", "Oiler", "Cook"];
            let lines = ranks.map(|rank| format!("{},{rank},{vessel}\r\n", names::person(random)));
            format!("name,rank,vessel\r\n{}", lines.concat())
        }
        "Cargo manifest.csv" => {
            let line = |number: usize, random: &mut Random| {
                let (cargo, tonnes) = (random.pick(&CARGOES), random.within(12..900));
                format!("{voyage}-{number:03},{cargo},{tonnes},{}\r\n", port.unlocode)
            };
            let lines: String = (1..=8).map(|number| line(number, random)).collect();
            format!("bill of lading,cargo,tonnes,port\r\n{lines}")
        }
        _ => {
            let event = |hours: i64, text: &str| {
                let at = schedule.eta + SignedDuration::from_hours(hours);
                format!("{}  {text}\n", at.strftime("%F %H:%M UTC"))
            };
            let events =
                [event(0, "End of sea passage"), event(1, "Pilot on board"), event(3, "All fast"), event(9, "Cargo")];
            format!(
                "{name}\n\n{vessel}, IMO {imo}, voyage {voyage}\n{}, {}\n\n{}",
                port.name,
                port.country,
                events.concat()
            )
        }
    }
}
