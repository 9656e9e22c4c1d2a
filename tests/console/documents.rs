//! Documents: uploaded, downloaded and deleted in the browser.

use porttask_tests::on_both_engines;

use serde_json::json;

use crate::{browser::Browser, shared::SharedService};

on_both_engines!(a_document_is_uploaded_downloaded_and_deleted, a_document_is_uploaded_on_the_page_of_a_port_call);

const URL: &str = "/operations/documents";

async fn a_document_is_uploaded_downloaded_and_deleted(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = Browser::of(service, &acme.email("bob"));
    let page = bob.open(URL).shows("No document yet");
    let new = page.link("Upload");
    let form = bob.open(&new).form(&new);
    let page = bob.submit(&form.clone(), "Upload").is(422);
    assert!(page.main().contains("The document is empty."), "{}", page.main());
    let content = "name,email\r\nAna <b>,ana@acme.example\r\n".repeat(20_000);
    let page = bob.submit(&form.fill("file", &content), "Upload").is(200);
    assert!(page.url == URL && page.toast().contains("users.csv is uploaded."), "{}", page.toast());
    let download = page.link("users.csv");
    let file = bob.open(&download);
    assert_eq!((file.text == content, file.header("content-type")), (true, "text/csv"));
    assert!(file.header("content-disposition").starts_with("attachment; filename=\"users.csv\""), "{:?}", file.headers);
    let list = bob.open(&bob.open(URL).link("Export list"));
    assert!(list.text.contains("users.csv,stored,"), "{}", list.text);

    let delete = download.replace("/content", "/delete");
    let page = bob.open(&delete).shows("What will happen");
    let page = bob.submit(&page.form(&delete), "Delete").is(200).shows("No document yet");
    assert!(page.toast().contains("users.csv is deleted."), "{}", page.toast());
    bob.fetch(&download).is(404);
    acme.join("eve", "Eve Auditor", "auditor");
    let eve = Browser::of(service, &acme.email("eve"));
    eve.open(URL);
    eve.fetch(&new).is(403);
}

async fn a_document_is_uploaded_on_the_page_of_a_port_call(service: &'static SharedService) {
    let acme = service.organization().await;
    let call = json!({"port": {"unlocode": "BRSSZ"}, "vessel": "MSC Anna", "imo": "9074729",
        "eta": "2026-12-03T08:30", "etd": "2026-12-04T18:00"});
    let calls = "/v1/organizations/current/port-calls";
    let call = acme.admin.post(calls, &call).is(201).id().to_owned();
    let order =
        json!({"port_call": call, "service": "towage", "details": "Two tugs", "requested_at": "2026-12-03T08:30"});
    let order = acme.admin.post("/v1/organizations/current/service-orders", &order).is(201).id().to_owned();
    let bob = Browser::of(service, &acme.email("bob"));
    let upload = |url: &str| {
        let new = bob.open(url).shows("Documents").link("Upload");
        let page = bob.submit(&bob.open(&new).form(&new), "Upload").is(422);
        assert!(page.main().contains("The document is empty."), "{}", page.main());
        let page = bob.submit(&page.form(&new).fill("file", "a,b"), "Upload").is(200).shows("users.csv");
        assert!(page.url == url && page.toast().contains("users.csv is uploaded."), "{} {}", page.url, page.toast());
        new
    };
    let of_call = format!("/operations/port-calls/{call}");
    let new = upload(&of_call);
    let of_order = format!("/operations/service-orders/{order}");
    upload(&of_order);
    let page = bob.open(URL);
    assert_eq!((page.link("MSC Anna at Santos"), page.link("Towage for MSC Anna")), (of_call.clone(), of_order));
    let page = bob.open(&format!("{URL}?subject={call}")).shows("MSC Anna at Santos");
    assert!(!page.main().contains("Towage"), "{}", page.main());
    let list = bob.open(&page.link("Export list"));
    assert_eq!(list.text.lines().count(), 2, "{}", list.text);

    acme.join("eve", "Eve Reader", "read_only");
    let eve = Browser::of(service, &acme.email("eve"));
    let page = eve.open(&of_call).shows("users.csv");
    assert!(!page.main().contains("Upload"), "{}", page.main());
    // In the browser that reads afterwards: it sees its own changes at once.
    let run = |command: &str, button: &str| {
        let url = format!("{of_call}/{command}");
        bob.submit(&bob.open(&url).form(&url), button).is(200)
    };
    let page = run("cancel", "Cancel the port call").shows("users.csv");
    assert!(!page.main().contains("Upload"), "{}", page.main());
    let page = bob.submit(&bob.open(&new).form(&new).fill("file", "c,d"), "Upload").is(409);
    assert!(
        page.main().contains("the port call is canceled") || page.main().contains("The port call is canceled"),
        "{}",
        page.main()
    );
    run("delete", "Delete");
    bob.open(URL).shows("A deleted port call");
}
