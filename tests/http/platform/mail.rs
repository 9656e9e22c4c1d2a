//! Delivery of emails: failures become tasks that operators see, release and retry.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    time::{Duration, Instant},
};

use porttask_tests::{Store, on_both_engines};
use serde_json::json;

use crate::service::{ADMIN, Service, porttask};

on_both_engines!(
    ; waiting:
    an_email_that_cannot_be_sent_is_listed_as_a_task,
    a_rejected_email_is_dead_lettered_until_it_is_retried,
);

async fn an_email_that_cannot_be_sent_is_listed_as_a_task(store: Store) {
    // No server listens on this port.
    let url = ("PORTTASK_SMTP_URL", "smtp://nobody:hunter2@127.0.0.1:9");
    let service = Service::start_with(&store, &[url, ADMIN[0], ADMIN[1]]);
    let (acme, bob) = service.create_organization(&service.ana(), "acme.example");
    let deadline = Instant::now() + Duration::from_secs(20);
    let run = |arguments: &[&str]| porttask(&store, arguments).output().unwrap();
    loop {
        let output = run(&["tasks", "list", "--json"]);
        let printed = String::from_utf8(output.stdout).unwrap();
        if printed.contains("\"last_error\":\"") {
            let task: serde_json::Value = serde_json::from_str(printed.trim()).unwrap();
            assert_eq!((task["reactor"].as_str(), task["dead"].as_bool()), (Some("mail"), Some(false)), "{task}");
            assert!(task["last_error"].as_str().unwrap().to_lowercase().contains("connection"), "{task}");
            assert!(!printed.contains("hunter2") && !printed.contains("bob"), "{printed}");
            break;
        }
        assert!(Instant::now() < deadline, "{printed}");
        std::thread::sleep(Duration::from_millis(50));
    }
    let log = service.log();
    assert_eq!(log.matches("tasks fail and will be retried").count(), 1, "an outage is logged once: {log}");
    let ana = service.ana();
    let shown = ana.get(&format!("/v1/organizations/{acme}/users/{bob}")).is(200);
    let delivery = &shown.body["email_delivery"];
    assert_eq!((delivery["state"].as_str(), delivery["waiting"].as_u64()), (Some("deferred"), Some(1)), "{shown:?}");
    assert!(delivery["next_attempt_at"].is_string() && delivery["error"].as_str().is_some(), "{shown:?}");
    let listed = String::from_utf8(run(&["tasks", "list"]).stdout).unwrap();
    assert!(listed.contains("mail invitation") && listed.contains("1 attempts"), "{listed}");
    let dead = String::from_utf8(run(&["tasks", "list", "--dead"]).stdout).unwrap();
    assert_eq!(dead, "No dead-lettered tasks.\n");
    let retried = run(&["tasks", "retry", "00000000-0000-0000-0000-000000000001"]);
    assert!(!retried.status.success() && String::from_utf8_lossy(&retried.stderr).contains("no dead-lettered task"));
    assert!(!run(&["tasks", "release", "post"]).status.success());
    let released = run(&["tasks", "release", "mail"]);
    assert!(String::from_utf8_lossy(&released.stdout).contains("Waiting tasks: 1."), "{released:?}");
}

/// Starts a server that rejects every email; its URL.
fn rejecting_server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("smtp://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            _ = stream.write_all(b"220 mail.example\r\n");
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            if lines.next().is_some() {
                _ = stream.write_all(b"550 5.1.1 no such recipient\r\n");
            }
        }
    });
    url
}

async fn a_rejected_email_is_dead_lettered_until_it_is_retried(store: Store) {
    let url = rejecting_server();
    let service = Service::start_with(&store, &[("PORTTASK_SMTP_URL", &url), ADMIN[0], ADMIN[1]]);
    let (acme, bob) = service.create_organization(&service.ana(), "acme.example");
    let dead = || {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let output = porttask(&store, &["tasks", "list", "--dead", "--json"]).output().unwrap();
            if let Ok(task) = serde_json::from_slice::<serde_json::Value>(&output.stdout) {
                break task;
            }
            assert!(Instant::now() < deadline, "{output:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    let task = dead();
    assert!(task["last_error"].as_str().unwrap().contains("no such recipient"), "{task}");
    let listed = service.ana().get(&format!("/v1/organizations/{acme}/users")).is(200);
    let user = listed.body["items"].as_array().unwrap().iter().find(|user| user["id"] == bob.as_str()).unwrap();
    let delivery = &user["email_delivery"];
    assert_eq!((&delivery["state"], &delivery["next_attempt_at"]), (&json!("failed"), &json!(null)), "{user}");
    assert!(delivery["error"].as_str().unwrap().contains("550"), "{user}");
    let retried = porttask(&store, &["tasks", "retry", task["id"].as_str().unwrap()]).output().unwrap();
    assert!(retried.status.success(), "{retried:?}");
    let again = dead();
    assert_eq!(
        (&again["id"], &again["attempts"]),
        (&task["id"], &serde_json::json!(1)),
        "the attempts are counted from zero"
    );
    let ana = service.ana();
    let id = task["id"].as_str().unwrap();
    let trail = || {
        let trail = ana.get("/v1/platform/audit-log?action=task.retried").is(200).body["items"].clone();
        trail.as_array().unwrap().clone()
    };
    let by_operator = &trail()[0];
    assert_eq!(
        (&by_operator["summary"], &by_operator["actor"]["kind"], &by_operator["target"]["id"]),
        (&json!("retried the failed task invitation of the reactor mail"), &json!("operator"), &json!(id))
    );
    let retry = format!("/v1/platform/tasks/{id}/retry");
    let dry = ana.post(&format!("{retry}?dry_run=true"), &json!({})).is(200).body;
    assert_eq!((&dry["events"], &dry["dry_run"]), (&json!(["task.retried"]), &json!(true)));
    assert_eq!(ana.get("/v1/platform/tasks?state=dead").is(200).body["items"][0]["id"], id);
    ana.post(&retry, &json!({"at": "once"})).refused(422, "invalid-fields");
    let retried = ana.send("POST", &retry, &[("idempotency-key", "again")], Some(&json!({}))).is(200).body;
    assert_eq!((&retried["events"], &retried["id"]), (&json!(["task.retried"]), &json!(id)));
    let third = dead();
    assert_eq!((&third["id"], &third["attempts"]), (&task["id"], &json!(1)));
    let repeated = ana.send("POST", &retry, &[("idempotency-key", "again")], Some(&json!({}))).is(200).body;
    assert_eq!(repeated["repeated"], true);
    assert_eq!(dead()["id"], task["id"], "a repetition is not another retry");
    let by_ana = || trail().iter().filter(|entry| entry["actor"]["id"] == ana.session["user"]).count();
    assert_eq!((by_ana(), trail().len()), (1, 2));
}
