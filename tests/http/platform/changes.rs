//! What commands say about their effects: changed fields, access gained and lost, how to undo them, and who was faster.

use std::time::Duration;

use porttask_tests::{by, on_both_engines};
use serde_json::{Value, json};

use crate::{
    service::{Answer, Caller},
    shared::{Organization, SharedService},
};

on_both_engines!(
    a_dry_run_shows_what_a_change_of_a_role_does,
    a_deactivation_shows_what_it_takes_away_and_is_undone,
    the_end_of_sessions_counts_those_that_end,
    a_command_that_changes_nothing_has_no_effects,
    changes_are_undone_as_the_response_says,
    an_outdated_change_names_the_change_before,
    an_outdated_change_does_not_show_the_resources_of_others,
    what_a_dry_run_shows_to_staff_is_recorded,
);

fn changes(answer: &Answer) -> Vec<(String, Value, Value)> {
    let changes = answer.body["changes"].as_array().unwrap().iter();
    changes.map(|it| (it["field"].as_str().unwrap().to_owned(), it["from"].clone(), it["to"].clone())).collect()
}

fn path_of(acme: &Organization<'_>, user: &Caller<'_>) -> String {
    format!("/v1/organizations/{acme}/users/{}", user.session["user"].as_str().unwrap())
}

/// Sends the request that undoes a command.
#[track_caller]
fn undo(caller: &Caller<'_>, done: &Answer) -> Answer {
    let undo = &done.body["undo"];
    let version = format!("\"{}\"", done.body["version"]);
    let (method, path) = (undo["method"].as_str().unwrap(), undo["path"].as_str().unwrap());
    caller.send(method, path, &[("if-match", &version)], Some(&undo["body"]))
}

async fn a_dry_run_shows_what_a_change_of_a_role_does(service: &'static SharedService) {
    let acme = service.organization().await;
    let carol = acme.join("carol", "Carol Crane", "agent");
    service.sign_in(&acme.email("carol"));
    let path = path_of(&acme, &carol);
    let role = json!({"role": "auditor"});
    let dry = acme.admin.patch(&format!("{path}?dry_run=true"), &role).is(200);
    let done = acme.admin.patch(&path, &role).is(200);
    for answer in [&dry, &done] {
        assert_eq!(changes(answer)[0].0, "role", "{answer:?}");
        let has = |list: &str, right: &str| answer.body[list].as_array().unwrap().contains(&json!(right));
        assert!(has("rights_gained", "audit_log:read") && has("rights_gained", "users:read"), "{answer:?}");
        assert!(has("rights_lost", "vendors:write") && !has("rights_lost", "vendors:read"), "{answer:?}");
    }
    assert_eq!((&dry.body["sessions"], &dry.body["api_keys"]), (&json!(2), &json!(0)), "{dry:?}");
    assert_eq!((done.body.get("sessions"), done.body.get("api_keys")), (None, None), "a command counts nothing");
    assert_eq!((&dry.body["changes"], &dry.body["undo"]), (&done.body["changes"], &done.body["undo"]));
    undo(&acme.admin, &done).is(200);
    let user = acme.admin.get(&path).is(200).body;
    assert_eq!((&user["role"], &user["permissions"]["administration"]), (&json!("agent"), &json!("none")));
    // Of someone who has not accepted: what they will hold.
    let dan = acme.invite("dan", "Dan", "read_only");
    let dan = format!("/v1/organizations/{acme}/users/{dan}?dry_run=true");
    let invited = acme.admin.patch(&dan, &json!({"role": "agent"})).is(200);
    assert_eq!(
        invited.body["rights_gained"],
        json!(["vendors:write", "operations:write", "tickets:write"]),
        "{invited:?}"
    );
    assert_eq!(invited.body["sessions"], 0);
    carol.patch(&dan, &json!({"role": "agent"})).refused(403, "forbidden");
    let other = service.organization().await;
    other.admin.patch(&dan, &json!({"role": "agent"})).refused(404, "organization-not-found");
}

