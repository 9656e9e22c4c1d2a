//! What admins do all day, at random.

use jiff::Timestamp;
use porttask_domain::{
    Actor, ApiKeyId, Meta, OrganizationId, PersonName, UserId,
    billing::{
        BillingAccount, Coupon, CreditNote, Invoice, Licence, Payment, PaymentMethods, Plan, Seller, Subscription,
        UsageMonth, billing_account,
        coupon::{self, AppliesTo, DiscountTerms, Duration, Off, Redemption},
        credit_note,
        invoice::{self, ManualLine},
        licence::{self, LicenceTerms},
        payment::{self, PaymentId, Start, Target},
        payment_method::{self, MethodKind},
        period::Interval,
        plan::{self, Code, PlanId, ProductName},
        quote::Used,
        schedule,
        seller::{self, SellerId},
        subscription::{self, ChangeTerms},
        terms::{Held, Terms},
        usage_month::{self, UsageMonthId},
    },
    identity::{ApiKey, EmailAddress, Role, Session, api_key, organization, session, user},
    operations::{
        Document, PortCall, ServiceOrder, Vendor,
        document::{self, ContentType, DocumentId, DocumentName},
        port::{GivenPort, Unlocode},
        port_call::{self, NewPortCall, PortCallId, Schedule},
        service_order::{self, Details, NewServiceOrder, ServiceOrderId},
        vendor::{self, Service, VendorId, VendorName},
        vessel::{ImoNumber, VesselName},
    },
    support::{
        Ticket, TicketNote,
        ticket::{self, Author, Side, TicketId, TicketKind, TicketSubject, TicketText},
        ticket_note,
    },
};
use porttask_runtime::{execute::Request, new_id};

use rust_decimal::Decimal;

use crate::{Acme, Dice, Node, become_role, invite};

const ROLES: [Role; 4] = [Role::Admin, Role::Agent, Role::ReadOnly, Role::Auditor];

