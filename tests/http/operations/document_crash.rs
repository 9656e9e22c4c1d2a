//! What an upload leaves when the service is killed, and what is deleted of it.

use std::{
    fs::{self, OpenOptions},
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, SystemTime},
};

use porttask_domain::{OrganizationId, operations::document::STORAGE_BYTES};
use porttask_tests::{Node, Store, by, on_both_engines, signal, value_of};
use serde_json::json;

use super::document::{DOCUMENTS, upload};
use crate::service::{ADMIN, Service, porttask};

on_both_engines!(
    ; waiting:
    a_service_that_is_killed_in_an_upload_leaves_neither_bytes_nor_files,
    a_retry_outlives_the_stalled_upload_that_it_repeats,
    contents_are_swept_when_no_document_refers_to_them,
    a_node_that_may_have_a_folder_of_its_own_does_not_start_beside_another,
);

const SOON: Duration = Duration::from_secs(30);
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// A service with a folder of its own, which starts again under the same name.
struct Start<'a> {
    store: &'a Store,
    folder: tempfile::TempDir,
}

impl<'a> Start<'a> {
    fn of(store: &'a Store) -> Self {
        Self { store, folder: tempfile::tempdir().unwrap() }
    }

    fn service(&self) -> Service {
        let folder = ("PORTTASK_BLOBS", self.folder.path().to_str().unwrap());
        Service::start_with(self.store, &[&ADMIN[..], &[folder, ("PORTTASK_NODE_NAME", "one")]].concat())
    }

    /// The files in the folder.
    fn files(&self) -> Vec<PathBuf> {
        let (mut folders, mut files) = (vec![self.folder.path().to_owned()], Vec::new());
        while let Some(folder) = folders.pop() {
            for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
                if path.is_dir() { folders.push(path) } else { files.push(path) }
            }
        }
        files
    }
}

fn make_old(path: &Path) {
    let file = OpenOptions::new().write(true).open(path).unwrap();
    file.set_modified(SystemTime::now() - 2 * DAY).unwrap();
}

