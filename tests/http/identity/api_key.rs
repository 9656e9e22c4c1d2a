//! API keys: programs that act on behalf of users, and the limits of a stolen key.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use porttask_tests::{Store, by, on_both_engines};
use serde_json::{Value, json};

use crate::{
    service::{ADMIN, Answer, Caller, Service},
    shared::{Organization, SharedService},
};

on_both_engines!(
    a_key_acts_on_behalf_of_its_owner_until_it_is_revoked,
    a_key_is_shown_once,
    a_rotated_key_has_two_secrets_during_the_overlap,
    a_key_never_exceeds_the_permissions_of_its_owner,
    a_stolen_key_cannot_create_accounts_or_keys,
    a_key_is_accepted_only_from_its_networks,
    a_trusted_proxy_names_the_client_of_a_key,
    a_key_without_an_active_owner_stops_until_it_is_adopted,
    keys_of_other_organizations_are_hidden,
    a_key_of_the_platform_is_limited_to_its_scopes,
    a_key_is_the_actor_in_the_audit_log,
    instants_have_microseconds_wherever_they_are_shown
    ; waiting:
    invalid_keys_are_refused,
);

const KEYS: &str = "/v1/organizations/current/api-keys";
const USERS: &str = "/v1/organizations/current/users";

/// Creates a key; its id and its token.
#[track_caller]
fn create_key(caller: &Caller<'_>, body: &Value) -> (String, Value) {
    let answer = caller.post(KEYS, body).is(201);
    (answer.id().to_owned(), answer.body["token"].clone())
}

fn named() -> Value {
    json!({"name": "harbour robot"})
}

/// Adds a user with this role; the user, signed in, and their id.
fn join<'a>(organization: &Organization<'a>, name: &str, role: &str) -> (Caller<'a>, String) {
    let user = organization.join(name, name, role);
    let id = user.session["user"].as_str().unwrap().to_owned();
    (user, id)
}

async fn a_key_acts_on_behalf_of_its_owner_until_it_is_revoked(store: Store) {
    let (one, two) = (Service::start(&store), Service::start(&store));
    let (_, bob) = one.found(&store, "acme.example").await;
    let (id, token) = create_key(&bob, &named());
    let robots = [one.with_token(&token), two.with_token(&token)];
    for robot in &robots {
        robot.get(USERS).is(200);
        robot.get("/v1/organizations/current/audit-log").is(200);
    }
    robots[0].patch("/v1/organizations/current", &json!({"name": "Acme Ports"})).is(200);
    bob.post(&format!("{KEYS}/{id}/revoke"), &json!({})).is(200);
    // From the next request, on every node.
    for robot in &robots {
        robot.get(USERS).refused(401, "unauthenticated");
    }
    let shown = bob.get(&format!("{KEYS}/{id}")).is(200);
    assert!(shown.body["revoked_at"].is_string() && shown.body["owner"] == bob.session["user"], "{shown:?}");
    bob.post(&format!("{KEYS}/{id}/rotate"), &json!({})).refused(409, "api-key-revoked");
}

async fn a_key_is_shown_once(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let create = || bob.send("POST", KEYS, &[("idempotency-key", "robot")], Some(&named()));
    let (first, again) = (create().is(201), create());
    assert_eq!((first.id(), &again.body["repeated"]), (again.id(), &json!(true)));
    assert!(first.body["token"].as_str().unwrap().starts_with("ptk_") && again.body["token"].is_null(), "{again:?}");
    service.with_token(&first.body["token"]).get(USERS).is(200);
    let secret = &first.body["token"].as_str().unwrap()[60..];
    for shown in [bob.get(KEYS).is(200), bob.get("/v1/organizations/current/audit-log").is(200)] {
        assert!(shown.body.to_string().contains(first.id()) && !shown.body.to_string().contains(secret), "{shown:?}");
    }
    bob.post(&format!("{KEYS}?dry_run=true"), &named()).refused(422, "invalid-fields");
}

