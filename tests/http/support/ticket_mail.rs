//! Emails about tickets, and response targets that are missed.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use porttask_tests::{Store, by, on_both_engines};
use serde_json::{Value, json};

use super::ticket::{TICKETS, open, thread};
use crate::{
    mailbox::DataDirectory,
    openapi::PLATFORM,
    service::{ADMIN, Service, porttask},
    shared::SharedService,
};

on_both_engines!(
    whoever_opened_a_ticket_is_notified_of_replies_and_resolution,
    the_assignee_is_notified_of_replies_and_of_reopening,
    an_escalation_has_a_response_target_in_business_hours;
    waiting:
    a_missed_response_target_is_recorded_and_the_super_admins_notified,
);

/// How long emails may take.
const SOON: Duration = Duration::from_secs(20);

async fn whoever_opened_a_ticket_is_notified_of_replies_and_resolution(service: &'static SharedService) {
    let acme = service.organization().await;
    let ana = service.ana();
    let agent = acme.join("ida", "Ida Lund", "agent");
    let path = open(&agent, "No invoice since May", "billing");
    let id = path.rsplit('/').next().unwrap();
    // To the super admins.
    service.mail_with(&[&format!("/admin/organizations/{acme}/tickets/{id}"), "ana@platform.example", "#1"]);
    let of_acme = path.replace("current", &acme.id);
    agent.post(&format!("{path}/reply"), &json!({"text": "Anybody?"})).is(200);
    ana.post(&format!("{of_acme}/reply"), &json!({"text": "Attached, as of Tuesday."})).is(200);
    let to_opener = format!("/settings/tickets/{id}");
    let replied = &service.mails_with(&to_opener, 1)[0].1;
    assert!(replied.contains(&acme.email("ida")) && replied.contains("ticket #1"), "{replied}");
    assert!(replied.contains("answers to this mail are not read"), "{replied}");
    ana.post(&format!("{of_acme}/resolve"), &json!({})).is(200);
    let mails = service.mails_with(&to_opener, 2);
    assert_eq!(mails.len(), 2);
    assert!(mails.iter().any(|(_, mail)| mail.contains("is resolved")), "{mails:?}");
    for (_, mail) in &mails {
        assert!(!mail.contains("invoice") && !mail.contains("Tuesday") && !mail.contains("Anybody"), "{mail}");
    }
}

async fn the_assignee_is_notified_of_replies_and_of_reopening(service: &'static SharedService) {
    let (acme, umbra) = (service.organization().await, service.organization().await);
    let (bob, ana) = (&acme.admin, service.ana());
    let account = json!({"organization": umbra.id, "user": umbra.admin.session["user"]});
    let assignee = ana.post("/v1/platform/super-admins", &account).is(201).id().to_owned();
    service.accept(PLATFORM, &assignee).is(200);
    let path = open(bob, "Gate closed", "support");
    let of_acme = path.replace("current", &acme.id);
    let page = format!("/admin/organizations/{acme}/tickets/{}", path.rsplit('/').next().unwrap());
    let (of_ana, of_assignee) = ("<ana@platform.example>", umbra.email("bob"));
    let reply = |text: &str| bob.post(&format!("{path}/reply"), &json!({"text": text})).is(200);
    // While it is assigned to nobody, all super admins are.
    reply("Anybody?");
    for to in [of_ana, &of_assignee] {
        service.mail_with(&[&page, to, "Acme replied to support ticket #1"]);
    }
    ana.post(&format!("{of_acme}/assign"), &json!({"assignee": assignee})).is(200);
    bob.post(&format!("{path}/resolve"), &json!({})).is(200);
    bob.post(&format!("{path}/reopen"), &json!({})).is(200);
    service.mail_with(&[&page, &of_assignee, "Acme reopened support ticket #1"]);
    reply("Still closed.");
    let mails = |to: &str, text: &str| {
        let mails = service.mails_with(&page, 0).into_iter();
        mails.filter(|(_, mail)| mail.contains(to) && mail.contains(text)).count()
    };
    by(SOON, "the assignee is notified", async || mails(&of_assignee, "Acme replied to") == 2).await;
    assert_eq!((mails(of_ana, "Acme opened"), mails(of_ana, "")), (1, 2));
    // What staff does is told to whoever asks.
    ana.post(&format!("{of_acme}/reply"), &json!({"text": "We are on it."})).is(200);
    ana.post(&format!("{of_acme}/resolve"), &json!({})).is(200);
    ana.post(&format!("{of_acme}/reopen"), &json!({})).is(200);
    reply("Thank you.");
    by(SOON, "the assignee is notified", async || mails(&of_assignee, "Acme replied to") == 3).await;
    assert_eq!((mails(&of_assignee, "Acme reopened"), mails("", "Still closed")), (1, 0));
}

