//! The OpenAPI document: it is the one in the repository, and every operation in it refuses whom it must.

use porttask_tests::{Store, on_both_engines};
use serde_json::{Value, json};

use super::service::{Service, porttask};

pub(crate) const SNAPSHOT: &str = include_str!("../../docs/openapi.json");

on_both_engines!(
    the_document_is_served,
    every_operation_refuses_strangers,
    every_operation_hides_other_organizations,
    every_operation_refuses_those_who_may_not,
);

#[test]
fn the_snapshot_is_current() {
    let store = Store::fresh(porttask_tests::Engine::Sqlite);
    let printed = String::from_utf8(porttask(&store, &["openapi"]).output().unwrap().stdout).unwrap();
    assert!(
        printed == SNAPSHOT,
        "run `cargo run -q -p porttask -- openapi > docs/openapi.json` and look at the difference"
    );
}

async fn the_document_is_served(store: Store) {
    let served = Service::start(&store).send("GET", "/openapi.json", &[], None).is(200);
    assert_eq!(served.body, serde_json::from_str::<Value>(SNAPSHOT).unwrap());
}

pub(crate) struct Operation {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) is_public: bool,
    /// What the document says of the operation itself.
    pub(crate) said: Value,
}

pub(crate) fn operations() -> Vec<Operation> {
    let document: Value = serde_json::from_str(SNAPSHOT).unwrap();
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let is_public = operation["security"].as_array().is_some_and(|it| it.contains(&json!({})));
            let (method, path, said) = (method.to_uppercase(), path.clone(), operation.clone());
            operations.push(Operation { method, path, is_public, said });
        }
    }
    assert!(operations.len() > 15, "{}", operations.len());
    operations
}

impl Operation {
    fn is_of_an_organization(&self) -> bool {
        self.path.contains("{org}")
    }

    pub(crate) fn at(&self, organization: &str, user: &str) -> String {
        let path = self.path.replace("{org}", organization).replace("{user}", user);
        let path = path.replace("{job}", "job_00000000000000000000000042");
        let path = path.replace("{key}", "key_00000000000000000000000042");
        path.replace("{session}", "ses_00000000000000000000000042")
    }
}

async fn every_operation_refuses_strangers(store: Store) {
    let service = Service::start(&store);
    for operation in operations().iter().filter(|it| !it.is_public) {
        let path = operation.at("org_00000000000000000000000000", "usr_00000000000000000000000001");
        for headers in [&[][..], &[("authorization", "Bearer pts_nonsense")]] {
            let answer = service.send(&operation.method, &path, headers, None);
            assert_eq!((answer.status, answer.problem()), (401, "unauthenticated"), "{} {path}", operation.method);
        }
    }
    let public: Vec<String> = operations().into_iter().filter(|it| it.is_public).map(|it| it.path).collect();
    assert_eq!(
        public,
        [
            "/healthz",
            "/metrics",
            "/openapi.json",
            "/readyz",
            "/v1/address-changes/confirm",
            "/v1/invitations/accept",
            "/v1/password-resets",
            "/v1/password-resets/complete",
            "/v1/sessions",
            "/v1/setup"
        ],
        "whoever adds to this list has thought about it"
    );
}

/// An organization that is not theirs and one that does not exist look alike.
async fn every_operation_hides_other_organizations(store: Store) {
    let service = Service::start(&store);
    let (acme, bob) = service.found(&store, "acme.example").await;
    let (_, eve) = service.found(&store, "umbra.example").await;
    let user = bob.session["user"].as_str().unwrap();
    for operation in operations().iter().filter(|it| it.is_of_an_organization()) {
        let foreign = eve.send(&operation.method, &operation.at(&acme, user), &[], None);
        let nowhere = eve.send(&operation.method, &operation.at("org_00000000000000000000000042", user), &[], None);
        let platform = eve.send(&operation.method, &operation.at("org_00000000000000000000000000", user), &[], None);
        for answer in [foreign, nowhere, platform] {
            assert_eq!((answer.status, answer.problem()), (404, "organization-not-found"), "{}", operation.path);
        }
    }
}

async fn every_operation_refuses_those_who_may_not(store: Store) {
    let service = Service::start(&store);
    let (acme, bob) = service.found(&store, "acme.example").await;
    let new = json!({"name": "Cleo", "email": "cleo@acme.example", "role": "read_only"});
    let user = bob.post("/v1/organizations/current/users", &new).is(201).id().to_owned();
    service.accept(&store, &acme, &user).await.is(200);
    let cleo = service.sign_in("cleo@acme.example");
    let open = ["GET /v1/organizations/{org}", "GET /v1/sessions/current", "DELETE /v1/sessions/current"];
    for operation in operations().iter().filter(|it| !it.is_public) {
        // Of what is one's own, nobody else's can be named.
        let is_own = operation.path == "/v1/me" || operation.path.starts_with("/v1/me/");
        if is_own || open.contains(&format!("{} {}", operation.method, operation.path).as_str()) {
            continue;
        }
        let answer = cleo.send(&operation.method, &operation.at("current", &user), &[], None);
        assert_eq!((answer.status, answer.problem()), (403, "forbidden"), "{} {}", operation.method, operation.path);
    }
}
