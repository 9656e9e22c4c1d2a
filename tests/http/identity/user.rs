//! Users of an organization.

use porttask_tests::on_both_engines;
use serde_json::json;

use crate::shared::SharedService;

on_both_engines!(
    a_user_is_invited_changed_and_deactivated,
    the_last_admin_cannot_be_demoted_or_deactivated,
    an_admin_cannot_grant_permissions_beyond_their_own,
);

async fn a_user_is_invited_changed_and_deactivated(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let users = format!("/v1/organizations/{acme}/users");
    let invited = bob.post(&users, &json!({"name": "Åsa Öberg", "email": acme.email("Asa"), "role": "agent"})).is(201);
    let path = format!("{users}/{}", invited.id());
    assert_eq!(invited.header("location"), path);
    assert_eq!(bob.get(&path).is(200).body["status"], "invited");
    bob.post(&users, &json!({"name": "Asa", "email": acme.email("asa"), "role": "agent"})).refused(409, "email-taken");
    service.accept(&acme.id, invited.id()).is(200);
    let asa = service.sign_in(&acme.email("asa"));
    asa.get(&users).refused(403, "forbidden");
    let changed = bob.patch(&path, &json!({"role": "auditor"})).is(200);
    assert_eq!(changed.body["events"], json!(["user.role_changed", "user.permissions_changed"]));
    asa.get(&users).refused(403, "forbidden");
    let permissions = json!({"tickets": "none", "invoices": "none", "reports": "none", "administration": "read"});
    let changed = bob.patch(&path, &json!({"permissions": permissions})).is(200);
    let at_least = [("porttask-at-least", changed.header("porttask-position"))];
    let found = asa.send("GET", &format!("{users}?q=oberg&role=auditor&status=active"), &at_least, None).is(200);
    assert_eq!(
        found.body["items"][0]["name"], "Åsa Öberg",
        "permissions apply to the next request, and the search ignores accents"
    );
    bob.post(&format!("{path}/deactivate"), &json!({})).is(200);
    asa.get(&users).refused(401, "unauthenticated");
    bob.post(&format!("{path}/reactivate"), &json!({})).is(200);
    assert_eq!(bob.get(&path).is(200).body["status"], "active");
    bob.patch(&path, &json!({"role": "king"})).refused(422, "invalid-fields");
    bob.patch(&path, &json!({"role": "super_admin"})).refused(422, "role-not-here");
}

async fn the_last_admin_cannot_be_demoted_or_deactivated(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let me = format!("/v1/organizations/current/users/{}", bob.session["user"].as_str().unwrap());
    bob.patch(&me, &json!({"role": "agent"})).refused(409, "last-admin");
    bob.post(&format!("{me}/deactivate"), &json!({})).refused(409, "last-admin");
}

async fn an_admin_cannot_grant_permissions_beyond_their_own(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let users = "/v1/organizations/current/users";
    let narrow = json!({"tickets": "none", "invoices": "none", "reports": "none", "administration": "write"});
    let new = json!({"name": "Cleo", "email": acme.email("cleo"), "role": "admin", "permissions": narrow});
    let user = bob.post(users, &new).is(201).id().to_owned();
    service.accept(&acme.id, &user).is(200);
    let cleo = service.sign_in(&acme.email("cleo"));
    let wide = json!({"name": "Dan", "email": acme.email("dan"), "role": "agent"});
    cleo.post(users, &wide).refused(403, "beyond-own-rights");
    let ceiling = json!({"permissions":
        {"tickets": "write", "invoices": "write", "reports": "write", "administration": "write"}});
    cleo.patch(&format!("{users}/{user}"), &ceiling).refused(403, "beyond-own-rights");
}
