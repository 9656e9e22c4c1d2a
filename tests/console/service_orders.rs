//! Service orders in the console, and the page on which vendors answer.

use std::time::Duration;

use porttask_tests::{by, on_both_engines};
use serde_json::{Value, json};

use crate::{
    browser::{Browser, Page},
    shared::{Organization, SharedService},
};

on_both_engines!(
    a_service_is_ordered_and_the_vendor_answers_on_a_page_of_the_link,
    whoever_is_responsible_is_told_what_a_vendor_answers,
    a_port_call_shows_all_its_orders,
);

/// The link in the last mail to a vendor, once there are so many.
async fn link(service: &SharedService, email: &str, count: usize) -> String {
    let found = || {
        let mails = service.mails_with(&format!("<{email}>"), 0);
        let lines = mails.iter().flat_map(|(_, mail)| mail.lines());
        let links: Vec<String> = lines
            .filter(|it| it.starts_with("http") && it.contains("#token="))
            .map(|it| it.trim().to_owned())
            .collect();
        links
    };
    by(Duration::from_secs(20), "the vendor gets a mail", async || found().len() >= count).await;
    found().pop().unwrap()
}

async fn a_service_is_ordered_and_the_vendor_answers_on_a_page_of_the_link(service: &'static SharedService) {
    let acme = service.organization().await;
    let email = acme.email("tugs");
    let call = json!({"port": {"unlocode": "BRSSZ"}, "vessel": "MSC Anna", "imo": "9074729",
        "eta": "2026-12-03T08:30", "etd": "2026-12-04T18:00"});
    let call = acme.admin.post("/v1/organizations/current/port-calls", &call).is(201).id().to_owned();
    let vendor = json!({"name": "Svitzer Santos", "services": ["towage"], "order_email": email});
    acme.admin.post("/v1/organizations/current/vendors", &vendor).is(201);
    let bob = Browser::of(service, &acme.email("bob"));
    let url = format!("/operations/port-calls/{call}");
    let page = bob.open(&url);
    let page = bob.open(&page.link("Order a service"));
    let action = format!("{url}/order");
    let form = page.form(&action).fill("service", "towage").fill("requested_at", "2026-12-03T08:30");
    let form = form.fill("amount", "1250.005").fill("currency", "EUR");
    let page = bob.submit(&form, "Order").is(422);
    assert!(page.error_of("details").contains("required"), "{}", page.main());
    let page = bob.submit(&page.form(&action).fill("details", "Two tugs\nfor berthing"), "Order").is(422);
    assert!(page.error_of("amount").contains("1250.00"), "{}", page.main());
    let page = bob.submit(&page.form(&action).fill("amount", "1250"), "Order").is(200).shows("Draft");
    let page = bob.open(&page.link("Towage")).shows("Towage for MSC Anna").shows("nobody was asked yet");
    let order = page.url.clone();
    let dialog = bob.open(&page.link("Ask a vendor…"));
    let vendors = acme.admin.get("/v1/organizations/current/vendors").is(200).body;
    let vendor = dialog.form(&dialog.url).fill("vendor", vendors["items"][0]["id"].as_str().unwrap());
    bob.submit(&vendor, "Ask").is(200).shows("Assigned").shows("Svitzer Santos");
    bob.open("/operations/service-orders?status=assigned").shows("MSC Anna, Santos").shows("1250.00 EUR");
    let list = bob.open("/operations/service-orders?q=two+tugs&service=towage").shows("MSC Anna, Santos");
    let csv = bob.fetch(&list.link("Export")).is(200);
    assert_eq!(csv.header("content-disposition"), "attachment; filename=\"service-orders.csv\"");
    assert!(csv.text.contains(",Svitzer Santos,towage,") && csv.text.lines().count() == 3, "{}", csv.text);
    bob.open("/operations/service-orders?q=one+tug").shows("Nothing matches");
    let csv = bob.fetch("/operations/vendors/export?service=towage").is(200);
    assert!(csv.text.contains(",Svitzer Santos,towage,"), "{}", csv.text);
    bob.open("/operations/vendors?service=crew").shows("Nothing matches");

    // The vendor has no account.
    let stranger = Browser::new(service);
    let paste = |link: &str| {
        let form = stranger.open("/vendor-response").form("/vendor-response").fill("token", link);
        stranger.submit(&form, "Continue")
    };
    let first = link(service, &email, 1).await;
    let shown = paste(&first).is(200).shows("Acme orders towage.").shows("Two tugs").shows("1250.00 EUR");
    assert!(!shown.main().contains("Bob"), "{}", shown.main());
    let form = shown.form("/vendor-response").fill("answer", "accepted").fill("remark", "tugs Alfa and Beta");
    stranger.submit(&form, "Send the answer").is(200).shows("You have accepted").shows("Acme is told.");
    acme.admin.get(&format!("/v1/organizations/current/service-orders/{}", order.rsplit('/').next().unwrap())).is(200);
    bob.open(&order).shows("tugs Alfa and Beta").shows("by the vendor").shows("created a service order for towage");
    // A change asks anew, and the former link is void.
    let page = bob.open(&format!("{order}/edit")).shows("they are asked again");
    let form = page.form(&format!("{order}/edit")).fill("details", "One tug").fill("amount", "").fill("currency", "");
    bob.submit(&form, "Save").is(200).shows("Assigned").shows("One tug");
    paste(&first).is(410).shows("A newer link was sent.");
    let second = link(service, &email, 2).await;
    let shown = paste(&second).is(200).shows("One tug");
    stranger.submit(&shown.form("/vendor-response").fill("answer", "accepted"), "Send the answer").is(200);
    let shown = paste(&second).is(200).shows("You have accepted.");
    stranger.submit(&shown.form("/vendor-response"), "Send the answer").is(200).shows("The service was provided");
    paste(&second).is(410).shows("The order was answered already.");
    paste("nonsense").is(403);
    // Canceling the port call says which orders end.
    let again = json!({"port_call": call, "service": "towage", "details": "Again", "requested_at": "2026-12-04T08:30"});
    acme.admin.post("/v1/organizations/current/service-orders", &again).is(201);
    // One's own read waits for one's own change; then others see it as well.
    acme.admin.get(&format!("/v1/organizations/current/port-calls/{call}")).is(200);
    bob.open(&format!("{url}/cancel")).shows("Cancels 1 service order; their vendors get an email");
    assert!(page.words().contains("Service orders"));
}

