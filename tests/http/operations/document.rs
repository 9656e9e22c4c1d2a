//! Documents: uploaded, listed, downloaded whole and in part, deleted, and who may.

use porttask_tests::on_both_engines;
use serde_json::{Value, json};
use ureq::http;

use crate::{
    service::{Answer, Caller},
    shared::SharedService,
};

on_both_engines!(
    a_document_is_uploaded_downloaded_and_deleted,
    the_type_and_the_name_are_judged_by_the_service,
    uploads_that_are_not_acceptable_are_refused,
    a_part_of_a_document_is_downloaded,
    an_upload_is_repeated_with_its_key,
    documents_are_listed_searched_sorted_and_exported,
    documents_belong_to_an_organization_and_low_roles_only_read,
    the_audit_log_shows_uploads_and_downloads,
);

pub(super) const DOCUMENTS: &str = "/v1/organizations/current/documents";
const HELLO: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
const BINARY: (&str, &str) = ("content-type", "application/octet-stream");

pub(super) fn upload(caller: &Caller<'_>, name: &str, content: impl AsRef<[u8]>) -> Answer {
    let name: String = form_urlencoded::byte_serialize(name.as_bytes()).collect();
    caller.upload(&format!("{DOCUMENTS}?name={name}"), &[BINARY], content)
}

/// Uploads a document; its path.
fn stored(caller: &Caller<'_>, name: &str, content: impl AsRef<[u8]>) -> String {
    let uploaded = upload(caller, name, content).is(201);
    assert!(uploaded.header("location").ends_with(uploaded.id()), "{uploaded:?}");
    format!("{DOCUMENTS}/{}", uploaded.id())
}

/// Downloads a document.
fn download(
    service: &SharedService,
    caller: &Caller<'_>,
    path: &str,
    headers: &[(&str, &str)],
) -> http::Response<Vec<u8>> {
    let mut request = http::Request::builder().method("GET").uri(service.url(&format!("{path}/content")));
    request = request.header("authorization", caller.authorization());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    service.exchange(request.body(Vec::new()).unwrap()).unwrap()
}

fn header<'a>(response: &'a http::Response<Vec<u8>>, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

async fn a_document_is_uploaded_downloaded_and_deleted(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let uploaded = upload(bob, "Crew \"list\" é.txt", "hello").is(201);
    assert_eq!((&uploaded.body["sha256"], &uploaded.body["bytes"]), (&json!(HELLO), &json!(5)));
    assert_eq!(
        (&uploaded.body["name"], &uploaded.body["content_type"]),
        (&json!("Crew _list_ é.txt"), &json!("text/plain"))
    );
    assert!(!uploaded.header("porttask-position").is_empty(), "{uploaded:?}");
    let path = format!("{DOCUMENTS}/{}", uploaded.id());
    let shown = bob.get(&path).is(200);
    assert_eq!((shown.header("etag"), &shown.body["status"]), ("\"2\"", &json!("stored")));
    assert_eq!((&shown.body["uploaded_by"], &shown.body["sha256"]), (&bob.session["user"], &json!(HELLO)));

    let content = download(service, bob, &path, &[]);
    assert_eq!((content.status().as_u16(), &content.body()[..]), (200, &b"hello"[..]));
    for (name, value) in [
        ("content-type", "text/plain"),
        ("content-length", "5"),
        ("etag", &format!("\"{HELLO}\"")),
        ("accept-ranges", "bytes"),
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", "sandbox; default-src 'none'"),
        (
            "content-disposition",
            "attachment; filename=\"Crew _list_ _.txt\"; filename*=UTF-8''Crew%20_list_%20%C3%A9.txt",
        ),
    ] {
        assert_eq!(header(&content, name), value, "{name}");
    }
    let known = download(service, bob, &path, &[("if-none-match", &format!("\"x\", \"{HELLO}\""))]);
    assert_eq!((known.status().as_u16(), known.body().len()), (304, 0));

    let dry = bob.delete(&format!("{path}?dry_run=true")).is(200);
    assert_eq!(dry.body["events"], json!(["document.deleted"]));
    bob.send("DELETE", &path, &[("if-match", "\"1\"")], None).refused(412, "outdated");
    bob.delete(&path).is(200);
    assert_eq!(bob.delete(&path).is(200).body["events"], json!([]), "a repetition");
    bob.get(&path).refused(404, "document-not-found");
    assert_eq!(download(service, bob, &path, &[]).status().as_u16(), 404);
    assert_eq!(bob.get(DOCUMENTS).is(200).body["items"], json!([]));
}

