//! API keys, and the export of the audit log.

use porttask_tests::on_both_engines;
use serde_json::json;

use crate::{
    browser::{Browser, Page},
    shared::SharedService,
};

on_both_engines!(the_secret_of_a_key_is_shown_once_and_uncompressed, the_audit_log_is_exported_as_a_file,);

/// The secret that a page shows.
#[track_caller]
fn secret(page: &Page) -> String {
    assert_eq!(page.header("content-encoding"), "identity", "a secret is sent uncompressed: {:?}", page.headers);
    page.document.with_id("f-secret").unwrap_or_else(|| panic!("no secret: {}", page.main())).get("value").to_owned()
}

async fn the_secret_of_a_key_is_shown_once_and_uncompressed(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = Browser::of(service, &acme.email("bob"));
    let works = |secret: &str| service.with_token(&json!(secret)).get("/v1/organizations/current").status;
    let url = "/settings/integrations/new";
    let form = bob.open(url).form(url).fill("name", "robot").fill("days", "30");
    let page = bob.submit(&form.clone().fill("networks", "everywhere"), "Create").is(422);
    assert!(!page.error_of("networks").is_empty(), "{}", page.main());
    assert_eq!((page.value_of("name"), page.value_of("days")), ("robot".to_owned(), "30".to_owned()));
    let form = page.form(url).fill("networks", "");
    let created = bob.submit(&form, "Create").is(200);
    let first = secret(&created);
    assert_eq!(works(&first), 200);
    // The same form again.
    let again = bob.submit(&form, "Create").is(200);
    assert!(!again.text.contains(&first) && again.main().contains("done before"), "{}", again.main());
    let keys = acme.admin.get("/v1/organizations/current/api-keys").is(200);
    assert_eq!(keys.body["items"].as_array().unwrap().len(), 1);
    let id = keys.body["items"][0]["id"].as_str().unwrap();
    let list = bob.open("/settings/integrations").shows("robot").shows("Active");
    assert!(!list.text.contains(&first));

    let url = format!("/settings/integrations/{id}/rotate");
    assert_eq!(list.link("Rotate…"), url);
    let form = bob.open(&url).form(&url).fill("overlap_hours", "1");
    let second = secret(&bob.submit(&form, "Rotate").is(200));
    assert_ne!(first, second);
    assert_eq!((works(&first), works(&second)), (200, 200), "the former secret is valid for an hour");
    let again = bob.submit(&form, "Rotate");
    assert!(!again.text.contains(&second), "{}", again.main());
    let form = bob.open(&url).form(&url).fill("overlap_hours", "0");
    let third = secret(&bob.submit(&form, "Rotate").is(200));
    assert_eq!((works(&first), works(&second), works(&third)), (401, 401, 200));

    let url = format!("/settings/integrations/{id}/revoke");
    let page = bob.open(&url).shows("What will happen");
    assert_eq!(works(&third), 200);
    let page = bob.submit(&page.form(&url), "Revoke").is(200).shows("Revoked");
    assert!(page.toast().contains("robot is revoked."), "{}", page.toast());
    assert_eq!(works(&third), 401);
}

async fn the_audit_log_is_exported_as_a_file(service: &'static SharedService) {
    let acme = service.organization().await;
    acme.invite("cleo", "Cleo Tanaka", "agent");
    let bob = Browser::of(service, &acme.email("bob"));
    let log = bob.open("/settings/audit-log?action=user").shows("Cleo Tanaka");
    let url = "/settings/audit-log/export";
    let form = bob.open(&log.link("Export…")).form(url);
    assert_eq!(form.hidden("action"), "user");
    let csv = bob.submit(&form.clone().fill("format", "csv"), "Export").is(200);
    assert_eq!(csv.header("content-disposition"), "attachment; filename=\"audit-log.csv\"");
    assert_eq!(csv.header("content-security-policy"), "sandbox; default-src 'none'");
    assert!(csv.header("content-type").starts_with("text/csv"), "{csv:?}");
    assert!(csv.text.starts_with("\u{feff}recorded_at,id,action"), "{}", csv.text);
    let form = bob.open(&log.link("Export…")).form(url).fill("format", "json");
    let json = bob.submit(&form, "Export").is(200);
    assert_eq!(json.header("content-disposition"), "attachment; filename=\"audit-log.jsonl\"");
    let entries: Vec<serde_json::Value> = json.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(!entries.is_empty(), "{}", json.text);
    // The last entry is the export itself.
    for entry in &entries[..entries.len() - 1] {
        assert!(entry["action"].as_str().unwrap().starts_with("user."), "{entry}");
    }
}
