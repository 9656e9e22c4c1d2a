//! Checks of the whole OpenAPI document.

use std::collections::BTreeSet;

use super::*;

#[test]
fn public_posts_are_where_strangers_send_something() {
    let public_post_paths: Vec<String> = document::public_post_paths(&routes().into_openapi()).into_iter().collect();
    for door in ["/v1/invitations/accept", "/v1/sessions", "/v1/setup"] {
        assert!(public_post_paths.iter().any(|it| it == door), "{public_post_paths:?}");
    }
    assert!(public_post_paths.iter().all(|it| !it.contains('{')), "{public_post_paths:?}");
}

#[test]
fn what_is_referred_to_is_there() {
    let text = document::complete(routes().into_openapi()).to_json().unwrap();
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    let references: Vec<&str> =
        text.split("\"$ref\":\"#").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert!(references.len() > 50, "{}", references.len());
    for reference in references {
        assert!(document.pointer(reference).is_some(), "{reference}");
    }
}

/// All arrays named `enum` in a JSON document.
fn enumerations(value: &serde_json::Value) -> Vec<String> {
    let texts = |values: &[serde_json::Value]| values.iter().filter_map(|it| it.as_str().map(str::to_owned)).collect();
    match value {
        serde_json::Value::Object(members) => {
            let found = members.iter().map(|(name, value)| match (name.as_str(), value) {
                ("enum", serde_json::Value::Array(values)) => texts(values),
                _ => enumerations(value),
            });
            found.flat_map(|values: Vec<String>| values).collect()
        }
        serde_json::Value::Array(items) => items.iter().flat_map(enumerations).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn enumerations_have_the_values_that_are_sent() {
    let document: serde_json::Value = serde_json::from_str(&document()).unwrap();
    let values = enumerations(&document);
    assert!(values.iter().any(|it| it == "read_only") && values.len() > 50, "{values:?}");
    // The categories of taxes are those of EN 16931.
    let categories = ["S", "Z", "E", "AE", "G"];
    for value in values.into_iter().filter(|value| !categories.contains(&value.as_str())) {
        assert!(!value.chars().any(char::is_uppercase), "{value} is the name of a Rust variant");
    }
}

#[test]
fn every_operation_is_described_has_declared_tags_and_says_how_it_fails() {
    let mut document = document::complete(routes().into_openapi());
    let tags: BTreeSet<String> = document.tags.iter().flatten().map(|tag| tag.name.clone()).collect();
    let mut used = BTreeSet::new();
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in document::operations(item) {
            let place = format!("{method} {path}");
            assert!(operation.operation_id.is_some() && operation.summary.is_some(), "{place}");
            assert!(operation.description.as_ref().is_some_and(|it| !it.is_empty()), "{place} has no description");
            assert!(operation.responses.responses.keys().any(|status| status.starts_with('4')), "{place}");
            used.extend(operation.tags.clone().unwrap_or_default());
        }
    }
    assert_eq!(used, tags, "declare the tags in document.rs");
}

#[test]
fn every_read_of_an_organization_has_an_area_that_staff_access_is_recorded_with() {
    let paths = routes().into_openapi().paths.paths;
    let read: Vec<String> = paths.into_iter().filter(|(_, item)| item.get.is_some()).map(|(path, _)| path).collect();
    let of_organizations = |path: &&String| path.contains("{org}") || *path == "/v1/platform/users";
    assert!(read.iter().filter(of_organizations).count() > 10, "{read:?}");
    for path in read.iter().filter(of_organizations) {
        assert!(denials::area(path).is_some(), "add an area to domain/src/compliance/staff_access.rs for {path}");
    }
}
