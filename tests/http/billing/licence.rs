//! Licences: issued by staff, shown to their holders, used by programs without an account.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use porttask_domain::UserId;
use porttask_licence::{Claims, Invalid, Keys, Kind, Verifier};
use porttask_runtime::new_id;
use porttask_tests::{Store, by, on_both_engines};
use serde_json::{Value, json};

use crate::{
    service::{ADMIN, Answer, Caller, Service, porttask},
    shared::{Organization, SharedService},
};

on_both_engines!(
    a_licence_is_issued_verified_and_activated,
    what_is_revoked_or_replaced_is_on_the_list,
    a_trial_licence_is_issued_once,
    wrong_licences_are_refused,
    licences_are_issued_by_staff_and_shown_to_their_holders,
    keys_are_rotated_and_licences_follow_their_subscription,
);

const KEYS: &str = "/v1/platform/billing/licence-signing-keys";
const LICENCES: &str = "/v1/organizations/current/billing/licences";

/// A machine that no other test uses.
fn machine() -> String {
    let id = new_id::<UserId>().0.simple().to_string();
    format!("{id:A<43}")
}

/// Makes sure that a key signs.
fn with_key(service: &Service, ana: &Caller<'_>) {
    let is_signing = || {
        let keys = ana.get(KEYS).is(200).body;
        keys["items"].as_array().unwrap().iter().any(|key| key["status"] == "signing")
    };
    if !is_signing() {
        let key = ana.post(KEYS, &json!({})).is(201).id().to_owned();
        // Another test may have been faster.
        ana.post(&format!("{KEYS}/{key}/activate"), &json!({}));
        assert!(is_signing());
    }
    assert!(!service.send("GET", "/v1/licences/keys", &[], None).is(200).body["keys"].as_array().unwrap().is_empty());
}

fn issue(ana: &Caller<'_>, organization: &str, body: &Value) -> Answer {
    let key = new_id::<UserId>().to_string();
    let path = format!("/v1/organizations/{organization}/billing/licences");
    let answer = ana.send("POST", &path, &[("idempotency-key", &key)], Some(body));
    if answer.status == 201 {
        // Others see it, too, once its author does.
        ana.get(&format!("{path}/{}", answer.id())).is(200);
    }
    answer
}

fn enterprise(activations: u32) -> Value {
    json!({"kind": "enterprise", "expires_at": "2035-01-01T00:00:00Z", "activations": activations,
        "features": ["sso"], "limits": {"users": 25}})
}

async fn licensed<'a>(service: &'a SharedService, activations: u32) -> (Organization<'a>, String) {
    let (acme, ana) = (service.organization().await, service.super_admin());
    with_key(service, &ana);
    let licence = issue(&ana, &acme.id, &enterprise(activations)).is(201).id().to_owned();
    (acme, licence)
}

fn token_of(holder: &Caller<'_>, licence: &str) -> String {
    holder.get(&format!("{LICENCES}/{licence}")).is(200).body["token"].as_str().unwrap().to_owned()
}

fn call(service: &Service, operation: &str, token: &str, machine: &str) -> Answer {
    let body = json!({"token": token, "machine": machine});
    service.send("POST", &format!("/v1/licences/{operation}"), &[], Some(&body))
}

/// Verifies as an installation does that has just fetched keys and revocations.
fn verifier(service: &Service, issuer: &str) -> Verifier {
    let keys = service.send("GET", "/v1/licences/keys", &[], None).is(200);
    assert_eq!(keys.header("content-type"), "application/jwk-set+json");
    let mut verifier = Verifier::new(issuer, Keys::from_jwks(&keys.body.to_string()).unwrap());
    verifier.accept_revocations(&revocations(service)).unwrap();
    verifier
}

fn revocations(service: &Service) -> String {
    let request = ureq::http::Request::get(service.url("/v1/licences/revocations")).body(Vec::new()).unwrap();
    let response = service.exchange(request).unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["content-type"]),
        (200, &"application/jwt".parse().unwrap())
    );
    assert_eq!(response.headers()["cache-control"], "public, max-age=300");
    String::from_utf8(response.into_body()).unwrap()
}

fn verified(service: &Service, token: &str) -> Result<Claims, Invalid> {
    verifier(service, &service.url("")).verify(token, Timestamp::now().as_second())
}

