//! Super admins: set up, promoted and demoted.

use std::time::Duration;

use porttask_app::identity::links::Purpose;
use porttask_tests::{Store, by, on_both_engines};
use serde_json::{Value, json};

use crate::{
    openapi::{PLATFORM, UNKNOWN_ORGANIZATION},
    service::{Caller, PASSWORD, Service, porttask},
    shared::SharedService,
};

on_both_engines!(
    the_first_start_prints_a_link_that_creates_one_super_admin,
    a_user_is_promoted_to_super_admin_with_a_second_account,
    the_last_super_admin_cannot_be_demoted_even_concurrently,
    only_super_admins_promote_users,
    a_user_is_promoted_by_address_and_domain,
    a_key_of_the_platform_without_the_scope_lacks_a_permission,
);

const STAFF: &str = "/v1/platform/super-admins";
const USERS: &str = "/v1/platform/users";

async fn the_first_start_prints_a_link_that_creates_one_super_admin(store: Store) {
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
        let token = token(link);
        let body = json!({"token": token, "name": "Ana Souza", "email": email, "password": password, "sign_in": true});
        service.send("POST", "/v1/setup", &[], Some(&body))
    };
    set_up("#token=AAAA", "ana@platform.example", PASSWORD).refused(403, "link-invalid");
    set_up(&first, "ana@platform.example", "short").refused(422, "invalid-fields");
    let inspect =
        || service.send("POST", "/v1/links/inspect", &[], Some(&json!({"token": token(&first)}))).is(200).body;
    let link = inspect();
    assert_eq!((&link["purpose"], &link["state"], &link["email"]), (&json!("setup"), &json!("valid"), &json!(null)));
    let session = set_up(&first, "ana@platform.example", PASSWORD).is(201).body["session"].clone();
    service.with_token(&session["token"]).get("/v1/organizations").is(200);
    assert_eq!(inspect()["state"], "used");
    set_up(&first, "ana@platform.example", "another password").refused(409, "link-used");
    let used = set_up(&second, "eve@platform.example", PASSWORD).refused(409, "link-used");
    assert!(used.body["detail"].as_str().unwrap().contains("already used"), "{used:?}");
    let current = service.ana().get("/v1/sessions/current").is(200);
    assert_eq!(current.body["role"], "super_admin");
    let platform = service.ana().get("/v1/organizations/current").is(200);
    assert_eq!(platform.body["trial_ends_at"], json!(null), "the platform has no trial");
    assert_eq!(init(), "", "no link once there is a super admin");
}

fn account(of: &Caller<'_>) -> Value {
    json!({"organization": of.session["organization"], "user": of.session["user"]})
}

async fn a_user_is_promoted_to_super_admin_with_a_second_account(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let ana = service.ana();
    ana.post(&format!("{STAFF}?dry_run=true"), &account(bob)).is(200);
    let staff = ana.post(STAFF, &account(bob)).is(201).id().to_owned();
    service.accept(PLATFORM, &staff).is(200);
    // Idempotent for an account that is a super admin already.
    let again = ana.post(STAFF, &account(bob)).is(200);
    assert_eq!((again.id(), &again.body["events"]), (staff.as_str(), &json!([])));
    // The email address has two accounts now, each with its own password.
    service.try_sign_in(&acme.email("bob"), PASSWORD).refused(401, "sign-in-refused");
    let sign_in = |organization: &str| {
        let body = json!({"email": acme.email("bob"), "password": PASSWORD, "organization": organization});
        let answer = service.send("POST", "/v1/sessions", &[], Some(&body)).is(201);
        service.with_token(&answer.body["token"])
    };
    let (tenant, super_admin) = (sign_in(&acme.domain), sign_in(PLATFORM));
    tenant.get("/v1/organizations").refused(403, "forbidden");
    super_admin.get("/v1/organizations").is(200);
    let listed = ana.get(&format!("{STAFF}?q={}", acme.email("bob"))).is(200);
    assert_eq!(listed.body["items"][0]["id"], json!(staff));

    super_admin.post(&format!("{STAFF}/{staff}/demote"), &json!({})).is(200);
    super_admin.get("/v1/organizations").refused(401, "unauthenticated");
    tenant.get("/v1/me").is(200);
    // Promoting again reactivates the account, with its password.
    let again = ana.post(STAFF, &account(bob)).is(200);
    assert_eq!(again.body["events"], json!(["user.reactivated", "user.promoted"]));
    let is_mailed = async || {
        let mails = service.mails_with(&acme.email("bob"), 1);
        mails.iter().any(|(_, mail)| mail.contains("You are a PortTask super admin again"))
    };
    by(Duration::from_secs(20), "the super admin learns of it", is_mailed).await;
    sign_in(PLATFORM).get("/v1/organizations").is(200);
    let entries = ana.get(&format!("/v1/organizations/current/audit-log?target={staff}&q=super")).is(200).body;
    let summaries: Vec<&str> =
        entries["items"].as_array().unwrap().iter().map(|it| it["summary"].as_str().unwrap()).collect();
    let promoted = "promoted the user to super admin";
    assert_eq!(summaries[..3], [promoted, "demoted the super admin", promoted]);
    assert_eq!(entries["items"][0]["changes"][1], json!({"field": "user", "to": bob.session["user"]}));
    // A revoked invitation is sent again.
    let umbra = service.organization().await;
    let carol = &umbra.admin;
    let invited = ana.post(STAFF, &account(carol)).is(201).id().to_owned();
    assert_eq!(ana.post(STAFF, &account(carol)).is(200).body["events"], json!([]));
    ana.post(&format!("/v1/organizations/{PLATFORM}/users/{invited}/revoke-invitation"), &json!({})).is(200);
    assert_eq!(ana.post(STAFF, &account(carol)).is(200).body["events"], json!(["user.invitation_sent"]));
    let token = service.link(Purpose::Invitation, PLATFORM, &invited, 2);
    service.accept_with(&token).is(200);
}

