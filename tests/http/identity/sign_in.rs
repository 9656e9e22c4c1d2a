//! Sign-in: what a failure reveals and costs, and how it is recorded.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use porttask_tests::{Store, by, on_both_engines, signal};
use serde_json::{Value, json};

use crate::{
    mailbox::DataDirectory,
    openapi::UNKNOWN_ORGANIZATION,
    service::{ADMIN, Answer, PASSWORD, Service},
    shared::SharedService,
};

on_both_engines!(
    a_failed_sign_in_does_not_say_why,
    failed_sign_ins_are_aggregated_in_the_audit_log,
    a_failed_sign_in_is_recorded_later_with_its_own_time,
    failed_sign_ins_are_recorded_by_network_in_steps,
    all_failures_get_the_same_answer_at_the_cost_of_one_hash,
    a_user_with_several_accounts_gets_one_email_and_the_answer_does_not_say_so,
    a_network_is_throttled_except_for_its_known_devices,
    a_sign_in_has_a_position,
);

async fn a_failed_sign_in_does_not_say_why(service: &'static SharedService) {
    let (acme, umbra) = (service.organization().await, service.organization().await);
    let sign_in = |email: &str, password: &str, organization: Option<&str>| {
        let body = json!({"email": email, "password": password, "organization": organization});
        service.send("POST", "/v1/sessions", &[], Some(&body))
    };
    let refusals = [
        sign_in(&acme.email("bob"), "wrong password", None),
        sign_in(&acme.email("nobody"), PASSWORD, None),
        sign_in("no address", PASSWORD, None),
        sign_in(&acme.email("bob"), PASSWORD, Some(&umbra.domain)),
        sign_in(&acme.email("bob"), PASSWORD, Some("nowhere.example")),
        sign_in(&acme.email("bob"), &"x".repeat(50_000), None),
    ];
    for refused in refusals {
        assert_eq!((refused.status, refused.problem()), (401, "sign-in-refused"), "{refused:?}");
    }
    sign_in(&acme.email("BOB"), PASSWORD, Some(&acme.domain.to_uppercase())).is(201);
}

async fn failed_sign_ins_are_aggregated_in_the_audit_log(store: Store) {
    let mut service = Service::start(&store);
    let (_, bob) = service.found(&store, "acme.example").await;
    let user = bob.session["user"].as_str().unwrap().to_owned();
    for _ in 0..4 {
        service.try_sign_in("bob@acme.example", "not the password").refused(401, "sign-in-refused");
        service.try_sign_in("nobody@acme.example", "not the password").refused(401, "sign-in-refused");
    }
    let path = format!("/v1/organizations/current/audit-log?action=sign_in.failed&target={user}");
    let first = async || bob.get(&path).is(200).body["items"].as_array().unwrap().len() == 1;
    by(Duration::from_secs(10), "the first failure is recorded", first).await;
    let page = bob.get(&path).is(200);
    let entry = &page.body["items"][0];
    assert_eq!((&entry["summary"], &entry["actor"]["kind"]), (&json!("failed to sign in"), &json!("anonymous")));
    assert_eq!((&entry["target"]["id"], &entry["ip"]), (&json!(user), &json!("127.0.0.1")));
    let etag = bob.get("/v1/me").is(200).header("etag").to_owned();
    assert_eq!(etag, "\"2\"", "a failed sign-in does not change the account");
    // The others are recorded when the hour or the service ends.
    signal(service.pid(), libc::SIGTERM);
    assert!(service.wait());
    let service = Service::start(&store);
    let page = service.sign_in("bob@acme.example").get(&path).is(200);
    let items = page.body["items"].as_array().unwrap();
    assert!(items.len() == 2 && items[0]["summary"] == "failed to sign in, 3 times", "{page:?}");
    let all = service.ana().get("/v1/organizations/current/audit-log?q=failed").is(200);
    assert_eq!(all.body["items"], json!([]), "failures without an account are not recorded");
}

