//! A service with somebody of every role, and something of every kind.

use porttask_app::identity::links::Purpose;
use porttask_tests::Store;
use serde_json::json;

use crate::{
    browser::Browser,
    openapi::PLATFORM,
    service::{Caller, Service},
};

/// All roles, with who has them.
pub(crate) const ROLES: [(&str, &str); 6] = [
    ("admin", "bob@acme.example"),
    ("agent", "carol@acme.example"),
    ("read_only", "dan@acme.example"),
    ("auditor", "eve@acme.example"),
    ("super_admin", "ana@platform.example"),
    ("platform_auditor", "vera@platform.example"),
];

/// The ids of what there is.
pub(crate) struct Ids {
    pub(crate) organization: String,
    pub(crate) admin: String,
    pub(crate) user: String,
    pub(crate) invited: String,
    /// A user of the platform.
    pub(crate) staff: String,
    pub(crate) key: String,
    pub(crate) vendor: String,
    pub(crate) document: String,
    pub(crate) ticket: String,
    pub(crate) call: String,
    pub(crate) order: String,
    pub(crate) job: String,
    pub(crate) plan: String,
    pub(crate) coupon: String,
    pub(crate) discount: String,
    pub(crate) method: String,
    pub(crate) payment: String,
    pub(crate) invoice: String,
    pub(crate) note: String,
    pub(crate) licence: String,
    pub(crate) activation: String,
    pub(crate) signing_key: String,
    pub(crate) series: String,
}

/// Creates them.
pub(crate) async fn populate(service: &Service, store: &Store) -> Ids {
    let (organization, bob) = service.found(store, "acme.example").await;
    let admin = bob.session["user"].as_str().unwrap().to_owned();
    let url = |rest: &str| format!("/v1/organizations/current{rest}");
    let mut user = String::new();
    for (role, email) in &ROLES[1..4] {
        let name = email.split('@').next().unwrap();
        let id = invite(&bob, name, email, role);
        service.accept(store, &organization, &id).await.is(200);
        if *role == "agent" {
            user = id;
        }
    }
    let ana = service.ana();
    let vera = invite(&ana, "Vera", "vera@platform.example", "platform_auditor");
    let token = service.link(store, Purpose::Invitation, PLATFORM, &vera, 1).await;
    service.accept_with(&token).is(200);
    let invited = invite(&bob, "Ida", "ida@acme.example", "agent");
    let gone = invite(&bob, "Gus", "gus@acme.example", "agent");
    service.accept(store, &organization, &gone).await.is(200);
    bob.post(&url(&format!("/users/{gone}/deactivate")), &json!({})).is(200);
    let withdrawn = invite(&bob, "Hal", "hal@acme.example", "agent");
    bob.post(&url(&format!("/users/{withdrawn}/revoke-invitation")), &json!({})).is(200);

    let billing = "/v1/platform/billing";
    let plans = ana.get(&format!("{billing}/plans?q=enterprise")).is(200).body;
    let plan = plans["items"][0]["id"].as_str().unwrap().to_owned();
    complete_tax_details(&ana, &bob);
    let subscription = format!("/v1/organizations/{organization}/billing/subscription");
    ana.post(&format!("{subscription}/end"), &json!({})).is(200);
    let to = json!({"to": {"plan": plan, "interval": "year"}});
    ana.send("POST", &format!("{subscription}/change"), &[("idempotency-key", "begin")], Some(&to)).is(200);
    let method = bob.post(&url("/billing/payment-methods"), &json!({"setup": "sim_ok"})).is(200);
    let method = method.body["payment_method"].as_str().unwrap().to_owned();
    let more = json!({"to": {"plan": plan, "interval": "year", "seats": 1}});
    let path = url("/billing/subscription/change");
    bob.send("POST", &path, &[("idempotency-key", "more")], Some(&more)).is(200);
    let paid = bob.get(&url("/billing/payments")).is(200).body;
    let payment = paid["items"][0]["id"].as_str().unwrap().to_owned();
    let off = json!({"percent": "10", "duration": "forever"});
    let coupon = json!({"code": "WELCOME10", "name": "Welcome <i>", "discount": off});
    let coupon = ana.post(&format!("{billing}/coupons"), &coupon).is(201).id().to_owned();
    bob.post(&url("/billing/subscription/discounts"), &json!({"code": "welcome10"})).is(200);
    let shown = bob.get(&url("/billing/subscription")).is(200).body;
    let discount = shown["discounts"][0]["id"].as_str().unwrap().to_owned();
    let keys = format!("{billing}/licence-signing-keys");
    let first = ana.post(&keys, &json!({})).is(201).id().to_owned();
    ana.post(&format!("{keys}/{first}/activate"), &json!({})).is(200);
    let signing_key = ana.post(&keys, &json!({})).is(201).id().to_owned();
    let path = format!("/v1/organizations/{organization}/billing/licences");
    let partner = json!({"kind": "partner", "expires_at": "2035-01-01", "activations": 3, "reseller": "Tugs <i> IT"});
    let licence = ana.send("POST", &path, &[("idempotency-key", "licence")], Some(&partner)).is(201).id().to_owned();
    let shown = || ana.get(&format!("{path}/{licence}")).is(200).body;
    let machine = "96cmbfi0IHk9UbklYZVdsoeSzgBXBZPUfUTZVBibNoU";
    let activation = json!({"token": shown()["token"], "machine": machine});
    service.send("POST", "/v1/licences/activate", &[], Some(&activation)).is(200);
    let is_shown = async || shown()["used_activations"] == 1;
    porttask_tests::by(std::time::Duration::from_secs(20), "the activation", is_shown).await;
    let activation = shown()["activations"][0]["id"].as_str().unwrap().to_owned();
    let (invoice, note) = invoice(&ana, &organization);
    let listed = ana.get(&format!("{billing}/seller/series")).is(200).body;
    let series = listed["items"][0]["id"].as_str().unwrap().to_owned();
    let key = json!({"name": "harbour robot", "networks": ["203.0.113.0/24"]});
    let key = bob.post(&url("/api-keys"), &key).is(201).id().to_owned();
    let former = bob.post(&url("/api-keys"), &json!({"name": "former robot"})).is(201).id().to_owned();
    bob.post(&url(&format!("/api-keys/{former}/revoke")), &json!({})).is(200);
    let vendor = json!({"name": "Tugs & Co", "services": ["towage"], "order_email": "orders@tugs.example",
        "contacts": [{"name": "Ana <i>", "email": "ana@tugs.example"}]});
    let vendor = bob.post(&url("/vendors"), &vendor).is(201).id().to_owned();
    let archived = json!({"name": "Old tugs", "services": ["towage"], "order_email": null, "contacts": []});
    let archived = bob.post(&url("/vendors"), &archived).is(201).id().to_owned();
    bob.post(&url(&format!("/vendors/{archived}/archive")), &json!({})).is(200);
    let binary = [("content-type", "application/octet-stream")];
    let document = bob.upload(&url("/documents?name=Crew%20%3Clist%3E.txt"), &binary, "Ana\nBob\n").id().to_owned();
    let ticket = json!({"kind": "billing", "subject": "No invoice <i>", "text": "None\nsince May."});
    let ticket = bob.post(&url("/tickets"), &ticket).is(201).id().to_owned();
    let call = json!({"port": {"unlocode": "BRSSZ"}, "vessel": "MSC Anna <i>", "imo": "9074729", "voyage": "NX648R",
        "eta": "2026-12-03T08:30", "etd": "2026-12-04T18:00"});
    let finished = bob.post(&url("/port-calls"), &call).is(201).id().to_owned();
    bob.post(&url(&format!("/port-calls/{finished}/cancel")), &json!({"remark": "berth <i> not available"})).is(200);
    let call = bob.post(&url("/port-calls"), &call).is(201).id().to_owned();
    bob.post(&url(&format!("/port-calls/{call}/status")), &json!({"status": "confirmed"})).is(200);
    let order = json!({"port_call": call, "service": "towage", "details": "Two tugs <i>",
        "requested_at": "2026-12-03T08:30"});
    let order = bob.post(&url("/service-orders"), &order).is(201).id().to_owned();
    bob.post(&url(&format!("/service-orders/{order}/assign")), &json!({"vendor": vendor})).is(200);
    let file = "name,email,role\nJo Winter,jo@acme.example,agent\nNobody,no address,agent\n";
    let job = bob.upload(&url("/users/import"), &[], file).id().to_owned();
    let path = url(&format!("/jobs/{job}"));
    let is_done = async || bob.get(&path).is(200).body["state"] == "done";
    porttask_tests::by(std::time::Duration::from_secs(20), "the import", is_done).await;
    let staff = vera;
    Ids {
        organization,
        admin,
        user,
        invited,
        staff,
        key,
        vendor,
        call,
        order,
        document,
        ticket,
        job,
        plan,
        coupon,
        discount,
        method,
        payment,
        invoice,
        note,
        licence,
        activation,
        signing_key,
        series,
    }
}

