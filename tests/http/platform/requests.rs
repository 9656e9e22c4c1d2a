//! Properties of all requests: idempotency keys, versions, positions, pages, invalid input, durability.

use std::{collections::BTreeSet, thread, time::Duration};

use porttask_tests::{Engine, Store, on_both_engines, signal};
use serde_json::json;

use crate::{
    openapi::UNKNOWN_USER,
    service::{Service, porttask},
    shared::SharedService,
};

on_both_engines!(
    a_repeated_request_gets_the_same_answer,
    an_outdated_version_is_refused,
    a_dry_run_records_nothing,
    pages_are_complete_in_every_order,
    invalid_input_is_explained,
    what_callers_name_freely_is_not_stored_in_plain_text,
    a_node_shows_what_another_node_recorded,
    nothing_acknowledged_is_lost_when_the_service_is_stopped,
    nothing_acknowledged_is_lost_when_the_service_is_killed,
);

async fn a_repeated_request_gets_the_same_answer(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let ana = service.ana();
    // Unique among the requests of the super admin, too.
    let [first_key, second_key] = ["1", "2"].map(|number| format!("{acme}-{number}"));
    let (key, other_key) = ([("idempotency-key", first_key.as_str())], [("idempotency-key", second_key.as_str())]);
    for (caller, path, body, another) in [
        (
            bob,
            "/v1/organizations/current/users",
            json!({"name": "Cleo", "email": acme.email("cleo"), "role": "agent"}),
            json!({"name": "Dan", "email": acme.email("dan"), "role": "agent"}),
        ),
        (
            &ana,
            "/v1/organizations",
            json!({"name": "B", "domain": format!("b.{}", acme.domain), "first_admin": {"name": "B", "email": "b@b.example"}}),
            json!({"name": "C", "domain": format!("c.{}", acme.domain), "first_admin": {"name": "C", "email": "c@c.example"}}),
        ),
    ] {
        let first = caller.send("POST", path, &key, Some(&body)).is(201);
        let second = caller.send("POST", path, &key, Some(&body));
        assert_eq!((second.id(), &second.body["repeated"]), (first.id(), &json!(true)), "{second:?}");
        assert_eq!(second.body["position"], first.body["position"]);
        caller.send("POST", path, &key, Some(&another)).refused(422, "idempotency-key-reused");
        caller.send("POST", path, &[("idempotency-key", "k 1")], Some(&another)).refused(422, "invalid-fields");
        caller.send("POST", path, &other_key, Some(&another)).is(201);
    }
}

async fn an_outdated_version_is_refused(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let new = json!({"name": "Cleo", "email": acme.email("cleo"), "role": "agent"});
    let path = format!("/v1/organizations/current/users/{}", bob.post("/v1/organizations/current/users", &new).id());
    let tag = bob.get(&path).is(200).header("etag").to_owned();
    let change = |tag: &str, role: &str| bob.send("PATCH", &path, &[("if-match", tag)], Some(&json!({"role": role})));
    let changed = change(&tag, "read_only").is(200);
    change(&tag, "auditor").refused(412, "outdated");
    change(changed.header("etag"), "auditor").is(200);
    change("3", "agent").refused(422, "invalid-fields");
}

async fn a_dry_run_records_nothing(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let users = "/v1/organizations/current/users";
    let new = json!({"name": "Cleo", "email": acme.email("cleo"), "role": "agent"});
    let tried = bob.post(&format!("{users}?dry_run=true"), &new).is(200);
    assert_eq!((&tried.body["events"], &tried.body["position"]), (&json!(["user.invited"]), &json!(null)));
    assert_eq!(bob.get(users).is(200).body["items"].as_array().unwrap().len(), 1);
    bob.post(users, &new).is(201);
    bob.post(&format!("{users}?dry_run=true"), &new).refused(409, "email-taken");
}

