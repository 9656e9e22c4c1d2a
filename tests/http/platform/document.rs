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
    null_is_refused_where_a_member_cannot_be_removed,
    every_example_of_a_body_is_valid,
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

/// Follows a reference to a schema.
fn resolved<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    let named = schema["$ref"].as_str().map(|it| document.pointer(&it[1..]).unwrap());
    let one_of = schema["oneOf"].as_array().and_then(|them| them.iter().find(|it| it.get("$ref").is_some()));
    named.or_else(|| one_of.map(|it| resolved(document, it))).unwrap_or(schema)
}

/// The members of a schema, and of the objects within it: `/branding/logo`. Maps have one member, `*`.
fn members(document: &Value, schema: &Value, place: &str, found: &mut Vec<(String, Value)>) {
    let schema = resolved(document, schema);
    let properties = schema["properties"].as_object().into_iter().flatten().map(|(name, it)| (name.as_str(), it));
    let values = schema["additionalProperties"].as_object().map(|_| ("*", &schema["additionalProperties"]));
    for (name, member) in properties.chain(values) {
        let place = format!("{place}/{name}");
        found.push((place.clone(), member.clone()));
        members(document, member, &place, found);
    }
}

/// The members of the body of every merge patch, by path.
fn patches(document: &Value) -> Vec<(&str, Vec<(String, Value)>)> {
    let mut patches = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let body = &item["patch"]["requestBody"]["content"]["application/merge-patch+json"]["schema"];
        let mut found = Vec::new();
        members(document, body, "", &mut found);
        if item.get("patch").is_some() {
            assert!(!found.is_empty(), "{path}: send merge patches as application/merge-patch+json");
            patches.push((path.as_str(), found));
        }
    }
    assert!(patches.len() >= 4, "{}", patches.len());
    patches
}

#[test]
fn what_a_patch_takes_the_get_of_the_same_path_shows() {
    let document: Value = serde_json::from_str(SNAPSHOT).unwrap();
    for (path, taken) in patches(&document) {
        let get = &document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"];
        let mut shown = Vec::new();
        members(&document, get, "", &mut shown);
        for (member, _) in taken {
            assert!(shown.iter().any(|(it, _)| *it == member), "{path} takes {member} and never shows it");
        }
    }
}

async fn null_is_refused_where_a_member_cannot_be_removed(service: &'static SharedService) {
    let acme = service.organization().await;
    let document: Value = serde_json::from_str(SNAPSHOT).unwrap();
    for (path, taken) in patches(&document) {
        let operations = operations();
        let operation = operations.iter().find(|it| it.method == "PATCH" && it.path == path).unwrap();
        for (member, schema) in taken.iter().filter(|(member, _)| !member.contains('*')) {
            let kinds = schema["type"].as_array().is_some_and(|it| it.contains(&json!("null")));
            let variants = schema["oneOf"].as_array().is_some_and(|it| it.contains(&json!({"type": "null"})));
            if kinds || variants {
                continue;
            }
            let body = member.rsplit('/').filter(|it| !it.is_empty()).fold(Value::Null, |it, name| json!({name: it}));
            let ana = service.super_admin();
            // Drafts of invoices are for staff.
            let (caller, organization) = match path {
                _ if path.ends_with("/{invoice}") => (&ana, acme.id.as_str()),
                _ if path.starts_with("/v1/platform") => (&ana, "current"),
                _ => (&acme.admin, "current"),
            };
            let answer = caller.patch(&operation.at(organization, acme.admin.session["user"].as_str().unwrap()), &body);
            assert_eq!(answer.status, 422, "PATCH {path} {body}: {answer:?}");
        }
    }
}

async fn every_example_of_a_body_is_valid(service: &'static SharedService) {
    let acme = service.organization().await;
    let user = acme.invite("cleo", "Cleo", "agent");
    for operation in operations() {
        for (media, content) in operation.definition["requestBody"]["content"].as_object().into_iter().flatten() {
            let example = &content["example"];
            assert!(!example.is_null(), "{} has no example", operation.name());
            let parameters = operation.definition["parameters"].as_array().cloned().unwrap_or_default();
            let is_dry = parameters.iter().any(|it| it["name"] == "dry_run");
            let path = format!("{}{}", operation.at(&acme.id, &user), if is_dry { "?dry_run=true" } else { "" });
            let answer = match media.as_str() {
                "text/csv" => acme.admin.upload(&path, &[], example.as_str().unwrap()),
                _ if operation.is_public => service.send(&operation.method, &path, &[], Some(example)),
                _ => acme.admin.send(&operation.method, &path, &[], Some(example)),
            };
            let is_valid = ![400, 415, 422].contains(&answer.status) && answer.status < 500;
            assert!(is_valid, "{} {example}: {answer:?}", operation.name());
        }
    }
}

