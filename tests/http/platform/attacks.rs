//! Attacks, on all operations of the document or on the relevant ones.

use std::time::Duration;

use porttask_tests::{Store, by, on_both_engines};
use serde_json::{Value, json};

use crate::{
    mailbox::DataDirectory,
    openapi::{Operation, SNAPSHOT, UNKNOWN_SESSION, UNKNOWN_USER, operations},
    service::{ADMIN, Answer, Caller, PASSWORD, Service},
    shared::SharedService,
};

on_both_engines!(
    no_operation_accepts_unknown_members,
    no_operation_accepts_malformed_or_oversized_json,
    ids_of_other_organizations_look_like_unknown_ids,
    forged_host_and_forwarding_headers_are_ignored,
    a_dry_run_reveals_no_more_than_the_request_itself,
    a_session_stays_ended_after_sign_out,
    names_cannot_inject_email_headers,
);

/// Operations with a JSON body, and its schema.
fn with_json() -> impl Iterator<Item = (Operation, Value)> {
    let document: Value = serde_json::from_str(SNAPSHOT).unwrap();
    // What a payment provider sends is its own.
    let own = operations().into_iter().filter(|operation| !operation.path.starts_with("/v1/payment-providers/"));
    own.filter_map(move |operation| {
        let content = operation.definition["requestBody"]["content"].as_object()?;
        let (_, json) = content.iter().find(|(kind, _)| kind.contains("json"))?;
        let schema = json["schema"]["$ref"]
            .as_str()
            .map_or(&json["schema"], |reference| document.pointer(reference.trim_start_matches('#')).unwrap());
        let schema = schema.clone();
        Some((operation, schema))
    })
}

fn send(caller: &Caller<'_>, operation: &Operation, user: &str, body: &Value) -> Answer {
    caller.send(&operation.method, &operation.at("current", user), &[], Some(body))
}

/// Mass assignment: unknown members are refused by name, and their values are not echoed.
async fn no_operation_accepts_unknown_members(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let (ana, user) = (service.ana(), bob.session["user"].as_str().unwrap());
    let mut tried = 0;
    for (operation, schema) in with_json() {
        assert_eq!(schema["additionalProperties"], json!(false), "{} {}", operation.method, operation.path);
        // Required members are present, though not always valid: either is refused.
        let mut body = json!({"is_admin": "hunter2"});
        for required in schema["required"].as_array().into_iter().flatten() {
            body[required.as_str().unwrap()] = json!("x");
        }
        for caller in [&ana, bob] {
            let answer = send(caller, &operation, user, &body);
            assert!([403, 422].contains(&answer.status), "{} {}: {answer:?}", operation.method, operation.path);
            assert!(!answer.body.to_string().contains("hunter2"), "{answer:?}");
        }
        tried += 1;
    }
    assert!(tried > 15, "{tried}");
    bob.get("/v1/me").is(200);
}

