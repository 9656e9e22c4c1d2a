//! Labelled fields, with their hint and error wired for assistive technology.

use maud::{Markup, html};

use super::{icon, sentence};
use crate::api::Problem;

/// A field of a form.
pub(crate) struct Field<'a> {
    label: &'a str,
    name: &'a str,
    id: String,
    value: &'a str,
    hint: Option<&'a str>,
    error: Option<String>,
    is_required: bool,
    complete: &'a str,
}

/// A field with a label, which submits a value of this name.
pub(crate) fn field<'a>(label: &'a str, name: &'a str) -> Field<'a> {
    Field { label, name, id: id_of(name), value: "", hint: None, error: None, is_required: true, complete: "off" }
}

impl<'a> Field<'a> {
    pub(crate) fn value(self, value: &'a str) -> Self {
        Self { value, ..self }
    }

    pub(crate) fn hint(self, hint: &'a str) -> Self {
        Self { hint: Some(hint), ..self }
    }

    pub(crate) fn optional(self) -> Self {
        Self { is_required: false, ..self }
    }

    /// Another id than that of the name, where a dialog above the page has a field of this name.
    pub(crate) fn id(self, id: &str) -> Self {
        Self { id: id.to_owned(), ..self }
    }

    /// What browsers fill in, as `autocomplete` names it.
    pub(crate) fn complete(self, complete: &'a str) -> Self {
        Self { complete, ..self }
    }

    /// The error of the field, by the JSON pointer of its member.
    pub(crate) fn error(self, problem: Option<&Problem>, pointer: &str) -> Self {
        let error = problem.and_then(|problem| problem.at(pointer)).map(sentence);
        Self { error, id: id_of(pointer), ..self }
    }

    /// An input of a type, such as `text` or `email`.
    pub(crate) fn input(&self, kind: &str) -> Markup {
        self.wrap(|id, described, invalid| {
            html! {
                input id=(id) name=(self.name) type=(kind) value=(self.value) autocomplete=(self.complete)
                    aria-describedby=[described] aria-invalid=[invalid] required[self.is_required];
            }
        })
    }

    /// A text input that suggests values.
    pub(crate) fn suggest(&self, values: impl Iterator<Item = String>) -> Markup {
        let values: Vec<String> = values.collect();
        self.wrap(|id, described, invalid| {
            let list = format!("{id}-list");
            html! {
                input id=(id) name=(self.name) type="text" value=(self.value) list=(list) autocomplete=(self.complete)
                    spellcheck="false" aria-describedby=[described] aria-invalid=[invalid] required[self.is_required];
                datalist id=(list) { @for value in &values { option value=(value) {} } }
            }
        })
    }

    /// A choice of values with their words.
    pub(crate) fn select(&self, options: &[(&str, &str)]) -> Markup {
        self.wrap(|id, described, invalid| {
            html! {
                select id=(id) name=(self.name) aria-describedby=[described] aria-invalid=[invalid] {
                    @for (value, text) in options { option value=(value) selected[*value == self.value] { (text) } }
                }
            }
        })
    }

    /// A text of several lines.
    pub(crate) fn area(&self, rows: u8) -> Markup {
        self.wrap(|id, described, invalid| {
            html! {
                textarea id=(id) name=(self.name) rows=(rows) aria-describedby=[described] aria-invalid=[invalid]
                    required[self.is_required] { (self.value) }
            }
        })
    }

    /// A file.
    pub(crate) fn file(&self, accept: &str) -> Markup {
        self.wrap(|id, described, invalid| {
            html! {
                input id=(id) name=(self.name) type="file" accept=(accept) aria-describedby=[described]
                    aria-invalid=[invalid] required[self.is_required];
            }
        })
    }

    // Ids differ from those of the page below a dialog.
    fn wrap(&self, input: impl Fn(&str, Option<String>, Option<&'static str>) -> Markup) -> Markup {
        let id = self.id.clone();
        let (hint, error) = (format!("{id}-hint"), format!("{id}-error"));
        let described = [self.hint.map(|_| hint.as_str()), self.error.as_ref().map(|_| error.as_str())];
        let described = described.into_iter().flatten().collect::<Vec<_>>().join(" ");
        let invalid = self.error.is_some().then_some("true");
        html! { div.field {
            label for=(id) { (self.label) @if !self.is_required { " " span.soft { "(optional)" } } }
            (input(&id, (!described.is_empty()).then_some(described), invalid))
            @if let Some(text) = self.hint { small id=(hint) { (text) } }
            @if let Some(text) = &self.error { span.error id=(error) { (icon("circle-alert")) span { (text) } } }
        } }
    }
}

/// The id of the field whose errors have this pointer. What points into a list is of the field with the list.
pub(crate) fn id_of(pointer: &str) -> String {
    let is_index = |segment: &&str| segment.parse::<usize>().is_ok();
    let segments = pointer.trim_start_matches('/').split('/').take_while(|segment| !is_index(segment));
    format!("f-{}", segments.collect::<Vec<_>>().join("-"))
}

/// A box to tick.
pub(crate) fn tick(label: &str, name: &str, is_ticked: bool, hint: &str) -> Markup {
    html! { label.choice {
        input type="checkbox" name=(name) value="true" checked[is_ticked];
        b { (label) } @if !hint.is_empty() { small { (hint) } }
    } }
}

/// One of several choices, each with an explanation.
pub(crate) fn choices(legend: &str, name: &str, options: &[(&str, &str, &str)], chosen: &str, current: &str) -> Markup {
    html! { fieldset.choices { legend.hide { (legend) } @for (value, text, hint) in options { label.choice {
        input type="radio" name=(name) value=(value) checked[*value == chosen];
        span { b { (text) } @if *value == current { " " span.tag { "now" } } } small { (hint) }
    } } } }
}
