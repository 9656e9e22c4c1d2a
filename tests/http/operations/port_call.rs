//! Port calls: created, changed, deleted, listed, and who may.

use std::time::{Duration, Instant};

use porttask_tests::on_both_engines;
use serde_json::{Value, json};

use crate::{
    service::{Answer, Caller, porttask},
    shared::SharedService,
};

on_both_engines!(
    a_port_call_is_created_and_changed,
    a_port_that_is_not_in_the_list_is_named_by_the_request,
    all_faults_of_a_port_call_are_reported_at_once,
    the_agent_is_an_active_admin_or_agent,
    port_calls_are_listed_searched_filtered_and_exported,
    port_calls_belong_to_an_organization_and_low_roles_only_read,
    an_api_key_needs_a_scope_of_operations,
    a_deleted_port_call_leaves_the_listings_and_counts_still,
    open_port_calls_are_handed_over_when_their_agent_is_deactivated,
);

pub(super) const CALLS: &str = "/v1/organizations/current/port-calls";

/// A port call of a vessel at Santos, at times of the port.
pub(super) fn call(vessel: &str, eta: &str, etd: &str) -> Value {
    json!({"port": {"unlocode": "BRSSZ"}, "vessel": vessel, "imo": "9074729", "eta": eta, "etd": etd})
}

pub(super) fn anna() -> Value {
    call("MSC Anna", "2026-12-03T08:30", "2026-12-04T18:00")
}

/// Creates a port call; its path.
#[track_caller]
pub(super) fn create(caller: &Caller<'_>, call: &Value) -> String {
    let created = caller.post(CALLS, call).is(201);
    assert!(created.header("location").ends_with(created.id()), "{created:?}");
    format!("{CALLS}/{}", created.id())
}

/// The pointers of what is wrong, in order.
pub(super) fn pointers(answer: &Answer) -> Vec<&str> {
    let errors = answer.body["errors"].as_array().unwrap();
    let mut pointers: Vec<&str> = errors.iter().map(|error| error["pointer"].as_str().unwrap()).collect();
    pointers.sort_unstable();
    pointers
}

/// With other members.
pub(super) fn with(call: &Value, members: Value) -> Value {
    let (mut call, Value::Object(members)) = (call.clone(), members) else { panic!("no members") };
    call.as_object_mut().unwrap().extend(members);
    call
}

async fn a_port_call_is_created_and_changed(service: &'static SharedService) {
    let acme = service.organization().await;
    let (bob, ida) = (&acme.admin, acme.join("ida", "Ida Lund", "agent"));
    let path = create(bob, &with(&anna(), json!({"voyage": "NX648R", "reference": "A-118"})));
    let shown = bob.get(&path).is(200);
    assert_eq!((shown.header("etag"), &shown.body["status"]), ("\"1\"", &json!("planned")));
    assert_eq!(shown.body["port"]["name"], "Santos");
    assert_eq!(shown.body["eta"], "2026-12-03T11:30:00Z", "a time without an offset is that of the port");
    assert_eq!((&shown.body["agent"], &shown.body["agent_name"]), (&bob.session["user"], &json!("Bob Fisher")));
    assert_eq!(shown.body["statuses"], json!([{"status": "planned", "occurred_at": null, "remark": null}]));

    let patch = json!({"port": {"unlocode": "PTLIS"}, "vessel": "MSC Anita", "imo": "IMO 9176187", "voyage": null,
        "eta": "2026-12-05T06:00Z", "etd": "2026-12-06T09:15", "agent": ida.session["user"]});
    let changed = bob.patch(&path, &patch).is(200);
    let events = ["port", "vessel", "voyage", "schedule", "agent"].map(|it| format!("port_call.{it}_changed"));
    assert_eq!(changed.body["events"], json!(events));
    assert_eq!(bob.patch(&path, &patch).is(200).body["events"], json!([]), "a repetition yields no events");
    let shown = bob.get(&path).is(200).body;
    assert_eq!((&shown["vessel"], &shown["imo"]), (&json!("MSC Anita"), &json!("9176187")));
    assert_eq!((&shown["voyage"], &shown["reference"]), (&Value::Null, &json!("A-118")));
    assert_eq!(shown["etd"], "2026-12-06T09:15:00Z", "in the time zone of the new port");
    assert_eq!((&shown["agent_name"], &shown["port"]["time_zone"]), (&json!("Ida Lund"), &json!("Europe/Lisbon")));
    bob.send("PATCH", &path, &[("if-match", "\"1\"")], Some(&json!({"vessel": "Late"}))).refused(412, "outdated");
    let dry = bob.patch(&format!("{path}?dry_run=true"), &json!({"vessel": "Never"})).is(200);
    assert_eq!(dry.body["changes"], json!([{"field": "vessel", "from": "MSC Anita", "to": "Never"}]));
    assert_eq!(bob.get(&path).is(200).body["vessel"], "MSC Anita");

    let key = [("idempotency-key", "one")];
    let first = bob.send("POST", CALLS, &key, Some(&anna())).is(201);
    assert_eq!(bob.send("POST", CALLS, &key, Some(&anna())).id(), first.id(), "a repetition creates no second one");
    let log = bob.get("/v1/organizations/current/audit-log?action=port_call&q=lisboa").is(200);
    assert_eq!(log.body["items"][0]["summary"], "moved the port call from Santos to Lisboa");
}

