//! Passwords: reset by email, and changed.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use porttask_app::identity::links::Purpose;
use porttask_tests::{Store, by, on_both_engines};
use serde_json::{Value, json};

use crate::{
    service::{Answer, Caller, PASSWORD, Service, porttask},
    shared::SharedService,
};

on_both_engines!(
    a_password_is_reset_by_a_link_that_works_once,
    a_reset_request_does_not_reveal_accounts,
    repeated_reset_requests_send_one_email,
    an_admin_sends_a_reset_link,
    the_link_of_the_operator_is_redeemed_once,
    a_password_change_needs_the_current_password,
    a_new_password_ends_all_other_sessions,
    a_password_that_is_easy_to_guess_is_rejected,
    a_password_reset_lists_api_keys_and_revokes_them_on_request,
);

const OTHER: &str = "sextant over the harbour";

fn request_reset(service: &Service, email: &str) -> Answer {
    service.send("POST", "/v1/password-resets", &[], Some(&json!({"email": email}))).is(202)
}

fn complete(service: &Service, token: &str, password: &str) -> Answer {
    let body = json!({"token": token, "password": password});
    service.send("POST", "/v1/password-resets/complete", &[], Some(&body))
}

/// Waits until the audit log of a user has an action this many times; all actions on the user.
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

async fn a_password_is_reset_by_a_link_that_works_once(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let user = bob.session["user"].as_str().unwrap().to_owned();
    request_reset(service, &acme.email("BOB"));
    actions(bob, &user, "user.password_reset_requested", 1);
    let token = service.link(Purpose::PasswordReset, &acme.id, &user, 1);
    complete(service, &token, "too short").refused(422, "invalid-fields");
    complete(service, &token, &acme.email("bob")).refused(422, "invalid-fields");
    let invitation = service.link(Purpose::Invitation, &acme.id, &user, 1);
    complete(service, &invitation, OTHER).refused(403, "link-invalid");
    complete(service, &token, OTHER).is(200);
    complete(service, &token, "another horse battery").refused(409, "link-replaced");
    bob.get("/v1/sessions/current").refused(401, "unauthenticated");
    service.try_sign_in(&acme.email("bob"), PASSWORD).refused(401, "sign-in-refused");
    let bob = service.sign_in_with(&acme.email("bob"), OTHER);
    let page = bob.get("/v1/organizations/current/audit-log?action=user.password_reset_requested").is(200);
    let entry = &page.body["items"][0];
    assert_eq!((&entry["actor"]["kind"], &entry["ip"]), (&json!("anonymous"), &json!("127.0.0.1")), "{entry}");
}

async fn a_reset_request_does_not_reveal_accounts(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let users = "/v1/organizations/current/users";
    bob.post(users, &json!({"name": "Carol", "email": acme.email("carol"), "role": "agent"})).is(201);
    let known = request_reset(service, &acme.email("bob"));
    for other in [&acme.email("carol"), &acme.email("nobody"), "no address", ""] {
        let answer = request_reset(service, other);
        assert_eq!((answer.status, &answer.body), (known.status, &known.body), "{other}");
        let names = |answer: &Answer| answer.headers.keys().map(|name| name.to_string()).collect::<Vec<_>>();
        assert_eq!(names(&answer), names(&known), "{other}");
    }
    let unknown_member = json!({"email": acme.email("bob"), "password": PASSWORD});
    service.send("POST", "/v1/password-resets", &[], Some(&unknown_member)).refused(422, "invalid-fields");
}

async fn repeated_reset_requests_send_one_email(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let user = bob.session["user"].as_str().unwrap().to_owned();
    for _ in 0..20 {
        request_reset(service, &acme.email("bob"));
    }
    bob.patch("/v1/me", &json!({"name": "Robert Fisher"})).is(200);
    let actions = actions(bob, &user, "user.renamed", 1);
    let asked = actions.iter().filter(|action| *action == "user.password_reset_requested").count();
    assert!(asked <= 1, "{actions:?}");
}

async fn an_admin_sends_a_reset_link(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let users = format!("/v1/organizations/{acme}/users");
    let carol = acme.invite("carol", "Carol Crane", "agent");
    let reset = format!("{users}/{carol}/reset-password");
    bob.post(&reset, &json!({})).refused(409, "user-not-active");
    service.accept(&acme.id, &carol).is(200);
    let as_carol = service.sign_in(&acme.email("carol"));
    as_carol.post(&reset, &json!({})).refused(403, "forbidden");
    let other = service.organization().await;
    let dan = &other.admin;
    dan.post(&reset, &json!({})).refused(404, "organization-not-found");
    let trial = bob.post(&format!("{reset}?dry_run=true"), &json!({})).is(200);
    assert_eq!(trial.body["events"], json!(["user.password_reset_requested"]));
    bob.post(&reset, &json!({})).is(200);
    as_carol.get("/v1/me").is(200);
    let token = service.link(Purpose::PasswordReset, &acme.id, &carol, 1);
    complete(service, &token, OTHER).is(200);
    service.sign_in_with(&acme.email("carol"), OTHER);
    // A super admin has this permission in every organization.
    service.ana().post(&reset, &json!({})).is(200);
}

