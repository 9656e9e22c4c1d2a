//! Answers of vendors, with the link in their email.

use porttask_tests::on_both_engines;
use serde_json::{Value, json};

use super::service_order::{ORDERS, asked, tugs};
use crate::{service::Answer, shared::SharedService};

on_both_engines!(
    a_vendor_answers_with_the_link_in_the_email,
    whoever_is_responsible_gets_a_mail_on_each_answer,
    a_link_is_void_after_another_one_and_after_the_end_of_the_order,
    a_vendor_learns_that_another_one_was_asked_instead,
    wrong_answers_and_links_are_refused,
);

fn respond(service: &SharedService, token: &str, answer: &str) -> Answer {
    let body = json!({"token": token, "answer": answer, "remark": "tugs Alfa and Beta"});
    service.send("POST", "/v1/vendor-responses", &[], Some(&body))
}

fn inspect(service: &SharedService, token: &str) -> Value {
    service.send("POST", "/v1/links/inspect", &[], Some(&json!({"token": token}))).is(200).body
}

/// The tokens in the mails to an address, in the order of sending, once there are so many.
pub(super) fn tokens(service: &SharedService, email: &str, count: usize) -> Vec<String> {
    let mails = service.mails_with(&format!("<{email}>"), count);
    let link =
        |mail: &str| mail.lines().find_map(|line| Some(line.split_once("/vendor-response#token=")?.1.to_owned()));
    mails.iter().filter_map(|(_, mail)| link(mail)).map(|token| token.trim().to_owned()).collect()
}

async fn a_vendor_answers_with_the_link_in_the_email(service: &'static SharedService) {
    let acme = service.organization().await;
    let (path, _, email) = asked(&acme);
    let token = tokens(service, &email, 1).remove(0);
    let mail = service.mails_with(&format!("<{email}>"), 1).remove(0).1;
    for said in [
        "Subject: Order of towage for MSC Anna at Santos",
        "Hello Svitzer Santos,",
        "Acme asks you for towage.",
        "Needed: 3 December 2026 at 08:30 (America/Sao_Paulo)",
        "Price: 1250.00 EUR",
        "Two tugs",
    ] {
        assert!(mail.contains(said), "no {said} in {mail}");
    }
    let link = inspect(service, &token);
    assert_eq!((&link["purpose"], &link["state"]), (&json!("vendor_response"), &json!("valid")));
    let order = &link["service_order"];
    assert_eq!((&order["vessel"], &order["status"]), (&json!("MSC Anna"), &json!("assigned")));
    assert_eq!((&link["organization"]["name"], link.get("agent")), (&json!("Acme"), None));
    respond(service, &token, "completed").refused(409, "service-order-not-answerable");
    assert_eq!(respond(service, &token, "accepted").is(200).body, json!({"status": "accepted"}));
    assert_eq!(respond(service, &token, "accepted").is(200).body["status"], "accepted", "a repetition has no effect");
    respond(service, &token, "declined").refused(409, "service-order-not-answerable");
    let ours = acme.admin.post(&format!("{path}/start"), &json!({})).is(200);
    assert_eq!(ours.body["events"], json!(["service_order.started"]));
    respond(service, &token, "completed").is(200);
    // Whoever reads does not wait for what others did.
    let answers = || acme.admin.get(&path).is(200).body["answers"].as_array().unwrap().clone();
    porttask_tests::by(std::time::Duration::from_secs(20), "the answers", async || answers().len() == 2).await;
    let answers = answers();
    assert_eq!(answers[0]["by"], "vendor");
    assert_eq!(answers[0]["remark"], "tugs Alfa and Beta");
    let answered = |from: &str| {
        let listed = acme.admin.get(&format!("{ORDERS}?answered_from={from}")).is(200).body;
        listed["items"].as_array().unwrap().clone()
    };
    let last = answers[1]["answered_at"].as_str().unwrap();
    let listed = answered(last);
    assert_eq!((listed.len(), &listed[0]["answered_at"]), (1, &answers[1]["answered_at"]));
    assert_eq!(listed[0]["agent"], acme.admin.session["user"]);
    assert_eq!(answered("2999-01-01"), Vec::<Value>::new());
    assert_eq!(inspect(service, &token)["state"], "used");
    let log = acme.admin.get("/v1/organizations/current/audit-log?action=service_order.accepted").is(200).body;
    let entry = &log["items"][0];
    assert_eq!(entry["summary"], "the vendor accepted the service order");
    assert_eq!((&entry["actor"]["kind"], &entry["ip"]), (&json!("anonymous"), &json!("127.0.0.1")));
    assert!(!log.to_string().contains(&token[..40]) && !service.log().contains(&token[..40]));
}

