//! Import of users: a job with a report, which another start of the service or another node continues.

use std::{
    fs,
    io::Write,
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use porttask_tests::{Engine, Store, on_both_engines, signal};
use serde_json::{Value, json};

use crate::{
    service::{ADMIN, Answer, Caller, Service},
    shared::SharedService,
};

on_both_engines!(
    a_file_creates_accounts_and_the_report_has_every_line,
    a_dry_run_creates_nothing,
    a_repeated_request_finds_its_job,
    at_most_five_jobs_wait,
    at_most_fifty_jobs_are_requested_per_day,
    reading_jobs_needs_the_permission_to_read_users,
    an_unreadable_file_is_refused_immediately,
    a_file_of_a_spreadsheet_is_imported,
    invitations_of_imports_have_a_quota_that_staff_can_raise,
    the_report_says_which_invitations_exceeded_the_limit,
    a_job_continues_after_the_service_was_stopped
    ; waiting:
    at_most_two_files_of_an_organization_are_received_at_once,
    a_job_continues_after_the_service_was_killed,
);

const IMPORT: &str = "/v1/organizations/current/users/import";
const JOBS: &str = "/v1/organizations/current/jobs";
/// Lines of a file whose import takes long enough that a test can observe or interrupt it.
const MANY: usize = 1_000;

fn people(count: usize) -> String {
    (0..count).map(|number| format!("Person {number},p{number}@acme.example,agent\n")).collect()
}

fn file(count: usize) -> String {
    format!("name,email,role\n{}", people(count))
}

/// Waits until the job is in this state; the job.
#[track_caller]
fn until(caller: &Caller<'_>, job: &str, state: &str) -> Value {
    let started = Instant::now();
    loop {
        let seen = caller.get(&format!("{JOBS}/{job}")).is(200).body;
        if seen["state"] == state {
            return seen;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "{seen}");
        thread::sleep(Duration::from_millis(20));
    }
}

fn report(caller: &Caller<'_>, job: &str, query: &str) -> Answer {
    caller.get(&format!("{JOBS}/{job}/report{query}"))
}

async fn a_file_creates_accounts_and_the_report_has_every_line(service: &'static SharedService) {
    let acme = service.organization().await.unlimited();
    let bob = &acme.admin;
    let csv = format!("{}Bob,{},\nEve http://evil.example,hunter2,boss\n", file(30), acme.email("bob"));
    let ordered = bob.upload(&format!("{IMPORT}?send_invitations=true"), &[], &csv).is(202);
    let id = ordered.id().to_owned();
    assert_eq!(ordered.header("location"), format!("/v1/organizations/{acme}/jobs/{id}"));
    assert_eq!((&ordered.body["kind"], &ordered.body["total"]), (&json!("import_users"), &json!(32)));
    let done = until(bob, &id, "done");
    assert_eq!(done["counts"], json!({"registered": 30, "unchanged": 1, "rejected": 1, "invited": 30}), "{done}");
    assert_eq!((&done["done"], &done["requested_by"]), (&json!(32), &bob.session["user"]));

    let entries = bob.get("/v1/organizations/current/audit-log?action=user_import").is(200).body;
    let entry = &entries["items"][0];
    assert_eq!((&entry["summary"], &entry["request_id"]), (&json!("imported users from a file"), &json!(id)));
    assert_eq!((&entry["actor"]["id"], &entry["changes"][0]["to"]), (&bob.session["user"], &json!("30")));
    assert_eq!(entries["items"].as_array().unwrap().len(), 1);

    let lines = report(bob, &id, "").is(200).body;
    let items = lines["items"].as_array().unwrap();
    assert_eq!((items.len(), &items[0]["line"], &items[31]["line"]), (32, &json!(2), &json!(33)));
    assert!(!lines.to_string().contains(".example") && !lines.to_string().contains("hunter2"), "{lines}");
    assert_eq!(items[30]["user"], bob.session["user"]);
    let fields: Vec<&str> =
        items[31]["faults"].as_array().unwrap().iter().map(|fault| fault["field"].as_str().unwrap()).collect();
    assert_eq!(fields, ["name", "email", "role"]);
    let user = items[7]["user"].as_str().unwrap();
    let shown = bob.get(&format!("/v1/organizations/current/users/{user}")).is(200).body;
    assert_eq!((&shown["email"], &shown["status"]), (&json!("p7@acme.example"), &json!("invited")));

    let mut page = report(bob, &id, "?limit=20").is(200).body;
    assert_eq!(page["items"].as_array().unwrap().len(), 20);
    page = report(bob, &id, &format!("?limit=20&cursor={}", page["next_cursor"].as_str().unwrap())).is(200).body;
    assert_eq!((page["items"].as_array().unwrap().len(), &page["next_cursor"]), (12, &json!(null)));
    let refused = report(bob, &id, "?result=rejected").is(200).body;
    assert_eq!(refused["items"].as_array().unwrap().len(), 1);
    let csv = report(bob, &id, "?format=csv").is(200);
    let text = csv.body.as_str().unwrap();
    assert!(text.starts_with("line,result,user,invited,reason\r\n2,registered,usr_"), "{text}");
    assert!(csv.header("content-type").starts_with("text/csv") && text.lines().count() == 33);
    let json_lines = report(bob, &id, "?format=json_lines&result=unchanged").is(200).body;
    assert_eq!((&json_lines["line"], &json_lines["result"]), (&json!(32), &json!("unchanged")));

    let again = bob.upload(IMPORT, &[], file(30)).is(202);
    assert_eq!(until(bob, again.id(), "done")["counts"], json!({"unchanged": 30}));
    let listed = bob.get(&format!("{JOBS}?limit=1")).is(200).body;
    assert_eq!(listed["items"][0]["id"], again.id());
    let next = bob.get(&format!("{JOBS}?cursor={}", listed["next_cursor"].as_str().unwrap())).is(200).body;
    assert_eq!((&next["items"][0]["id"], &next["items"][1]), (&json!(id), &json!(null)));
}

async fn a_dry_run_creates_nothing(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    // By a super admin, in another organization.
    let path = format!("/v1/organizations/{acme}/users/import?dry_run=true&role=auditor");
    let csv = format!("name;email\nCleo;{}\nBob;{}\n", acme.email("cleo"), acme.email("bob"));
    let ordered = service.ana().upload(&path, &[], csv).is(202);
    let done = until(bob, ordered.id(), "done");
    assert_eq!((&done["counts"], &done["dry_run"]), (&json!({"registered": 1, "unchanged": 1}), &json!(true)));
    let users = bob.get("/v1/organizations/current/users").is(200).body;
    assert_eq!(users["items"].as_array().unwrap().len(), 1);
}

async fn a_repeated_request_finds_its_job(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let umbra = service.organization().await;
    let eve = &umbra.admin;
    // Unique among the requests of the super admin, too.
    let key = [("idempotency-key", acme.id.as_str())];
    let first = bob.upload(IMPORT, &key, file(5)).is(202);
    let second = bob.upload(IMPORT, &key, file(5)).is(202);
    assert_eq!(first.id(), second.id());
    bob.upload(IMPORT, &key, file(6)).refused(422, "idempotency-key-reused");
    bob.upload(&format!("{IMPORT}?dry_run=true"), &key, file(5)).refused(422, "idempotency-key-reused");
    let other = eve.upload(IMPORT, &key, file(6)).is(202);
    assert_ne!(first.id(), other.id());
    let ana = service.ana();
    let by_ana = ana.upload(&format!("/v1/organizations/{acme}/users/import"), &key, file(6)).is(202);
    let at_home = ana.upload(IMPORT, &key, "name,email\n").is(202);
    assert_ne!(by_ana.id(), at_home.id());
    until(bob, first.id(), "done");
    assert_eq!(bob.upload(IMPORT, &key, file(5)).is(202).body["state"], "done");
    assert_eq!(
        bob.get(JOBS).is(200).body["items"].as_array().unwrap().len(),
        2,
        "one of the super admin and one of the admin"
    );
}

/// On a service of its own: the views of a shared one would lag behind during the large import.
async fn at_most_five_jobs_wait(store: Store) {
    let service = Service::start(&store);
    let (_, bob) = service.found(&store, "acme.example").await;
    let first = bob.upload(IMPORT, &[], file(MANY)).is(202);
    until(&bob, first.id(), "running");
    let waiting: Vec<String> = (0..5).map(|_| bob.upload(IMPORT, &[], file(3)).is(202).id().to_owned()).collect();
    let full = bob.upload(IMPORT, &[], file(3)).refused(429, "too-many-jobs");
    assert!(!full.header("retry-after").is_empty());
    assert_eq!(bob.get(&format!("{JOBS}/{}", waiting[0])).is(200).body["state"], "waiting", "one at a time");
    report(&bob, &waiting[0], "").refused(409, "job-not-done");
    let running = bob.get(&format!("{JOBS}/{}", first.id())).is(200).body;
    assert!(running["done"].as_u64().unwrap() > 0 || running["state"] == "running", "{running}");
    for job in &waiting {
        until(&bob, job, "done");
    }
    assert_eq!(until(&bob, first.id(), "done")["counts"]["registered"], MANY);
}

async fn at_most_fifty_jobs_are_requested_per_day(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let umbra = service.organization().await;
    let eve = &umbra.admin;
    let key = [("idempotency-key", "k-1")];
    let first = bob.upload(IMPORT, &key, file(1)).is(202);
    for _ in 1..50 {
        let ordered = bob.upload(&format!("{IMPORT}?dry_run=true"), &[], file(1)).is(202);
        until(bob, ordered.id(), "done");
    }
    // The limit is checked before the file.
    for file in [file(1), "not,a,header\n".to_owned()] {
        let full = bob.upload(IMPORT, &[], file).refused(429, "job-limit-reached");
        assert!(!full.header("retry-after").is_empty());
    }
    assert_eq!(bob.upload(IMPORT, &key, file(1)).is(202).id(), first.id(), "a repetition");
    eve.upload(IMPORT, &[], file(1)).is(202);
}

async fn at_most_two_files_of_an_organization_are_received_at_once(store: Store) {
    let service = Service::start(&store);
    let (_, bob) = service.found(&store, "acme.example").await;
    let job = bob.upload(IMPORT, &[], file(1)).is(202).id().to_owned();
    until(&bob, &job, "done");
    let head = format!(
        "POST {IMPORT} HTTP/1.1\r\nhost: x\r\nauthorization: {}\r\ncontent-type: text/csv\r\n\
         content-length: 1000\r\n\r\nname,email\n",
        bob.authorization()
    );
    let slow: Vec<TcpStream> = (0..4)
        .map(|_| {
            let mut stream = TcpStream::connect(service.address()).unwrap();
            stream.write_all(head.as_bytes()).unwrap();
            stream
        })
        .collect();
    // Time for them to arrive.
    thread::sleep(Duration::from_millis(500));
    assert!(!bob.upload(IMPORT, &[], file(1)).refused(503, "overloaded").header("retry-after").is_empty());
    report(&bob, &job, "").is(200);
    bob.get(&format!("{JOBS}/{job}")).is(200);
    // A connection that ends frees its place.
    drop(slow);
    thread::sleep(Duration::from_millis(300));
    bob.upload(IMPORT, &[], file(1)).is(202);
}

async fn reading_jobs_needs_the_permission_to_read_users(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let umbra = service.organization().await;
    let eve = &umbra.admin;
    let id = bob.upload(IMPORT, &[], file(3)).is(202).id().to_owned();
    until(bob, &id, "done");
    for path in ["", "/report"] {
        eve.get(&format!("/v1/organizations/{acme}/jobs/{id}{path}")).refused(404, "organization-not-found");
        eve.get(&format!("/v1/organizations/{umbra}/jobs/{id}{path}")).refused(404, "job-not-found");
        bob.get(&format!("{JOBS}/nonsense{path}")).refused(404, "job-not-found");
        service.ana().get(&format!("/v1/organizations/{acme}/jobs/{id}{path}")).is(200);
    }
    assert_eq!(eve.get(JOBS).is(200).body["items"], json!([]));
    eve.upload(&format!("/v1/organizations/{acme}/users/import"), &[], file(3)).refused(404, "organization-not-found");

    for (role, sees) in [("auditor", 200), ("agent", 403)] {
        let email = acme.email(role);
        let new = json!({"name": "Cleo", "email": email, "role": role});
        let user = bob.post("/v1/organizations/current/users", &new).is(201).id().to_owned();
        service.accept(&acme.id, &user).is(200);
        let cleo = service.sign_in(&email);
        cleo.upload(IMPORT, &[], file(3)).refused(403, "forbidden");
        cleo.get(&format!("{JOBS}/{id}")).is(sees);
        report(&cleo, &id, "").is(sees);
    }
}

async fn an_unreadable_file_is_refused_immediately(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let refused = bob.upload(IMPORT, &[], b"name,email\nJos\xe9,jose@acme.example\n").refused(422, "unreadable-file");
    assert!(refused.body["detail"].as_str().unwrap().contains("line 2 is not UTF-8"), "{refused:?}");
    bob.upload(IMPORT, &[], "").refused(422, "unreadable-file");
    bob.upload(IMPORT, &[], "ana@acme.example,Ana\n").refused(422, "unreadable-file");
    for content_type in ["application/json", "text/csv; charset=iso-8859-1"] {
        bob.upload(IMPORT, &[("content-type", content_type)], file(1)).refused(415, "unsupported-media-type");
    }
    bob.upload(&format!("{IMPORT}?colour=red"), &[], file(1)).refused(422, "invalid-fields");
    bob.upload(&format!("{IMPORT}?role=captain"), &[], file(1)).refused(422, "invalid-fields");
    bob.upload(&format!("{IMPORT}?unknown_columns=keep"), &[], file(1)).refused(422, "invalid-fields");
    let unknown = bob.upload(IMPORT, &[], "name;phone;email;Dept\n").refused(422, "unreadable-file");
    assert!(unknown.body["detail"].as_str().unwrap().contains("\"phone\", \"Dept\""), "{unknown:?}");
    let large = format!("name,email\n{}", " \n".repeat(5_300_000));
    bob.upload(IMPORT, &[], large).refused(413, "body-too-large");
    assert_eq!(bob.get(JOBS).is(200).body["items"], json!([]));
}

async fn a_file_of_a_spreadsheet_is_imported(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let csv = format!(
        "\u{feff}sep=;\r\nFull name;E-Mail;Phone;\r\nZoë;{};+49 30;\r\nYan;{};;\r\n",
        acme.email("zoe"),
        acme.email("yan")
    );
    let ordered = bob.upload(&format!("{IMPORT}?unknown_columns=skip"), &[], csv).is(202);
    assert_eq!(until(bob, ordered.id(), "done")["counts"], json!({"registered": 2}));
    let lines = report(bob, ordered.id(), "").is(200).body;
    assert_eq!(lines["items"][0]["line"], 3, "{lines}");
}

async fn invitations_of_imports_have_a_quota_that_staff_can_raise(store: Store) {
    let limits = [("PORTTASK_INVITATIONS_PER_DAY", "2"), ("PORTTASK_IMPORT_INVITATIONS_PER_DAY", "5")];
    let service = Service::start_with(&store, &[ADMIN[0], ADMIN[1], limits[0], limits[1]]);
    let (acme, bob) = service.found(&store, "acme.example").await;
    let import = |count: usize| {
        let ordered = bob.upload(&format!("{IMPORT}?send_invitations=true"), &[], file(count)).is(202);
        until(&bob, ordered.id(), "done")["counts"].clone()
    };
    assert_eq!(import(6), json!({"registered": 6, "invited": 5}));
    // The first of two was that of the first admin.
    let invite = |name: &str| {
        let new = json!({"name": name, "email": format!("{name}@acme.example"), "role": "agent"});
        bob.post("/v1/organizations/current/users", &new)
    };
    invite("cleo").is(201);
    invite("dan").refused(429, "invitation-limit-reached");
    let quota = format!("/v1/organizations/{acme}/invitation-quota");
    bob.patch(&quota, &json!({"per_day": 50})).refused(403, "forbidden");
    let ana = service.ana();
    for (wrong, field) in [(json!({"per_day": 0}), "per_day"), (json!({"imports_per_day": 100_001}), "imports_per_day")]
    {
        let refused = ana.patch(&quota, &wrong).refused(422, "invalid-setting");
        assert!(refused.body["detail"].as_str().unwrap().starts_with(&format!("{field}: must be 1 to")), "{refused:?}");
    }
    ana.patch(&quota, &json!({"per_week": 5})).refused(422, "invalid-fields");
    let defaults = json!({"per_day": 2, "imports_per_day": 5});
    assert_eq!(bob.get("/v1/organizations/current").is(200).body["invitation_quota"], defaults);
    assert_eq!(bob.get("/v1/organizations/current/invitation-quota").is(200).body, defaults);
    let raised = ana.patch(&quota, &json!({"per_day": 3, "imports_per_day": 20})).is(200);
    assert_eq!(raised.body["events"], json!(["organization.invitation_quota_changed"]));
    let at_least = [("porttask-at-least", raised.header("porttask-position"))];
    let organization = ana.send("GET", &format!("/v1/organizations/{acme}"), &at_least, None).is(200).body;
    assert_eq!(organization["invitation_quota"], json!({"per_day": 3, "imports_per_day": 20}));
    invite("dan").is(201);
    invite("eva").refused(429, "invitation-limit-reached");
    assert_eq!(import(7), json!({"registered": 1, "unchanged": 6, "invited": 2}));
    let log = "/v1/organizations/current/audit-log?action=organization.invitation_quota_changed";
    let entry = bob.get(log).is(200).body["items"][0].clone();
    assert_eq!(entry["summary"], "changed how many invitations the organization may send per day");
    assert_eq!(entry["changes"][0]["to"], "3", "{entry}");
    let restored = ana.patch(&quota, &json!({"per_day": null})).is(200);
    let at_least = [("porttask-at-least", restored.header("porttask-position"))];
    let organization = ana.send("GET", &format!("/v1/organizations/{acme}"), &at_least, None).is(200).body;
    assert_eq!(organization["invitation_quota"], json!({"per_day": 2, "imports_per_day": 20}));
}

async fn the_report_says_which_invitations_exceeded_the_limit(store: Store) {
    let service = Service::start_with(&store, &[ADMIN[0], ADMIN[1], ("PORTTASK_IMPORT_INVITATIONS_PER_DAY", "9")]);
    let (_, bob) = service.found(&store, "acme.example").await;
    let ordered = bob.upload(&format!("{IMPORT}?send_invitations=true"), &[], file(20)).is(202);
    let done = until(&bob, ordered.id(), "done");
    assert_eq!(done["counts"], json!({"registered": 20, "invited": 9}));
    let report = report(&bob, ordered.id(), "?format=csv").is(200);
    let lines = report.body.as_str().unwrap();
    assert_eq!(lines.matches("invitation not sent: at most 9 invitations").count(), 11, "{lines}");
}

/// Requests an import, and waits until a part of it is done.
fn begin(bob: &Caller<'_>) -> String {
    let ordered = bob.upload(IMPORT, &[], file(MANY)).is(202);
    let done = || bob.get(&format!("{JOBS}/{}", ordered.id())).is(200).body["done"].as_u64().unwrap();
    while done() < 200 {
        thread::sleep(Duration::from_millis(5));
    }
    ordered.id().to_owned()
}

/// Whether the ledger contains a text in clear.
async fn is_stored_in_clear(store: &Store, text: &str) -> bool {
    match store.engine() {
        Engine::Sqlite => {
            let holds = |name: &str| {
                let bytes = fs::read(store.file().with_file_name(name)).unwrap_or_default();
                bytes.windows(text.len()).any(|window| window == text.as_bytes())
            };
            holds("log.db") || holds("log.db-wal")
        }
        Engine::Postgres => {
            let sql = format!("SELECT count(*) FROM ledger.job_payloads WHERE position('{text}'::bytea IN bytes) > 0");
            store.sql(&sql).await != ["0"]
        }
    }
}

fn assert_all_are_registered(service: &Service, job: &str) {
    let bob = service.sign_in("bob@acme.example");
    let done = until(&bob, job, "done");
    // The counts include the first attempt.
    assert_eq!(done["counts"], json!({"registered": MANY}), "{done}");
}

async fn a_job_continues_after_the_service_was_stopped(store: Store) {
    let mut service = Service::start(&store);
    let job = begin(&service.found(&store, "acme.example").await.1);
    signal(service.pid(), libc::SIGTERM);
    assert!(service.wait());
    assert!(!is_stored_in_clear(&store, &format!("p{}@acme.example", MANY - 1)).await);
    let again = Service::start(&store);
    let bob = again.sign_in("bob@acme.example");
    let seen = bob.get(&format!("{JOBS}/{job}")).is(200).body;
    assert_ne!(seen["state"], "done", "the job was done before the service stopped: {seen}");
    assert_all_are_registered(&again, &job);
}

async fn a_job_continues_after_the_service_was_killed(store: Store) {
    let mut service = Service::start(&store);
    let job = begin(&service.found(&store, "acme.example").await.1);
    signal(service.pid(), libc::SIGKILL);
    assert!(!service.wait());
    assert_all_are_registered(&Service::start(&store), &job);
}