async fn the_link_of_the_operator_is_redeemed_once(store: Store) {
    let service = Service::start(&store);
    let ana = service.ana();
    let output = porttask(&store, &["admin", "reset", "ana@platform.example", "--json"]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let reset: Value = serde_json::from_slice(&output.stdout).unwrap();
    let expires_at: Timestamp = reset["expires_at"].as_str().unwrap().parse().unwrap();
    assert!(expires_at <= Timestamp::now() + SignedDuration::from_hours(1), "{reset}");
    let (_, token) = reset["link"].as_str().unwrap().split_once("#token=").unwrap();
    let body = json!({"token": token, "password": OTHER});
    let redeem = || service.send("POST", "/v1/password-resets/complete", &[], Some(&body));
    redeem().is(200);
    ana.get("/v1/me").refused(401, "unauthenticated");
    service.sign_in_with("ana@platform.example", OTHER);
    let again = redeem();
    assert!(again.status >= 400, "{again:?}");
}

async fn a_password_change_needs_the_current_password(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
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
    service.try_sign_in(&acme.email("bob"), PASSWORD).refused(401, "sign-in-refused");
    service.sign_in_with(&acme.email("bob"), OTHER);
    change(PASSWORD, "yet another password").refused(403, "wrong-password");
    // Denials are recorded in the background.
    let refused = async || {
        let page = bob.get("/v1/organizations/current/audit-log?action=denial.recorded").is(200);
        page.body.to_string().contains("wrong-password")
    };
    by(Duration::from_secs(10), "the denials are recorded", refused).await;
}

async fn a_new_password_ends_all_other_sessions(service: &'static SharedService) {
    let acme = service.organization().await;
    let here = &acme.admin;
    let there = acme.sign_in_admin();
    there.get("/v1/me").is(200);
    here.post("/v1/me/password", &json!({"current_password": PASSWORD, "new_password": OTHER})).is(200);
    there.get("/v1/me").refused(401, "unauthenticated");
    here.get("/v1/me").is(200);
}

async fn a_password_that_is_easy_to_guess_is_rejected(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let user = bob.session["user"].as_str().unwrap();
    bob.patch("/v1/organizations/current", &json!({"name": "Harbourmaster Lines"})).is(200);
    let own = [format!("{}1", acme.email("bob")), format!("{}1", acme.domain), "Harbourmaster 12".to_owned()];
    let common = ["porttask1234", "letmein12345", "welcome12345", "changeme1234", PASSWORD];
    bob.post("/v1/organizations/current/users", &json!({"name": "C", "email": acme.email("c"), "role": "agent"}))
        .is(201);
    let path = format!("/v1/organizations/current/users/{user}/reset-password");
    bob.post(&path, &json!({})).is(200);
    let reset = service.link(Purpose::PasswordReset, &acme.id, user, 1);
    for weak in own.iter().map(String::as_str).chain(common) {
        let body = json!({"current_password": PASSWORD, "new_password": weak});
        let answer = bob.post("/v1/me/password", &body).refused(422, "invalid-fields");
        assert_eq!(answer.body["errors"][0]["pointer"], "/new_password", "{answer:?}");
        let answer = complete(service, &reset, weak).refused(422, "invalid-fields");
        assert_eq!(answer.body["errors"][0]["pointer"], "/password", "{answer:?}");
    }
    complete(service, &reset, OTHER).is(200);
}

async fn a_password_reset_lists_api_keys_and_revokes_them_on_request(service: &'static SharedService) {
    let acme = service.organization().await;
    let keys = "/v1/organizations/current/api-keys";
    for revokes in [false, true] {
        let name = format!("carol-{revokes}");
        let carol = acme.join(&name, "Carol Crane", "admin");
        let user = carol.session["user"].as_str().unwrap();
        let key = carol.post(keys, &json!({"name": "harbour robot"})).is(201);
        let gone = carol.post(keys, &json!({"name": "gone"})).is(201);
        carol.post(&format!("{keys}/{}/revoke", gone.id()), &json!({})).is(200);
        let path = format!("/v1/organizations/current/users/{user}/reset-password");
        acme.admin.post(&path, &json!({})).is(200);
        let token = service.link(Purpose::PasswordReset, &acme.id, user, 1);
        let body = json!({"token": token, "password": OTHER, "revoke_api_keys": revokes});
        let done = service.send("POST", "/v1/password-resets/complete", &[], Some(&body)).is(200);
        assert_eq!(done.body["api_keys"], json!([{"id": key.id(), "name": "harbour robot"}]), "{done:?}");
        assert_eq!(done.body["api_keys_revoked"], revokes, "{done:?}");
        let robot = service.with_token(&key.body["token"]);
        assert_eq!(robot.get("/v1/organizations/current").status, if revokes { 401 } else { 200 });
        let is_named = async || {
            let mails = service.mails_with(&acme.email(&name), 1);
            mails.iter().any(|(_, mail)| mail.contains("harbour robot"))
        };
        if !revokes {
            by(Duration::from_secs(20), "the notice names the keys that still work", is_named).await;
        }
    }
}
