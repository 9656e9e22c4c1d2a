//! The audit log: readable entries of every event, found and paged.

use std::{path::PathBuf, time::Duration};

use porttask_app::identity::links::Purpose;
use porttask_domain::{
    Actor, Capability, Meta, OrganizationId,
    identity::{
        Organization,
        organization::{Command, OrganizationName},
    },
};
use porttask_runtime::execute::Request;
use porttask_tests::{Engine, Node, Store, by, on_both_engines, signal};
use serde_json::{Value, json};

use crate::{
    openapi::{PLATFORM, UNKNOWN_ORGANIZATION},
    service::{ADMIN, Caller, PASSWORD, Service},
    shared::SharedService,
};

on_both_engines!(
    entries_say_who_did_what_from_where,
    entries_are_filtered,
    entries_are_found_by_session_request_and_address,
    a_former_email_address_finds_its_user,
    pages_neither_lose_nor_repeat_entries,
    entries_are_found_by_when_they_happened,
    denials_are_aggregated,
    staff_is_anonymous_to_organizations,
    nothing_personal_is_in_the_files,
);

pub(super) const LOG: &str = "/v1/organizations/current/audit-log";

pub(super) fn items(bob: &Caller<'_>, query: &str) -> Vec<Value> {
    bob.get(&format!("{LOG}{query}")).is(200).body["items"].as_array().unwrap().clone()
}

fn summaries(bob: &Caller<'_>, query: &str) -> Vec<String> {
    items(bob, query).iter().map(|entry| entry["summary"].as_str().unwrap().to_owned()).collect()
}

async fn entries_say_who_did_what_from_where(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let cleo = acme.invite("cleo", "Cleo Tanaka", "agent");
    let path = format!("/v1/organizations/current/users/{cleo}");
    let agent = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0";
    let headers = [("user-agent", agent), ("x-request-id", "req-42")];
    bob.send("PATCH", &path, &headers, Some(&json!({"role": "auditor"}))).is(200);

    let entries = items(bob, "?action=user.role_changed");
    let entry = &entries[0];
    assert_eq!(entry["action"], "user.role_changed");
    assert_eq!(entry["summary"], "changed the role from Agent to Auditor");
    assert_eq!(entry["changes"][0], json!({"field": "role", "from": "agent", "to": "auditor"}));
    let user = &bob.session["user"];
    let actor = json!({"kind": "user", "id": user, "organization": acme.id, "name": "Bob Fisher",
        "email": acme.email("bob")});
    assert_eq!(entry["actor"], actor);
    let target = json!({"kind": "user", "id": cleo, "name": "Cleo Tanaka", "email": acme.email("cleo")});
    assert_eq!(entry["target"], target);
    assert_eq!((&entry["ip"], &entry["device"]), (&json!("127.0.0.1"), &json!("Firefox 128 on Linux")));
    assert_eq!((&entry["request_id"], &entry["session"]), (&json!("req-42"), &bob.session["id"]));
    let all: Vec<String> =
        summaries(bob, "").into_iter().filter(|it| !it.starts_with("started the trial, which ends before ")).collect();
    assert_eq!(
        all,
        [
            "changed the permissions: tickets from write to read, administration from none to read",
            "changed the role from Agent to Auditor",
            &format!("invited Cleo Tanaka <{}> as Agent", acme.email("cleo")),
            "signed in with a password",
            "accepted the invitation",
            "read users",
            &format!("invited Bob Fisher <{}> as Admin", acme.email("bob")),
            "created the organization Acme",
        ]
    );
    let sessions = bob.get(&format!("/v1/organizations/current/users/{}/sessions", user.as_str().unwrap())).is(200);
    let session = &sessions.body["items"][0];
    assert_eq!((&session["ip"], &session["device"]), (&json!("127.0.0.1"), &json!("Kettle 1")));
    assert_eq!(session["is_current"], true);
}