async fn the_last_super_admin_cannot_be_demoted_even_concurrently(store: Store) {
    let (one, two) = (Service::start(&store), Service::start(&store));
    let ana = one.ana();
    let ana_id = ana.session["user"].as_str().unwrap();
    ana.post(&format!("{STAFF}/{ana_id}/demote"), &json!({})).refused(409, "last-admin");
    let (_, bob) = one.found(&store, "acme.example").await;
    let bob_id = ana.post(STAFF, &account(&bob)).is(201).id().to_owned();
    one.accept(&store, PLATFORM, &bob_id).await.is(200);
    let body = json!({"email": "bob@acme.example", "password": PASSWORD, "organization": PLATFORM});
    let bob = two.with_token(&two.send("POST", "/v1/sessions", &[], Some(&body)).is(201).body["token"]);
    // Each demotes the other, concurrently on two nodes.
    let demote = |by: &Caller<'_>, user: &str| by.post(&format!("{STAFF}/{user}/demote"), &json!({})).status;
    let statuses = std::thread::scope(|scope| {
        let threads = [scope.spawn(|| demote(&ana, &bob_id)), scope.spawn(|| demote(&bob, ana_id))];
        threads.map(|thread| thread.join().unwrap())
    });
    assert!(statuses.contains(&200) && statuses != [200, 200], "{statuses:?}");
    let left = if statuses[0] == 200 { &ana } else { &bob };
    assert_eq!(left.get(&format!("{STAFF}?status=active")).is(200).body["items"].as_array().unwrap().len(), 1);
}

async fn only_super_admins_promote_users(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let ana = service.ana();
    bob.post(STAFF, &account(bob)).refused(403, "forbidden");
    bob.get(STAFF).refused(403, "forbidden");
    bob.get(USERS).refused(403, "forbidden");
    let key = json!({"name": "robot", "scopes": ["users:write", "organizations:write"]});
    let robot = ana.post(&format!("/v1/organizations/{PLATFORM}/api-keys"), &key).is(201).body["token"].clone();
    let robot = service.with_token(&robot);
    robot.post(STAFF, &account(bob)).refused(403, "forbidden");
    robot.get(USERS).is(200);
    let cleo = acme.invite("cleo", "Cleo", "admin");
    let cleo = json!({"organization": bob.session["organization"], "user": cleo});
    ana.post(STAFF, &cleo).refused(409, "user-not-active");
    for (body, problem) in [
        (json!({"organization": UNKNOWN_ORGANIZATION, "user": bob.session["user"]}), "organization-not-found"),
        (json!({"organization": PLATFORM, "user": bob.session["user"]}), "user-not-found"),
        (json!({"organization": bob.session["organization"], "user": "nobody"}), "user-not-found"),
    ] {
        ana.post(STAFF, &body).refused(404, problem);
    }
}

async fn a_user_is_promoted_by_address_and_domain(service: &'static SharedService) {
    let acme = service.organization().await;
    let ana = service.ana();
    let by = |organization: &str, user: &str| json!({"organization": organization, "user": user});
    ana.post(STAFF, &by(&acme.domain, &acme.email("nobody"))).refused(404, "user-not-found");
    ana.post(STAFF, &by("nowhere.example", &acme.email("bob"))).refused(404, "organization-not-found");
    let staff = ana.post(STAFF, &by(&acme.domain, &acme.email("BOB"))).is(201).id().to_owned();
    let again = ana.post(STAFF, &by(&acme.id, acme.admin.session["user"].as_str().unwrap())).is(200);
    assert_eq!(again.id(), staff);
}

async fn a_key_of_the_platform_without_the_scope_lacks_a_permission(service: &'static SharedService) {
    let acme = service.organization().await;
    let ana = service.ana();
    let key = json!({"name": "reader", "scopes": ["users:read"]});
    let key = ana.post(&format!("/v1/organizations/{PLATFORM}/api-keys"), &key).is(201).body["token"].clone();
    let reader = service.with_token(&key);
    reader.get(&format!("/v1/organizations/{acme}/users")).is(200);
    for organization in [acme.id.as_str(), UNKNOWN_ORGANIZATION] {
        reader.get(&format!("/v1/organizations/{organization}/audit-log")).refused(403, "forbidden");
        reader.get(&format!("/v1/organizations/{organization}")).refused(403, "forbidden");
    }
    reader.get(&format!("/v1/organizations/{UNKNOWN_ORGANIZATION}/users")).refused(404, "organization-not-found");
}