async fn an_escalation_has_a_response_target_in_business_hours(service: &'static SharedService) {
    let acme = service.organization().await;
    let (bob, ana) = (&acme.admin, service.ana());
    let all = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    let whole = json!([{"opens": "00:00", "closes": "24:00"}]);
    let days: serde_json::Map<String, Value> = all.iter().map(|day| ((*day).to_owned(), whole.clone())).collect();
    bob.patch("/v1/organizations/current", &json!({"business_hours": {"days": days}})).is(200);
    let path = open(bob, "Gate closed", "support");
    let of_acme = path.replace("current", &acme.id);
    let reason = json!({"reason": "The vessel sails today."});
    ana.post(&format!("{of_acme}/escalate"), &reason).refused(403, "ticket-escalation-by-staff");
    let before = Timestamp::now();
    let escalated = bob.post(&format!("{path}/escalate"), &reason).is(200).body;
    assert_eq!(escalated["events"], json!(["ticket.escalated"]));
    assert_eq!(bob.post(&format!("{path}/escalate"), &reason).is(200).body["events"], json!([]), "a repetition");
    bob.post(&format!("{path}/escalate"), &json!({"reason": "again"})).refused(409, "ticket-escalated");
    for caller in [bob, &ana] {
        let shown = caller.get(&of_acme).is(200).body;
        let due: Timestamp = shown["escalation"]["response_due_at"].as_str().unwrap().parse().unwrap();
        let (hours, minute) = (SignedDuration::from_hours(4), SignedDuration::from_mins(1));
        assert!((before + hours..before + hours + minute).contains(&due), "{shown}");
        assert_eq!((&shown["escalated"], &shown["escalation"]["responded_at"]), (&json!(true), &Value::Null));
    }
    let id = path.rsplit('/').next().unwrap();
    service.mail_with(&[&format!("/admin/organizations/{acme}/tickets/{id}"), "ana@platform.example", "escalated"]);
    assert_eq!(thread(bob, &path).last().unwrap(), &("escalated".to_owned(), json!("The vessel sails today.")));
    let timers = || {
        let timers = ana.get("/v1/platform/timers?limit=200").is(200).body;
        let own = timers["items"].as_array().unwrap().iter().filter(|timer| timer["organization"] == acme.id.as_str());
        own.filter(|timer| timer["kind"] == "ticket_response").count()
    };
    by(SOON, "the timer is set", async || timers() == 1).await;
    ana.post(&format!("{of_acme}/reply"), &json!({"text": "We are on it."})).is(200);
    let shown = ana.get(&of_acme).is(200).body;
    assert!(shown["escalation"]["responded_at"].is_string() && shown["escalated"] == true, "{shown}");
    assert_eq!((&shown["escalation"]["response_missed"], timers()), (&json!(false), 0));
    bob.post(&format!("{path}/escalate"), &json!({"reason": "again"})).is(200);
    bob.post(&format!("{path}/resolve"), &json!({})).is(200);
    assert_eq!(bob.get(&path).is(200).body["escalated"], false);
    by(SOON, "the timer is cleared", async || timers() == 0).await;
    bob.post(&format!("{path}/escalate"), &reason).refused(409, "ticket-resolved");
}

async fn a_missed_response_target_is_recorded_and_the_super_admins_notified(store: Store) {
    let run = |arguments: &[&str]| {
        let output = porttask(&store, arguments).envs(ADMIN).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    run(&["init", "--simulated"]);
    let data = DataDirectory::of(&store);
    let hours = ("PORTTASK_TICKET_RESPONSE_HOURS", "2");
    let service = Service::start_with(&store, &[&ADMIN[..], &[data.variable(), hours]].concat());
    let (acme, bob) = service.found(&store, "acme.example").await;
    let path = open(&bob, "Gate closed", "support");
    bob.post(&format!("{path}/escalate"), &json!({"reason": "The vessel sails today."})).is(200);
    let due = bob.get(&path).is(200).body["escalation"]["response_due_at"].as_str().unwrap().to_owned();
    run(&["clock", "advance", "7d"]);
    // Sessions have ended.
    let of_acme = path.replace("current", &acme);
    by(SOON, "the target is missed", async || {
        let shown = service.ana().get(&of_acme);
        shown.status == 200 && shown.body["escalation"]["response_missed"] == true
    })
    .await;
    let bob = service.sign_in("bob@acme.example");
    let shown = bob.get(&path).is(200).body;
    assert_eq!((&shown["escalation"]["response_due_at"], &shown["escalated"]), (&json!(due), &json!(true)));
    assert_eq!(thread(&bob, &path).last().unwrap(), &("response_missed".to_owned(), Value::Null));
    let log = bob.get("/v1/organizations/current/audit-log?action=ticket.response_missed").is(200).body;
    assert_eq!(log["items"].as_array().unwrap().len(), 1, "{log}");
    assert_eq!(log["items"][0]["actor"]["kind"], "system");
    let id = path.rsplit('/').next().unwrap();
    let mails = data.mails_with(&format!("/admin/organizations/{acme}/tickets/{id}"), 3);
    assert!(
        mails.iter().any(|(_, mail)| mail.contains("in time") && mail.contains("ana@platform.example")),
        "{mails:?}"
    );
    // A late reply answers the escalation, and it stays missed.
    service.ana().post(&format!("{of_acme}/reply"), &json!({"text": "Sorry."})).is(200);
    let has_responded = async || {
        let shown = bob.get(&path).is(200).body["escalation"].clone();
        assert_eq!(shown["response_missed"], true, "{shown}");
        shown["responded_at"].is_string()
    };
    by(SOON, "the reply is shown", has_responded).await;
    assert_eq!(bob.get(TICKETS).is(200).body["items"].as_array().unwrap().len(), 1);
}
