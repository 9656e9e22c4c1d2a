//! What holds for every answer of the console, whoever gets it: browsers and assistive technology can rely on it.

use std::collections::BTreeSet;

use crate::{
    browser::Page,
    document::{Document, Element},
};

/// The policy of all pages.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; \
    connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'; trusted-types console";
/// The policy of downloads: nothing in them is executed.
const SANDBOX: &str = "sandbox; default-src 'none'";
const HEADERS: [(&str, &str); 6] = [
    ("cache-control", "no-store"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=(), payment=()"),
    ("x-content-type-options", "nosniff"),
    ("x-robots-tag", "noindex"),
];
/// The pages that links in emails open.
const LANDING_PAGES: [&str; 6] =
    ["/setup", "/invitation", "/password-reset", "/address-change", "/address-change-cancellation", "/vendor-response"];

/// Whether a path is answered by a page, and not by the API or its documentation.
pub(crate) fn is_of_the_console(path: &str) -> bool {
    !["/v1/", "/docs", "/openapi.json", "/console/", "/healthz"].iter().any(|start| path.starts_with(start))
}

/// Checks the headers of an answer.
#[track_caller]
pub(crate) fn check_headers(page: &Page) {
    if !is_of_the_console(&page.url) {
        return;
    }
    for (name, value) in HEADERS {
        assert_eq!(page.header(name), value, "{name} of {}: {:?}", page.url, page.headers);
    }
    let is_download = page.header("content-disposition").starts_with("attachment");
    let policy = if is_download { SANDBOX } else { POLICY };
    assert_eq!(page.header("content-security-policy"), policy, "{}", page.url);
    let is_landing = LANDING_PAGES.iter().any(|path| page.url.starts_with(path));
    let referrer = if is_landing { "no-referrer" } else { "same-origin" };
    assert_eq!(page.header("referrer-policy"), referrer, "{}", page.url);
}

/// Checks the structure of a page.
#[track_caller]
pub(crate) fn check(page: &Page) {
    let faults = faults(&page.document);
    assert!(faults.is_empty(), "{} ({}): {faults:#?}", page.url, page.status);
}

fn faults(document: &Document) -> Vec<String> {
    let mut faults: Vec<String> = document.faults.iter().map(|it| format!("invalid HTML: {it}")).collect();
    let title = document.all("title").next().map_or("", |it| it.text.as_str());
    if !title.ends_with(" · PortTask") || title.starts_with(" ·") {
        faults.push(format!("title {title:?}"));
    }
    if document.all("html").any(|it| it.get("lang") != "en") {
        faults.push("the page has no language".to_owned());
    }
    let outside = |it: &&Element| !document.is_inside(it, |outer| outer.name == "dialog");
    let headings = document.all("h1").filter(outside).count();
    if headings != 1 {
        faults.push(format!("{headings} headings of the first level"));
    }
    if document.all("main").count() != 1 {
        faults.push("there is not one main part".to_owned());
    }
    let mut ids = BTreeSet::new();
    for id in document.elements.iter().filter_map(|it| it.attribute("id")) {
        if id.is_empty() || id.contains(' ') || !ids.insert(id) {
            faults.push(format!("the id {id:?} is not unique, or no id"));
        }
    }
    for element in &document.elements {
        faults.extend(faults_of(document, element, &ids).map(|fault| format!("{fault}: {element:?}")));
    }
    faults
}

fn faults_of<'a>(
    document: &'a Document,
    element: &'a Element,
    ids: &BTreeSet<&str>,
) -> impl Iterator<Item = String> + use<'a> {
    let mut faults = Vec::new();
    for (name, value) in &element.attributes {
        match name.as_str() {
            "style" => faults.push("inline style".to_owned()),
            "aria-describedby" | "aria-labelledby" | "aria-controls" | "for" | "popovertarget" | "list" | "form" => {
                let missing = value.split(' ').filter(|id| !ids.contains(id));
                faults.extend(missing.map(|id| format!("{name} names {id:?}, which is not there")));
            }
            "href" | "src" | "action" | "formaction" | "poster" | "data" | "hx-get" | "hx-post" => {
                let is_here = value.starts_with('/') && !value.starts_with("//");
                let is_below = value.strip_prefix('#').is_some_and(|id| ids.contains(id));
                if !is_here && !is_below {
                    faults.push(format!("{name} leads to {value:?}"));
                }
            }
            it if it.starts_with("on") || it.starts_with("hx-on") => faults.push(format!("inline script {it}")),
            _ => {}
        }
    }
    match element.name.as_str() {
        "style" | "base" | "iframe" | "object" | "embed" => faults.push("is not allowed".to_owned()),
        "script" if !element.has("src") || !element.text.is_empty() => faults.push("inline script".to_owned()),
        "input" if matches!(element.get("type"), "hidden" | "submit") || element.has("hidden") => {}
        "input" | "select" | "textarea" if label(document, element).is_empty() => {
            faults.push("has no label".to_owned())
        }
        "button" | "a" if element.text.is_empty() && element.get("aria-label").is_empty() => {
            faults.push("has no name".to_owned());
        }
        "img" if !element.has("alt") => faults.push("has no alternative text".to_owned()),
        "th" if element.text.is_empty() || !element.has("scope") => faults.push("heads nothing".to_owned()),
        "table" if !document.all("caption").any(|it| document.is_inside(it, |outer| std::ptr::eq(outer, element))) => {
            faults.push("has no caption".to_owned());
        }
        "nav" | "aside" | "dialog" if element.get("aria-label").is_empty() => faults.push("has no name".to_owned()),
        "form" if !matches!(element.get("method"), "get" | "post") || !element.has("action") => {
            faults.push("is not submitted to a page".to_owned());
        }
        _ => {}
    }
    faults.into_iter()
}

/// The label of a field.
fn label(document: &Document, field: &Element) -> String {
    let named = field.get("aria-label").to_owned();
    let of = |label: &&Element| {
        (field.has("id") && label.get("for") == field.get("id"))
            || field.ancestors.iter().any(|outer| std::ptr::eq(&raw const document.elements[*outer], *label))
    };
    named + document.all("label").find(of).map_or("", |label| label.text.as_str())
}
