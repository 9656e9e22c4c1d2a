//! The state of the service, for super admins.

use std::time::Duration;

use porttask_tests::{Store, by, on_both_engines, signal};
use serde_json::{Value, json};

use crate::{
    service::{ADMIN, Service, porttask},
    shared::SharedService,
};

on_both_engines!(
    super_admins_see_read_models_reactors_and_emails,
    nodes_report_that_they_run_until_they_are_shut_down,
    tasks_are_listed_by_state,
    a_task_that_is_not_dead_lettered_is_left_as_it_is,
    only_super_admins_retry_tasks,
    nobody_else_sees_the_state_of_the_service,
);

const PATHS: [&str; 5] =
    ["/v1/platform/nodes", "/v1/platform/views", "/v1/platform/reactors", "/v1/platform/tasks", "/v1/platform/mail"];

async fn super_admins_see_read_models_reactors_and_emails(service: &'static SharedService) {
    let ana = service.ana();
    let views = ana.get("/v1/platform/views").is(200);
    let items = views.body["items"].as_array().unwrap();
    let users = items.iter().find(|it| it["name"] == "users").unwrap_or_else(|| panic!("{views:?}"));
    assert_eq!(users["failures"], json!([]));
    assert!(users["events_behind"].is_u64() && users["version"].is_u64(), "{users}");
    let mail = async || {
        let reactors = ana.get("/v1/platform/reactors").is(200).body;
        (&reactors["items"][0]["name"], &reactors["items"][0]["held"]) == (&json!("mail"), &json!(null))
    };
    assert!(mail().await);
    let mail = ana.get("/v1/platform/mail").is(200).body;
    assert_eq!(mail["transport"], "folder");
    assert!(mail["folder"].as_str().unwrap().ends_with("/mail"), "{mail}");
}

async fn nodes_report_that_they_run_until_they_are_shut_down(store: Store) {
    let mut service = Service::start_with(&store, &[ADMIN[0], ADMIN[1], ("PORTTASK_NODE_NAME", "harbour")]);
    let ana = service.ana();
    let nodes = || ana.get("/v1/platform/nodes").is(200).body["items"].as_array().unwrap().clone();
    by(Duration::from_secs(20), "the node has reported", async || !nodes().is_empty()).await;
    let node = nodes().remove(0);
    assert_eq!(
        (&node["name"], &node["is_silent"], node["version"].as_str()),
        (&json!("harbour"), &json!(false), Some(env!("CARGO_PKG_VERSION")))
    );
    assert!(node["started_at"].is_string() && node["last_seen_at"].is_string() && node["run"].is_string(), "{node}");
    let listed = || String::from_utf8(porttask(&store, &["nodes", "list"]).output().unwrap().stdout).unwrap();
    assert!(
        listed().starts_with(&format!("harbour  {}  running  started ", env!("CARGO_PKG_VERSION"))),
        "{}",
        listed()
    );
    signal(service.pid(), libc::SIGTERM);
    assert!(service.wait());
    assert_eq!(listed(), "No nodes.\n");
}

async fn tasks_are_listed_by_state(store: Store) {
    // Nothing listens there, so emails wait.
    let smtp = ("PORTTASK_SMTP_URL", "smtp://127.0.0.1:9");
    let service = Service::start_with(&store, &[ADMIN[0], ADMIN[1], smtp]);
    let ana = service.ana();
    assert_eq!(ana.get("/v1/platform/mail").is(200).body, json!({"transport": "smtp", "folder": null}));
    for domain in ["one.example", "two.example", "three.example"] {
        service.create_organization(&ana, domain);
    }
    let pending = || ana.get("/v1/platform/tasks?state=pending").is(200).body["items"].as_array().unwrap().clone();
    let all_failed = async || pending().iter().filter(|task| task["last_error"].is_string()).count() == 3;
    by(Duration::from_secs(20), "each email was attempted", all_failed).await;
    let task = &pending()[0];
    assert_eq!(
        (&task["reactor"], &task["kind"], &task["state"]),
        (&json!("mail"), &json!("invitation"), &json!("pending"))
    );
    assert!(task["next_attempt_at"].is_string() && task["attempts"].as_u64().unwrap() > 0, "{task}");
    assert_eq!(ana.get("/v1/platform/tasks?state=dead").is(200).body["items"], json!([]));
    let (mut cursor, mut seen) = (String::new(), Vec::new());
    loop {
        let page = ana.get(&format!("/v1/platform/tasks?limit=1{cursor}")).is(200).body;
        seen.extend(page["items"].as_array().unwrap().iter().map(|task| task["id"].clone()));
        let Value::String(next) = &page["next_cursor"] else { break };
        cursor = format!("&cursor={next}");
    }
    let ids: Vec<Value> = pending().iter().map(|task| task["id"].clone()).collect();
    assert_eq!(seen, ids);
    for wrong in ["state=lost", "limit=0", "limit=201", "cursor=x", "q=x"] {
        ana.get(&format!("/v1/platform/tasks?{wrong}")).refused(422, "invalid-fields");
    }
}

async fn a_task_that_is_not_dead_lettered_is_left_as_it_is(store: Store) {
    let smtp = ("PORTTASK_SMTP_URL", "smtp://127.0.0.1:9");
    let service = Service::start_with(&store, &[ADMIN[0], ADMIN[1], smtp]);
    let ana = service.ana();
    service.create_organization(&ana, "one.example");
    let tasks = || ana.get("/v1/platform/tasks").is(200).body["items"].as_array().unwrap().clone();
    by(Duration::from_secs(20), "there is a task", async || tasks().len() == 1).await;
    let id = tasks()[0]["id"].as_str().unwrap().to_owned();
    let left = ana.post(&format!("/v1/platform/tasks/{id}/retry"), &json!({})).is(200).body;
    assert_eq!((&left["events"], left.get("position")), (&json!([]), None));
    let trail = ana.get("/v1/platform/audit-log?action=task.retried").is(200).body;
    assert_eq!(trail["items"], json!([]));
}

async fn only_super_admins_retry_tasks(service: &'static SharedService) {
    let unknown = "/v1/platform/tasks/tsk_01h455vb4pex5vsknk084sn02q/retry";
    service.ana().post(unknown, &json!({})).refused(404, "task-not-found");
    service.ana().post("/v1/platform/tasks/1/retry", &json!({})).refused(404, "task-not-found");
    let acme = service.organization().await;
    let carol = acme.join("carol", "Carol Crane", "auditor");
    service.send("POST", unknown, &[], Some(&json!({}))).refused(401, "unauthenticated");
    for caller in [&acme.admin, &carol] {
        caller.post(unknown, &json!({})).refused(403, "forbidden");
    }
}

async fn nobody_else_sees_the_state_of_the_service(service: &'static SharedService) {
    let acme = service.organization().await;
    let carol = acme.join("carol", "Carol Crane", "auditor");
    for path in PATHS {
        service.send("GET", path, &[], None).refused(401, "unauthenticated");
        for caller in [&acme.admin, &carol] {
            caller.get(path).refused(403, "forbidden");
        }
    }
}