/// What invoices need of the seller and of an organization.
pub(crate) fn complete_tax_details(ana: &Caller<'_>, bob: &Caller<'_>) {
    let address = json!({"street": ["Am Sandtorkai 30"], "postcode": "20457", "city": "Hamburg", "country": "DE"});
    let seller = json!({"legal_name": "PortTask GmbH", "address": address, "vat_id": "DE123456788",
        "zone": "Europe/Berlin", "accounting_currency": "EUR"});
    ana.patch("/v1/platform/billing/seller", &seller).is(200);
    let account = json!({"legal_name": "Acme Ports GmbH", "address": address});
    bob.patch("/v1/organizations/current/billing/account", &account).is(200);
}

/// An open invoice with a credit note.
fn invoice(ana: &Caller<'_>, organization: &str) -> (String, String) {
    let path = format!("/v1/organizations/{organization}/billing/invoices");
    let line = json!({"description": "Training <i>", "quantity": 2, "unit_price": "450.00", "from": "2026-11-02",
        "until": "2026-11-04"});
    let draft = json!({"currency": "EUR", "lines": [line]});
    let id = ana.post(&path, &draft).is(201).id().to_owned();
    let post = |command: &str, body: &serde_json::Value| {
        ana.send("POST", &format!("{path}/{id}/{command}"), &[("idempotency-key", command)], Some(body)).is(200);
    };
    post("issue", &json!({}));
    post("credit", &json!({"lines": [{"line": 1, "net": 1_000}], "reason": "goodwill"}));
    let shown = ana.get(&format!("{path}/{id}")).is(200).body;
    (id, shown["credit_notes"][0].as_str().unwrap().to_owned())
}

fn invite(by: &Caller<'_>, name: &str, email: &str, role: &str) -> String {
    let body = json!({"name": name, "email": email, "role": role});
    by.post("/v1/organizations/current/users", &body).is(201).id().to_owned()
}

/// A browser for each role, signed in.
pub(crate) fn browsers(service: &Service) -> Vec<(&'static str, &'static str, Browser<'_>)> {
    ROLES.into_iter().map(|(role, email)| (role, email, Browser::of(service, email))).collect()
}
