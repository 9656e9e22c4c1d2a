//! Connection limits: slow, silent and excess connections are closed while others are served.

use porttask_tests::{Engine, Store, run_on, signal};
use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use crate::service::Service;

const HEALTH: &[u8] = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";

fn connect(service: &Service) -> TcpStream {
    let stream = TcpStream::connect(service.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

/// Everything until the service closes the connection, and after how long.
fn until_end(stream: &mut TcpStream) -> (String, Duration) {
    let (mut bytes, began) = (Vec::new(), Instant::now());
    // A reset also ends the connection.
    _ = stream.read_to_end(&mut bytes);
    (String::from_utf8_lossy(&bytes).into_owned(), began.elapsed())
}

/// Reads an answer whose body is `ok`.
fn read_health(stream: &mut TcpStream) {
    let (mut answer, mut byte) = (Vec::new(), [0]);
    while !answer.ends_with(b"\r\n\r\nok\n") {
        assert_eq!(stream.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&answer));
        answer.push(byte[0]);
    }
}

fn with_service(variables: &[(&str, &str)], test: impl FnOnce(Service)) {
    run_on(Engine::Sqlite, async |store: Store| test(Service::start_with(&store, variables)));
}

#[test]
fn slow_heads_are_cut_off_while_others_are_served() {
    with_service(&[("PORTTASK_HEAD_TIMEOUT_SECONDS", "2")], |service| {
        let mut slow: Vec<TcpStream> = (0..50).map(|_| connect(&service)).collect();
        let began = Instant::now();
        for stream in &mut slow {
            stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n").unwrap();
        }
        // Slowloris: one more header every half a second does not extend the timeout.
        let mut is_open = true;
        while is_open && began.elapsed() < Duration::from_secs(10) {
            std::thread::sleep(Duration::from_millis(500));
            service.send("GET", "/healthz", &[], None).is(200);
            is_open = slow.iter_mut().all(|stream| stream.write_all(b"x-a: b\r\n").is_ok());
        }
        assert!(!is_open && began.elapsed() >= Duration::from_secs(2), "cut off after {:?}", began.elapsed());
        for mut stream in slow {
            assert!(until_end(&mut stream).1 < Duration::from_secs(3));
        }
    });
}

#[test]
fn silent_connections_end_before_kept_ones() {
    with_service(&[("PORTTASK_HEAD_TIMEOUT_SECONDS", "1"), ("PORTTASK_IDLE_TIMEOUT_SECONDS", "4")], |service| {
        let mut silent = connect(&service);
        let (_, lasted) = until_end(&mut silent);
        assert!(lasted < Duration::from_secs(3), "a new connection without a request: {lasted:?}");

        let mut kept = connect(&service);
        for pause in [2, 0, 2] {
            kept.write_all(HEALTH).unwrap();
            read_health(&mut kept);
            std::thread::sleep(Duration::from_secs(pause));
        }
        let (_, lasted) = until_end(&mut kept);
        assert!(lasted < Duration::from_secs(4), "{lasted:?}");

        // A kept connection has the same timeout for its next head.
        let mut slow = connect(&service);
        slow.write_all(HEALTH).unwrap();
        read_health(&mut slow);
        slow.write_all(b"GET /healthz HTTP/1.1\r\n").unwrap();
        let (_, lasted) = until_end(&mut slow);
        assert!(lasted < Duration::from_secs(3), "{lasted:?}");
    });
}

#[test]
fn slow_bodies_are_answered_with_a_problem() {
    with_service(&[("PORTTASK_REQUEST_TIMEOUT_SECONDS", "2")], |service| {
        let mut stream = connect(&service);
        let head =
            b"POST /v1/sessions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n";
        stream.write_all(head).unwrap();
        stream.write_all(b"{\"email\":").unwrap();
        let (answer, lasted) = until_end(&mut stream);
        assert!(
            answer.starts_with("HTTP/1.1 408 ") && answer.contains("urn:porttask:problem:body-timeout"),
            "{answer}"
        );
        assert!(lasted < Duration::from_secs(5), "{lasted:?}");
    });
}

#[test]
fn the_size_of_heads_is_limited() {
    with_service(&[], |service| {
        for header in [format!("x-large: {}\r\n", "x".repeat(40_000)), "x-many: 1\r\n".repeat(200)] {
            let mut stream = connect(&service);
            _ = stream.write_all(format!("GET /healthz HTTP/1.1\r\nhost: x\r\n{header}\r\n").as_bytes());
            let (answer, _) = until_end(&mut stream);
            assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
        }
    });
}

#[test]
fn a_connection_beyond_the_limit_waits() {
    with_service(
        &[
            ("PORTTASK_MAX_CONNECTIONS", "3"),
            ("PORTTASK_CONNECTION_SHARE_PERCENT", "100"),
            ("PORTTASK_HEAD_TIMEOUT_SECONDS", "3"),
        ],
        |service| {
            let mut held: Vec<TcpStream> = (0..3).map(|_| connect(&service)).collect();
            let mut waiting = connect(&service);
            waiting.write_all(HEALTH).unwrap();
            waiting.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
            assert!(waiting.read(&mut [0]).is_err(), "it was answered beyond the limit");
            held.pop();
            waiting.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
            read_health(&mut waiting);
        },
    );
}

#[test]
fn one_address_holds_its_share_of_the_connections_at_most() {
    let share = [("PORTTASK_MAX_CONNECTIONS", "8"), ("PORTTASK_CONNECTION_SHARE_PERCENT", "25")];
    with_service(&share, |service| {
        let mut held: Vec<TcpStream> = (0..2).map(|_| connect(&service)).collect();
        for stream in &mut held {
            stream.write_all(HEALTH).unwrap();
            read_health(stream);
        }
        let mut excess = connect(&service);
        _ = excess.write_all(HEALTH);
        assert_eq!(until_end(&mut excess).0, "", "a third connection is closed");
        drop(held);
        std::thread::sleep(Duration::from_millis(200));
        let mut next = connect(&service);
        next.write_all(HEALTH).unwrap();
        read_health(&mut next);
    });
    let exempt = [share[0], share[1], ("PORTTASK_TRUSTED_PROXIES", "127.0.0.1")];
    with_service(&exempt, |service| {
        let mut held: Vec<TcpStream> = (0..6).map(|_| connect(&service)).collect();
        for stream in &mut held {
            stream.write_all(HEALTH).unwrap();
            read_health(stream);
        }
    });
}

#[test]
fn a_request_needs_exactly_one_host() {
    with_service(&[], |service| {
        for (head, status) in [
            ("GET /healthz HTTP/1.1\r\n", 400),
            ("GET /healthz HTTP/1.1\r\nhost: a\r\nhost: b\r\n", 400),
            ("GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n", 200),
            ("GET /healthz HTTP/1.0\r\n", 200),
        ] {
            let mut stream = connect(&service);
            stream.write_all(format!("{head}\r\n").as_bytes()).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
            let (answer, _) = until_end(&mut stream);
            assert!(answer.split(' ').nth(1) == Some(&status.to_string()), "{head}: {answer}");
        }
    });
}

/// A response before the body was read: the connection is kept if the rest is short, or closed and announced.
#[test]
fn an_early_response_keeps_the_connection_or_announces_its_end() {
    with_service(&[], |service| {
        let head = "POST /v1/me/password HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
        let mut short = connect(&service);
        short.write_all(format!("{head}content-length: 10\r\n\r\n0123456789").as_bytes()).unwrap();
        short.write_all(HEALTH).unwrap();
        let mut answers = Vec::new();
        let mut byte = [0];
        while !answers.ends_with(b"\r\n\r\nok\n") {
            assert_eq!(short.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&answers));
            answers.push(byte[0]);
        }
        let answers = String::from_utf8(answers).unwrap();
        assert!(answers.starts_with("HTTP/1.1 401 ") && !answers.contains("connection: close"), "{answers}");
        for length in [1_000_000, 10] {
            let mut stalled = connect(&service);
            stalled.write_all(format!("{head}content-length: {length}\r\n\r\n0").as_bytes()).unwrap();
            let (answer, _) = until_end(&mut stalled);
            assert!(answer.starts_with("HTTP/1.1 401 ") && answer.contains("connection: close"), "{answer}");
        }
    });
}

#[test]
fn a_stopping_service_closes_kept_connections_and_finishes_requests() {
    with_service(&[], |mut service| {
        let (mut kept, mut busy) = (connect(&service), connect(&service));
        kept.write_all(HEALTH).unwrap();
        read_health(&mut kept);
        busy.write_all(
            b"POST /v1/sessions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n",
        )
        .unwrap();
        std::thread::sleep(Duration::from_millis(300));
        signal(service.pid(), libc::SIGTERM);
        assert!(until_end(&mut kept).1 < Duration::from_secs(2));
        busy.write_all(b"{}").unwrap();
        let (answer, _) = until_end(&mut busy);
        assert!(answer.starts_with("HTTP/1.1 422 "), "{answer}");
        assert!(service.wait(), "stopped with an error");
    });
}
