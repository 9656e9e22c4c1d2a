//! Ways in which the service is attacked, on every operation of its document or on those that matter.

use std::time::Duration;

use porttask_tests::{Store, by, on_both_engines};
use serde_json::{Value, json};

use super::{
    document::{Operation, SNAPSHOT, operations},
    service::{Caller, PASSWORD, Service},
};

on_both_engines!(
    no_operation_takes_a_member_that_it_does_not_know,
    no_operation_takes_what_is_no_json_or_too_large,
    ids_of_others_are_answered_like_ids_of_nobody,
    nobody_is_fooled_by_a_forged_host_or_forwarded_address,
    a_dry_run_tells_nothing_that_the_real_thing_would_not,
    what_is_signed_out_stays_out,
    nobody_writes_headers_into_mail,
);

/// Those that take JSON.
fn with_json() -> impl Iterator<Item = (Operation, Value)> {
    let document: Value = serde_json::from_str(SNAPSHOT).unwrap();
    operations().into_iter().filter_map(move |operation| {
        let content = operation.said["requestBody"]["content"].as_object()?;
        let (_, json) = content.iter().find(|(kind, _)| kind.contains("json"))?;
        let schema = json["schema"]["$ref"]
            .as_str()
            .map_or(&json["schema"], |reference| document.pointer(reference.trim_start_matches('#')).unwrap());
        let schema = schema.clone();
        Some((operation, schema))
    })
}

fn send(caller: &Caller<'_>, operation: &Operation, user: &str, body: &Value) -> super::service::Answer {
    caller.send(&operation.method, &operation.at("current", user), &[], Some(body))
}

/// Mass assignment: what would change more than is asked for is refused by name, and its value not repeated.
async fn no_operation_takes_a_member_that_it_does_not_know(store: Store) {
    let service = Service::start(&store);
    let (_, bob) = service.found(&store, "acme.example").await;
    let (ana, user) = (service.ana(), bob.session["user"].as_str().unwrap());
    let mut tried = 0;
    for (operation, schema) in with_json() {
        assert_eq!(schema["additionalProperties"], json!(false), "{} {}", operation.method, operation.path);
        // What is required is there, if not as it must be: the unknown member is told of all the same, or what is wrong is.
        let mut body = json!({"is_admin": "hunter2"});
        for required in schema["required"].as_array().into_iter().flatten() {
            body[required.as_str().unwrap()] = json!("x");
        }
        for caller in [&ana, &bob] {
            let answer = send(caller, &operation, user, &body);
            assert!([403, 422].contains(&answer.status), "{} {}: {answer:?}", operation.method, operation.path);
            assert!(!answer.body.to_string().contains("hunter2"), "{answer:?}");
        }
        tried += 1;
    }
    assert!(tried > 15, "{tried}");
    bob.get("/v1/me").is(200);
}

async fn no_operation_takes_what_is_no_json_or_too_large(store: Store) {
    let service = Service::start(&store);
    let ana = service.ana();
    let user = ana.session["user"].as_str().unwrap();
    let deep = format!("{}1{}", "[".repeat(20_000), "]".repeat(20_000));
    let large = format!("\"{}\"", "a".repeat(3 << 20));
    for (operation, _) in with_json() {
        let path = operation.at("current", user);
        let place = format!("{} {path}", operation.method);
        for (body, statuses) in [
            (&b"{"[..], [400, 400]),
            (b"", [400, 422]),
            (b"\xff\xfe{}", [400, 400]),
            (b"{} {}", [400, 422]),
            (b"null", [400, 422]),
            (b"[]", [400, 422]),
            (b"{\"\\ud800\": 1}", [400, 422]),
            (deep.as_bytes(), [400, 422]),
            (large.as_bytes(), [413, 413]),
        ] {
            // An empty body is as an empty object, which some operations take.
            let Some(answer) = ana.send_bytes(&operation.method, &path, "application/json", body) else {
                // Too large to be read to its end.
                assert!(body.len() > 1 << 20, "{place}");
                continue;
            };
            let is_fine = statuses.contains(&answer.status) || (body.is_empty() && answer.status < 500);
            assert!(is_fine, "{place} with {:?}: {answer:?}", &body[..body.len().min(9)]);
        }
        let answer = ana.send_bytes(&operation.method, &path, "text/plain", b"{\"a\": 1}").unwrap();
        assert!([415, 422].contains(&answer.status), "{place}: {answer:?}");
    }
    ana.get("/v1/me").is(200);
}

