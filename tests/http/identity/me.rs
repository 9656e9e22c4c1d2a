//! The caller's own account.

use porttask_app::identity::links::Purpose;
use porttask_tests::on_both_engines;
use serde_json::json;

use crate::{
    service::{Answer, PASSWORD},
    shared::SharedService,
};

on_both_engines!(
    users_see_their_account_and_permissions,
    roles_have_the_permissions_of_the_documented_table,
    users_change_their_name,
    an_email_address_changes_once_it_is_confirmed,
    an_email_address_that_is_taken_is_not_confirmed,
    a_pending_address_change_ends_with_the_password_and_with_all_sessions,
    the_present_address_cancels_a_pending_change,
);

async fn users_see_their_account_and_permissions(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let users = format!("/v1/organizations/{acme}/users");
    let carol = acme.invite("carol", "Carol Crane", "agent");
    service.accept(&acme.id, &carol).is(200);
    let as_carol = service.sign_in(&acme.email("carol"));
    let me = as_carol.get("/v1/me").is(200);
    assert_eq!((&me.body["id"], &me.body["email"]), (&json!(carol), &json!(acme.email("carol"))));
    let rights = |answer: Answer| answer.is(200).body["rights"].clone();
    let agents = json!(documented_permissions(4));
    assert_eq!(rights(as_carol.get("/v1/me/permissions")), agents);
    let read = json!({"tickets": "read", "invoices": "read", "reports": "read", "administration": "read"});
    bob.patch(&format!("{users}/{carol}"), &json!({"role": "auditor", "permissions": read})).is(200);
    let auditors = json!(documented_permissions(6));
    assert_eq!(rights(as_carol.get("/v1/me/permissions")), auditors, "the change applies to the next request");
    assert!(rights(bob.get("/v1/me/permissions")).to_string().contains("roles:write"));
    assert!(rights(service.ana().get("/v1/me/permissions")).to_string().contains("organizations:write"));
}

/// The permissions of a role in `docs/permissions.md`, by the index of its column.
fn documented_permissions(column: usize) -> Vec<String> {
    let guide = include_str!("../../../docs/permissions.md");
    let rows = guide.lines().filter(|line| line.starts_with("| `") && line.contains(':'));
    let rows = rows.map(|line| line.split('|').map(str::trim).collect::<Vec<_>>());
    rows.filter(|cells| cells[column] == "yes").map(|cells| cells[1].trim_matches('`').to_owned()).collect()
}

async fn roles_have_the_permissions_of_the_documented_table(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    for (column, role) in [(3, "admin"), (4, "agent"), (5, "read_only"), (6, "auditor")] {
        let email = acme.email(role);
        let body = json!({"name": "Carol Crane", "email": email, "role": role});
        let user = bob.post("/v1/organizations/current/users", &body).is(201).id().to_owned();
        service.accept(&acme.id, &user).is(200);
        let held = service.sign_in(&email).get("/v1/me/permissions").is(200).body["rights"].clone();
        assert_eq!(held, json!(documented_permissions(column)), "{role}");
    }
}

async fn users_change_their_name(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
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
    let zones = [(json!("america/SAO_PAULO"), json!("America/Sao_Paulo")), (json!(null), json!(null))];
    assert_eq!(bob.get("/v1/me").is(200).body["time_zone"], json!(null));
    for (zone, shown) in zones {
        bob.patch("/v1/me", &json!({"time_zone": zone})).is(200);
        assert_eq!(bob.get("/v1/me").is(200).body["time_zone"], shown);
        let id = bob.session["user"].as_str().unwrap();
        assert_eq!(bob.get(&format!("/v1/organizations/current/users/{id}")).is(200).body["time_zone"], shown);
    }
    for bad in ["", "Europe/Atlantis", "+01:00", "Factory", "../../etc/passwd"] {
        let refused = bob.patch("/v1/me", &json!({"time_zone": bad})).refused(422, "invalid-fields");
        assert_eq!(refused.body["errors"][0]["pointer"], "/time_zone", "{bad}");
    }
    bob.patch("/v1/me", &json!({"time_zone": 1})).refused(422, "invalid-fields");
    let entries = bob.get("/v1/organizations/current/audit-log?action=user.time_zone_changed").is(200);
    let changes = json!([{"field": "time_zone", "to": "America/Sao_Paulo"}]);
    let oldest = entries.body["items"].as_array().unwrap().last().unwrap();
    assert_eq!((&oldest["summary"], &oldest["changes"]), (&json!("changed the time zone"), &changes));
    bob.patch("/v1/me", &json!({"name": null})).refused(422, "invalid-fields");
    let found = bob.get("/v1/organizations/current/users?q=robert").is(200);
    assert_eq!(found.body["items"].as_array().unwrap().len(), 1);
    let entries = bob.get("/v1/organizations/current/audit-log?action=user.renamed").is(200);
    let entry = &entries.body["items"][0];
    assert_eq!(entry["summary"], "changed the name from Bob Fisher to Róbert Fisher");
}

