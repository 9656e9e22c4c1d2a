//! Tickets as organizations use them: opened, replied to, resolved, listed, and who may.

use porttask_tests::on_both_engines;
use serde_json::{Value, json};

use crate::{service::Caller, shared::SharedService};

on_both_engines!(
    a_ticket_is_opened_answered_resolved_and_reopened,
    all_faults_of_a_ticket_are_reported_at_once,
    tickets_that_are_opened_at_once_get_all_numbers,
    tickets_are_listed_searched_filtered_and_exported,
    tickets_belong_to_an_organization_and_low_roles_only_read,
    access_to_tickets_is_a_permission_group_of_users_and_keys,
    the_audit_log_shows_what_happened_to_a_ticket_and_no_text,
);

pub(super) const TICKETS: &str = "/v1/organizations/current/tickets";

pub(super) fn question(subject: &str, kind: &str) -> Value {
    json!({"kind": kind, "subject": subject, "text": "The last one is of April.\n\nWhere are the others?"})
}

/// Opens a ticket; its path.
pub(super) fn open(caller: &Caller<'_>, subject: &str, kind: &str) -> String {
    let opened = caller.post(TICKETS, &question(subject, kind)).is(201);
    assert!(opened.header("location").ends_with(opened.id()), "{opened:?}");
    format!("{TICKETS}/{}", opened.id())
}

/// The kinds of the entries of a ticket, with their texts.
pub(super) fn thread(caller: &Caller<'_>, path: &str) -> Vec<(String, Value)> {
    let entries = caller.get(&format!("{path}/entries")).is(200).body;
    let entries = entries["items"].as_array().unwrap().iter();
    entries.map(|entry| (entry["kind"].as_str().unwrap().to_owned(), entry["text"].clone())).collect()
}

async fn a_ticket_is_opened_answered_resolved_and_reopened(service: &'static SharedService) {
    let acme = service.organization().await;
    let (bob, ana) = (&acme.admin, service.ana());
    let path = open(bob, "No invoice since May", "billing");
    let shown = bob.get(&path).is(200);
    assert_eq!((shown.header("etag"), &shown.body["number"]), ("\"1\"", &json!(1)));
    assert_eq!((&shown.body["status"], &shown.body["kind"]), (&json!("open"), &json!("billing")));
    assert_eq!((&shown.body["subject"], &shown.body["messages"]), (&json!("No invoice since May"), &json!(1)));
    let opened_by =
        json!({"id": bob.session["user"], "side": "organization", "name": "Bob Fisher", "staff_number": null});
    assert_eq!(shown.body["opened_by"], opened_by);

    let of_acme = path.replace("current", &acme.id);
    let reply = json!({"text": "They are attached."});
    let key = [("idempotency-key", "once")];
    assert_eq!(
        ana.send("POST", &format!("{of_acme}/reply"), &key, Some(&reply)).is(200).body["events"],
        json!(["ticket.replied"])
    );
    let repeated = ana.send("POST", &format!("{of_acme}/reply"), &key, Some(&reply)).is(200);
    assert_eq!(repeated.body["repeated"], true);
    bob.post(&format!("{path}/reply"), &json!({"text": "  Thank you.\r\nBob "})).is(200);
    let entries = bob.get(&format!("{path}/entries")).is(200).body["items"].clone();
    let authors: Vec<&Value> = entries.as_array().unwrap().iter().map(|entry| &entry["author"]["name"]).collect();
    assert_eq!(authors, [&json!("Bob Fisher"), &Value::Null, &json!("Bob Fisher")]);
    let staff = &entries[1]["author"];
    assert_eq!((&staff["side"], staff["staff_number"].as_str().unwrap().len()), (&json!("staff"), 9));
    assert_eq!(entries[2]["text"], "Thank you.\nBob");

    let resolved = bob.post(&format!("{path}/resolve"), &json!({})).is(200);
    assert_eq!(resolved.body["undo"]["path"], format!("{of_acme}/reopen").replace("current", &acme.id));
    bob.post(&format!("{path}/reply"), &reply).refused(409, "ticket-resolved");
    assert_eq!(bob.post(&format!("{path}/resolve"), &json!({})).is(200).body["events"], json!([]));
    let shown = bob.get(&path).is(200).body;
    assert!(shown["resolved_at"].is_string() && shown["status"] == "resolved" && shown["messages"] == 3, "{shown}");
    ana.post(&format!("{of_acme}/reopen"), &json!({})).is(200);
    let kinds: Vec<String> = thread(&ana, &of_acme).into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, ["opened", "reply", "reply", "resolved", "reopened"]);
    bob.send("POST", &format!("{path}/resolve"), &[("if-match", "\"1\"")], Some(&json!({}))).refused(412, "outdated");
    let dry = bob.post(&format!("{path}/resolve?dry_run=true"), &json!({})).is(200).body;
    assert_eq!((&dry["events"], &bob.get(&path).body["status"]), (&json!(["ticket.resolved"]), &json!("open")));
}

