//! Sessions: one's own, those of others, one or all.

use porttask_tests::{Store, on_both_engines};
use serde_json::{Value, json};

use super::service::{Caller, PASSWORD, Service};

on_both_engines!(
    people_end_their_own_sessions,
    an_admin_ends_all_sessions_of_somebody,
    sessions_say_how_they_ended,
    sessions_of_others_are_nobodys,
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
