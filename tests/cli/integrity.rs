//! Damage in the log: `porttask log verify` names it, and whatever else reads it refuses.

use porttask_domain::identity::Role;
use porttask_runtime::log::Position;
use porttask_tests::{Acme, MASTER_KEY, Node, Store, become_role, on_both_engines, run_sql};
use std::process::Output;

use super::{complaint, porttask, said};

on_both_engines!(
    an_intact_log_is_verified,
    changed_events_are_named,
    deleted_events_leave_a_gap,
    verification_continues_where_it_stopped,
    whatever_derives_from_damaged_events_refuses,
);

/// A log with an organization, whose second user has changed roles; the position of the last change.
async fn log_of_acme(store: &Store) -> (Acme, Position) {
    let node = Node::on(store).await;
    let acme = node.acme().await;
    let bob = node.joined(&acme, "bob@acme.example", Role::Agent).await;
    node.user(&acme, bob, become_role(Role::ReadOnly)).await.unwrap();
    let last = node.user(&acme, bob, become_role(Role::Agent)).await.unwrap();
    (acme, last.position.unwrap())
}

fn run(store: &Store, arguments: &[&str]) -> Output {
    porttask(store, arguments).env("PORTTASK_MASTER_KEY", MASTER_KEY).output().unwrap()
}

fn verify(store: &Store, more: &[&str]) -> (Option<i32>, String, String) {
    let output = run(store, &[&["log", "verify"], more].concat());
    (output.status.code(), String::from_utf8(output.stdout.clone()).unwrap(), complaint(&output))
}