async fn all_faults_of_a_ticket_are_reported_at_once(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let bad = json!({"kind": "praise", "subject": "two\nlines", "text": "", "number": 7});
    let refused = bob.post(TICKETS, &bad).refused(422, "invalid-fields");
    let errors = refused.body["errors"].as_array().unwrap();
    let mut pointers: Vec<&str> = errors.iter().map(|error| error["pointer"].as_str().unwrap()).collect();
    pointers.sort_unstable();
    assert_eq!(pointers, ["/kind", "/number", "/subject", "/text"], "{refused:?}");
    let path = open(bob, "No invoice", "billing");
    for (command, bad) in [
        ("reply", json!({})),
        ("reply", json!({"text": "x".repeat(10_001)})),
        ("reply", json!({"text": "\u{202e}"})),
        ("escalate", json!({"reason": ""})),
        ("escalate", json!({"reason": "urgent", "response_due_at": "2026-01-01T00:00:00Z"})),
        ("resolve", json!({"text": "done"})),
    ] {
        assert_eq!(bob.post(&format!("{path}/{command}"), &bad).status, 422, "{command} {bad}");
    }
    for bad in ["status=gone", "kind=praise", "escalated=maybe", "sort=subject", "assignee=x", "format=pdf"] {
        assert_eq!(bob.get(&format!("{TICKETS}?{bad}")).status, 422, "{bad}");
    }
    assert_eq!(bob.get(&format!("{path}/entries?kind=reply")).status, 422);
    let unknown = format!("{TICKETS}/tkt_00000000000000000000000042");
    for path in [&unknown, &format!("{unknown}/entries"), &format!("{TICKETS}/invoice")] {
        bob.get(path).refused(404, "ticket-not-found");
    }
    bob.post(&format!("{unknown}/reply"), &json!({"text": "Hello"})).refused(404, "ticket-not-found");
    assert_eq!(bob.get(TICKETS).is(200).body["items"].as_array().unwrap().len(), 1);
}