/// Does things to organizations and their people; refusals are part of life.
pub async fn work(node: &Node, steps: usize) -> Vec<Acme> {
    let mut dice = Dice::new();
    let mut organizations = Vec::new();
    for _ in 0..3 {
        let domain = format!("d{}.example", new_id::<UserId>().0.simple());
        let acme = node.found(&domain).await;
        // So that every read model has something to tell, however the dice fall.
        make_key(node, &acme, acme.admin, Role::Admin).await;
        work_with_vendor(node, &acme, 0).await;
        work_with_port_call(node, &acme, 0).await;
        work_with_service_order(node, &acme, 0).await;
        work_with_document(node, &acme, 1).await;
        work_with_ticket(node, &acme, 0).await;
        work_with_billing(node, &acme).await;
        sign_in(node, &acme, acme.admin, false).await;
        organizations.push((acme, Vec::<UserId>::new()));
    }
    for _ in 0..steps {
        let (acme, people) = &mut organizations[dice.below(3) as usize];
        let someone = people.get(dice.below(people.len().max(1) as u32) as usize).copied().unwrap_or(acme.admin);
        let role = ROLES[dice.below(4) as usize];
        match dice.below(20) {
            0 | 1 => {
                let user = new_id();
                let email = format!("{}@people.example", new_id::<UserId>().0.simple());
                _ = node.user(acme, user, invite(acme.organization, user, &email, role)).await;
                people.push(user);
            }
            2 if dice.below(3) == 0 => {
                let link = [user::Link::Invitation, user::Link::AddressChange][dice.below(2) as usize];
                _ = node.user(acme, someone, user::Command::ExpireLink { link, now: Timestamp::MAX }).await;
            }
            2 => {
                _ = node.user(acme, someone, user::Command::Accept { invitation: 1, now: Timestamp::UNIX_EPOCH }).await
            }
            3 => _ = node.user(acme, someone, become_role(role)).await,
            4 => _ = node.user(acme, someone, user::Command::Deactivate).await,
            5 => _ = node.user(acme, someone, user::Command::Reactivate).await,
            6 => _ = node.user(acme, someone, user::Command::RevokeInvitation).await,
            7 => {
                let name = PersonName::new(&format!("Person {}", dice.below(100))).unwrap();
                _ = node.user(acme, someone, user::Command::Rename { name }).await;
            }
            8 => {
                let email = EmailAddress::new(&format!("{}@moved.example", new_id::<UserId>().0.simple())).unwrap();
                let (request, now, expires_at) = (1, Timestamp::UNIX_EPOCH, Timestamp::MAX);
                _ = node.user(acme, someone, user::Command::RequestAddressChange { email, expires_at }).await;
                _ = node.user(acme, someone, user::Command::ConfirmAddress { request, now }).await;
            }
            9 => {
                let (request, now, expires_at) = (1, Timestamp::UNIX_EPOCH, Timestamp::MAX);
                _ = node.user(acme, someone, user::Command::RequestPasswordReset { now, expires_at }).await;
                _ = node.user(acme, someone, user::Command::ResetPassword { request, now }).await;
                let (session_epoch, keeping) = (u64::from(dice.below(3)), None);
                _ = node.user(acme, someone, user::Command::EndSessions { session_epoch, keeping }).await;
            }
            10 => _ = node.organization(acme, acme.suspend()).await,
            11 => _ = node.organization(acme, organization::Command::Reactivate).await,
            12 | 13 => {
                let key = make_key(node, acme, someone, role).await;
                let (now, former_until) = (Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH);
                let next = match dice.below(4) {
                    0 => api_key::Command::Rotate { generation: 2, now, former_until },
                    1 => api_key::Command::Revoke,
                    2 => api_key::Command::Adopt { by: acme.admin },
                    _ => continue,
                };
                _ = node.executor.execute::<ApiKey>(key, next, &acme.request()).await;
            }
            14 => work_with_vendor(node, acme, dice.below(4) as usize).await,
            15 => work_with_port_call(node, acme, dice.below(6) as usize).await,
            16 => work_with_service_order(node, acme, dice.below(5) as usize).await,
            17 => work_with_document(node, acme, dice.below(3) as usize).await,
            18 => work_with_ticket(node, acme, dice.below(4) as usize).await,
            _ => sign_in(node, acme, someone, dice.below(2) == 0).await,
        }
    }
    organizations.into_iter().map(|(acme, _)| acme).collect()
}

/// Starts a session, and ends it.
async fn sign_in(node: &Node, acme: &Acme, user: UserId, signs_out: bool) {
    let (session, method) = (new_id(), session::Method::Password);
    let (started_at, expires_at, session_epoch) =
        (Timestamp::UNIX_EPOCH, Timestamp::MAX, session::SessionEpoch::default());
    let start = session::Command::Start { user, method, started_at, expires_at, session_epoch };
    let request = acme.request();
    if node.executor.execute::<Session>(session, start, &request).await.is_ok() && signs_out {
        _ = node.executor.execute::<Session>(session, session::Command::SignOut, &request).await;
    }
}

/// Creates a vendor, and does as many things to it.
async fn work_with_vendor(node: &Node, acme: &Acme, changes: usize) {
    let id: VendorId = new_id();
    let email = EmailAddress::new("orders@svitzer.example").unwrap();
    let contact = |name: &str| {
        let name = PersonName::new(name).unwrap();
        vendor::NewContact { id: new_id(), name, email: email.clone() }
    };
    let create = vendor::Command::Create {
        vendor: id,
        name: VendorName::new("Svitzer").unwrap(),
        services: [Service::Towage].into(),
        contacts: vec![contact("Rui Prado")],
        order_email: Some(email.clone()),
    };
    let changes = [
        vendor::Command::Rename { name: VendorName::new("Svitzer Santos").unwrap() },
        vendor::Command::ChangeContacts { contacts: vec![contact("Rui Prado"), contact("Ida Lund")] },
        vendor::Command::Archive,
    ]
    .into_iter()
    .take(changes);
    for command in std::iter::once(create).chain(changes) {
        _ = node.executor.execute::<Vendor>(id, command, &acme.request()).await;
    }
}

