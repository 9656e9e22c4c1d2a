//! What strangers learn by trying to sign in: nothing, neither from answers nor from the work they cost.

use std::{path::Path, time::Duration};

use porttask_tests::{Engine, Store, by, on_both_engines};
use serde_json::{Value, json};

use super::{
    mail::mails,
    service::{Answer, PASSWORD, Service},
};

on_both_engines!(
    every_refusal_looks_alike_and_costs_one_comparison,
    whoever_has_several_accounts_is_told_by_mail_alone,
    a_network_that_guesses_waits_and_known_devices_of_it_do_not,
);

const ADMIN: [(&str, &str); 2] =
    [("PORTTASK_ADMIN_EMAIL", "ana@platform.example"), ("PORTTASK_ADMIN_PASSWORD", PASSWORD)];
const NO_LIMITS: [(&str, &str); 3] =
    [("PORTTASK_RATE_ATTEMPTS", "0"), ("PORTTASK_FREE_ATTEMPTS", "0"), ("PORTTASK_FREE_ATTEMPTS_NETWORK", "0")];

fn start(store: &Store, variables: &[(&str, &str)]) -> Service {
    Service::start_with(store, &[&ADMIN, variables].concat())
}

fn sign_in(service: &Service, body: &Value) -> Answer {
    service.send("POST", "/v1/sessions", &[], Some(body))
}

/// Everything that an answer says, but what every answer has of its own.
fn said(answer: &Answer) -> (u16, Value, Vec<(String, String)>) {
    let own = ["date", "x-request-id", "ratelimit"];
    let headers = answer.headers.iter().filter(|(name, _)| !own.contains(&name.as_str()));
    let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
    (answer.status, answer.body.clone(), headers.collect())
}

fn counted(service: &Service, series: &str) -> u64 {
    let metrics = service.send("GET", "/metrics", &[], None).is(200).body.as_str().unwrap().to_owned();
    let line = metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {series}")).parse().unwrap()
}

/// A user of an organization, who accepts or does not.
async fn user(service: &Service, store: &Store, domain: &str, email: &str, accepts: bool) -> (String, String) {
    let admin = service.sign_in(&format!("bob@{domain}"));
    let body = json!({"name": "Zoe Zimt", "email": email, "role": "agent"});
    let user = admin.post("/v1/organizations/current/users", &body).is(201).id().to_owned();
    let organization = admin.session["organization"].as_str().unwrap().to_owned();
    if accepts {
        service.accept(store, &organization, &user).await.is(200);
    }
    (organization, user)
}

async fn every_refusal_looks_alike_and_costs_one_comparison(store: Store) {
    let service = start(&store, &NO_LIMITS);
    let (_, bob) = service.found(&store, "acme.example").await;
    service.found(&store, "umbra.example").await;
    user(&service, &store, "acme.example", "invited@acme.example", false).await;
    let (_, gone) = user(&service, &store, "acme.example", "gone@acme.example", true).await;
    bob.post(&format!("/v1/organizations/current/users/{gone}/deactivate"), &json!({})).is(200);
    for domain in ["acme.example", "umbra.example"] {
        user(&service, &store, domain, "zoe@zimt.example", true).await;
    }
    let with = |email: &str, password: &str| json!({"email": email, "password": password});
    let at =
        |email: &str, organization: &str| json!({"email": email, "password": PASSWORD, "organization": organization});
    let attempts = [
        with("nobody@acme.example", PASSWORD),
        with("bob@acme.example", "not the password"),
        with("bob@acme.example", ""),
        with("bob@acme.example", &"x".repeat(10_000)),
        with("invited@acme.example", PASSWORD),
        with("gone@acme.example", PASSWORD),
        with("zoe@zimt.example", PASSWORD),
        with("no address", PASSWORD),
        at("bob@acme.example", "umbra.example"),
        at("bob@acme.example", "nowhere.example"),
        at("bob@acme.example", "org_00000000000000000000000042"),
        at("gone@acme.example", "acme.example"),
    ];
    let first = said(&sign_in(&service, &attempts[0]).refused(401, "sign-in-refused"));
    for body in &attempts {
        let before = counted(&service, "porttask_passwords_hashed_total");
        assert_eq!(said(&sign_in(&service, body)), first, "{body}");
        assert_eq!(counted(&service, "porttask_passwords_hashed_total"), before + 1, "{body}");
    }
    let tried = 1 + attempts.len() as u64;
    assert_eq!(counted(&service, "porttask_sign_ins_total{outcome=\"refused\"}"), tried);
    assert!(counted(&service, "porttask_sign_ins_total{outcome=\"unknown\"}") > 4);
    // A reset that is asked for is answered alike, too.
    let asked = |email: &str| said(&service.send("POST", "/v1/password-resets", &[], Some(&json!({"email": email}))));
    let first = asked("nobody@acme.example");
    for email in ["bob@acme.example", "invited@acme.example", "gone@acme.example", "zoe@zimt.example"] {
        assert_eq!(asked(email), first, "{email}");
    }
}

