//! Readiness: what it says to whom, and that the load of one organization is not that of others.

use std::{
    io::Write,
    net::TcpStream,
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use porttask_tests::{Engine, Proxy, Store, on_both_engines, run_on};
use serde_json::json;

use crate::service::{ADMIN, PASSWORD, Service};

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

/// A proxy in front of the server of a store, and the URL that leads through it.
async fn behind_a_proxy(store: &Store) -> (Proxy, String) {
    let (start, rest) = store.place().rsplit_once(':').unwrap();
    let (port, database) = rest.split_once('/').unwrap();
    let proxy = Proxy::start(port.parse().unwrap()).await;
    let place = format!("{start}:{}/{database}?sslmode=disable", proxy.port());
    (proxy, place)
}

/// The number of open connections to a port of this machine.
fn connections_to(port: u16) -> usize {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let remote = format!(":{port:04X}");
    let is_open = |line: &&str| {
        let mut fields = line.split_whitespace().skip(2);
        fields.next().is_some_and(|it| it.ends_with(&remote)) && fields.next() == Some("01")
    };
    table.lines().filter(is_open).count()
}

/// As documented in `docs/operating-the-log.md`.
const MAX_CONNECTIONS: usize = 58;

#[test]
fn a_node_holds_no_more_connections_than_documented() {
    run_on(Engine::Postgres, async |store: Store| {
        let (proxy, place) = behind_a_proxy(&store).await;
        let service = Service::start_with(&store, &[ADMIN[0], ADMIN[1], ("DATABASE_URL", &place)]);
        let ana = service.ana();
        let most = std::thread::scope(|scope| {
            for _ in 0..48 {
                scope.spawn(|| {
                    for path in ["users", "audit-log", "users?q=ana", "api-keys"] {
                        ana.get(&format!("/v1/organizations/current/{path}")).is(200);
                    }
                });
            }
            (0..40)
                .map(|_| {
                    std::thread::sleep(Duration::from_millis(50));
                    connections_to(proxy.port())
                })
                .max()
        });
        let most = most.unwrap();
        assert!((10..=MAX_CONNECTIONS).contains(&most), "{most} connections");
        println!("{most} connections under load");
    });
}

/// A node whose database was away is ready as soon as changes work again.
#[test]
fn a_node_is_ready_within_a_second_after_its_database_is_back() {
    run_on(Engine::Postgres, async |store: Store| {
        let (proxy, place) = behind_a_proxy(&store).await;
        let service = Service::start_with(&store, &[ADMIN[0], ADMIN[1], ("DATABASE_URL", &place)]);
        let status = || service.send("GET", "/readyz", &[], None).status;
        assert_eq!(status(), 200);
        proxy.close();
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        assert_eq!(status(), 503);
        tokio::time::sleep(Duration::from_secs(6)).await;
        proxy.open();
        let began = Instant::now();
        while service.try_sign_in(ADMIN[0].1, PASSWORD).status != 201 {
            assert!(began.elapsed() < Duration::from_secs(10), "changes do not work");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let works = Instant::now();
        while status() != 200 {
            assert!(
                works.elapsed() < Duration::from_millis(1_500),
                "not ready {:?} after changes work",
                works.elapsed()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
}

/// Only root may mount a small disk; for others, there is nothing to test with.
#[test]
fn a_node_whose_disk_is_full_is_not_ready() {
    let disk = tempfile::tempdir().unwrap();
    let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=24m", "tmpfs"]).arg(disk.path()).output();
    if !mount.is_ok_and(|output| output.status.success()) {
        return;
    }
    let _mounted = Mounted(disk.path().to_owned());
    let data = disk.path().join("data");
    run_on(Engine::Sqlite, async |_: Store| {
        let store = Store::at(Engine::Sqlite, data.to_str().unwrap());
        let service = Service::start(&store);
        assert_eq!(service.send("GET", "/readyz", &[], None).status, 200);
        let ballast = disk.path().join("ballast");
        // Until nothing fits any more.
        let mut file = std::fs::File::create(&ballast).unwrap();
        while file.write_all(&[1; 4_096]).is_ok() {}
        drop(file);
        let (began, mut reasons) = (Instant::now(), json!([]));
        while began.elapsed() < Duration::from_secs(20) && reasons == json!([]) {
            // Uses up what the log has reserved.
            _ = service.try_sign_in(ADMIN[0].1, PASSWORD);
            reasons = service.send("GET", "/readyz", &[], None).body["reasons"].clone();
        }
        assert!(reasons.to_string().contains("the log's storage is full"), "{reasons}");
        std::fs::remove_file(&ballast).unwrap();
        let began = Instant::now();
        while service.send("GET", "/readyz", &[], None).status != 200 {
            assert!(began.elapsed() < Duration::from_millis(1_500), "not ready although there is room");
            std::thread::sleep(Duration::from_millis(50));
        }
        service.try_sign_in(ADMIN[0].1, PASSWORD).is(201);
    });
}

/// A mounted directory, unmounted when dropped.
struct Mounted(PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        // Lazily, should anything still be open.
        _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}
