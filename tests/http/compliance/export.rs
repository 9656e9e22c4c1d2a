//! Exports of the audit log, over HTTP and on the command line.

use porttask_tests::on_both_engines;
use serde_json::{Value, json};

use super::audit_log::{LOG, items};
use crate::{service::porttask, shared::SharedService};

on_both_engines!(
    an_export_is_recorded_before_it_is_sent,
    the_command_line_exports_the_same,
    formulas_in_names_are_escaped_in_csv,
    users_are_exported_as_csv_with_the_filters_of_their_listing,
    organizations_are_exported_as_csv_by_super_admins,
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

const USERS: &str = "/v1/organizations/current/users";

/// The lines of a CSV file, without its byte order mark.
fn lines(csv: &str) -> Vec<&str> {
    csv.strip_prefix('\u{feff}').unwrap().lines().collect()
}

async fn users_are_exported_as_csv_with_the_filters_of_their_listing(service: &'static SharedService) {
    let acme = service.organization().await.unlimited();
    let bob = &acme.admin;
    // More than a page.
    for number in 0..205 {
        let name = if number == 7 { "=SUM(1)".to_owned() } else { format!("Agent {number:03}") };
        let body = json!({"name": name, "email": acme.email(format!("agent{number}")), "role": "agent"});
        bob.post(USERS, &body).is(201);
    }
    let csv = bob.get(&format!("{USERS}?format=csv&sort=name")).is(200);
    assert_eq!(csv.header("content-type"), "text/csv; charset=utf-8; header=present");
    assert!(csv.header("content-disposition").contains("filename=\"users-org_"), "{csv:?}");
    let text = csv.body.as_str().unwrap();
    let all = lines(text);
    assert!(all[0].starts_with("id,name,email,pending_email,role,status,tickets"), "{}", all[0]);
    let ids = |lines: &[&str]| lines[1..].iter().map(|line| line[..30].to_owned()).collect::<Vec<_>>();
    let mut listed = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = bob.get(&format!("{USERS}?sort=name&limit=200{cursor}")).is(200).body;
        listed.extend(page["items"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap().to_owned()));
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!((ids(&all), all.len()), (listed, 207));
    assert!(text.contains(",'=SUM(1),"), "formulas are escaped");

    let admins = bob.get(&format!("{USERS}?format=csv&role=admin&status=active&q=bob&locked=false")).is(200);
    let admins = lines(admins.body.as_str().unwrap()).len();
    assert_eq!(admins, 2, "the header and bob");
    let recorded = items(bob, "?action=export.users_taken");
    assert_eq!((recorded.len(), &recorded[0]["summary"]), (2, &json!("exported users as CSV")));
    let fields: Vec<(&str, &str)> = recorded[0]["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (it["field"].as_str().unwrap(), it["to"].as_str().unwrap()))
        .collect();
    let filters = [("role", "admin"), ("status", "active"), ("locked", "false"), ("text", "bob")];
    assert_eq!(fields, [&[("format", "csv")][..], &filters].concat());

    for wrong in
        ["format=pdf", "format=csv&limit=5", "format=csv&count=true", "format=csv&cursor=x", "format=csv&role=x"]
    {
        bob.get(&format!("{USERS}?{wrong}")).refused(422, "invalid-fields");
    }
    bob.get("/v1/organizations/current/api-keys?format=csv").refused(422, "invalid-fields");
    let dave = acme.join("dave", "Dave Dock", "agent");
    dave.get(&format!("{USERS}?format=csv")).refused(403, "forbidden");
    let eve = service.organization().await;
    eve.admin.get(&format!("/v1/organizations/{}/users?format=csv", acme.id)).refused(404, "organization-not-found");
    assert_eq!(items(bob, "?action=export.users_taken").len(), 2, "what is refused is not recorded as an export");
}

async fn organizations_are_exported_as_csv_by_super_admins(service: &'static SharedService) {
    let acme = service.organization().await;
    let ana = service.ana();
    let csv = ana.get("/v1/organizations?format=csv&status=active").is(200);
    let text = csv.body.as_str().unwrap();
    let lines = lines(text);
    assert!(lines[0].starts_with("id,name,domain,status,plan"), "{}", lines[0]);
    assert_eq!(lines.iter().filter(|line| line.starts_with(&format!("{},", acme.id))).count(), 1);
    let trail = ana.get("/v1/platform/audit-log?action=export.organizations_taken").is(200).body;
    let entry = &trail["items"][0];
    let change = |field: &str, to: &str| json!({"field": field, "to": to});
    assert_eq!(
        (&entry["summary"], &entry["changes"]),
        (&json!("exported organizations as CSV"), &json!([change("format", "csv"), change("status", "active")]))
    );
    acme.admin.get("/v1/organizations?format=csv").refused(403, "forbidden");
    let staff = ana.get("/v1/platform/super-admins?format=csv").is(200);
    assert!(staff.body.as_str().unwrap().contains(",ana@platform.example,"), "{staff:?}");
}