async fn a_port_that_is_not_in_the_list_is_named_by_the_request(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let at = |port: Value| with(&anna(), json!({"port": port}));
    let refused = bob.post(CALLS, &at(json!({"unlocode": "XXQQQ"}))).refused(422, "invalid-fields");
    assert_eq!(pointers(&refused), ["/port/country", "/port/name", "/port/time_zone"]);
    let quay = json!({"unlocode": "xx qqq", "name": "Quay", "country": "Nowhere", "time_zone": "Asia/Tokyo"});
    let shown = bob.get(&create(bob, &at(quay))).is(200).body;
    assert_eq!((&shown["port"]["unlocode"], &shown["eta"]), (&json!("XXQQQ"), &json!("2026-12-02T23:30:00Z")));
    // In the list without a time zone.
    let refused = bob.post(CALLS, &at(json!({"unlocode": "BRVLC"}))).refused(422, "invalid-fields");
    assert_eq!(pointers(&refused), ["/port/time_zone"]);
    create(bob, &at(json!({"unlocode": "BRVLC", "time_zone": "America/Belem"})));
    let other = json!({"unlocode": "BRSSZ", "name": "Rio", "time_zone": "Mars/Base"});
    assert_eq!(pointers(&bob.post(CALLS, &at(other)).refused(422, "invalid-fields")), ["/port/time_zone"]);
    let other = json!({"unlocode": "BRSSZ", "name": "Rio", "country": "Brazil"});
    assert_eq!(pointers(&bob.post(CALLS, &at(other)).refused(422, "invalid-fields")), ["/port/name"]);
}

async fn all_faults_of_a_port_call_are_reported_at_once(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let bad = json!({"port": {"unlocode": "Santos", "colour": "red"}, "vessel": "", "imo": "9074728", "voyage": "a\nb",
        "eta": "soon", "agent": "me", "rank": 1});
    let refused = bob.post(CALLS, &bad).refused(422, "invalid-fields");
    let expected = ["/agent", "/eta", "/etd", "/imo", "/port/colour", "/port/unlocode", "/rank", "/vessel", "/voyage"];
    assert_eq!(pointers(&refused), expected, "{refused:?}");
    let backwards = call("MSC Anna", "2026-12-04T18:00", "2026-12-03T08:30");
    bob.post(CALLS, &backwards).refused(422, "port-call-departs-before-arrival");
    for eta in ["1999-12-31T00:00Z", "2100-01-01T00:00Z", "2026-12-03"] {
        let refused = bob.post(CALLS, &call("MSC Anna", eta, "2026-12-04T18:00")).refused(422, "invalid-fields");
        assert_eq!(pointers(&refused), ["/eta"], "{eta}");
    }
    let path = create(bob, &anna());
    bob.patch(&path, &json!({"eta": "2026-12-05T00:00Z"})).refused(422, "port-call-departs-before-arrival");
    for bad in [json!({"vessel": null}), json!({"imo": "1"}), json!({"status": "closed"}), json!({"reference": "B"})] {
        bob.patch(&path, &bad).refused(422, "invalid-fields");
    }
    for bad in ["status=gone", "phase=gone", "port=Santos", "agent=bob", "eta_from=soon", "sort=port", "colour=red"] {
        assert_eq!(bob.get(&format!("{CALLS}?{bad}")).status, 422, "{bad}");
    }
    bob.get(&format!("{CALLS}/call_00000000000000000000000042")).refused(404, "port-call-not-found");
    bob.get(&format!("{CALLS}/anna")).refused(404, "port-call-not-found");
}