fn run(store: &Store, arguments: &[&str]) {
    let output = porttask(store, arguments).envs(ADMIN).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The bytes that an organization claims.
async fn claimed(store: &Store, organization: &str) -> i64 {
    let organization: OrganizationId = organization.parse().unwrap();
    let node = Node::on(store).await;
    value_of(&*node.log, organization, STORAGE_BYTES).await
}

async fn a_service_that_is_killed_in_an_upload_leaves_neither_bytes_nor_files(store: Store) {
    run(&store, &["init", "--simulated"]);
    let start = Start::of(&store);
    let mut service = start.service();
    let (acme, bob) = service.found(&store, "acme.example").await;
    upload(&bob, "kept.txt", "kept").is(201);
    let mut stream = TcpStream::connect(service.address()).unwrap();
    let head = format!(
        "POST {DOCUMENTS}?name=half.bin HTTP/1.1\r\nhost: x\r\nauthorization: {}\r\ncontent-length: 1000000\r\n\r\n",
        bob.authorization()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&[7; 600_000]).unwrap();
    let is_uploading = async || {
        let listed = bob.get(&format!("{DOCUMENTS}?status=uploading")).is(200).body;
        listed["items"].as_array().unwrap().len() == 1 && start.files().len() == 2
    };
    by(SOON, "the upload begins", is_uploading).await;
    signal(service.pid(), libc::SIGKILL);
    assert!(!service.wait());
    drop(stream);
    assert_eq!(start.files().len(), 2, "the kept one, and a half");

    let service = start.service();
    let bob = service.sign_in("bob@acme.example");
    let listed = bob.get(&format!("{DOCUMENTS}?status=uploading")).is(200).body;
    assert_eq!(listed["items"][0]["name"], "half.bin");
    let half = format!("{DOCUMENTS}/{}", listed["items"][0]["id"].as_str().unwrap());
    bob.delete(&half).refused(409, "document-uploading");
    run(&store, &["clock", "advance", "2h"]);
    // Sessions have ended.
    let is_over = async || service.sign_in("bob@acme.example").get(&half).status == 404;
    by(SOON, "the upload expires", is_over).await;
    let bob = service.sign_in("bob@acme.example");
    let log = bob.get("/v1/organizations/current/audit-log?action=document.upload_failed").is(200).body;
    assert_eq!((log["items"].as_array().unwrap().len(), &log["items"][0]["actor"]["kind"]), (1, &json!("system")));
    // What is young stays: it may belong to an upload in progress.
    assert_eq!(start.files().len(), 2);
    start.files().iter().for_each(|path| make_old(path));
    drop(service);
    assert_eq!(claimed(&store, &acme).await, 4);
    let service = start.service();
    by(SOON, "what is left is deleted", async || start.files().len() == 1).await;
    let bob = service.sign_in("bob@acme.example");
    let listed = bob.get(DOCUMENTS).is(200).body;
    let kept = format!("{DOCUMENTS}/{}/content", listed["items"][0]["id"].as_str().unwrap());
    assert_eq!(bob.get(&kept).is(200).body, "kept");
    run(&store, &["constraints", "verify"]);
}

async fn a_retry_outlives_the_stalled_upload_that_it_repeats(store: Store) {
    let patience = [("PORTTASK_REQUEST_TIMEOUT_SECONDS", "6")];
    let service = Service::start_with(&store, &[&ADMIN[..], &patience].concat());
    let (acme, bob) = service.found(&store, "acme.example").await;
    let begin = || {
        let mut stream = TcpStream::connect(service.address()).unwrap();
        let head = format!(
            "POST {DOCUMENTS}?name=a.txt HTTP/1.1\r\nhost: x\r\nauthorization: {}\r\nidempotency-key: one\r\n\
             content-length: 1000\r\nconnection: close\r\n\r\n",
            bob.authorization()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream
    };
    let answer = |mut stream: TcpStream| {
        let mut answer = Vec::new();
        _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    };
    let events = |name: &str| {
        let log = bob.get(&format!("/v1/organizations/current/audit-log?action=document.{name}")).is(200).body;
        log["items"].as_array().unwrap().len()
    };
    let stalled = begin();
    by(SOON, "the upload begins", async || events("upload_started") == 1).await;
    let mut retry = begin();
    by(SOON, "the retry begins", async || events("upload_started") == 2).await;
    let stalled = std::thread::spawn(move || answer(stalled));
    let mut sent = 0;
    while !stalled.is_finished() {
        retry.write_all(b"x").unwrap();
        sent += 1;
        std::thread::sleep(Duration::from_millis(100));
    }
    let stalled = stalled.join().unwrap();
    assert!(stalled.starts_with("HTTP/1.1 408 ") && stalled.contains("body-timeout"), "{stalled}");
    retry.write_all(&vec![b'x'; 1_000 - sent]).unwrap();
    let retried = answer(retry);
    assert!(retried.starts_with("HTTP/1.1 201 ") && retried.contains("\"repeated\":false"), "{retried}");
    assert_eq!((events("upload_failed"), events("stored")), (0, 1));
    drop(service);
    assert_eq!(claimed(&store, &acme).await, 1_000, "the bytes are claimed once");
    run(&store, &["constraints", "verify"]);
}

async fn contents_are_swept_when_no_document_refers_to_them(store: Store) {
    let start = Start::of(&store);
    let service = start.service();
    let (_, bob) = service.found(&store, "acme.example").await;
    let [first, second, gone] = [("a.txt", "same"), ("b.txt", "same"), ("c.txt", "gone")]
        .map(|(name, content)| format!("{DOCUMENTS}/{}", upload(&bob, name, content).is(201).id()));
    assert_eq!(start.files().len(), 2, "the same content is stored once");
    bob.delete(&first).is(200);
    bob.delete(&gone).is(200);
    // A folder of an organization that this log does not have is left alone.
    let foreign = start.folder.path().join("org_00000000000000000000000042").join("aa");
    fs::create_dir_all(&foreign).unwrap();
    fs::write(foreign.join("a".repeat(64)), "foreign").unwrap();
    start.files().iter().for_each(|path| make_old(path));
    drop(service);
    let service = start.service();
    by(SOON, "the content is deleted", async || start.files().len() == 2).await;
    let bob = service.sign_in("bob@acme.example");
    assert_eq!(bob.get(&format!("{second}/content")).is(200).body, "same");
    assert!(foreign.join("a".repeat(64)).exists());
    // A content that is gone although a document refers to it is no answer.
    let files = start.files();
    let path = files.iter().find(|path| !path.starts_with(&foreign)).unwrap();
    fs::remove_file(path).unwrap();
    bob.get(&format!("{second}/content")).refused(503, "unavailable");
}

async fn a_node_that_may_have_a_folder_of_its_own_does_not_start_beside_another(store: Store) {
    if store.engine() == porttask_tests::Engine::Sqlite {
        // All nodes of an embedded log have the folder beside it.
        let service = Service::start(&store);
        let (_, bob) = service.found(&store, "acme.example").await;
        upload(&bob, "a.txt", "hello").is(201);
        let folder = Path::new(store.place()).join("blobs");
        assert_eq!(fs::read_dir(folder).unwrap().count(), 2);
        return;
    }
    let start = |shared: &'static str| {
        let variables = [("PORTTASK_NODE_NAME", "one"), ("PORTTASK_BLOBS_SHARED", shared)];
        Service::start_with(&store, &[&ADMIN[..], &variables].concat())
    };
    let stop = |mut service: Service| {
        signal(service.pid(), libc::SIGTERM);
        assert!(service.wait());
    };
    let serve = |variables: &[(&str, &str)]| {
        let mut command = porttask(&store, &["serve", "--listen", "127.0.0.1:0"]);
        command.envs(variables.iter().copied());
        let output = command.output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    for (running, starting, which) in [("true", "false", "this one"), ("false", "true", "that one")] {
        let service = start(running);
        let refused = serve(&[("PORTTASK_NODE_NAME", "two"), ("PORTTASK_BLOBS_SHARED", starting)]);
        assert!(refused.contains("another node (one)") && refused.contains("PORTTASK_BLOBS_SHARED"), "{refused}");
        assert!(refused.contains(which), "{refused}");
        let nodes = porttask(&store, &["nodes", "list"]).output().unwrap();
        let nodes = String::from_utf8(nodes.stdout).unwrap();
        assert!(nodes.starts_with("one ") && nodes.lines().count() == 1, "{nodes}");
        stop(service);
    }
    let unnamed = serve(&[("PORTTASK_BLOBS", "")]);
    assert!(unnamed.contains("set PORTTASK_BLOBS"), "{unnamed}");
    // Of two that start at the same time, at most one serves.
    let starting = ["three", "four"].map(|name| {
        let mut command = porttask(&store, &["serve", "--listen", "127.0.0.1:0"]);
        command.envs([("PORTTASK_NODE_NAME", name), ("PORTTASK_BLOBS_SHARED", "false")]);
        command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    });
    let serving = starting.map(|mut node| {
        let mut lines = BufReader::new(node.stderr.take().unwrap()).lines();
        let serves = lines.any(|line| line.unwrap().starts_with("Listening on "));
        _ = node.kill();
        node.wait().unwrap();
        serves
    });
    assert!(serving.contains(&false), "both serve");
}
