//! Examples of request bodies, from the examples and constraints in their schemas.

use serde_json::{Map, Value, json};
use utoipa::openapi::{Components, RefOr, path::Operation};

/// Maximum depth of schemas.
const DEEPEST: usize = 8;
/// The example of an import.
const CSV: &str = "name,email,role\nAna Souza,ana@acme.example,agent\n";

/// Makes examples from the schemas of a document.
pub(super) struct Examples {
    schemas: Value,
}

impl Examples {
    pub(super) fn of(components: &Components) -> Self {
        Self { schemas: serde_json::to_value(&components.schemas).unwrap_or_default() }
    }

    /// Adds an example to the body of an operation.
    pub(super) fn add(&self, operation: &mut Operation) {
        let Some(RefOr::T(body)) = &mut operation.request_body else { return };
        for (media, content) in &mut body.content {
            let RefOr::T(content) = content else { continue };
            let schema = serde_json::to_value(&content.schema).unwrap_or_default();
            let example = if media == "text/csv" { CSV.into() } else { self.example(&schema, DEEPEST) };
            content.example.get_or_insert(example);
        }
    }

    fn example(&self, schema: &Value, depth: usize) -> Value {
        if let Some(given) = given(schema) {
            return given.clone();
        }
        if depth == 0 {
            return Value::Null;
        }
        if let Some(name) = schema["$ref"].as_str().and_then(|place| place.rsplit('/').next()) {
            return self.example(&self.schemas[name], depth - 1);
        }
        let variants = ["oneOf", "anyOf", "allOf"].into_iter().find_map(|kind| schema[kind].as_array());
        if let Some(variant) = variants.and_then(|them| them.iter().find(|it| it["type"] != "null")) {
            return self.example(variant, depth - 1);
        }
        match kind(schema) {
            "object" => self.object(schema, depth),
            "array" => json!([self.example(&schema["items"], depth - 1)]),
            "integer" | "number" => schema.get("minimum").cloned().unwrap_or(json!(1)),
            "boolean" => json!(true),
            _ => text(schema),
        }
    }

    /// The members that are required, and those with examples of their own.
    fn object(&self, schema: &Value, depth: usize) -> Value {
        let mut members = Map::new();
        for (name, member) in schema["properties"].as_object().into_iter().flatten() {
            let is_required = schema["required"].as_array().is_some_and(|it| it.iter().any(|it| it == name));
            if is_required || given(member).is_some() {
                members.insert(name.clone(), self.example(member, depth - 1));
            }
        }
        Value::Object(members)
    }
}

/// The example that a schema declares, or the first of its values.
fn given(schema: &Value) -> Option<&Value> {
    let first = |name: &str| schema[name].as_array().and_then(|them| them.first());
    schema.get("example").or_else(|| first("examples")).or_else(|| first("enum"))
}

fn kind(schema: &Value) -> &str {
    let kinds = schema["type"].as_array().and_then(|kinds| kinds.iter().find(|it| *it != "null"));
    kinds.unwrap_or(&schema["type"]).as_str().unwrap_or_default()
}

fn text(schema: &Value) -> Value {
    match schema["format"].as_str() {
        Some("date-time") => json!("2030-01-31T09:00:00Z"),
        Some("password") => json!("correct horse battery"),
        _ => json!("text"),
    }
}
