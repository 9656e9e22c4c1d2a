//! Rate limits: budgets that are announced, spent and refilled.

use std::time::Duration;

use porttask_tests::{Engine, Store, run_on};
use serde_json::json;

use crate::service::{ADMIN, Answer, PASSWORD, Service};

fn with_service(variables: &[(&str, &str)], test: impl FnOnce(Service)) {
    let variables = [&ADMIN[..], variables].concat();
    run_on(Engine::Sqlite, async |store: Store| test(Service::start_with(&store, &variables)));
}

/// The header by which a trusted proxy names the client.
fn from(address: &str) -> [(&str, &str); 1] {
    [("x-forwarded-for", address)]
}

fn attempt(service: &Service, headers: &[(&str, &str)]) -> Answer {
    let body = json!({"email": "ana@platform.example", "password": "wrong horse battery"});
    service.send("POST", "/v1/sessions", headers, Some(&body))
}

#[test]
fn attempts_are_limited_by_client() {
    let variables = [("PORTTASK_RATE_ATTEMPTS", "3"), ("PORTTASK_TRUSTED_PROXIES", "127.0.0.1")];
    with_service(&variables, |service| {
        let one = from("203.0.113.5");
        let first = attempt(&service, &one).is(401);
        assert_eq!(first.header("ratelimit-policy"), "\"attempts\";q=3;w=60");
        assert_eq!(first.header("ratelimit"), "\"attempts\";r=2;t=20");
        // Other public operations spend from the same budget.
        let body = json!({"token": "x", "password": PASSWORD});
        service.send("POST", "/v1/invitations/accept", &one, Some(&body)).refused(403, "link-invalid");
        let setup = json!({"token": "x", "name": "A", "email": "a@b.example", "password": PASSWORD});
        service.send("POST", "/v1/setup", &one, Some(&setup)).refused(403, "link-invalid");
        let spent = attempt(&service, &one).refused(429, "rate-limited");
        assert_eq!(spent.header("ratelimit"), format!("\"attempts\";r=0;t={}", spent.header("retry-after")));
        assert!((1..=20).contains(&spent.header("retry-after").parse::<u32>().unwrap()), "{spent:?}");
        assert!(spent.header("x-request-id").starts_with("req_"), "{spent:?}");

        // Addresses that the client prepends are ignored; a neighbouring address is another client.
        attempt(&service, &from("198.51.100.7, 203.0.113.5")).refused(429, "rate-limited");
        attempt(&service, &from("203.0.113.6")).is(401);
        // For IPv6, a client is a /64.
        for last in 1..=3 {
            attempt(&service, &from(&format!("2001:db8::{last}"))).is(401);
        }
        attempt(&service, &from("2001:db8::ffff:4")).refused(429, "rate-limited");
        attempt(&service, &from("2001:db8:0:1::1")).is(401);
    });
}

#[test]
fn successful_sign_ins_do_not_spend_the_budget_of_attempts() {
    with_service(&[("PORTTASK_RATE_ATTEMPTS", "3")], |service| {
        for _ in 0..10 {
            let signed_in = service.try_sign_in("ana@platform.example", PASSWORD).is(201);
            assert_eq!(signed_in.header("ratelimit"), "\"attempts\";r=3;t=0");
        }
        for _ in 0..3 {
            attempt(&service, &[]).is(401);
        }
        attempt(&service, &[]).refused(429, "rate-limited");
    });
}

#[test]
fn sessions_have_budgets_of_their_own() {
    with_service(&[("PORTTASK_RATE_SESSION", "20")], |service| {
        let (one, two) = (service.ana(), service.ana());
        let left: Vec<String> =
            (0..5).map(|_| one.get("/v1/sessions/current").is(200).header("ratelimit").to_owned()).collect();
        // A burst of five, and one more every three seconds.
        assert_eq!(left, [(4, 3), (3, 6), (2, 9), (1, 12), (0, 15)].map(|(r, t)| format!("\"session\";r={r};t={t}")));
        one.get("/v1/sessions/current").refused(429, "rate-limited");
        two.get("/v1/sessions/current").is(200);
        std::thread::sleep(Duration::from_millis(3_100));
        one.get("/v1/sessions/current").is(200);
    });
}

#[test]
fn unauthenticated_requests_share_a_budget_that_sessions_do_not_use() {
    with_service(&[("PORTTASK_RATE_STRANGERS", "40")], |service| {
        let ana = service.ana();
        let path = "/v1/sessions/current";
        let guess = |number: usize| {
            let authorization = format!("Bearer pts_guess{number}");
            service.send("GET", path, &[("authorization", &authorization)], None)
        };
        // A burst of ten; a few more may be refilled while they are sent.
        let spent = (0..30).find(|number| match number % 2 {
            0 => service.send("GET", path, &[], None).status == 429,
            _ => guess(*number).status == 429,
        });
        assert!(spent.is_some_and(|spent| spent >= 10), "{spent:?}");
        guess(99).refused(429, "rate-limited");
        ana.get("/v1/sessions/current").is(200);
        service.ana();
        for probe in ["/healthz", "/readyz"] {
            service.send("GET", probe, &[], None).is(200);
        }
    });
}

#[test]
fn without_limits_no_budget_is_announced() {
    with_service(&[], |service| {
        for _ in 0..30 {
            assert_eq!(attempt(&service, &[]).is(401).header("ratelimit"), "");
        }
    });
}