async fn entries_are_filtered(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let cleo = acme.invite("cleo", "Cleo Tanaka", "auditor");
    service.accept(&acme.id, &cleo).is(200);
    let auditor = service.sign_in(&acme.email("cleo"));
    bob.patch("/v1/organizations/current", &json!({"name": "Acme Ports"})).is(200);
    bob.post(&format!("/v1/organizations/current/users/{cleo}/reactivate"), &json!({})).is(200);

    let count = |query: &str| summaries(&auditor, query).len();
    assert_eq!(bob.get(LOG).status, 200, "after this, the log covers the changes above for all callers");
    assert_eq!(summaries(&auditor, "?q=PORTS"), ["renamed the organization from Acme to Acme Ports"]);
    assert_eq!(summaries(&auditor, "?action=organization.renamed").len(), 1);
    assert_eq!(count("?action=session"), 2);
    assert_eq!(count(&format!("?target={cleo}")), 2);
    assert_eq!(count(&format!("?target={}", acme.email("cleo"))), 2);
    assert_eq!(count(&format!("?actor={}", acme.email("cleo"))), 2, "accepted, and signed in");
    assert_eq!(count(&format!("?actor={cleo}&action=session.started")), 1);
    assert_eq!(count(&format!("?actor={}", acme.email("nobody"))), 0);
    assert_eq!(count("?q=Tanaka"), 0, "names are not searched");
    let all = items(&auditor, "?sort=recorded_at");
    let at = |index: usize| all[index]["recorded_at"].as_str().unwrap().replace('+', "%2B");
    assert_eq!(count(&format!("?from={}&until={}", at(3), at(5))), 2, "accepted, and signed in");

    for (query, pointer) in [
        ("?actor=cleo", "actor"),
        ("?action=User", "action"),
        ("?action=sess", "action"),
        ("?action=no.such", "action"),
        ("?from=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z", "until"),
        ("?sort=actor", "sort"),
        ("?limit=0", "limit"),
        (&format!("?q={}", "a+".repeat(150)), "q"),
        ("?cursor=AAAA", "cursor"),
        ("?from=yesterday", "from"),
        ("?nonsense=1", "nonsense"),
    ] {
        let refused = auditor.get(&format!("{LOG}{query}")).refused(422, "invalid-fields");
        assert_eq!(refused.body["errors"][0]["pointer"], pointer, "{query}");
    }
    let umbra = service.organization().await;
    let eve = &umbra.admin;
    assert!(items(eve, "").len() <= 6, "only entries of the own organization");
    assert_eq!(items(eve, &format!("?target={cleo}")), [Value::Null; 0]);
}

async fn entries_are_found_by_session_request_and_address(store: Store) {
    let service = Service::start_with(&store, &[ADMIN[0], ADMIN[1], ("PORTTASK_TRUSTED_PROXIES", "127.0.0.1")]);
    let (_, bob) = service.found(&store, "acme.example").await;
    let key = bob.post("/v1/organizations/current/api-keys", &json!({"name": "robot"})).is(201).body;
    for number in 0..5 {
        let (id, address) = (format!("req-{number}"), format!("198.51.100.{number}"));
        let headers = [("x-request-id", id.as_str()), ("x-forwarded-for", &address)];
        let name = json!({"name": format!("Acme {number}")});
        bob.send("PATCH", "/v1/organizations/current", &headers, Some(&name)).is(200);
    }
    let robot = service.with_token(&key["token"]);
    robot.patch("/v1/organizations/current", &json!({"name": "Robots"})).is(200);
    let session = bob.session["id"].as_str().unwrap();
    let renamed = |query: &str| {
        assert_eq!(bob.get(LOG).status, 200);
        summaries(&bob, &format!("?action=organization.renamed&{query}"))
    };
    let third = "renamed the organization from Acme 2 to Acme 3";
    assert_eq!(renamed(&format!("session={session}")).len(), 5);
    assert_eq!(renamed("request=req-3"), [third]);
    assert_eq!(renamed("ip=198.51.100.3"), [third]);
    assert_eq!(renamed("ip=198.51.100.3&request=req-2"), [""; 0]);
    assert_eq!(renamed(&format!("actor={}", key["id"].as_str().unwrap())).len(), 1);
    // One entry a page: those from other addresses are passed over.
    let page = bob.get(&format!("{LOG}?limit=1&action=organization.renamed&ip=198.51.100.0")).is(200);
    assert_eq!(page.body["items"][0]["ip"], "198.51.100.0", "{page:?}");
    for (query, pointer) in [("session=bob", "session"), ("ip=localhost", "ip"), ("request=", "request")] {
        let refused = bob.get(&format!("{LOG}?{query}")).refused(422, "invalid-fields");
        assert_eq!(refused.body["errors"][0]["pointer"], pointer, "{query}");
    }
    let export = json!({"format": "json", "selection": {"ip": "198.51.100.3"}});
    let text = bob.post(&format!("{LOG}/export"), &export).is(200).body;
    assert_eq!(text["ip"], "198.51.100.3", "one line, which is JSON: {text}");
}

