//! The pages that show the API document: complete, and without requests to other hosts.

use porttask_tests::{Engine, run_on};
use std::collections::BTreeSet;

use crate::shared::SharedService;

/// The values of `src` and `href` attributes.
fn references(html: &str) -> BTreeSet<String> {
    let after = |attribute: &'static str| html.split(attribute).skip(1).filter_map(|rest| rest.split('"').next());
    after("src=\"").chain(after("href=\"")).map(str::to_owned).collect()
}

#[test]
fn the_pages_are_compressed_only_on_request() {
    run_on(Engine::Sqlite, async |service: &'static SharedService| {
        for path in ["/docs/", "/docs/swagger-ui-bundle.js"] {
            let plain = service.send("GET", path, &[("accept-encoding", "identity")], None).is(200);
            assert!(!plain.headers.contains_key("content-encoding"), "{path}: {:?}", plain.headers);
            assert_eq!(plain.header("vary"), "accept-encoding");
            assert!(plain.body.as_str().unwrap().contains("swagger") || path.ends_with(".js"), "{path}");
        }
    });
}

#[test]
fn the_pages_load_only_what_is_served_here() {
    run_on(Engine::Sqlite, async |service: &'static SharedService| {
        let page = service.send("GET", "/docs/", &[], None).is(200);
        let html = page.body.as_str().unwrap();
        let policy = page.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
        assert!(!policy.contains("unsafe") && !policy.contains("http") && !policy.contains('*'), "{policy}");
        assert!(!html.contains("<script>") && !html.contains("<style") && !html.contains(" onload="), "{html}");

        let references = references(html);
        assert!(references.len() >= 5, "{references:?}");
        for reference in &references {
            assert!(!reference.contains("//"), "{reference} is on another host");
            let file = service.send("GET", &format!("/docs/{}", reference.trim_start_matches("./")), &[], None).is(200);
            assert_eq!(file.header("content-security-policy"), policy);
            let kind = match reference.rsplit('.').next().unwrap() {
                "js" => "text/javascript",
                "css" => "text/css",
                "png" => "image/png",
                other => panic!("unexpected file type {other}"),
            };
            assert!(file.header("content-type").starts_with(kind), "{file:?}");
            if kind == "text/css" {
                let css = file.body.as_str().unwrap();
                let loaded = css.split("url(").skip(1).map(|rest| rest.trim_start_matches(['"', '\'']));
                assert!(loaded.into_iter().all(|url| url.starts_with("data:")), "{reference}");
                assert!(!css.contains("@import"), "{reference}");
            }
        }
        let initializer = service.send("GET", "/docs/swagger-initializer.js", &[], None).is(200);
        let initializer = initializer.body.as_str().unwrap();
        assert!(initializer.contains("\"/openapi.json\"") && initializer.contains("\"validatorUrl\": \"none\""));
        assert!(!initializer.contains("http://") && !initializer.contains("https://"), "{initializer}");
        for missing in ["swagger-ui.js", "oauth2-redirect.html", "..%2fopenapi.json", "nothing"] {
            service.send("GET", &format!("/docs/{missing}"), &[], None).refused(404, "resource-not-found");
        }
    });
}
