//! Tickets as the platform's staff uses them: listed over all organizations, assigned, with internal notes.

use std::time::Duration;

use porttask_tests::{by, on_both_engines};
use serde_json::{Value, json};

use super::ticket::{TICKETS, open, thread};
use crate::{service::Caller, shared::SharedService};

on_both_engines!(
    staff_lists_the_tickets_of_all_organizations,
    a_ticket_is_assigned_to_a_super_admin,
    internal_notes_are_invisible_to_the_organization,
    what_staff_reads_of_tickets_is_recorded,
);

const ALL: &str = "/v1/tickets";

fn numbers(caller: &Caller<'_>, query: &str) -> Vec<(Value, Value)> {
    let listed = caller.get(&format!("{ALL}{query}")).is(200).body;
    let items = listed["items"].as_array().unwrap().iter();
    items.map(|ticket| (ticket["organization"].clone(), ticket["number"].clone())).collect()
}

async fn staff_lists_the_tickets_of_all_organizations(service: &'static SharedService) {
    let (acme, umbra) = (service.organization().await, service.organization().await);
    let ana = service.ana();
    let first = open(&acme.admin, "Quillfeather of Acme", "billing");
    open(&umbra.admin, "Quillfeather of Umbra", "support");
    acme.admin.post(&format!("{first}/escalate"), &json!({"reason": "urgent"})).is(200);
    // The read model includes what its reader did.
    for organization in [&acme, &umbra] {
        organization.admin.get(TICKETS).is(200);
    }
    let of = |id: &str| (json!(id), json!(1));
    // Other tests open tickets on the same service at the same time.
    let query = |rest: &str| {
        let all = numbers(&ana, &format!("?q=quillfeather&limit=200{rest}"));
        all.into_iter().filter(|it| [of(&acme.id), of(&umbra.id)].contains(it)).collect::<Vec<_>>()
    };
    assert_eq!(query(""), [of(&acme.id), of(&umbra.id)]);
    assert_eq!(query("&sort=opened_at"), [of(&acme.id), of(&umbra.id)]);
    assert_eq!(query("&escalated=true"), [of(&acme.id)]);
    assert_eq!(query("&kind=support&status=open"), [of(&umbra.id)]);
    assert_eq!(query(&format!("&organization={umbra}")), [of(&umbra.id)]);
    let shown = ana.get(&format!("{ALL}?organization={acme}&count=true")).is(200).body;
    assert_eq!((&shown["total"], &shown["items"][0]["organization_name"]), (&json!(1), &json!("Acme")));
    assert_eq!(shown["items"][0]["opened_by"]["name"], "Bob Fisher");
    assert_eq!(ana.get(&format!("{ALL}?organization=acme.example")).status, 422);
    let csv = ana.get(&format!("{ALL}?organization={acme}&format=csv")).is(200);
    let csv = csv.body.as_str().unwrap();
    assert!(csv.starts_with("\u{feff}organization,organization_name,id,number,") && csv.lines().count() == 2, "{csv}");
    assert!(csv.contains(&format!("{acme},Acme,tkt_")), "{csv}");
    for reader in [&acme.admin, &acme.join("ida", "Ida Lund", "agent")] {
        reader.get(ALL).refused(403, "forbidden");
    }
}

async fn a_ticket_is_assigned_to_a_super_admin(service: &'static SharedService) {
    let acme = service.organization().await;
    let ana = service.ana();
    let path = open(&acme.admin, "No invoice", "billing");
    let assign = format!("{path}/assign").replace("current", &acme.id);
    let to = |user: &Value| json!({"assignee": user});
    let ana_id = &ana.session["user"];
    for bad in
        [json!({}), to(&acme.admin.session["user"]), to(&json!("usr_00000000000000000000000042")), to(&json!("me"))]
    {
        let refused = ana.post(&assign, &bad).refused(422, "invalid-fields");
        assert_eq!(refused.body["errors"][0]["pointer"], "/assignee", "{refused:?}");
    }
    let assigned = ana.post(&assign, &to(ana_id)).is(200).body;
    assert_eq!((&assigned["events"], &assigned["undo"]["body"]), (&json!(["ticket.assigned"]), &to(&Value::Null)));
    assert_eq!(ana.post(&assign, &to(ana_id)).is(200).body["events"], json!([]));
    let query = format!("?organization={acme}&assignee={}", ana_id.as_str().unwrap());
    assert_eq!(numbers(&ana, &query).len(), 1);
    // The organization sees the number of the member of the staff, and no name.
    let shown = acme.admin.get(&path).is(200).body["assignee"].clone();
    assert_eq!((&shown["name"], shown["staff_number"].as_str().unwrap().len()), (&Value::Null, 9));
    acme.admin.post(&format!("{path}/assign"), &to(ana_id)).refused(403, "forbidden");
    assert_eq!(thread(&acme.admin, &path).len(), 1, "an assignment is no part of the thread");
    ana.post(&assign, &to(&Value::Null)).is(200);
    assert_eq!(ana.get(&path.replace("current", &acme.id)).is(200).body["assignee"], Value::Null);
}

