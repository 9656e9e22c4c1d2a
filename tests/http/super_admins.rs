//! Super admins: how somebody becomes one and is one no more, and how they find people.

use porttask_tests::{Store, on_both_engines};
use serde_json::{Value, json};

use super::service::{Caller, PASSWORD, Service, link};

on_both_engines!(
    a_user_becomes_a_super_admin_beside_what_they_are,
    the_last_super_admin_cannot_go_not_even_in_a_race,
    only_staff_says_who_is_staff,
    people_are_found_in_all_organizations,
    organizations_are_meant_by_id_domain_or_name,
    what_is_searched_is_paged_without_gaps,
);

const STAFF: &str = "/v1/platform/super-admins";
const USERS: &str = "/v1/platform/users";
const PLATFORM: &str = "org_00000000000000000000000000";

fn account(of: &Caller<'_>) -> Value {
    json!({"organization": of.session["organization"], "user": of.session["user"]})
}

/// Makes a user a super admin, who accepts; their id.
async fn promote(service: &Service, store: &Store, user: &Caller<'_>) -> String {
    let staff = service.ana().post(STAFF, &account(user)).is(201).id().to_owned();
    service.accept(store, PLATFORM, &staff).await.is(200);
    staff
}

async fn a_user_becomes_a_super_admin_beside_what_they_are(store: Store) {
    let service = Service::start(&store);
    let (_, bob) = service.found(&store, "acme.example").await;
    let ana = service.ana();
    ana.post(&format!("{STAFF}?dry_run=true"), &account(&bob)).is(200);
    let staff = promote(&service, &store, &bob).await;
    // Whoever is staff already needs nothing.
    let again = ana.post(STAFF, &account(&bob)).is(200);
    assert_eq!((again.id(), &again.body["events"]), (staff.as_str(), &json!([])));
    // With one address, somebody has two accounts now, each with a password of its own.
    service.try_sign_in("bob@acme.example", PASSWORD).refused(401, "sign-in-refused");
    let sign_in = |organization: &str| {
        let body = json!({"email": "bob@acme.example", "password": PASSWORD, "organization": organization});
        let answer = service.send("POST", "/v1/sessions", &[], Some(&body)).is(201);
        service.with_token(&answer.body["token"])
    };
    let (tenant, super_admin) = (sign_in("acme.example"), sign_in(PLATFORM));
    tenant.get("/v1/organizations").refused(403, "forbidden");
    super_admin.get("/v1/organizations").is(200);
    let listed = ana.get(&format!("{STAFF}?q=bob")).is(200);
    assert_eq!(listed.body["items"][0]["id"], json!(staff));

    super_admin.post(&format!("{STAFF}/{staff}/demote"), &json!({})).is(200);
    super_admin.get("/v1/organizations").refused(401, "unauthenticated");
    tenant.get("/v1/me").is(200);
    // Let in again, with the password they had.
    let again = ana.post(STAFF, &account(&bob)).is(200);
    assert_eq!(again.body["events"], json!(["user.reactivated"]));
    sign_in(PLATFORM).get("/v1/organizations").is(200);
    // An invitation that was taken back is sent again.
    let (_, carol) = service.found(&store, "umbra.example").await;
    let invited = ana.post(STAFF, &account(&carol)).is(201).id().to_owned();
    assert_eq!(ana.post(STAFF, &account(&carol)).is(200).body["events"], json!([]));
    ana.post(&format!("/v1/organizations/{PLATFORM}/users/{invited}/revoke-invitation"), &json!({})).is(200);
    assert_eq!(ana.post(STAFF, &account(&carol)).is(200).body["events"], json!(["user.invitation_sent"]));
    let token = link(&store, porttask_app::identity::links::Purpose::Invitation, PLATFORM, &invited, 2).await;
    let body = json!({"token": token, "password": PASSWORD});
    service.send("POST", "/v1/invitations/accept", &[], Some(&body)).is(200);
}

