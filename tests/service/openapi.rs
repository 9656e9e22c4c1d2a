//! The operations of the OpenAPI document in the repository.

use serde_json::{Value, json};

/// The document.
pub(crate) const SNAPSHOT: &str = include_str!("../../docs/openapi.json");

/// The platform's own organization.
pub(crate) const PLATFORM: &str = "org_00000000000000000000000000";
/// Well-formed ids that nothing has.
pub(crate) const UNKNOWN_ORGANIZATION: &str = "org_00000000000000000000000042";
pub(crate) const UNKNOWN_USER: &str = "usr_00000000000000000000000042";
pub(crate) const UNKNOWN_SESSION: &str = "ses_00000000000000000000000042";

/// One method of one path.
pub(crate) struct Operation {
    pub(crate) method: String,
    /// With parameters in braces.
    pub(crate) path: String,
    pub(crate) is_public: bool,
    /// The operation object of the document.
    pub(crate) definition: Value,
}

/// All operations of the document.
pub(crate) fn operations() -> Vec<Operation> {
    let document: Value = serde_json::from_str(SNAPSHOT).unwrap();
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let is_public = operation["security"].as_array().is_some_and(|it| it.contains(&json!({})));
            let (method, path, definition) = (method.to_uppercase(), path.clone(), operation.clone());
            operations.push(Operation { method, path, is_public, definition });
        }
    }
    assert!(operations.len() > 15, "{}", operations.len());
    operations
}

impl Operation {
    /// The method and the path with its parameters in braces.
    pub(crate) fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// Whether its response has no end.
    pub(crate) fn is_stream(&self) -> bool {
        !self.definition["responses"]["200"]["content"]["text/event-stream"].is_null()
    }

    /// Whether it is refused while the subscription is read-only.
    pub(crate) fn is_refused_when_read_only(&self) -> bool {
        let description = self.definition["description"].as_str().unwrap_or_default();
        description.contains("Refused while the subscription is read-only.")
    }

    /// Whether the path names a parameter.
    pub(crate) fn has_parameter(&self, name: &str) -> bool {
        self.path.contains(&format!("{{{name}}}"))
    }

    /// The pattern of a path parameter.
    fn pattern(&self, name: &str) -> &str {
        let parameters = self.definition["parameters"].as_array().unwrap();
        let parameter = parameters.iter().find(|it| it["in"] == "path" && it["name"] == name).unwrap();
        parameter["schema"]["pattern"].as_str().unwrap()
    }

    /// The path for an organization and a user; every other parameter is a well-formed id that nothing has.
    pub(crate) fn at(&self, organization: &str, user: &str) -> String {
        let segments = self.path.split('/').map(|segment| {
            match segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
                Some("org") => organization.to_owned(),
                Some("user") => user.to_owned(),
                Some(name) => unknown_id(self.pattern(name)),
                None => segment.to_owned(),
            }
        });
        segments.collect::<Vec<_>>().join("/")
    }
}

/// A well-formed id that nothing has, for a path parameter with this pattern: `^usr_…$`, or `^(current|org_…)$`.
fn unknown_id(pattern: &str) -> String {
    let start = pattern.trim_start_matches("^(current|").trim_start_matches('^');
    let prefix = start.split('_').next().unwrap_or_default();
    assert!((3..=4).contains(&prefix.len()), "{pattern} has no prefix of ids: name the parameter like a category");
    format!("{prefix}_00000000000000000000000042")
}

#[test]
fn ids_are_made_from_the_names_of_path_parameters() {
    for operation in operations() {
        let path = operation.at(PLATFORM, UNKNOWN_USER);
        assert!(!path.contains(['{', '}']), "{path}");
    }
}

#[test]
#[should_panic(expected = "no prefix of ids")]
fn an_unknown_path_parameter_fails() {
    unknown_id("^_[0-7][0-9a-hjkmnp-tv-z]{25}$");
}
