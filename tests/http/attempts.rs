//! Whoever guesses passwords waits, and locks nobody out.

use porttask_app::identity::links::Purpose;
use porttask_tests::{Store, on_both_engines};
use serde_json::{Value, json};

use super::service::{Answer, PASSWORD, Service, link};

on_both_engines!(
    whoever_fails_waits_whether_there_is_such_an_account_or_not,
    a_known_device_passes_the_ceiling_that_strangers_reach,
    a_new_password_by_mail_lets_in_again,
    a_stolen_session_guesses_no_password,
);

/// A service with these limits.
fn start(store: &Store, limits: &[(&str, &str)]) -> Service {
    let admin = [("PORTTASK_ADMIN_EMAIL", "ana@platform.example"), ("PORTTASK_ADMIN_PASSWORD", PASSWORD)];
    Service::start_with(store, &[&admin, limits].concat())
}

fn try_from(service: &Service, email: &str, password: &str, headers: &[(&str, &str)]) -> Answer {
    service.send("POST", "/v1/sessions", headers, Some(&json!({"email": email, "password": password})))
}

async fn whoever_fails_waits_whether_there_is_such_an_account_or_not(store: Store) {
    let service = start(&store, &[("PORTTASK_FREE_ATTEMPTS", "3")]);
    let (_, bob) = service.found(&store, "acme.example").await;
    let mut told = Vec::new();
    for email in ["bob@acme.example", "nobody@acme.example", "no address"] {
        for _ in 0..3 {
            try_from(&service, email, "not the password", &[]).refused(401, "sign-in-refused");
        }
        // Also with the right password, in other letters, and whatever is said of where it comes from.
        for (typed, headers) in [(email, vec![]), (&email.to_uppercase(), vec![("x-forwarded-for", "198.51.100.66")])] {
            let answer = try_from(&service, typed, PASSWORD, &headers).refused(429, "too-many-attempts");
            assert!(answer.header("retry-after").parse::<u32>().unwrap() >= 1, "{answer:?}");
            let names: Vec<String> = answer.headers.keys().map(ToString::to_string).collect();
            told.push((answer.body["title"].clone(), names));
        }
    }
    assert!(told.iter().all(|it| *it == told[0]), "{told:?}");
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    try_from(&service, "bob@acme.example", PASSWORD, &[]).is(201);
    bob.get("/v1/me").is(200);
}

async fn a_known_device_passes_the_ceiling_that_strangers_reach(store: Store) {
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
    // It opens nothing by itself.
    let body = json!({"email": "bob@acme.example", "password": "not the password", "device_token": known});
    service.send("POST", "/v1/sessions", &[], Some(&body)).refused(401, "sign-in-refused");
    let user = bob.session["user"].as_str().unwrap();
    let unlock = format!("/v1/organizations/{acme}/users/{user}/unlock");
    eve.post(&unlock, &json!({})).refused(404, "organization-not-found");
    let unlocked = service.ana().post(&unlock, &json!({})).is(200);
    try_from(&service, "bob@acme.example", PASSWORD, &[]).is(201);
    let at_least = [("porttask-at-least", unlocked.header("porttask-position"))];
    let told = bob.send("GET", "/v1/organizations/current/audit-log?action=user.unlocked", &at_least, None).is(200);
    assert_eq!(told.body["items"][0]["summary"], "unlocked the account");
}

async fn a_new_password_by_mail_lets_in_again(store: Store) {
    let service = start(&store, &[("PORTTASK_ATTEMPTS_CEILING", "2"), ("PORTTASK_FREE_ATTEMPTS", "2")]);
    let (acme, bob) = service.found(&store, "acme.example").await;
    let user = bob.session["user"].as_str().unwrap();
    for _ in 0..2 {
        try_from(&service, "bob@acme.example", "not the password", &[]).refused(401, "sign-in-refused");
    }
    try_from(&service, "bob@acme.example", PASSWORD, &[]).refused(429, "too-many-attempts");
    let ana = service.ana();
    ana.post(&format!("/v1/organizations/{acme}/users/{user}/reset-password"), &json!({})).is(200);
    let token = link(&store, Purpose::PasswordReset, &acme, user, 1).await;
    let body = json!({"token": token, "password": "sextant over the harbour"});
    service.send("POST", "/v1/password-resets/complete", &[], Some(&body)).is(200);
    try_from(&service, "bob@acme.example", "sextant over the harbour", &[]).is(201);
}

async fn a_stolen_session_guesses_no_password(store: Store) {
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
