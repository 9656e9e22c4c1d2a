//! From a new service to the first admin of an organization, in a browser.

use porttask_tests::{Store, on_both_engines};

use crate::{
    browser::Browser,
    mailbox::DataDirectory,
    service::{PASSWORD, Service, porttask},
};

on_both_engines!(a_new_service_is_set_up_in_a_browser_up_to_its_first_admin);

async fn a_new_service_is_set_up_in_a_browser_up_to_its_first_admin(store: Store) {
    let data = DataDirectory::of(&store);
    let output = porttask(&store, &["init", "--public-url", "http://localhost:8080"]).output().unwrap();
    let link = String::from_utf8(output.stdout).unwrap();
    assert!(link.starts_with("http://localhost:8080/setup#token="), "{link}");
    let service = Service::start_with(&store, &[data.variable()]);

    // The link is pasted, as a browser without scripts does not read what follows #.
    let ana = Browser::new(&service);
    let form = ana.open("/setup").form("/setup");
    let page = ana.submit(&form.clone().fill("token", "nonsense"), "Continue");
    assert_eq!((page.status, page.error_of("token").is_empty()), (403, page.main().contains("This was not done")));
    let page = ana.submit(&form.fill("token", link.trim()), "Continue").is(200);
    assert!(page.main().contains("Emails stay in a folder"), "{}", page.main());
    let form = page.form("/setup").fill("name", "Ana Souza").fill("email", "ana@platform.example");
    let page = ana.submit(&form.clone().fill("password", "short"), "Create and sign in").is(422);
    assert!(!page.error_of("password").is_empty(), "{}", page.main());
    assert_eq!((page.value_of("name"), page.value_of("email")), ("Ana Souza".into(), "ana@platform.example".into()));
    assert_eq!(page.value_of("password"), "", "passwords are not sent back");
    let page = ana.submit(&page.form("/setup").fill("password", PASSWORD), "Create and sign in").is(200);
    assert_eq!((page.url.as_str(), page.title()), ("/admin/organizations", "Organizations · PortTask"));

    // The link works once.
    let other = Browser::new(&service);
    let form = other.open("/setup").form("/setup").fill("token", link.trim());
    let page = other.submit(&form, "Continue").is(410).shows("the platform has a super admin");
    assert_eq!(page.link("Sign in"), "/sign-in");

    let form = ana.open(&page_of(&ana, "New organization")).form("/admin/organizations/new");
    let form = form.fill("name", "Acme").fill("domain", "acme.example").fill("first_admin-name", "Bob Fisher");
    let page = ana.submit(&form.clone().fill("first_admin-email", "bob"), "Create").is(422);
    assert!(!page.error_of("first_admin-email").is_empty(), "{}", page.main());
    assert_eq!(page.value_of("domain"), "acme.example");
    let form = page.form("/admin/organizations/new").fill("first_admin-email", "bob@acme.example");
    let page = ana.submit(&form, "Create").is(200).shows("Bob Fisher");
    assert!(page.toast().contains("Acme is created, and bob@acme.example invited."), "{}", page.toast());
    assert!(page.url.starts_with("/admin/organizations/org_") && page.url.ends_with("/users"), "{}", page.url);
    assert_eq!(ana.open("/help").toast(), "", "what was done is said once");

    // The invitation, from the folder of emails.
    let (_, mail) = data.mails_with("bob@acme.example", 1).pop().unwrap();
    let link = mail.lines().find(|line| line.contains("/invitation#token=")).unwrap();
    let bob = Browser::new(&service);
    let page = bob.submit(&bob.open("/invitation").form("/invitation").fill("token", link.trim()), "Continue").is(200);
    assert!(page.main().contains("Acme, bob@acme.example"), "{}", page.main());
    let form = page.form("/invitation");
    assert_eq!(form.hidden("username"), "bob@acme.example", "for password managers");
    let page = bob.submit(&form.fill("password", PASSWORD), "Accept and sign in").is(200);
    assert_eq!(page.url, "/settings/users");
    let page = bob.open("/me").shows("bob@acme.example").shows("Admin");
    let page = bob.submit(&page.form("/sign-out"), "").is(200);
    assert_eq!((page.url.as_str(), bob.cookie("porttask")), ("/sign-in", None));
    assert!(bob.cookie("porttask-device").is_some(), "the device stays known");
    assert_eq!(bob.fetch("/settings/users").status, 303);
}

/// The address of a link on the start page.
fn page_of(browser: &Browser<'_>, text: &str) -> String {
    browser.open("/").link(text)
}
