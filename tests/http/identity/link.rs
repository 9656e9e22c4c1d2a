//! Links: looked at without being used, and redeemed together with a sign-in.

use porttask_app::identity::links::Purpose;
use porttask_tests::{Engine, Store, on_both_engines, run_on};
use serde_json::{Value, json};

use crate::{
    service::{ADMIN, Answer, PASSWORD, Service},
    shared::SharedService,
};

on_both_engines!(
    a_link_is_looked_at_without_being_used,
    an_inspection_says_what_became_of_an_invitation,
    an_inspection_says_what_became_of_other_links,
    tokens_that_are_no_links_are_rejected,
    links_of_suspended_organizations_are_rejected_as_when_they_are_used,
    an_acceptance_signs_in_on_request,
    a_password_reset_signs_in_on_request,
    a_suspended_organization_is_not_signed_in_to,
);

fn inspect(service: &Service, token: &str) -> Answer {
    service.send("POST", "/v1/links/inspect", &[], Some(&json!({"token": token})))
}

/// The state of a link; links that are not valid show no email address.
#[track_caller]
fn state(service: &Service, token: &str) -> String {
    let link = inspect(service, token).is(200).body;
    assert_eq!(link["state"] == "valid", link["email"].is_string(), "{link}");
    link["state"].as_str().unwrap().to_owned()
}

async fn a_link_is_looked_at_without_being_used(service: &'static SharedService) {
    let acme = service.organization().await;
    let user = acme.invite("cleo", "Cleo", "read_only");
    let version = || acme.admin.get(&format!("/v1/organizations/{acme}/users/{user}")).is(200).body["version"].clone();
    let (token, before) = (service.invitation(&acme.id, &user), version());
    for _ in 0..3 {
        let link = inspect(service, &token).is(200);
        assert_eq!(link.header("cache-control"), "no-store");
        assert!(!link.headers.contains_key("porttask-position"), "{link:?}");
        let Value::Object(mut members) = link.body else { panic!("no object") };
        assert!(members.remove("expires_at").unwrap().is_string());
        let organization = json!({"id": acme.id, "name": "Acme"});
        let expected = json!({
            "purpose": "invitation", "state": "valid", "organization": organization, "email": acme.email("cleo")
        });
        assert_eq!(Value::Object(members), expected);
    }
    assert_eq!(version(), before);
    service.accept(&acme.id, &user).is(200);
}

async fn an_inspection_says_what_became_of_an_invitation(service: &'static SharedService) {
    let acme = service.organization().await;
    let carol = acme.invite("carol", "Carol Crane", "agent");
    let path = format!("/v1/organizations/{acme}/users/{carol}");
    let link = |generation| service.link(Purpose::Invitation, &acme.id, &carol, generation);
    assert_eq!(state(service, &service.expired_link(Purpose::Invitation, &acme.id, &carol, 1)), "expired");
    acme.admin.post(&format!("{path}/invite"), &json!({})).is(200);
    assert_eq!((state(service, &link(1)), state(service, &link(2))), ("replaced".into(), "valid".into()));
    acme.admin.post(&format!("{path}/revoke-invitation"), &json!({})).is(200);
    assert_eq!(state(service, &link(2)), "revoked");
    acme.admin.post(&format!("{path}/invite"), &json!({})).is(200);
    service.accept_with(&link(3)).is(200);
    // Whichever it was: the account has a password.
    assert_eq!((state(service, &link(1)), state(service, &link(3))), ("used".into(), "used".into()));
    acme.admin.post(&format!("{path}/deactivate"), &json!({})).is(200);
    assert_eq!(state(service, &link(3)), "revoked");
    let dan = acme.invite("dan", "Dan", "agent");
    acme.admin.delete(&format!("/v1/organizations/{acme}/users/{dan}")).is(200);
    assert_eq!(state(service, &service.invitation(&acme.id, &dan)), "revoked");
}

