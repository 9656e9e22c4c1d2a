//! Users of an organization.

use porttask_tests::on_both_engines;
use serde_json::json;

use crate::shared::SharedService;

on_both_engines!(
    a_user_is_invited_changed_and_deactivated,
    the_last_admin_cannot_be_demoted_or_deactivated,
    an_admin_cannot_grant_permissions_beyond_their_own,
    an_admin_cannot_give_access_beyond_their_own_permissions,
    a_role_change_gives_the_permissions_of_the_new_role,
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
    asa.get(&users).is(200);
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

async fn an_admin_cannot_give_access_beyond_their_own_permissions(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let users = "/v1/organizations/current/users";
    let narrow = json!({"tickets": "none", "invoices": "none", "reports": "none", "administration": "write"});
    let cleo = acme.join("cleo", "Cleo Crane", "admin");
    let path = format!("{users}/{}", cleo.session["user"].as_str().unwrap());
    bob.patch(&path, &json!({"permissions": narrow})).is(200);
    let keys = "/v1/organizations/current/api-keys";
    let key = format!("{keys}/{}", bob.post(keys, &json!({"name": "full"})).is(201).id());
    let invited = format!("{users}/{}", acme.invite("dan", "Dan Dock", "agent"));
    let left = format!("{users}/{}", acme.invite("eve", "Eve Elm", "admin"));
    bob.post(&format!("{left}/deactivate"), &json!({})).is(200);
    for operation in ["rotate", "adopt"] {
        cleo.post(&format!("{key}/{operation}"), &json!({})).refused(403, "beyond-own-rights");
    }
    cleo.post(&format!("{invited}/invite"), &json!({})).refused(403, "beyond-own-rights");
    cleo.post(&format!("{left}/reactivate"), &json!({})).refused(403, "beyond-own-rights");
    cleo.post(&format!("{key}/revoke"), &json!({})).is(200);
    // A key and a user with no more than the caller holds.
    let own = format!("{keys}/{}", bob.post(keys, &json!({"name": "own", "permissions": narrow})).is(201).id());
    cleo.post(&format!("{own}/rotate"), &json!({})).is(200);
    bob.post(&format!("{left}/reactivate"), &json!({})).is(200);
    bob.post(&format!("{invited}/invite"), &json!({})).is(200);
}

async fn a_role_change_gives_the_permissions_of_the_new_role(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let carol = acme.join("carol", "Carol Crane", "agent");
    let path = format!("/v1/organizations/current/users/{}", carol.session["user"].as_str().unwrap());
    let all = json!({"tickets": "write", "invoices": "write", "reports": "write", "administration": "write"});
    let trial = bob.patch(&format!("{path}?dry_run=true"), &json!({"role": "admin"})).is(200);
    assert_eq!((&trial.body["role"], &trial.body["permissions"]), (&json!("admin"), &all), "{trial:?}");
    let done = bob.patch(&path, &json!({"role": "admin"})).is(200);
    assert_eq!((&done.body["role"], &done.body["permissions"]), (&json!("admin"), &all), "{done:?}");
    carol.get("/v1/organizations/current/users").is(200);
    // The same role again changes nothing.
    let narrow = json!({"tickets": "none", "invoices": "none", "reports": "none", "administration": "write"});
    bob.patch(&path, &json!({"role": "admin", "permissions": narrow})).is(200);
    let same = bob.patch(&path, &json!({"role": "admin"})).is(200);
    assert_eq!((&same.body["events"], &same.body["permissions"]), (&json!([]), &narrow), "{same:?}");
    // Never more than the caller holds.
    let dan = acme.invite("dan", "Dan Dock", "agent");
    let promoted = carol.patch(&format!("/v1/organizations/current/users/{dan}"), &json!({"role": "admin"})).is(200);
    assert_eq!(promoted.body["permissions"], narrow, "{promoted:?}");
    let auditor = bob.patch(&path, &json!({"role": "auditor"})).is(200).body["permissions"].clone();
    assert_eq!(auditor["administration"], "read", "{auditor}");
}
