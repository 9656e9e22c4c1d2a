//! `porttask events`: tail, show, restored.

use porttask_runtime::log::{Append, OrganizationId, Placed};
use porttask_tests::{Engine, Store, event, on_both_engines, simple, stream};
use std::{
    io::{BufRead, BufReader},
    process::Stdio,
    sync::mpsc,
    time::Duration,
};

use super::{complaint, porttask, said};

on_both_engines!(
    a_new_log_has_no_events,
    tail_prints_the_latest_events_of_every_partition,
    json_keeps_the_bytes_of_an_event,
    show_prints_an_event_whole,
    a_position_without_event_is_said_so,
    follow_prints_what_another_process_appends,
    a_damaged_event_is_said_so,
    restored_begins_a_new_incarnation,
    malformed_arguments_are_refused,
);

/// Founds an organization with one event and answers where it stands.
async fn founded(store: &Store, data: &str) -> Placed {
    let organization = porttask_runtime::new_id::<OrganizationId>();
    let event = event(&stream(organization, "organization-1"), data);
    let log = store.open().await;
    log.append(Append::new(organization, vec![event]).creates_organization()).await.unwrap().events[0]
}

async fn a_new_log_has_no_events(store: Store) {
    drop(store.open().await);
    assert_eq!(said(&porttask(&store, &["events", "tail"]).output().unwrap()), "");
}

async fn tail_prints_the_latest_events_of_every_partition(store: Store) {
    let log = store.open().await;
    let organization = porttask_runtime::new_id::<OrganizationId>();
    log.append(simple(organization, "organization-1").creates_organization()).await.unwrap();
    for _ in 0..4 {
        log.append(simple(organization, "user-1")).await.unwrap();
    }
    let tail = said(&porttask(&store, &["events", "tail", "-n", "2"]).output().unwrap());
    let versions: Vec<&str> = tail.lines().map(|line| line.split_whitespace().nth(4).unwrap()).collect();
    assert_eq!(versions, ["v3", "v4"], "{tail}");
}

async fn json_keeps_the_bytes_of_an_event(store: Store) {
    founded(&store, "{\"b\": 1.50, \"a\":\"é\"}").await;
    founded(&store, "no\njson \u{1b}[31m").await;
    let tail = said(&porttask(&store, &["events", "tail", "--json"]).output().unwrap());
    assert_eq!(tail.lines().count(), 2, "one line per event: {tail}");
    assert!(tail.contains("\"data\":{\"b\": 1.50, \"a\":\"é\"},"), "{tail}");
    assert_eq!(tail.matches("\"organization\":\"org_").count(), 2, "ids as everywhere: {tail}");
    assert!(tail.contains("\"data\":\"no\\njson \\u001b[31m\""), "{tail}");
    let plain = said(&porttask(&store, &["events", "tail"]).output().unwrap());
    assert!(!plain.contains('\u{1b}'), "a terminal would obey: {plain:?}");
}

async fn show_prints_an_event_whole(store: Store) {
    let position = founded(&store, "{\"name\":\"Åsa\"}").await.position.to_string();
    let shown = said(&porttask(&store, &["events", "show", &position]).output().unwrap());
    assert!(shown.contains("{\"name\":\"Åsa\"}") && shown.contains("organization-1 v1"), "{shown}");
}

async fn a_position_without_event_is_said_so(store: Store) {
    drop(store.open().await);
    for position in ["0:1", "0:0", "65535:1", "0:18446744073709551615"] {
        let output = porttask(&store, &["events", "show", position]).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{position}");
        assert!(complaint(&output).contains("there is no event"), "{position}: {}", complaint(&output));
    }
}

async fn follow_prints_what_another_process_appends(store: Store) {
    let log = store.open().await;
    let mut follow = porttask(&store, &["events", "tail", "--follow"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut notices = BufReader::new(follow.stderr.take().unwrap()).lines();
    assert!(notices.next().unwrap().unwrap().contains("Following"));

    let (sender, receiver) = mpsc::channel();
    let output = BufReader::new(follow.stdout.take().unwrap());
    std::thread::spawn(move || output.lines().try_for_each(|line| sender.send(line.unwrap())));
    let organization = porttask_runtime::new_id::<OrganizationId>();
    log.append(simple(organization, "organization-1").creates_organization()).await.unwrap();
    let line = receiver.recv_timeout(Duration::from_secs(10)).unwrap();
    assert!(line.contains("organization-1"), "{line}");
    assert_eq!(receiver.try_recv(), Err(mpsc::TryRecvError::Empty), "printed once");
    follow.kill().unwrap();
    follow.wait().unwrap();
}

async fn a_damaged_event_is_said_so(store: Store) {
    let position = founded(&store, "{}").await.position;
    match store.engine() {
        Engine::Sqlite => {
            let file = rusqlite::Connection::open(store.file()).unwrap();
            file.execute("UPDATE events SET data = CAST('{\"x\":1}' AS BLOB)", []).unwrap();
        }
        Engine::Postgres => _ = store.sql("UPDATE log.events SET data = '{\"x\":1}'").await,
    }
    let output = porttask(&store, &["events", "show", &position.to_string()]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(complaint(&output).contains("damaged"), "{}", complaint(&output));
}

async fn restored_begins_a_new_incarnation(store: Store) {
    let before = store.open().await.incarnation().await.unwrap();
    let output = said(&porttask(&store, &["events", "restored"]).output().unwrap());
    let after = store.open().await.incarnation().await.unwrap();
    assert_ne!(before, after);
    assert!(output.contains(&after.to_string()), "{output}");
}

async fn malformed_arguments_are_refused(store: Store) {
    drop(store.open().await);
    for (arguments, expected) in [
        (&["events", "show", "seventeen"][..], "partition:offset"),
        (&["events", "tail", "--partition", "65535"], "no such partition"),
        (&["events", "tail", "--database-url", "mysql://x"], "postgres://"),
        (&["events", "tail", "-n", "-1"], "unexpected argument"),
        (&["bench", "--only", "nothing"], "choose append"),
        (&["bench", "--seconds", "0"], "--seconds"),
    ] {
        let output = porttask(&store, arguments).output().unwrap();
        assert!(!output.status.success(), "{arguments:?}");
        assert!(complaint(&output).contains(expected), "{arguments:?}: {}", complaint(&output));
    }
    let output = porttask(&store, &["events", "tail"]).env("PORTTASK_LOG", "a=b=c").output().unwrap();
    assert!(!output.status.success() && complaint(&output).contains("PORTTASK_LOG"), "{}", complaint(&output));
}