async fn a_deactivation_shows_what_it_takes_away_and_is_undone(service: &'static SharedService) {
    let acme = service.organization().await;
    let carol = acme.join("carol", "Carol Crane", "admin");
    let permissions = json!({"tickets": "read", "invoices": "none", "reports": "none", "administration": "none"});
    let key = json!({"name": "sync", "permissions": permissions});
    carol.post("/v1/organizations/current/api-keys", &key).is(201);
    let path = path_of(&acme, &carol);
    let dry = acme.admin.post(&format!("{path}/deactivate?dry_run=true"), &json!({})).is(200);
    let done = acme.admin.post(&format!("{path}/deactivate"), &json!({})).is(200);
    for answer in [&dry, &done] {
        let lost = answer.body["rights_lost"].as_array().unwrap();
        assert!(lost.contains(&json!("users:write")) && lost.contains(&json!("account:own")), "{answer:?}");
        assert_eq!(answer.body["keys_that_stop"].as_array().unwrap().len(), 1);
        assert_eq!((answer.body["rights_gained"].clone(), changes(answer)[0].0.as_str()), (json!([]), "status"));
    }
    assert_eq!((&dry.body["sessions"], &dry.body["api_keys"]), (&json!(1), &json!(1)));
    let undone = undo(&acme.admin, &done).is(200);
    assert_eq!(undone.body["rights_gained"], done.body["rights_lost"]);
    assert_eq!(undone.body["undo"]["path"], format!("{path}/deactivate"));
    service.sign_in(&acme.email("carol"));
}

async fn the_end_of_sessions_counts_those_that_end(service: &'static SharedService) {
    let acme = service.organization().await;
    let (path, _other) = (path_of(&acme, &acme.admin), acme.sign_in_admin());
    let dry = acme.admin.delete(&format!("{path}/sessions?dry_run=true")).is(200);
    assert_eq!(dry.body["sessions"], 2);
    // All but one's own; that one is open in the next epoch as well.
    assert_eq!(acme.admin.delete("/v1/me/sessions?dry_run=true").is(200).body["sessions"], 1);
    acme.admin.delete("/v1/me/sessions").is(200);
    assert_eq!(acme.admin.delete(&format!("{path}/sessions?dry_run=true")).is(200).body["sessions"], 1);
}

async fn a_command_that_changes_nothing_has_no_effects(service: &'static SharedService) {
    let acme = service.organization().await;
    let carol = acme.join("carol", "Carol Crane", "agent");
    let again = acme.admin.patch(&path_of(&acme, &carol), &json!({"role": "agent"})).is(200);
    assert_eq!(
        (&again.body["changes"], &again.body["rights_gained"], again.body.get("undo")),
        (&json!([]), &json!([]), None)
    );
    let repeated = || {
        let body = json!({"role": "read_only"});
        acme.admin.send("PATCH", &path_of(&acme, &carol), &[("idempotency-key", "once")], Some(&body)).is(200)
    };
    repeated();
    let second = repeated();
    assert_eq!((&second.body["changes"], second.body.get("undo")), (&json!([]), None));
    let nobody = acme.admin.patch(&path_of(&acme, &carol), &json!({"role": 1}));
    nobody.refused(422, "invalid-fields");
}

async fn changes_are_undone_as_the_response_says(service: &'static SharedService) {
    let acme = service.organization().await;
    let vendors = format!("/v1/organizations/{acme}/vendors");
    let vendor = acme.admin.post(&vendors, &json!({"name": "Harbour Tugs", "services": ["towage"]})).is(201);
    let vendor = format!("{vendors}/{}", vendor.id());
    let archived = acme.admin.post(&format!("{vendor}/archive"), &json!({})).is(200);
    assert_eq!(changes(&archived)[0].0, "status", "{archived:?}");
    undo(&acme.admin, &archived).is(200);
    assert_eq!(acme.admin.get(&vendor).is(200).body["status"], "active");
    let new = json!({"name": "Cleo", "email": acme.email("cleo"), "role": "agent"});
    let users = format!("/v1/organizations/{acme}/users");
    let dry = acme.admin.post(&format!("{users}?dry_run=true"), &new).is(200);
    assert_eq!(dry.body.get("undo"), None, "nothing was created that could be revoked");
    assert!(changes(&dry).contains(&("name".to_owned(), Value::Null, json!("Cleo"))), "{dry:?}");
    let invited = acme.admin.post(&users, &new).is(201);
    undo(&acme.admin, &invited).is(200);
    assert_eq!(acme.admin.get(&format!("{users}/{}", invited.id())).is(200).body["status"], "registered");
    let renamed = acme.admin.patch(&format!("{users}/{}", invited.id()), &json!({"name": "Cleo Tanaka"})).is(200);
    assert_eq!(changes(&renamed), [("name".to_owned(), json!("Cleo"), json!("Cleo Tanaka"))]);
    undo(&acme.admin, &renamed).is(200);
    let ana = service.ana();
    let suspended = ana.post(&format!("/v1/organizations/{acme}/suspend"), &json!({"reason": "unpaid"})).is(200);
    undo(&ana, &suspended).is(200);
    let deactivated = ana.post(&format!("/v1/organizations/{acme}/deactivate"), &json!({"reason": "over"})).is(200);
    assert_eq!(deactivated.body.get("undo"), None, "it is for good");
}

