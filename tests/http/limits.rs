//! How many requests whom: budgets that are told, spent and refilled.

use std::time::Duration;

use porttask_tests::{Engine, Store, run_on};
use serde_json::json;

use super::service::{Answer, PASSWORD, Service};

const ADMIN: [(&str, &str); 2] =
    [("PORTTASK_ADMIN_EMAIL", "ana@platform.example"), ("PORTTASK_ADMIN_PASSWORD", PASSWORD)];

fn with_service(variables: &[(&str, &str)], test: impl FnOnce(Service)) {
    let variables = [&ADMIN[..], variables].concat();
    run_on(Engine::Sqlite, async |store: Store| test(Service::start_with(&store, &variables)));
}

/// Whom a trusted proxy names as the client.
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
        // Other doors spend of the same budget.
        let body = json!({"token": "x", "password": PASSWORD});
        service.send("POST", "/v1/invitations/accept", &one, Some(&body)).refused(403, "link-invalid");
        let setup = json!({"token": "x", "name": "A", "email": "a@b.example", "password": PASSWORD});
        service.send("POST", "/v1/setup", &one, Some(&setup)).refused(403, "link-invalid");
        let spent = attempt(&service, &one).refused(429, "rate-limited");
        assert_eq!(spent.header("ratelimit"), format!("\"attempts\";r=0;t={}", spent.header("retry-after")));
        assert!((1..=20).contains(&spent.header("retry-after").parse::<u32>().unwrap()), "{spent:?}");
        assert!(spent.header("x-request-id").starts_with("req_"), "{spent:?}");

        // What the client writes before its address does not make it another one; a neighbour is another one.
        attempt(&service, &from("198.51.100.7, 203.0.113.5")).refused(429, "rate-limited");
        attempt(&service, &from("203.0.113.6")).is(401);
        // Of IPv6, everybody has 64 bits to choose from.
        for last in 1..=3 {
            attempt(&service, &from(&format!("2001:db8::{last}"))).is(401);
        }
        attempt(&service, &from("2001:db8::ffff:4")).refused(429, "rate-limited");
        attempt(&service, &from("2001:db8:0:1::1")).is(401);
    });
}

#[test]
fn sessions_have_budgets_of_their_own() {
    with_service(&[("PORTTASK_RATE_SESSION", "8")], |service| {
        let (one, two) = (service.ana(), service.ana());
        let left: Vec<String> =
            (0..2).map(|_| one.get("/v1/sessions/current").is(200).header("ratelimit").to_owned()).collect();
        assert_eq!(left, ["\"session\";r=1;t=8", "\"session\";r=0;t=15"]);
        one.get("/v1/sessions/current").refused(429, "rate-limited");
        two.get("/v1/sessions/current").is(200);
        std::thread::sleep(Duration::from_millis(7_600));
        one.get("/v1/sessions/current").is(200);
    });
}

#[test]
fn strangers_share_the_budget_of_their_network_and_members_do_not_suffer() {
    with_service(&[("PORTTASK_RATE_STRANGERS", "40")], |service| {
        let ana = service.ana();
        let path = "/v1/sessions/current";
        let guess = |number: usize| {
            let authorization = format!("Bearer pts_guess{number}");
            service.send("GET", path, &[("authorization", &authorization)], None)
        };
        // Ten at once; while they are sent, a few more may be earned.
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
fn without_limits_nothing_is_told() {
    with_service(&[], |service| {
        for _ in 0..30 {
            assert_eq!(attempt(&service, &[]).is(401).header("ratelimit"), "");
        }
    });
}
