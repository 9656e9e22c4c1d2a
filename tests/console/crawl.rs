//! Everything that can be clicked works, for every role.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use porttask_tests::{Store, on_both_engines};

use crate::{
    browser::{Browser, Form, Page},
    people,
    service::Service,
    structure::is_of_the_console,
};

on_both_engines!(no_link_or_button_leads_to_something_that_is_refused);

/// How many addresses of one kind are followed.
const OF_ONE_KIND: usize = 2;

/// What distinguishes kinds of addresses: the path without ids, and which parameters the query has.
fn kind(url: &str) -> String {
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let segment = |segment: &str| match segment.split_once('_') {
        Some((prefix, rest)) if rest.len() == 26 => prefix.to_owned(),
        _ => segment.to_owned(),
    };
    let path: Vec<String> = path.split('/').map(segment).collect();
    // Filters can be combined in any way.
    let names: BTreeSet<&str> = query.split('&').filter_map(|pair| pair.split('=').next()).take(1).collect();
    format!("{}?{names:?}", path.join("/"))
}

/// Requests whatever can be reached from the start page; the number of pages. Adds what is refused.
fn crawl(role: &str, browser: &Browser<'_>, refused: &mut Vec<String>) -> usize {
    let (mut seen, mut kinds) = (BTreeSet::new(), BTreeMap::<String, usize>::new());
    let mut left = VecDeque::from(["/".to_owned()]);
    let mut count = 0;
    while let Some(url) = left.pop_front() {
        let page = browser.get(&url);
        // Whether a command is possible now is said where it is given.
        let is_answered = page.status == 200 || page.status == 409 && !page.title().starts_with("Not possible");
        if !is_answered || page.main().contains("could not be loaded") || page.url.starts_with("/sign-in") {
            refused.push(format!("{role}: {url}: {} {}", page.status, page.main()));
        }
        count += 1;
        if !is_of_the_console(&url) {
            continue;
        }
        submit_all(role, browser, &page, refused);
        for link in page.document.all("a").map(|link| link.get("href")) {
            let link = link.split('#').next().unwrap();
            let of_kind = kinds.entry(kind(link)).or_default();
            if !link.is_empty() && *of_kind < OF_ONE_KIND && seen.insert(link.to_owned()) {
                *of_kind += 1;
                left.push_back(link.to_owned());
            }
        }
    }
    count
}

/// Submits the forms of a page that change nothing: searches, previews, and those that are incomplete as they are.
fn submit_all(role: &str, browser: &Browser<'_>, page: &Page, refused: &mut Vec<String>) {
    for form in page.forms() {
        let preview = form.buttons.iter().find(|button| button.value == "preview" || button.text == "Apply");
        let is_incomplete = form.fields.iter().any(|field| field.is_required && field.value.is_empty());
        let (button, expected): (_, &[u16]) = match (preview, &form) {
            (_, Form { buttons, .. }) if buttons.is_empty() => continue,
            // Limits, names and addresses may be what they are already.
            (Some(button), _) => (button, &[200, 303, 409, 422]),
            (None, form) if form.method == "post" && is_incomplete => (&form.buttons[0], &[422]),
            (None, _) => continue,
        };
        let answer = browser.submit_only(&form, &button.text);
        // What was entered, if anything, may not be found; the form says so.
        let is_unknown = answer.status == 404 && answer.forms().iter().any(|it| it.action == form.action);
        if !expected.contains(&answer.status) && !is_unknown {
            let text = format!("{role}: {} of {}: {} {}", form.action, page.url, answer.status, answer.main());
            refused.push(text);
        }
    }
}

async fn no_link_or_button_leads_to_something_that_is_refused(store: Store) {
    let service = Service::start(&store);
    let ids = people::populate(&service, &store).await;
    let mut refused = Vec::new();
    let mut browsers: Vec<_> = people::browsers(&service).into_iter().map(|(role, _, it)| (role, it)).collect();
    // Staff that acts as an admin.
    let staff = Browser::of(&service, "ana@platform.example");
    let path = format!("/admin/organizations/{}/users/{}/impersonate", ids.organization, ids.admin);
    let form = staff.open(&path).form(&path).fill("reason", "ticket 4711");
    let page = staff.submit(&form, "Impersonate").is(200);
    assert_eq!(page.url, "/settings/users", "{}", page.main());
    browsers.push(("impersonator", staff));
    for (role, browser) in browsers {
        let count = crawl(role, &browser, &mut refused);
        let least = match role {
            "admin" | "super_admin" => 60,
            "auditor" | "impersonator" => 30,
            _ => 6,
        };
        if count < least {
            refused.push(format!("{role}: only {count} pages"));
        }
    }
    assert!(refused.is_empty(), "{refused:#?}");
}
