//! Charts as SVG, drawn on the server: no script, no inline style. Each has its table beside it.

use maud::{Markup, html};

/// A drawing that is scaled down has labels that nobody can read: one is for desks, one for phones; the style sheet shows
/// one of them.
const WIDTHS: [(f64, &str); 2] = [(640.0, "chart only-wide"), (320.0, "chart only-narrow")];
const HEIGHT: f64 = 200.0;
const LEFT: f64 = 44.0;
const BOTTOM: f64 = 22.0;
const TOP: f64 = 10.0;

/// A round number at or above, so that the grid has round labels.
fn ceiling(top: f64) -> f64 {
    let power = 10_f64.powf(top.max(1.0).log10().floor());
    let steps = [1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0];
    steps.iter().map(|step| step * power).find(|it| *it >= top).unwrap_or(10.0 * power)
}

/// A number in few characters: `1.5k`.
pub(crate) fn short(value: f64) -> String {
    let rounded = |by: f64| (value / by * 10.0).round() / 10.0;
    match value {
        it if it >= 1e9 => format!("{}G", rounded(1e9)),
        it if it >= 1e6 => format!("{}M", rounded(1e6)),
        it if it >= 1e3 => format!("{}k", rounded(1e3)),
        _ => format!("{}", rounded(1.0)),
    }
}

fn grid(top: f64, width: f64) -> Markup {
    html! { @for step in 0..=4 {
        @let y = TOP + (HEIGHT - TOP - BOTTOM) * f64::from(step) / 4.0;
        line.grid-line x1=(LEFT) x2=(width) y1=(y) y2=(y) {}
        text x=(LEFT - 8.0) y=(y + 4.0) text-anchor="end" { (short(top * f64::from(4 - step) / 4.0)) }
    } }
}

/// A column of a chart: its label, its value, and the value that it is compared with.
pub(crate) struct Day {
    pub(crate) label: String,
    pub(crate) value: u64,
    pub(crate) before: Option<u64>,
}

/// Columns of days, with the days before them as a line.
pub(crate) fn days(title: &str, days: &[Day]) -> Markup {
    html! { @for (width, class) in WIDTHS { (days_at(width, class, title, days)) } }
}

fn days_at(width: f64, class: &str, title: &str, days: &[Day]) -> Markup {
    let values = days.iter().flat_map(|day| [Some(day.value), day.before]).flatten();
    let top = ceiling(values.max().unwrap_or(1).max(1) as f64);
    let step = (width - LEFT) / days.len().max(1) as f64;
    let height = |value: u64| (HEIGHT - TOP - BOTTOM) * value as f64 / top;
    let middle = |index: usize| LEFT + step * (index as f64 + 0.5);
    let points = days.iter().enumerate().filter_map(|(index, day)| Some((middle(index), day.before?)));
    let line: String = points
        .enumerate()
        .map(|(index, (x, value))| {
            format!("{}{x:.1} {:.1}", if index == 0 { "M" } else { "L" }, HEIGHT - BOTTOM - height(value))
        })
        .collect();
    let every = (days.len() / if width < 400.0 { 4 } else { 8 }).max(1);
    html! { svg class=(class) viewBox=(format!("0 0 {width} {HEIGHT}")) role="img" aria-label=(title) {
        (grid(top, width))
        @for (index, day) in days.iter().enumerate() {
            rect.col x=(format!("{:.1}", LEFT + step * (index as f64 + 0.15))) width=(format!("{:.1}", step * 0.7))
                y=(format!("{:.1}", HEIGHT - BOTTOM - height(day.value))) height=(format!("{:.1}", height(day.value))) rx="2" {
                title { (day.label) ": " (day.value) }
            }
            @if index % every == 0 { text x=(format!("{:.1}", middle(index))) y=(HEIGHT - 4.0) text-anchor="middle" { (day.label) } }
        }
        @if !line.is_empty() { path.before d=(line) {} }
    } }
}

/// A step of a waterfall: from a level to another one. The first and the last are levels of their own, from zero.
pub(crate) struct Step<'a> {
    pub(crate) label: &'a str,
    pub(crate) from: f64,
    pub(crate) to: f64,
    /// What it says: an amount in few characters.
    pub(crate) text: String,
    pub(crate) is_level: bool,
}

const ROW: f64 = 28.0;
const LABELS: f64 = 86.0;
const AMOUNTS: f64 = 64.0;

/// A waterfall: a bar for each step, which begins where the one above ends.
pub(crate) fn waterfall(title: &str, steps: &[Step<'_>]) -> Markup {
    html! { @for (width, class) in WIDTHS { (waterfall_at(width, class, title, steps)) } }
}

fn waterfall_at(width: f64, class: &str, title: &str, steps: &[Step<'_>]) -> Markup {
    let top = steps.iter().flat_map(|step| [step.from, step.to]).fold(1.0, f64::max);
    let x = |value: f64| LABELS + (width - LABELS - AMOUNTS) * value / top;
    let height = ROW * steps.len() as f64;
    html! { svg class=(class) viewBox=(format!("0 0 {width} {height}")) role="img" aria-label=(title) {
        @for (index, step) in steps.iter().enumerate() {
            @let y = ROW * index as f64;
            @let (left, right) = (x(step.from.min(step.to)), x(step.from.max(step.to)));
            @let kind = if step.is_level { "col" } else if step.to < step.from { "col loss" } else { "col gain" };
            text x="0" y=(y + 18.0) { (step.label) }
            rect class=(kind) x=(format!("{left:.1}")) y=(y + 5.0) width=(format!("{:.1}", (right - left).max(1.0)))
                height=(ROW - 10.0) rx="2" { title { (step.label) ": " (step.text) } }
            @if index + 1 < steps.len() {
                @let end = format!("{:.1}", x(step.to));
                line.grid-line x1=(end) x2=(end) y1=(y + ROW - 5.0) y2=(y + ROW + 5.0) {}
            }
            text x=(width) y=(y + 18.0) text-anchor="end" { (step.text) }
        }
    } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_grids_round() {
        assert_eq!([short(12.0), short(1_500.0), short(2e6), short(5e9)], ["12", "1.5k", "2M", "5G"]);
        assert_eq!([ceiling(7.0), ceiling(23.0), ceiling(0.0)], [8.0, 25.0, 1.0]);
    }
}
