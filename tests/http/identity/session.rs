//! Sessions: listed and ended, one or all, by their user or an admin.

use std::{thread::sleep, time::Duration};

use porttask_tests::{Store, by, on_both_engines};
use serde_json::{Value, json};

use crate::{
    openapi::UNKNOWN_SESSION,
    service::{ADMIN, Caller, PASSWORD, Service},
    shared::SharedService,
};

on_both_engines!(
    sessions_are_listed_and_revoked,
    users_end_their_own_sessions,
    an_admin_ends_all_sessions_of_a_user,
    sessions_say_how_they_ended,
    sessions_of_others_look_like_unknown_ones,
    the_last_use_of_sessions_and_keys_is_known_on_all_nodes
    ; waiting:
    an_idle_session_ends,
    a_user_has_at_most_fifty_sessions,
);

const MINE: &str = "/v1/me/sessions";

fn ended_by(by: &Caller<'_>, path: &str) -> Vec<Value> {
    let page = by.get(path).is(200);
    page.body["items"].as_array().unwrap().iter().map(|item| item["ended_by"].clone()).collect()
}

async fn sessions_are_listed_and_revoked(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let other = acme.sign_in_admin();
    let sessions = format!("/v1/organizations/current/users/{}/sessions", bob.session["user"].as_str().unwrap());
    let id = other.session["id"].as_str().unwrap();
    bob.delete(&format!("{sessions}/{id}")).is(200);
    other.get("/v1/sessions/current").refused(401, "unauthenticated");
    let listed = bob.get(&sessions).is(200);
    assert_eq!(listed.body["items"].as_array().unwrap().len(), 2, "{listed:?}");
    assert_eq!(listed.body["items"][0]["ended_by"], "revocation");
    bob.delete("/v1/sessions/current").is(200);
    bob.get(&sessions).refused(401, "unauthenticated");
}

async fn users_end_their_own_sessions(service: &'static SharedService) {
    let acme = service.organization().await;
    let first = &acme.admin;
    let (second, here) = (acme.sign_in_admin(), acme.sign_in_admin());
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

async fn an_admin_ends_all_sessions_of_a_user(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let users = format!("/v1/organizations/{acme}/users");
    let carols = [acme.join("carol", "Carol Crane", "agent"), service.sign_in(&acme.email("carol"))];
    let sessions = format!("{users}/{}/sessions", carols[0].session["user"].as_str().unwrap());
    carols[0].delete(&sessions).refused(403, "forbidden");
    bob.delete(&sessions).is(200);
    for carol in &carols {
        carol.get("/v1/me").refused(401, "unauthenticated");
    }
    service.sign_in(&acme.email("carol")).get("/v1/me").is(200);
    // A super admin has this permission in every organization.
    service.ana().delete(&sessions).is(200);
}

async fn sessions_say_how_they_ended(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let (ana, users) = (service.ana(), format!("/v1/organizations/{acme}/users"));
    let path = format!("{users}/{}/sessions", bob.session["user"].as_str().unwrap());
    ana.post(&format!("/v1/organizations/{acme}/suspend"), &json!({"reason": "unpaid"})).is(200);
    assert_eq!(ended_by(&ana, &path), [json!("suspension")]);
    ana.post(&format!("/v1/organizations/{acme}/reactivate"), &json!({})).is(200);
    let out = acme.sign_in_admin();
    out.delete("/v1/sessions/current").is(200);
    let bob = acme.sign_in_admin();
    let password = json!({"current_password": PASSWORD, "new_password": "sextant over the harbour"});
    bob.post("/v1/me/password", &password).is(200);
    let ended = ended_by(&bob, &path);
    // The first was ended by the suspension, and again by the new password.
    assert_eq!(ended, [json!(null), json!("sign_out"), json!("all_of_user")]);
}

async fn sessions_of_others_look_like_unknown_ones(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let umbra = service.organization().await;
    let eve = &umbra.admin;
    let foreign = bob.session["id"].as_str().unwrap();
    let mut answers = Vec::new();
    for session in [foreign, UNKNOWN_SESSION, "nonsense"] {
        answers.push(eve.delete(&format!("{MINE}/{session}")).refused(404, "session-not-found").body);
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    bob.get("/v1/me").is(200);
}

async fn an_idle_session_ends(store: Store) {
    let short = [ADMIN[0], ADMIN[1], ("PORTTASK_SESSION_IDLE_SECONDS", "3")];
    let (one, two) = (Service::start_with(&store, &short), Service::start_with(&store, &short));
    let (idle, used) = (one.ana(), one.ana());
    let id = idle.session["id"].as_str().unwrap().to_owned();
    // In use, on alternating nodes, a session lasts longer than the idle timeout.
    for step in 0..13 {
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

async fn the_last_use_of_sessions_and_keys_is_known_on_all_nodes(store: Store) {
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
    // Immediately on the node that served the request, and soon on others.
    assert_eq!(bob.get(&path).is(200).body["last_used_ip"], "198.51.100.7");
    let elsewhere = two.with_token(&bob.session["token"]);
    let key_used = || elsewhere.get(&path).is(200).body["last_used_ip"] == "198.51.100.7";
    by(Duration::from_secs(10), "the other node knows the last use of the key", async || key_used()).await;
    let ana = two.ana();
    let organization = bob.session["organization"].as_str().unwrap();
    let sessions = format!("/v1/organizations/{organization}/users/{}/sessions", bob.session["user"].as_str().unwrap());
    let shown = || ana.get(&sessions).is(200).body["items"][0].clone();
    by(Duration::from_secs(10), "the other node knows the last use of the session", async || {
        shown()["last_used_at"].as_str() > shown()["started_at"].as_str()
    })
    .await;
}

async fn a_user_has_at_most_fifty_sessions(service: &'static SharedService) {
    let acme = service.organization().await;
    let oldest = &acme.admin;
    let mut latest = acme.sign_in_admin();
    for _ in 0..50 {
        latest = acme.sign_in_admin();
    }
    oldest.get("/v1/me").refused(401, "unauthenticated");
    let open = latest.get("/v1/me/sessions?open=true").is(200).body["items"].as_array().unwrap().len();
    assert!((49..=50).contains(&open), "{open}");
    let ended = latest.get("/v1/me/sessions?open=false").is(200).body["items"].clone();
    let ended = ended.as_array().unwrap().iter().find(|it| it["id"] == oldest.session["id"]).unwrap();
    assert_eq!(ended["ended_by"], "too_many_sessions");
}
