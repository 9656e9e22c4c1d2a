//! What requests for pages are allowed, and what they cost.

use porttask_tests::{Store, on_both_engines};
use serde_json::json;

use crate::{
    access::PUBLIC,
    browser::Browser,
    service::{ADMIN, PASSWORD, Service},
    shared::SharedService,
};

on_both_engines!(
    changes_come_from_our_own_pages_only,
    the_api_takes_no_cookie,
    signing_in_leads_to_pages_of_this_service_only,
    attempts_in_the_console_and_in_the_api_count_together,
    a_page_spends_one_request_of_the_session,
    the_first_load_and_later_pages_are_small,
);

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

async fn changes_come_from_our_own_pages_only(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = Browser::of(service, &acme.email("bob"));
    let host = format!("http://{}", service.address());
    let foreign: [&[(&str, &str)]; 6] = [
        &[],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site"), ("origin", &host)],
        &[("sec-fetch-site", "none")],
        &[("origin", "https://evil.example")],
        &[("origin", "null")],
    ];
    let session = ["/sign-out", "/undo", "/impersonation/end", "/me/profile", "/settings/users/invite", "/nothing"];
    for path in PUBLIC.into_iter().chain(session) {
        for headers in foreign {
            let page = bob.send("POST", path, &[headers, &[FORM]].concat(), b"name=Eve".to_vec()).is(403);
            assert!(page.text.contains("from the pages of this service only"), "{path}: {page:?}");
        }
    }
    bob.open("/me").shows("Bob Fisher");
    for ours in [("sec-fetch-site", "same-origin"), ("origin", host.as_str())] {
        bob.send("POST", "/me/profile", &[ours, FORM], b"name=Robert+Fisher".to_vec()).is(303);
    }
    bob.open("/me").shows("Robert Fisher");
    // What reads changes nothing.
    for path in ["/sign-out", "/undo", "/impersonation/end", "/me/profile"] {
        bob.fetch(path).is(405);
    }
    bob.open("/me");
}

async fn the_api_takes_no_cookie(service: &'static SharedService) {
    let acme = service.organization().await;
    let bob = Browser::of(service, &acme.email("bob"));
    bob.open("/me");
    for (method, path) in [
        ("GET", "/v1/me"),
        ("GET", "/v1/organizations/current/users"),
        ("DELETE", "/v1/sessions/current"),
        ("POST", "/v1/organizations/current/users"),
        ("GET", "/v1/events/positions"),
    ] {
        let headers = [("sec-fetch-site", "same-origin"), ("content-type", "application/json")];
        let page = bob.send(method, path, &headers, b"{}".to_vec()).is(401);
        assert!(page.text.contains("urn:porttask:problem:"), "{page:?}");
        assert!(!page.headers.contains_key("set-cookie"), "{page:?}");
    }
    bob.open("/me");
    // And pages take no other credential.
    let authorization = acme.admin.authorization().to_owned();
    let stranger = Browser::new(service);
    stranger.send("GET", "/me", &[("authorization", &authorization)], Vec::new()).is(303);
}

async fn signing_in_leads_to_pages_of_this_service_only(service: &'static SharedService) {
    let acme = service.organization().await;
    for next in ["https://evil.example/", "//evil.example", "/\\evil.example", "/%0d%0ax:y", "javascript:alert(1)"] {
        let browser = Browser::new(service);
        let page = browser.open(&format!("/sign-in?next={next}"));
        let form = page.form("/sign-in").fill("email", &acme.email("bob")).fill("password", PASSWORD);
        let answer = browser.submit_only(&form, "Sign in").is(303);
        assert_eq!(answer.header("location"), "/", "{next}");
        // Without an error that shows what was asked for as a link.
        let wrong = form.fill("password", "wrong horse battery");
        let page = browser.submit(&wrong, "Sign in").is(401);
        assert!(page.document.all("a").all(|link| !link.get("href").contains("evil")), "{page:?}");
    }
}

async fn attempts_in_the_console_and_in_the_api_count_together(store: Store) {
    let service = Service::start_with(&store, &[&ADMIN[..], &[("PORTTASK_FREE_ATTEMPTS", "3")]].concat());
    service.found(&store, "acme.example").await;
    let browser = Browser::new(&service);
    let form = browser.open("/sign-in").form("/sign-in").fill("email", "bob@acme.example");
    for number in 0..3 {
        if number == 1 {
            assert_eq!(service.try_sign_in("bob@acme.example", "wrong horse battery").status, 401);
        } else {
            browser.submit(&form.clone().fill("password", "wrong horse battery"), "Sign in").is(401);
        }
    }
    service.try_sign_in("bob@acme.example", PASSWORD).refused(429, "too-many-attempts");
    let page = browser.submit(&form.fill("password", PASSWORD), "Sign in").is(429);
    assert!(page.main().contains("Try again in"), "{}", page.main());
    assert_eq!(page.value_of("email"), "bob@acme.example");
}

