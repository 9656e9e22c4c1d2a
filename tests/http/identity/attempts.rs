//! Throttling of failed sign-ins, which must not lock the account for its user.

use std::time::Duration;

use porttask_app::identity::links::Purpose;
use porttask_tests::{Store, by, on_both_engines};
use serde_json::{Value, json};

use crate::service::{ADMIN, Answer, PASSWORD, Service};

on_both_engines!(
    a_known_device_is_exempt_from_the_ceiling,
    failures_on_one_node_count_on_the_others,
    a_password_reset_lifts_the_throttling,
    a_stolen_session_cannot_guess_the_password,
    a_session_ends_after_too_many_wrong_passwords,
    a_lock_is_shown_until_it_is_lifted,
    all_spellings_of_an_organization_share_one_budget
    ; waiting:
    failed_sign_ins_are_throttled_with_or_without_an_account,
);

/// How long a background record may take.
const SOON: std::time::Duration = std::time::Duration::from_secs(20);

/// A service with these limits.
fn start(store: &Store, limits: &[(&str, &str)]) -> Service {
    Service::start_with(store, &[&ADMIN, limits].concat())
}

fn try_from(service: &Service, email: &str, password: &str, headers: &[(&str, &str)]) -> Answer {
    service.send("POST", "/v1/sessions", headers, Some(&json!({"email": email, "password": password})))
}

async fn failed_sign_ins_are_throttled_with_or_without_an_account(store: Store) {
    let service = start(&store, &[("PORTTASK_FREE_ATTEMPTS", "3")]);
    let (_, bob) = service.found(&store, "acme.example").await;
    let mut answers = Vec::new();
    for email in ["bob@acme.example", "nobody@acme.example", "no address"] {
        for _ in 0..3 {
            try_from(&service, email, "not the password", &[]).refused(401, "sign-in-refused");
        }
        // Also with the right password, in upper case, and with a forged client address.
        for (typed, headers) in [(email, vec![]), (&email.to_uppercase(), vec![("x-forwarded-for", "198.51.100.66")])] {
            let answer = try_from(&service, typed, PASSWORD, &headers).refused(429, "too-many-attempts");
            assert!(answer.header("retry-after").parse::<u32>().unwrap() >= 1, "{answer:?}");
            let names: Vec<String> = answer.headers.keys().map(ToString::to_string).collect();
            answers.push((answer.body["title"].clone(), names));
        }
    }
    assert!(answers.iter().all(|it| *it == answers[0]), "{answers:?}");
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    try_from(&service, "bob@acme.example", PASSWORD, &[]).is(201);
    bob.get("/v1/me").is(200);
}

async fn a_known_device_is_exempt_from_the_ceiling(store: Store) {
    let service = start(&store, &[("PORTTASK_ATTEMPTS_CEILING", "4")]);
    let (acme, bob) = service.found(&store, "acme.example").await;
    let known = &bob.session["device_token"];
    for email in ["bob@acme.example", "nobody@acme.example"] {
        for _ in 0..4 {
            try_from(&service, email, "not the password", &[]).refused(401, "sign-in-refused");
        }
        try_from(&service, email, PASSWORD, &[]).refused(429, "too-many-attempts");
    }
    let with_device = |device: &Value| {
        let body = json!({"email": "bob@acme.example", "password": PASSWORD, "device_token": device});
        service.send("POST", "/v1/sessions", &[], Some(&body))
    };
    with_device(known).is(201);
    let (_, eve) = service.found(&store, "umbra.example").await;
    for strange in [&eve.session["device_token"], &json!("ptd_AAAA"), &json!("")] {
        with_device(strange).refused(429, "too-many-attempts");
    }
    // A device token is no credential.
    let body = json!({"email": "bob@acme.example", "password": "not the password", "device_token": known});
    service.send("POST", "/v1/sessions", &[], Some(&body)).refused(401, "sign-in-refused");
    let user = bob.session["user"].as_str().unwrap();
    let unlock = format!("/v1/organizations/{acme}/users/{user}/unlock");
    eve.post(&unlock, &json!({})).refused(404, "organization-not-found");
    let unlocked = service.ana().post(&unlock, &json!({})).is(200);
    try_from(&service, "bob@acme.example", PASSWORD, &[]).is(201);
    let at_least = [("porttask-at-least", unlocked.header("porttask-position"))];
    let log = format!("/v1/organizations/{acme}/audit-log?action=user.unlocked");
    let entries = service.ana().send("GET", &log, &at_least, None).is(200);
    assert_eq!(entries.body["items"][0]["summary"], "unlocked the account");
}