/// Creates a port call, and does as many things to it.
async fn work_with_port_call(node: &Node, acme: &Acme, changes: usize) {
    let id: PortCallId = new_id();
    let unlocode = Unlocode::new("BRSSZ").unwrap();
    let port = GivenPort { unlocode, name: None, country: None, time_zone: None }.resolve().unwrap();
    let day = |text: &str| text.parse::<Timestamp>().unwrap();
    let create = port_call::Command::Create(Box::new(NewPortCall {
        port,
        vessel: VesselName::new("MSC Anna").unwrap(),
        imo: ImoNumber::new("9074729").unwrap(),
        voyage: None,
        reference: None,
        schedule: Schedule { eta: day("2026-12-03T08:30:00Z"), etd: day("2026-12-04T18:00:00Z") },
        agent: acme.admin,
        usage_month: "2026-12".to_owned(),
    }));
    let change = |to| {
        let (occurred_at, remark, now) = (Some(day("2026-12-03T09:00:00Z")), None, Timestamp::MAX);
        port_call::Command::ChangeStatus { to, occurred_at, remark, now }
    };
    let changes = [
        port_call::Command::ChangeVessel { name: Some(VesselName::new("MSC Anita").unwrap()), imo: None },
        change(port_call::Status::Confirmed),
        port_call::Command::RevertStatus { status: port_call::Status::Confirmed },
        change(port_call::Status::Canceled),
        port_call::Command::Delete { in_any_status: false },
    ]
    .into_iter()
    .take(changes);
    for command in std::iter::once(create).chain(changes) {
        _ = node.executor.execute::<PortCall>(id, command, &acme.request()).await;
    }
}

/// Creates a service order, and does as many things to it.
async fn work_with_service_order(node: &Node, acme: &Acme, changes: usize) {
    let id: ServiceOrderId = new_id();
    let create = service_order::Command::Create(Box::new(NewServiceOrder {
        port_call: new_id(),
        service: Service::Towage,
        details: Details::new("Two tugs").unwrap(),
        requested_at: "2026-12-03T08:30:00Z".parse().unwrap(),
        price: None,
    }));
    let accepted = service_order::Answer::Accepted;
    let changes = [
        service_order::Command::Assign { vendor: new_id(), now: Timestamp::UNIX_EPOCH },
        service_order::Command::AskAgain { request: 2, now: Timestamp::UNIX_EPOCH },
        service_order::Command::Answer { answer: accepted, by: service_order::AnsweredBy::User, remark: None },
        service_order::Command::Cancel { remark: None, with_port_call: false },
    ]
    .into_iter()
    .take(changes);
    for command in std::iter::once(create).chain(changes) {
        _ = node.executor.execute::<ServiceOrder>(id, command, &acme.request()).await;
    }
}

/// Uploads a document, and does as many things to it.
async fn work_with_document(node: &Node, acme: &Acme, changes: usize) {
    let (document, name) = (new_id::<DocumentId>(), DocumentName::new("Bill of lading.pdf"));
    let upload =
        document::Command::StartUpload { document, name, bytes: 2_048, subject: None, now: Timestamp::UNIX_EPOCH };
    let store = document::Command::Store { sha256: "0".repeat(64), bytes: 2_048, content_type: ContentType::Pdf };
    let changes = [store, document::Command::Delete].into_iter().take(changes);
    for command in std::iter::once(upload).chain(changes) {
        _ = node.executor.execute::<Document>(document, command, &acme.request()).await;
    }
}