async fn an_inspection_says_what_became_of_other_links(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let user = bob.session["user"].as_str().unwrap();
    let link = |purpose, generation| service.link(purpose, &acme.id, user, generation);
    let new = acme.email("robert");
    let ask = || {
        bob.post("/v1/me/address", &json!({"email": new, "current_password": PASSWORD})).is(200);
    };
    ask();
    let (confirm, cancel) = (link(Purpose::AddressChange, 1), link(Purpose::AddressChangeCancellation, 1));
    let shown = inspect(service, &confirm).is(200).body;
    assert_eq!((&shown["purpose"], &shown["email"]), (&json!("address_change"), &json!(new)));
    let shown = inspect(service, &cancel).is(200).body;
    assert_eq!(shown["purpose"], "address_change_cancellation");
    assert_eq!(shown["email"], acme.email("bob"));
    service.send("POST", "/v1/address-changes/cancel", &[], Some(&json!({"token": cancel}))).is(200);
    assert_eq!((state(service, &confirm), state(service, &cancel)), ("revoked".into(), "used".into()));
    ask();
    let (confirm, cancel) = (link(Purpose::AddressChange, 2), link(Purpose::AddressChangeCancellation, 2));
    service.send("POST", "/v1/address-changes/confirm", &[], Some(&json!({"token": confirm}))).is(200);
    assert_eq!((state(service, &confirm), state(service, &cancel)), ("used".into(), "revoked".into()));
    bob.post(&format!("/v1/organizations/current/users/{user}/reset-password"), &json!({})).is(200);
    let reset = link(Purpose::PasswordReset, 1);
    assert_eq!(state(service, &reset), "valid");
    let body = json!({"token": reset, "password": "sextant over the harbour"});
    service.send("POST", "/v1/password-resets/complete", &[], Some(&body)).is(200);
    assert_eq!(state(service, &reset), "used");
}

async fn tokens_that_are_no_links_are_rejected(service: &'static SharedService) {
    let acme = service.organization().await;
    let token = service.invitation(&acme.id, &acme.invite("cleo", "Cleo", "read_only"));
    let other = if token.as_bytes()[40] == b'A' { 'B' } else { 'A' };
    let altered = format!("{}{other}{}", &token[..40], &token[41..]);
    for bad in ["", "x", &token[1..], &token[..token.len() - 3], altered.as_str(), &"A".repeat(5_000)] {
        inspect(service, bad).refused(403, "link-invalid");
    }
    let wrong = |body: Value| service.send("POST", "/v1/links/inspect", &[], Some(&body));
    wrong(json!({})).refused(422, "invalid-fields");
    wrong(json!({"token": 1})).refused(422, "invalid-fields");
    wrong(json!({"token": token, "purpose": "setup"})).refused(422, "invalid-fields");
    service.send("GET", "/v1/links/inspect", &[], None).refused(405, "method-not-allowed");
}

async fn links_of_suspended_organizations_are_rejected_as_when_they_are_used(service: &'static SharedService) {
    let acme = service.organization().await;
    let token = service.invitation(&acme.id, &acme.invite("cleo", "Cleo", "read_only"));
    service.ana().post(&format!("/v1/organizations/{acme}/suspend"), &json!({"reason": "unpaid"})).is(200);
    let used = service.accept_with(&token);
    let inspected = inspect(service, &token);
    assert_eq!((inspected.status, inspected.problem()), (used.status, used.problem()));
    assert_eq!(inspected.problem(), "organization-suspended");
}

#[test]
fn inspections_of_links_spend_from_the_budget_of_attempts_only_if_the_token_is_invalid() {
    let variables = [ADMIN[0], ADMIN[1], ("PORTTASK_RATE_ATTEMPTS", "3")];
    run_on(Engine::Sqlite, async |store: Store| {
        let service = Service::start_with(&store, &variables);
        let (organization, user) = service.create_organization(&service.ana(), "acme.example");
        let token = service.link(&store, Purpose::Invitation, &organization, &user, 1).await;
        for _ in 0..10 {
            inspect(&service, &token).is(200);
        }
        for _ in 0..3 {
            inspect(&service, "x").refused(403, "link-invalid");
        }
        inspect(&service, "x").refused(429, "rate-limited");
    });
}