async fn whoever_has_several_accounts_is_told_by_mail_alone(store: Store) {
    let elsewhere = tempfile::tempdir().unwrap();
    let data = match store.engine() {
        Engine::Sqlite => Path::new(store.place()),
        Engine::Postgres => elsewhere.path(),
    };
    let service = start(&store, &[("PORTTASK_DATA", data.to_str().unwrap())]);
    for domain in ["acme.example", "umbra.example"] {
        service.found(&store, domain).await;
        user(&service, &store, domain, "zoe@zimt.example", true).await;
    }
    let told = || {
        let all = mails(&data.join("mail"), 1).into_iter().map(|(_, mail)| mail);
        all.filter(|mail| mail.contains("Your accounts on PortTask")).collect::<Vec<_>>()
    };
    let body = json!({"email": "zoe@zimt.example", "password": "not the password"});
    sign_in(&service, &body).refused(401, "sign-in-refused");
    by(Duration::from_secs(20), "the accounts are told", async || !told().is_empty()).await;
    let mail = told().remove(0);
    assert!(
        mail.contains("acme.example") && mail.contains("umbra.example") && mail.contains("zoe@zimt.example"),
        "{mail}"
    );
    // The platform knows of it, and no organization of another.
    let ana = service.ana();
    let entries = ana.get("/v1/organizations/current/audit-log?action=account_reminder.requested").is(200);
    assert_eq!(entries.body["items"].as_array().unwrap().len(), 1);
    let bob = service.sign_in("bob@acme.example");
    let seen = bob.get("/v1/organizations/current/audit-log?limit=200").is(200);
    assert!(!seen.body.to_string().contains("umbra"), "{seen:?}");
    // IdempotencyKey a day: the mail of a later event comes, and no other of these.
    sign_in(&service, &body).refused(401, "sign-in-refused");
    let reset = json!({"email": "bob@acme.example"});
    service.send("POST", "/v1/password-resets", &[], Some(&reset)).is(202);
    let has_come = || mails(&data.join("mail"), 1).iter().any(|(_, mail)| mail.contains("Reset your password for"));
    by(Duration::from_secs(20), "the later mail", async || has_come()).await;
    assert_eq!(told().len(), 1);
    let one = json!({"email": "zoe@zimt.example", "password": PASSWORD, "organization": "umbra.example"});
    sign_in(&service, &one).is(201);
}

async fn a_network_that_guesses_waits_and_known_devices_of_it_do_not(store: Store) {
    let service = start(&store, &[("PORTTASK_FREE_ATTEMPTS_NETWORK", "3"), ("PORTTASK_TRUSTED_PROXIES", "127.0.0.1")]);
    let (_, bob) = service.found(&store, "acme.example").await;
    let from = |ip: &str, body: &Value| service.send("POST", "/v1/sessions", &[("x-forwarded-for", ip)], Some(body));
    let guess = |number: usize| json!({"email": format!("guess{number}@acme.example"), "password": PASSWORD});
    for number in 0..3 {
        from("2001:db8:1:2::1", &guess(number)).refused(401, "sign-in-refused");
    }
    let right = json!({"email": "bob@acme.example", "password": PASSWORD});
    // The same /64, with an address that nobody has tried.
    from("2001:db8:1:2:ffff::9", &guess(9)).refused(429, "too-many-attempts");
    from("2001:db8:1:2:ffff::9", &right).refused(429, "too-many-attempts");
    let mut known = right.clone();
    known["device_token"] = bob.session["device_token"].clone();
    from("2001:db8:1:2::1", &known).is(201);
    from("2001:db8:1:3::1", &right).is(201);
}
