//! `porttask views`, `guards` and `keys`: looking after what is derived from the log, and after its keys.

use porttask_projections::models;
use porttask_tests::{Engine, MASTER_KEY, Node, Store, on_both_engines, run_sql, users_table, work};
use std::{
    fs,
    io::{BufRead, BufReader, Read},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::Output,
};

use super::{complaint, porttask, said};

on_both_engines!(
    views_are_rebuilt_verified_and_listed,
    a_view_that_was_changed_is_found_and_repaired,
    a_view_that_is_behind_is_said_so,
    guards_are_verified_and_mended,
    another_master_key_is_refused,
    keys_are_rotated,
);

fn run(store: &Store, arguments: &[&str], key: &str) -> Output {
    porttask(store, arguments).env("PORTTASK_MASTER_KEY", key).output().unwrap()
}

fn succeed(store: &Store, arguments: &[&str]) -> String {
    said(&run(store, arguments, MASTER_KEY))
}

async fn views_are_rebuilt_verified_and_listed(store: Store) {
    work(&Node::on(&store).await, 40).await;
    let before = succeed(&store, &["views", "list", "--json"]);
    assert!(before.contains("\"offset\":0"), "nobody has folded yet: {before}");
    let rebuilt = succeed(&store, &["views", "rebuild"]);
    assert_eq!(rebuilt.lines().filter(|line| line.ends_with("rebuilt")).count(), models().len(), "{rebuilt}");
    let verified = succeed(&store, &["views", "verify"]);
    assert_eq!(verified.lines().filter(|line| line.ends_with(" OK")).count(), models().len(), "{verified}");
    let after = succeed(&store, &["views", "list"]);
    assert!(after.contains("users") && after.lines().all(|line| line.ends_with(" 0 behind")), "{after}");
    let unknown = run(&store, &["views", "rebuild", "nothing"], MASTER_KEY);
    assert!(!unknown.status.success() && complaint(&unknown).contains("no read model nothing"));
}

async fn a_view_that_was_changed_is_found_and_repaired(store: Store) {
    work(&Node::on(&store).await, 40).await;
    succeed(&store, &["views", "rebuild", "users"]);
    run_sql(&store, &format!("UPDATE views.{} SET status = 'active', version = 99", users_table(2))).await;
    let found = run(&store, &["views", "verify", "users", "--json"], MASTER_KEY);
    assert!(!found.status.success() && complaint(&found).contains("porttask views rebuild"), "{}", complaint(&found));
    assert!(String::from_utf8_lossy(&found.stdout).contains("differ from a rebuild"));
    succeed(&store, &["views", "rebuild", "users"]);
    succeed(&store, &["views", "verify", "users"]);
}

async fn a_view_that_is_behind_is_said_so(store: Store) {
    let node = Node::on(&store).await;
    let acme = node.acme().await;
    succeed(&store, &["views", "rebuild"]);
    assert!(!succeed(&store, &["views", "verify", "--caught-up"]).contains("behind"));
    node.joined(&acme, "bob@acme.example", porttask_domain::identity::Role::Agent).await;
    assert!(succeed(&store, &["views", "verify", "users"]).contains("OK, but 2 events behind the log"));
    assert!(succeed(&store, &["views", "verify", "users", "--json"]).contains("\"behind\":2"));
    let late = run(&store, &["views", "verify", "users", "--caught-up"], MASTER_KEY);
    assert_eq!(late.status.code(), Some(1), "{}", complaint(&late));
    assert!(complaint(&late).contains("behind the log: users"), "{}", complaint(&late));
}

async fn guards_are_verified_and_mended(store: Store) {
    Node::on(&store).await.acme().await;
    assert!(succeed(&store, &["constraints", "verify"]).contains("OK"));
    run_sql(&store, "UPDATE log.counters SET value = 5 WHERE name = 'active_admins'").await;
    let found = run(&store, &["constraints", "verify"], MASTER_KEY);
    assert!(!found.status.success() && complaint(&found).contains("porttask constraints rebuild"));
    assert!(String::from_utf8_lossy(&found.stdout).contains("active_admins: stored 5, expected 1"));
    assert!(succeed(&store, &["constraints", "rebuild"]).contains("1 repaired"));
    succeed(&store, &["constraints", "verify", "--json"]);
}

/// 32 times the letter `b`.
const OTHER_KEY: &str = "YmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmI=";

async fn another_master_key_is_refused(store: Store) {
    Node::on(&store).await.acme().await;
    let other = run(&store, &["constraints", "verify"], OTHER_KEY);
    assert!(!other.status.success() && complaint(&other).contains("PORTTASK_MASTER_KEY"), "{}", complaint(&other));
    let broken = run(&store, &["constraints", "verify"], "c2VjcmV0");
    assert!(complaint(&broken).contains("32 bytes in base64") && !complaint(&broken).contains("c2VjcmV0"));
    let without = porttask(&store, &["constraints", "verify"]).output().unwrap();
    assert!(
        !without.status.success() && complaint(&without).contains("PORTTASK_MASTER_KEY"),
        "{}",
        complaint(&without)
    );
    // A key that was made in vain does not stay.
    assert!(!Path::new(store.place()).join("master.key").exists());
    assert!(!Path::new(store.place()).join("master.key.new").exists());
}

