//! The domain agrees with vectors of independent origin, and the program that runs them can fail.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{fs, path::Path};

use porttask_tests::vectors::run;

fn vectors() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/vectors/billing"))
}

fn ran(folder: &Path) -> (bool, Vec<String>) {
    let mut lines = Vec::new();
    let passed = run(folder, &mut |line| lines.push(line.to_owned())).unwrap();
    (passed, lines)
}

#[test]
fn every_case_of_billing_agrees() {
    let (passed, lines) = ran(vectors());
    assert!(passed, "{}", lines.join("\n"));
    assert!(lines.last().unwrap().ends_with(" passed, 0 failed"), "{lines:?}");
}

#[test]
fn a_wrong_case_an_unknown_file_and_an_empty_folder_fail() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(ran(folder.path()), (false, vec!["0 passed, 0 failed".to_owned()]));
    fs::write(folder.path().join("shanties.json"), "{}").unwrap();
    assert!(ran(folder.path()).1.contains(&"unknown file shanties.json".to_owned()));
    for file in fs::read_dir(vectors()).unwrap() {
        let file = file.unwrap();
        let text = fs::read_to_string(file.path()).unwrap();
        let mut vectors: serde_json::Value = serde_json::from_str(&text).unwrap();
        let first = &mut vectors["cases"][0];
        for expected in [
            "then",
            "starts",
            "shares",
            "net",
            "exponent",
            "rate",
            "treatment",
            "canonical",
            "credit_notes",
            "steps",
            "expect",
        ] {
            if let Some(it) = first.get_mut(expected) {
                *it = serde_json::json!("something else");
            }
        }
        if let Some(it) = first.pointer_mut("/groups/0/agrees") {
            *it = serde_json::json!("something else");
        }
        let copy = folder.path().join(file.file_name());
        fs::write(&copy, vectors.to_string()).unwrap();
        let (passed, lines) = ran(folder.path());
        assert!(!passed && lines.last().unwrap().ends_with(" 1 failed"), "{:?}: {lines:?}", file.file_name());
        fs::remove_file(copy).unwrap();
    }
}
