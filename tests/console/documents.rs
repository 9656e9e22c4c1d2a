//! Documents: uploaded, downloaded and deleted in the browser.

use porttask_tests::on_both_engines;

use crate::{browser::Browser, shared::SharedService};

on_both_engines!(a_document_is_uploaded_downloaded_and_deleted);

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