async fn a_licence_is_issued_verified_and_activated(service: &'static SharedService) {
    let (acme, licence) = licensed(service, 2).await;
    let bob = &acme.admin;
    let token = token_of(bob, &licence);
    assert_eq!(token_of(bob, &licence), token, "it is signed again in the same way");
    let claims = verified(service, &token).unwrap();
    assert_eq!((&claims.jti, &claims.sub, claims.kind), (&licence, &acme.id, Kind::Enterprise));
    assert_eq!((claims.activations, &claims.features[..]), (2, &["sso".to_owned()][..]));
    assert_eq!(claims.limits, [("users".to_owned(), 25)].into());
    let (one, two, three) = (machine(), machine(), machine());
    let lease = call(service, "activate", &token, &one).is(200).body;
    let now = Timestamp::now().as_second();
    let lease = lease["lease"].as_str().unwrap();
    let lease = verifier(service, &claims.iss).verify_lease(lease, &claims, &one, now).unwrap();
    assert_eq!(lease.exp - lease.iat, 30 * 86_400);
    call(service, "activate", &format!("{token}\n"), &one).is(200);
    let shown = || {
        // The list includes all that was done before.
        revocations(service);
        bob.get(&format!("{LICENCES}/{licence}")).is(200).body
    };
    assert_eq!((&shown()["used_activations"], &shown()["max_activations"]), (&json!(1), &json!(2)), "the same machine");
    call(service, "activate", &token, &two).is(200);
    let full = call(service, "activate", &token, &three).refused(409, "activation-limit-reached");
    assert!(full.body["detail"].as_str().unwrap().contains("2 machines"), "{full:?}");
    assert_eq!(call(service, "deactivate", &token, &one).is(200).body["deactivated"], true);
    assert_eq!(call(service, "deactivate", &token, &one).is(200).body["deactivated"], false);
    call(service, "activate", &token, &three).is(200);
    assert_eq!(shown()["used_activations"], 2);
    let activation = shown()["activations"][0]["id"].as_str().unwrap().to_owned();
    let remove = format!("{LICENCES}/{licence}/activations/{activation}/remove");
    assert_eq!(bob.post(&remove, &json!({})).is(200).body["events"], json!(["licence.activation_removed"]));
    assert_eq!(bob.post(&remove, &json!({})).is(200).body["events"], json!([]));
    assert_eq!(shown()["activations"].as_array().unwrap().len(), 1);
    let log = bob.get(&format!("/v1/organizations/current/audit-log?target={licence}")).is(200).body;
    assert_eq!(log["items"][0]["summary"], "removed a machine from the licence");
}