async fn a_failed_sign_in_is_recorded_later_with_its_own_time(store: Store) {
    let mut service = start(&store, &[("PORTTASK_SIGN_IN_RECORD_DELAY_SECONDS", "30")]);
    service.found(&store, "acme.example").await;
    let before = Timestamp::now() - SignedDuration::from_secs(1);
    service.try_sign_in("bob@acme.example", "not the password").refused(401, "sign-in-refused");
    let after = Timestamp::now() + SignedDuration::from_secs(1);
    // What is delayed still is recorded when the service stops.
    signal(service.pid(), libc::SIGTERM);
    assert!(service.wait());
    let service = Service::start(&store);
    let bob = service.sign_in("bob@acme.example");
    let page = bob.get("/v1/organizations/current/audit-log?action=sign_in.failed").is(200).body;
    let time = |field: &str| page["items"][0][field].as_str().unwrap().parse::<Timestamp>().unwrap();
    assert!(before < time("occurred_at") && time("occurred_at") < after, "{page}");
    assert!(time("occurred_at") < time("recorded_at"), "{page}");
}

async fn failed_sign_ins_are_recorded_by_network_in_steps(store: Store) {
    let limits = [("PORTTASK_TRUSTED_PROXIES", "127.0.0.1"), ("PORTTASK_ATTEMPTS_CEILING", "0")];
    let service = start(&store, &[&NO_LIMITS[..], &limits].concat());
    let (_, bob) = service.found(&store, "acme.example").await;
    let fail = |address: &str| {
        let body = json!({"email": "bob@acme.example", "password": "not the password"});
        let headers = [("x-forwarded-for", address)];
        service.send("POST", "/v1/sessions", &headers, Some(&body)).refused(401, "sign-in-refused");
    };
    (0..12).for_each(|_| fail("198.51.100.1"));
    for other in ["198.51.100.2", "2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"] {
        fail(other);
    }
    let failed = || {
        let page = bob.get("/v1/organizations/current/audit-log?action=sign_in.failed").is(200).body;
        let items = page["items"].as_array().unwrap().iter();
        let mut found: Vec<(String, String)> = items
            .map(|it| (it["ip"].as_str().unwrap().to_owned(), it["summary"].as_str().unwrap().to_owned()))
            .collect();
        found.sort();
        found
    };
    by(Duration::from_secs(10), "one for each network, and the tenth", async || failed().len() == 5).await;
    let times = |summary: &str| summary.split(' ').find_map(|word| word.parse::<u64>().ok()).unwrap_or(1);
    let recorded = failed();
    let of_the_first = recorded.iter().filter(|(ip, _)| ip == "198.51.100.1");
    let (count, sum) = of_the_first.fold((0, 0), |(count, sum), (_, it)| (count + 1, sum + times(it)));
    assert!(count == 2 && (10..=12).contains(&sum), "{recorded:?}");
}

const NO_LIMITS: [(&str, &str); 3] =
    [("PORTTASK_RATE_ATTEMPTS", "0"), ("PORTTASK_FREE_ATTEMPTS", "0"), ("PORTTASK_FREE_ATTEMPTS_NETWORK", "0")];

fn start(store: &Store, variables: &[(&str, &str)]) -> Service {
    Service::start_with(store, &[&ADMIN, variables].concat())
}

fn sign_in(service: &Service, body: &Value) -> Answer {
    service.send("POST", "/v1/sessions", &[], Some(body))
}

/// Everything in an answer except the headers that differ between any two answers.
fn comparable(answer: &Answer) -> (u16, Value, Vec<(String, String)>) {
    let varying = ["date", "x-request-id", "ratelimit"];
    let headers = answer.headers.iter().filter(|(name, _)| !varying.contains(&name.as_str()));
    let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
    (answer.status, answer.body.clone(), headers.collect())
}

fn metric(service: &Service, series: &str) -> u64 {
    let metrics = service.send("GET", "/metrics", &[], None).is(200).body.as_str().unwrap().to_owned();
    let line = metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {series}")).parse().unwrap()
}

/// Invites a user, who accepts or does not; the ids of the organization and the user.
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

