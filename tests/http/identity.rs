//! Organizations, users and sessions over HTTP.

use std::time::Duration;

use porttask_tests::{Store, by, on_both_engines};
use serde_json::json;

use super::service::{PASSWORD, Service, invitation, porttask};

on_both_engines!(
    the_first_start_prints_a_link_that_makes_one_super_admin,
    an_organization_lives,
    a_user_lives,
    the_last_admin_stays,
    an_invitation_is_good_once,
    nobody_grants_more_than_they_hold,
    sessions_are_listed_and_end,
    a_wrong_sign_in_tells_nothing,
    failed_attempts_are_entries_and_fold,
    a_suspended_organization_is_locked_out_at_once,
    settings_are_changed_and_checked,
);

async fn the_first_start_prints_a_link_that_makes_one_super_admin(store: Store) {
    let init = || {
        let output = porttask(&store, &["init", "--public-url", "https://admin.example/"]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let (first, second) = (init(), init());
    assert!(first.starts_with("https://admin.example/setup#token="), "{first}");
    let service = Service::start_with(&store, &[]);
    let token = |link: &str| link.trim().split_once("#token=").unwrap().1.to_owned();
    let set_up = |link: &str, email: &str, password: &str| {
        let body = json!({"token": token(link), "name": "Ana Souza", "email": email, "password": password});
        service.send("POST", "/v1/setup", &[], Some(&body))
    };
    set_up("#token=AAAA", "ana@platform.example", PASSWORD).refused(403, "link-invalid");
    set_up(&first, "ana@platform.example", "short").refused(422, "invalid-fields");
    set_up(&first, "ana@platform.example", PASSWORD).is(201);
    set_up(&first, "ana@platform.example", "another password").refused(409, "invitation-accepted");
    set_up(&second, "eve@platform.example", PASSWORD).refused(409, "user-exists");
    let current = service.ana().get("/v1/sessions/current").is(200);
    assert_eq!(current.body["role"], "super_admin");
    assert_eq!(init(), "", "nobody gets another link");
}

async fn an_organization_lives(store: Store) {
    let service = Service::start(&store);
    let (acme, bob) = service.found(&store, "acme.example").await;
    let ana = service.ana();
    let path = format!("/v1/organizations/{acme}");
    assert_eq!(bob.get("/v1/organizations/current").is(200).body["name"], "Acme");
    let shown = bob.get(&path).is(200);
    assert_eq!((shown.header("etag"), &shown.body["plan"]), ("\"1\"", &json!("starter")));
    ana.post(
        "/v1/organizations",
        &json!({"name": "Acme 2", "domain": "ACME.example",
        "first_admin": {"name": "Eve", "email": "eve@acme.example"}}),
    )
    .refused(409, "domain-taken");
    let listed = ana.get("/v1/organizations?q=acm&status=active").is(200);
    assert_eq!(listed.body["items"].as_array().unwrap().len(), 1, "{listed:?}");
    bob.get("/v1/organizations").refused(403, "forbidden");
    bob.post(&format!("{path}/suspend"), &json!({"reason": "fun"})).refused(403, "forbidden");
    ana.post(&format!("{path}/deactivate"), &json!({"reason": "left"})).is(200);
    ana.post(&format!("{path}/reactivate"), &json!({})).refused(409, "organization-deactivated");
    bob.get(&path).refused(403, "organization-deactivated");
    let platform = "/v1/organizations/current";
    ana.post(&format!("{platform}/suspend"), &json!({"reason": "oops"})).refused(409, "platform-organization");
}

async fn a_user_lives(store: Store) {
    let service = Service::start(&store);
    let (acme, bob) = service.found(&store, "acme.example").await;
    let users = format!("/v1/organizations/{acme}/users");
    let invited = bob.post(&users, &json!({"name": "Åsa Öberg", "email": "Asa@acme.example", "role": "agent"})).is(201);
    let path = format!("{users}/{}", invited.id());
    assert_eq!(invited.header("location"), path);
    assert_eq!(bob.get(&path).is(200).body["status"], "invited");
    bob.post(&users, &json!({"name": "Asa", "email": "asa@acme.example", "role": "agent"})).refused(409, "email-taken");
    service.accept(&store, &acme, invited.id()).await.is(200);
    let asa = service.sign_in("asa@acme.example");
    asa.get(&users).refused(403, "forbidden");
    let changed = bob.patch(&path, &json!({"role": "auditor"})).is(200);
    assert_eq!(changed.body["events"], json!(["user.role_changed", "user.permissions_changed"]));
    asa.get(&users).refused(403, "forbidden");
    let permissions = json!({"tickets": "none", "invoices": "none", "reports": "none", "administration": "read"});
    let changed = bob.patch(&path, &json!({"permissions": permissions})).is(200);
    let at_least = [("porttask-at-least", changed.header("porttask-position"))];
    let found = asa.send("GET", &format!("{users}?q=oberg&role=auditor&status=active"), &at_least, None).is(200);
    assert_eq!(found.body["items"][0]["name"], "Åsa Öberg", "rights hold on the next request, accents do not matter");
    bob.post(&format!("{path}/deactivate"), &json!({})).is(200);
    asa.get(&users).refused(401, "unauthenticated");
    bob.post(&format!("{path}/reactivate"), &json!({})).is(200);
    assert_eq!(bob.get(&path).is(200).body["status"], "active");
    bob.patch(&path, &json!({"role": "king"})).refused(422, "invalid-fields");
    bob.patch(&path, &json!({"role": "super_admin"})).refused(422, "role-not-here");
}

async fn the_last_admin_stays(store: Store) {
    let service = Service::start(&store);
    let (_, bob) = service.found(&store, "acme.example").await;
    let me = format!("/v1/organizations/current/users/{}", bob.session["user"].as_str().unwrap());
    bob.patch(&me, &json!({"role": "agent"})).refused(409, "last-admin");
    bob.post(&format!("{me}/deactivate"), &json!({})).refused(409, "last-admin");
}

async fn an_invitation_is_good_once(store: Store) {
    let service = Service::start(&store);
    let (acme, bob) = service.found(&store, "acme.example").await;
    let new = json!({"name": "Cleo", "email": "cleo@acme.example", "role": "read_only"});
    let user = bob.post("/v1/organizations/current/users", &new).is(201).id().to_owned();
    let token = invitation(&store, &acme, &user).await;
    let accept = |password: &str| {
        let body = json!({"token": token, "password": password});
        service.send("POST", "/v1/invitations/accept", &[], Some(&body))
    };
    accept("cleo@acme.example").refused(422, "invalid-fields");
    accept(PASSWORD).is(200);
    accept("a wholly other password").refused(409, "invitation-accepted");
    service.sign_in("cleo@acme.example");
}

async fn nobody_grants_more_than_they_hold(store: Store) {
    let service = Service::start(&store);
    let (acme, bob) = service.found(&store, "acme.example").await;
    let users = "/v1/organizations/current/users";
    let narrow = json!({"tickets": "none", "invoices": "none", "reports": "none", "administration": "write"});
    let new = json!({"name": "Cleo", "email": "cleo@acme.example", "role": "admin", "permissions": narrow});
    let user = bob.post(users, &new).is(201).id().to_owned();
    service.accept(&store, &acme, &user).await.is(200);
    let cleo = service.sign_in("cleo@acme.example");
    let wide = json!({"name": "Dan", "email": "dan@acme.example", "role": "agent"});
    cleo.post(users, &wide).refused(403, "beyond-own-rights");
    let ceiling = json!({"permissions":
        {"tickets": "write", "invoices": "write", "reports": "write", "administration": "write"}});
    cleo.patch(&format!("{users}/{user}"), &ceiling).refused(403, "beyond-own-rights");
}

async fn sessions_are_listed_and_end(store: Store) {
    let service = Service::start(&store);
    let (_, bob) = service.found(&store, "acme.example").await;
    let other = service.sign_in("bob@acme.example");
    let sessions = format!("/v1/organizations/current/users/{}/sessions", bob.session["user"].as_str().unwrap());
    let id = other.session["id"].as_str().unwrap();
    bob.delete(&format!("{sessions}/{id}")).is(200);
    other.get("/v1/sessions/current").refused(401, "unauthenticated");
    let listed = bob.get(&sessions).is(200);
    assert_eq!(listed.body["items"].as_array().unwrap().len(), 2, "{listed:?}");
    assert_eq!(listed.body["items"][0]["ended_by"], "revocation");
    bob.delete("/v1/sessions/current").is(200);
    bob.get(&sessions).refused(401, "unauthenticated");
}

async fn a_wrong_sign_in_tells_nothing(store: Store) {
    let service = Service::start(&store);
    service.found(&store, "acme.example").await;
    service.found(&store, "umbra.example").await;
    let sign_in = |email: &str, password: &str, organization: Option<&str>| {
        let body = json!({"email": email, "password": password, "organization": organization});
        service.send("POST", "/v1/sessions", &[], Some(&body))
    };
    let refusals = [
        sign_in("bob@acme.example", "wrong password", None),
        sign_in("nobody@acme.example", PASSWORD, None),
        sign_in("no address", PASSWORD, None),
        sign_in("bob@acme.example", PASSWORD, Some("umbra.example")),
        sign_in("bob@acme.example", PASSWORD, Some("nowhere.example")),
        sign_in("bob@acme.example", &"x".repeat(50_000), None),
    ];
    for refused in refusals {
        assert_eq!((refused.status, refused.problem()), (401, "sign-in-refused"), "{refused:?}");
    }
    sign_in("BOB@acme.example", PASSWORD, Some("Acme.example")).is(201);
}

async fn a_suspended_organization_is_locked_out_at_once(store: Store) {
    let service = Service::start(&store);
    let (acme, bob) = service.found(&store, "acme.example").await;
    let (ana, path) = (service.ana(), format!("/v1/organizations/{acme}"));
    ana.post(&format!("{path}/suspend"), &json!({"reason": "unpaid"})).is(200);
    bob.get(&path).refused(403, "organization-suspended");
    let body = json!({"email": "bob@acme.example", "password": PASSWORD});
    service.send("POST", "/v1/sessions", &[], Some(&body)).refused(403, "organization-suspended");
    ana.patch(&path, &json!({"name": "Acme Ports"})).is(200);
    ana.post(&format!("{path}/reactivate"), &json!({})).is(200);
    bob.get(&path).refused(401, "unauthenticated");
    let bob = service.sign_in("bob@acme.example");
    assert_eq!(bob.get(&path).is(200).body["name"], "Acme Ports");
}

async fn settings_are_changed_and_checked(store: Store) {
    let service = Service::start(&store);
    let (_, bob) = service.found(&store, "acme.example").await;
    let path = "/v1/organizations/current";
    let good = json!({"branding": {"display_name": "Acme", "primary_colour": "#1A2b3c"}, "locale": "pt-BR",
        "business_hours": {"time_zone": "Europe/Lisbon", "days": {"monday": {"opens": "09:00", "closes": "17:30"}}}});
    let changed = bob.patch(path, &good).is(200);
    assert_eq!(changed.body["events"].as_array().unwrap().len(), 3, "{changed:?}");
    assert_eq!(bob.patch(path, &good).is(200).body["events"], json!([]), "a retry changes nothing");
    for bad in [
        json!({"branding": {"primary_colour": "red"}}),
        json!({"branding": {"logo": "http://x"}}),
        json!({"business_hours": {"time_zone": "Mars/Base", "days": {}}}),
        json!({"locale": "klingon!"}),
        json!({"plan": "enterprise"}),
        json!({"name": "A\u{7}"}),
    ] {
        assert_eq!(bob.patch(path, &bad).status, 422, "{bad}");
    }
}

async fn failed_attempts_are_entries_and_fold(store: Store) {
    let mut service = Service::start(&store);
    let (_, bob) = service.found(&store, "acme.example").await;
    let user = bob.session["user"].as_str().unwrap().to_owned();
    for _ in 0..4 {
        service.try_sign_in("bob@acme.example", "not the password").refused(401, "sign-in-refused");
        service.try_sign_in("nobody@acme.example", "not the password").refused(401, "sign-in-refused");
    }
    let path = format!("/v1/organizations/current/audit-log?action=sign_in.failed&target={user}");
    let first = async || bob.get(&path).is(200).body["items"].as_array().unwrap().len() == 1;
    by(Duration::from_secs(10), "the first is taken down", first).await;
    let page = bob.get(&path).is(200);
    let entry = &page.body["items"][0];
    assert_eq!((&entry["summary"], &entry["actor"]["kind"]), (&json!("failed to sign in"), &json!("anonymous")));
    assert_eq!((&entry["target"]["id"], &entry["ip"]), (&json!(user), &json!("127.0.0.1")));
    let etag = bob.get("/v1/me").is(200).header("etag").to_owned();
    assert_eq!(etag, "\"2\"", "strangers do not touch the account itself");
    // The others follow when the hour or the service ends.
    _ = std::process::Command::new("kill").args(["-TERM", &service.pid().to_string()]).status();
    assert!(service.wait());
    let service = Service::start(&store);
    let page = service.sign_in("bob@acme.example").get(&path).is(200);
    let items = page.body["items"].as_array().unwrap();
    assert!(items.len() == 2 && items[0]["summary"] == "failed to sign in, 3 times", "{page:?}");
    let all = service.ana().get("/v1/organizations/current/audit-log?q=failed").is(200);
    assert_eq!(all.body["items"], json!([]), "nobody is nobody");
}
