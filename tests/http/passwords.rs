//! Passwords that are lost, reset and changed.

use std::time::{Duration, Instant};

use porttask_app::identity::links::Purpose;
use porttask_tests::{Store, by, on_both_engines};
use serde_json::json;

use super::service::{Answer, Caller, PASSWORD, Service, link};

on_both_engines!(
    a_lost_password_is_replaced_by_a_link_that_is_good_once,
    whoever_asks_for_a_link_learns_nothing,
    asking_again_and_again_brings_one_mail,
    an_admin_sends_a_link,
    a_password_is_changed_by_whoever_knows_it,
    a_new_password_ends_all_other_sessions,
);

const OTHER: &str = "sextant over the harbour";

fn ask(service: &Service, email: &str) -> Answer {
    service.send("POST", "/v1/password-resets", &[], Some(&json!({"email": email}))).is(202)
}

fn complete(service: &Service, token: &str, password: &str) -> Answer {
    let body = json!({"token": token, "password": password});
    service.send("POST", "/v1/password-resets/complete", &[], Some(&body))
}

/// The actions on somebody that the audit log has, once there are so many of this one.
fn actions(admin: &Caller<'_>, user: &str, wanted: &str, count: usize) -> Vec<String> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let page = admin.get(&format!("/v1/organizations/current/audit-log?target={user}&limit=100")).is(200);
        let actions = page.body["items"].as_array().unwrap().iter();
        let actions: Vec<String> = actions.map(|entry| entry["action"].as_str().unwrap().to_owned()).collect();
        if actions.iter().filter(|action| *action == wanted).count() >= count {
            return actions;
        }
        assert!(Instant::now() < deadline, "no {count} of {wanted} in {actions:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

async fn a_lost_password_is_replaced_by_a_link_that_is_good_once(store: Store) {
    let service = Service::start(&store);
    let (acme, bob) = service.found(&store, "acme.example").await;
    let user = bob.session["user"].as_str().unwrap().to_owned();
    ask(&service, "BOB@acme.example");
    actions(&bob, &user, "user.password_reset_requested", 1);
    let token = link(&store, Purpose::PasswordReset, &acme, &user, 1).await;
    complete(&service, &token, "too short").refused(422, "invalid-fields");
    complete(&service, &token, "bob@acme.example").refused(422, "invalid-fields");
    let invitation = link(&store, Purpose::Invitation, &acme, &user, 1).await;
    complete(&service, &invitation, OTHER).refused(403, "link-invalid");
    complete(&service, &token, OTHER).is(200);
    complete(&service, &token, "another one of eve's").refused(409, "link-replaced");
    bob.get("/v1/sessions/current").refused(401, "unauthenticated");
    service.try_sign_in("bob@acme.example", PASSWORD).refused(401, "sign-in-refused");
    let bob = service.sign_in_with("bob@acme.example", OTHER);
    let page = bob.get("/v1/organizations/current/audit-log?action=user.password_reset_requested").is(200);
    let entry = &page.body["items"][0];
    assert_eq!((&entry["actor"]["kind"], &entry["ip"]), (&json!("anonymous"), &json!("127.0.0.1")), "{entry}");
}

async fn whoever_asks_for_a_link_learns_nothing(store: Store) {
    let service = Service::start(&store);
    let (_, bob) = service.found(&store, "acme.example").await;
    let users = "/v1/organizations/current/users";
    bob.post(users, &json!({"name": "Carol", "email": "carol@acme.example", "role": "agent"})).is(201);
    let known = ask(&service, "bob@acme.example");
    for other in ["carol@acme.example", "nobody@acme.example", "no address", ""] {
        let answer = ask(&service, other);
        assert_eq!((answer.status, &answer.body), (known.status, &known.body), "{other}");
        let names = |answer: &Answer| answer.headers.keys().map(|name| name.to_string()).collect::<Vec<_>>();
        assert_eq!(names(&answer), names(&known), "{other}");
    }
    let strange = json!({"email": "bob@acme.example", "password": PASSWORD});
    service.send("POST", "/v1/password-resets", &[], Some(&strange)).refused(422, "invalid-fields");
}

async fn asking_again_and_again_brings_one_mail(store: Store) {
    let service = Service::start(&store);
    let (_, bob) = service.found(&store, "acme.example").await;
    let user = bob.session["user"].as_str().unwrap().to_owned();
    for _ in 0..20 {
        ask(&service, "bob@acme.example");
    }
    bob.patch("/v1/me", &json!({"name": "Robert Fisher"})).is(200);
    let actions = actions(&bob, &user, "user.renamed", 1);
    let asked = actions.iter().filter(|action| *action == "user.password_reset_requested").count();
    assert!(asked <= 1, "{actions:?}");
}

async fn an_admin_sends_a_link(store: Store) {
    let service = Service::start(&store);
    let (acme, bob) = service.found(&store, "acme.example").await;
    let users = format!("/v1/organizations/{acme}/users");
    let body = json!({"name": "Carol Crane", "email": "carol@acme.example", "role": "agent"});
    let carol = bob.post(&users, &body).is(201).id().to_owned();
    let reset = format!("{users}/{carol}/reset-password");
    bob.post(&reset, &json!({})).refused(409, "user-not-active");
    service.accept(&store, &acme, &carol).await.is(200);
    let as_carol = service.sign_in("carol@acme.example");
    as_carol.post(&reset, &json!({})).refused(403, "forbidden");
    let (_, dan) = service.found(&store, "other.example").await;
    dan.post(&reset, &json!({})).refused(404, "organization-not-found");
    let trial = bob.post(&format!("{reset}?dry_run=true"), &json!({})).is(200);
    assert_eq!(trial.body["events"], json!(["user.password_reset_requested"]));
    bob.post(&reset, &json!({})).is(200);
    as_carol.get("/v1/me").is(200);
    let token = link(&store, Purpose::PasswordReset, &acme, &carol, 1).await;
    complete(&service, &token, OTHER).is(200);
    service.sign_in_with("carol@acme.example", OTHER);
    // The super admin may, everywhere.
    service.ana().post(&reset, &json!({})).is(200);
}

async fn a_password_is_changed_by_whoever_knows_it(store: Store) {
    let service = Service::start(&store);
    let (_, bob) = service.found(&store, "acme.example").await;
    let change = |current: &str, new: &str| {
        bob.post("/v1/me/password", &json!({"current_password": current, "new_password": new}))
    };
    change("not the password", OTHER).refused(403, "wrong-password");
    change(PASSWORD, "short").refused(422, "invalid-fields");
    let body = json!({"current_password": PASSWORD, "new_password": OTHER});
    bob.post("/v1/me/password?dry_run=true", &body).refused(422, "invalid-fields");
    service.send("POST", "/v1/me/password", &[], Some(&body)).refused(401, "unauthenticated");
    let key = [("idempotency-key", "once")];
    bob.send("POST", "/v1/me/password", &key, Some(&body)).is(200);
    service.try_sign_in("bob@acme.example", PASSWORD).refused(401, "sign-in-refused");
    service.sign_in_with("bob@acme.example", OTHER);
    change(PASSWORD, "yet another password").refused(403, "wrong-password");
    // In the background.
    let refused = async || {
        let page = bob.get("/v1/organizations/current/audit-log?action=denial.recorded").is(200);
        page.body.to_string().contains("wrong-password")
    };
    by(Duration::from_secs(10), "the refusals are taken down", refused).await;
}

async fn a_new_password_ends_all_other_sessions(store: Store) {
    let service = Service::start(&store);
    let (_, here) = service.found(&store, "acme.example").await;
    let there = service.sign_in("bob@acme.example");
    there.get("/v1/me").is(200);
    here.post("/v1/me/password", &json!({"current_password": PASSWORD, "new_password": OTHER})).is(200);
    there.get("/v1/me").refused(401, "unauthenticated");
    here.get("/v1/me").is(200);
}