async fn all_failures_get_the_same_answer_at_the_cost_of_one_hash(store: Store) {
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
        at("bob@acme.example", UNKNOWN_ORGANIZATION),
        at("gone@acme.example", "acme.example"),
    ];
    let first = comparable(&sign_in(&service, &attempts[0]).refused(401, "sign-in-refused"));
    for body in &attempts {
        let before = metric(&service, "porttask_passwords_hashed_total");
        assert_eq!(comparable(&sign_in(&service, body)), first, "{body}");
        assert_eq!(metric(&service, "porttask_passwords_hashed_total"), before + 1, "{body}");
    }
    let tried = 1 + attempts.len() as u64;
    assert_eq!(metric(&service, "porttask_sign_ins_total{outcome=\"refused\"}"), tried);
    assert!(metric(&service, "porttask_sign_ins_total{outcome=\"unknown\"}") > 4);
    // Requests to reset a password also get the same answer.
    let asked =
        |email: &str| comparable(&service.send("POST", "/v1/password-resets", &[], Some(&json!({"email": email}))));
    let first = asked("nobody@acme.example");
    for email in ["bob@acme.example", "invited@acme.example", "gone@acme.example", "zoe@zimt.example"] {
        assert_eq!(asked(email), first, "{email}");
    }
}

async fn a_user_with_several_accounts_gets_one_email_and_the_answer_does_not_say_so(store: Store) {
    let data = DataDirectory::of(&store);
    let service = start(&store, &[data.variable()]);
    for domain in ["acme.example", "umbra.example"] {
        service.found(&store, domain).await;
        user(&service, &store, domain, "zoe@zimt.example", true).await;
    }
    let reminders = |count: usize| data.mails_with("Your accounts on PortTask", count);
    let body = json!({"email": "zoe@zimt.example", "password": "not the password"});
    sign_in(&service, &body).refused(401, "sign-in-refused");
    let (_, mail) = reminders(1).remove(0);
    assert!(
        mail.contains("acme.example") && mail.contains("umbra.example") && mail.contains("zoe@zimt.example"),
        "{mail}"
    );
    // The platform has an entry; no organization learns of another.
    let ana = service.ana();
    let entries = ana.get("/v1/organizations/current/audit-log?action=account_reminder.requested").is(200);
    assert_eq!(entries.body["items"].as_array().unwrap().len(), 1);
    let bob = service.sign_in("bob@acme.example");
    let seen = bob.get("/v1/organizations/current/audit-log?limit=200").is(200);
    assert!(!seen.body.to_string().contains("umbra"), "{seen:?}");
    // At most one reminder a day: the email of a later event arrives, and no second reminder.
    sign_in(&service, &body).refused(401, "sign-in-refused");
    let reset = json!({"email": "bob@acme.example"});
    service.send("POST", "/v1/password-resets", &[], Some(&reset)).is(202);
    data.mails_with("Reset your password for", 1);
    assert_eq!(reminders(1).len(), 1);
    let one = json!({"email": "zoe@zimt.example", "password": PASSWORD, "organization": "umbra.example"});
    sign_in(&service, &one).is(201);
}

async fn a_network_is_throttled_except_for_its_known_devices(store: Store) {
    let service = start(&store, &[("PORTTASK_FREE_ATTEMPTS_NETWORK", "3"), ("PORTTASK_TRUSTED_PROXIES", "127.0.0.1")]);
    let (_, bob) = service.found(&store, "acme.example").await;
    let from = |ip: &str, body: &Value| service.send("POST", "/v1/sessions", &[("x-forwarded-for", ip)], Some(body));
    let guess = |number: usize| json!({"email": format!("guess{number}@acme.example"), "password": PASSWORD});
    for number in 0..3 {
        from("2001:db8:1:2::1", &guess(number)).refused(401, "sign-in-refused");
    }
    let right = json!({"email": "bob@acme.example", "password": PASSWORD});
    // The same /64, with an email address that was not tried before.
    from("2001:db8:1:2:ffff::9", &guess(9)).refused(429, "too-many-attempts");
    from("2001:db8:1:2:ffff::9", &right).refused(429, "too-many-attempts");
    let mut known = right.clone();
    known["device_token"] = bob.session["device_token"].clone();
    from("2001:db8:1:2::1", &known).is(201);
    from("2001:db8:1:3::1", &right).is(201);
}

async fn a_sign_in_has_a_position(service: &'static SharedService) {
    let acme = service.organization().await;
    let signed_in = service.try_sign_in(&acme.email("bob"), PASSWORD).is(201);
    let position = signed_in.header("porttask-position");
    assert_eq!(signed_in.body["position"], position);
    let at_least = [("porttask-at-least", position)];
    let path = "/v1/organizations/current/audit-log?action=session.started&limit=1";
    let entries = acme.admin.send("GET", path, &at_least, None).is(200);
    assert_eq!(entries.body["items"][0]["target"]["id"], signed_in.body["id"], "{entries:?}");
}