/// Opens a ticket, on which staff writes a note, and does as many things to it.
async fn work_with_ticket(node: &Node, acme: &Acme, changes: usize) {
    let (id, by) = (new_id::<TicketId>(), Author { user: acme.admin, side: Side::Organization });
    let (subject, text) = (TicketSubject::new("No invoice").unwrap(), TicketText::new("Since May.").unwrap());
    let open = ticket::Command::Open { number: 1, kind: TicketKind::Billing, subject, text: text.clone(), by };
    let now = Timestamp::UNIX_EPOCH;
    let changes = [
        ticket::Command::Reply { reply: new_id(), text, by, now },
        ticket::Command::Resolve { by, now },
        ticket::Command::Reopen { by },
    ]
    .into_iter()
    .take(changes);
    for command in std::iter::once(open).chain(changes) {
        _ = node.executor.execute::<Ticket>(id, command, &acme.request()).await;
    }
    let (organization, ticket, by) = (acme.organization, id, UserId::FIRST_SUPER_ADMIN);
    let add = ticket_note::Command::Add { organization, ticket, by, text: TicketText::new("Look at it.").unwrap() };
    let request = Request::new(OrganizationId::PLATFORM, Meta::by(Actor::Operator));
    _ = node.executor.execute::<TicketNote>(new_id(), add, &request).await;
}

