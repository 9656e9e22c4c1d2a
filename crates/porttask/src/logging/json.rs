//! The log as JSON: an object per line, with the fields of the event as members.

use std::fmt;

use jiff::Timestamp;
use serde_json::{Map, Value};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};

/// Formats events as JSON.
pub(super) struct Json;

impl<S: Subscriber + for<'a> LookupSpan<'a>, N: for<'a> FormatFields<'a> + 'static> FormatEvent<S, N> for Json {
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let metadata = event.metadata();
        let mut object = head(metadata.level().as_str(), metadata.target());
        event.record(&mut Members(&mut object));
        writeln!(writer, "{}", Value::Object(object))
    }
}

/// A message of the service itself, as an event.
pub(super) fn message(text: &str) -> String {
    let mut object = head("INFO", "porttask");
    object.insert("message".to_owned(), text.into());
    Value::Object(object).to_string()
}

fn head(level: &str, target: &str) -> Map<String, Value> {
    let time = format!("{:.6}", Timestamp::now());
    [("timestamp", time.as_str()), ("level", level), ("target", target)]
        .map(|(name, value)| (name.to_owned(), value.into()))
        .into_iter()
        .collect()
}

/// Adds the fields of an event as members.
struct Members<'a>(&'a mut Map<String, Value>);

impl Members<'_> {
    fn insert(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Members<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.insert(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.insert(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.insert(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.insert(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.insert(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.insert(field, format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_message_is_an_object() {
        let parsed: serde_json::Value = serde_json::from_str(&super::message("Shutting \"down\".")).unwrap();
        assert_eq!(parsed["message"], "Shutting \"down\".");
        assert!(parsed["timestamp"].as_str().unwrap().ends_with('Z'), "{parsed}");
    }
}