async fn failures_on_one_node_count_on_the_others(store: Store) {
    let limits = [("PORTTASK_ATTEMPTS_CEILING", "6")];
    let (one, two) = (start(&store, &limits), start(&store, &limits));
    let (acme, bob) = one.found(&store, "acme.example").await;
    let fail = |service: &Service| try_from(service, "bob@acme.example", "not the password", &[]).status;
    for _ in 0..3 {
        assert_eq!(fail(&one), 401);
        assert_eq!(fail(&two), 401);
    }
    // Each node adds its failures to those of the others once a second.
    for service in [&one, &two] {
        by(Duration::from_secs(10), "the failures on both nodes count", async || fail(service) == 429).await;
    }
    let body = json!({"email": "bob@acme.example", "password": PASSWORD, "device_token": bob.session["device_token"]});
    two.send("POST", "/v1/sessions", &[], Some(&body)).is(201);
    let user = bob.session["user"].as_str().unwrap();
    one.ana().post(&format!("/v1/organizations/{acme}/users/{user}/unlock"), &json!({})).is(200);
    by(Duration::from_secs(10), "an unlock holds on all nodes", async || {
        [&one, &two].into_iter().all(|service| try_from(service, "bob@acme.example", PASSWORD, &[]).status == 201)
    })
    .await;
}

async fn a_password_reset_lifts_the_throttling(store: Store) {
    let service = start(&store, &[("PORTTASK_ATTEMPTS_CEILING", "2"), ("PORTTASK_FREE_ATTEMPTS", "2")]);
    let (acme, bob) = service.found(&store, "acme.example").await;
    let user = bob.session["user"].as_str().unwrap();
    for _ in 0..2 {
        try_from(&service, "bob@acme.example", "not the password", &[]).refused(401, "sign-in-refused");
    }
    try_from(&service, "bob@acme.example", PASSWORD, &[]).refused(429, "too-many-attempts");
    let ana = service.ana();
    ana.post(&format!("/v1/organizations/{acme}/users/{user}/reset-password"), &json!({})).is(200);
    let token = service.link(&store, Purpose::PasswordReset, &acme, user, 1).await;
    let body = json!({"token": token, "password": "sextant over the harbour"});
    service.send("POST", "/v1/password-resets/complete", &[], Some(&body)).is(200);
    try_from(&service, "bob@acme.example", "sextant over the harbour", &[]).is(201);
}

async fn a_stolen_session_cannot_guess_the_password(store: Store) {
    let service = start(&store, &[("PORTTASK_FREE_ATTEMPTS", "3")]);
    let (_, bob) = service.found(&store, "acme.example").await;
    let guess = |password: &str| {
        let body = json!({"current_password": password, "new_password": "sextant over the harbour"});
        bob.post("/v1/me/password", &body)
    };
    for _ in 0..3 {
        guess("not the password").refused(403, "wrong-password");
    }
    guess(PASSWORD).refused(429, "too-many-attempts");
    let body = json!({"email": "bob@fisher.example", "current_password": PASSWORD});
    bob.post("/v1/me/address", &body).refused(429, "too-many-attempts");
}

async fn a_session_ends_after_too_many_wrong_passwords(store: Store) {
    let service = start(&store, &[("PORTTASK_ATTEMPTS_CEILING", "15")]);
    let (acme, bob) = service.found(&store, "acme.example").await;
    let user = bob.session["user"].as_str().unwrap();
    let change = |password: &str| json!({"current_password": password, "new_password": "sextant over the harbour"});
    for number in 0..10 {
        match number % 2 {
            0 => bob.post("/v1/me/password", &change("not the password")),
            _ => bob.post("/v1/me/address", &json!({"email": "b@c.example", "current_password": "not the password"})),
        }
        .refused(403, "wrong-password");
    }
    bob.post("/v1/me/password", &change(PASSWORD)).refused(401, "unauthenticated");
    let again = service.sign_in("bob@acme.example");
    let ended = again.get("/v1/me/sessions?open=false").is(200).body["items"][0].clone();
    assert_eq!((&ended["id"], &ended["ended_by"]), (&bob.session["id"], &json!("wrong_passwords")), "{ended}");
    let entries = again.get("/v1/organizations/current/audit-log?action=session.ended").is(200);
    assert_eq!(entries.body["items"][0]["summary"], "ended the session after too many wrong passwords");
    // The ceiling holds for all sessions of the user together, until the account is unlocked.
    for _ in 0..5 {
        again.post("/v1/me/password", &change("not the password")).refused(403, "wrong-password");
    }
    again.post("/v1/me/password", &change(PASSWORD)).refused(429, "too-many-attempts");
    let unlock = format!("/v1/organizations/{acme}/users/{user}/unlock");
    service.ana().post(&unlock, &json!({})).is(200);
    again.post("/v1/me/password", &change(PASSWORD)).is(200);
}