async fn tickets_that_are_opened_at_once_get_all_numbers(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    std::thread::scope(|scope| {
        for number in 0..16 {
            scope.spawn(move || open(bob, &format!("Question {number}"), "support"));
        }
    });
    let listed = bob.get(&format!("{TICKETS}?sort=number")).is(200).body;
    let numbers: Vec<u64> =
        listed["items"].as_array().unwrap().iter().map(|ticket| ticket["number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=16).collect::<Vec<u64>>());
    // Another organization begins with 1.
    let umbra = service.organization().await;
    let path = open(&umbra.admin, "Question", "support");
    assert_eq!(umbra.admin.get(&path).is(200).body["number"], 1);
    // A dry run takes no number, and a repetition none of its own.
    let key = [("idempotency-key", "one")];
    umbra.admin.post(&format!("{TICKETS}?dry_run=true"), &question("Tried", "support")).is(200);
    let first = umbra.admin.send("POST", TICKETS, &key, Some(&question("Second", "support"))).is(201);
    let again = umbra.admin.send("POST", TICKETS, &key, Some(&question("Second", "support")));
    assert_eq!((first.id(), again.status), (again.id(), 201));
    let listed = umbra.admin.get(&format!("{TICKETS}?sort=-number")).is(200).body;
    assert_eq!((&listed["items"][0]["number"], &listed["items"][0]["subject"]), (&json!(2), &json!("Second")));
}

async fn tickets_are_listed_searched_filtered_and_exported(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let first = open(bob, "=Fatura não paga", "billing");
    let second = open(bob, "Password of Carol", "support");
    open(bob, "Invoice of June", "billing");
    bob.post(&format!("{first}/reply"), &json!({"text": "And?"})).is(200);
    bob.post(&format!("{first}/escalate"), &json!({"reason": "the bank asks"})).is(200);
    bob.post(&format!("{second}/resolve"), &json!({})).is(200);
    for (query, expected) in [
        ("", &[2, 1, 3][..]),
        ("?sort=number", &[1, 2, 3]),
        ("?sort=-number&limit=2", &[3, 2]),
        ("?status=resolved", &[2]),
        ("?status=open&kind=billing", &[1, 3]),
        ("?escalated=true", &[1]),
        ("?escalated=false", &[2, 3]),
        ("?q=nao", &[1]),
        ("?q=invoice", &[3]),
        ("?q=And", &[]),
    ] {
        let listed = bob.get(&format!("{TICKETS}{query}")).is(200).body;
        let numbers: Vec<u64> =
            listed["items"].as_array().unwrap().iter().map(|it| it["number"].as_u64().unwrap()).collect();
        assert_eq!(numbers, expected, "{query}");
    }
    assert_eq!(bob.get(&format!("{TICKETS}?count=true&kind=billing&limit=1")).is(200).body["total"], 2);
    let page = bob.get(&format!("{first}/entries?limit=2")).is(200).body;
    let next = page["next_cursor"].as_str().unwrap();
    let rest = bob.get(&format!("{first}/entries?limit=2&cursor={next}")).is(200).body;
    assert_eq!((&rest["items"][0]["kind"], rest.get("next_cursor")), (&json!("escalated"), None));
    // A cursor of one ticket is none of another.
    bob.get(&format!("{second}/entries?limit=2&cursor={next}")).refused(422, "invalid-fields");

    let csv = bob.get(&format!("{TICKETS}?format=csv&kind=billing&sort=number")).is(200);
    assert!(csv.header("content-disposition").contains("tickets-"), "{csv:?}");
    let lines: Vec<&str> = csv.body.as_str().unwrap().lines().collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[0].starts_with("\u{feff}id,number,kind,subject,status,opened_by"), "{lines:?}");
    assert!(lines[1].contains(",1,billing,'=Fatura não paga,open,Bob Fisher,"), "{lines:?}");
    let log = bob.get("/v1/organizations/current/audit-log?action=export.tickets_taken").is(200).body;
    assert_eq!(log["items"][0]["summary"], "exported tickets as CSV");
    let changes = json!([{"field": "format", "to": "csv"}, {"field": "kind", "to": "billing"}]);
    assert_eq!(log["items"][0]["changes"], changes);
}

async fn tickets_belong_to_an_organization_and_low_roles_only_read(service: &'static SharedService) {
    let (acme, umbra) = (service.organization().await, service.organization().await);
    let path = open(&acme.admin, "No invoice", "billing");
    umbra.admin.get(&path.replace("current", &acme.id)).refused(404, "organization-not-found");
    for (method, rest) in
        [("GET", ""), ("GET", "/entries"), ("POST", "/reply"), ("POST", "/escalate"), ("POST", "/resolve")]
    {
        let body = match rest {
            "/reply" => json!({"text": "Mine"}),
            "/escalate" => json!({"reason": "mine"}),
            _ => json!({}),
        };
        let body = (method == "POST").then_some(&body);
        umbra.admin.send(method, &format!("{path}{rest}"), &[], body).refused(404, "ticket-not-found");
    }
    assert_eq!(umbra.admin.get(TICKETS).is(200).body["items"], json!([]));
    let agent = acme.join("ida", "Ida Lund", "agent");
    agent.post(&format!("{path}/reply"), &json!({"text": "Me too"})).is(200);
    for role in ["read_only", "auditor"] {
        let reader = acme.join(&role.replace('_', "-"), "Cleo Reader", role);
        assert_eq!(reader.get(&path).is(200).body["messages"], 2);
        assert_eq!(thread(&reader, &path).len(), 2);
        reader.post(TICKETS, &question("Mine", "support")).refused(403, "forbidden");
        for command in ["reply", "escalate", "resolve", "reopen", "assign", "notes"] {
            reader.post(&format!("{path}/{command}"), &json!({})).refused(403, "forbidden");
        }
    }
}

async fn access_to_tickets_is_a_permission_group_of_users_and_keys(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let path = open(bob, "No invoice", "billing");
    let agent = acme.join("ida", "Ida Lund", "agent");
    let user = format!("/v1/organizations/current/users/{}", agent.session["user"].as_str().unwrap());
    bob.patch(&user, &json!({"permissions": {"tickets": "read"}})).is(200);
    agent.get(&path).is(200);
    agent.post(&format!("{path}/reply"), &json!({"text": "Hi"})).refused(403, "forbidden");
    bob.patch(&user, &json!({"permissions": {"tickets": "none"}})).is(200);
    agent.get(&path).refused(403, "forbidden");
    agent.get(TICKETS).refused(403, "forbidden");

    let key = |tickets: &str| {
        let permissions = json!({"tickets": tickets, "invoices": "none", "reports": "none", "administration": "none"});
        let body = json!({"name": format!("robot {tickets}"), "permissions": permissions});
        service.with_token(&bob.post("/v1/organizations/current/api-keys", &body).is(201).body["token"])
    };
    let (writer, reader, none) = (key("write"), key("read"), key("none"));
    writer.post(&format!("{path}/reply"), &json!({"text": "From a program"})).is(200);
    assert_eq!(thread(&writer, &path).last().unwrap().1, "From a program");
    assert_eq!(thread(&reader, &path).len(), 2);
    reader.post(&format!("{path}/reply"), &json!({"text": "Hi"})).refused(403, "forbidden");
    none.get(&path).refused(403, "forbidden");
    for key in [&writer, &reader] {
        key.get(&format!("{path}/notes")).refused(403, "forbidden");
        key.get("/v1/tickets").refused(403, "forbidden");
    }
    let scopes = json!({"name": "crm", "scopes": ["organizations:write", "users:write"]});
    let crm = service.ana().post("/v1/organizations/current/api-keys", &scopes).is(201);
    let crm = service.with_token(&crm.body["token"]);
    crm.get(&path.replace("current", &acme.id)).refused(403, "forbidden");
}

async fn the_audit_log_shows_what_happened_to_a_ticket_and_no_text(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let path = open(bob, "No invoice", "billing");
    bob.post(&format!("{path}/reply"), &json!({"text": "Secret of the house"})).is(200);
    bob.post(&format!("{path}/escalate"), &json!({"reason": "because of the bank"})).is(200);
    bob.post(&format!("{path}/resolve"), &json!({})).is(200);
    bob.post(&format!("{path}/reopen"), &json!({})).is(200);
    let target = path.rsplit('/').next().unwrap();
    let log = bob.get(&format!("/v1/organizations/current/audit-log?target={target}")).is(200);
    let entries = log.body["items"].as_array().unwrap();
    let summaries: Vec<&str> = entries.iter().map(|entry| entry["summary"].as_str().unwrap()).collect();
    let expected = [
        "reopened the ticket",
        "resolved the ticket",
        "escalated the ticket",
        "replied to the ticket",
        "numbered the ticket 1",
        "opened the billing ticket 1",
    ];
    assert_eq!(summaries, expected);
    let text = log.body.to_string();
    assert!(!text.contains("Secret") && !text.contains("bank") && !text.contains("April"), "{text}");
    assert_eq!(entries[5]["changes"][2], json!({"field": "subject", "to": "No invoice"}));
}
