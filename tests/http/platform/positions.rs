//! Streams of positions: they tell that something has changed, and end in time.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use porttask_tests::{Engine, Store, on_both_engines, run_on, signal};
use serde_json::{Value, json};

use crate::{
    service::{ADMIN, Caller, Service},
    shared::SharedService,
};

on_both_engines!(
    a_stream_tells_when_the_organization_has_changed,
    a_stream_does_not_tell_of_other_organizations,
    a_stream_of_staff_tells_of_all_organizations,
    a_stream_that_is_resumed_tells_what_was_missed,
    a_stream_ends_with_its_session,
    streams_are_for_sessions_and_limited,
    a_stopping_service_ends_streams,
);

const PATH: &str = "/v1/events/positions";
const LIMIT: Duration = Duration::from_secs(20);

/// An open stream.
struct Stream(BufReader<TcpStream>);

/// A message: its name, and its position.
#[derive(Debug, PartialEq)]
struct Message(String, String);

impl Stream {
    fn open(service: &Service, caller: &Caller<'_>, headers: &str) -> Self {
        let mut stream = TcpStream::connect(service.address()).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let head =
            format!("GET {PATH} HTTP/1.1\r\nhost: x\r\nauthorization: {}\r\n{headers}\r\n", caller.authorization());
        stream.write_all(head.as_bytes()).unwrap();
        let mut stream = Self(BufReader::new(stream));
        let head = stream.until("");
        assert!(head.contains("HTTP/1.1 200 OK") && head.contains("content-type: text/event-stream"), "{head}");
        assert!(head.contains("cache-control: no-store"), "{head}");
        stream
    }

    /// The lines up to one.
    fn until(&mut self, last: &str) -> String {
        let mut lines = String::new();
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "the stream ended after {lines}");
            if line.trim_end() == last {
                return lines;
            }
            lines.push_str(&line);
        }
    }

    fn next(&mut self) -> Message {
        let (mut name, mut position) = (String::new(), Value::Null);
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "the stream ended");
            if let Some(text) = line.strip_prefix("event: ") {
                text.trim().clone_into(&mut name);
            } else if let Some(data) = line.strip_prefix("data: ") {
                position = serde_json::from_str::<Value>(data).unwrap()["position"].clone();
            } else if line.trim().is_empty() && position.is_string() {
                return Message(name, position.as_str().unwrap().to_owned());
            }
        }
    }

    /// Reads until the end, and returns how long that took.
    fn end(mut self) -> Duration {
        let (began, mut line) = (Instant::now(), String::new());
        // The last chunk is empty; the connection is kept.
        while self.0.read_line(&mut line).unwrap_or_default() > 0 && line.trim() != "0" {
            assert!(began.elapsed() < LIMIT, "the stream goes on: {line}");
            line.clear();
        }
        began.elapsed()
    }
}

async fn a_stream_tells_when_the_organization_has_changed(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let mut stream = Stream::open(service, bob, "");
    let Message(name, first) = stream.next();
    assert_eq!(name, "position");
    let done = bob.patch("/v1/me", &json!({"name": "Robert"})).is(200);
    let Message(name, moved) = stream.next();
    assert_eq!((name.as_str(), moved.as_str()), ("moved", done.header("porttask-position")));
    assert_ne!(first, moved);
    let shown = bob.send("GET", "/v1/me", &[("porttask-at-least", &moved), ("porttask-background", "true")], None);
    assert_eq!(shown.is(200).body["name"], "Robert");
    bob.send("GET", "/v1/me", &[("porttask-background", "1")], None).refused(422, "invalid-fields");
    // Several changes at once are one message.
    let began = Instant::now();
    for name in ["Bob", "Rob", "Bobby"] {
        bob.patch("/v1/me", &json!({"name": name})).is(200);
    }
    let last = bob.patch("/v1/me", &json!({"name": "Bob Fisher"})).is(200).header("porttask-position").to_owned();
    let mut messages = 0;
    while stream.next().1 != last {
        messages += 1;
    }
    assert!(messages <= began.elapsed().as_secs() + 1, "{messages} in {:?}", began.elapsed());
}

async fn a_stream_does_not_tell_of_other_organizations(service: &'static SharedService) {
    let (acme, other) = (service.organization().await, service.organization().await);
    let mut stream = Stream::open(service, &acme.admin, "");
    stream.next();
    let foreign = other.admin.patch("/v1/me", &json!({"name": "Robert"})).is(200);
    let foreign = foreign.header("porttask-position");
    // Positions are sealed for the organization.
    acme.admin.send("GET", "/v1/me", &[("porttask-at-least", foreign)], None).refused(422, "invalid-fields");
    // Longer than the pause between two messages.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let own = acme.admin.patch("/v1/me", &json!({"name": "Robert"})).is(200);
    assert_eq!(stream.next(), Message("moved".to_owned(), own.header("porttask-position").to_owned()));
}

