//! One's own account.

use porttask_app::identity::links::Purpose;
use porttask_tests::{Store, on_both_engines};
use serde_json::json;

use super::service::{PASSWORD, Service, link};

on_both_engines!(
    everybody_sees_who_they_are_and_what_they_may,
    the_table_of_rights_is_the_one_that_holds,
    a_name_is_changed_by_its_owner,
    an_address_changes_once_it_was_confirmed,
    an_address_that_is_taken_is_not_confirmed,
    an_invitation_is_revoked,
    many_are_invited_at_once,
);

async fn everybody_sees_who_they_are_and_what_they_may(store: Store) {
    let service = Service::start(&store);
    let (acme, bob) = service.found(&store, "acme.example").await;
    let users = format!("/v1/organizations/{acme}/users");
    let body = json!({"name": "Carol Crane", "email": "carol@acme.example", "role": "agent"});
    let carol = bob.post(&users, &body).is(201).id().to_owned();
    service.accept(&store, &acme, &carol).await.is(200);
    let as_carol = service.sign_in("carol@acme.example");
    let me = as_carol.get("/v1/me").is(200);
    assert_eq!((&me.body["id"], &me.body["email"]), (&json!(carol), &json!("carol@acme.example")));
    let rights = |answer: super::service::Answer| answer.is(200).body["rights"].clone();
    let few = json!(["account:own", "organization:read"]);
    assert_eq!(rights(as_carol.get("/v1/me/permissions")), few);
    let read = json!({"tickets": "read", "invoices": "read", "reports": "read", "administration": "read"});
    bob.patch(&format!("{users}/{carol}"), &json!({"role": "auditor", "permissions": read})).is(200);
    let auditors = json!(["account:own", "organization:read", "users:read", "api_keys:read", "audit_log:read"]);
    assert_eq!(rights(as_carol.get("/v1/me/permissions")), auditors, "it holds on the next request");
    assert!(rights(bob.get("/v1/me/permissions")).to_string().contains("roles:write"));
    assert!(rights(service.ana().get("/v1/me/permissions")).to_string().contains("organizations:write"));
}

/// The rights that the guide says a role has, by the place of its column.
fn said(column: usize) -> Vec<String> {
    let guide = include_str!("../../docs/permissions.md");
    let rows = guide.lines().filter(|line| line.starts_with("| `") && line.contains(':'));
    let rows = rows.map(|line| line.split('|').map(str::trim).collect::<Vec<_>>());
    rows.filter(|cells| cells[column] == "yes").map(|cells| cells[1].trim_matches('`').to_owned()).collect()
}

async fn the_table_of_rights_is_the_one_that_holds(store: Store) {
    let service = Service::start(&store);
    let (acme, bob) = service.found(&store, "acme.example").await;
    for (column, role) in [(3, "admin"), (4, "agent"), (5, "read_only"), (6, "auditor")] {
        let email = format!("{role}@acme.example");
        let body = json!({"name": "Carol Crane", "email": email, "role": role});
        let user = bob.post("/v1/organizations/current/users", &body).is(201).id().to_owned();
        service.accept(&store, &acme, &user).await.is(200);
        let held = service.sign_in(&email).get("/v1/me/permissions").is(200).body["rights"].clone();
        assert_eq!(held, json!(said(column)), "{role}");
    }
}

async fn a_name_is_changed_by_its_owner(store: Store) {
    let service = Service::start(&store);
    let (_, bob) = service.found(&store, "acme.example").await;
    let etag = bob.get("/v1/me").is(200).header("etag").to_owned();
    for bad in ["", "x\ny", "see https://evil.example"] {
        bob.patch("/v1/me", &json!({"name": bad})).refused(422, "invalid-fields");
    }
    for mass in ["role", "email", "status", "organization", "permissions", "id"] {
        bob.patch("/v1/me", &json!({"name": "Bob", mass: "admin"})).refused(422, "invalid-fields");
    }
    let name = json!({"name": "Róbert Fisher"});
    bob.send("PATCH", "/v1/me", &[("if-match", "\"1\"")], Some(&name)).refused(412, "outdated");
    bob.send("PATCH", "/v1/me", &[("if-match", &etag)], Some(&name)).is(200);
    assert_eq!(bob.get("/v1/me").is(200).body["name"], "Róbert Fisher");
    for (locale, shown) in [(json!("pt-BR"), json!("pt-BR")), (json!(null), json!(null))] {
        bob.patch("/v1/me", &json!({"locale": locale})).is(200);
        assert_eq!(bob.get("/v1/me").is(200).body["locale"], shown);
    }
    bob.patch("/v1/me", &json!({"locale": "klingon"})).refused(422, "invalid-fields");
    bob.patch("/v1/me", &json!({"name": null})).is(200);
    let found = bob.get("/v1/organizations/current/users?q=robert").is(200);
    assert_eq!(found.body["items"].as_array().unwrap().len(), 1);
    let told = bob.get("/v1/organizations/current/audit-log?action=user.renamed").is(200);
    let entry = &told.body["items"][0];
    assert_eq!(entry["summary"], "changed the name from Bob Fisher to Róbert Fisher");
}

