//! `porttask demo` builds a platform that is sound, the same for the same seed, and overwrites nothing.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use porttask_tests::{Engine, Store, on_both_engines, run_on};
use serde_json::Value;

use super::{complaint, porttask, said};

on_both_engines! {
    a_demonstration_is_sound_and_refuses_a_log,
}

/// The contents of documents in a folder, by name.
fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let of = |path: PathBuf| match path.is_dir() {
        true => contents(&path),
        false => vec![(path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read(&path).unwrap())],
    };
    entries.flat_map(of).collect()
}

async fn a_demonstration_is_sound_and_refuses_a_log(store: Store) {
    let demo = ["demo", "--no-serve", "--scale", "0.02", "--seed", "7"];
    let master_key = ("PORTTASK_MASTER_KEY", porttask_tests::MASTER_KEY);
    let folder = tempfile::tempdir().unwrap();
    let blobs = ("PORTTASK_BLOBS", folder.path().to_str().unwrap());
    let run = |arguments: &[&str]| porttask(&store, arguments).envs([master_key, blobs]).output().unwrap();
    let accounts = said(&run(&demo));
    assert!(accounts.contains("ana@porttask.example") && accounts.contains(" admin\n"), "{accounts}");
    for check in
        [&["log", "verify"][..], &["constraints", "verify"], &["views", "verify"], &["invoices", "verify", "--all"]]
    {
        said(&run(check));
    }
    let contents = contents(folder.path());
    assert!(!contents.is_empty(), "there are documents");
    for (name, content) in contents {
        assert!(name.len() == 64 && (100..1_000).contains(&content.len()), "{name}: {} bytes", content.len());
    }
    let tasks = said(&run(&["tasks", "list"]));
    assert_eq!(tasks, "No tasks.\n", "mails of the past are not sent");
    let again = run(&demo);
    assert!(!again.status.success() && complaint(&again).contains("holds a log"), "{}", complaint(&again));
    let wrong = run(&["demo", "--scale", "0"]);
    assert!(complaint(&wrong).contains("must be a number from 0.01 to 100"), "{}", complaint(&wrong));
}

/// The events of a log by type.
fn by_type(store: &Store) -> BTreeMap<String, Vec<Value>> {
    let tail = porttask(store, &["events", "tail", "-n", "1000000", "--json"]).output().unwrap();
    let mut all: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for event in said(&tail).lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        all.entry(event["type"].as_str().unwrap().to_owned()).or_default().push(event);
    }
    all
}

#[test]
fn a_demonstration_has_every_kind_of_invoice_and_licence() {
    run_on(Engine::Sqlite, every_kind_is_there);
}

async fn every_kind_is_there(store: Store) {
    let folder = tempfile::tempdir().unwrap();
    let environment =
        [("PORTTASK_MASTER_KEY", porttask_tests::MASTER_KEY), ("PORTTASK_BLOBS", folder.path().to_str().unwrap())];
    let demo = ["demo", "--no-serve", "--scale", "0.15"];
    said(&porttask(&store, &demo).envs(environment).output().unwrap());
    let all = by_type(&store);
    let of = |name: &str| all.get(name).unwrap_or_else(|| panic!("no {name}: {:?}", all.keys())).iter();
    for name in [
        "invoice.voided.v1",
        "invoice.credited.v1",
        "invoice.balance_applied.v1",
        "invoice.dunned.v1",
        "invoice.marked_uncollectible.v1",
        "invoice.payment_reversed.v1",
        "payment.failed.v1",
        "payment.recorded_manually.v1",
        "subscription.became_past_due.v1",
        "subscription.became_read_only.v1",
        "licence.activation_added.v1",
        "licence.revoked.v1",
    ] {
        assert!(of(name).len() > 0);
    }
    let texts = |name: &str, path: &str| -> Vec<String> {
        of(name).map(|event| event["data"].pointer(path).map(Value::to_string).unwrap_or_default()).collect()
    };
    let treatments = texts("invoice.issued.v1", "/document/treatment");
    for treatment in ["domestic", "reverse_charge", "destination"] {
        assert!(treatments.contains(&format!("\"{treatment}\"")), "{treatment}: {treatments:?}");
    }
    let kinds = texts("invoice.issued.v1", "/kind");
    for kind in ["subscription", "manual", "correction"] {
        assert!(kinds.contains(&format!("\"{kind}\"")), "{kind}: {kinds:?}");
    }
    let licences = texts("licence.issued.v1", "/kind");
    for kind in ["trial", "subscription", "enterprise", "partner"] {
        assert!(licences.contains(&format!("\"{kind}\"")), "{kind}: {licences:?}");
    }
    // Some of what is due is never paid.
    let due: i64 = {
        let mut due = BTreeMap::new();
        for name in ["invoice.payment_recorded.v1", "invoice.balance_applied.v1", "invoice.credited.v1"] {
            for event in of(name) {
                due.insert(event["stream"].to_string(), event["data"]["due"].as_i64().unwrap());
            }
        }
        let issued = of("invoice.issued.v1").map(|event| event["stream"].to_string());
        issued.filter(|stream| due.get(stream).is_none_or(|due| *due > 0)).count() as i64
    };
    assert!(due >= 3, "{due} open invoices");
    let verified = porttask(&store, &["invoices", "verify", "--all"]).envs(environment).output().unwrap();
    assert!(said(&verified).ends_with("invoices verified: OK\n"));
}