/// The session in the answer to a redeemed link works, and was recorded as a sign-in.
#[track_caller]
fn assert_signed_in(service: &Service, answer: &Answer) {
    let session = &answer.body["session"];
    assert_eq!(session["user"], answer.body["user"], "{answer:?}");
    assert_eq!(answer.header("porttask-position"), session["position"].as_str().unwrap());
    let caller = service.with_token(&session["token"]);
    let current = caller.get("/v1/sessions/current").is(200);
    assert_eq!(current.body["id"], session["id"]);
    let sessions = caller.get("/v1/me/sessions?open=true").is(200);
    assert_eq!(
        (&sessions.body["items"][0]["id"], &sessions.body["items"][0]["ip"]),
        (&session["id"], &json!("127.0.0.1"))
    );
    assert!(session["device_token"].as_str().unwrap().starts_with("ptd_"));
}

async fn an_acceptance_signs_in_on_request(service: &'static SharedService) {
    let acme = service.organization().await;
    let cleo = acme.invite("cleo", "Cleo", "read_only");
    let accept = |token: &str, sign_in: Value| {
        let body = json!({"token": token, "password": PASSWORD, "sign_in": sign_in});
        service.send("POST", "/v1/invitations/accept", &[], Some(&body))
    };
    let token = service.invitation(&acme.id, &cleo);
    accept(&token, json!("yes")).refused(422, "invalid-fields");
    let accepted = accept(&token, json!(true)).is(200);
    assert_signed_in(service, &accepted);
    accept(&token, json!(true)).refused(409, "invitation-accepted");
    let entries = acme.admin.get(&format!("/v1/organizations/current/audit-log?actor={cleo}")).is(200);
    let actions: Vec<&str> =
        entries.body["items"].as_array().unwrap().iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["session.started", "user.invitation_accepted"]);
    let dan = acme.invite("dan", "Dan", "read_only");
    let plain = service.accept(&acme.id, &dan).is(200);
    assert_eq!(plain.body.get("session"), None, "only on request");
}

async fn a_password_reset_signs_in_on_request(service: &'static SharedService) {
    let acme = service.organization().await;
    let user = acme.admin.session["user"].as_str().unwrap();
    acme.admin.post(&format!("/v1/organizations/current/users/{user}/reset-password"), &json!({})).is(200);
    let token = service.link(Purpose::PasswordReset, &acme.id, user, 1);
    let body = json!({"token": token, "password": "sextant over the harbour", "sign_in": true});
    let answer = service.send("POST", "/v1/password-resets/complete", &[], Some(&body)).is(200);
    assert_signed_in(service, &answer);
    acme.admin.get("/v1/me").refused(401, "unauthenticated");
    // The device is known from now on, as after a sign-in.
    let known = json!({"email": acme.email("bob"), "password": "sextant over the harbour"});
    let again = service.send("POST", "/v1/sessions", &[], Some(&known)).is(201);
    assert_eq!(again.body["device_token"], answer.body["session"]["device_token"]);
    let body = json!({"token": token, "password": "another horse battery", "sign_in": true});
    service.send("POST", "/v1/password-resets/complete", &[], Some(&body)).refused(409, "link-replaced");
}

async fn a_suspended_organization_is_not_signed_in_to(service: &'static SharedService) {
    let acme = service.organization().await;
    let token = service.invitation(&acme.id, &acme.invite("cleo", "Cleo", "read_only"));
    service.ana().post(&format!("/v1/organizations/{acme}/suspend"), &json!({"reason": "unpaid"})).is(200);
    let body = json!({"token": token, "password": PASSWORD, "sign_in": true});
    service.send("POST", "/v1/invitations/accept", &[], Some(&body)).refused(409, "organization-suspended");
}
