//! Licences are verified without a service, with the files of the vectors.

use std::{
    fs,
    process::{Command, Output},
};

use serde_json::Value;

fn verify(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_porttask"));
    command.args(["licence", "verify"]).args(arguments).output().unwrap()
}

#[test]
fn a_licence_is_verified_from_files() {
    let vectors: Value = serde_json::from_str(include_str!("../../tests/vectors/billing/licences.json")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let token = |name: &str| {
        let cases = vectors["cases"].as_array().unwrap();
        cases.iter().find(|case| case["name"] == name).unwrap()["token"].as_str().unwrap()
    };
    let keys = file("keys.json", &vectors["keys"].to_string());
    let list = file("revocations.jwt", vectors["revocation_list"].as_str().unwrap());
    let (valid, revoked) = (file("valid", token("valid")), file("revoked", token("revoked")));
    let at = ["--keys", &keys, "--at", "2026-03-20T00:00:00Z"];
    let of = |licence: &str, more: &[&str]| verify(&[&[licence], &at[..], more].concat());

    let shown = of(&valid, &["--revocations", &list, "--issuer", "https://porttask.example"]);
    let text = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.status.success() && text.contains("is valid until 2026-04-15T00:00:00Z"), "{shown:?}");
    assert!(text.contains("\"activations\": 3"), "{text}");
    assert!(of(&revoked, &[]).status.success(), "without the list, nobody knows");
    for (licence, more, reason) in [
        (&revoked, &["--revocations", &list][..], "was revoked: replaced"),
        (&valid, &["--issuer", "https://evil.example"], "another issuer"),
        (&file("forged", token("payload changed")), &[], "was changed"),
        (&file("unknown", token("key not published")), &[], "fetch the keys again"),
        (&folder.path().join("none").to_str().unwrap().to_owned(), &[], "none: "),
    ] {
        let refused = of(licence, more);
        let complaint = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && complaint.contains(reason), "{complaint}");
    }
    let late = verify(&[&valid, "--keys", &keys, "--at", "2026-04-15T00:00:00Z"]);
    assert!(String::from_utf8_lossy(&late.stderr).contains("has expired"), "{late:?}");
    let without = verify(&[&valid]);
    assert!(!without.status.success() && String::from_utf8_lossy(&without.stderr).contains("--keys"), "{without:?}");
}
