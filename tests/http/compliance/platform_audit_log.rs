//! The platform's audit trail: what staff, keys of the platform and operators did in any organization.

use std::time::Duration;

use porttask_tests::{Store, by, on_both_engines};
use serde_json::{Value, json};

use crate::{
    openapi::PLATFORM,
    service::{Answer, Caller, Service, porttask},
};

on_both_engines!(
    what_the_platform_does_is_in_one_trail,
    a_reader_in_ascending_order_misses_nothing,
    auditors_of_the_platform_read_the_trail_and_nothing_else,
    the_trail_is_exported_by_staff_and_auditors_of_the_platform_only,
    the_command_line_exports_the_trail,
);

const TRAIL: &str = "/v1/platform/audit-log";

fn trail(reader: &Caller<'_>, query: &str) -> Vec<Value> {
    reader.get(&format!("{TRAIL}{query}")).is(200).body["items"].as_array().unwrap().clone()
}

fn of<'a>(entries: &'a [Value], member: &str) -> Vec<&'a str> {
    entries.iter().map(|entry| entry[member].as_str().unwrap()).collect()
}

async fn what_the_platform_does_is_in_one_trail(store: Store) {
    let service = Service::start(&store);
    let (acme, bob) = service.found(&store, "acme.example").await;
    let (beta, _) = service.found(&store, "beta.example").await;
    let ana = service.ana();
    bob.patch("/v1/organizations/current", &json!({"name": "Acme Ports"})).is(200);
    ana.post(&format!("/v1/organizations/{acme}/suspend"), &json!({"reason": "unpaid"})).is(200);
    ana.post(&format!("/v1/organizations/{acme}/reactivate"), &json!({})).is(200);
    let user = bob.session["user"].as_str().unwrap();
    let path = format!("/v1/organizations/{acme}/users/{user}/impersonate");
    let staff = service.with_token(&ana.post(&path, &json!({"reason": "ticket 7"})).is(201).body["token"]);
    staff.patch("/v1/organizations/current", &json!({"name": "Acme 3"})).is(200);
    let scopes = json!({"name": "robot", "scopes": ["organizations:write", "audit_log:read"]});
    let key = ana.post("/v1/organizations/current/api-keys", &scopes).is(201).body;
    let robot = service.with_token(&key["token"]);
    robot.patch(&format!("/v1/organizations/{beta}"), &json!({"name": "Beta 2"})).is(200);
    let exported = porttask(&store, &["export", "audit", "--organization", "beta.example"]).output().unwrap();
    assert!(exported.status.success());

    let id = ana.session["user"].as_str().unwrap();
    by(Duration::from_secs(10), "what another node recorded is in the trail", async || {
        trail(&ana, "?actor=platform&action=export").len() == 1
    })
    .await;
    let in_acme = trail(&ana, &format!("?organization=acme.example&actor={id}&sort=occurred_at&action=organization"));
    // The last ten seconds are not shown in ascending order.
    assert_eq!(in_acme, [Value::Null; 0]);
    let in_acme = trail(&ana, &format!("?organization=acme.example&actor={id}&action=organization"));
    let actions =
        ["organization.renamed", "organization.reactivated", "organization.suspended", "organization.created"];
    assert_eq!(of(&in_acme, "action"), actions, "also while impersonating, and not what Bob did");
    assert!(in_acme.iter().all(|entry| entry["organization"] == acme.as_str()));
    assert_eq!(in_acme[1]["actor"]["email"], "ana@platform.example");
    let by_key = trail(&ana, &format!("?actor={}", key["id"].as_str().unwrap()));
    assert_eq!((of(&by_key, "action"), of(&by_key, "organization")), (vec!["organization.renamed"], vec![&*beta]));
    // The platform's own log.
    let own = trail(&robot, &format!("?organization={PLATFORM}&action=api_key.created"));
    assert_eq!(own.len(), 1);
    // All of it, page by page, in the same order.
    let whole = trail(&ana, "?limit=200");
    let (mut paged, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = ana.get(&format!("{TRAIL}?limit=3{cursor}")).is(200).body;
        paged.extend(page["items"].as_array().unwrap().clone());
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(of(&paged, "id"), of(&whole, "id"));
    assert!(whole.len() > 10 && of(&whole, "occurred_at").is_sorted_by(|one, next| one >= next), "{whole:?}");
    for (query, pointer) in [
        ("organization=nowhere.example", "organization"),
        ("actor=ana", "actor"),
        ("action=User", "action"),
        ("from=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z", "until"),
        ("sort=action", "sort"),
    ] {
        let refused = ana.get(&format!("{TRAIL}?{query}")).refused(422, "invalid-fields");
        assert_eq!(refused.body["errors"][0]["pointer"], pointer, "{query}");
    }
    bob.get(TRAIL).refused(401, "unauthenticated");
    service.sign_in("bob@acme.example").get(TRAIL).refused(403, "forbidden");
}

async fn a_reader_in_ascending_order_misses_nothing(store: Store) {
    let service = Service::start(&store);
    service.found(&store, "acme.example").await;
    let ana = service.ana();
    let recent = trail(&ana, "?limit=200");
    by(Duration::from_secs(20), "the entries are older than ten seconds", async || {
        let ascending = trail(&ana, "?sort=occurred_at&limit=200");
        ascending.len() >= recent.len()
    })
    .await;
    let ascending = trail(&ana, "?sort=occurred_at&limit=200");
    let mut ids = of(&recent, "id");
    ids.reverse();
    assert_eq!(of(&ascending, "id")[..ids.len()], ids);
    // A cursor stays valid although the end has moved.
    let page = ana.get(&format!("{TRAIL}?sort=occurred_at&limit=2")).is(200).body;
    let next = page["next_cursor"].as_str().unwrap();
    let page = ana.get(&format!("{TRAIL}?sort=occurred_at&limit=2&cursor={next}")).is(200).body;
    assert_eq!(of(page["items"].as_array().unwrap(), "id"), ids[2..4]);
}

async fn auditors_of_the_platform_read_the_trail_and_nothing_else(store: Store) {
    let service = Service::start(&store);
    let (acme, bob) = service.found(&store, "acme.example").await;
    let new = json!({"name": "Vera", "email": "vera@platform.example", "role": "platform_auditor"});
    let refused = bob.post("/v1/organizations/current/users", &new);
    assert_eq!(refused.status, 422, "only in the platform's organization: {refused:?}");
    let ana = service.ana();
    let id = ana.post("/v1/organizations/current/users", &new).is(201).id().to_owned();
    service.accept(&store, PLATFORM, &id).await.is(200);
    let vera = service.sign_in("vera@platform.example");
    assert!(trail(&vera, "").len() > 3);
    let rights = vera.get("/v1/me/permissions").is(200).body["rights"].clone();
    assert_eq!(rights, json!(["account:own", "platform_audit_log:read"]));
    for path in ["", "/users", "/api-keys", "/audit-log", "/vendors", "/port-calls", "/service-orders"] {
        vera.get(&format!("/v1/organizations/current{path}")).refused(403, "forbidden");
        vera.get(&format!("/v1/organizations/{acme}{path}")).refused(403, "forbidden");
    }
    vera.get("/v1/platform/users?q=bob").refused(403, "forbidden");
    vera.get("/v1/organizations").refused(403, "forbidden");
}

fn lines(export: &Answer) -> Vec<Value> {
    match export.body.as_str() {
        Some(text) => text.lines().map(|line| serde_json::from_str(line).unwrap()).collect(),
        None => vec![export.body.clone()], // A single line is JSON itself.
    }
}

async fn the_trail_is_exported_by_staff_and_auditors_of_the_platform_only(store: Store) {
    let service = Service::start(&store);
    let (acme, bob) = service.found(&store, "acme.example").await;
    let (beta, _) = service.found(&store, "beta.example").await;
    let ana = service.ana();
    for organization in [&acme, &beta] {
        ana.post(&format!("/v1/organizations/{organization}/suspend"), &json!({"reason": "=unpaid"})).is(200);
        ana.post(&format!("/v1/organizations/{organization}/reactivate"), &json!({})).is(200);
    }
    let new = json!({"name": "Vera", "email": "vera@platform.example", "role": "platform_auditor"});
    let id = ana.post("/v1/organizations/current/users", &new).is(201).id().to_owned();
    service.accept(&store, PLATFORM, &id).await.is(200);
    let vera = service.sign_in("vera@platform.example");
    let export = |by: &Caller<'_>, body: &Value| by.post(&format!("{TRAIL}/export"), body);

    let csv = export(&vera, &json!({"format": "csv"})).is(200);
    assert!(csv.header("content-type").starts_with("text/csv"), "{csv:?}");
    assert!(csv.header("content-disposition").contains("platform-audit-log-exp_"), "{csv:?}");
    let text = csv.body.as_str().unwrap();
    assert!(text.starts_with("\u{feff}recorded_at,id,action"), "{text}");
    assert!(text.lines().next().unwrap().ends_with(",user_agent,organization"), "{text}");
    let last = text.lines().last().unwrap();
    assert!(last.contains("exported the platform's audit log as CSV") && last.ends_with(PLATFORM), "{last}");
    let plain = export(&vera, &json!({"format": "csv", "bom": false})).is(200);
    assert!(plain.body.as_str().unwrap().starts_with("recorded_at,"), "{plain:?}");

    let all = lines(&export(&ana, &json!({"format": "json"})).is(200));
    let mut listed = trail(&ana, "?limit=200");
    listed.reverse();
    assert_eq!(of(&all, "id")[..], of(&listed, "id")[..all.len()]);
    assert_eq!(all.last().unwrap()["action"], "export.platform_audit_log_taken");
    assert_eq!(all.last().unwrap()["actor"]["email"], "ana@platform.example");
    let selection = json!({"organization": "acme.example", "action": "organization.suspended",
        "actor": ana.session["user"]});
    let chosen = lines(&export(&vera, &json!({"format": "json", "selection": selection})).is(200));
    assert_eq!(of(&chosen, "organization"), [acme.as_str()]);
    assert_eq!(of(&chosen, "action"), ["organization.suspended"]);

    let recorded = trail(&ana, "?action=export&limit=1");
    let changes = json!([{"field": "format", "to": "json"}, {"field": "organization", "to": acme}, {"field": "actor", "to": ana.session["user"]},
        {"field": "action", "to": "organization.suspended"}]);
    assert_eq!((&recorded[0]["changes"], &recorded[0]["actor"]["id"]), (&changes, &json!(id)));
    let dry = vera.post(&format!("{TRAIL}/export?dry_run=true"), &json!({"format": "csv"})).is(200);
    assert_eq!(dry.body["events"], json!(["export.platform_audit_log_taken"]));
    let send_once =
        || vera.send("POST", &format!("{TRAIL}/export"), &[("idempotency-key", "1")], Some(&json!({"format": "json"})));
    assert_eq!(send_once().is(200).body, send_once().is(200).body, "a repeated request gets the same export");

    for (body, pointer) in [
        (json!({"format": "pdf"}), "/format"),
        (json!({"format": "csv", "selection": {"organization": "nowhere.example"}}), "organization"),
        (json!({"format": "csv", "selection": {"actor": "ana"}}), "actor"),
        (json!({"format": "csv", "selection": {"action": "User"}}), "action"),
        (json!({"format": "csv", "selection": {"target": "usr_1"}}), "/selection/target"),
    ] {
        let refused = export(&vera, &body).refused(422, "invalid-fields");
        assert_eq!(refused.body["errors"][0]["pointer"], pointer, "{body}");
    }
    bob.get("/v1/me").refused(401, "unauthenticated");
    let bob_again = service.sign_in("bob@acme.example");
    export(&bob_again, &json!({"format": "csv"})).refused(403, "forbidden");
    let key = |scope: &str| {
        let key = ana.post("/v1/organizations/current/api-keys", &json!({"name": "robot", "scopes": [scope]}));
        service.with_token(&key.is(201).body["token"])
    };
    export(&key("users:read"), &json!({"format": "csv"})).refused(403, "forbidden");
    export(&key("audit_log:read"), &json!({"format": "csv"})).is(200);
    let user = bob.session["user"].as_str().unwrap();
    let path = format!("/v1/organizations/{acme}/users/{user}/impersonate");
    let staff = service.with_token(&ana.post(&path, &json!({"reason": "ticket 7"})).is(201).body["token"]);
    export(&staff, &json!({"format": "csv"})).refused(403, "forbidden");
    assert_eq!(service.send("POST", &format!("{TRAIL}/export"), &[], Some(&json!({"format": "csv"}))).status, 401);
}

async fn the_command_line_exports_the_trail(store: Store) {
    let service = Service::start(&store);
    let (acme, _) = service.found(&store, "acme.example").await;
    let ana = service.ana();
    ana.patch(&format!("/v1/organizations/{acme}"), &json!({"name": "Acme 2"})).is(200);
    let export =
        |more: &[&str]| porttask(&store, &[&["export", "audit", "--platform"], more].concat()).output().unwrap();
    let output = export(&["--format", "json", "--organization", "acme.example", "--action", "organization.renamed"]);
    assert!(output.status.success(), "{output:?}");
    let entry: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&entry["organization"], &entry["action"]), (&json!(acme), &json!("organization.renamed")));
    let whole = String::from_utf8(export(&["--bom", "false"]).stdout).unwrap();
    assert!(whole.starts_with("recorded_at,"), "{whole}");
    let last = whole.lines().last().unwrap();
    assert!(last.contains("operator") && last.contains("exported the platform's audit log as CSV"), "{last}");
    assert!(!export(&["--organization", "nowhere.example"]).status.success());
    assert!(!export(&["--text", "renamed"]).status.success());
}