async fn a_rotated_key_has_two_secrets_during_the_overlap(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let (id, first) = create_key(bob, &named());
    let rotate = |body: &Value| bob.post(&format!("{KEYS}/{id}/rotate"), body);
    let second = rotate(&json!({})).is(200).body["token"].clone();
    for token in [&first, &second] {
        service.with_token(token).get(USERS).is(200);
    }
    let third = rotate(&json!({"overlap_hours": 0})).is(200).body["token"].clone();
    for token in [&first, &second] {
        service.with_token(token).get(USERS).refused(401, "unauthenticated");
    }
    service.with_token(&third).get(USERS).is(200);
    for long in [169, u32::MAX] {
        rotate(&json!({"overlap_hours": long})).refused(422, "api-key-overlap-too-long");
    }
    service.with_token(&third).get(USERS).is(200);
    // A repeated rotation does not return the secret again.
    let repeated =
        bob.send("POST", &format!("{KEYS}/{id}/rotate"), &[("idempotency-key", "r")], Some(&json!({}))).is(200);
    let again = bob.send("POST", &format!("{KEYS}/{id}/rotate"), &[("idempotency-key", "r")], Some(&json!({}))).is(200);
    assert!(repeated.body["token"].is_string() && again.body["token"].is_null());
}

async fn a_key_never_exceeds_the_permissions_of_its_owner(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let (carol, user) = join(&acme, "carol", "admin");
    let (_, token) = create_key(&carol, &named());
    let robot = service.with_token(&token);
    robot.get(USERS).is(200);
    let narrowed = json!({"tickets": "none", "invoices": "none", "reports": "none", "administration": "read"});
    let (_, reader) = create_key(&carol, &json!({"name": "reader", "permissions": narrowed}));
    let reader = service.with_token(&reader);
    reader.get(USERS).is(200);
    reader.patch("/v1/organizations/current", &json!({"name": "Mine"})).refused(403, "forbidden");
    // A demotion applies to the next request.
    bob.patch(&format!("{USERS}/{user}"), &json!({"role": "agent"})).is(200);
    for key in [&robot, &reader] {
        key.get(USERS).refused(403, "forbidden");
    }
    carol.post(KEYS, &named()).refused(403, "forbidden");
    bob.patch(&format!("{USERS}/{user}"), &json!({"role": "admin", "permissions": narrowed})).is(200);
    robot.get(USERS).is(200);
    robot.patch("/v1/organizations/current", &json!({"name": "Mine"})).refused(403, "forbidden");
}

async fn a_stolen_key_cannot_create_accounts_or_keys(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let (id, token) = create_key(bob, &named());
    let thief = service.with_token(&token);
    let (user, session) = (bob.session["user"].as_str().unwrap(), bob.session["id"].as_str().unwrap());
    let friend = json!({"name": "Eve", "email": "eve@evil.example", "role": "admin"});
    let tries: [Answer; 10] = [
        thief.post(USERS, &friend),
        thief.post(&format!("{USERS}/invite"), &json!({"users": [friend]})),
        thief.upload(&format!("{USERS}/import"), &[], "name,email\nEve,eve@evil.example\n"),
        thief.patch(&format!("{USERS}/{user}"), &json!({"role": "agent"})),
        thief.post(&format!("{USERS}/{user}/deactivate"), &json!({})),
        thief.post(&format!("{USERS}/{user}/reset-password"), &json!({})),
        thief.delete(&format!("{USERS}/{user}/sessions/{session}")),
        thief.post(KEYS, &named()),
        thief.post(&format!("{KEYS}/{id}/rotate"), &json!({})),
        thief.get(KEYS),
    ];
    for answer in tries {
        answer.refused(403, "forbidden");
    }
    for (method, path) in
        [("GET", "/v1/me"), ("PATCH", "/v1/me"), ("POST", "/v1/me/password"), ("POST", "/v1/me/address")]
    {
        thief.send(method, path, &[], (method != "GET").then_some(&json!({}))).refused(403, "forbidden");
    }
    thief.get("/v1/sessions/current").refused(403, "forbidden");
    thief.delete("/v1/sessions/current").refused(403, "forbidden");
    let listed = bob.get(USERS).is(200);
    assert_eq!(listed.body["items"].as_array().unwrap().len(), 1);
    // Denials are recorded in the background.
    let refused = async || {
        let page = bob.get("/v1/organizations/current/audit-log?action=denial.recorded").is(200);
        page.body.to_string().contains(&id)
    };
    by(Duration::from_secs(10), "the denials are recorded", refused).await;
}