async fn whoever_is_responsible_gets_a_mail_on_each_answer(service: &'static SharedService) {
    let acme = service.organization().await;
    let (path, call, email) = asked(&acme);
    let token = tokens(service, &email, 1).remove(0);
    respond(service, &token, "declined").is(200);
    let to_bob = format!("<{}>", acme.email("bob"));
    let subject = "Subject: Svitzer Santos has declined: towage for MSC Anna at Santos";
    let mail = service.mail_with(&[&to_bob, subject]);
    assert!(mail.contains("Remark: tugs Alfa and Beta") && mail.contains(&format!("/port-calls/{call}")), "{mail}");
    // What a user records himself is no news for him: the next mail to the vendor is there, and none to him.
    acme.admin.post(&format!("{path}/ask-again"), &json!({})).is(200);
    acme.admin.post(&format!("{path}/answer"), &json!({"answer": "accepted"})).is(200);
    acme.admin.post(&format!("{path}/cancel"), &json!({"remark": "not needed"})).is(200);
    let withdrawn = service.mails_with("Canceled: towage", 1);
    assert!(withdrawn.iter().all(|(_, mail)| !mail.contains(&to_bob)));
    // Of his invitation, which was accepted at once, there may be no mail.
    let to_bob = service.mails_with(&to_bob, 1);
    assert!(to_bob.iter().all(|(_, mail)| !mail.contains("has accepted")));
}

async fn a_link_is_void_after_another_one_and_after_the_end_of_the_order(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let (path, _, email) = asked(&acme);
    let first = tokens(service, &email, 1).remove(0);
    bob.post(&format!("{path}/ask-again"), &json!({})).is(200);
    let second = tokens(service, &email, 2).into_iter().find(|token| *token != first).unwrap();
    assert_eq!(inspect(service, &first)["state"], "replaced");
    respond(service, &first, "accepted").refused(409, "link-replaced");
    respond(service, &second, "accepted").is(200);
    bob.patch(&path, &json!({"details": "One tug"})).is(200);
    respond(service, &second, "completed").refused(409, "link-replaced");
    let third = tokens(service, &email, 3).into_iter().find(|token| ![&first, &second].contains(&token)).unwrap();
    assert_eq!(inspect(service, &third)["service_order"]["details"], "One tug");
    bob.post(&format!("{path}/cancel"), &json!({})).is(200);
    let link = inspect(service, &third);
    assert_eq!((&link["state"], link.get("service_order")), (&json!("revoked"), None));
    respond(service, &third, "accepted").refused(409, "link-revoked");
}

async fn a_vendor_learns_that_another_one_was_asked_instead(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let (path, _, email) = asked(&acme);
    let token = tokens(service, &email, 1).remove(0);
    respond(service, &token, "accepted").is(200);
    let other = tugs(bob, &acme.email("others"));
    bob.post(&format!("{path}/assign"), &json!({"vendor": other})).is(200);
    assert_eq!(tokens(service, &acme.email("others"), 1).len(), 1);
    let mails = service.mails_with(&format!("<{email}>"), 2);
    let withdrawn = mails.iter().find(|(_, mail)| mail.contains("Subject: Canceled: towage for MSC Anna at Santos"));
    assert!(withdrawn.is_some_and(|(_, mail)| !mail.contains("#token=") && !mail.contains("others")), "{mails:?}");
    assert_eq!(inspect(service, &token)["state"], "replaced");
    // Whoever has declined does not count on it, and nobody is told twice.
    let second = tokens(service, &acme.email("others"), 1).remove(0);
    respond(service, &second, "declined").is(200);
    let third = tugs(bob, &acme.email("third"));
    bob.post(&format!("{path}/assign"), &json!({"vendor": third})).is(200);
    assert_eq!(tokens(service, &acme.email("third"), 1).len(), 1);
    assert_eq!(service.mails_with(&format!("<{}>", acme.email("others")), 1).len(), 1);
}

async fn wrong_answers_and_links_are_refused(service: &'static SharedService) {
    let acme = service.organization().await;
    let (_, _, email) = asked(&acme);
    let token = tokens(service, &email, 1).remove(0);
    let send = |body: Value| service.send("POST", "/v1/vendor-responses", &[], Some(&body));
    for bad in ["", "x", &token[1..], &token[..token.len() - 3]] {
        respond(service, bad, "accepted").refused(403, "link-invalid");
    }
    send(json!({"token": token})).refused(422, "invalid-fields");
    send(json!({"token": token, "answer": "perhaps"})).refused(422, "invalid-fields");
    send(json!({"token": token, "answer": "accepted", "remark": "x".repeat(501)})).refused(422, "invalid-fields");
    // A link for something else.
    let user = acme.invite("cleo", "Cleo", "read_only");
    respond(service, &service.invitation(&acme.id, &user), "accepted").refused(403, "link-invalid");
    service.ana().post(&format!("/v1/organizations/{acme}/suspend"), &json!({"reason": "unpaid"})).is(200);
    respond(service, &token, "accepted").refused(409, "organization-suspended");
}