async fn the_last_super_admin_cannot_go_not_even_in_a_race(store: Store) {
    let (one, two) = (Service::start(&store), Service::start(&store));
    let ana = one.ana();
    let ana_id = ana.session["user"].as_str().unwrap();
    ana.post(&format!("{STAFF}/{ana_id}/demote"), &json!({})).refused(409, "last-admin");
    let (_, bob) = one.found(&store, "acme.example").await;
    let bob_id = promote(&one, &store, &bob).await;
    let body = json!({"email": "bob@acme.example", "password": PASSWORD, "organization": PLATFORM});
    let bob = two.with_token(&two.send("POST", "/v1/sessions", &[], Some(&body)).is(201).body["token"]);
    // Each demotes the other, on two nodes, at once.
    let demote = |by: &Caller<'_>, user: &str| by.post(&format!("{STAFF}/{user}/demote"), &json!({})).status;
    let statuses = std::thread::scope(|scope| {
        let threads = [scope.spawn(|| demote(&ana, &bob_id)), scope.spawn(|| demote(&bob, ana_id))];
        threads.map(|thread| thread.join().unwrap())
    });
    assert!(statuses.contains(&200) && statuses != [200, 200], "{statuses:?}");
    let left = if statuses[0] == 200 { &ana } else { &bob };
    assert_eq!(left.get(&format!("{STAFF}?status=active")).is(200).body["items"].as_array().unwrap().len(), 1);
}

async fn only_staff_says_who_is_staff(store: Store) {
    let service = Service::start(&store);
    let (_, bob) = service.found(&store, "acme.example").await;
    let ana = service.ana();
    bob.post(STAFF, &account(&bob)).refused(403, "forbidden");
    bob.get(STAFF).refused(403, "forbidden");
    bob.get(USERS).refused(403, "forbidden");
    let key = json!({"name": "robot", "scopes": ["users:write", "organizations:write"]});
    let robot = ana.post(&format!("/v1/organizations/{PLATFORM}/api-keys"), &key).is(201).body["token"].clone();
    let robot = service.with_token(&robot);
    robot.post(STAFF, &account(&bob)).refused(403, "forbidden");
    robot.get(USERS).is(200);
    let new = json!({"name": "Cleo", "email": "cleo@acme.example", "role": "admin"});
    let cleo = bob.post("/v1/organizations/current/users", &new).is(201).id().to_owned();
    let cleo = json!({"organization": bob.session["organization"], "user": cleo});
    ana.post(STAFF, &cleo).refused(409, "user-not-active");
    for (body, problem) in [
        (
            json!({"organization": "org_00000000000000000000000042", "user": bob.session["user"]}),
            "organization-not-found",
        ),
        (json!({"organization": PLATFORM, "user": bob.session["user"]}), "user-not-found"),
        (json!({"organization": bob.session["organization"], "user": "nobody"}), "user-not-found"),
    ] {
        ana.post(STAFF, &body).refused(404, problem);
    }
}

/// The addresses that are found, in their order.
#[track_caller]
fn found(staff: &Caller<'_>, query: &str) -> Vec<String> {
    let answer = staff.get(&format!("{USERS}?{query}")).is(200);
    let items = answer.body["items"].as_array().unwrap().iter();
    items.map(|item| item["email"].as_str().unwrap().to_owned()).collect()
}