async fn a_key_is_accepted_only_from_its_networks(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let at = |networks: Value| json!({"name": "robot", "networks": networks});
    let (_, near) = create_key(bob, &at(json!(["127.0.0.0/8", "2001:db8::/32"])));
    let (_, far) = create_key(bob, &at(json!(["203.0.113.7"])));
    service.with_token(&near).get(USERS).is(200);
    let far = service.with_token(&far);
    far.get(USERS).refused(403, "address-not-allowed");
    for header in ["x-forwarded-for", "x-real-ip", "forwarded"] {
        far.send("GET", USERS, &[(header, "203.0.113.7")], None).refused(403, "address-not-allowed");
    }
    for bad in [json!(["everywhere"]), json!(["203.0.113.0/33"]), json!([""]), json!(["203.0.113.7", 7])] {
        bob.post(KEYS, &at(bad)).refused(422, "invalid-fields");
    }
    let many: Vec<String> = (0..51).map(|number| format!("203.0.113.{number}")).collect();
    bob.post(KEYS, &at(json!(many))).refused(422, "api-key-too-many-networks");
}

async fn a_trusted_proxy_names_the_client_of_a_key(store: Store) {
    let proxies = ("PORTTASK_TRUSTED_PROXIES", "127.0.0.1,10.0.0.1");
    let service = Service::start_with(&store, &[ADMIN[0], ADMIN[1], proxies]);
    let (_, bob) = service.found(&store, "acme.example").await;
    let (_, token) = create_key(&bob, &json!({"name": "robot", "networks": ["203.0.113.0/24"]}));
    let robot = service.with_token(&token);
    let from = |hops: &str| robot.send("GET", USERS, &[("x-forwarded-for", hops)], None);
    from("203.0.113.9").is(200);
    from("203.0.113.9, 10.0.0.1").is(200);
    // Anyone can have written the hops before the nearest untrusted one.
    for hops in ["203.0.113.9, 198.51.100.1", "198.51.100.1", "203.0.113.9, nonsense", "10.0.0.1", ""] {
        from(hops).refused(403, "address-not-allowed");
    }
    robot.get(USERS).refused(403, "address-not-allowed");
    from("::ffff:203.0.113.9").is(200);
}

async fn a_key_without_an_active_owner_stops_until_it_is_adopted(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let (carol, user) = join(&acme, "carol", "admin");
    let (id, token) = create_key(&carol, &named());
    let robot = service.with_token(&token);
    let path = format!("{USERS}/{user}/deactivate");
    let trial = bob.post(&format!("{path}?dry_run=true"), &json!({})).is(200);
    assert_eq!(trial.body["keys_that_stop"], json!([id]));
    robot.get(USERS).is(200);
    assert_eq!(bob.post(&path, &json!({})).is(200).body["keys_that_stop"], json!([id]));
    robot.get(USERS).refused(403, "api-key-owner-inactive");
    bob.post(&format!("{KEYS}/{id}/adopt"), &json!({})).is(200);
    robot.get(USERS).is(200);
    assert_eq!(bob.get(&format!("{KEYS}/{id}")).is(200).body["owner"], bob.session["user"]);
}