async fn internal_notes_are_invisible_to_the_organization(service: &'static SharedService) {
    let acme = service.organization().await;
    let (bob, ana) = (&acme.admin, service.ana());
    let path = open(bob, "No invoice", "billing");
    let notes = format!("{path}/notes").replace("current", &acme.id);
    let log = "/v1/organizations/current/audit-log";
    let audit = |caller: &Caller<'_>| caller.get(&format!("{log}?limit=200&sort=recorded_at")).is(200).body;
    let before = bob.get(&path).is(200);
    let key = [("idempotency-key", "note")];
    let note = json!({"text": "They never pay.\nAsk for a deposit."});
    let added = ana.send("POST", &notes, &key, Some(&note)).is(201);
    assert!(added.header("location").ends_with(&format!("/notes/{}", added.id())), "{added:?}");
    assert_eq!(ana.send("POST", &notes, &key, Some(&note)).is(201).id(), added.id());
    ana.post(&notes, &json!({"text": ""})).refused(422, "invalid-fields");
    ana.post(&notes.replace(&acme.id, "org_00000000000000000000000042"), &note).refused(404, "organization-not-found");
    let unknown = format!("/v1/organizations/{acme}/tickets/tkt_00000000000000000000000042/notes");
    ana.post(&unknown, &note).refused(404, "ticket-not-found");
    ana.get(&unknown).refused(404, "ticket-not-found");
    let shown = ana.get(&notes).is(200).body;
    assert_eq!((&shown["items"][0]["text"], &shown["items"][0]["author"]), (&note["text"], &ana.session["user"]));
    assert_eq!(shown["items"].as_array().unwrap().len(), 1);

    // Nothing of the ticket has changed: neither its version, its counts nor its thread.
    let after = bob.get(&path).is(200);
    assert_eq!((after.header("etag"), &after.body), (before.header("etag"), &before.body));
    assert_eq!(thread(bob, &path).len(), 1);
    let reply = bob.post(&format!("{path}/reply"), &json!({"text": "Hello?"})).is(200);
    assert_eq!(reply.body["version"], 2, "no gap in the versions");
    for caller in [bob, &acme.join("eve", "Eve Auditor", "auditor")] {
        caller.get(&format!("{path}/notes")).refused(403, "forbidden");
        caller.post(&format!("{path}/notes"), &note).refused(403, "forbidden");
        let entries = audit(caller).to_string();
        assert!(
            !entries.contains("note.added") && !entries.contains("deposit") && !entries.contains("tnt_"),
            "{entries}"
        );
    }
    let export = bob.post(&format!("{log}/export"), &json!({"format": "json"})).is(200).body.to_string();
    assert!(!export.contains("ticket_note.") && !export.contains("deposit"), "{export}");
    let csv = bob.get(&format!("{TICKETS}?format=csv")).is(200).body.to_string();
    assert!(!csv.contains("deposit"), "{csv}");
    // The platform's own log has it, without telling who else reads.
    let trail = ana.get("/v1/platform/audit-log?action=ticket_note.added&limit=200").is(200).body;
    let of_ticket = trail["items"].as_array().unwrap().iter().filter(|entry| entry["target"]["id"] == added.id());
    assert_eq!(of_ticket.count(), 1, "{trail}");
    let mails = service.mails_with("deposit", 0);
    assert!(mails.is_empty(), "{mails:?}");
}

async fn what_staff_reads_of_tickets_is_recorded(service: &'static SharedService) {
    let acme = service.organization().await;
    let path = open(&acme.admin, "No invoice", "billing");
    acme.admin.get(&path).is(200);
    service.ana().get(&path.replace("current", &acme.id)).is(200);
    let log = "/v1/organizations/current/audit-log?action=staff_access.read&q=tickets";
    let reads = || acme.admin.get(log).is(200).body["items"].as_array().unwrap().clone();
    by(Duration::from_secs(10), "the read is recorded", async || !reads().is_empty()).await;
    assert_eq!(reads()[0]["summary"], "read tickets");
    let target = path.rsplit('/').next().unwrap();
    assert!(reads()[0]["changes"].to_string().contains(target), "{:?}", reads());
}