async fn no_operation_accepts_malformed_or_oversized_json(store: Store) {
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
            // An empty body equals an empty object, which some operations accept.
            let Some(answer) = ana.send_bytes(&operation.method, &path, "application/json", body) else {
                // The service closed the connection before the end of the body.
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
async fn ids_of_other_organizations_look_like_unknown_ids(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let umbra = service.organization().await;
    let eve = &umbra.admin;
    let (theirs, session) = (bob.session["user"].as_str().unwrap(), bob.session["id"].as_str().unwrap());
    let same = |method: &str, path: &dyn Fn(&str) -> String, body: Option<&Value>| {
        let [foreign, none] = [theirs, UNKNOWN_USER].map(|user| eve.send(method, &path(user), &[], body));
        assert_eq!((foreign.status, &foreign.body), (none.status, &none.body), "{method} {}", path(theirs));
        foreign
    };
    for operation in operations().iter().filter(|it| it.has_parameter("user") && it.has_parameter("org")) {
        // A session of the other user, in the organization of the caller.
        let path = |user: &str| operation.at("current", user).replace(UNKNOWN_SESSION, session);
        let body = json!({});
        let answer = same(&operation.method, &path, (operation.method != "GET").then_some(&body));
        // 403 where only super admins have the permission.
        assert!([403, 404, 422].contains(&answer.status), "{} {}: {answer:?}", operation.method, operation.path);
    }
    let role = json!({"role": "agent"});
    same("PATCH", &|user| format!("/v1/organizations/current/users/{user}"), Some(&role)).is(404);
    let answer = same("GET", &|user| format!("/v1/organizations/current/audit-log?actor={user}"), None).is(200);
    assert_eq!(answer.body["items"], json!([]), "{answer:?}");
    // The caller's own denials name what they were aimed at, whether it exists elsewhere or not.
    for user in [theirs, UNKNOWN_USER] {
        let answer = eve.get(&format!("/v1/organizations/current/audit-log?target={user}")).is(200);
        let items = answer.body["items"].as_array().unwrap();
        assert!(items.iter().all(|it| it["action"] == "denial.recorded"), "{items:?}");
        assert!(items.iter().all(|it| it["actor"]["id"] == eve.session["user"]), "{items:?}");
    }
    let foreign = eve.get(&format!("/v1/organizations/current/audit-log?target={acme}")).is(200);
    assert_eq!(foreign.body["items"], json!([]));
    bob.get("/v1/me").is(200);
}

async fn forged_host_and_forwarding_headers_are_ignored(store: Store) {
    let data = DataDirectory::of(&store);
    let public_url = ("PORTTASK_PUBLIC_URL", "https://admin.example");
    let service = Service::start_with(&store, &[ADMIN[0], ADMIN[1], public_url, data.variable()]);
    let forged = [("host", "evil.example"), ("x-forwarded-host", "evil.example"), ("x-forwarded-for", "198.51.100.66")];
    let credentials = json!({"email": "ana@platform.example", "password": PASSWORD});
    let answer = service.send("POST", "/v1/sessions", &forged, Some(&credentials)).is(201);
    assert!(!answer.body.to_string().contains("evil"), "{answer:?}");
    let ana = service.ana();
    let ask = json!({"email": "ana@platform.example"});
    service.send("POST", "/v1/password-resets", &forged, Some(&ask)).is(202);
    let (_, mail) = data.mails(1).remove(0);
    assert!(mail.contains("https://admin.example/password-reset#token=") && !mail.contains("evil"), "{mail}");
    let entries = || ana.get("/v1/organizations/current/audit-log?q=signed").is(200).body.to_string();
    by(Duration::from_secs(10), "the sign-in is recorded", async || entries().contains("127.0.0.1")).await;
    assert!(!entries().contains("198.51.100.66"), "{}", entries());
}

async fn a_dry_run_reveals_no_more_than_the_request_itself(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let umbra = service.organization().await;
    let eve = &umbra.admin;
    let carol = acme.invite("carol", "Carol Crane", "agent");
    service.accept(&acme.id, &carol).is(200);
    let carol = service.sign_in(&acme.email("carol"));
    let users = format!("/v1/organizations/{acme}/users");
    let invite = json!({"name": "Bob", "email": acme.email("bob"), "role": "agent"});
    for (caller, dry, real) in [
        (&carol, carol.post(&format!("{users}?dry_run=true"), &invite), carol.post(&users, &invite)),
        (eve, eve.post(&format!("{users}?dry_run=true"), &invite), eve.post(&users, &invite)),
        (bob, bob.post(&format!("{users}?dry_run=true"), &invite), bob.post(&users, &invite)),
    ] {
        assert_eq!((dry.status, &dry.body), (real.status, &real.body), "{:?}", caller.session);
        assert!([403, 404, 409].contains(&dry.status), "{dry:?}");
    }
    // Accounts in other organizations are not revealed.
    let elsewhere = json!({"name": "Bob", "email": acme.email("bob"), "role": "agent"});
    eve.post("/v1/organizations/current/users?dry_run=true", &elsewhere).is(200);
}

/// Session fixation, and reuse of a token.
async fn a_session_stays_ended_after_sign_out(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let credentials = json!({"email": acme.email("bob"), "password": PASSWORD});
    let fixed = [("authorization", bob.authorization())];
    let other = service.send("POST", "/v1/sessions", &fixed, Some(&credentials)).is(201);
    assert_ne!(other.body["token"], bob.session["token"], "a new session");
    bob.delete("/v1/sessions/current").is(200);
    for _ in 0..3 {
        bob.get("/v1/me").refused(401, "unauthenticated");
    }
    bob.delete("/v1/sessions/current").refused(401, "unauthenticated");
    let token = format!("Bearer {}", other.body["token"].as_str().unwrap());
    service.send("GET", "/v1/me", &[("authorization", &token)], None).is(200);
}

async fn names_cannot_inject_email_headers(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = &acme.admin;
    let users = "/v1/organizations/current/users";
    let new = |name: &str, email: &str| json!({"name": name, "email": email, "role": "agent"});
    for breaks in ["\r\nBcc: eve@evil.example", "\nBcc: eve@evil.example", "\rx", "\u{85}x", "\u{2028}x", "\0"] {
        let name = format!("Cleo{breaks}");
        bob.post(users, &new(&name, &acme.email("cleo"))).refused(422, "invalid-fields");
        bob.post(users, &new("Cleo", &format!("{}{breaks}", acme.email("cleo")))).refused(422, "invalid-fields");
        bob.post(users, &new("Cleo", &acme.email(format!("\"cleo{breaks}\"")))).refused(422, "invalid-fields");
        bob.patch("/v1/me", &json!({"name": name})).refused(422, "invalid-fields");
        bob.patch("/v1/organizations/current", &json!({"name": name})).refused(422, "invalid-fields");
        let branding = json!({"branding": {"display_name": name}});
        let answer = bob.patch("/v1/organizations/current", &branding);
        assert_eq!(answer.status, 422, "{answer:?}");
    }
    // Characters with a meaning in headers are part of the name only.
    bob.patch("/v1/me", &json!({"name": "Bob, Eve; Subject: Prize =?utf-8?q?x?="})).is(200);
    bob.post(users, &new("Cleo <eve>, \"Eve\"", &acme.email("cleo"))).is(201);
    let recipient = format!("<{}>", acme.email("cleo"));
    let (_, mail) = service.mails_with(&recipient, 1).remove(0);
    let mail = mail.replace("\r\n", "\n");
    let head = mail.split_once("\n\n").unwrap().0.replace("\n ", " ");
    let lines = |name: &str| head.lines().filter(|line| line.to_lowercase().starts_with(name)).collect::<Vec<_>>();
    assert_eq!((lines("to:").len(), lines("subject:").len(), lines("bcc:").len()), (1, 1, 0), "{head}");
    let to = lines("to:")[0];
    assert!(to.ends_with(&recipient) && !to.contains("<eve>,"), "{to}");
}
