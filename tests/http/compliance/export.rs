//! Exports of the audit log, over HTTP and on the command line.

use porttask_tests::on_both_engines;
use serde_json::{Value, json};

use super::audit_log::{LOG, items};
use crate::{service::porttask, shared::SharedService};

on_both_engines!(
    an_export_is_recorded_before_it_is_sent,
    the_command_line_exports_the_same,
    formulas_in_names_are_escaped_in_csv,
);

async fn an_export_is_recorded_before_it_is_sent(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    for number in 0..3 {
        bob.patch("/v1/organizations/current", &json!({"name": format!("Acme, {number}")})).is(200);
    }
    let export = |body: &Value| bob.post(&format!("{LOG}/export"), body).is(200);
    let csv = export(&json!({"format": "csv"}));
    assert!(csv.header("content-type").starts_with("text/csv"), "{csv:?}");
    assert!(csv.header("content-disposition").contains(".csv"), "{csv:?}");
    let lines: Vec<&str> = csv.body.as_str().unwrap().lines().collect();
    assert!(lines[0].starts_with("\u{feff}recorded_at,id,action,actor_kind"), "{lines:?}");
    assert!(lines[0].ends_with(",user_agent"), "{lines:?}");
    let plain = export(&json!({"format": "csv", "bom": false}));
    assert!(plain.body.as_str().unwrap().starts_with("recorded_at,"), "{plain:?}");
    assert!(lines[1].contains("created the organization Acme"), "{lines:?}");
    assert!(lines.iter().any(|line| line.contains("\"renamed the organization from Acme to Acme, 0\"")), "{lines:?}");
    assert!(lines.last().unwrap().contains("exported the audit log as CSV"), "the export is its own last entry");

    let body = json!({"format": "json", "selection": {"action": "organization.renamed", "actor": acme.email("bob")}});
    let json_lines = export(&body);
    let entries: Vec<Value> =
        json_lines.body.as_str().unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut listed = items(bob, "?action=organization.renamed");
    listed.reverse();
    assert_eq!(entries, listed);

    let recorded = items(bob, "?action=export.audit_log_taken");
    assert_eq!(recorded.len(), 3);
    let user = bob.session["user"].as_str().unwrap();
    let [format, actor] = [("format", "json"), ("actor", user)].map(|(field, to)| json!({"field": field, "to": to}));
    let changes = json!([format, actor, {"field": "action", "to": "organization.renamed"}]);
    assert_eq!(recorded[0]["changes"], changes, "the event has the id of the user instead of the email address");

    let dry = bob.post(&format!("{LOG}/export?dry_run=true"), &json!({"format": "csv"})).is(200);
    assert_eq!(dry.body["events"], json!(["export.audit_log_taken"]));
    let key = [("idempotency-key", "once")];
    let send_once = || bob.send("POST", &format!("{LOG}/export"), &key, Some(&json!({"format": "csv"}))).is(200);
    let (first, again) = (send_once(), send_once());
    assert_eq!(first.body, again.body, "a repeated request gets the same export");
    assert_eq!(items(bob, "?action=export").len(), 4, "neither a dry run nor a repetition is recorded");
    bob.post(&format!("{LOG}/export"), &json!({"format": "pdf"})).refused(422, "invalid-fields");
    bob.post(&format!("{LOG}/export"), &json!({"format": "csv", "x": 1})).refused(422, "invalid-fields");
}

async fn the_command_line_exports_the_same(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    for number in 0..3 {
        bob.patch("/v1/organizations/current", &json!({"name": format!("Acme {number}")})).is(200);
    }
    let export =
        |arguments: &[&str]| porttask(service.store(), &[&["export", "audit"], arguments].concat()).output().unwrap();
    let printed = |arguments: &[&str]| {
        let output = export(arguments);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let bob_email = acme.email("bob");
    let renamed = ["--organization", &acme.domain, "--format", "json", "--actor", &bob_email, "--text", "renamed"];
    let lines = printed(&renamed);
    let entries: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut listed = items(bob, "?action=organization.renamed");
    listed.reverse();
    assert_eq!(entries, listed);

    let file = std::env::temp_dir().join(format!("{acme}.csv"));
    let to_file = ["--organization", acme.id.as_str(), "--output", file.to_str().unwrap()];
    assert_eq!(printed(&to_file), "");
    let written = std::fs::read_to_string(&file).unwrap();
    let again = export(&to_file);
    std::fs::remove_file(&file).unwrap();
    assert!(written.starts_with("\u{feff}recorded_at,id,"), "{written}");
    let plain = printed(&["--organization", &acme.domain, "--bom", "false", "--action", "export"]);
    assert!(plain.starts_with("recorded_at,id,"), "{plain}");
    assert!(written.trim_end().lines().last().unwrap().contains("operator"), "{written}");
    assert!(!again.status.success(), "an existing file is not overwritten");

    let recorded = items(bob, "?actor=platform&action=export");
    assert_eq!(recorded.len(), 3, "{recorded:?}");
    assert_eq!(recorded[0]["actor"], json!({"kind": "operator"}));
    assert!(!export(&["--organization", "nowhere.example"]).status.success());
    assert!(!export(&["--organization", &acme.domain, "--actor", &acme.email("nobody")]).status.success());
}

async fn formulas_in_names_are_escaped_in_csv(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    acme.invite("cleo", "=cmd|calc", "agent");
    let csv = bob.post(&format!("{LOG}/export"), &json!({"format": "csv"})).is(200);
    assert!(csv.body.as_str().unwrap().contains(",'=cmd|calc,"), "{csv:?}");
}