async fn an_email_address_changes_once_it_is_confirmed(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let user = bob.session["user"].as_str().unwrap();
    let ask = |email: &str, password: &str| {
        bob.post("/v1/me/address", &json!({"email": email, "current_password": password}))
    };
    ask("bob@fisher.example", "a stolen session").refused(403, "wrong-password");
    ask("no address", PASSWORD).refused(422, "invalid-fields");
    ask("bob@fisher.example", PASSWORD).is(200);
    let me = bob.get("/v1/me").is(200).body;
    assert_eq!((&me["email"], &me["pending_email"]), (&json!(acme.email("bob")), &json!("bob@fisher.example")));
    let token = service.link(Purpose::AddressChange, &acme.id, user, 1);
    let confirm =
        |token: &str| service.send("POST", "/v1/address-changes/confirm", &[], Some(&json!({"token": token})));
    confirm("AAAA").refused(403, "link-invalid");
    let reset = service.link(Purpose::PasswordReset, &acme.id, user, 1);
    confirm(&reset).refused(403, "link-invalid");
    let position = confirm(&token).is(200).header("porttask-position").to_owned();
    confirm(&token).refused(409, "link-replaced");
    let me = bob.send("GET", "/v1/me", &[("porttask-at-least", &position)], None).is(200);
    assert_eq!((&me.body["email"], &me.body["pending_email"]), (&json!("bob@fisher.example"), &json!(null)));
    service.sign_in("bob@fisher.example");
    service.try_sign_in(&acme.email("bob"), PASSWORD).refused(401, "sign-in-refused");
    // The previous email address is free for another user.
    let body = json!({"name": "Rob", "email": acme.email("bob"), "role": "agent"});
    bob.post("/v1/organizations/current/users", &body).is(201);
    for number in 0..4 {
        ask(&format!("bob@{number}.example"), PASSWORD).is(200);
    }
    ask("bob@many.example", PASSWORD).refused(429, "too-many-addresses");
}

async fn an_email_address_that_is_taken_is_not_confirmed(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let user = bob.session["user"].as_str().unwrap();
    bob.post("/v1/me/address", &json!({"email": acme.email("carol"), "current_password": PASSWORD})).is(200);
    let body =
        json!({"name": "Carol Crane", "email": format!("Carol@{}", acme.domain.to_uppercase()), "role": "agent"});
    bob.post("/v1/organizations/current/users", &body).is(201);
    let token = service.link(Purpose::AddressChange, &acme.id, user, 1);
    let confirm = service.send("POST", "/v1/address-changes/confirm", &[], Some(&json!({"token": token})));
    confirm.refused(409, "email-taken");
    assert_eq!(bob.get("/v1/me").is(200).body["email"], acme.email("bob"));
}

async fn a_pending_address_change_ends_with_the_password_and_with_all_sessions(service: &'static SharedService) {
    let acme = service.organization().await;
    for how in ["change", "reset", "own sessions", "all sessions"] {
        let name = how.replace(' ', "-");
        let user = acme.invite(&name, "Carol Crane", "agent");
        service.accept(&acme.id, &user).is(200);
        let (thief, owner) = (service.sign_in(&acme.email(&name)), service.sign_in(&acme.email(&name)));
        let email = format!("{name}@attacker.example");
        thief.post("/v1/me/address", &json!({"email": email, "current_password": PASSWORD})).is(200);
        let other = "sextant over the harbour";
        let done = match how {
            "change" => {
                owner.post("/v1/me/password", &json!({"current_password": PASSWORD, "new_password": other})).is(200)
            }
            "reset" => {
                let path = format!("/v1/organizations/current/users/{user}");
                acme.admin.post(&format!("{path}/reset-password"), &json!({})).is(200);
                let token = service.link(Purpose::PasswordReset, &acme.id, &user, 1);
                let body = json!({"token": token, "password": other});
                service.send("POST", "/v1/password-resets/complete", &[], Some(&body)).is(200)
            }
            "own sessions" => owner.delete("/v1/me/sessions").is(200),
            _ => acme.admin.delete(&format!("/v1/organizations/current/users/{user}/sessions")).is(200),
        };
        let token = service.link(Purpose::AddressChange, &acme.id, &user, 1);
        let confirm = service.send("POST", "/v1/address-changes/confirm", &[], Some(&json!({"token": token})));
        confirm.refused(409, "link-replaced");
        let (path, at_least) = (
            format!("/v1/organizations/current/users/{user}"),
            [("porttask-at-least", done.header("porttask-position"))],
        );
        let shown = acme.admin.send("GET", &path, &at_least, None).is(200).body;
        assert_eq!((&shown["email"], &shown["pending_email"]), (&json!(acme.email(&name)), &json!(null)), "{how}");
    }
}

async fn the_present_address_cancels_a_pending_change(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let user = bob.session["user"].as_str().unwrap();
    let post = |path: &str, token: &str| service.send("POST", path, &[], Some(&json!({"token": token})));
    bob.post("/v1/me/address", &json!({"email": "bob@fisher.example", "current_password": PASSWORD})).is(200);
    let confirmation = service.link(Purpose::AddressChange, &acme.id, user, 1);
    post("/v1/address-changes/cancel", &confirmation).refused(403, "link-invalid");
    let cancellation = service.link(Purpose::AddressChangeCancellation, &acme.id, user, 1);
    post("/v1/address-changes/confirm", &cancellation).refused(403, "link-invalid");
    let position = post("/v1/address-changes/cancel", &cancellation).is(200).header("porttask-position").to_owned();
    post("/v1/address-changes/cancel", &cancellation).refused(409, "link-replaced");
    post("/v1/address-changes/confirm", &confirmation).refused(409, "link-replaced");
    let me = bob.send("GET", "/v1/me", &[("porttask-at-least", &position)], None).is(200).body;
    assert_eq!((&me["email"], &me["pending_email"]), (&json!(acme.email("bob")), &json!(null)));
    let entries = bob.get("/v1/organizations/current/audit-log?action=user.address_change_cancelled").is(200);
    assert_eq!(entries.body["items"][0]["summary"], "cancelled the change of the email address");
}