async fn a_page_spends_one_request_of_the_session(store: Store) {
    let variables = [("PORTTASK_RATE_SESSION", "40"), ("PORTTASK_RATE_ATTEMPTS", "5")];
    let service = Service::start_with(&store, &[&ADMIN[..], &variables].concat());
    let ana = Browser::of(&service, "ana@platform.example");
    // A burst of ten, and one more every 1.5 seconds.
    let left: Vec<String> = (0..4).map(|_| ana.open("/admin/organizations").header("ratelimit").to_owned()).collect();
    let spent =
        |left: &str| left.strip_prefix("\"session\";r=").and_then(|rest| rest.split(';').next()).map(str::to_owned);
    let numbers: Vec<u32> = left.iter().map(|it| spent(it).unwrap().parse().unwrap()).collect();
    assert!(numbers.windows(2).all(|pair| pair[0] <= pair[1] + 1 && pair[1] <= pair[0] + 1), "{left:?}");
    let refused = (0..60).map(|_| ana.get("/admin/organizations")).find(|page| page.status == 429);
    let refused = refused.unwrap().shows("Too many requests").shows("Try again in");
    assert!(refused.headers.contains_key("retry-after"), "{refused:?}");

    // Those who sign in do not spend from the budget of attempts; those who fail do, and those who ask for emails.
    for _ in 0..8 {
        Browser::of(&service, "ana@platform.example");
    }
    let stranger = Browser::new(&service);
    let forms = [("/sign-in", "Sign in", 401), ("/forgot-password", "Send the link", 202)];
    for (path, button, status) in forms {
        let form = stranger.open(path).form(path).fill("email", "nobody@platform.example");
        let form = if path == "/sign-in" { form.fill("password", "wrong horse battery") } else { form };
        let statuses: Vec<u16> = (0..7).map(|_| stranger.submit(&form, button).status).collect();
        assert!(
            statuses.contains(&429) && statuses.iter().all(|it| [status, 429].contains(it)),
            "{path}: {statuses:?}"
        );
    }
}

/// The bytes of a compressed response, with its headers, and its text.
fn wire(service: &Service, browser: &Browser<'_>, path: &str) -> (usize, bool) {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(service.address()).unwrap();
    let (host, cookie) = (service.address(), browser.cookie("porttask").unwrap());
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nAccept-Encoding: gzip\r\nCookie: porttask={cookie}\r\n\
         Connection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(2_000)]).to_lowercase();
    assert!(head.starts_with("http/1.1 200"), "{path}: {head}");
    (bytes.len(), head.contains("content-encoding: gzip"))
}

async fn the_first_load_and_later_pages_are_small(service: &'static SharedService) {
    let acme = service.organization().await.unlimited();
    for number in 0..30 {
        acme.invite(&format!("user-{number}"), &format!("User Number {number}"), "agent");
    }
    let bob = Browser::of(service, &acme.email("bob"));
    for url in ["/settings/users", "/settings/audit-log", "/settings/general", "/me"] {
        let page = bob.open(url);
        let mut parts = std::collections::BTreeSet::new();
        for element in &page.document.elements {
            let part = match element.name.as_str() {
                "link" | "use" => element.get("href"),
                "script" | "img" => element.get("src"),
                _ => continue,
            };
            // A part of a file, such as an icon of the sprite, is one request.
            parts.insert(part.split('#').next().unwrap().to_owned());
        }
        assert!(parts.iter().all(|part| part.starts_with("/console/")), "{parts:?}");
        let (own, is_compressed) = wire(service, &bob, url);
        assert!(is_compressed && own <= 15 * 1024, "{url} has {own} bytes");
        let all: usize = own + parts.iter().map(|part| wire(service, &bob, part).0).sum::<usize>();
        assert!(parts.len() < 10, "{url} needs {} requests: {parts:?}", parts.len() + 1);
        assert!(all <= 90 * 1024, "{url} needs {all} bytes");
    }
    // Files are kept for good: another version has another address.
    let css = bob.open("/sign-in").document.all("link").next().unwrap().get("href").to_owned();
    let css = bob.open(&css);
    assert_eq!(css.header("cache-control"), "public, max-age=31536000, immutable");
    assert!(!css.headers.contains_key("set-cookie"));
    assert_eq!(json!(bob.fetch("/console/0/nothing.js").status), json!(404));
}
