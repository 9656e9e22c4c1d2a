//! Readiness: what it says to whom, and that the load of one organization is not that of others.

use std::{io::Write, net::TcpStream, time::Duration};

use porttask_tests::{Store, on_both_engines};
use serde_json::json;

use crate::service::{ADMIN, Service};

on_both_engines!(
    strangers_learn_from_readiness_only_whether_the_node_is_ready,
    slow_uploads_of_an_organization_hold_up_no_other,
);

async fn strangers_learn_from_readiness_only_whether_the_node_is_ready(store: Store) {
    let proxied = [ADMIN[0], ADMIN[1], ("PORTTASK_TRUSTED_PROXIES", "127.0.0.1"), ("PORTTASK_METRICS_TOKEN", "secret")];
    let service = Service::start_with(&store, &proxied);
    let forwarded = [("x-forwarded-for", "203.0.113.7")];
    for headers in [&[][..], &forwarded] {
        let seen = service.send("GET", "/readyz", headers, None).is(200);
        assert_eq!(seen.body, json!({"ready": true}));
    }
    let seen = service.send("GET", "/readyz", &[("authorization", "Bearer secret")], None).is(200);
    assert!(seen.body["views"].as_array().is_some_and(|views| !views.is_empty()), "{seen:?}");
    let local = Service::start(&store).send("GET", "/readyz", &[], None).is(200);
    assert_eq!(local.body["reasons"], json!([]));
}

async fn slow_uploads_of_an_organization_hold_up_no_other(store: Store) {
    let service = Service::start(&store);
    let (_, bob) = service.found(&store, "acme.example").await;
    let (_, cleo) = service.found(&store, "other.example").await;
    let mut slow: Vec<TcpStream> = Vec::new();
    for _ in 0..4 {
        let mut stream = TcpStream::connect(service.address()).unwrap();
        let head = format!(
            "POST /v1/organizations/current/users/import HTTP/1.1\r\nhost: x\r\nauthorization: {}\r\n\
             content-type: text/csv\r\ncontent-length: 1000000\r\n\r\nname,email\n",
            bob.authorization()
        );
        stream.write_all(head.as_bytes()).unwrap();
        slow.push(stream);
    }
    std::thread::sleep(Duration::from_millis(500));
    let (path, file) = ("/v1/organizations/current/users/import?dry_run=true", "name,email\nA,a@b.example\n");
    cleo.upload(path, &[], file).is(202);
    bob.upload(path, &[], file).refused(503, "overloaded");
}