async fn an_address_changes_once_it_was_confirmed(store: Store) {
    let service = Service::start(&store);
    let (acme, bob) = service.found(&store, "acme.example").await;
    let user = bob.session["user"].as_str().unwrap();
    let ask = |email: &str, password: &str| {
        bob.post("/v1/me/address", &json!({"email": email, "current_password": password}))
    };
    ask("bob@fisher.example", "a stolen session").refused(403, "wrong-password");
    ask("no address", PASSWORD).refused(422, "invalid-fields");
    ask("bob@fisher.example", PASSWORD).is(200);
    assert_eq!(bob.get("/v1/me").is(200).body["email"], "bob@acme.example", "nothing has changed yet");
    let token = link(&store, Purpose::AddressChange, &acme, user, 1).await;
    let confirm =
        |token: &str| service.send("POST", "/v1/address-changes/confirm", &[], Some(&json!({"token": token})));
    confirm("AAAA").refused(403, "link-invalid");
    let reset = link(&store, Purpose::PasswordReset, &acme, user, 1).await;
    confirm(&reset).refused(403, "link-invalid");
    let position = confirm(&token).is(200).header("porttask-position").to_owned();
    confirm(&token).refused(409, "link-replaced");
    let me = bob.send("GET", "/v1/me", &[("porttask-at-least", &position)], None).is(200);
    assert_eq!(me.body["email"], "bob@fisher.example");
    service.sign_in("bob@fisher.example");
    service.try_sign_in("bob@acme.example", PASSWORD).refused(401, "sign-in-refused");
    // Somebody else may have the old one now.
    let body = json!({"name": "Rob", "email": "bob@acme.example", "role": "agent"});
    bob.post("/v1/organizations/current/users", &body).is(201);
    for number in 0..4 {
        ask(&format!("bob@{number}.example"), PASSWORD).is(200);
    }
    ask("bob@many.example", PASSWORD).refused(429, "too-many-addresses");
}

async fn an_address_that_is_taken_is_not_confirmed(store: Store) {
    let service = Service::start(&store);
    let (acme, bob) = service.found(&store, "acme.example").await;
    let user = bob.session["user"].as_str().unwrap();
    bob.post("/v1/me/address", &json!({"email": "carol@acme.example", "current_password": PASSWORD})).is(200);
    let body = json!({"name": "Carol Crane", "email": "Carol@ACME.example", "role": "agent"});
    bob.post("/v1/organizations/current/users", &body).is(201);
    let token = link(&store, Purpose::AddressChange, &acme, user, 1).await;
    let confirm = service.send("POST", "/v1/address-changes/confirm", &[], Some(&json!({"token": token})));
    confirm.refused(409, "email-taken");
    assert_eq!(bob.get("/v1/me").is(200).body["email"], "bob@acme.example");
}

async fn an_invitation_is_revoked(store: Store) {
    let service = Service::start(&store);
    let (acme, bob) = service.found(&store, "acme.example").await;
    let users = format!("/v1/organizations/{acme}/users");
    let body = json!({"name": "Carol Crane", "email": "carol@acme.example", "role": "agent"});
    let carol = bob.post(&users, &body).is(201).id().to_owned();
    let path = format!("{users}/{carol}");
    bob.post(&format!("{path}/revoke-invitation"), &json!({})).is(200);
    let shown = bob.get(&path).is(200);
    assert_eq!((&shown.body["status"], &shown.body["invitation_expires_at"]), (&json!("registered"), &json!(null)));
    service.accept(&store, &acme, &carol).await.refused(409, "invitation-revoked");
    bob.post(&format!("{path}/invite"), &json!({})).is(200);
    service.accept(&store, &acme, &carol).await.refused(409, "invitation-replaced");
    let token = link(&store, Purpose::Invitation, &acme, &carol, 2).await;
    let accept = json!({"token": token, "password": PASSWORD});
    service.send("POST", "/v1/invitations/accept", &[], Some(&accept)).is(200);
    bob.post(&format!("{path}/revoke-invitation"), &json!({})).refused(409, "invitation-accepted");
}

async fn many_are_invited_at_once(store: Store) {
    let service = Service::start(&store);
    let (acme, bob) = service.found(&store, "acme.example").await;
    let path = "/v1/organizations/current/users/invite";
    let person = |name: &str, email: &str, role: &str| json!({"name": name, "email": email, "role": role});
    let body = json!({"users": [
        person("Carol Crane", "carol@acme.example", "agent"),
        person("Dan", "no address", "agent"),
        person("Bob again", "BOB@acme.example", "agent"),
        person("Eve", "eve@acme.example", "super_admin"),
        person("Frank", "frank@acme.example", "auditor"),
    ]});
    let statuses = |answer: &super::service::Answer| {
        let items = answer.body["items"].as_array().unwrap().iter();
        items.map(|item| item["status"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    let trial = bob.post(&format!("{path}?dry_run=true"), &body).is(200);
    assert_eq!(statuses(&trial), [200, 422, 409, 422, 200]);
    let send = || bob.send("POST", path, &[("idempotency-key", "crew")], Some(&body)).is(200);
    let answer = send();
    assert_eq!(statuses(&answer), [201, 422, 409, 422, 201], "{answer:?}");
    let items = answer.body["items"].clone();
    assert_eq!(items[1]["problem"]["errors"][0]["pointer"], "/email");
    assert_eq!(items[2]["problem"]["type"], "urn:porttask:problem:email-taken");
    let again = send();
    for place in [0, 4] {
        let invited = |answer: &super::service::Answer| answer.body["items"][place]["invited"].clone();
        assert_eq!(invited(&again)["id"], invited(&answer)["id"], "{again:?}");
        assert_eq!(invited(&again)["repeated"], true);
    }
    let listed = bob.get(&format!("/v1/organizations/{acme}/users")).is(200);
    assert_eq!(listed.body["items"].as_array().unwrap().len(), 3);
    bob.post(path, &json!({"users": []})).refused(422, "invalid-fields");
    let many: Vec<_> = (0..101).map(|n| person("P", &format!("p{n}@acme.example"), "agent")).collect();
    bob.post(path, &json!({"users": many})).refused(422, "invalid-fields");
}
