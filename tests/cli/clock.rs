//! `porttask clock`, and logs with a simulated clock.

use jiff::{SignedDuration, Timestamp};
use porttask_tests::{MASTER_KEY, Node, Store, on_both_engines};
use serde_json::Value;

use super::{complaint, porttask, said};

on_both_engines!(a_real_clock_is_shown_and_cannot_be_advanced, a_simulated_clock_is_advanced);

fn clock(store: &Store, arguments: &[&str]) -> Value {
    let output = porttask(store, &[&["clock"], arguments, &["--json"]].concat()).output().unwrap();
    serde_json::from_str(&said(&output)).unwrap()
}

fn refusal(store: &Store, arguments: &[&str]) -> String {
    let output = porttask(store, arguments).env("PORTTASK_MASTER_KEY", MASTER_KEY).output().unwrap();
    assert!(!output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stdout));
    complaint(&output)
}

async fn a_real_clock_is_shown_and_cannot_be_advanced(store: Store) {
    Node::on(&store).await.acme().await;
    let shown = clock(&store, &["show"]);
    assert_eq!((&shown["simulated"], &shown["offset_microseconds"]), (&Value::Bool(false), &Value::Null));
    assert_eq!(shown["time"], shown["database_time"]);
    assert!(said(&porttask(&store, &["clock", "show"]).output().unwrap()).contains("real"));
    assert!(refusal(&store, &["clock", "advance", "30d"]).contains("porttask init --simulated"));
    assert!(refusal(&store, &["init", "--simulated"]).contains("recorded with a real clock"));
}

async fn a_simulated_clock_is_advanced(store: Store) {
    let init =
        |arguments: &[&str]| porttask(&store, arguments).env("PORTTASK_MASTER_KEY", MASTER_KEY).output().unwrap();
    let created = init(&["init", "--simulated"]);
    assert!(complaint(&created).contains("is simulated") && said(&created).contains("#token="), "{created:?}");
    said(&init(&["init", "--simulated"]));
    said(&init(&["init"]));

    let offset = |shown: &Value| SignedDuration::from_micros(shown["offset_microseconds"].as_i64().unwrap());
    let day = SignedDuration::from_hours(24);
    assert_eq!(offset(&clock(&store, &["show"])), SignedDuration::ZERO);
    assert_eq!(offset(&clock(&store, &["advance", "30d"])), day * 30);
    assert_eq!(offset(&clock(&store, &["advance", "P1DT1H"])), day * 31 + SignedDuration::from_hours(1));
    let advanced = clock(&store, &["advance", "--to", "2090-01-01T00:00:00Z"]);
    let time: Timestamp = advanced["time"].as_str().unwrap().parse().unwrap();
    let target: Timestamp = "2090-01-01T00:00:00Z".parse().unwrap();
    assert!((target..target + SignedDuration::from_mins(1)).contains(&time), "{time}");
    assert!(said(&porttask(&store, &["clock", "show"]).output().unwrap()).contains("simulated"));

    for (arguments, expected) in [
        (&["clock", "advance", "--to", "2089-12-31T00:00:00Z"][..], "cannot go back"),
        (&["clock", "advance", "1 day ago"], "cannot go back"),
        (&["clock", "advance", "1000 years"], "year 2999"),
        (&["clock", "advance", "soon"], "soon"),
        (&["clock", "advance"], "--to"),
        (&["clock", "advance", "1d", "--to", "2091-01-01T00:00:00Z"], "--to"),
    ] {
        let said = refusal(&store, arguments);
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
}
