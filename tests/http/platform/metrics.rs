//! Metrics, and who can read them. Each test counts everything on its service or has other settings.

use porttask_tests::{Engine, Store, on_both_engines, run_on};

use crate::service::{Answer, PASSWORD, Service};

on_both_engines!(requests_and_state_are_counted);

fn text(answer: Answer) -> String {
    assert!(answer.header("content-type").starts_with("application/openmetrics-text; version=1.0.0"), "{answer:?}");
    answer.body.as_str().unwrap().to_owned()
}

/// The value of a series.
fn value(metrics: &str, series: &str) -> f64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {series} in\n{metrics}")).parse().unwrap()
}

async fn requests_and_state_are_counted(store: Store) {
    let service = Service::start(&store);
    let (acme, bob) = service.found(&store, "acme.example").await;
    let user = bob.session["user"].as_str().unwrap().to_owned();
    bob.get(&format!("/v1/organizations/{acme}/users/{user}")).is(200);
    bob.get(&format!("/v1/organizations/{acme}/users/usr_00000000000000000000000042")).is(404);
    service.send("GET", "/v1/secret-path", &[], None).is(404);
    service.send("OPTIONS", "/healthz", &[], None).is(405);
    let metrics = text(service.send("GET", "/metrics", &[], None).is(200));

    let count = |labels: &str| value(&metrics, &format!("porttask_http_request_duration_seconds_count{{{labels}}}"));
    let user_route = "route=\"/v1/organizations/{org}/users/{user}\"";
    assert!(count(&format!("method=\"GET\",{user_route},status=\"2xx\"")) == 1.0);
    assert!(count(&format!("method=\"GET\",{user_route},status=\"4xx\"")) == 1.0);
    assert!(count("method=\"POST\",route=\"/v1/sessions\",status=\"2xx\"") >= 2.0);
    assert!(count("method=\"GET\",route=\"/v1/{*rest}\",status=\"4xx\"") == 1.0);
    assert!(count("method=\"other\",route=\"/healthz\",status=\"4xx\"") == 1.0);
    assert!(value(&metrics, "porttask_http_requests_in_flight") == 1.0);
    assert!(value(&metrics, "porttask_http_connections") >= 1.0);
    assert!(value(&metrics, "porttask_log_head_offset{partition=\"0\"}") >= 3.0);
    assert!(value(&metrics, "porttask_log_damaged_events") == 0.0);
    assert!(value(&metrics, "porttask_clock_jumps_total") == 0.0);
    assert!(value(&metrics, "porttask_log_ahead_of_clock_seconds") == 0.0);
    assert!(value(&metrics, "porttask_view_offset{view=\"users\",partition=\"0\"}") >= 3.0);
    assert!(value(&metrics, "porttask_view_failed{view=\"users\",partition=\"0\"}") == 0.0);
    assert!(value(&metrics, "porttask_view_events_behind{view=\"users\",partition=\"0\"}") >= 0.0);
    assert!(value(&metrics, "porttask_passwords_at_work") == 0.0);
    assert!(value(&metrics, "porttask_passwords_refused_total") == 0.0);
    assert!(value(&metrics, "process_resident_memory_bytes") > 1_000_000.0);
    assert!(value(&metrics, "process_start_time_seconds") > 1_600_000_000.0);
    assert!(metrics.contains("porttask_build_info{version=\"") && metrics.ends_with("# EOF\n"), "{metrics}");
    for private in [&acme, &user, "secret-path", "acme.example"] {
        assert!(!metrics.contains(private), "{private} is in\n{metrics}");
    }
}

#[test]
fn metrics_are_hidden_from_remote_clients() {
    run_on(Engine::Sqlite, async |store: Store| {
        let service = Service::start(&store);
        let nothing = service.send("GET", "/v1/nothing", &[], None).refused(404, "resource-not-found");
        for header in ["x-forwarded-for", "forwarded", "x-real-ip", "via"] {
            let hidden = service.send("GET", "/metrics", &[(header, "127.0.0.1")], None);
            assert_eq!((hidden.status, &hidden.body), (404, &nothing.body), "{header}");
        }
        let proxied = [("PORTTASK_TRUSTED_PROXIES", "127.0.0.1")];
        let behind = Service::start_with(&store, &proxied);
        for client in ["203.0.113.5", "127.0.0.1", "nonsense"] {
            behind.send("GET", "/metrics", &[("x-forwarded-for", client)], None).refused(404, "resource-not-found");
        }
    });
}

#[test]
fn a_token_gives_remote_access_and_becomes_required() {
    run_on(Engine::Sqlite, async |store: Store| {
        let service = Service::start_with(&store, &[("PORTTASK_METRICS_TOKEN", "open sesame")]);
        service.send("GET", "/metrics", &[], None).refused(404, "resource-not-found");
        service.send("GET", "/metrics", &[("authorization", "Bearer open")], None).refused(404, "resource-not-found");
        let shown = [("authorization", "Bearer open sesame"), ("x-forwarded-for", "203.0.113.5")];
        let metrics = text(service.send("GET", "/metrics", &shown, None).is(200));
        assert!(!metrics.contains("sesame") && !metrics.contains(PASSWORD));
    });
}