async fn people_are_found_in_all_organizations(store: Store) {
    let service = Service::start(&store);
    let (acme, bob) = service.found(&store, "acme.example").await;
    let (_, eve) = service.found(&store, "umbra.example").await;
    for (by, name, email, role) in [
        (&bob, "José Núñez", "jose@acme.example", "agent"),
        (&eve, "Josefine Ødegård", "josefine@umbra.example", "admin"),
        (&eve, "Li Yu", "li.yu@umbra.example", "auditor"),
    ] {
        let body = json!({"name": name, "email": email, "role": role});
        by.post("/v1/organizations/current/users", &body).is(201);
    }
    let ana = service.ana();
    // A user of either organization that was invited just now, whoever did it.
    let at_least = eve.get("/v1/organizations/current/audit-log?limit=1").is(200).body["items"][0]["position"].clone();
    let headers = [("porttask-at-least", at_least.as_str().unwrap())];
    ana.send("GET", USERS, &headers, None).is(200);
    assert_eq!(found(&ana, "q=jose"), ["josefine@umbra.example", "jose@acme.example"], "the latest first");
    assert_eq!(found(&ana, "q=JOS%C3%89"), ["josefine@umbra.example", "jose@acme.example"], "case and accents");
    assert_eq!(found(&ana, "q=nunez"), ["jose@acme.example"]);
    assert_eq!(found(&ana, "q=umbra+jose"), ["josefine@umbra.example"], "a part of the address and of the name");
    assert_eq!(found(&ana, "q=yu"), ["li.yu@umbra.example"], "two characters begin a word");
    assert_eq!(found(&ana, "q=j"), ["josefine@umbra.example", "jose@acme.example"]);
    assert_eq!(found(&ana, "q=os"), Vec::<String>::new(), "two characters within a word");
    assert_eq!(found(&ana, "q=jose&sort=created_at"), ["jose@acme.example", "josefine@umbra.example"]);
    assert_eq!(found(&ana, "q=jose&role=admin&status=invited"), ["josefine@umbra.example"]);
    let answer = ana.get(&format!("{USERS}?q=nunez")).is(200);
    let item = &answer.body["items"][0];
    assert_eq!((&item["organization"], &item["organization_domain"]), (&json!(acme), &json!("acme.example")));
    assert_eq!(item["organization_name"], "Acme");
}

async fn organizations_are_meant_by_id_domain_or_name(store: Store) {
    let service = Service::start(&store);
    let (acme, _) = service.found(&store, "acme.example").await;
    let (_, eve) = service.found(&store, "umbra.example").await;
    eve.patch("/v1/organizations/current", &json!({"name": "Ümbra Ports"})).is(200);
    let ana = service.ana();
    let position = eve.get("/v1/organizations/current/audit-log?limit=1").is(200).body["items"][0]["position"].clone();
    ana.send("GET", "/v1/organizations", &[("porttask-at-least", position.as_str().unwrap())], None).is(200);
    for (organization, email) in
        [(acme.as_str(), "bob@acme.example"), ("acme.example", "bob@acme.example"), ("umbra+por", "bob@umbra.example")]
    {
        assert_eq!(found(&ana, &format!("organization={organization}")), [email], "{organization}");
    }
    for nothing in ["org_00000000000000000000000042", "nothing", "%25", "'"] {
        assert_eq!(found(&ana, &format!("organization={nothing}")), Vec::<String>::new(), "{nothing}");
    }
    assert_eq!(found(&ana, &format!("organization={PLATFORM}")), ["ana@platform.example"]);
    ana.get(&format!("{USERS}?organisation=x")).refused(422, "invalid-fields");
    ana.get(&format!("{USERS}?sort=name")).refused(422, "invalid-fields");
}

async fn what_is_searched_is_paged_without_gaps(store: Store) {
    let service = Service::start(&store);
    let ana = service.ana();
    let mut expected = Vec::new();
    for domain in ["a.example", "b.example", "c.example", "d.example", "e.example"] {
        let (_, bob) = service.found(&store, domain).await;
        // The same address in all of them.
        let body = json!({"name": "Zoe Zimt", "email": "zoe@zimt.example", "role": "agent"});
        let added = bob.post("/v1/organizations/current/users", &body).is(201);
        expected.push(added.id().to_owned());
        ana.send("GET", USERS, &[("porttask-at-least", added.body["position"].as_str().unwrap())], None).is(200);
    }
    for filter in ["q=zimt&sort=created_at", "q=zi&sort=-created_at", "q=z", "organization=example&q=zimt"] {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = ana.get(&format!("{USERS}?{filter}&limit=2{cursor}")).is(200).body;
            seen.extend(page["items"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap().to_owned()));
            let Some(next) = page["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        seen.sort();
        expected.sort();
        assert_eq!(seen, expected, "{filter}");
    }
}
