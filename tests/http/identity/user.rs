//! Users of an organization.

use porttask_app::identity::links::Purpose;
use porttask_tests::on_both_engines;
use serde_json::json;

use crate::{service::Caller, shared::SharedService};

on_both_engines!(
    a_user_is_invited_changed_and_deactivated,
    the_last_admin_cannot_be_demoted_or_deactivated,
    an_admin_cannot_grant_permissions_beyond_their_own,
    an_admin_cannot_give_access_beyond_their_own_permissions,
    a_role_change_gives_the_permissions_of_the_new_role,
    permissions_may_leave_groups_out,
    a_person_is_corrected_until_they_accept,
    only_a_person_who_never_accepted_is_removed,
    a_taken_email_address_names_its_user_and_the_remedy,
    invitations_of_a_deactivated_admin_are_listed_and_revoked,
    names_that_show_nothing_or_a_link_are_rejected,
    the_last_sign_in_is_shown_filtered_and_sorted_by,
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

async fn the_last_sign_in_is_shown_filtered_and_sorted_by(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let users = "/v1/organizations/current/users";
    let new = json!({"name": "Cleo", "email": acme.email("cleo"), "role": "auditor"});
    let cleo = bob.post(users, &new).is(201).id().to_owned();
    let path = format!("{users}/{cleo}");
    assert_eq!(bob.get(&path).is(200).body["last_signed_in_at"], json!(null));
    let get = |caller: &Caller<'_>, path: &str| {
        let at_least = [("porttask-at-least", caller.session["position"].as_str().unwrap())];
        caller.send("GET", path, &at_least, None).is(200).body
    };
    let since = get(bob, &format!("{users}/{}", bob.session["user"].as_str().unwrap()))["last_signed_in_at"]
        .as_str()
        .unwrap()
        .to_owned();
    let ids = |query: &str| -> Vec<serde_json::Value> {
        let page = bob.get(&format!("{users}?{query}")).is(200).body;
        page["items"].as_array().unwrap().iter().map(|it| it["id"].clone()).collect()
    };
    assert_eq!(ids(&format!("not_signed_in_since={since}")), [json!(cleo)], "those who never did are included");
    service.accept(&acme.id, &cleo).is(200);
    let session = service.sign_in(&acme.email("cleo"));
    let seen = get(&session, &path);
    assert!(seen["last_signed_in_at"].as_str().unwrap() > since.as_str(), "{seen}");
    assert_eq!(seen["version"], json!(2), "a sign-in is no change of the account");
    assert_eq!(ids(&format!("not_signed_in_since={since}")), Vec::<serde_json::Value>::new());
    assert_eq!(ids("not_signed_in_since=2999-01-01").len(), 2);
    assert_eq!(ids("sort=-last_signed_in_at"), [json!(cleo), bob.session["user"].clone()]);
    assert_eq!(ids("sort=last_signed_in_at"), [bob.session["user"].clone(), json!(cleo)]);
    let wrong = bob.get(&format!("{users}?not_signed_in_since=yesterday&locked=maybe")).refused(422, "invalid-fields");
    assert_eq!(wrong.body["errors"].as_array().unwrap().len(), 2, "{}", wrong.body);
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

async fn permissions_may_leave_groups_out(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let users = "/v1/organizations/current/users";
    let shown = |user: &str| {
        let by_ana = service.ana().get(&format!("/v1/organizations/{}/users/{user}", acme.id)).is(200);
        by_ana.body["permissions"].clone()
    };
    let permissions = |invoices: &str, reports: &str| json!({"tickets": "write", "invoices": invoices, "reports": reports, "administration": "none"});
    let new =
        json!({"name": "Cleo", "email": acme.email("cleo"), "role": "agent", "permissions": {"invoices": "none"}});
    bob.post(&format!("{users}?dry_run=true"), &new).is(200);
    let cleo = bob.post(users, &new).is(201).id().to_owned();
    let path = format!("{users}/{cleo}");
    assert_eq!(bob.get(&path).is(200).body["permissions"], permissions("none", "read"), "the rest is that of the role");
    let change = json!({"permissions": {"reports": "none"}});
    let trial = bob.patch(&format!("{path}?dry_run=true"), &change).is(200);
    assert_eq!(trial.body["permissions"], permissions("none", "none"), "{trial:?}");
    assert_eq!(shown(&cleo), permissions("none", "read"), "a dry run changes nothing");
    let done = bob.patch(&path, &change).is(200);
    assert_eq!(done.body["permissions"], permissions("none", "none"), "the rest is unchanged: {done:?}");
    assert_eq!(bob.patch(&path, &json!({"permissions": {}})).is(200).body["events"], json!([]));
    let same = bob.patch(&path, &json!({"role": "agent", "permissions": {"invoices": "read"}})).is(200);
    assert_eq!(same.body["permissions"], permissions("read", "none"), "{same:?}");
    let auditor = json!({"role": "auditor", "permissions": {"tickets": "none"}});
    let auditor = bob.patch(&path, &auditor).is(200);
    let expected = json!({"tickets": "none", "invoices": "read", "reports": "read", "administration": "read"});
    assert_eq!(auditor.body["permissions"], expected, "a new role gives the rest: {auditor:?}");
    for bad in [json!({"invoices": null}), json!({"invoice": "read"}), json!({"invoices": "all"}), json!(null)] {
        bob.patch(&path, &json!({"permissions": bad})).refused(422, "invalid-fields");
    }
    bob.patch(&path, &json!({"permissions": {"invoices": "write"}})).refused(422, "permissions-beyond-role");
    let key = json!({"name": "robot", "permissions": {"administration": "read"}});
    let key = bob.post("/v1/organizations/current/api-keys", &key).is(201).id().to_owned();
    let key = bob.get(&format!("/v1/organizations/current/api-keys/{key}")).is(200).body;
    let expected = json!({"tickets": "write", "invoices": "write", "reports": "write", "administration": "read"});
    assert_eq!(key["permissions"], expected, "the rest is that of the owner: {key}");
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

async fn a_person_is_corrected_until_they_accept(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let user = acme.invite("caroll", "Carol Crain", "agent");
    let path = format!("/v1/organizations/current/users/{user}");
    let right = json!({"name": "Carol Crane", "email": acme.email("carol")});
    let expected = json!(["user.renamed", "user.address_corrected", "user.invitation_sent"]);
    assert_eq!(bob.patch(&format!("{path}?dry_run=true"), &right).is(200).body["events"], expected);
    assert_eq!(bob.patch(&path, &right).is(200).body["events"], expected);
    assert_eq!(bob.patch(&path, &right).is(200).body["events"], json!([]));
    let shown = bob.get(&path).is(200).body;
    assert_eq!((&shown["name"], &shown["email"]), (&json!("Carol Crane"), &json!(acme.email("carol"))));
    service.accept(&acme.id, &user).refused(409, "invitation-replaced");
    service.mails_with(&format!("<{}>", acme.email("carol")), 1);
    bob.patch(&path, &json!({"email": acme.email("bob")})).refused(409, "email-taken");
    service.accept_with(&service.link(Purpose::Invitation, &acme.id, &user, 2)).is(200);
    service.sign_in(&acme.email("carol"));
    bob.patch(&path, &json!({"email": acme.email("eve")})).refused(409, "invitation-accepted");
    // The wrong address is free again.
    acme.invite("caroll", "Caroll Crain", "agent");
    // Nobody may redirect an invitation with more permissions than their own.
    let narrow = json!({"tickets": "none", "invoices": "none", "reports": "none", "administration": "write"});
    let cleo = acme.join("cleo", "Cleo", "admin");
    let of_cleo = format!("/v1/organizations/current/users/{}", cleo.session["user"].as_str().unwrap());
    bob.patch(&of_cleo, &json!({"permissions": narrow})).is(200);
    let dan = format!("/v1/organizations/current/users/{}", acme.invite("dan", "Dan", "admin"));
    cleo.patch(&dan, &json!({"email": acme.email("cleo2")})).refused(403, "beyond-own-rights");
}

async fn only_a_person_who_never_accepted_is_removed(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let user = acme.invite("carol", "Carol Crane", "agent");
    let path = format!("/v1/organizations/current/users/{user}");
    let removed = bob.delete(&path).is(200);
    assert_eq!(removed.body["events"], json!(["user.removed"]));
    assert_eq!(bob.delete(&path).is(200).body["events"], json!([]));
    bob.get(&path).refused(404, "user-not-found");
    bob.post(&format!("{path}/invite"), &json!({})).refused(404, "user-not-found");
    service.accept(&acme.id, &user).refused(404, "user-not-found");
    let entries = bob.get(&format!("/v1/organizations/current/audit-log?target={user}")).is(200).body;
    let has = |action: &str| entries["items"].as_array().unwrap().iter().any(|it| it["action"] == action);
    assert!(has("user.invited") && has("user.removed"), "the history is kept: {entries}");
    // The address is free, for another account.
    let again = acme.join("carol", "Carol Crane", "agent");
    let again = format!("/v1/organizations/current/users/{}", again.session["user"].as_str().unwrap());
    bob.delete(&again).refused(409, "invitation-accepted");
    bob.post(&format!("{again}/deactivate"), &json!({})).is(200);
    bob.delete(&again).refused(409, "invitation-accepted");
}

async fn a_taken_email_address_names_its_user_and_the_remedy(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let users = "/v1/organizations/current/users";
    let user = acme.invite("carol", "Carol Crane", "agent");
    let refused = || {
        let body = json!({"name": "Carol", "email": acme.email("Carol"), "role": "agent"});
        bob.post(users, &body).refused(409, "email-taken").body["detail"].as_str().unwrap().to_owned()
    };
    let expect = |status: &str, operation: &str| {
        let detail = refused();
        assert!(detail.contains(&format!("({user}, {status})")) && detail.contains(operation), "{detail}");
    };
    expect("invited", &format!("/users/{user}/invite"));
    bob.post(&format!("{users}/{user}/revoke-invitation"), &json!({})).is(200);
    expect("registered", &format!("/users/{user}/invite"));
    bob.post(&format!("{users}/{user}/deactivate"), &json!({})).is(200);
    expect("deactivated", &format!("/users/{user}/reactivate"));
}

async fn invitations_of_a_deactivated_admin_are_listed_and_revoked(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let users = "/v1/organizations/current/users";
    let cleo = acme.join("cleo", "Cleo", "admin");
    let new = |name: &str| json!({"name": "Dan", "email": acme.email(name), "role": "admin"});
    let invited = cleo.post(users, &new("dan")).is(201).id().to_owned();
    let accepted = cleo.post(users, &new("eve")).is(201).id().to_owned();
    service.accept(&acme.id, &accepted).is(200);
    acme.invite("frank", "Frank", "agent");
    let path = format!("{users}/{}", cleo.session["user"].as_str().unwrap());
    let listed = |body: &serde_json::Value, revoked: bool| {
        assert_eq!((&body["pending_invitations"], &body["invitations_revoked"]), (&json!([invited]), &json!(revoked)));
    };
    let revoke = json!({"revoke_invitations": true});
    listed(&bob.post(&format!("{path}/deactivate?dry_run=true"), &revoke).is(200).body, true);
    listed(&bob.post(&format!("{path}/deactivate"), &json!({})).is(200).body, false);
    assert_eq!(bob.get(&format!("{users}/{invited}")).is(200).body["status"], "invited");
    listed(&bob.post(&format!("{path}/deactivate"), &revoke).is(200).body, true);
    service.accept(&acme.id, &invited).refused(409, "invitation-revoked");
}

async fn names_that_show_nothing_or_a_link_are_rejected(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let users = "/v1/organizations/current/users?dry_run=true";
    for name in [
        "go to evil.com, now",
        "(evil.com)",
        "evil.com.",
        "evil.online",
        "evil.support/prize",
        "//evil.com",
        "evil\u{ff0e}com",
        "mailto:x@evil.com",
        "\u{3164}",
        "\u{2800}",
        "\u{115f}\u{1160}",
        "Ana\u{34f}",
        "Ana\u{fe0f}",
    ] {
        let body = json!({"name": name, "email": acme.email("x"), "role": "agent"});
        bob.post(users, &body).refused(422, "invalid-fields");
        bob.patch("/v1/me", &json!({"name": name})).refused(422, "invalid-fields");
    }
    // A company may be named after its domain, which mails do not show as a link.
    for name in ["Amazon.com Inc.", "Ports.io", "Booking.com"] {
        bob.patch("/v1/organizations/current", &json!({"name": name})).is(200);
    }
    bob.patch("/v1/organizations/current", &json!({"name": "https://evil.com"})).refused(422, "invalid-fields");
    acme.invite("carol", "Carol Crane", "agent");
    let (_, mail) = service.mails_with(&format!("<{}>", acme.email("carol")), 1).remove(0);
    assert!(!mail.contains("Booking.com"), "{mail}");
}