async fn a_lock_is_shown_until_it_is_lifted(store: Store) {
    let service = start(&store, &[("PORTTASK_ATTEMPTS_CEILING", "3")]);
    let (acme, bob) = service.found(&store, "acme.example").await;
    let user = bob.session["user"].as_str().unwrap();
    let path = format!("/v1/organizations/{acme}/users/{user}");
    assert_eq!(bob.get(&path).is(200).body["locked_until"], json!(null));
    for _ in 0..3 {
        try_from(&service, "bob@acme.example", "not the password", &[]).refused(401, "sign-in-refused");
    }
    for _ in 0..2 {
        try_from(&service, "bob@acme.example", PASSWORD, &[]).refused(429, "too-many-attempts");
    }
    // The lock is recorded in the background.
    let locked_until = || async { !bob.get(&path).is(200).body["locked_until"].is_null() };
    by(SOON, "the lock is shown", locked_until).await;
    let users = format!("/v1/organizations/{acme}/users");
    let ids = |query: &str| -> Vec<Value> {
        let page = bob.get(&format!("{users}?{query}")).is(200).body;
        page["items"].as_array().unwrap().iter().map(|it| it["id"].clone()).collect()
    };
    assert_eq!(ids("locked=true"), [json!(user)]);
    assert_eq!(ids("locked=false"), Vec::<Value>::new());
    let ana = service.ana();
    let found = |query: &str| ana.get(&format!("/v1/platform/users?{query}")).is(200).body["items"].clone();
    by(SOON, "the search finds it", || async { found("locked=true")[0]["id"] == json!(user) }).await;
    assert_eq!(found("locked=true&q=ana"), json!([]));
    assert_eq!(found("locked=false&q=bob"), json!([]));
    let log = format!("/v1/organizations/{acme}/audit-log?action=user.locked");
    let entries = bob.get(&log).is(200).body["items"].clone();
    assert_eq!(entries.as_array().unwrap().len(), 1, "{entries}");
    assert_eq!(entries[0]["summary"], "locked the account after too many failed sign-ins");
    let unlocked = ana.post(&format!("{path}/unlock"), &json!({})).is(200);
    let at_least = [("porttask-at-least", unlocked.header("porttask-position"))];
    let unlocked = ana.send("GET", &path, &at_least, None).is(200).body;
    assert_eq!(unlocked["locked_until"], json!(null));
    assert_eq!(ids("locked=true"), Vec::<Value>::new());
}

async fn all_spellings_of_an_organization_share_one_budget(store: Store) {
    let service = start(&store, &[("PORTTASK_ATTEMPTS_CEILING", "4")]);
    let (acme, _) = service.found(&store, "acme.example").await;
    let attempt = |organization: &str, password: &str| {
        let body = json!({"email": "bob@acme.example", "password": password, "organization": organization});
        service.send("POST", "/v1/sessions", &[], Some(&body))
    };
    for spelling in ["acme.example", "acme.exam\u{ad}ple", "\u{ff41}cme.example", " ACME.example "] {
        attempt(spelling, "not the password").refused(401, "sign-in-refused");
    }
    for spelling in [acme.as_str(), "acme.ex\u{ad}ample", "acme.example"] {
        attempt(spelling, PASSWORD).refused(429, "too-many-attempts");
    }
    // An unknown organization is treated alike.
    for spelling in ["umbra.example", "umbra.exam\u{ad}ple", "UMBRA.example", "umbra.example"] {
        attempt(spelling, PASSWORD).refused(401, "sign-in-refused");
    }
    attempt("umbra.exa\u{ad}mple", PASSWORD).refused(429, "too-many-attempts");
}
