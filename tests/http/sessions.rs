//! Sessions: one's own, those of others, one or all.

use std::{thread::sleep, time::Duration};

use porttask_tests::{Store, by, on_both_engines};
use serde_json::{Value, json};

use super::service::{Caller, PASSWORD, Service};

on_both_engines!(
    people_end_their_own_sessions,
    an_admin_ends_all_sessions_of_somebody,
    sessions_say_how_they_ended,
    sessions_of_others_are_nobodys,
    a_session_ends_when_nobody_uses_it,
    it_is_known_when_sessions_and_keys_were_last_used,
);

const MINE: &str = "/v1/me/sessions";

fn ended_by(by: &Caller<'_>, path: &str) -> Vec<Value> {
    let page = by.get(path).is(200);
    page.body["items"].as_array().unwrap().iter().map(|item| item["ended_by"].clone()).collect()
}

async fn people_end_their_own_sessions(store: Store) {
    let service = Service::start(&store);
    let (_, first) = service.found(&store, "acme.example").await;
    let (second, here) = (service.sign_in("bob@acme.example"), service.sign_in("bob@acme.example"));
    let listed = here.get(MINE).is(200);
    let items = listed.body["items"].as_array().unwrap();
    assert!(items.len() == 3 && items.iter().all(|item| item["is_open"] == true), "{listed:?}");
    assert_eq!((&items[0]["is_current"], &items[0]["ip"]), (&json!(true), &json!("127.0.0.1")));
    here.delete(&format!("{MINE}/{}", first.session["id"].as_str().unwrap())).is(200);
    first.get("/v1/me").refused(401, "unauthenticated");
    second.get("/v1/me").is(200);
    let trial = here.delete(&format!("{MINE}?dry_run=true")).is(200);
    assert_eq!(trial.body["events"], json!(["user.sessions_ended"]));
    second.get("/v1/me").is(200);
    here.delete(MINE).is(200);
    second.get("/v1/me").refused(401, "unauthenticated");
    here.get("/v1/me").is(200);
    assert_eq!(ended_by(&here, MINE), [json!(null), json!("all_of_user"), json!("revocation")]);
}

async fn an_admin_ends_all_sessions_of_somebody(store: Store) {
    let service = Service::start(&store);
    let (acme, bob) = service.found(&store, "acme.example").await;
    let users = format!("/v1/organizations/{acme}/users");
    let body = json!({"name": "Carol Crane", "email": "carol@acme.example", "role": "agent"});
    let user = bob.post(&users, &body).is(201).id().to_owned();
    service.accept(&store, &acme, &user).await.is(200);
    let carols = [service.sign_in("carol@acme.example"), service.sign_in("carol@acme.example")];
    let sessions = format!("{users}/{user}/sessions");
    carols[0].delete(&sessions).refused(403, "forbidden");
    bob.delete(&sessions).is(200);
    for carol in &carols {
        carol.get("/v1/me").refused(401, "unauthenticated");
    }
    service.sign_in("carol@acme.example").get("/v1/me").is(200);
    // The super admin may, everywhere.
    service.ana().delete(&sessions).is(200);
}

async fn sessions_say_how_they_ended(store: Store) {
    let service = Service::start(&store);
    let (acme, bob) = service.found(&store, "acme.example").await;
    let (ana, users) = (service.ana(), format!("/v1/organizations/{acme}/users"));
    let path = format!("{users}/{}/sessions", bob.session["user"].as_str().unwrap());
    ana.post(&format!("/v1/organizations/{acme}/suspend"), &json!({"reason": "unpaid"})).is(200);
    assert_eq!(ended_by(&ana, &path), [json!("suspension")]);
    ana.post(&format!("/v1/organizations/{acme}/reactivate"), &json!({})).is(200);
    let out = service.sign_in("bob@acme.example");
    out.delete("/v1/sessions/current").is(200);
    let bob = service.sign_in("bob@acme.example");
    let password = json!({"current_password": PASSWORD, "new_password": "sextant over the harbour"});
    bob.post("/v1/me/password", &password).is(200);
    let ended = ended_by(&bob, &path);
    assert_eq!(ended, [json!(null), json!("sign_out"), json!("all_of_user")], "the first was over twice");
}