async fn a_stream_of_staff_tells_of_all_organizations(service: &'static SharedService) {
    let acme = service.organization().await;
    let ana = service.ana();
    let mut stream = Stream::open(service, &ana, "");
    stream.next();
    acme.admin.patch("/v1/me", &json!({"name": "Robert"})).is(200);
    assert_eq!(stream.next().0, "moved");
}

async fn a_stream_that_is_resumed_tells_what_was_missed(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let Message(_, first) = Stream::open(service, bob, "").next();
    let header = format!("last-event-id: {first}\r\n");
    assert_eq!(Stream::open(service, bob, &header).next(), Message("position".to_owned(), first.clone()));
    bob.patch("/v1/me", &json!({"name": "Robert"})).is(200);
    let mut resumed = Stream::open(service, &acme.sign_in_admin(), &header);
    assert_eq!(resumed.next().0, "moved");
    assert_eq!(Stream::open(service, &acme.sign_in_admin(), "last-event-id: nonsense\r\n").next().0, "moved");
}

async fn a_stream_ends_with_its_session(service: &'static SharedService) {
    let acme = service.organization().await;
    let carol = acme.join("carol", "Carol Crane", "read_only");
    let mut stream = Stream::open(service, &carol, "");
    stream.next();
    carol.delete("/v1/sessions/current").is(200);
    assert!(stream.end() < Duration::from_secs(10));
}

async fn streams_are_for_sessions_and_limited(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    service.send("GET", PATH, &[], None).refused(401, "unauthenticated");
    let permissions = json!({"tickets": "read", "invoices": "none", "reports": "none", "administration": "none"});
    let key =
        bob.post("/v1/organizations/current/api-keys", &json!({"name": "sync", "permissions": permissions})).is(201);
    service.with_token(&key.body["token"]).get(PATH).refused(403, "forbidden");
    let (one, _two) = (Stream::open(service, bob, ""), Stream::open(service, bob, ""));
    let third = bob.get(PATH).refused(429, "too-many-streams");
    assert_eq!(third.header("retry-after"), "30");
    let mut other_session = Stream::open(service, &acme.sign_in_admin(), "");
    other_session.next();
    drop(one);
    // The service notices the end of a connection when it writes to it, or reads from it.
    let began = Instant::now();
    loop {
        let mut stream = TcpStream::connect(service.address()).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let head = format!("GET {PATH} HTTP/1.1\r\nhost: x\r\nauthorization: {}\r\n\r\n", bob.authorization());
        stream.write_all(head.as_bytes()).unwrap();
        let mut status = String::new();
        BufReader::new(stream).read_line(&mut status).unwrap();
        if status.contains("200") {
            break;
        }
        assert!(began.elapsed() < LIMIT, "a closed stream is still counted");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn a_stopping_service_ends_streams(store: Store) {
    let mut service = Service::start_with(&store, &[ADMIN[0], ADMIN[1], ("PORTTASK_GRACE_SECONDS", "15")]);
    let mut stream = Stream::open(&service, &service.ana(), "");
    stream.next();
    signal(service.pid(), libc::SIGTERM);
    assert!(stream.end() < Duration::from_secs(5));
    assert!(service.wait());
}

#[test]
fn all_streams_together_take_up_a_quarter_of_the_connections() {
    let variables =
        [ADMIN[0], ADMIN[1], ("PORTTASK_MAX_CONNECTIONS", "8"), ("PORTTASK_CONNECTION_SHARE_PERCENT", "100")];
    run_on(Engine::Sqlite, async |store: Store| {
        let service = Service::start_with(&store, &variables);
        let (one, two) = (service.ana(), service.ana());
        let _streams = [Stream::open(&service, &one, ""), Stream::open(&service, &two, "")];
        one.get(PATH).refused(429, "too-many-streams");
        one.get("/v1/me").is(200);
    });
}

#[test]
fn background_requests_and_streams_do_not_keep_a_session_alive() {
    let variables = [ADMIN[0], ADMIN[1], ("PORTTASK_SESSION_IDLE_SECONDS", "3")];
    run_on(Engine::Sqlite, async |store: Store| {
        let service = Service::start_with(&store, &variables);
        let ana = service.ana();
        let mut stream = Stream::open(&service, &ana, "");
        stream.next();
        let began = Instant::now();
        while ana.send("GET", "/v1/me", &[("porttask-background", "true")], None).status == 200 {
            assert!(began.elapsed() < LIMIT, "the session goes on");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        assert!(began.elapsed() >= Duration::from_secs(2));
        Stream::end(stream);
    });
}
