//! Tickets of users who are deactivated.

use std::time::Duration;

use porttask_tests::{by, on_both_engines};
use serde_json::{Value, json};

use super::ticket::{TICKETS, open, thread};
use crate::{
    service::Caller,
    shared::{Organization, SharedService},
};

on_both_engines!(
    open_tickets_are_handed_over_when_their_requester_is_deactivated,
    tickets_are_handed_over_only_to_somebody_who_may_write_them,
    tickets_stay_with_the_user_unless_they_are_handed_over,
);

/// How long read models and emails may take.
const SOON: Duration = Duration::from_secs(20);

fn user(caller: &Caller<'_>) -> String {
    caller.session["user"].as_str().unwrap().to_owned()
}

fn deactivation(acme: &Organization<'_>, caller: &Caller<'_>) -> String {
    format!("/v1/organizations/{acme}/users/{}/deactivate", user(caller))
}

fn hand_overs(acme: &Organization<'_>) -> Vec<Value> {
    let log = acme.admin.get("/v1/organizations/current/audit-log?action=ticket.handed_over").is(200).body;
    log["items"].as_array().unwrap().clone()
}

async fn open_tickets_are_handed_over_when_their_requester_is_deactivated(service: &'static SharedService) {
    let (acme, ana) = (service.organization().await, service.ana());
    let (cleo, dana) = (acme.join("cleo", "Cleo Tanaka", "agent"), acme.join("dana", "Dana Petrova", "agent"));
    let first = open(&cleo, "No invoice since May", "billing");
    let resolved = open(&cleo, "Old question", "support");
    cleo.post(&format!("{resolved}/resolve"), &json!({})).is(200);
    // The admin sees what happened before their own change.
    let of_bob = open(&acme.admin, "Gate closed", "support");
    let id = first.rsplit('/').next().unwrap();
    let (path, body) = (deactivation(&acme, &cleo), json!({"hand_over_to": user(&dana)}));
    let dry = acme.admin.post(&format!("{path}?dry_run=true"), &body).is(200).body;
    assert_eq!((&dry["open_tickets"], &dry["handed_over_to"]), (&json!([id]), &json!(user(&dana))));
    assert_eq!(hand_overs(&acme), [Value::Null; 0]);
    assert_eq!(acme.admin.post(&path, &body).is(200).body["open_tickets"], json!([id]));

    let shown = |path: &str| dana.get(path).is(200).body;
    by(SOON, "the ticket is handed over", async || shown(&first)["requester"]["id"] == user(&dana).as_str()).await;
    assert_eq!(shown(&first)["requester"]["name"], "Dana Petrova");
    assert_eq!(shown(&first)["opened_by"]["id"], user(&cleo).as_str());
    assert_eq!(shown(&resolved)["requester"]["id"], user(&cleo).as_str(), "what is resolved stays");
    assert_eq!(shown(&of_bob)["requester"], shown(&of_bob)["opened_by"]);
    assert_eq!(thread(&dana, &first).last().unwrap(), &("handed_over".to_owned(), Value::Null));
    let last = dana.get(&format!("{first}/entries?sort=-version")).is(200).body["items"][0].clone();
    assert_eq!(last["author"]["name"], "Dana Petrova");
    let entries = hand_overs(&acme);
    assert_eq!(entries[0]["summary"], "handed over the ticket to another user");
    let expected = json!([{"field": "requester", "from": user(&cleo), "to": user(&dana)}]);
    assert_eq!((entries.len(), &entries[0]["changes"]), (1, &expected));
    assert_eq!(entries[0]["actor"]["name"], "Bob Fisher");

    // Emails go to the new requester.
    let of_acme = first.replace("current", &acme.id);
    ana.post(&format!("{of_acme}/reply"), &json!({"text": "Attached."})).is(200);
    let replied = service.mail_with(&[&format!("/settings/tickets/{id}"), "ticket #1"]);
    assert!(replied.contains(&acme.email("dana")) && !replied.contains(&acme.email("cleo")), "{replied}");
    dana.post(&format!("{first}/reply"), &json!({"text": "Thank you."})).is(200);
    // A repetition changes nothing.
    let again = acme.admin.post(&path, &body).is(200).body;
    assert_eq!((&again["events"], &again["open_tickets"]), (&json!([]), &json!([])));
    assert_eq!(hand_overs(&acme).len(), 1);
    let csv = dana.get(&format!("{TICKETS}?format=csv&q=invoice")).is(200);
    let line = csv.body.as_str().unwrap().lines().nth(1).unwrap().to_owned();
    assert!(line.contains(",Cleo Tanaka,") && line.ends_with(",Dana Petrova"), "{line}");
}