async fn pages_are_complete_in_every_order(service: &'static SharedService) {
    let acme = service.organization().await.unlimited();
    let bob = &acme.admin;
    let users = "/v1/organizations/current/users";
    for number in 0..11 {
        let new = json!({"name": format!("Same Name"), "email": acme.email(format!("u{number}")), "role": "agent"});
        bob.post(users, &new).is(201);
    }
    for sort in ["name", "-name", "email", "-created_at"] {
        let (mut seen, mut path, mut count) = (BTreeSet::new(), format!("{users}?limit=5&sort={sort}"), 0);
        loop {
            let page = bob.get(&path).is(200);
            let items = page.body["items"].as_array().unwrap();
            count += items.len();
            seen.extend(items.iter().map(|item| item["id"].as_str().unwrap().to_owned()));
            let Some(cursor) = page.body["next_cursor"].as_str() else { break };
            path = format!("{users}?limit=5&sort={sort}&cursor={cursor}");
        }
        assert_eq!((seen.len(), count), (12, 12), "{sort}");
    }
    let cursor = bob.get(&format!("{users}?limit=5")).is(200).body["next_cursor"].as_str().unwrap().to_owned();
    bob.get(&format!("{users}?limit=5&sort=email&cursor={cursor}")).refused(422, "invalid-fields");
    bob.get(&format!("{users}?role=agent&cursor={cursor}")).refused(422, "invalid-fields");
    bob.get(&format!("{users}?cursor={}", cursor.to_lowercase())).refused(422, "invalid-fields");
    let (ana, elsewhere) = (service.ana(), format!("{users}?limit=5&cursor={cursor}"));
    ana.get(&elsewhere).refused(422, "invalid-fields");
}

async fn invalid_input_is_explained(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let users = format!("/v1/organizations/{acme}/users");
    bob.get("/v1/nothing").refused(404, "resource-not-found");
    bob.send("PUT", &users, &[], Some(&json!({}))).refused(405, "method-not-allowed");
    bob.get(&format!("{users}?limit=0")).refused(422, "invalid-fields");
    bob.get(&format!("{users}?colour=red")).refused(422, "invalid-fields");
    bob.get(&format!("{users}/{UNKNOWN_USER}")).refused(404, "user-not-found");
    bob.get(&format!("{users}/nobody")).refused(404, "user-not-found");
    let text = [("content-type", "text/plain")];
    bob.send("POST", &users, &text, None).refused(422, "invalid-fields");
    let huge = json!({"name": "x".repeat(70_000)});
    bob.post(&users, &huge).refused(413, "body-too-large");
    let wrong = bob.post(&users, &json!({"name": "http://evil.example", "email": "no", "role": "agent"}));
    let fields: Vec<&str> =
        wrong.body["errors"].as_array().unwrap().iter().map(|it| it["pointer"].as_str().unwrap()).collect();
    assert_eq!(fields, ["/name", "/email"], "{wrong:?}");
    let answer = bob.send("GET", "/v1/sessions/current", &[("x-request-id", "mine-1")], None).is(200);
    assert_eq!(answer.header("x-request-id"), "mine-1");
    for bad in ["ana@acme.example", "two words", "", &"x".repeat(101)] {
        let refused = bob.send("GET", "/v1/sessions/current", &[("x-request-id", bad)], None);
        let refused = refused.refused(422, "invalid-fields");
        assert_eq!(refused.body["errors"][0]["pointer"], "X-Request-Id", "{bad}");
        assert!(refused.header("x-request-id").starts_with("req_"), "{refused:?}");
        bob.get(&format!("/v1/organizations/current/audit-log?request={}", bad.replace(' ', "%20")))
            .refused(422, "invalid-fields");
    }
    let named_freely = "ana@acme.example_00000000000000000000000042";
    bob.get(&format!("/v1/organizations/current/audit-log?target={named_freely}")).refused(422, "invalid-fields");
}

