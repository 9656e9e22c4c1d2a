//! The page for somebody who is not signed in.

use maud::{DOCTYPE, Markup, html};

use super::{frame::document_head, icon};

/// A page without navigation.
pub(crate) fn page(title: &str, content: Markup) -> Markup {
    html! { (DOCTYPE) html lang="en" { (document_head(title)) body.door {
        main #main { a.brand href="/" { span.mark { (icon("anchor")) } "PortTask" } (content) }
        div #toasts role="status" aria-live="polite" {}
    } } }
}

/// A card with a heading, as most of these pages have.
pub(crate) fn card(title: &str, lead: Markup, content: Markup) -> Markup {
    page(title, html! { div { h1 { (title) } (lead) } div.card #sheet-in { (content) } })
}