async fn tickets_are_handed_over_only_to_somebody_who_may_write_them(service: &'static SharedService) {
    let acme = service.organization().await;
    let (cleo, dana) = (acme.join("cleo", "Cleo Tanaka", "agent"), acme.join("dana", "Dana Petrova", "agent"));
    let of_dana = format!("/v1/organizations/current/users/{}", user(&dana));
    let (path, body) = (deactivation(&acme, &cleo), json!({"hand_over_to": user(&dana)}));
    acme.admin.patch(&of_dana, &json!({"permissions": {"tickets": "none"}})).is(200);
    acme.admin.post(&format!("{path}?dry_run=true"), &body).is(200);
    let ticket = open(&cleo, "No invoice", "billing");
    // The list from which they are handed over is a moment behind.
    let is_listed = || acme.admin.get(TICKETS).is(200).body["items"].as_array().is_some_and(|items| !items.is_empty());
    by(SOON, "the ticket is listed", async || is_listed()).await;
    for access in ["none", "read"] {
        acme.admin.patch(&of_dana, &json!({"permissions": {"tickets": access}})).is(200);
        for query in ["?dry_run=true", ""] {
            let refused = acme.admin.post(&format!("{path}{query}"), &body).refused(422, "invalid-fields").body;
            let error = &refused["errors"][0];
            let detail = error["detail"].as_str().unwrap();
            assert!(error["pointer"] == "/hand_over_to" && detail.contains("`tickets:write`"), "{refused}");
            assert!(detail.contains("1 open ticket"), "{detail}");
        }
    }
    assert_eq!(acme.admin.get(&of_dana.replace(&user(&dana), &user(&cleo))).is(200).body["status"], "active");
    acme.admin.patch(&of_dana, &json!({"permissions": {"tickets": "write"}})).is(200);
    acme.admin.post(&path, &body).is(200);
    by(SOON, "the ticket is handed over", async || {
        dana.get(&ticket).is(200).body["requester"]["id"] == user(&dana).as_str()
    })
    .await;
}

async fn tickets_stay_with_the_user_unless_they_are_handed_over(service: &'static SharedService) {
    let acme = service.organization().await;
    let (cleo, dana) = (acme.join("cleo", "Cleo Tanaka", "agent"), acme.join("dana", "Dana Petrova", "agent"));
    let (ticket, path) = (open(&cleo, "No invoice", "billing"), deactivation(&acme, &cleo));
    let id = ticket.rsplit('/').next().unwrap();
    let stays = async || {
        acme.admin.post(&format!("{path}?dry_run=true"), &json!({})).is(200).body["open_tickets"] == json!([id])
    };
    by(SOON, "the ticket is listed", stays).await;
    acme.admin.post(&path, &json!({})).is(200);
    assert_eq!(dana.get(&ticket).is(200).body["requester"]["id"], user(&cleo).as_str());
    // A later request with a successor hands over what was left, though the user is deactivated already.
    let late = acme.admin.post(&path, &json!({"hand_over_to": user(&dana)})).is(200).body;
    assert_eq!((&late["events"], &late["open_tickets"]), (&json!([]), &json!([id])));
    by(SOON, "the ticket is handed over", async || {
        dana.get(&ticket).is(200).body["requester"]["id"] == user(&dana).as_str()
    })
    .await;
}
