//! What a service that is killed while it charges leaves: the request is repeated, and charged once.

use std::{io::Write, net::TcpStream, thread::sleep, time::Duration};

use porttask_infra::payments::PaymentSimulator;
use porttask_tests::{Node, Store, on_both_engines, signal};
use serde_json::json;

use super::payment::{add, complete};
use crate::service::{ADMIN, Service};

on_both_engines!(
    ; waiting:
    a_change_that_a_kill_interrupts_is_charged_once,
);

async fn a_change_that_a_kill_interrupts_is_charged_once(store: Store) {
    let settings = [&ADMIN[..], &[("PORTTASK_NODE_NAME", "one")]].concat();
    let mut service = Service::start_with(&store, &settings);
    let plans = service.ana().get("/v1/platform/billing/plans?limit=200").is(200).body;
    let starter = plans["items"].as_array().unwrap().iter().find(|it| it["code"] == "starter").unwrap()["id"].clone();
    let body = json!({"to": {"plan": starter, "interval": "month", "seats": 0}});
    let delays = [0, 4, 8, 12, 20, 40];
    for (number, delay) in delays.into_iter().enumerate() {
        let domain = format!("acme-{number}.example");
        let (acme, bob) = service.found(&store, &domain).await;
        let path = format!("/v1/organizations/{acme}/billing/subscription");
        service.ana().post(&format!("{path}/end"), &json!({})).is(200);
        complete(&service.ana(), &bob);
        add(&bob, if number % 2 == 0 { "sim_ok" } else { "sim_timeout_after" });
        let text = body.to_string();
        let head = format!(
            "POST {path}/change HTTP/1.1\r\nhost: x\r\nauthorization: {}\r\nidempotency-key: up\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{text}",
            bob.authorization(),
            text.len()
        );
        let mut stream = TcpStream::connect(service.address()).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        sleep(Duration::from_millis(delay));
        signal(service.pid(), libc::SIGKILL);
        assert!(!service.wait());
        service = Service::start_with(&store, &settings);
        let bob = service.sign_in(&format!("bob@{domain}"));
        let key = [("idempotency-key", "up")];
        // One whose answer is lost is looked up by the next request.
        for _ in 0..2 {
            let answer = bob.send("POST", &format!("{path}/change"), &key, Some(&body));
            assert!([200, 202].contains(&answer.status), "{answer:?}");
        }
        assert_eq!(bob.get(&path).is(200).body["status"], "active", "killed after {delay} ms");
    }
    drop(service);
    let node = Node::on(&store).await;
    let books = PaymentSimulator::new(node.log).books().await.unwrap();
    assert_eq!(books.len(), delays.len(), "{books:?}");
    assert!(books.iter().all(|it| it.state == "succeeded" && it.amount == 4_900), "{books:?}");
}