/// In paths, bodies and queries.
async fn ids_of_others_are_answered_like_ids_of_nobody(store: Store) {
    let service = Service::start(&store);
    let (acme, bob) = service.found(&store, "acme.example").await;
    let (_, eve) = service.found(&store, "umbra.example").await;
    let (theirs, session) = (bob.session["user"].as_str().unwrap(), bob.session["id"].as_str().unwrap());
    let nobody = "usr_00000000000000000000000042";
    let same = |method: &str, path: &dyn Fn(&str) -> String, body: Option<&Value>| {
        let [foreign, none] = [theirs, nobody].map(|user| eve.send(method, &path(user), &[], body));
        assert_eq!((foreign.status, &foreign.body), (none.status, &none.body), "{method} {}", path(theirs));
        foreign
    };
    for operation in operations().iter().filter(|it| it.path.contains("{user}") && it.path.contains("{org}")) {
        // A session of the user who is named, in the organization of whoever asks.
        let path = |user: &str| operation.at("current", user).replace("ses_00000000000000000000000042", session);
        let body = json!({});
        let answer = same(&operation.method, &path, (operation.method != "GET").then_some(&body));
        // 403 where only the platform's staff may.
        assert!([403, 404, 422].contains(&answer.status), "{} {}: {answer:?}", operation.method, operation.path);
    }
    let role = json!({"role": "agent"});
    same("PATCH", &|user| format!("/v1/organizations/current/users/{user}"), Some(&role)).is(404);
    for filter in ["actor", "target"] {
        let answer = same("GET", &|user| format!("/v1/organizations/current/audit-log?{filter}={user}"), None).is(200);
        assert_eq!(answer.body["items"], json!([]), "{answer:?}");
    }
    let foreign = eve.get(&format!("/v1/organizations/current/audit-log?target={acme}")).is(200);
    assert_eq!(foreign.body["items"], json!([]));
    bob.get("/v1/me").is(200);
}

async fn nobody_is_fooled_by_a_forged_host_or_forwarded_address(store: Store) {
    let elsewhere = tempfile::tempdir().unwrap();
    let data = elsewhere.path().to_str().unwrap();
    let admin = [("PORTTASK_ADMIN_EMAIL", "ana@platform.example"), ("PORTTASK_ADMIN_PASSWORD", PASSWORD)];
    let ours = ("PORTTASK_PUBLIC_URL", "https://admin.example");
    let service = match store.engine() {
        porttask_tests::Engine::Sqlite => Service::start_with(&store, &[admin[0], admin[1], ours]),
        porttask_tests::Engine::Postgres => {
            Service::start_with(&store, &[admin[0], admin[1], ours, ("PORTTASK_DATA", data)])
        }
    };
    let forged = [("host", "evil.example"), ("x-forwarded-host", "evil.example"), ("x-forwarded-for", "198.51.100.66")];
    let credentials = json!({"email": "ana@platform.example", "password": PASSWORD});
    let answer = service.send("POST", "/v1/sessions", &forged, Some(&credentials)).is(201);
    assert!(!answer.body.to_string().contains("evil"), "{answer:?}");
    let ana = service.ana();
    let ask = json!({"email": "ana@platform.example"});
    service.send("POST", "/v1/password-resets", &forged, Some(&ask)).is(202);
    let folder = match store.engine() {
        porttask_tests::Engine::Sqlite => std::path::Path::new(store.place()).join("mail"),
        porttask_tests::Engine::Postgres => elsewhere.path().join("mail"),
    };
    let mail = super::mail::mails(&folder, 1).remove(0).1;
    assert!(mail.contains("https://admin.example/password-reset#token=") && !mail.contains("evil"), "{mail}");
    let entries = || ana.get("/v1/organizations/current/audit-log?q=signed").is(200).body.to_string();
    by(Duration::from_secs(10), "the sign-in is told", async || entries().contains("127.0.0.1")).await;
    assert!(!entries().contains("198.51.100.66"), "{}", entries());
}

async fn a_dry_run_tells_nothing_that_the_real_thing_would_not(store: Store) {
    let service = Service::start(&store);
    let (acme, bob) = service.found(&store, "acme.example").await;
    let (_, eve) = service.found(&store, "umbra.example").await;
    let body = json!({"name": "Carol Crane", "email": "carol@acme.example", "role": "agent"});
    let carol = bob.post("/v1/organizations/current/users", &body).is(201).id().to_owned();
    service.accept(&store, &acme, &carol).await.is(200);
    let carol = service.sign_in("carol@acme.example");
    let users = format!("/v1/organizations/{acme}/users");
    let invite = json!({"name": "Bob", "email": "bob@acme.example", "role": "agent"});
    for (caller, dry, real) in [
        (&carol, carol.post(&format!("{users}?dry_run=true"), &invite), carol.post(&users, &invite)),
        (&eve, eve.post(&format!("{users}?dry_run=true"), &invite), eve.post(&users, &invite)),
        (&bob, bob.post(&format!("{users}?dry_run=true"), &invite), bob.post(&users, &invite)),
    ] {
        assert_eq!((dry.status, &dry.body), (real.status, &real.body), "{:?}", caller.session);
        assert!([403, 404, 409].contains(&dry.status), "{dry:?}");
    }
    // Whether others have an account somewhere else is nobody's business.
    let elsewhere = json!({"name": "Bob", "email": "bob@acme.example", "role": "agent"});
    eve.post("/v1/organizations/current/users?dry_run=true", &elsewhere).is(200);
}