async fn the_agent_is_an_active_admin_or_agent(service: &'static SharedService) {
    let acme = service.organization().await;
    let (bob, ida) = (&acme.admin, acme.join("ida", "Ida Lund", "agent"));
    let reader = acme.join("cleo", "Cleo Reader", "read_only");
    let invited = acme.invite("gus", "Gus Later", "agent");
    let by = |agent: &Value| with(&anna(), json!({"agent": agent}));
    for agent in [&reader.session["user"], &json!(invited), &json!("usr_00000000000000000000000042")] {
        let refused = bob.post(CALLS, &by(agent)).refused(422, "invalid-fields");
        assert_eq!(pointers(&refused), ["/agent"], "{agent}");
    }
    let path = create(&ida, &by(&ida.session["user"]));
    bob.patch(&path, &json!({"agent": reader.session["user"]})).refused(422, "invalid-fields");
    let agents = reader.get(&format!("{CALLS}/agents")).is(200).body;
    let names: Vec<&str> = agents["items"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["Bob Fisher", "Ida Lund"]);
    let user = ida.session["user"].as_str().unwrap();
    bob.post(&format!("/v1/organizations/current/users/{user}/deactivate"), &json!({})).is(200);
    bob.post(CALLS, &by(&ida.session["user"])).refused(422, "invalid-fields");
    bob.patch(&path, &json!({"vessel": "MSC Anita", "agent": user})).is(200);
    // Staff is of no organization: somebody of it is responsible.
    let refused = service.ana().post(&CALLS.replace("current", &acme.id), &anna()).refused(422, "invalid-fields");
    assert_eq!(pointers(&refused), ["/agent"]);
}