#[test]
fn parameters_of_paths_are_in_their_paths() {
    let document: Value = serde_json::from_str(SNAPSHOT).unwrap();
    for (path, item) in document["paths"].as_object().unwrap() {
        let operations = item.as_object().unwrap().values().filter_map(|it| it["parameters"].as_array()).flatten();
        for parameter in operations.filter(|it| it["in"] == "path") {
            let name = parameter["name"].as_str().unwrap();
            assert!(path.contains(&format!("{{{name}}}")), "{path}: {name} is a parameter of the query");
        }
    }
}

#[test]
fn a_download_may_have_any_type_that_documents_have() {
    use porttask_domain::{TextEnum, operations::document::ContentType};
    let path = "/v1/organizations/{org}/documents/{document}/content";
    let operation = operations().into_iter().find(|it| it.path == path).unwrap();
    for status in ["200", "206"] {
        let described = operation.definition["responses"][status]["content"].as_object().unwrap();
        let mut described: Vec<&str> = described.keys().map(String::as_str).collect();
        let mut expected: Vec<&str> = ContentType::ALL.iter().map(|it| it.as_str()).collect();
        described.sort_unstable();
        expected.sort_unstable();
        assert_eq!(described, expected, "{status}");
    }
}

#[test]
fn refused_credentials_are_described_by_what_is_accepted() {
    let of = |method: &str, path: &str| {
        let operation = operations().into_iter().find(|it| it.method == method && it.path == path).unwrap();
        operation.definition["responses"]["401"]["$ref"].as_str().unwrap().rsplit('/').next().unwrap().to_owned()
    };
    assert_eq!(of("GET", "/v1/organizations/{org}/users"), "Unauthenticated");
    assert_eq!(of("POST", "/v1/organizations"), "Unauthenticated");
    assert_eq!(of("GET", "/v1/me"), "NoSession");
    assert_eq!(of("POST", "/v1/organizations/{org}/api-keys"), "NoSession");
    assert_eq!(of("POST", "/v1/organizations/{org}/users/import"), "NoSession");
    assert_eq!(of("POST", "/v1/sessions"), "SignInRefused");
}

/// Collects the values of all enumerations.
fn enumerated<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(members) => {
            let values = members.get("enum").and_then(Value::as_array).into_iter().flatten();
            found.extend(values.filter_map(Value::as_str));
            members.values().for_each(|member| enumerated(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| enumerated(item, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn enumerations_have_the_values_that_are_sent() {
    let document: Value = serde_json::from_str(SNAPSHOT).unwrap();
    let mut values = Vec::new();
    enumerated(&document["components"]["schemas"], &mut values);
    assert!(
        values.contains(&"read_only") && values.contains(&"users:write") && values.contains(&"monday"),
        "{values:?}"
    );
    let is_sent =
        |value: &&str| value.bytes().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || b"_:./-".contains(&it));
    // The categories of taxes are those of EN 16931.
    let categories = ["S", "Z", "E", "AE", "G"];
    let others = values.iter().filter(|value| !is_sent(value) && !categories.contains(value));
    assert_eq!(others.collect::<Vec<_>>(), Vec::<&&str>::new());
}

#[test]
fn pages_refer_to_the_schema_of_their_items() {
    let document: Value = serde_json::from_str(SNAPSHOT).unwrap();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let pages = schemas.iter().filter(|(_, schema)| schema["properties"]["next_cursor"].is_object());
    let mut count = 0;
    for (name, schema) in pages {
        assert!(schema["properties"]["items"]["items"]["$ref"].is_string(), "{name}");
        count += 1;
    }
    assert!(count >= 8, "{count}");
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
            "/v1/licences/activate",
            "/v1/licences/deactivate",
            "/v1/licences/keys",
            "/v1/licences/revocations",
            "/v1/links/inspect",
            "/v1/password-resets",
            "/v1/password-resets/complete",
            "/v1/payment-providers/stripe/events",
            "/v1/sessions",
            "/v1/setup",
            "/v1/vendor-responses"
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
    let own = ["GET /v1/sessions/current", "DELETE /v1/sessions/current", "GET /v1/events/positions"];
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
