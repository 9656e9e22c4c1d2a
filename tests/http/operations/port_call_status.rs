//! Statuses of port calls: reached, taken back, canceled, reopened.

use jiff::{SignedDuration, Timestamp};
use porttask_tests::on_both_engines;
use serde_json::{Value, json};

use super::port_call::{anna, create, pointers};
use crate::{
    service::{Answer, Caller},
    shared::SharedService,
};

on_both_engines!(
    statuses_follow_each_other_with_the_times_that_were_reported,
    a_status_is_reached_neither_in_the_future_nor_before_the_former_one,
    a_status_set_by_mistake_is_taken_back_one_step_at_a_time,
    only_an_admin_reopens_what_was_closed_or_canceled,
    what_a_command_did_is_undone_as_its_response_says,
);

/// Some hours ago.
fn ago(hours: i64) -> String {
    (Timestamp::now() - SignedDuration::from_hours(hours)).to_string()
}

#[track_caller]
fn set(caller: &Caller<'_>, path: &str, status: &str, hours: i64) -> Answer {
    caller.post(&format!("{path}/status"), &json!({"status": status, "occurred_at": ago(hours)})).is(200)
}

fn status(caller: &Caller<'_>, path: &str) -> Value {
    caller.get(path).is(200).body["status"].clone()
}

/// Sends the request that undoes a change.
#[track_caller]
fn undo(caller: &Caller<'_>, answer: &Answer) -> Answer {
    let undo = &answer.body["undo"];
    let (method, path) = (undo["method"].as_str().unwrap(), undo["path"].as_str().unwrap());
    let version = format!("\"{}\"", answer.body["version"]);
    caller.send(method, path, &[("if-match", &version)], Some(&undo["body"])).is(200)
}

async fn statuses_follow_each_other_with_the_times_that_were_reported(service: &'static SharedService) {
    let acme = service.organization().await;
    let ida = acme.join("ida", "Ida Lund", "agent");
    let path = create(&ida, &anna());
    let change = |body: Value| ida.post(&format!("{path}/status"), &body);
    change(json!({"status": "arrived"})).refused(409, "port-call-another-status-follows");
    change(json!({"status": "planned"})).refused(422, "invalid-fields");
    change(json!({"status": "canceled"})).refused(422, "invalid-fields");
    let refused = change(json!({"occurred_at": "now", "remark": ""})).refused(422, "invalid-fields");
    assert_eq!(pointers(&refused), ["/occurred_at", "/remark", "/status"]);
    let steps = [("confirmed", 9), ("arrived", 7), ("alongside", 7), ("departed", 2)];
    for (status, hours) in steps {
        let times = json!({"status": status, "occurred_at": ago(hours), "remark": format!("  {status} as reported ")});
        assert_eq!(change(times.clone()).is(200).body["events"], json!(["port_call.status_changed"]));
        assert_eq!(change(times).is(200).body["events"], json!([]), "a repetition yields no events");
    }
    change(json!({"status": "departed", "occurred_at": ago(1)})).refused(409, "port-call-has-status");
    change(json!({"status": "closed"})).is(200);
    let shown = ida.get(&path).is(200).body;
    assert_eq!((&shown["status"], &shown["version"]), (&json!("closed"), &json!(6)));
    let reached = shown["statuses"].as_array().unwrap();
    let order: Vec<&str> = reached.iter().map(|it| it["status"].as_str().unwrap()).collect();
    assert_eq!(order, ["planned", "confirmed", "arrived", "alongside", "departed", "closed"]);
    assert_eq!(reached[2]["remark"], "arrived as reported");
    assert!(reached[1]["occurred_at"].as_str().unwrap() < reached[4]["occurred_at"].as_str().unwrap());
    change(json!({"status": "confirmed"})).refused(409, "port-call-finished");
    ida.patch(&path, &json!({"vessel": "Late"})).refused(409, "port-call-finished");
    let log = acme.admin.get("/v1/organizations/current/audit-log?action=port_call.status_changed&q=departed").is(200);
    let summaries: Vec<&str> =
        log.body["items"].as_array().unwrap().iter().map(|it| it["summary"].as_str().unwrap()).collect();
    let expected = ["Departed to Closed", "Alongside to Departed"];
    assert_eq!(summaries, expected.map(|it| format!("changed the status of the port call from {it}")));
}