async fn the_type_and_the_name_are_judged_by_the_service(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    for (name, content, kept, kind) in [
        ("../../etc/passwd", &b"%PDF-1.7 ..."[..], "passwd", "application/pdf"),
        ("a\u{202e}fdp.exe", b"MZ\x90\x00\x03", "afdp.exe", "application/octet-stream"),
        ("page.html", b"<script>alert(1)</script>", "page.html", "text/plain"),
        ("crew.CSV", b"name,email\r\n", "crew.CSV", "text/csv"),
        ("", b"\x89PNG\r\n\x1a\n0000", "document", "image/png"),
    ] {
        let uploaded = upload(bob, name, content).is(201).body;
        assert_eq!((&uploaded["name"], &uploaded["content_type"]), (&json!(kept), &json!(kind)));
    }
    let named = [BINARY, ("content-disposition", "attachment; filename=\"x\"; filename*=UTF-8''%E2%82%AC.pdf")];
    assert_eq!(bob.upload(DOCUMENTS, &named, "%PDF-1.4").is(201).body["name"], "€.pdf");
    let lie = [("content-type", "application/pdf")];
    assert_eq!(bob.upload(DOCUMENTS, &lie, "hello").is(201).body["content_type"], "text/plain");
    // Parts of a large file arrive one after the other.
    let large: Vec<u8> = (0..2_000_000_u32).flat_map(u32::to_le_bytes).collect();
    let path = stored(bob, "large.bin", &large);
    assert_eq!(download(service, bob, &path, &[]).body(), &large);
}

