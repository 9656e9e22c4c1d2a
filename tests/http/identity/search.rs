//! Search for users in all organizations. These tests list the whole platform, so each has a service of its own.

use std::time::Duration;

use porttask_tests::{Store, by, on_both_engines};
use serde_json::json;

use crate::{
    openapi::{PLATFORM, UNKNOWN_ORGANIZATION},
    service::{ADMIN, Caller, Service},
};

on_both_engines!(
    users_of_all_organizations_are_found,
    an_organization_is_selected_by_id_domain_or_name,
    search_results_are_paged_without_gaps,
    results_show_whether_emails_wait,
);

const USERS: &str = "/v1/platform/users";
/// How long the search may take to cover a change.
const SOON: Duration = Duration::from_secs(20);

/// The email addresses of the results, in order.
#[track_caller]
fn found(staff: &Caller<'_>, query: &str) -> Vec<String> {
    let answer = staff.get(&format!("{USERS}?{query}")).is(200);
    let items = answer.body["items"].as_array().unwrap().iter();
    items.map(|item| item["email"].as_str().unwrap().to_owned()).collect()
}

async fn results_show_whether_emails_wait(store: Store) {
    // Nothing listens there, so emails wait.
    let service = Service::start_with(&store, &[ADMIN[0], ADMIN[1], ("PORTTASK_SMTP_URL", "smtp://127.0.0.1:9")]);
    let ana = service.ana();
    let users = ["acme.example", "umbra.example"].map(|domain| service.create_organization(&ana, domain));
    by(SOON, "both emails wait", async || {
        let found = ana.get(USERS).is(200).body["items"].as_array().unwrap().clone();
        let delivery = |id: &str| found.iter().find(|it| it["id"] == id).map(|it| it["email_delivery"].clone());
        let mut listed = users.iter().map(|(organization, id)| {
            ana.get(&format!("/v1/organizations/{organization}/users/{id}")).is(200).body["email_delivery"].clone()
        });
        let each: Vec<_> = users.iter().filter_map(|(_, id)| delivery(id)).collect();
        each.len() == 2 && each.iter().all(|it| it["state"] == "deferred") && listed.all(|it| it["state"] == "deferred")
    })
    .await;
    let found = ana.get(USERS).is(200).body["items"].as_array().unwrap().clone();
    let staff = found.iter().find(|it| it["email"] == "ana@platform.example").unwrap();
    assert_eq!(staff["email_delivery"], json!(null));
}

async fn users_of_all_organizations_are_found(store: Store) {
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
    // Wait until the search covers the latest invitations.
    let service = &service;
    by(SOON, "the latest is found", || async { found(&service.ana(), "q=li.yu").len() == 1 }).await;
    assert_eq!(found(&ana, "q=jose"), ["josefine@umbra.example", "jose@acme.example"], "the latest first");
    assert_eq!(found(&ana, "q=JOS%C3%89"), ["josefine@umbra.example", "jose@acme.example"], "case and accents");
    assert_eq!(found(&ana, "q=nunez"), ["jose@acme.example"]);
    assert_eq!(
        found(&ana, "q=umbra+jose"),
        ["josefine@umbra.example"],
        "a part of the email address and a part of the name"
    );
    assert_eq!(found(&ana, "q=yu"), ["li.yu@umbra.example"], "two characters match the beginning of a word");
    assert_eq!(found(&ana, "q=j"), ["josefine@umbra.example", "jose@acme.example"]);
    assert_eq!(found(&ana, "q=os"), Vec::<String>::new(), "two characters do not match within a word");
    assert_eq!(found(&ana, "q=jose&sort=created_at"), ["jose@acme.example", "josefine@umbra.example"]);
    assert_eq!(found(&ana, "q=jose&role=admin&status=invited"), ["josefine@umbra.example"]);
    by(SOON, "the sign-ins are known", || async {
        found(&service.ana(), "q=bob&not_signed_in_since=2001-01-01").is_empty()
    })
    .await;
    assert_eq!(found(&ana, "q=bob&sort=-last_signed_in_at"), ["bob@umbra.example", "bob@acme.example"]);
    assert_eq!(found(&ana, "q=bob&sort=last_signed_in_at"), ["bob@acme.example", "bob@umbra.example"]);
    assert_eq!(found(&ana, "q=bob&not_signed_in_since=2001-01-01"), Vec::<String>::new());
    assert_eq!(found(&ana, "q=nunez&not_signed_in_since=2001-01-01"), ["jose@acme.example"], "who never signed in");
    let answer = ana.get(&format!("{USERS}?q=nunez")).is(200);
    let item = &answer.body["items"][0];
    assert_eq!((&item["organization"], &item["organization_domain"]), (&json!(acme), &json!("acme.example")));
    assert_eq!(item["organization_name"], "Acme");
}

async fn an_organization_is_selected_by_id_domain_or_name(store: Store) {
    let service = Service::start(&store);
    let (acme, _) = service.found(&store, "acme.example").await;
    let (_, eve) = service.found(&store, "umbra.example").await;
    eve.patch("/v1/organizations/current", &json!({"name": "Ümbra Ports"})).is(200);
    let ana = service.ana();
    let service = &service;
    by(SOON, "the new name is found", || async { found(&service.ana(), "organization=umbra+por").len() == 1 }).await;
    for (organization, email) in
        [(acme.as_str(), "bob@acme.example"), ("acme.example", "bob@acme.example"), ("umbra+por", "bob@umbra.example")]
    {
        assert_eq!(found(&ana, &format!("organization={organization}")), [email], "{organization}");
    }
    for nothing in [UNKNOWN_ORGANIZATION, "nothing", "%25", "'"] {
        assert_eq!(found(&ana, &format!("organization={nothing}")), Vec::<String>::new(), "{nothing}");
    }
    assert_eq!(found(&ana, &format!("organization={PLATFORM}")), ["ana@platform.example"]);
    ana.get(&format!("{USERS}?organisation=x")).refused(422, "invalid-fields");
    ana.get(&format!("{USERS}?sort=name")).refused(422, "invalid-fields");
}

async fn search_results_are_paged_without_gaps(store: Store) {
    let service = Service::start(&store);
    let ana = service.ana();
    let mut expected = Vec::new();
    for domain in ["a.example", "b.example", "c.example", "d.example", "e.example"] {
        let (_, bob) = service.found(&store, domain).await;
        // The same email address in all of them.
        let body = json!({"name": "Zoe Zimt", "email": "zoe@zimt.example", "role": "agent"});
        let added = bob.post("/v1/organizations/current/users", &body).is(201);
        expected.push(added.id().to_owned());
    }
    let service = &service;
    by(SOON, "all are found", || async { found(&service.ana(), "q=zimt").len() == expected.len() }).await;
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
