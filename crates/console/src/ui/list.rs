//! Listings: tabs, filters, a sorted table, pages. Their state is the address, so that it can be shared.

use form_urlencoded::Serializer;
use maud::{Markup, html};

use super::{changed, empty, icon, sentence};
use crate::{
    api::{Page, Problem},
    visit::Frame,
};

/// The address of a listing: its path, and the filters, order and page that are asked for.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    path: String,
    pairs: Vec<(String, String)>,
}

/// Parameters that filter nothing.
const NO_FILTERS: [&str; 4] = ["sort", "cursor", "peek", "limit"];

impl Asked {
    /// Of a page's address.
    pub(crate) fn of(url: &str) -> Self {
        let (path, query) = url.split_once('?').unwrap_or((url, ""));
        let pairs = form_urlencoded::parse(query.as_bytes()).into_owned();
        Self { path: path.to_owned(), pairs: pairs.filter(|(_, value)| !value.is_empty()).collect() }
    }

    /// The value of a parameter; empty if it is not given.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.pairs.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    /// These parameters, for a call of the API.
    pub(crate) fn pick<'a>(&'a self, names: &'a [&'a str]) -> impl Iterator<Item = (&'a str, &'a str)> {
        names.iter().map(|name| (*name, self.get(name)))
    }

    /// The address with another value of a parameter, on the first page.
    pub(crate) fn with(&self, name: &str, value: &str) -> String {
        self.changed(&[(name, value), ("cursor", ""), ("peek", "")])
    }

    /// The address with other values; empty ones are left out.
    pub(crate) fn changed(&self, values: &[(&str, &str)]) -> String {
        let kept = self.pairs.iter().filter(|(key, _)| !values.iter().any(|(name, _)| name == key));
        let kept = kept.map(|(key, value)| (key.as_str(), value.as_str()));
        let mut query = Serializer::new(String::new());
        query.extend_pairs(kept.chain(values.iter().copied().filter(|(_, value)| !value.is_empty())));
        let query = query.finish();
        if query.is_empty() { self.path.clone() } else { format!("{}?{query}", self.path) }
    }

    /// Whether anything is filtered.
    pub(crate) fn is_filtered(&self) -> bool {
        self.pairs.iter().any(|(key, _)| !NO_FILTERS.contains(&key.as_str()))
    }
}

/// A filter with a choice of values.
pub(crate) struct Select<'a> {
    pub(crate) name: &'a str,
    pub(crate) label: &'a str,
    /// Values with their words; the first stands for "any".
    pub(crate) options: &'a [(&'a str, &'a str)],
}

/// A column: its title, the key by which the API sorts it, and its class.
pub(crate) struct Column<'a>(pub(crate) &'a str, pub(crate) &'a str, pub(crate) &'a str);

/// How a listing looks.
pub(crate) struct Listing<'a> {
    /// What is listed, such as `Users`.
    pub(crate) name: &'a str,
    /// A parameter whose values are tabs.
    pub(crate) tabs: Option<(&'a str, &'a [(&'a str, &'a str)])>,
    /// What the search looks at, if the listing can be searched.
    pub(crate) search: Option<&'a str>,
    pub(crate) selects: &'a [Select<'a>],
    /// Filters that are typed: parameter, label, type of input.
    pub(crate) inputs: &'a [(&'a str, &'a str, &'a str)],
    pub(crate) columns: &'a [Column<'a>],
    /// What is shown if there is nothing at all.
    pub(crate) nothing: Markup,
    /// What is shown beside the list.
    pub(crate) panel: Option<Markup>,
}

