//! The parts that pages are made of. What assistive technology needs is written here, once.
//!
//! | file | part |
//! |---|---|
//! | `frame.rs` | what surrounds the pages of somebody who is signed in |
//! | `door.rs` | the page for somebody who is not |
//! | `field.rs` | labelled fields, with hint and error |
//! | `list.rs` | tables with filters, sorting and pages |
//! | `money.rs` | amounts of money, numbers, bytes |
//! | `chart.rs` | charts |
//! | `time.rs` | instants and durations |
//! | `words.rs` | words and badges for codes of the API |

pub(crate) mod chart;
pub(crate) mod door;
pub(crate) mod field;
pub(crate) mod frame;
pub(crate) mod list;
pub(crate) mod money;
pub(crate) mod time;
pub(crate) mod words;

use maud::{Markup, html};

use crate::{
    api::Problem,
    assets,
    form::{ACTING_AS, KEY},
    visit::Frame,
};

/// An icon, for decoration only.
pub(crate) fn icon(name: &str) -> Markup {
    html! { svg.i aria-hidden="true" focusable="false" { use href=(format!("{}#{name}", assets::url("icons.svg"))) {} } }
}

/// The first letters of a name.
pub(crate) fn face(name: &str, size: &str) -> Markup {
    let initials: String = name.split_whitespace().filter_map(|word| word.chars().next()).take(2).collect();
    let tint = ["a", "b", "c", "d"][name.bytes().map(usize::from).sum::<usize>() % 4];
    html! { span class=(format!("face {tint} {size}")) aria-hidden="true" { (initials) } }
}

/// An id: shortened, with its full value to copy.
pub(crate) fn id(value: &str) -> Markup {
    let short = match value.char_indices().nth(18) {
        Some(_) => {
            let (start, end): (String, Vec<char>) =
                (value.chars().take(8).collect(), value.chars().rev().take(4).collect());
            format!("{start}…{}", end.into_iter().rev().collect::<String>())
        }
        None => value.to_owned(),
    };
    html! {
        code title=(value) { (short) } " "
        button.copy.need-js type="button" data-copy=(value) aria-label=(format!("Copy {value}")) { (icon("copy")) }
    }
}

/// A text as a sentence: the API's details begin in lower case where they follow a field's name.
pub(crate) fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let Some(first) = chars.next() else { return String::new() };
    let end = if text.ends_with(['.', '!', '?', ':']) { "" } else { "." };
    format!("{}{}{end}", first.to_uppercase(), chars.as_str())
}

/// What an empty page or list says: why it is empty, and what to do.
pub(crate) fn empty(sign: &str, title: &str, text: &str, action: Markup) -> Markup {
    html! { div.empty { (icon(sign)) h2 { (title) } p { (text) } (action) } }
}

/// A note in a page, of a tone: `info`, `ok`, `warn` or `bad`.
pub(crate) fn note(tone: &str, sign: &str, title: &str, content: Markup) -> Markup {
    html! { div class=(format!("note {tone}")) { (icon(sign)) div { b { (title) } (content) } } }
}

/// What is wrong, at the top of a form; it takes the focus and leads to the fields.
pub(crate) fn summary(problem: &Problem) -> Markup {
    let name = |pointer: &str| pointer.trim_start_matches('/').replace(['_', '/'], " ");
    let place = |pointer: &str| format!("#{}", field::id_of(pointer));
    html! { div.note.bad role="alert" tabindex="-1" autofocus { (icon("circle-alert")) div {
        @if problem.errors.is_empty() {
            b { "This was not done" } p { (sentence(&problem.detail)) }
        } @else {
            b { (problem.errors.len()) @if problem.errors.len() == 1 { " field to correct" } @else { " fields to correct" } }
            ul.list { @for error in &problem.errors {
                // Not of one field, but of all.
                @if error.pointer.is_empty() { li { (sentence(&error.detail)) } }
                @else { li { a href=(place(&error.pointer)) { (sentence(&format!("{}: {}", name(&error.pointer), error.detail))) } } }
            } }
        }
        @if let Some(seconds) = problem.retry_after { p { "Try again in " (time::seconds(seconds)) "." } }
    } } }
}

/// A form that changes something: submitting it twice has one effect, and not as somebody else.
pub(crate) fn form(frame: &Frame, action: &str, content: Markup) -> Markup {
    html! { form method="post" action=(action) novalidate { (hidden(frame)) (content) } }
}

/// The form of a dialog: with a script, what is wrong is shown in it.
pub(crate) fn sheet_form(frame: &Frame, action: &str, content: Markup) -> Markup {
    html! { form method="post" action=(action) novalidate hx-post=(action) hx-target="#sheet-in" hx-select="#sheet-in" hx-swap="outerMorph" {
        (hidden(frame)) (content)
    } }
}

/// The hidden fields of every form.
pub(crate) fn hidden(frame: &Frame) -> Markup {
    html! {
        input type="hidden" name=(ACTING_AS) value=(frame.me.id);
        input type="hidden" name=(KEY) value=(uuid::Uuid::now_v7().simple());
    }
}

/// A button that does something at once, as a form of its own.
pub(crate) fn button(frame: &Frame, action: &str, class: &str, content: Markup) -> Markup {
    html! { form.inline method="post" action=(action) { (hidden(frame)) button class=(class) type="submit" { (content) } } }
}

/// The content of a dialog: with a script it is shown in one, without it is a page.
pub(crate) fn sheet(title: &str, lead: Markup, body: Markup) -> Markup {
    html! { div.sheet #sheet-in {
        header {
            div { h1 #sheet-title { (title) } p { (lead) } }
            button.btn.icon.need-js type="button" data-close aria-label="Close" { (icon("x")) }
        }
        (body)
    } }
}

/// The head of a page: what it is about, and what can be done.
pub(crate) fn head(title: &str, lead: &str, actions: Markup) -> Markup {
    html! { div.head { div { h1 { (title) } @if !lead.is_empty() { p { (lead) } } } div.row { (actions) } } }
}

/// Says that what a page shows has changed; hidden until the page notices it by another version of a part. The notice of a
/// page that is no list is itself what is live.
pub(crate) fn changed(frame: &Frame, is_list: bool) -> Markup {
    let text = if is_list { "There are changes. Show them" } else { "This has changed. Show it" };
    html! { a.changed href=(frame.url) data-live=[(!is_list).then_some("page")] hidden { (icon("refresh-cw")) (text) } }
}

/// A link that opens a dialog, or a page without a script.
pub(crate) fn sheet_link(url: &str, class: &str, sign: &str, text: &str) -> Markup {
    html! { a class=(class) href=(url) data-sheet { (icon(sign)) (text) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_become_sentences() {
        assert_eq!(sentence("must not be empty"), "Must not be empty.");
        assert_eq!(sentence("Done."), "Done.");
        assert_eq!(sentence(""), "");
    }

    #[test]
    fn what_is_shown_is_escaped() {
        let html = id("<script>alert(1)</script>").into_string();
        assert!(!html.contains("<script>"), "{html}");
    }
}