async fn a_former_email_address_finds_its_user(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let user = bob.session["user"].as_str().unwrap();
    let change = json!({"email": acme.email("robert"), "current_password": PASSWORD});
    bob.post("/v1/me/address", &change).is(200);
    let token = service.link(Purpose::AddressChange, &acme.id, user, 1);
    service.send("POST", "/v1/address-changes/confirm", &[], Some(&json!({"token": token}))).is(200);
    let robert = service.sign_in(&acme.email("robert"));
    let by = |actor: &str| summaries(&robert, &format!("?actor={actor}&action=user"));
    let expected = by(user);
    assert!(expected.iter().any(|it| it.starts_with("requested a change of the email address")), "{expected:?}");
    assert_eq!(by(&acme.email("robert")), expected);
    assert_eq!(by(&acme.email("bob")), expected, "the former one");
    assert_eq!(by(&acme.email("rob")), [""; 0]);
}

async fn pages_neither_lose_nor_repeat_entries(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    for number in 0..7 {
        bob.patch("/v1/organizations/current", &json!({"name": format!("Acme {number}")})).is(200);
    }
    let whole = items(bob, "?q=renamed");
    let (mut paged, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = bob.get(&format!("{LOG}?q=renamed&limit=3{cursor}")).is(200);
        paged.extend(page.body["items"].as_array().unwrap().clone());
        // What is recorded between two pages is not on the next.
        bob.patch("/v1/organizations/current", &json!({"name": format!("Acme, {} entries", paged.len())})).is(200);
        match page.body["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(paged, whole);
    let other = bob.get(&format!("{LOG}?q=renamed&limit=3&sort=recorded_at{cursor}"));
    other.refused(422, "invalid-fields");
}

/// Times that do not rise with the position, as those of imports and late reports.
async fn entries_are_found_by_when_they_happened(store: Store) {
    let service = Service::start(&store);
    let (organization, bob) = service.found(&store, "acme.example").await;
    let organization: OrganizationId = organization.parse().unwrap();
    let node = Node::on(&store).await;
    let times = ["2024-01-03T00:00:00Z", "2024-01-01T00:00:00.000001Z", "2024-01-04T00:00:00Z", "2024-01-02T00:00:00Z"];
    for (number, time) in times.iter().enumerate() {
        let meta = Meta { occurred_at: Some(time.parse().unwrap()), ..Meta::by(Actor::Operator) };
        let name = OrganizationName::new(&format!("Acme {number}")).unwrap();
        let request = Request::new(organization, meta).needing(Capability::BeAdministered);
        node.executor.execute::<Organization>(organization, Command::Rename { name }, &request).await.unwrap();
    }
    let renamed = || items(&bob, "?action=organization.renamed");
    by(Duration::from_secs(10), "what another node recorded is in the log", async || renamed().len() == 4).await;
    let of = |entries: &[Value]| entries.iter().map(|it| it["occurred_at"].clone()).collect::<Vec<_>>();
    let [first, second, third, fourth] = times.map(|time| json!(time));
    // The order is that of recording.
    assert_eq!(of(&renamed()), [&fourth, &third, &second, &first].map(Clone::clone));
    assert!(renamed().iter().all(|it| it["recorded_at"].as_str().unwrap() > "2026"));
    for (range, expected) in [
        ("from=2024-01-02T00:00:00Z&until=2024-01-04T00:00:00Z", vec![&fourth, &first]),
        ("until=2024-01-01T00:00:00.000002Z", vec![&second]),
        ("from=2024-01-03T00:00:00Z&until=2025-01-01T00:00:00Z", vec![&third, &first]),
    ] {
        for filter in ["", "&action=organization.renamed", "&actor=platform", &format!("&target={organization}")] {
            let (mut paged, mut cursor) = (Vec::new(), String::new());
            loop {
                let page = bob.get(&format!("{LOG}?limit=1&{range}{filter}{cursor}")).is(200).body;
                paged.extend(of(page["items"].as_array().unwrap()));
                let Some(next) = page["next_cursor"].as_str() else { break };
                cursor = format!("&cursor={next}");
            }
            assert_eq!(paged.iter().collect::<Vec<_>>(), expected, "{range}{filter}");
        }
    }
    let selection = json!({"until": "2024-01-04T00:00:00Z"});
    for (format, times) in [("json", "\"occurred_at\":\"2024-01-0"), ("csv", ",2024-01-0")] {
        let body = json!({"format": format, "selection": selection});
        let text = bob.post(&format!("{LOG}/export"), &body).is(200).body;
        assert_eq!(text.as_str().unwrap().matches(times).count(), 3, "{text}");
    }
}

async fn denials_are_aggregated(store: Store) {
    let mut service = Service::start(&store);
    let (acme, bob) = service.found(&store, "acme.example").await;
    let new = json!({"name": "Cleo Tanaka", "email": "cleo@acme.example", "role": "read_only"});
    let cleo = bob.post("/v1/organizations/current/users", &new).is(201).id().to_owned();
    service.accept(&store, &acme, &cleo).await.is(200);
    let reader = service.sign_in("cleo@acme.example");
    for _ in 0..5 {
        reader.get("/v1/organizations/current/users").refused(403, "forbidden");
    }
    assert_eq!(reader.send("HEAD", "/v1/organizations/current/users", &[], None).status, 403);
    reader.get(&format!("/v1/organizations/{UNKNOWN_ORGANIZATION}")).refused(404, "organization-not-found");
    let own = format!("/v1/organizations/current/users/{}/deactivate", bob.session["user"].as_str().unwrap());
    bob.post(&own, &json!({})).refused(409, "last-admin");
    let refused = async || {
        let mut refused = summaries(&bob, "?action=denial.recorded");
        refused.sort();
        refused
    };
    // A slow machine records the first one when there are more.
    let denials_of_lists = |summaries: &[String]| {
        let text = "was denied list users: forbidden";
        let counts = summaries.iter().filter_map(|it| it.strip_prefix(text)).map(|rest| match rest {
            "" => 1,
            rest => rest.trim_start_matches(", ").trim_end_matches(" times").parse().unwrap(),
        });
        counts.sum::<u32>()
    };
    let once = ["was denied deactivate user: last admin", "was denied get organization: organization not found"];
    by(Duration::from_secs(10), "the first denial of each kind is recorded", async || refused().await.len() >= 3).await;
    let at_once = refused().await;
    assert_eq!((&at_once[..2], at_once.len()), (&once.map(str::to_owned)[..], 3), "{at_once:?}");
    assert!((1..=6).contains(&denials_of_lists(&at_once)), "{at_once:?}");
    let about_bob = items(&bob, &format!("?action=denial&target={}", bob.session["user"].as_str().unwrap()));
    assert_eq!(about_bob[0]["summary"], "was denied deactivate user: last admin");
    assert_eq!((about_bob.len(), &about_bob[0]["target"]["name"]), (1, &json!("Bob Fisher")));
    let about_others = items(&bob, &format!("?action=denial&target={UNKNOWN_ORGANIZATION}"));
    assert_eq!(about_others[0]["target"], json!({"kind": "organization", "id": UNKNOWN_ORGANIZATION}));
    let entry = items(&bob, "?action=denial&actor=cleo@acme.example").pop().unwrap();
    assert_eq!((&entry["actor"]["name"], &entry["ip"]), (&json!("Cleo Tanaka"), &json!("127.0.0.1")));

    // The others are recorded when the hour or the service ends.
    signal(service.pid(), libc::SIGTERM);
    assert!(service.wait());
    let service = Service::start(&store);
    let bob = service.sign_in("bob@acme.example");
    let mut refused = summaries(&bob, "?action=denial.recorded");
    refused.sort();
    assert_eq!((&refused[..2], denials_of_lists(&refused)), (&once.map(str::to_owned)[..], 6), "{refused:?}");
}

async fn staff_is_anonymous_to_organizations(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let ana = service.ana();
    let created = items(bob, "?action=organization.created").remove(0);
    let (staff, number) = (&ana.session["user"], &created["actor"]["staff_number"]);
    let actor = json!({"kind": "user", "id": staff, "organization": PLATFORM, "staff_number": number});
    assert_eq!(created["actor"], actor);
    assert_eq!(number.as_str().unwrap().len(), 9, "{number}");
    for trace in ["ip", "user_agent", "device", "session"] {
        assert_eq!(created[trace], Value::Null, "{trace}");
    }
    let seen = ana.get(&format!("/v1/organizations/{acme}/audit-log?action=organization.created")).is(200);
    assert_eq!(seen.body["items"][0]["actor"]["email"], "ana@platform.example");
    assert_eq!(seen.body["items"][0]["ip"], "127.0.0.1");
}

/// Writes known names, email addresses and IP addresses, then searches the raw files of the log for them.
async fn nothing_personal_is_in_the_files(store: Store) {
    let mut service = Service::start_with(&store, &[ADMIN[0], ADMIN[1], ("PORTTASK_TRUSTED_PROXIES", "127.0.0.1")]);
    let (_, bob) = service.found(&store, "acme.example").await;
    let headers = [("x-forwarded-for", "198.51.100.77"), ("user-agent", "Zeppelinbrowser/9")];
    let body = json!({"name": "Wilhelmina Quastenflosser", "email": "wilhelmina@acme.example", "role": "agent"});
    bob.send("POST", "/v1/organizations/current/users", &headers, Some(&body)).is(201);
    bob.post(&format!("{LOG}/export"), &json!({"format": "json", "selection": {"q": "Quastenflosser"}})).is(200);
    let shown = items(&bob, "?action=user.invited&limit=1").remove(0);
    assert_eq!((&shown["ip"], &shown["device"]), (&json!("198.51.100.77"), &json!("Zeppelinbrowser 9")));
    assert_eq!(shown["target"]["name"], "Wilhelmina Quastenflosser");
    signal(service.pid(), libc::SIGTERM);
    assert!(service.wait());

    let texts = match store.engine() {
        Engine::Sqlite => {
            // The views are derived data with names in clear, which may be removed at any time.
            let files = std::fs::read_dir(store.place()).unwrap().map(|entry| entry.unwrap().path());
            let is_view = |file: &PathBuf| file.file_name().unwrap().to_string_lossy().starts_with("views");
            let files = files.filter(|file| file.is_file() && !is_view(file));
            files.map(|file| std::fs::read(file).unwrap()).collect::<Vec<_>>()
        }
        Engine::Postgres => {
            let mut texts = Vec::new();
            for table in store
                .sql("SELECT schemaname || '.' || tablename FROM pg_tables WHERE schemaname IN ('log', 'ledger')")
                .await
            {
                let rows = store.sql(&format!("SELECT coalesce(string_agg(t::text, ' '), '') FROM {table} t")).await;
                texts.extend(rows.into_iter().map(String::into_bytes));
            }
            texts
        }
    };
    assert!(!texts.is_empty() && texts.iter().map(Vec::len).sum::<usize>() > 10_000, "{}", texts.len());
    for known in ["Wilhelmina", "wilhelmina", "Quastenflosser", "198.51.100.77", "Zeppelin", "bob@acme.example"] {
        let hexed: String = known.bytes().map(|byte| format!("{byte:02x}")).collect();
        for text in &texts {
            let holds = |needle: &[u8]| text.windows(needle.len()).any(|window| window == needle);
            assert!(!holds(known.as_bytes()) && !holds(hexed.as_bytes()), "{known} is in the files");
        }
    }
    // The domain is not personal and must be found: this proves that the search works.
    assert!(texts.iter().any(|text| {
        let hexed: String = "acme.example".bytes().map(|byte| format!("{byte:02x}")).collect();
        let holds = |needle: &[u8]| text.windows(needle.len()).any(|window| window == needle);
        holds(b"acme.example") || holds(hexed.as_bytes())
    }));
}
