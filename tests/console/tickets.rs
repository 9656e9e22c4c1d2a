//! Tickets: opened, answered by staff, escalated, resolved and reopened in the browser.

use porttask_tests::on_both_engines;

use crate::{browser::Browser, shared::SharedService};

on_both_engines!(a_ticket_is_opened_answered_and_resolved, staff_answers_with_notes_that_only_staff_sees);

const NEW: &str = "/settings/tickets/new";

async fn a_ticket_is_opened_answered_and_resolved(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = Browser::of(service, &acme.email("bob"));
    bob.open("/settings/tickets").shows("No ticket yet");
    let form = bob.open(NEW).form(NEW).fill("kind", "billing").fill("text", "None <b>since</b> May.");
    let page = bob.submit(&form, "Open ticket").is(422);
    assert!(!page.error_of("subject").is_empty(), "{}", page.main());
    assert_eq!(page.value_of("kind"), "billing", "what was entered is kept");
    let page = bob.submit(&page.form(NEW).fill("subject", "No invoice"), "Open ticket").is(200);
    assert!(page.url.starts_with("/settings/tickets/tkt_"), "{}", page.url);
    assert!(page.main().contains("#1 No invoice") && page.main().contains("None <b>since</b> May."), "{}", page.main());
    let url = page.url.clone();

    let page = bob.submit(&page.form(&format!("{url}/reply")).fill("text", "Anybody?"), "Reply").is(200);
    assert_eq!(page.url, url);
    assert!(page.main().contains("Anybody?") && page.toast().contains("Your reply is sent."), "{}", page.main());
    let escalate = format!("{url}/escalate");
    assert_eq!(page.link("Escalate…"), escalate);
    let page = bob.submit(&bob.open(&escalate).form(&escalate).fill("reason", " "), "Escalate").is(422);
    assert!(page.main().contains("to correct"), "{}", page.main());
    let page = bob.submit(&page.form(&escalate).fill("reason", "the bank asks"), "Escalate").is(200);
    assert!(page.main().contains("Escalated") && page.main().contains("Staff replies by"), "{}", page.main());
    assert!(!page.main().contains("Internal notes") && !page.main().contains("Assign…"), "{}", page.main());

    let resolve = format!("{url}/resolve");
    let page = bob.open(&resolve).shows("What will happen");
    let page = bob.submit(&page.form(&resolve), "Resolve").is(200).shows("Resolved");
    assert!(page.forms().iter().all(|form| form.action != format!("{url}/reply")), "{}", page.main());
    let page = bob.submit(&page.form("/undo"), "Undo").is(200);
    assert!(page.main().contains("reopened the ticket"), "{}", page.main());
    let list = bob.open("/settings/tickets?status=open&q=invoice").shows("#1 No invoice");
    let file = bob.open(&list.link("Export"));
    assert_eq!(file.header("content-disposition"), "attachment; filename=\"tickets.csv\"");
    bob.open("/settings/tickets?status=resolved").shows("Nothing matches");
}

async fn staff_answers_with_notes_that_only_staff_sees(service: &'static SharedService) {
    let acme = service.organization().await;
    let ticket = serde_json::json!({"kind": "support", "subject": "Zanzibar gate", "text": "It is closed."});
    let ticket = acme.admin.post("/v1/organizations/current/tickets", &ticket).is(201).id().to_owned();
    let (ana, bob) = (Browser::of(service, "ana@platform.example"), Browser::of(service, &acme.email("bob")));
    let url = format!("/admin/organizations/{acme}/tickets/{ticket}");
    let list = ana.open("/admin/tickets?q=zanzibar").shows("Zanzibar gate").shows("Acme");
    assert!(list.text.contains(&url), "{}", list.main());
    let page = ana.open(&url).shows("Internal notes");
    assert!(!page.main().contains("Escalate…"), "{}", page.main());
    let note = format!("{url}/note");
    let page = ana.submit(&ana.open(&note).form(&note).fill("text", "The guard sleeps."), "Add note").is(200);
    assert!(page.url == url && page.main().contains("The guard sleeps."), "{}", page.main());
    let assign = format!("{url}/assign");
    let staff = service.ana().session["user"].as_str().unwrap().to_owned();
    let form = ana.open(&assign).form(&assign).fill("assignee", &staff);
    let page = ana.submit(&form, "Assign").is(200).shows("Super Admin");
    ana.submit(&page.form(&format!("{url}/reply")).fill("text", "It opens at six."), "Reply").is(200);
    let page = bob.open(&format!("/settings/tickets/{ticket}")).shows("It opens at six.");
    assert!(page.main().contains("PortTask staff ") && !page.main().contains("guard"), "{}", page.main());
    assert!(!page.main().contains("Super Admin"), "{}", page.main());
    bob.fetch(&format!("/settings/tickets/{ticket}/note")).is(403);
    bob.fetch("/admin/tickets").is(403);
}
