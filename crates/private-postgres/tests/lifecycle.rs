//! The life cycle of a server, including crashes.

#![allow(clippy::disallowed_methods, reason = "tasks and threads end with their test")]
#![allow(clippy::unwrap_used, reason = "clippy.toml allows it in test functions, but not in their helpers")]

use private_postgres::{Error, Options, PrivatePostgres};
use std::collections::HashSet;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::{Command, Output};
use std::time::{Duration, Instant};
use std::{fs, thread};

fn psql(url: &str, sql: &str) -> Output {
    Command::new("psql").args(["-X", "-A", "-t", "-w", "-d", url, "-c", sql]).current_dir("/").output().unwrap()
}

fn answer(url: &str, sql: &str) -> String {
    let output = psql(url, sql);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

#[test]
fn a_server_answers_through_socket_and_port() {
    let server = PrivatePostgres::start().unwrap();
    assert_eq!(server.psql("postgres", "select 1").unwrap(), "1");
    assert_eq!(server.psql("postgres", "values (1, 'a'), (2, '')").unwrap(), "1|a\n2|");
    server.create_database("with \"quotes\" ü").unwrap();
    assert_eq!(answer(&server.url("with \"quotes\" ü"), "select current_database()"), "with \"quotes\" ü");
    assert!(server.socket_directory().join(format!(".s.PGSQL.{}", server.port())).exists());
    assert_eq!(fs::metadata(server.socket_directory()).unwrap().mode() & 0o777, 0o700);
}

#[test]
fn commits_are_durable_and_text_is_utf8() {
    let server = PrivatePostgres::start().unwrap();
    for (setting, value) in [
        ("fsync", "on"),
        ("synchronous_commit", "on"),
        ("full_page_writes", "on"),
        ("listen_addresses", "127.0.0.1"),
        ("shared_buffers", "256MB"),
        ("max_wal_size", "4GB"),
        ("max_connections", "400"),
        ("server_encoding", "UTF8"),
    ] {
        assert_eq!(server.psql("postgres", &format!("show {setting}")).unwrap(), value, "{setting}");
    }
}

#[test]
fn committed_data_survives_crashes() {
    let mut server = PrivatePostgres::start().unwrap();
    let port = server.port();
    server.psql("postgres", "create table kept (number int)").unwrap();
    for round in 1..=3 {
        server.psql("postgres", &format!("insert into kept values ({round})")).unwrap();
        server.kill().unwrap();
        assert!(server.psql("postgres", "select 1").is_err());
        assert!(!server.data_directory().join("postmaster.pid").exists());
        server.start_again().unwrap();
        assert_eq!(server.psql("postgres", "select count(*) from kept").unwrap(), round.to_string());
    }
    server.stop_immediate().unwrap();
    server.stop_immediate().unwrap();
    server.kill().unwrap();
    server.start_again().unwrap();
    server.start_again().unwrap();
    assert_eq!(server.psql("postgres", "select sum(number) from kept").unwrap(), "6");
    assert_eq!(server.port(), port);
}

#[test]
fn a_kill_ends_busy_connections_too() {
    let mut server = PrivatePostgres::start().unwrap();
    let url = server.url("postgres");
    server.psql("postgres", "create table filled (number int)").unwrap();
    let clients: Vec<_> = (0..8)
        .map(|_| {
            let url = url.clone();
            thread::spawn(move || psql(&url, "insert into filled select generate_series(1, 100000000)"))
        })
        .collect();
    let busy = "select count(*) from pg_stat_activity where state = 'active' and query like 'insert%'";
    let deadline = Instant::now() + Duration::from_secs(30);
    while server.psql("postgres", busy).unwrap() != "8" {
        assert!(Instant::now() < deadline, "the clients did not connect");
    }
    server.kill().unwrap();
    for client in clients {
        assert!(!client.join().unwrap().status.success());
    }
    server.start_again().unwrap();
    assert_eq!(server.psql("postgres", "select count(*) from filled").unwrap(), "0");
}

#[test]
fn a_server_that_something_else_killed_starts_again() {
    let mut server = PrivatePostgres::start().unwrap();
    let lock = fs::read_to_string(server.data_directory().join("postmaster.pid")).unwrap();
    let killed = Command::new("kill").args(["-KILL", lock.lines().next().unwrap()]).status().unwrap();
    assert!(killed.success());
    while server.psql("postgres", "select 1").is_ok() {}
    server.start_again().unwrap();
    assert_eq!(server.psql("postgres", "select 1").unwrap(), "1");
}

#[test]
fn nothing_remains_after_a_drop() {
    for crash in [false, true] {
        // For root, another account has to enter it.
        let elsewhere = directory(0o755);
        let options = Options { data_directory: Some(elsewhere.path().into()), ..Options::default() };
        let mut server = PrivatePostgres::with(options).unwrap();
        let home = server.socket_directory().to_owned();
        assert!(home.exists() && server.data_directory().starts_with(elsewhere.path()));
        if crash {
            server.kill().unwrap();
        }
        let url = server.url("postgres");
        drop(server);
        assert!(!home.exists());
        assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
        assert!(!psql(&url, "select 1").status.success());
    }
}

#[test]
fn nothing_remains_after_a_panic() {
    let (sender, receiver) = std::sync::mpsc::channel();
    let test = thread::spawn(move || {
        let server = PrivatePostgres::start().unwrap();
        sender.send(server.socket_directory().to_owned()).unwrap();
        panic!("this panic is a part of the test");
    });
    assert!(test.join().is_err());
    assert!(!receiver.recv().unwrap().exists());
}

#[test]
fn a_server_outlives_the_thread_that_started_it() {
    let server = thread::spawn(PrivatePostgres::start).join().unwrap().unwrap();
    assert_eq!(server.psql("postgres", "select 1").unwrap(), "1");
}

#[test]
fn settings_are_taken_and_a_wrong_one_is_reported_from_the_log() {
    let with = |name: &str, value: &str| {
        let settings = vec![(name.to_owned(), value.to_owned())];
        PrivatePostgres::with(Options { settings, ..Options::default() })
    };
    let server = with("max_connections", "33").unwrap();
    assert_eq!(server.psql("postgres", "show max_connections").unwrap(), "33");
    let error = with("max_conections", "33").err().unwrap();
    assert!(matches!(error, Error::NotRunning { .. }));
    assert!(error.to_string().contains("max_conections"), "{error}");
}

#[test]
fn a_directory_that_cannot_be_entered_is_named() {
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    let closed = directory(0o700);
    let options = Options { data_directory: Some(closed.path().into()), ..Options::default() };
    match PrivatePostgres::with(options) {
        Err(error) => assert!(is_root && error.to_string().contains(closed.path().to_str().unwrap()), "{error}"),
        Ok(_) => assert!(!is_root),
    }
}

#[test]
fn a_password_is_asked_for_at_the_port_only() {
    let password = "pass w/rd:@'%".to_owned();
    let server = PrivatePostgres::with(Options { password: Some(password), ..Options::default() }).unwrap();
    assert_eq!(answer(&server.url("postgres"), "select 1"), "1");
    assert_eq!(server.psql("postgres", "select 1").unwrap(), "1");
    let without = format!("postgres://postgres@127.0.0.1:{}/postgres", server.port());
    assert!(!psql(&without, "select 1").status.success());
    assert!(!server.socket_directory().join("password").exists());
}

#[test]
fn a_certificate_turns_tls_on() {
    let directory = tempfile::tempdir().unwrap();
    let [certificate, key] = ["certificate", "key"].map(|name| directory.path().join(name));
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "2"]);
    assert!(openssl.arg("-out").arg(&certificate).arg("-keyout").arg(&key).output().unwrap().status.success());
    let tls = Some([certificate, key].map(|path| fs::read_to_string(path).unwrap()).into());
    let server = PrivatePostgres::with(Options { tls, ..Options::default() }).unwrap();
    let in_use = "select ssl from pg_stat_ssl where pid = pg_backend_pid()";
    assert_eq!(answer(&format!("{}?sslmode=require", server.url("postgres")), in_use), "t");
    assert_eq!(answer(&format!("{}?sslmode=disable", server.url("postgres")), in_use), "f");
}

#[test]
fn many_threads_share_one_server_and_no_database() {
    let threads: Vec<_> = (0..8)
        .map(|_| {
            thread::spawn(|| {
                let url = PrivatePostgres::shared().fresh_database();
                answer(&url, "create table mine (); select count(*) from mine");
                (PrivatePostgres::shared().port(), url)
            })
        })
        .collect();
    let (ports, urls): (HashSet<_>, HashSet<_>) = threads.into_iter().map(|thread| thread.join().unwrap()).unzip();
    assert_eq!((ports.len(), urls.len()), (1, 8));
}

fn directory(mode: u32) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(mode)).unwrap();
    directory
}
