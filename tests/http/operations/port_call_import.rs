//! Importing port calls from a file.

use porttask_tests::on_both_engines;
use serde_json::{Value, json};

use super::port_call::CALLS;
use crate::{
    service::{Answer, Caller},
    shared::SharedService,
};

on_both_engines!(
    a_file_is_imported_line_by_line_and_can_be_imported_again,
    a_dry_run_reports_every_line_and_records_nothing,
    lines_name_their_agents_by_email_address,
    files_that_cannot_be_read_are_refused,
);

const HEADER: &str = "Reference,Vessel,IMO,Voyage,Port,ETA,ETD\n";

fn import(caller: &Caller<'_>, query: &str, lines: &str) -> Answer {
    caller.upload(&format!("{CALLS}/import{query}"), &[], format!("{HEADER}{lines}"))
}

/// The results of the lines.
fn results(report: &Value) -> Vec<&str> {
    report["lines"].as_array().unwrap().iter().map(|line| line["result"].as_str().unwrap()).collect()
}

const LINES: &str = "A-1,MSC Anna,9074729,NX648R,BRSSZ,2026-12-03 08:30,2026-12-04 18:00\n\
     ,Boreas,9176187,V7,PTLIS,2026-12-03T08:30:00Z,2026-12-04T18:00:00Z\n\
     A-3,,9074728,,XXQQQ,soon,2026-12-04 18:00\n\
     A-4,Ceres,9074729,,BRSSZ,2026-12-05 08:30,2026-12-04 18:00\n\
     ,Ceres,9074729,,BRSSZ,2026-12-05 08:30,2026-12-06 18:00\n";

async fn a_file_is_imported_line_by_line_and_can_be_imported_again(service: &'static SharedService) {
    let acme = service.organization().await;
    let ida = acme.join("ida", "Ida Lund", "agent");
    let report = import(&ida, "", LINES).is(200).body;
    assert_eq!(results(&report), ["created", "created", "rejected", "rejected", "rejected"], "{report}");
    assert_eq!((&report["created"], &report["rejected"]), (&json!(2), &json!(3)));
    let fields = |line: usize| -> Vec<Value> {
        report["lines"][line]["faults"].as_array().unwrap().iter().map(|fault| fault["field"].clone()).collect()
    };
    assert_eq!(json!(fields(2)), json!(["vessel", "imo", "port_name", "port_country", "time_zone", "eta"]));
    assert!(report["lines"][3]["faults"][0]["reason"].as_str().unwrap().contains("after the time of arrival"));
    assert_eq!((&report["lines"][4]["line"], json!(fields(4))), (&json!(6), json!([null])));
    assert!(!report.to_string().contains("Ceres"), "no values of lines: {report}");
    let listed = ida.get(&format!("{CALLS}?sort=vessel")).is(200).body;
    let items = listed["items"].as_array().unwrap();
    assert_eq!((items.len(), &items[1]["eta"]), (2, &json!("2026-12-03T11:30:00Z")));
    assert_eq!((&items[1]["reference"], &items[1]["agent"]), (&json!("A-1"), &ida.session["user"]));

    // Recognized, whatever else has changed, also once they were changed or deleted.
    let first = report["lines"][0]["port_call"].as_str().unwrap();
    ida.patch(&format!("{CALLS}/{first}"), &json!({"vessel": "MSC Anita"})).is(200);
    ida.delete(&format!("{CALLS}/{}", report["lines"][1]["port_call"].as_str().unwrap())).is(200);
    let changed = LINES.replace("2026-12-04 18:00", "2026-12-07 18:00");
    let again = import(&ida, "", &changed).is(200).body;
    assert_eq!(results(&again)[..2], ["unchanged", "unchanged"], "{again}");
    assert_eq!(again["lines"][0]["port_call"], first);
    let listed = ida.get(CALLS).is(200).body;
    assert_eq!(listed["items"].as_array().unwrap().len(), 2, "the fourth line is right by now");
    assert_eq!(ida.get(&format!("{CALLS}/{first}")).is(200).body["vessel"], "MSC Anita");
    // Another organization has ids of its own.
    let other = service.organization().await;
    assert_eq!(import(&other.admin, "", LINES).is(200).body["created"], 2);
}

async fn a_dry_run_reports_every_line_and_records_nothing(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let report = import(bob, "?dry_run=true", LINES).is(200).body;
    assert_eq!((results(&report)[0], &report["dry_run"]), ("created", &json!(true)));
    assert_eq!(report["lines"][0]["port_call"], Value::Null);
    assert_eq!(bob.get(CALLS).is(200).body["items"], json!([]));
    import(bob, "", LINES).is(200);
    let report = import(bob, "?dry_run=true", LINES).is(200).body;
    assert_eq!((&report["created"], &report["unchanged"]), (&json!(0), &json!(2)));
}

async fn lines_name_their_agents_by_email_address(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let ida = acme.join("ida", "Ida Lund", "agent");
    acme.join("cleo", "Cleo Reader", "read_only");
    let line = |number: u32, agent: &str| {
        format!("A-{number},MSC Anna,9074729,BRSSZ,2026-12-03 08:30,2026-12-04 18:00,{agent}\n")
    };
    let agents = [acme.email("ida"), acme.email("cleo"), acme.email("nobody"), "nobody".to_owned(), String::new()];
    let lines: String = (1..).zip(&agents).map(|(number, agent)| line(number, agent)).collect();
    let file = format!("reference,vessel,imo,port,eta,etd,agent\n{lines}");
    let report = bob.upload(&format!("{CALLS}/import"), &[], file).is(200).body;
    assert_eq!(results(&report), ["created", "rejected", "rejected", "rejected", "created"], "{report}");
    for line in 1..4 {
        assert_eq!(report["lines"][line]["faults"][0]["field"], "agent", "{report}");
    }
    let path = format!("{CALLS}/{}", report["lines"][0]["port_call"].as_str().unwrap());
    assert_eq!(bob.get(&path).is(200).body["agent"], ida.session["user"]);
}

async fn files_that_cannot_be_read_are_refused(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let upload = |file: &str| bob.upload(&format!("{CALLS}/import"), &[], file);
    for file in ["", "name,email\n", "vessel,imo\n", &format!("{},colour\n", HEADER.trim())] {
        upload(file).refused(422, "unreadable-file");
    }
    let columns =
        "the columns are reference, vessel, imo, voyage, port, port_name, port_country, time_zone, eta, etd, agent";
    let refused = upload("vessel,imo\n").refused(422, "unreadable-file");
    assert!(refused.body["detail"].as_str().unwrap().ends_with(columns), "{refused:?}");
    let skipped = format!("{},colour\n", HEADER.trim());
    bob.upload(&format!("{CALLS}/import?unknown_columns=skip"), &[], skipped).is(200);
    let many = LINES.lines().next().unwrap().to_owned() + "\n";
    upload(&format!("{HEADER}{}", many.repeat(1_001))).refused(422, "unreadable-file");
    let with_version = |tag| bob.upload(&format!("{CALLS}/import"), &[("if-match", tag)], HEADER);
    with_version("").refused(422, "invalid-fields");
    with_version("\"1\"").refused(412, "outdated");
    bob.upload(&format!("{CALLS}/import?colour=red"), &[], HEADER).refused(422, "invalid-fields");
    bob.post(&format!("{CALLS}/import"), &json!({})).refused(415, "unsupported-media-type");
}