async fn keys_of_other_organizations_are_hidden(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let umbra = service.organization().await;
    let eve = &umbra.admin;
    let (id, token) = create_key(bob, &named());
    for (method, path) in [("GET", ""), ("POST", "/rotate"), ("POST", "/revoke"), ("POST", "/adopt")] {
        let body = (method == "POST").then(|| json!({}));
        eve.send(method, &format!("{KEYS}/{id}{path}"), &[], body.as_ref()).refused(404, "api-key-not-found");
        let foreign = format!("/v1/organizations/{acme}/api-keys/{id}{path}");
        eve.send(method, &foreign, &[], body.as_ref()).refused(404, "organization-not-found");
    }
    // Super admins can revoke keys, and never get a secret.
    let ana = service.ana();
    let of_acme = format!("/v1/organizations/{acme}/api-keys");
    ana.post(&of_acme, &named()).refused(403, "keys-are-made-at-home");
    ana.post(&format!("{of_acme}/{id}/rotate"), &json!({})).refused(403, "keys-are-made-at-home");
    ana.post(&format!("{of_acme}/{id}/adopt"), &json!({})).refused(403, "keys-are-made-at-home");
    let robot = service.with_token(&token);
    robot.get("/v1/organizations").refused(403, "forbidden");
    robot
        .get(&format!("/v1/organizations/{}/users", eve.session["organization"].as_str().unwrap()))
        .refused(404, "organization-not-found");
    ana.post(&format!("{of_acme}/{id}/revoke"), &json!({})).is(200);
    robot.get(USERS).refused(401, "unauthenticated");
}

async fn instants_have_microseconds_wherever_they_are_shown(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let body = json!({"name": "robot", "expires_at": "2999-01-01T00:00:00.123456789Z"});
    let created = bob.post(KEYS, &body).is(201);
    let at_least = [("porttask-at-least", created.header("porttask-position"))];
    let key = bob.send("GET", &format!("{KEYS}/{}", created.id()), &at_least, None).is(200).body;
    assert_eq!(key["expires_at"], "2999-01-01T00:00:00.123456Z");
    let log = "/v1/organizations/current/audit-log?action=api_key.created";
    let entry = bob.send("GET", log, &at_least, None).is(200).body["items"][0].clone();
    assert!(entry.to_string().contains("\"2999-01-01T00:00:00.123456Z\""), "{entry}");
}

async fn invalid_keys_are_refused(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let past = Timestamp::now() - SignedDuration::from_secs(1);
    bob.post(KEYS, &json!({"name": "late", "expires_at": past})).refused(422, "api-key-ends-in-the-past");
    for bad in [json!({}), json!({"name": ""}), json!({"name": "see http://evil.example"}), json!({"name": "a\nb"})] {
        bob.post(KEYS, &bad).refused(422, "invalid-fields");
    }
    for mass in ["owner", "organization", "id", "token", "generation", "role"] {
        bob.post(KEYS, &json!({"name": "robot", mass: "x"})).refused(422, "invalid-fields");
    }
    bob.post(KEYS, &json!({"name": "robot", "scopes": ["users:write"]})).refused(422, "api-key-needs-permissions");
    let soon = Timestamp::now() + SignedDuration::from_millis(1_500);
    let (_, token) = create_key(bob, &json!({"name": "brief", "expires_at": soon}));
    let brief = service.with_token(&token);
    brief.get(USERS).is(200);
    std::thread::sleep(Duration::from_millis(1_600));
    brief.get(USERS).refused(401, "unauthenticated");
    let (_, token) = create_key(bob, &named());
    let text = token.as_str().unwrap();
    for place in [4, 20, 40, text.len() - 1] {
        let other = if &text[place..=place] == "A" { "B" } else { "A" };
        let changed = format!("{}{other}{}", &text[..place], &text[place + 1..]);
        service.with_token(&json!(changed)).get(USERS).refused(401, "unauthenticated");
    }
    service.ana().post(&format!("/v1/organizations/{acme}/suspend"), &json!({"reason": "unpaid"})).is(200);
    service.with_token(&token).get(USERS).refused(403, "organization-suspended");
    service.ana().post(&format!("/v1/organizations/{acme}/reactivate"), &json!({})).is(200);
    service.with_token(&token).get(USERS).is(200);
}

