//! Port calls in the console: created, changed, brought from status to status, imported.

use porttask_tests::on_both_engines;
use serde_json::json;

use crate::{browser::Browser, shared::SharedService};

on_both_engines!(
    a_port_call_is_created_with_a_port_that_is_found,
    a_port_call_goes_from_status_to_status,
    a_changed_port_call_is_not_overwritten_silently,
    a_file_is_tried_and_then_imported,
);

const URL: &str = "/operations/port-calls";

fn anna() -> serde_json::Value {
    json!({"port": {"unlocode": "BRSSZ"}, "vessel": "MSC Anna", "imo": "9074729",
        "eta": "2026-12-03T08:30", "etd": "2026-12-04T18:00"})
}

async fn a_port_call_is_created_with_a_port_that_is_found(service: &'static SharedService) {
    let acme = service.organization().await;
    acme.join("ida", "Ida Lund", "agent");
    let ida = Browser::of(service, &acme.email("ida"));
    let page = ida.open(URL).shows("No port call yet");
    let page = ida.open(&page.link("New port call"));
    let new = format!("{URL}/new");
    let form = page.form(&new).fill("find", "santos brazil").fill("vessel", "MSC Anna").fill("imo", "9074728");
    let page = ida.submit(&form, "Find").is(200);
    assert_eq!(page.value_of("vessel"), "MSC Anna", "what was entered stays");
    let form = page.form(&new).fill("port", "BRSSZ").fill("eta", "2026-12-03T08:30").fill("etd", "2026-12-04T18:00");
    let page = ida.submit(&form, "Create").is(422);
    assert!(page.error_of("imo").contains("last digit"), "{}", page.main());
    let page = ida.submit(&page.form(&new).fill("imo", "9074729"), "Create").is(200);
    let page = page.shows("Santos, Brazil").shows("3 Dec 2026, 08:30 -03").shows("Ida Lund").shows("Planned");
    assert!(page.toast().contains("The port call of MSC Anna is created."), "{}", page.toast());
    ida.open(&format!("{URL}?q=9074729")).shows("MSC Anna").shows("3 Dec 2026, 08:30 -03");
    ida.open(&format!("{URL}?eta_from=2026-12-03&eta_until=2026-12-03")).shows("MSC Anna");
    ida.open(&format!("{URL}?phase=finished")).shows("Nothing matches");
    let csv = ida.fetch(&format!("{URL}/export?phase=expected")).is(200);
    assert!(csv.text.contains(",MSC Anna,9074729,"), "{}", csv.text);

    // A code needs no search, and a port that the list does not have is described.
    let times = [("vessel", "Boreas"), ("imo", "9176187"), ("eta", "2026-12-05T06:00"), ("etd", "2026-12-06T06:00")];
    let filled = || times.iter().fold(ida.open(&new).form(&new), |form, (name, value)| form.fill(name, value));
    ida.submit(&filled().fill("find", "ptlis"), "Create").is(200).shows("Lisboa, Portugal");
    let page = ida.submit(&filled().fill("unlocode", "XXQQQ"), "Create").is(422);
    assert!(page.error_of("port_name").contains("required"), "{}", page.main());
    let page = ida.submit(&filled(), "Create").is(422);
    assert!(page.error_of("port").contains("required"), "{}", page.main());
}