async fn a_status_is_reached_neither_in_the_future_nor_before_the_former_one(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let path = create(bob, &anna());
    let change =
        |at: &str, status: &str| bob.post(&format!("{path}/status"), &json!({"status": status, "occurred_at": at}));
    change(&ago(-1), "confirmed").refused(422, "port-call-status-in-the-future");
    change("2101-01-01T00:00Z", "confirmed").refused(422, "invalid-fields");
    // Before it was created: it is entered late.
    change(&ago(100), "confirmed").is(200);
    change(&ago(101), "arrived").refused(409, "port-call-status-before-the-current");
    // Local times are those of the port, in Brazil.
    let local = (Timestamp::now() - SignedDuration::from_hours(4)).to_string()[..16].to_owned();
    change(&local, "arrived").is(200);
    let reached = bob.get(&path).is(200).body["statuses"][2]["occurred_at"].clone();
    assert!(reached.as_str().unwrap() > ago(2).as_str(), "{reached} is three hours after {local}");
}

async fn a_status_set_by_mistake_is_taken_back_one_step_at_a_time(service: &'static SharedService) {
    let acme = service.organization().await;
    let ida = acme.join("ida", "Ida Lund", "agent");
    let path = create(&ida, &anna());
    let revert = |status: &str| ida.post(&format!("{path}/revert-status"), &json!({"status": status}));
    revert("confirmed").refused(409, "port-call-nothing-to-revert");
    set(&ida, &path, "confirmed", 5);
    set(&ida, &path, "arrived", 3);
    revert("confirmed").refused(409, "port-call-not-the-current-status");
    assert_eq!(revert("arrived").is(200).body["events"], json!(["port_call.status_reverted"]));
    assert_eq!(revert("arrived").is(200).body["events"], json!([]), "a repetition takes back no other status");
    assert_eq!(status(&ida, &path), "confirmed");
    set(&ida, &path, "arrived", 4);
    assert_eq!(ida.get(&path).is(200).body["statuses"].as_array().unwrap().len(), 3);
    revert("arrived").is(200);
    revert("confirmed").is(200);
    assert_eq!(status(&ida, &path), "planned");
    let log = acme.admin.get("/v1/organizations/current/audit-log?action=port_call.status_reverted").is(200).body;
    let summary = "took back the status of the port call from Confirmed to Planned";
    assert_eq!(log["items"][0]["summary"], summary);
}

async fn only_an_admin_reopens_what_was_closed_or_canceled(service: &'static SharedService) {
    let acme = service.organization().await;
    let (bob, ida) = (&acme.admin, acme.join("ida", "Ida Lund", "agent"));
    let path = create(&ida, &anna());
    set(&ida, &path, "confirmed", 5);
    let canceled = ida.post(&format!("{path}/cancel"), &json!({"remark": "berth not available"})).is(200);
    assert_eq!((&canceled.body["undo"], status(&ida, &path)), (&Value::Null, json!("canceled")));
    ida.post(&format!("{path}/status"), &json!({"status": "arrived"})).refused(409, "port-call-finished");
    ida.post(&format!("{path}/revert-status"), &json!({"status": "confirmed"})).refused(409, "port-call-finished");
    let reopen = |caller: &Caller<'_>| caller.post(&format!("{path}/reopen"), &json!({}));
    reopen(&ida).refused(403, "forbidden");
    assert_eq!(reopen(bob).is(200).body["events"], json!(["port_call.reopened"]));
    assert_eq!(reopen(bob).is(200).body["events"], json!([]));
    // One's own read waits for one's own change; then others see it as well.
    assert_eq!(status(bob, &path), "confirmed");
    assert_eq!(status(&ida, &path), "confirmed");
    // Staff may, too.
    ida.post(&format!("{path}/cancel"), &json!({})).is(200);
    let (ana, of_staff) = (service.ana(), path.replace("current", &acme.id));
    ana.post(&format!("{of_staff}/reopen"), &json!({})).is(200);
    assert_eq!(status(&ana, &of_staff), "confirmed");
    assert_eq!(status(&ida, &path), "confirmed");
    let rights = ida.get("/v1/me/permissions").is(200).body["rights"].to_string();
    assert!(rights.contains("operations:write") && !rights.contains("operations:manage"), "{rights}");
}

async fn what_a_command_did_is_undone_as_its_response_says(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let path = create(bob, &anna());
    let set = set(bob, &path, "confirmed", 5);
    let reached = bob.get(&path).is(200).body["statuses"].clone();
    let reverted = undo(bob, &set);
    assert_eq!(status(bob, &path), "planned");
    let again = undo(bob, &reverted);
    assert_eq!(bob.get(&path).is(200).body["statuses"], reached, "with time and remark");
    assert_eq!(again.body["events"], json!(["port_call.status_changed"]));
    let canceled = bob.post(&format!("{path}/cancel"), &json!({"remark": "strike"})).is(200);
    let reopened = undo(bob, &canceled);
    assert_eq!(status(bob, &path), "confirmed");
    undo(bob, &reopened);
    assert_eq!(bob.get(&path).is(200).body["statuses"][2]["remark"], "strike");
}