async fn keys_are_rotated(store: Store) {
    Node::on(&store).await.acme().await;
    let both = format!("{OTHER_KEY} {MASTER_KEY}");
    let rotated = said(&run(&store, &["keys", "rotate"], &both));
    assert!(rotated.contains("2 of people, 1 of the service"), "{rotated}");
    assert!(said(&run(&store, &["keys", "rotate", "--json"], &both)).contains("\"people\":0"));
    said(&run(&store, &["views", "rebuild"], OTHER_KEY));
    assert!(!run(&store, &["views", "rebuild"], MASTER_KEY).status.success());
}

#[test]
fn damaged_views_are_set_aside_and_rebuilt() {
    porttask_tests::run_on(Engine::Sqlite, async |store: Store| {
        work(&Node::on(&store).await, 40).await;
        succeed(&store, &["views", "rebuild"]);
        let file = store.file().with_file_name("views.db");
        let intact = fs::read(&file).unwrap();
        // Nonsense from the start, from the second page on, and in a table that is not at the start of the file.
        for from in [0, 8_192, intact.len() / 2] {
            let mut bytes = intact.clone();
            bytes[from..].fill(b'?');
            for part in ["views.db-wal", "views.db-shm"] {
                _ = fs::remove_file(file.with_file_name(part));
            }
            fs::write(&file, &bytes).unwrap();
            let rebuilt = run(&store, &["views", "rebuild"], MASTER_KEY);
            said(&rebuilt);
            let complaint = complaint(&rebuilt);
            assert!(
                complaint.contains("set aside as") && complaint.contains("views.db.damaged-"),
                "{from}: {complaint}"
            );
            succeed(&store, &["views", "verify", "--caught-up"]);
        }
        let kept = fs::read_dir(store.place()).unwrap().map(|file| file.unwrap().file_name());
        assert!(kept.filter(|name| name.to_str().unwrap().starts_with("views.db.damaged-")).count() > 0);
    });
}

#[test]
fn the_file_with_the_master_key_is_rewritten_by_a_rotation() {
    porttask_tests::run_on(Engine::Sqlite, async |store: Store| {
        let run = |arguments: &[&str]| porttask(&store, arguments).output().unwrap();
        said(&run(&["init"]));
        let file = Path::new(store.place()).join("master.key");
        let old = fs::read_to_string(&file).unwrap();
        let mut node = porttask(&store, &["serve", "--listen", "127.0.0.1:0"])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut notices = BufReader::new(node.stderr.take().unwrap());
        let mut line = String::new();
        while !line.starts_with("Listening") {
            line.clear();
            assert!(notices.read_line(&mut line).unwrap() > 0, "the service did not start");
        }

        fs::write(&file, format!("{OTHER_KEY}\n{old}")).unwrap();
        let rotated = run(&["keys", "rotate"]);
        assert!(said(&rotated).contains("Rewrote") && complaint(&rotated).contains("Running nodes"));
        assert_eq!(fs::read_to_string(&file).unwrap(), format!("{OTHER_KEY}\n"));
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        said(&run(&["constraints", "verify"]));
        let again: serde_json::Value = serde_json::from_str(&said(&run(&["keys", "rotate", "--json"]))).unwrap();
        assert!(again["file"].is_null() && again["people"] == 0, "{again}");

        assert_eq!(node.wait().unwrap().code(), Some(1));
        notices.read_to_string(&mut line).unwrap();
        assert!(line.contains("retired by `porttask keys rotate`"), "{line}");
    });
}

#[test]
fn an_embedded_log_makes_its_master_key_once_and_for_its_owner_only() {
    porttask_tests::run_on(Engine::Sqlite, async |store: Store| {
        let verify = || porttask(&store, &["constraints", "verify"]).output().unwrap();
        let first = porttask(&store, &["init"]).output().unwrap();
        assert!(
            first.status.success() && complaint(&first).contains("Generated a master key"),
            "{}",
            complaint(&first)
        );
        let file = Path::new(store.place()).join("master.key");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        let key = fs::read_to_string(&file).unwrap();
        assert_eq!(complaint(&verify()), "");
        assert_eq!(fs::read_to_string(&file).unwrap(), key);

        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(!verify().status.success() && complaint(&verify()).contains("chmod 600"));
        // A start that was interrupted left the key under its first name.
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        fs::rename(&file, file.with_file_name("master.key.new")).unwrap();
        said(&verify());
        assert_eq!(fs::read_to_string(&file).unwrap(), key);
    });
}