async fn what_is_revoked_or_replaced_is_on_the_list(service: &'static SharedService) {
    let (acme, lost) = licensed(service, 1).await;
    let (bob, ana) = (&acme.admin, service.super_admin());
    let ended = issue(&ana, &acme.id, &enterprise(1)).is(201).id().to_owned();
    let (lost_token, ended_token) = (token_of(bob, &lost), token_of(bob, &ended));
    let before = verifier(service, &service.url("")).revocation_seq().unwrap();
    let path =
        |licence: &str, command: &str| format!("/v1/organizations/{}/billing/licences/{licence}/{command}", acme.id);
    let replaced = ana.post(&path(&lost, "replace"), &json!({})).is(201);
    let new = replaced.id().to_owned();
    assert!(new != lost && replaced.header("location").ends_with(&format!("/billing/licences/{new}")), "{replaced:?}");
    ana.post(&path(&lost, "replace"), &json!({})).refused(409, "licence-revoked");
    let revoke = json!({"reason": "The contract has ended."});
    ana.post(&path(&ended, "revoke"), &json!({})).refused(422, "invalid-fields");
    assert_eq!(ana.post(&path(&ended, "revoke"), &revoke).is(200).body["events"], json!(["licence.revoked"]));
    assert_eq!(ana.post(&path(&ended, "revoke"), &revoke).is(200).body["events"], json!([]));
    let reason_of = |token: &str| match verified(service, token) {
        Err(Invalid::Revoked { reason, .. }) => reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(reason_of(&lost_token), "replaced");
    assert_eq!(reason_of(&ended_token), "The contract has ended.");
    let after = verifier(service, &service.url("")).revocation_seq().unwrap();
    assert!(after >= before + 2, "{before} {after}");
    call(service, "activate", &ended_token, &machine()).refused(409, "licence-revoked");
    let shown = bob.get(&format!("{LICENCES}/{lost}")).is(200).body;
    assert_eq!((&shown["status"], &shown["replaced_by"]), (&json!("replaced"), &json!(new)));
    assert_eq!(shown["token"], Value::Null);
    revocations(service);
    let new_token = token_of(bob, &new);
    assert_eq!(verified(service, &new_token).unwrap().limits, [("users".to_owned(), 25)].into());
    call(service, "activate", &new_token, &machine()).is(200);
    let keys = service.send("GET", "/v1/licences/keys", &[], None).is(200);
    let known = [("if-none-match", keys.header("etag"))];
    assert_eq!(service.send("GET", "/v1/licences/keys", &known, None).status, 304);
}

async fn a_trial_licence_is_issued_once(service: &'static SharedService) {
    let (acme, ana) = (service.organization().await, service.super_admin());
    with_key(service, &ana);
    let trial = json!({"kind": "trial"});
    let licence = issue(&ana, &acme.id, &trial).is(201).id().to_owned();
    issue(&ana, &acme.id, &trial).refused(409, "trial-licence-used");
    let claims = verified(service, &token_of(&acme.admin, &licence)).unwrap();
    assert_eq!((claims.exp - claims.nbf, claims.activations, claims.features.len()), (14 * 86_400, 1, 4));
    let path = format!("/v1/organizations/{}/billing/licences/{licence}/replace", acme.id);
    ana.post(&path, &json!({})).is(201);
    issue(&ana, &acme.id, &json!({"kind": "subscription"})).refused(409, "no-paid-subscription");
}

async fn wrong_licences_are_refused(service: &'static SharedService) {
    let (acme, licence) = licensed(service, 1).await;
    let ana = service.super_admin();
    let path = format!("/v1/organizations/{}/billing/licences", acme.id);
    ana.post(&path, &enterprise(1)).refused(422, "invalid-fields");
    for body in [
        json!({"kind": "perpetual"}),
        json!({"kind": "enterprise"}),
        json!({"kind": "trial", "activations": 2}),
        json!({"kind": "subscription", "expires_at": "2035-01-01"}),
        json!({"kind": "enterprise", "expires_at": "2035-01-01", "reseller": ""}),
    ] {
        issue(&ana, &acme.id, &body).refused(422, "invalid-fields");
    }
    for body in [
        json!({"kind": "enterprise", "expires_at": "2020-01-01"}),
        json!({"kind": "enterprise", "expires_at": "2090-01-01"}),
        json!({"kind": "enterprise", "expires_at": "2035-01-01", "activations": 0}),
        json!({"kind": "enterprise", "expires_at": "2035-01-01", "reseller": "Harbour IT"}),
        json!({"kind": "partner", "expires_at": "2035-01-01"}),
    ] {
        issue(&ana, &acme.id, &body).refused(422, "invalid-licence");
    }
    issue(&ana, "org_00000000000000000000000000", &enterprise(1)).refused(422, "invalid-fields");
    let token = token_of(&acme.admin, &licence);
    call(service, "activate", "", &machine()).refused(403, "licence-malformed");
    let (signed, _) = token.rsplit_once('.').unwrap();
    let forged = format!("{signed}.{}", "A".repeat(86));
    call(service, "activate", &forged, &machine()).refused(403, "licence-bad-signature");
    call(service, "activate", &token, "my laptop").refused(422, "invalid-fields");
    let of_stranger = porttask_licence::Signer::from_seed([7; 32]).sign(&verified(service, &token).unwrap());
    call(service, "deactivate", &of_stranger, &machine()).refused(403, "licence-unknown-key");
}

async fn licences_are_issued_by_staff_and_shown_to_their_holders(service: &'static SharedService) {
    let (acme, licence) = licensed(service, 1).await;
    let (bob, ana) = (&acme.admin, service.super_admin());
    let own = |rest: &str| format!("{LICENCES}/{licence}{rest}");
    bob.send("POST", LICENCES, &[("idempotency-key", "own")], Some(&enterprise(1))).refused(403, "forbidden");
    for (command, body) in [("/revoke", json!({"reason": "mine"})), ("/replace", json!({}))] {
        bob.post(&own(command), &body).refused(403, "forbidden");
    }
    bob.get(KEYS).refused(403, "forbidden");
    bob.post(KEYS, &json!({})).refused(403, "forbidden");
    bob.get("/v1/platform/billing/licences").refused(403, "forbidden");
    let dan = acme.join("dan", "Dan", "read_only");
    let permissions = json!({"permissions": {"invoices": "read"}});
    let users = bob.get("/v1/organizations/current/users?q=dan").is(200).body;
    let user = users["items"][0]["id"].as_str().unwrap().to_owned();
    bob.patch(&format!("/v1/organizations/current/users/{user}"), &permissions).is(200);
    assert_eq!(dan.get(&own("")).is(200).body.get("token"), None, "without billing:write");
    assert_eq!(dan.get(LICENCES).is(200).body["items"][0].get("token"), None);
    let beta = service.organization().await;
    let theirs = format!("/v1/organizations/{}/billing/licences/{licence}", acme.id);
    beta.admin.get(&theirs).refused(404, "organization-not-found");
    beta.admin.get(&own("")).refused(404, "licence-not-found");
    assert!(ana.get(&theirs).is(200).body["token"].is_string());
    let all = ana.get("/v1/platform/billing/licences?kind=enterprise&limit=200").is(200).body;
    let found = all["items"].as_array().unwrap().iter().find(|it| it["id"] == licence.as_str()).unwrap().clone();
    assert_eq!(found["organization"], acme.id);
    let csv = ana.get("/v1/platform/billing/licences?format=csv&status=active").is(200);
    assert_eq!(csv.header("content-type"), "text/csv; charset=utf-8; header=present");
    ana.get("/v1/platform/billing/licences?format=csv&limit=2").refused(422, "invalid-fields");
}

async fn keys_are_rotated_and_licences_follow_their_subscription(store: Store) {
    let advance = |days: i64| {
        let output = porttask(&store, &["clock", "advance", &format!("{days}d")]).envs(ADMIN).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let output = porttask(&store, &["init", "--simulated"]).envs(ADMIN).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let service = Service::start(&store);
    let ana = service.ana();
    let (acme, _) = service.create_organization(&ana, "acme.example");
    issue(&ana, &acme, &enterprise(1)).refused(409, "no-signing-key");
    service.send("GET", "/v1/licences/revocations", &[], None).refused(409, "no-signing-key");
    let key = |ana: &Caller<'_>| ana.post(KEYS, &json!({})).is(201).id().to_owned();
    let act =
        |ana: &Caller<'_>, key: &str, command: &str, body: Value| ana.post(&format!("{KEYS}/{key}/{command}"), &body);
    let (rotated, compromised) = (json!({"reason": "rotated"}), json!({"reason": "compromised"}));
    let one = key(&ana);
    ana.post(&format!("{KEYS}?dry_run=true"), &json!({})).refused(422, "invalid-fields");
    act(&ana, &one, "activate", json!({})).is(200);
    act(&ana, &one, "retire", compromised.clone()).refused(409, "last-signing-key");
    let two = key(&ana);
    act(&ana, &two, "activate", json!({})).refused(409, "signing-key-too-new");
    act(&ana, &one, "retire", rotated.clone()).refused(409, "signing-key-in-use");
    act(&ana, "lsk_00000000000000000000000042", "activate", json!({})).refused(404, "licence-signing-key-not-found");

    let subscription = format!("/v1/organizations/{acme}/billing/subscription");
    let plans = ana.get("/v1/platform/billing/plans?q=starter").is(200).body;
    ana.post(&format!("{subscription}/end"), &json!({})).is(200);
    let to = json!({"to": {"plan": plans["items"][0]["id"], "interval": "month"}});
    ana.send("POST", &format!("{subscription}/change"), &[("idempotency-key", "plan")], Some(&to)).is(200);
    let licence = issue(&ana, &acme, &json!({"kind": "subscription", "activations": 3})).is(201).id().to_owned();
    let path = format!("/v1/organizations/{acme}/billing/licences/{licence}");
    let first = ana.get(&path).is(200).body;
    let until: Timestamp = ana.get(&subscription).is(200).body["period"]["ends_at"].as_str().unwrap().parse().unwrap();
    assert_eq!(first["expires_at"], (until + SignedDuration::from_hours(15 * 24)).to_string());
    assert_eq!(first["limits"]["users"], 3);

    advance(40);
    let shown = |what: fn(&Value) -> bool| {
        let (service, path) = (&service, &path);
        by(Duration::from_secs(60), "the licence follows", move || async move {
            let shown = service.try_sign_in("ana@platform.example", crate::service::PASSWORD);
            if shown.status != 201 {
                return false;
            }
            let shown = service.ana().get(path);
            shown.status == 200 && what(&shown.body)
        })
    };
    shown(|it| it["version"] == 2 && it["status"] == "active").await;
    let ana = service.ana();
    let again = ana.get(&path).is(200).body;
    assert!(again["expires_at"].as_str() > first["expires_at"].as_str(), "{again}");
    assert_ne!(again["token"], first["token"]);
    act(&ana, &two, "activate", json!({})).is(200);
    act(&ana, &one, "retire", rotated).is(200);
    let token = again["token"].as_str().unwrap();
    call(&service, "activate", token, &machine()).is(200);
    act(&ana, &one, "retire", compromised).is(200);
    call(&service, "activate", token, &machine()).refused(403, "licence-unknown-key");
    let reissued = ana.get(&path).is(200).body["token"].as_str().unwrap().to_owned();
    call(&service, "activate", &reissued, &machine()).is(200);
    let keys = service.send("GET", "/v1/licences/keys", &[], None).is(200).body;
    assert_eq!(keys["keys"].as_array().unwrap().len(), 1);
    ana.post(&format!("{subscription}/end"), &json!({})).is(200);
    shown(|it| it["status"] == "revoked").await;
    assert_eq!(service.ana().get(&path).is(200).body["reason"], "the subscription ended");
}
