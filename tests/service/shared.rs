//! One running service per engine, shared by the tests of this process, and organizations to test with.

use std::{
    fmt,
    ops::Deref,
    path::PathBuf,
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use porttask_app::identity::{
    links::{Links, Purpose},
    sign_in::MOST_SESSIONS,
};
use porttask_tests::{Engine, Fixture, Store, run};
use serde_json::{Value, json};

use crate::{
    mailbox::DataDirectory,
    service::{ADMIN, Answer, Caller, Service, link_token, link_until, open_links},
};

/// A service that ends with this process.
pub(crate) struct SharedService {
    service: Service,
    store: Store,
    data: DataDirectory,
    links: Links,
    /// The authorization of the super admin who creates organizations, and how often she had signed in by then.
    super_admin: Mutex<(String, usize)>,
    organizations: AtomicUsize,
}

impl Fixture for &'static SharedService {
    fn on(engine: Engine) -> Self {
        static SQLITE: OnceLock<SharedService> = OnceLock::new();
        static POSTGRES: OnceLock<SharedService> = OnceLock::new();
        let shared = match engine {
            Engine::Sqlite => &SQLITE,
            Engine::Postgres => &POSTGRES,
        };
        shared.get_or_init(|| SharedService::start(engine))
    }
}

impl Deref for SharedService {
    type Target = Service;

    fn deref(&self) -> &Service {
        &self.service
    }
}

impl SharedService {
    fn start(engine: Engine) -> Self {
        let store = Store::fresh(engine);
        let data = DataDirectory::of(&store);
        let service = Service::start_with(&store, &[&ADMIN[..], &[data.variable()]].concat());
        let super_admin = Mutex::new((service.ana().authorization().to_owned(), service.sign_ins_of_ana()));
        let (links, organizations) = (run(open_links(&store)), AtomicUsize::new(0));
        Self { service, store, data, links, super_admin, organizations }
    }

    /// The store, for commands on the command line.
    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// The super admin, signed in again well before the sign-ins of tests that run beside this one end the session.
    pub(crate) fn super_admin(&self) -> Caller<'_> {
        let mut super_admin = self.super_admin.lock().unwrap();
        if self.service.sign_ins_of_ana() - super_admin.1 > MOST_SESSIONS / 2 {
            *super_admin = (self.service.ana().authorization().to_owned(), self.service.sign_ins_of_ana());
        }
        self.service.caller(super_admin.0.clone(), Value::Null)
    }

    /// The emails written so far that contain a text, such as an address, once there are at least this many.
    pub(crate) fn mails_with(&self, text: &str, count: usize) -> Vec<(PathBuf, String)> {
        self.data.mails_with(text, count)
    }

    /// The first email that contains all of these texts, once it is there.
    pub(crate) fn mail_with(&self, texts: &[&str]) -> String {
        self.data.mail_with(texts)
    }

    /// A new organization named Acme, with a domain that no other test has, and its first admin `bob@` that domain.
    pub(crate) async fn organization(&self) -> Organization<'_> {
        let domain = format!("acme-{:04}.example", self.organizations.fetch_add(1, Ordering::Relaxed));
        let super_admin = self.super_admin();
        let (id, user) = self.service.create_organization(&super_admin, &domain);
        self.accept(&id, &user).is(200);
        let admin = self.sign_in(&format!("bob@{domain}"));
        Organization { service: self, id, domain, admin }
    }

    /// Accepts the first invitation of a user, by the link that was mailed to them.
    pub(crate) fn accept(&self, organization: &str, user: &str) -> Answer {
        self.service.accept_with(&self.invitation(organization, user))
    }

    /// The token of the first invitation of a user.
    pub(crate) fn invitation(&self, organization: &str, user: &str) -> String {
        self.link(Purpose::Invitation, organization, user, 1)
    }

    /// The token of a link, as it is mailed.
    pub(crate) fn link(&self, purpose: Purpose, organization: &str, user: &str, generation: u64) -> String {
        link_token(&self.links, purpose, organization, user, generation)
    }
}

impl SharedService {
    /// The token of a link that has expired.
    pub(crate) fn expired_link(&self, purpose: Purpose, organization: &str, user: &str, generation: u64) -> String {
        let long_ago = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(1);
        link_until(&self.links, purpose, (organization, user, generation), long_ago)
    }
}

/// An organization that one test has for itself. It displays as its id.
pub(crate) struct Organization<'a> {
    service: &'a SharedService,
    pub(crate) id: String,
    pub(crate) domain: String,
    /// Bob Fisher, its first admin, signed in.
    pub(crate) admin: Caller<'a>,
}

impl fmt::Display for Organization<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id)
    }
}

impl<'a> Organization<'a> {
    /// The email address with this local part in the domain of the organization.
    pub(crate) fn email(&self, local_part: impl fmt::Display) -> String {
        format!("{local_part}@{}", self.domain)
    }

    /// Invites `{local_part}@` the domain; the id of the user.
    #[track_caller]
    pub(crate) fn invite(&self, local_part: &str, name: &str, role: &str) -> String {
        let body = json!({"name": name, "email": self.email(local_part), "role": role});
        self.admin.post("/v1/organizations/current/users", &body).is(201).id().to_owned()
    }

    /// Invites `{local_part}@` the domain, accepts and signs in.
    #[track_caller]
    pub(crate) fn join(&self, local_part: &str, name: &str, role: &str) -> Caller<'a> {
        let user = self.invite(local_part, name, role);
        self.service.accept(&self.id, &user).is(200);
        self.service.sign_in(&self.email(local_part))
    }

    /// The same organization with a year of the plan Enterprise and many seats, which limits nothing that tests do.
    #[track_caller]
    pub(crate) fn unlimited(self) -> Self {
        let ana = self.service.super_admin();
        let plans = ana.get("/v1/platform/billing/plans?q=enterprise&sort=created_at").is(200).body;
        let path = format!("/v1/organizations/{}/billing/subscription", self.id);
        ana.post(&format!("{path}/end"), &json!({})).is(200);
        let begin = json!({"to": {"plan": plans["items"][0]["id"], "interval": "year", "seats": 5_000}});
        let key = [("idempotency-key", "unlimited")];
        ana.send("POST", &format!("{path}/change"), &key, Some(&begin)).is(200);
        self
    }

    /// Another session of the first admin.
    #[track_caller]
    pub(crate) fn sign_in_admin(&self) -> Caller<'a> {
        self.service.sign_in(&self.email("bob"))
    }
}