/// A port call for which the admin is responsible, and a vendor of tugs: their ids.
fn call_and_vendor(acme: &Organization<'_>, email: &str) -> (String, String) {
    let call = json!({"port": {"unlocode": "BRSSZ"}, "vessel": "MSC Anna", "imo": "9074729",
        "eta": "2026-12-03T08:30", "etd": "2026-12-04T18:00"});
    let call = acme.admin.post("/v1/organizations/current/port-calls", &call).is(201).id().to_owned();
    let vendor = json!({"name": "Svitzer Santos", "services": ["towage"], "order_email": email});
    let vendor = acme.admin.post("/v1/organizations/current/vendors", &vendor).is(201).id().to_owned();
    (call, vendor)
}

/// The versions of the parts of a page, by which an open one notices that it has changed.
fn versions(page: &Page) -> Vec<String> {
    page.document.elements.iter().filter_map(|it| it.attribute("data-version").map(str::to_owned)).collect()
}

async fn whoever_is_responsible_is_told_what_a_vendor_answers(service: &'static SharedService) {
    let (acme, umbra) = (service.organization().await, service.organization().await);
    let email = acme.email("tugs");
    let (call, vendor) = call_and_vendor(&acme, &email);
    acme.join("ida", "Ida Lund", "agent");
    let [bob, ida, stranger] =
        [acme.email("bob"), acme.email("ida"), umbra.email("bob")].map(|email| Browser::of(service, &email));
    let order = json!({"port_call": call, "vendor": vendor, "service": "towage", "details": "Two tugs",
        "requested_at": "2026-12-03T08:30"});
    let order = acme.admin.post("/v1/organizations/current/service-orders", &order).is(201).id().to_owned();
    let path = format!("/v1/organizations/current/service-orders/{order}");
    acme.admin.get(&path).is(200);
    let urls = [format!("/operations/service-orders/{order}"), format!("/operations/port-calls/{call}")];
    let open = || urls.each_ref().map(|url| versions(&bob.open(url)));
    let before = open();
    let page = bob.open("/help");
    let since = page.document.all("body").next().unwrap().get("data-notices").to_owned();
    let told = |browser: &Browser<'_>, since: &str| -> Value {
        serde_json::from_str(&browser.fetch(&format!("/notices?after={since}")).is(200).text).unwrap()
    };
    assert_eq!(told(&bob, &since), json!([]));

    let token = link(service, &email, 1).await.split("#token=").nth(1).unwrap().to_owned();
    let answer = json!({"token": token, "answer": "accepted"});
    service.send("POST", "/v1/vendor-responses", &[], Some(&answer)).is(200);
    by(Duration::from_secs(20), "the order is accepted", async || {
        acme.admin.get(&path).is(200).body["status"] == "accepted"
    })
    .await;
    let notices = told(&bob, &since);
    assert_eq!(notices[0]["text"], "Svitzer Santos accepted: towage for MSC Anna");
    assert_eq!((notices[0]["url"].as_str().unwrap(), notices.as_array().unwrap().len()), (urls[0].as_str(), 1));
    assert_eq!(told(&bob, notices[0]["at"].as_str().unwrap()), json!([]), "each is shown once");
    assert_eq!(told(&bob, "soon"), json!([]));
    for other in [&ida, &stranger] {
        assert_eq!(told(other, &since), json!([]), "of nobody else's orders");
    }
    for (before, after) in before.iter().zip(open()) {
        assert!(!before.is_empty() && *before != after, "{before:?}: {after:?}");
    }
    // What a user records is no answer of the vendor.
    acme.admin.post(&format!("{path}/answer"), &json!({"answer": "completed"})).is(200);
    acme.admin.get(&path).is(200);
    assert_eq!(told(&bob, notices[0]["at"].as_str().unwrap()), json!([]));
    // Staff is not told.
    let ana = Browser::of(service, "ana@platform.example");
    assert!(!ana.open("/help").document.all("body").next().unwrap().has("data-notices"));
}

async fn a_port_call_shows_all_its_orders(service: &'static SharedService) {
    let acme = service.organization().await.unlimited();
    let (call, _) = call_and_vendor(&acme, &acme.email("tugs"));
    let order =
        json!({"port_call": call, "service": "towage", "details": "Two tugs", "requested_at": "2026-12-03T08:30"});
    for _ in 0..101 {
        acme.admin.post("/v1/organizations/current/service-orders", &order).is(201);
    }
    acme.admin.get(&format!("/v1/organizations/current/port-calls/{call}")).is(200);
    let page = Browser::of(service, &acme.email("bob")).open(&format!("/operations/port-calls/{call}"));
    assert_eq!(versions(&page).len(), 102, "the port call and its orders");
}