async fn an_outdated_change_names_the_change_before(service: &'static SharedService) {
    let acme = service.organization().await;
    let carol = acme.join("carol", "Carol Crane", "agent");
    let path = path_of(&acme, &carol);
    let read = acme.admin.get(&path).is(200);
    acme.admin.patch(&path, &json!({"role": "read_only"})).is(200);
    let tag = [("if-match", read.header("etag"))];
    let stale = |caller: &Caller<'_>| caller.send("PATCH", &path, &tag, Some(&json!({"role": "auditor"})));
    let outdated = stale(&acme.admin).refused(412, "outdated").body;
    let current = acme.admin.get(&path).is(200).body;
    assert_eq!(outdated["current_version"], current["version"]);
    let last = &outdated["last_change"];
    assert_eq!(last["actor"], "Bob Fisher", "{outdated}");
    let entry = acme
        .admin
        .get(&format!("/v1/organizations/{acme}/audit-log?target={}&limit=1", current["id"].as_str().unwrap()));
    assert_eq!(last["summary"], entry.body["items"][0]["summary"]);
    assert_eq!(last["occurred_at"], entry.body["items"][0]["occurred_at"]);
    stale(&carol).refused(403, "forbidden");
    let other = service.organization().await;
    stale(&other.admin).refused(404, "organization-not-found");
    // A weak tag matches nothing, so it is outdated by no change.
    let weak = format!("W/{}", current["version"]);
    acme.admin
        .send("PATCH", &path, &[("if-match", &weak)], Some(&json!({"role": "auditor"})))
        .refused(422, "invalid-fields");
    // Staff of the platform is named by number to organizations, by name to staff.
    let ana = service.ana();
    ana.patch(&format!("/v1/organizations/{acme}"), &json!({"name": "Acme Ltd"})).is(200);
    let rename = |caller: &Caller<'_>| {
        let path = format!("/v1/organizations/{acme}");
        let answer = caller.send("PATCH", &path, &[("if-match", "\"1\"")], Some(&json!({"name": "Acme Inc"})));
        answer.refused(412, "outdated").body["last_change"]["actor"].as_str().unwrap().to_owned()
    };
    assert!(rename(&acme.admin).starts_with("PortTask staff "));
    assert!(rename(&ana).starts_with("PortTask staff "));
}

async fn an_outdated_change_does_not_show_the_resources_of_others(service: &'static SharedService) {
    let acme = service.organization().await;
    let carol = acme.join("carol", "Carol Crane", "agent");
    let foreign = format!("/v1/me/sessions/{}", acme.admin.session["id"].as_str().unwrap());
    let answer = carol.send("DELETE", &foreign, &[("if-match", "\"7\"")], None);
    assert_eq!((answer.body.get("current_version"), answer.body.get("last_change")), (None, None), "{answer:?}");
    let own = carol.send("PATCH", "/v1/me", &[("if-match", "\"7\"")], Some(&json!({"name": "Carol"})));
    assert_eq!(own.refused(412, "outdated").body["last_change"]["actor"], "Carol Crane");
}

async fn what_a_dry_run_shows_to_staff_is_recorded(service: &'static SharedService) {
    let acme = service.organization().await;
    let reads = || {
        let page = acme.admin.get("/v1/organizations/current/audit-log?action=staff_access.read&q=vendors").is(200);
        page.body["items"].as_array().unwrap().len()
    };
    let path = format!("/v1/organizations/{acme}/vendors?dry_run=true");
    let vendor = json!({"name": "Harbour Tugs", "services": ["towage"]});
    acme.admin.post(&path, &vendor).is(200);
    assert_eq!(reads(), 0);
    service.ana().post(&path, &vendor).is(200);
    by(Duration::from_secs(10), "the read is in the audit log", async || reads() == 1).await;
}
