//! The OpenAPI document: it is the one in the repository, and every operation in it checks authentication, organization
//! and role.

use porttask_tests::{Engine, Store, on_both_engines};
use serde_json::{Value, json};

use crate::{
    openapi::{PLATFORM, SNAPSHOT, UNKNOWN_ORGANIZATION, operations},
    service::porttask,
    shared::SharedService,
};

on_both_engines!(
    the_document_is_served,
    every_operation_refuses_unauthenticated_callers,
    every_operation_hides_other_organizations,
    every_operation_refuses_insufficient_roles,
);

#[test]
fn the_snapshot_is_current() {
    let store = Store::fresh(Engine::Sqlite);
    let printed = String::from_utf8(porttask(&store, &["openapi"]).output().unwrap().stdout).unwrap();
    assert!(
        printed == SNAPSHOT,
        "run `cargo run -q -p porttask -- openapi > docs/openapi.json` and review the difference"
    );
}

async fn the_document_is_served(service: &'static SharedService) {
    let served = service.send("GET", "/openapi.json", &[], None).is(200);
    assert!(served.body == serde_json::from_str::<Value>(SNAPSHOT).unwrap(), "the served document is not the snapshot");
}

async fn every_operation_refuses_unauthenticated_callers(service: &'static SharedService) {
    for operation in operations().iter().filter(|it| !it.is_public) {
        let path = operation.at(PLATFORM, "usr_00000000000000000000000001");
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
            "/v1/address-changes/cancel",
            "/v1/address-changes/confirm",
            "/v1/invitations/accept",
            "/v1/password-resets",
            "/v1/password-resets/complete",
            "/v1/sessions",
            "/v1/setup"
        ],
        "an operation was made public or private: extend this list only on purpose"
    );
}

/// An organization that the caller does not belong to and one that does not exist get the same answer.
async fn every_operation_hides_other_organizations(service: &'static SharedService) {
    let (acme, umbra) = (service.organization().await, service.organization().await);
    let (user, eve) = (acme.admin.session["user"].as_str().unwrap(), &umbra.admin);
    for operation in operations().iter().filter(|it| it.has_parameter("org")) {
        for organization in [acme.id.as_str(), UNKNOWN_ORGANIZATION, PLATFORM] {
            let answer = eve.send(&operation.method, &operation.at(organization, user), &[], None);
            assert_eq!((answer.status, answer.problem()), (404, "organization-not-found"), "{}", operation.name());
        }
    }
}

async fn every_operation_refuses_insufficient_roles(service: &'static SharedService) {
    let cleo = service.organization().await.join("cleo", "Cleo", "read_only");
    let user = cleo.session["user"].as_str().unwrap();
    let held = cleo.get("/v1/me/permissions").is(200).body["rights"].clone();
    assert!(!held.to_string().contains(":write"), "the role read_only changes nothing: {held}");
    let own = ["GET /v1/sessions/current", "DELETE /v1/sessions/current"];
    for operation in operations().iter().filter(|it| !it.is_public) {
        // Operations on the caller's own account need no role.
        let is_own = operation.path == "/v1/me" || operation.path.starts_with("/v1/me/");
        if is_own || own.contains(&operation.name().as_str()) {
            continue;
        }
        let answer = cleo.send(&operation.method, &operation.at("current", user), &[], None);
        let description = operation.definition["description"].as_str().unwrap_or_default().replace('\n', " ");
        let needed = description.split("Needs `").nth(1).and_then(|rest| rest.split('`').next());
        let is_held = needed.is_some_and(|it| held.as_array().unwrap().contains(&json!(it)));
        if is_held {
            assert_ne!(answer.problem(), "forbidden", "{}", operation.name());
        } else {
            assert_eq!((answer.status, answer.problem()), (403, "forbidden"), "{}", operation.name());
        }
    }
}