async fn a_key_of_the_platform_is_limited_to_its_scopes(service: &'static SharedService) {
    let acme = service.organization().await;
    let ana = service.ana();
    ana.post(KEYS, &named()).refused(422, "api-key-needs-scopes");
    ana.post(KEYS, &json!({"name": "crm", "scopes": ["everything"]})).refused(422, "invalid-fields");
    let scoped = |scopes: Value| create_key(&ana, &json!({"name": "crm", "scopes": scopes}));
    let (_, reader) = scoped(json!(["organizations:read", "users:read"]));
    let reader = service.with_token(&reader);
    let users = format!("/v1/organizations/{acme}/users");
    let dan = json!({"name": "Dan", "email": acme.email("dan"), "role": "admin"});
    reader.get("/v1/organizations").is(200);
    reader.get(&users).is(200);
    reader.get(&format!("/v1/organizations/{acme}/audit-log")).refused(403, "forbidden");
    reader.post(&users, &dan).refused(403, "forbidden");
    let (_, writer) = scoped(json!(["organizations:write", "users:write"]));
    let writer = service.with_token(&writer);
    writer.post(&users, &dan).refused(403, "beyond-own-rights");
    let crew = json!({"users": [dan, {"name": "Eve", "email": acme.email("eve"), "role": "agent"}]});
    let invited = writer.post(&format!("{users}/invite"), &crew).is(200);
    assert_eq!((&invited.body["items"][0]["status"], &invited.body["items"][1]["status"]), (&json!(403), &json!(201)));
    let first_admin = json!({"name": "Fred", "email": format!("fred@newport.{}", acme.domain)});
    let body = json!({"name": "Newport", "domain": format!("newport.{}", acme.domain), "first_admin": first_admin});
    writer.post("/v1/organizations", &body).is(201);
    // Neither super admins nor the platform itself.
    let boss = json!({"name": "Eve", "email": "eve@evil.example", "role": "super_admin"});
    writer.post(USERS, &boss).refused(403, "forbidden");
    writer.patch("/v1/organizations/current", &json!({"name": "Mine"})).refused(403, "forbidden");
    writer.post(KEYS, &json!({"name": "more", "scopes": ["users:write"]})).refused(403, "forbidden");
    writer
        .post(&users, &json!({"name": "Eve", "email": "eve@evil.example", "role": "super_admin"}))
        .refused(403, "beyond-own-rights");
    let fun = json!({"reason": "fun"});
    writer.post("/v1/organizations/current/suspend", &fun).refused(409, "platform-organization");
}

async fn a_key_is_the_actor_in_the_audit_log(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let (id, token) = create_key(bob, &named());
    let renamed = service.with_token(&token).patch("/v1/organizations/current", &json!({"name": "Acme Ports"})).is(200);
    let at_least = [("porttask-at-least", renamed.header("porttask-position"))];
    let entries = bob.send("GET", &format!("/v1/organizations/current/audit-log?actor={id}"), &at_least, None).is(200);
    let entry = &entries.body["items"][0];
    assert_eq!((&entry["action"], &entry["actor"]["kind"]), (&json!("organization.renamed"), &json!("api_key")));
    assert_eq!((&entry["actor"]["id"], &entry["ip"]), (&json!(id), &json!("127.0.0.1")));
    let created = bob.get("/v1/organizations/current/audit-log?action=api_key.created").is(200);
    assert_eq!(created.body["items"][0]["summary"], "created the API key harbour robot");
}