async fn what_callers_name_freely_is_not_stored_in_plain_text(store: Store) {
    let service = Service::start(&store);
    let (_, bob) = service.found(&store, "acme.example").await;
    let (keys, once) = ("/v1/organizations/current/api-keys", [("idempotency-key", "marlinspike-1")]);
    let create = || bob.send("POST", keys, &once, Some(&json!({"name": "Quillfeather's robot"}))).is(201);
    let first = create();
    let shown = bob.get(&format!("{keys}/{}", first.id())).is(200);
    assert_eq!(shown.body["name"], "Quillfeather's robot");
    let entries = bob.get("/v1/organizations/current/audit-log?action=api_key.created").is(200).body;
    assert_eq!(entries["items"][0]["summary"], "created the API key Quillfeather's robot");
    let stored = match store.engine() {
        Engine::Sqlite => {
            let files = [store.file(), store.file().with_extension("db-wal")];
            let contents = files.iter().filter_map(|file| std::fs::read(file).ok());
            String::from_utf8_lossy(&contents.collect::<Vec<_>>().concat()).into_owned()
        }
        Engine::Postgres => {
            let events = store.sql("SELECT encode(data, 'escape') FROM log.events").await;
            [events, store.sql("SELECT scope || key FROM ledger.idempotency_keys").await].concat().concat()
        }
    };
    assert!(stored.contains("$sealed"), "the search finds what is there");
    for text in ["Quillfeather", "marlinspike"] {
        assert!(!stored.contains(text), "{text} is stored in plain text");
    }
}

async fn a_node_shows_what_another_node_recorded(store: Store) {
    let (one, two) = (Service::start(&store), Service::start(&store));
    let (_, bob) = one.found(&store, "acme.example").await;
    let users = "/v1/organizations/current/users";
    for number in 0..5 {
        let new = json!({"name": "Cleo", "email": format!("c{number}@acme.example"), "role": "agent"});
        let invited = bob.post(users, &new).is(201);
        let headers =
            [("authorization", bob.authorization()), ("porttask-at-least", invited.header("porttask-position"))];
        two.send("GET", &format!("{users}/{}", invited.id()), &headers, None).is(200);
    }
    // Positions are for those who received them.
    let position = bob.post(users, &json!({"name": "Dan", "email": "dan@acme.example", "role": "agent"})).is(201);
    let ana = one.ana();
    for (reader, position) in [(&bob, "0:1"), (&ana, position.header("porttask-position"))] {
        let headers = [("porttask-at-least", position), ("authorization", reader.authorization())];
        two.send("GET", "/v1/me", &headers, None).refused(422, "invalid-fields");
    }
}

/// Every acknowledged change is there after a restart, and the process stops without an error.
async fn nothing_acknowledged_is_lost_when_the_service_is_stopped(store: Store) {
    assert!(under_load(store, libc::SIGTERM).await, "stopped with an error");
}

/// The same without a graceful stop. The views match the log afterwards.
async fn nothing_acknowledged_is_lost_when_the_service_is_killed(store: Store) {
    assert!(!under_load(store, libc::SIGKILL).await);
}

/// Sends a signal to a service while users are invited; returns whether it exited successfully.
async fn under_load(store: Store, by: libc::c_int) -> bool {
    let mut service = Service::start(&store);
    let (acme, token) = {
        let (acme, bob) = service.found(&store, "acme.example").await;
        (acme, bob.authorization().to_owned())
    };
    let users = format!("/v1/organizations/{acme}/users");
    let invited = thread::scope(|scope| {
        let invite = |worker: usize| {
            let (service, users, token) = (&service, &users, &token);
            move || {
                let mut invited = Vec::new();
                for number in 0.. {
                    let email = format!("w{worker}n{number}@acme.example");
                    let body = json!({"name": "Cleo", "email": email, "role": "agent"});
                    match service.try_send("POST", users, &[("authorization", token)], Some(&body)) {
                        Ok(answer) if answer.status == 201 => invited.push(answer.id().to_owned()),
                        _ => break,
                    }
                }
                invited
            }
        };
        let workers: Vec<_> = (0..4).map(|worker| scope.spawn(invite(worker))).collect();
        thread::sleep(Duration::from_millis(700));
        signal(service.pid(), by);
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect::<Vec<_>>()
    });
    let succeeded = service.wait();
    assert!(invited.len() > 4, "{}", invited.len());
    let again = Service::start(&store);
    let bob = again.sign_in("bob@acme.example");
    for user in &invited {
        bob.get(&format!("{users}/{user}")).is(200);
    }
    drop(again);
    for checked in ["views", "constraints"] {
        let output = porttask(&store, &[checked, "verify"]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    succeeded
}
