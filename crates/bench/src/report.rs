//! Figures, printed as a table, and serialized as JSON for comparisons over time.

use std::time::Duration;

use serde::Serialize;

/// One measured figure. Names stay stable.
#[derive(Debug, Clone, Serialize)]
pub struct Figure {
    /// What was measured.
    pub name: String,
    /// `sqlite` or `postgres`.
    pub engine: &'static str,
    /// The value.
    pub value: f64,
    /// Its unit.
    pub unit: &'static str,
    /// The baseline, measured in the same run.
    pub limit: Option<f64>,
    /// The value divided by the baseline.
    pub ratio: Option<f64>,
    /// What the baseline is, the target that the project has set, and other remarks.
    pub note: String,
}

impl Figure {
    /// A figure without a baseline.
    pub fn alone(engine: &'static str, name: impl Into<String>, value: f64, unit: &'static str, note: &str) -> Self {
        Self { name: name.into(), engine, value, unit, limit: None, ratio: None, note: note.to_owned() }
    }

    /// A figure with its baseline.
    pub fn beside(
        engine: &'static str,
        name: impl Into<String>,
        value: f64,
        unit: &'static str,
        limit: f64,
        note: &str,
    ) -> Self {
        Self { limit: Some(limit), ratio: Some(value / limit), ..Self::alone(engine, name, value, unit, note) }
    }
}

/// A percentile of latencies, in milliseconds.
pub(crate) fn percentile_ms(latencies: &[Duration], percentile: usize) -> f64 {
    let mut sorted = latencies.to_vec();
    sorted.sort_unstable();
    let index = (sorted.len() * percentile / 100).min(sorted.len().saturating_sub(1));
    sorted.get(index).map_or(f64::NAN, |latency| latency.as_secs_f64() * 1_000.0)
}

/// Formats figures as a table.
pub fn table(figures: &[Figure]) -> String {
    let mut lines = vec![format!(
        "{:<9} {:<34} {:>12} {:<9} {:>12} {:>7}  {}",
        "engine", "figure", "value", "unit", "limit", "ratio", "note"
    )];
    let number = |value: f64| if value >= 100.0 { format!("{value:.0}") } else { format!("{value:.2}") };
    for figure in figures {
        lines.push(format!(
            "{:<9} {:<34} {:>12} {:<9} {:>12} {:>7}  {}",
            figure.engine,
            figure.name,
            number(figure.value),
            figure.unit,
            figure.limit.map_or(String::new(), number),
            figure.ratio.map_or(String::new(), |ratio| format!("{ratio:.2}")),
            figure.note
        ));
    }
    lines.join("\n")
}