impl Listing<'_> {
    /// The listing with a page of rows.
    pub(crate) fn render<T>(
        &self,
        frame: &Frame,
        asked: &Asked,
        found: &Result<Page<T>, Problem>,
        row: impl Fn(&T) -> Markup,
    ) -> Markup {
        let rows = |page: &Page<T>| {
            html! { table.table {
                caption.hide { (self.name) ", " (page.items.len()) " on this page" }
                thead hx-boost:inherited="true" { tr { @for column in self.columns { (heading(column, asked)) } } }
                tbody { @for item in &page.items { (row(item)) } }
            } }
        };
        self.surround(frame, asked, found, rows)
    }

    /// The filters and pages around something that is no table.
    pub(crate) fn surround<T>(
        &self,
        frame: &Frame,
        asked: &Asked,
        found: &Result<Page<T>, Problem>,
        content: impl Fn(&Page<T>) -> Markup,
    ) -> Markup {
        // Links to the same list replace it; others open their page. The last one that was followed wins.
        html! { div.split #list data-live="list" hx-target:inherited="#list" hx-select:inherited="#list"
            hx-swap:inherited="outerMorph show:none scroll:none" hx-sync:inherited="#list:replace" { section.form aria-label=(self.name) {
            @if let Some((name, tabs)) = &self.tabs { nav.tabs aria-label="Filter by status" hx-boost:inherited="true" {
                @for (value, text) in *tabs {
                    a href=(asked.with(name, value)) aria-current=[(asked.get(name) == *value).then_some("true")] { (text) }
                }
            } }
            @if self.search.is_some() || !self.selects.is_empty() || !self.inputs.is_empty() { (self.filters(asked)) }
            (changed(frame, true))
            div.card { @match found {
                Err(problem) => (empty("triangle-alert", "The list could not be loaded", &sentence(&problem.detail), html! {
                    a.btn.edge href=(frame.url) { (icon("rotate-ccw")) "Try again" }
                    @if asked.is_filtered() { a.btn.edge href=(asked.path) { "Clear filters" } }
                })),
                Ok(page) if page.items.is_empty() && (asked.is_filtered() || !asked.get("cursor").is_empty()) =>
                    (empty("search", "Nothing matches", "There is nothing with all of these filters.", html! {
                        a.btn.edge href=(asked.path) { "Clear filters" }
                    })),
                Ok(page) if page.items.is_empty() => (self.nothing),
                Ok(page) => { (content(page)) (foot(asked, page)) }
            } }
        } @if let Some(panel) = &self.panel { (panel) } } }
    }

    fn filters(&self, asked: &Asked) -> Markup {
        html! { form.filters method="get" action=(asked.path) role="search"
            hx-get=(asked.path) hx-trigger="submit, change target:select, input delay:250ms target:input" hx-push-url="true" {
            @if let Some((name, _)) = &self.tabs { @if !asked.get(name).is_empty() {
                input type="hidden" name=(name) value=(asked.get(name));
            } }
            @if !asked.get("sort").is_empty() { input type="hidden" name="sort" value=(asked.get("sort")); }
            @if let Some(placeholder) = self.search { div.search {
                label.hide for="q" { (placeholder) } (icon("search"))
                input #q name="q" type="search" placeholder=(placeholder) value=(asked.get("q")) autocomplete="off" aria-keyshortcuts="/";
            } }
            @for Select { name, label, options } in self.selects {
                label.hide for=(name) { (label) }
                select id=(name) name=(name) { @for (value, text) in *options {
                    option value=(value) selected[asked.get(name) == *value] { (text) }
                } }
            }
            @for (name, label, kind) in self.inputs { span.typed {
                label for=(name) { (label) }
                input id=(name) name=(name) type=(kind) value=(asked.get(name)) autocomplete="off";
            } }
            button.btn.edge.no-js type="submit" { "Apply" }
            @if asked.is_filtered() { a.btn href=(asked.path) { (icon("x")) "Clear" } }
        } }
    }
}

fn heading(Column(title, key, class): &Column<'_>, asked: &Asked) -> Markup {
    let (sort, class) = (asked.get("sort"), (!class.is_empty()).then_some(*class));
    let (up, down) = (!key.is_empty() && sort == *key, !key.is_empty() && sort.strip_prefix('-') == Some(key));
    let next = if up { format!("-{key}") } else { (*key).to_owned() };
    let order = if up { Some("ascending") } else { down.then_some("descending") };
    html! { th class=[class] scope="col" aria-sort=[order] {
        @if key.is_empty() { @if title.is_empty() { span.hide { "Actions" } } @else { (title) } }
        @else { a href=(asked.with("sort", &next)) { (title) @if up { (icon("arrow-up")) } @else if down { (icon("arrow-down")) } } }
    } }
}

fn foot<T>(asked: &Asked, page: &Page<T>) -> Markup {
    let is_exact = page.total_is_exact.unwrap_or(true);
    html! { div.foot hx-boost:inherited="true" {
        span aria-live="polite" { (page.items.len()) " on this page"
            @if let Some(total) = page.total { " · " @if is_exact { (total) } @else { "more than " (total) } " in all" } }
        div.row {
            @if !asked.get("cursor").is_empty() { a.btn.edge href=(asked.changed(&[("cursor", "")])) { (icon("chevron-left")) "First page" } }
            @if let Some(next) = &page.next_cursor {
                a.btn.edge rel="next" href=(asked.changed(&[("cursor", next), ("peek", "")])) { "Next page" (icon("chevron-right")) }
            }
        }
    } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_of_a_listing_is_its_address() {
        let asked = Asked::of("/settings/users?q=ana+s&status=active&cursor=abc&role=");
        assert_eq!(asked.get("q"), "ana s");
        assert_eq!(asked.with("status", ""), "/settings/users?q=ana+s");
        assert_eq!(asked.changed(&[("peek", "usr_1")]), "/settings/users?q=ana+s&status=active&cursor=abc&peek=usr_1");
        assert!(asked.is_filtered());
        assert!(!Asked::of("/settings/users?sort=name&cursor=x").is_filtered());
    }
}