async fn uploads_that_are_not_acceptable_are_refused(service: &'static SharedService) {
    use std::io::{Read, Write};
    let acme = service.organization().await;
    let bob = &acme.admin;
    bob.upload(DOCUMENTS, &[BINARY], "").refused(422, "document-empty");
    bob.upload(DOCUMENTS, &[BINARY, ("if-match", "3")], "hello").refused(422, "invalid-fields");
    bob.upload(DOCUMENTS, &[BINARY, ("if-match", "\"3\"")], "hello").refused(412, "outdated");
    bob.upload(&format!("{DOCUMENTS}?title=x"), &[BINARY], "hello").refused(422, "invalid-fields");
    let send = |head: &str, body: &[u8], is_cut: bool| {
        let mut stream = std::net::TcpStream::connect(service.address()).unwrap();
        let authorization = bob.authorization();
        let start =
            format!("POST {DOCUMENTS} HTTP/1.1\r\nhost: x\r\nauthorization: {authorization}\r\nconnection: close\r\n");
        stream.write_all(format!("{start}{head}\r\n\r\n").as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        if is_cut {
            return String::new();
        }
        let mut answer = Vec::new();
        _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    };
    let chunked = send("transfer-encoding: chunked", b"5\r\nhello\r\n0\r\n\r\n", false);
    assert!(chunked.starts_with("HTTP/1.1 411 ") && chunked.contains("length-required"), "{chunked}");
    let large = send(&format!("content-length: {}", 100 * 1024 * 1024 + 1), b"", false);
    assert!(large.starts_with("HTTP/1.1 413 ") && large.contains("body-too-large"), "{large}");
    // The client goes before it has sent everything.
    send("content-length: 10", b"hello", true);
    let failed = async || {
        let log = bob.get("/v1/organizations/current/audit-log?action=document.upload_failed").is(200).body;
        log["items"].as_array().unwrap().len() == 1
    };
    porttask_tests::by(std::time::Duration::from_secs(10), "the upload fails", failed).await;
    assert_eq!(bob.get(DOCUMENTS).is(200).body["items"], json!([]));
}

async fn a_part_of_a_document_is_downloaded(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let path = stored(bob, "digits.txt", "0123456789");
    for (range, status, content, place) in [
        ("bytes=0-3", 206, "0123", "bytes 0-3/10"),
        ("bytes=7-", 206, "789", "bytes 7-9/10"),
        ("bytes=-2", 206, "89", "bytes 8-9/10"),
        ("bytes=8-99", 206, "89", "bytes 8-9/10"),
        ("bytes=0-1,4-5", 200, "0123456789", ""),
        ("lines=1-2", 200, "0123456789", ""),
    ] {
        let part = download(service, bob, &path, &[("range", range)]);
        let found = (part.status().as_u16(), std::str::from_utf8(part.body()).unwrap(), header(&part, "content-range"));
        assert_eq!(found, (status, content, place), "{range}");
        assert_eq!(header(&part, "content-length"), content.len().to_string());
    }
    for range in ["bytes=10-", "bytes=-0", "bytes=99-100"] {
        let refused = download(service, bob, &path, &[("range", range)]);
        assert_eq!((refused.status().as_u16(), header(&refused, "content-range")), (416, "bytes */10"), "{range}");
    }
    let other = download(service, bob, &path, &[("range", "bytes=0-3"), ("if-range", "\"former\"")]);
    assert_eq!((other.status().as_u16(), other.body().len()), (200, 10));
}

async fn an_upload_is_repeated_with_its_key(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let send =
        |content: &str| bob.upload(&format!("{DOCUMENTS}?name=a.txt"), &[BINARY, ("idempotency-key", "one")], content);
    let first = send("hello").is(201);
    let again = send("hello").is(201);
    assert_eq!((first.id(), &first.body["repeated"]), (again.id(), &json!(false)));
    assert_eq!(again.body["repeated"], true);
    send("other").refused(409, "document-exists");
    send("longer than that").refused(409, "document-exists");
    assert_eq!(bob.get(DOCUMENTS).is(200).body["items"].as_array().unwrap().len(), 1);
    let path = format!("{DOCUMENTS}/{}", first.id());
    assert_eq!(download(service, bob, &path, &[]).body(), b"hello");
    // What failed is tried again.
    let retried = [BINARY, ("idempotency-key", "two")];
    bob.upload(&format!("{DOCUMENTS}?name=c.txt"), &retried, "").refused(422, "document-empty");
    assert_eq!(bob.upload(&format!("{DOCUMENTS}?name=c.txt"), &retried, "there").is(201).body["repeated"], false);
    // The same content of another document is kept until both are deleted.
    let second = stored(bob, "b.txt", "hello");
    bob.delete(&path).is(200);
    assert_eq!(download(service, bob, &second, &[]).body(), b"hello");
}

async fn documents_are_listed_searched_sorted_and_exported(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    for (name, content) in [("Órdenes.txt", "ab"), ("=crew.csv", "a,b,c"), ("Manifest.pdf", "%PDF-1.7")] {
        stored(bob, name, content);
    }
    for (query, expected) in [
        ("", &["=crew.csv", "Manifest.pdf", "Órdenes.txt"][..]),
        ("?sort=-bytes", &["Manifest.pdf", "=crew.csv", "Órdenes.txt"]),
        ("?sort=created_at&limit=1", &["Órdenes.txt"]),
        ("?q=ordenes", &["Órdenes.txt"]),
        ("?content_type=application/pdf", &["Manifest.pdf"]),
        ("?status=uploading", &[]),
    ] {
        let listed = bob.get(&format!("{DOCUMENTS}{query}")).is(200).body;
        let names: Vec<&str> =
            listed["items"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
        assert_eq!(names, expected, "{query}");
    }
    for bad in ["status=gone", "content_type=text/html", "sort=sha256", "colour=red"] {
        assert_eq!(bob.get(&format!("{DOCUMENTS}?{bad}")).status, 422, "{bad}");
    }
    let csv = bob.get(&format!("{DOCUMENTS}?format=csv&q=crew")).is(200);
    let lines: Vec<&str> = csv.body.as_str().unwrap().lines().collect();
    assert!(lines[0].starts_with("\u{feff}id,name,status,bytes,sha256,content_type"), "{lines:?}");
    assert!(lines.len() == 2 && lines[1].contains(",'=crew.csv,stored,5,"), "{lines:?}");
    let log = bob.get("/v1/organizations/current/audit-log?action=export.documents_taken").is(200).body;
    assert_eq!(log["items"][0]["summary"], "exported documents as CSV");
}

async fn documents_belong_to_an_organization_and_low_roles_only_read(service: &'static SharedService) {
    let (acme, umbra) = (service.organization().await, service.organization().await);
    let path = stored(&acme.admin, "crew.txt", "hello");
    let foreign = path.replace("current", &acme.id);
    umbra.admin.get(&foreign).refused(404, "organization-not-found");
    for path in [&path, &format!("{path}/content")] {
        umbra.admin.get(path).refused(404, "document-not-found");
    }
    umbra.admin.delete(&path).refused(404, "document-not-found");
    // The hash of a content of another organization leads to nothing.
    assert_eq!(umbra.admin.get(DOCUMENTS).is(200).body["items"], json!([]));
    let agent = acme.join("ida", "Ida Lund", "agent");
    let own = stored(&agent, "own.txt", "own");
    agent.delete(&own).is(200);
    for role in ["read_only", "auditor"] {
        let reader = acme.join(&role.replace('_', "-"), "Cleo Reader", role);
        assert_eq!(download(service, &reader, &path, &[]).body(), b"hello");
        upload(&reader, "mine.txt", "mine").refused(403, "forbidden");
        reader.delete(&path).refused(403, "forbidden");
    }
    let ana = service.ana();
    assert_eq!(download(service, &ana, &foreign, &[]).body(), b"hello");
    let log = "/v1/organizations/current/audit-log?action=staff_access.read&q=documents";
    let is_recorded = async || acme.admin.get(log).is(200).body["items"][0]["summary"] == "read documents";
    porttask_tests::by(std::time::Duration::from_secs(10), "the read is recorded", is_recorded).await;
}

async fn the_audit_log_shows_uploads_and_downloads(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let path = stored(bob, "crew.txt", "hello");
    for _ in 0..3 {
        download(service, bob, &path, &[]);
        download(service, bob, &path, &[("range", "bytes=1-2")]);
    }
    bob.delete(&path).is(200);
    let log = bob.get("/v1/organizations/current/audit-log?action=document").is(200).body;
    let entries = log["items"].as_array().unwrap();
    let summaries: Vec<&str> = entries.iter().map(|entry| entry["summary"].as_str().unwrap()).collect();
    // The hour may end between two downloads.
    let mut once = summaries.clone();
    once.dedup();
    let expected = [
        "deleted the document",
        "downloaded the document",
        "stored the uploaded document",
        "started to upload the document crew.txt",
    ];
    assert_eq!(once, expected);
    assert!(summaries.len() <= 5, "{summaries:?}");
    let name = entries.last().unwrap()["changes"].as_array().unwrap().iter().find(|it| it["field"] == "name");
    assert_eq!(name.map(|it| it["to"].clone()), Some(Value::from("crew.txt")));
}