async fn sessions_of_others_are_nobodys(store: Store) {
    let service = Service::start(&store);
    let (_, bob) = service.found(&store, "acme.example").await;
    let (_, eve) = service.found(&store, "umbra.example").await;
    let foreign = bob.session["id"].as_str().unwrap();
    let mut answers = Vec::new();
    for session in [foreign, "ses_00000000000000000000000042", "nonsense"] {
        answers.push(eve.delete(&format!("{MINE}/{session}")).refused(404, "session-not-found").body);
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    bob.get("/v1/me").is(200);
}

const ADMIN: [(&str, &str); 2] =
    [("PORTTASK_ADMIN_EMAIL", "ana@platform.example"), ("PORTTASK_ADMIN_PASSWORD", PASSWORD)];

async fn a_session_ends_when_nobody_uses_it(store: Store) {
    let short = [ADMIN[0], ADMIN[1], ("PORTTASK_SESSION_IDLE_SECONDS", "5")];
    let (one, two) = (Service::start_with(&store, &short), Service::start_with(&store, &short));
    let (idle, used) = (one.ana(), one.ana());
    let id = idle.session["id"].as_str().unwrap().to_owned();
    // Used on one node after the other, it goes on for longer than it would unused.
    for step in 0..20 {
        let node = if step % 2 == 0 { &one } else { &two };
        node.with_token(&used.session["token"]).get("/v1/me").is(200);
        sleep(Duration::from_millis(500));
    }
    for node in [&one, &two] {
        node.with_token(&idle.session["token"]).get("/v1/me").refused(401, "unauthenticated");
    }
    let listed = used.get(MINE).is(200);
    let items = listed.body["items"].as_array().unwrap();
    let ended = items.iter().find(|item| item["id"] == json!(id)).unwrap();
    assert_eq!((&ended["ended_by"], &ended["is_open"]), (&json!("idleness"), &json!(false)));
    let open = used.get(&format!("{MINE}?open=true")).is(200);
    let is_there = |id: &Value| open.body["items"].as_array().unwrap().iter().any(|item| item["id"] == *id);
    assert!(is_there(&used.session["id"]) && !is_there(&json!(id)), "{open:?}");
    used.get(&format!("{MINE}?opened=true")).refused(422, "invalid-fields");
}

async fn it_is_known_when_sessions_and_keys_were_last_used(store: Store) {
    let often = [ADMIN[0], ADMIN[1], ("PORTTASK_TRUSTED_PROXIES", "127.0.0.1"), ("PORTTASK_SESSION_IDLE_SECONDS", "8")];
    let (one, two) = (Service::start_with(&store, &often), Service::start_with(&store, &often));
    let (_, bob) = one.found(&store, "acme.example").await;
    let keys = "/v1/organizations/current/api-keys";
    let key = bob.post(keys, &json!({"name": "robot"})).is(201);
    let path = format!("{keys}/{}", key.id());
    assert!(bob.get(&path).is(200).body["last_used_at"].is_null());
    let from = [("x-forwarded-for", "198.51.100.7")];
    let robot = one.with_token(&key.body["token"]);
    robot.send("GET", "/v1/organizations/current", &from, None).is(200);
    bob.send("GET", MINE, &[("x-forwarded-for", "198.51.100.8")], None).is(200);
    // At once on the node on which it was, and soon on others.
    assert_eq!(bob.get(&path).is(200).body["last_used_ip"], "198.51.100.7");
    let elsewhere = two.with_token(&bob.session["token"]);
    let key_used = || elsewhere.get(&path).is(200).body["last_used_ip"] == "198.51.100.7";
    by(Duration::from_secs(10), "the use of the key is known elsewhere", async || key_used()).await;
    let ana = two.ana();
    let organization = bob.session["organization"].as_str().unwrap();
    let sessions = format!("/v1/organizations/{organization}/users/{}/sessions", bob.session["user"].as_str().unwrap());
    let shown = || ana.get(&sessions).is(200).body["items"][0].clone();
    by(Duration::from_secs(10), "the use of the session is known", async || {
        shown()["last_used_at"].as_str() > shown()["started_at"].as_str()
    })
    .await;
}