/// Publishes a plan and a coupon, which the organization holds.
async fn work_with_billing(node: &Node, acme: &Acme) {
    let code = |kind: &str| Code::new(&format!("{kind}-{}", acme.organization.0.simple())).unwrap();
    let (plan, [(_, _, name, visibility, offer), ..]) = (new_id::<PlanId>(), plan::built_in());
    let product = ProductName::new(name).unwrap();
    let create = plan::Command::Create { code: code("p"), name: product.clone(), visibility, for_organization: None };
    let platform = Request::new(OrganizationId::PLATFORM, Meta::by(Actor::Operator));
    for command in [create, plan::Command::Publish { offer: offer.clone() }] {
        _ = node.executor.execute::<Plan>(plan, command, &platform).await;
    }
    let terms = DiscountTerms {
        off: Off::Percent(Decimal::TEN),
        duration: Duration::Once,
        applies_to: AppliesTo::All,
        plans: vec![],
    };
    let (code, redemption) = (code("c"), Redemption::default());
    let create = coupon::Command::Create { code, name: product, terms: terms.clone(), redemption };
    _ = node.executor.execute::<Coupon>(new_id(), create, &platform).await;
    let terms_of_plan = Terms { plan, code: "p".to_owned(), name: name.to_owned(), version: 1, offer };
    let currency = terms_of_plan.offer.prices[0].currency;
    let to = Held::new(terms_of_plan.clone(), 100, Interval::Month, currency).unwrap();
    let (created_at, now) = (Timestamp::UNIX_EPOCH, "1970-01-02T00:00:00Z".parse().unwrap());
    let trial_ends_at = created_at + schedule::TRIAL;
    let start = subscription::Command::StartTrial {
        terms: terms_of_plan.in_trial(),
        zone: "UTC".to_owned(),
        created_at,
        trial_ends_at,
    };
    let change = ChangeTerms {
        to,
        effective: None,
        quote: None,
        is_gated: true,
        balance: 0,
        change: new_id(),
        used: Used::default(),
        tax: None,
        now,
    };
    let commands = [
        start,
        subscription::Command::AddDiscount { discount: new_id(), coupon: None, terms, now },
        subscription::Command::Change(Box::new(change)),
        subscription::Command::Reach { due: trial_ends_at, can_pay: true, now: trial_ends_at },
    ];
    for command in commands {
        _ = node.executor.execute::<Subscription>(acme.organization.into(), command, &acme.request()).await;
    }
    let details = payment_method::Details {
        provider: "simulator".to_owned(),
        customer: acme.organization.to_string(),
        token: "sim_ok".to_owned(),
        kind: MethodKind::Card,
        brand: "sim_ok".to_owned(),
        last4: "0000".to_owned(),
        expires: None,
        fingerprint: None,
    };
    let (method, target, amount) = (new_id(), Target::Invoice(new_id::<PlanId>().0), 4_900);
    let add = payment_method::Command::Add { method, details };
    _ = node.executor.execute::<PaymentMethods>(acme.organization.into(), add, &acme.request()).await;
    let start = Start { target, amount, currency, method, provider: "simulator".to_owned(), attempt: 1, now };
    let succeed = payment::Command::Succeed { provider_ref: "sim_1".to_owned(), at: now };
    for command in [payment::Command::Start(start), succeed] {
        _ = node.executor.execute::<Payment>(PaymentId::of(target, 1), command, &acme.request()).await;
    }
    let line = ManualLine {
        description: "Training".to_owned(),
        quantity: 2,
        unit_price: 100.into(),
        from: jiff::civil::date(1970, 1, 1),
        until: jiff::civil::date(1970, 1, 2),
    };
    let draft = invoice::Command::Draft { currency, lines: vec![line] };
    _ = node.executor.execute::<Invoice>(new_id(), draft, &acme.request()).await;
    let logo = seller::Logo { sha256: "0".repeat(64), bytes: 7, content_type: "image/png".to_owned() };
    let change = seller::Command::ChangeLogo(Some(logo));
    _ = node.executor.execute::<Seller>(SellerId::PLATFORM, change, &platform).await;
    let ask = billing_account::Command::RequestInvoiceBilling;
    _ = node.executor.execute::<BillingAccount>(acme.organization.into(), ask, &acme.request()).await;
    let licence = new_id();
    let issue = licence::Command::Issue(Box::new(licence::Issue {
        licence,
        kind: licence::Kind::Enterprise,
        terms: LicenceTerms::default(),
        not_before: now,
        expires_at: now + jiff::SignedDuration::from_hours(24),
        activations: 3,
        reseller: None,
        issuer: "https://admin.example.com".to_owned(),
        issued_at: now,
        kid: "k".to_owned(),
        replaces: None,
    }));
    _ = node.executor.execute::<Licence>(licence, issue, &acme.request()).await;
    for category in ["S", "AE"] {
        let issue = credit_note::Command::Issue(sample_note(category));
        _ = node.executor.execute::<CreditNote>(new_id(), issue, &acme.request()).await;
    }
    let day = jiff::civil::date(1970, 1, 2);
    let count = usage_month::Command::CountApiCalls { day, count: 7, by_key: [].into() };
    let month = UsageMonthId::new(acme.organization, day);
    _ = node.executor.execute::<UsageMonth>(month, count, &acme.request()).await;
}

/// A credit note, from the samples of events, in a category of tax.
fn sample_note(category: &str) -> Box<credit_note::IssuedNote> {
    let samples = include_str!("../../domain/samples/events.jsonl").lines();
    let events = samples.map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let issued = events.into_iter().find(|event| event["type"] == "credit_note.issued.v1").unwrap();
    let mut note = issued["data"]["note"].clone();
    note["document"]["groups"][0]["tax"]["category"] = category.into();
    serde_json::from_value(note).unwrap()
}

/// Makes a key in somebody's name, if the organization lets.
async fn make_key(node: &Node, acme: &Acme, owner: UserId, role: Role) -> ApiKeyId {
    let (key, name) = (new_id(), api_key::KeyName::new("robot").unwrap());
    let grant = api_key::Grant::Permissions(role.ceiling());
    let (organization, networks, now, expires_at) = (acme.organization, Vec::new(), Timestamp::UNIX_EPOCH, None);
    let create = api_key::Command::Create { organization, owner, name, grant, networks, now, expires_at };
    _ = node.executor.execute::<ApiKey>(key, create, &acme.request()).await;
    key
}