/// Session fixation, and a token that is shown once more.
async fn what_is_signed_out_stays_out(store: Store) {
    let service = Service::start(&store);
    let (_, bob) = service.found(&store, "acme.example").await;
    let credentials = json!({"email": "bob@acme.example", "password": PASSWORD});
    let fixed = [("authorization", bob.authorization())];
    let other = service.send("POST", "/v1/sessions", &fixed, Some(&credentials)).is(201);
    assert_ne!(other.body["token"], bob.session["token"], "a session of its own");
    bob.delete("/v1/sessions/current").is(200);
    for _ in 0..3 {
        bob.get("/v1/me").refused(401, "unauthenticated");
    }
    bob.delete("/v1/sessions/current").refused(401, "unauthenticated");
    let token = format!("Bearer {}", other.body["token"].as_str().unwrap());
    service.send("GET", "/v1/me", &[("authorization", &token)], None).is(200);
}

async fn nobody_writes_headers_into_mail(store: Store) {
    let elsewhere = tempfile::tempdir().unwrap();
    let data = match store.engine() {
        porttask_tests::Engine::Sqlite => store.place().to_owned(),
        porttask_tests::Engine::Postgres => elsewhere.path().to_str().unwrap().to_owned(),
    };
    let admin = [("PORTTASK_ADMIN_EMAIL", "ana@platform.example"), ("PORTTASK_ADMIN_PASSWORD", PASSWORD)];
    let service = Service::start_with(&store, &[admin[0], admin[1], ("PORTTASK_DATA", &data)]);
    let (_, bob) = service.found(&store, "acme.example").await;
    let users = "/v1/organizations/current/users";
    let new = |name: &str, email: &str| json!({"name": name, "email": email, "role": "agent"});
    for breaks in ["\r\nBcc: eve@evil.example", "\nBcc: eve@evil.example", "\rx", "\u{85}x", "\u{2028}x", "\0"] {
        let name = format!("Cleo{breaks}");
        bob.post(users, &new(&name, "cleo@acme.example")).refused(422, "invalid-fields");
        bob.post(users, &new("Cleo", &format!("cleo@acme.example{breaks}"))).refused(422, "invalid-fields");
        bob.post(users, &new("Cleo", &format!("\"cleo{breaks}\"@acme.example"))).refused(422, "invalid-fields");
        bob.patch("/v1/me", &json!({"name": name})).refused(422, "invalid-fields");
        bob.patch("/v1/organizations/current", &json!({"name": name})).refused(422, "invalid-fields");
        let branding = json!({"branding": {"display_name": name}});
        let answer = bob.patch("/v1/organizations/current", &branding);
        assert_eq!(answer.status, 422, "{answer:?}");
    }
    // What means something in a header is a name, and no more.
    bob.patch("/v1/me", &json!({"name": "Bob, eve@evil.example; Subject: Prize =?utf-8?q?x?="})).is(200);
    bob.post(users, &new("Cleo <eve@evil.example>, \"Eve\"", "cleo@acme.example")).is(201);
    let folder = std::path::Path::new(&data).join("mail");
    let to_cleo = || {
        let all = super::mail::mails(&folder, 1).into_iter().map(|(_, mail)| mail.replace("\r\n", "\n"));
        all.filter(|mail| mail.contains("<cleo@acme.example>")).collect::<Vec<_>>()
    };
    by(Duration::from_secs(20), "the invitation", async || !to_cleo().is_empty()).await;
    let mail = to_cleo().remove(0);
    let head = mail.split_once("\n\n").unwrap().0.replace("\n ", " ");
    let lines = |name: &str| head.lines().filter(|line| line.to_lowercase().starts_with(name)).collect::<Vec<_>>();
    assert_eq!((lines("to:").len(), lines("subject:").len(), lines("bcc:").len()), (1, 1, 0), "{head}");
    let to = lines("to:")[0];
    assert!(to.ends_with("<cleo@acme.example>") && !to.contains("<eve@evil.example>,"), "{to}");
}