async fn a_port_call_goes_from_status_to_status(service: &'static SharedService) {
    let acme = service.organization().await;
    let id = acme.admin.post("/v1/organizations/current/port-calls", &anna()).is(201).id().to_owned();
    let bob = Browser::of(service, &acme.email("bob"));
    let url = format!("{URL}/{id}");
    let command = |page: &crate::browser::Page, link: &str, button: &str| {
        let dialog = bob.open(&page.link(link));
        bob.submit(&dialog.form(&dialog.url), button)
    };
    let page = command(&bob.open(&url), "Confirmed…", "Set the status").is(200);
    assert!(page.toast().contains("MSC Anna: Confirmed."), "{}", page.toast());
    let dialog = bob.open(&page.link("Arrived…"));
    let form = dialog.form(&dialog.url).fill("occurred_at", "2099-01-01T08:00");
    let refused = bob.submit(&form, "Set the status").is(422);
    assert!(refused.main().contains("in the future"), "{}", refused.main());
    let form = refused.form(&dialog.url).fill("occurred_at", "").fill("remark", "at anchor");
    let page = bob.submit(&form, "Set the status").is(200).shows("at anchor").shows("Alongside…");
    let page = command(&page, "Take back…", "Take back").is(200).shows("Arrived…");
    let page = command(&page, "Cancel it…", "Cancel the port call").is(200).shows("Canceled");
    assert!(!page.main().contains("Change"), "{}", page.main());
    let page = command(&page, "Reopen…", "Reopen").is(200).shows("Arrived…");
    let page = command(&page, "Delete…", "Delete").is(200);
    assert_eq!(page.url, URL);
    page.shows("No port call yet");
    // An agent neither reopens nor deletes what is confirmed.
    let id = acme.admin.post("/v1/organizations/current/port-calls", &anna()).is(201).id().to_owned();
    acme.join("ida", "Ida Lund", "agent");
    let ida = Browser::of(service, &acme.email("ida"));
    let url = format!("{URL}/{id}");
    let dialog = ida.open(&format!("{url}/status"));
    let page = ida.submit(&dialog.form(&dialog.url), "Set the status").is(200);
    assert!(!page.main().contains("Delete…"), "{}", page.main());
    ida.get(&format!("{url}/delete")).is(409).shows("cancel it first");
    ida.get(&format!("{url}/reopen")).is(403);
}

async fn a_changed_port_call_is_not_overwritten_silently(service: &'static SharedService) {
    let acme = service.organization().await;
    let created = acme.admin.post("/v1/organizations/current/port-calls", &anna()).is(201);
    let path = format!("/v1/organizations/current/port-calls/{}", created.id());
    let bob = Browser::of(service, &acme.email("bob"));
    let url = format!("{URL}/{}/edit", created.id());
    let page = bob.open(&url);
    assert_eq!(page.value_of("eta"), "2026-12-03T08:30");
    assert_eq!(page.value_of("port"), "BRSSZ");
    acme.admin.patch(&path, &json!({"voyage": "NX648R"})).is(200);
    // The page reads what the listing shows by now.
    acme.admin.get(&path).is(200);
    let form = page.form(&url).fill("vessel", "MSC Anita").fill("eta", "2026-12-03T09:45");
    let page = bob.submit(&form, "Save").is(412).shows("Somebody else changed this in the meantime");
    assert_eq!(page.value_of("vessel"), "MSC Anita");
    let page = bob.submit(&page.form(&url).fill("voyage", "NX649N"), "Save").is(200).shows("MSC Anita").shows("NX649N");
    // Times of the port, with which two can be compared.
    page.shows("3 Dec 2026, 08:30 -03 → 3 Dec 2026, 09:45 -03");
    let shown = acme.admin.get(&path).is(200).body;
    assert_eq!((&shown["eta"], &shown["etd"]), (&json!("2026-12-03T12:45:00Z"), &json!("2026-12-04T21:00:00Z")));
    let page = bob.submit(&bob.open(&url).form(&url).fill("imo", "1"), "Save").is(422);
    assert!(page.error_of("imo").contains("seven digits"), "{}", page.main());
    // Once it is confirmed, its port is fixed.
    acme.admin.post(&format!("{path}/status"), &json!({"status": "confirmed"})).is(200);
    acme.admin.get(&path).is(200);
    assert!(bob.open(&url).form(&url).fields.iter().all(|field| field.name != "port"));
}

async fn a_file_is_tried_and_then_imported(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = Browser::of(service, &acme.email("bob"));
    let url = format!("{URL}/import");
    let file = "reference,vessel,imo,port,eta,etd\n\
        A-1,MSC Anna,9074729,BRSSZ,2026-12-03 08:30,2026-12-04 18:00\n\
        A-2,MSC Anna,9074728,BRSSZ,2026-12-03 08:30,2026-12-04 18:00\n";
    let form = bob.open(&url).form(&url).fill("file", file);
    let page = bob.submit(&form, "Dry run").is(200).shows("Dry run: nothing was recorded");
    let page = page.shows("Imo: is no IMO number");
    assert!(page.document.all("a").all(|link| link.text != "Open"), "{}", page.main());
    let page = bob.submit(&form, "Import").is(200).shows("Created1").shows("Rejected1");
    bob.open(&page.link("Open")).shows("MSC Anna at Santos").shows("A-1");
    let page = bob.submit(&bob.open(&url).form(&url).fill("file", "name,email\n"), "Import").is(422);
    page.shows("The header has unknown columns");
}