async fn port_calls_are_listed_searched_filtered_and_exported(service: &'static SharedService) {
    let acme = service.organization().await;
    let (bob, ida) = (&acme.admin, acme.join("ida", "Ida Lund", "agent"));
    let first = create(bob, &with(&call("Águia", "2026-12-03T08:30Z", "2026-12-04T18:00Z"), json!({"voyage": "V77"})));
    create(&ida, &with(&call("Boreas", "2026-12-02T08:30Z", "2026-12-09T18:00Z"), json!({"imo": "9176187"})));
    let third = call("Ceres", "2026-12-05T08:30Z", "2026-12-06T18:00Z");
    let third = create(bob, &with(&third, json!({"port": {"unlocode": "PTLIS"}, "reference": "A-118"})));
    bob.post(&format!("{third}/cancel"), &json!({})).is(200);
    bob.post(&format!("{first}/status"), &json!({"status": "confirmed"})).is(200);
    let agent = ida.session["user"].as_str().unwrap();
    for (query, expected) in [
        ("".to_owned(), &["Boreas", "Águia", "Ceres"][..]),
        ("?sort=-vessel".to_owned(), &["Ceres", "Boreas", "Águia"]),
        ("?sort=created_at&limit=2".to_owned(), &["Águia", "Boreas"]),
        ("?q=aguia".to_owned(), &["Águia"]),
        ("?q=9176187".to_owned(), &["Boreas"]),
        ("?q=lisboa".to_owned(), &["Ceres"]),
        ("?q=a-118".to_owned(), &["Ceres"]),
        ("?q=v77".to_owned(), &["Águia"]),
        ("?status=planned".to_owned(), &["Boreas"]),
        ("?phase=expected".to_owned(), &["Boreas", "Águia"]),
        ("?phase=finished&port=PTLIS".to_owned(), &["Ceres"]),
        ("?port=br%20ssz".to_owned(), &["Boreas", "Águia"]),
        (format!("?agent={agent}"), &["Boreas"]),
        ("?eta_from=2026-12-03T08:30:00Z&eta_until=2026-12-05T08:30:00Z".to_owned(), &["Águia"]),
    ] {
        let listed = bob.get(&format!("{CALLS}{query}")).is(200).body;
        let vessels: Vec<&str> =
            listed["items"].as_array().unwrap().iter().map(|it| it["vessel"].as_str().unwrap()).collect();
        assert_eq!(vessels, expected, "{query}");
    }
    assert_eq!(bob.get(&format!("{CALLS}?count=true&phase=expected")).is(200).body["total"], 2);
    let csv = ida.get(&format!("{CALLS}?format=csv&phase=expected")).is(200);
    let lines: Vec<&str> = csv.body.as_str().unwrap().lines().collect();
    assert!(lines[0].starts_with("\u{feff}id,reference,vessel,imo,voyage,port,"), "{lines:?}");
    assert!(lines.len() == 3 && lines[1].contains(",Boreas,9176187,,BRSSZ,Santos,Brazil,"), "{lines:?}");
    // Exports say no position: the entry is there once the read model has caught up.
    let deadline = Instant::now() + Duration::from_secs(20);
    let log = loop {
        let log = bob.get("/v1/organizations/current/audit-log?action=export.port_calls_taken").is(200).body;
        if log["items"][0].is_object() || Instant::now() >= deadline {
            break log;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    assert_eq!(log["items"][0]["summary"], "exported port calls as CSV");
    let changes = json!([{"field": "format", "to": "csv"}, {"field": "phase", "to": "expected"}]);
    assert_eq!(log["items"][0]["changes"], changes);
}

async fn port_calls_belong_to_an_organization_and_low_roles_only_read(service: &'static SharedService) {
    let (acme, umbra) = (service.organization().await, service.organization().await);
    let path = create(&acme.admin, &anna());
    umbra.admin.get(&path.replace("current", &acme.id)).refused(404, "organization-not-found");
    umbra.admin.get(&path).refused(404, "port-call-not-found");
    umbra.admin.patch(&path, &json!({"vessel": "Mine"})).refused(404, "port-call-not-found");
    for (command, body) in [("status", json!({"status": "confirmed"})), ("cancel", json!({})), ("reopen", json!({}))] {
        umbra.admin.post(&format!("{path}/{command}"), &body).refused(404, "port-call-not-found");
    }
    umbra.admin.delete(&path).refused(404, "port-call-not-found");
    assert_eq!(umbra.admin.get(CALLS).is(200).body["items"], json!([]));
    for role in ["read_only", "auditor"] {
        let reader = acme.join(&role.replace('_', "-"), "Cleo Reader", role);
        assert_eq!(reader.get(&path).is(200).body["vessel"], "MSC Anna");
        reader.post(CALLS, &anna()).refused(403, "forbidden");
        reader.patch(&path, &json!({"vessel": "Mine"})).refused(403, "forbidden");
        reader.post(&format!("{path}/status"), &json!({"status": "confirmed"})).refused(403, "forbidden");
        reader.post(&format!("{path}/cancel"), &json!({})).refused(403, "forbidden");
        reader.delete(&path).refused(403, "forbidden");
        reader.upload(&format!("{CALLS}/import"), &[], "vessel,imo,port,eta,etd\n").refused(403, "forbidden");
    }
    let staff = service.ana();
    assert_eq!(staff.get(&path.replace("current", &acme.id)).is(200).body["vessel"], "MSC Anna");
}

async fn an_api_key_needs_a_scope_of_operations(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let keys = "/v1/organizations/current/api-keys";
    let key = |caller: &Caller<'_>, scopes: Value| {
        let created = caller.post(keys, &json!({"name": "sync", "scopes": scopes})).is(201).body;
        (created["id"].as_str().unwrap().to_owned(), service.with_token(&created["token"]))
    };
    let ((_, none), (id, reader), (_, writer)) =
        (key(bob, json!([])), key(bob, json!(["operations:read"])), key(bob, json!(["operations:write"])));
    none.get(CALLS).refused(403, "forbidden");
    none.post(CALLS, &anna()).refused(403, "forbidden");
    reader.get(CALLS).is(200);
    reader.post(CALLS, &anna()).refused(403, "forbidden");
    let path = create(&writer, &anna());
    assert_eq!(writer.get(&path).is(200).body["agent"], bob.session["user"], "its owner is responsible");
    writer.post(&format!("{path}/cancel"), &json!({})).is(200);
    writer.post(&format!("{path}/reopen"), &json!({})).refused(403, "forbidden");
    let file = "vessel,imo,voyage,port,eta,etd\nCeres,9176187,V1,PTLIS,2026-12-05 08:30,2026-12-06 18:00\n";
    assert_eq!(writer.upload(&format!("{CALLS}/import"), &[], file).is(200).body["created"], 1);
    let shown = bob.get(&format!("{keys}/{id}")).is(200).body;
    assert_eq!(shown["scopes"], json!(["operations:read"]));
    assert_eq!(shown["permissions"]["administration"], "write");
    bob.post(keys, &json!({"name": "x", "scopes": ["users:read"]})).refused(422, "api-key-needs-permissions");
    let ana = service.ana();
    ana.post(keys, &json!({"name": "x", "scopes": ["operations:read"]})).refused(422, "api-key-needs-scopes");
    // With the owner's role, the key loses what it may do.
    let carol = acme.join("carol", "Carol Crane", "admin");
    let (_, robot) = key(&carol, json!(["operations:write"]));
    robot.patch(&path, &json!({"vessel": "MSC Anna"})).is(200);
    let user = carol.session["user"].as_str().unwrap();
    bob.patch(&format!("/v1/organizations/current/users/{user}"), &json!({"role": "auditor"})).is(200);
    robot.get(CALLS).is(200);
    robot.patch(&path, &json!({"vessel": "MSC Anna"})).refused(403, "forbidden");
}

async fn a_deleted_port_call_leaves_the_listings_and_counts_still(service: &'static SharedService) {
    let acme = service.organization().await;
    let (bob, ida) = (&acme.admin, acme.join("ida", "Ida Lund", "agent"));
    let planned = create(&ida, &anna());
    let deleted = ida.delete(&planned).is(200);
    assert_eq!(deleted.body["events"], json!(["port_call.deleted"]));
    assert_eq!(ida.delete(&planned).is(200).body["events"], json!([]));
    ida.get(&planned).refused(404, "port-call-not-found");
    ida.patch(&planned, &json!({"vessel": "Late"})).refused(404, "port-call-not-found");
    let confirmed = create(&ida, &anna());
    ida.post(&format!("{confirmed}/status"), &json!({"status": "confirmed"})).is(200);
    ida.delete(&confirmed).refused(409, "port-call-not-deletable");
    bob.delete(&confirmed).is(200);
    assert_eq!(bob.get(CALLS).is(200).body["items"], json!([]));
    let id = planned.rsplit('/').next().unwrap();
    let log = bob.get(&format!("/v1/organizations/current/audit-log?target={id}&action=port_call")).is(200).body;
    let summaries: Vec<&str> =
        log["items"].as_array().unwrap().iter().map(|it| it["summary"].as_str().unwrap()).collect();
    assert_eq!(summaries, ["deleted the port call", "created the port call of MSC Anna at Santos"]);
    let month = &log["items"][1]["changes"].as_array().unwrap().last().unwrap()["to"];
    let expected = &log["items"][1]["occurred_at"].as_str().unwrap()[..10];
    assert_eq!(month, expected, "the usage month begins with the trial, in UTC");
    let verified = porttask(service.store(), &["constraints", "verify"]).output().unwrap();
    assert!(verified.status.success(), "{verified:?}");
}

async fn open_port_calls_are_handed_over_when_their_agent_is_deactivated(service: &'static SharedService) {
    let acme = service.organization().await;
    let (cleo, dana) = (acme.join("cleo", "Cleo Tanaka", "agent"), acme.join("dana", "Dana Petrova", "agent"));
    let reader = acme.join("rita", "Rita Reader", "read_only");
    let id = |caller: &Caller<'_>| caller.session["user"].as_str().unwrap().to_owned();
    let (open, canceled) = (create(&cleo, &anna()), create(&cleo, &anna()));
    cleo.post(&format!("{canceled}/cancel"), &json!({})).is(200);
    let path = format!("/v1/organizations/{acme}/users/{}/deactivate", id(&cleo));
    for successor in [id(&reader), id(&cleo), acme.admin.session["id"].as_str().unwrap().replace("ses_", "usr_")] {
        let refused = acme.admin.post(&path, &json!({"hand_over_to": successor}));
        assert_eq!(pointers(&refused.refused(422, "invalid-fields")), ["/hand_over_to"]);
    }
    let body = json!({"hand_over_to": id(&dana)});
    let dry = acme.admin.post(&format!("{path}?dry_run=true"), &body).is(200);
    let done = acme.admin.post(&path, &body).is(200);
    for answer in [&dry, &done] {
        let expected = json!([open.rsplit('/').next().unwrap()]);
        assert_eq!((&answer.body["open_port_calls"], &answer.body["handed_over_to"]), (&expected, &json!(id(&dana))));
    }
    let agent = |path: &str| dana.get(path).is(200).body["agent"].clone();
    // They are changed after the user: another reader sees it once the read model has caught up.
    let deadline = Instant::now() + Duration::from_secs(20);
    while agent(&open) != json!(id(&dana)) {
        assert!(Instant::now() < deadline, "{}", agent(&open));
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(agent(&canceled), json!(id(&cleo)), "what is over stays as it was");
}