/// The id of the event at an offset of the partition of `at`.
fn event_id(store: &Store, at: Position) -> String {
    let shown = run(store, &["events", "show", &at.to_string(), "--json"]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    shown.split("\"event_id\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
}

/// The condition of the row of an event, on either engine.
fn at(store: &Store, Position { partition, offset }: Position) -> String {
    match store.engine() {
        porttask_tests::Engine::Sqlite => format!("offset = {offset}"),
        porttask_tests::Engine::Postgres => format!("partition = {partition} AND \"offset\" = {offset}"),
    }
}

async fn an_intact_log_is_verified(store: Store) {
    drop(store.open().await);
    assert_eq!(verify(&store, &[]), (Some(0), String::new(), String::new()), "an empty log");
    let (_, last) = log_of_acme(&store).await;
    let said = said(&run(&store, &["log", "verify"]));
    assert!(said.lines().all(|line| line.ends_with("OK")) && !said.is_empty(), "{said}");
    let (code, json, _) = verify(&store, &["--json", "--partition", &last.partition.to_string()]);
    let expected = format!("{{\"damaged\":0,\"partition\":{},\"verified_to\":{}}}\n", last.partition, last.offset);
    assert_eq!((code, json), (Some(0), expected));
}

async fn changed_events_are_named(store: Store) {
    let (_, last) = log_of_acme(&store).await;
    let changes = [
        // The role, the actor, the time, the version, the name of the type.
        "data = CAST(replace(CAST(data AS TEXT), 'write', 'admin') AS BLOB)",
        "meta = CAST(replace(CAST(meta AS TEXT), 'user', 'usex') AS BLOB)",
        "version = version + 1",
        "type = 'user.promoted.v1'",
        "type = 'no type at all'",
    ];
    let id = event_id(&store, last);
    for change in changes {
        let change = match store.engine() {
            porttask_tests::Engine::Sqlite => change.to_owned(),
            porttask_tests::Engine::Postgres => change
                .replace("CAST(data AS TEXT)", "convert_from(data, 'UTF8')")
                .replace("CAST(meta AS TEXT)", "convert_from(meta, 'UTF8')")
                .replace("CAST(", "convert_to(")
                .replace(" AS BLOB)", ", 'UTF8')"),
        };
        let row = at(&store, last);
        run_sql(&store, &format!("CREATE TABLE log.kept AS SELECT * FROM log.events WHERE {row}")).await;
        run_sql(&store, &format!("UPDATE log.events SET {change} WHERE {row}")).await;
        let (code, said, complaint) = verify(&store, &[]);
        assert_eq!(code, Some(1), "{change}: {said}");
        assert!(said.contains(&format!("at {last}: ")) && said.contains("DAMAGED"), "{change}: {said}");
        assert!(said.contains(&id) || change.contains("no type"), "{change}: {said}");
        assert!(complaint.contains("restore the latest backup that verifies"), "{complaint}");
        run_sql(&store, &format!("DELETE FROM log.events WHERE {row}")).await;
        run_sql(&store, "INSERT INTO log.events SELECT * FROM log.kept").await;
        run_sql(&store, "DROP TABLE log.kept").await;
        drop(store.open().await);
        assert_eq!(verify(&store, &[]).0, Some(0), "{change}");
    }
}

async fn deleted_events_leave_a_gap(store: Store) {
    let (_, last) = log_of_acme(&store).await;
    let [missing, before] =
        [1, 2].map(|back| Position { offset: porttask_runtime::log::Offset(last.offset.0 - back), ..last });
    let id = event_id(&store, last);
    run_sql(&store, &format!("DELETE FROM log.events WHERE {}", at(&store, missing))).await;
    let (code, said, _) = verify(&store, &["--json"]);
    assert_eq!(code, Some(1), "{said}");
    let damage: Vec<&str> = said.lines().filter(|line| line.contains(&id)).collect();
    assert!(damage[0].contains("\"defect\":\"missing\""), "{said}");
    assert!(damage[0].contains(&format!("at offset {}, is missing", missing.offset)), "{said}");
    assert!(damage[1].contains("\"defect\":\"version\""), "the stream lacks an event: {said}");
    let tail = run(&store, &["events", "tail"]);
    assert!(!tail.status.success() && complaint(&tail).contains("porttask log verify"), "{}", complaint(&tail));
    assert!(run(&store, &["events", "show", &before.to_string()]).status.success(), "what is intact can be read");
}

async fn verification_continues_where_it_stopped(store: Store) {
    let (_, last) = log_of_acme(&store).await;
    run_sql(&store, &format!("UPDATE log.events SET type = 'user.promoted.v1' WHERE {}", at(&store, last))).await;
    let partition = last.partition.to_string();
    let from = |offset: u64| verify(&store, &["--partition", &partition, "--from", &offset.to_string()]);
    assert_eq!(from(last.offset.0 - 2).0, Some(1));
    let (code, said, _) = from(last.offset.0);
    assert_eq!(code, Some(0), "after the damage: {said}");
    let without = verify(&store, &["--from", "1"]);
    assert!(without.0 == Some(2) && without.2.contains("--partition"), "{without:?}");
}

async fn whatever_derives_from_damaged_events_refuses(store: Store) {
    let (acme, last) = log_of_acme(&store).await;
    said(&run(&store, &["views", "rebuild"]));
    let id = event_id(&store, last);
    run_sql(&store, &format!("UPDATE log.events SET type = 'user.promoted.v1' WHERE {}", at(&store, last))).await;
    let organization = acme.organization.to_string();
    for arguments in [
        &["views", "verify"][..],
        &["views", "rebuild", "users"],
        &["constraints", "verify"],
        &["events", "tail"],
        &["export", "audit", "--organization", &organization],
    ] {
        let refused = run(&store, arguments);
        let complaint = complaint(&refused);
        assert_eq!(refused.status.code(), Some(1), "{arguments:?}: {complaint}");
        assert!(complaint.contains(&id) && complaint.contains("porttask log verify"), "{arguments:?}: {complaint}");
    }
    let shown = run(&store, &["events", "show", &last.to_string()]);
    assert!(String::from_utf8_lossy(&shown.stdout).contains("user.promoted.v1"), "events show shows it nevertheless");
}
