//! A running service, and its callers.

use std::{
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use jiff::Timestamp;
use porttask_app::identity::links::{Link, Links, Purpose};
use porttask_domain::{OrganizationId, UserId};
use porttask_tests::{Engine, MASTER_KEY, Node, Store};
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use ureq::{Agent, http};

/// The password of all users, unless a test sets another one.
pub(crate) const PASSWORD: &str = "correct horse battery";

/// Variables that create the super admin `ana@platform.example`.
pub(crate) const ADMIN: [(&str, &str); 2] =
    [("PORTTASK_ADMIN_EMAIL", "ana@platform.example"), ("PORTTASK_ADMIN_PASSWORD", PASSWORD)];

/// The binary as a service on a store; it is killed when dropped, or when this process ends.
pub(crate) struct Service {
    /// Dropped before the service is killed.
    watchdog: Option<Watchdog>,
    child: Child,
    url: String,
    /// What it has logged since it listens.
    log: Arc<Mutex<String>>,
    agent: Agent,
    /// The signer of links, once it was needed.
    links: OnceCell<Links>,
    sign_ins_of_ana: AtomicUsize,
}

/// A response.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The name of the problem, without its prefix; empty if the response is not a problem.
    pub(crate) fn problem(&self) -> &str {
        self.body["type"].as_str().and_then(|name| name.strip_prefix("urn:porttask:problem:")).unwrap_or_default()
    }

    pub(crate) fn id(&self) -> &str {
        self.body["id"].as_str().unwrap_or_else(|| panic!("no id in {self:?}"))
    }

    /// Asserts the status.
    #[track_caller]
    pub(crate) fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }

    /// Asserts the status and the problem.
    #[track_caller]
    pub(crate) fn refused(self, status: u16, problem: &str) -> Self {
        assert_eq!((self.status, self.problem()), (status, problem), "{self:?}");
        self
    }
}

/// The binary on a store, without the variables of this process.
pub(crate) fn porttask(store: &Store, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_porttask"));
    command.env_clear().args(arguments).stdin(Stdio::null()).env("PORTTASK_MASTER_KEY", MASTER_KEY);
    match store.engine() {
        Engine::Sqlite => command.env("PORTTASK_DATA", store.place()),
        // Emails are written to the data directory. Contents of documents are per organization, so all may share a folder.
        Engine::Postgres => command
            .env("DATABASE_URL", store.place())
            .env("PORTTASK_DATA", env!("CARGO_TARGET_TMPDIR"))
            .env("PORTTASK_BLOBS", concat!(env!("CARGO_TARGET_TMPDIR"), "/blobs"))
            .env("PORTTASK_BLOBS_SHARED", "true"),
    };
    command
}

impl Service {
    /// With a super admin, `ana@platform.example`.
    pub(crate) fn start(store: &Store) -> Self {
        Self::start_with(store, &ADMIN)
    }

    /// With these variables set.
    pub(crate) fn start_with(store: &Store, variables: &[(&str, &str)]) -> Self {
        let mut command = porttask(store, &["serve", "--listen", "127.0.0.1:0"]);
        // No rate limits, except in the tests that set their own.
        command.envs(["ATTEMPTS", "SESSION", "STRANGERS"].map(|name| (format!("PORTTASK_RATE_{name}"), "0")));
        command.envs(["FREE_ATTEMPTS", "FREE_ATTEMPTS_NETWORK"].map(|name| (format!("PORTTASK_{name}"), "0")));
        command.env("PORTTASK_SIGN_IN_RECORD_DELAY_SECONDS", "0");
        let mut child =
            command.envs(variables.iter().copied()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = lines
            .by_ref()
            .map(|line| line.unwrap())
            .find_map(|line| Some(line.strip_prefix("Listening on ")?.split(';').next()?.to_owned()));
        let log = Arc::new(Mutex::new(String::new()));
        let written = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                written.lock().unwrap().extend([line.as_str(), "\n"]);
            }
        });
        let watchdog = Some(Watchdog::start(child.id(), data_directory(store, variables)));
        let config = Agent::config_builder().http_status_as_error(false).max_idle_connections_per_host(0);
        Self {
            watchdog,
            child,
            url: address.expect("the service did not start"),
            log,
            agent: config.build().into(),
            links: OnceCell::new(),
            sign_ins_of_ana: AtomicUsize::new(0),
        }
    }

    /// The address and port that it listens on.
    pub(crate) fn address(&self) -> &str {
        self.url.strip_prefix("http://").unwrap()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has logged so far.
    #[allow(dead_code, reason = "the tests of the API do not need it")]
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits until the process has ended; returns whether it succeeded.
    pub(crate) fn wait(&mut self) -> bool {
        self.child.wait().unwrap().success()
    }

    /// Sends a request.
    pub(crate) fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&Value>) -> Answer {
        self.try_send(method, path, headers, body).unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// Sends a request to a service that may be shutting down.
    pub(crate) fn try_send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Answer, ureq::Error> {
        let mut request = http::Request::builder().method(method).uri(self.url(path));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let text = match body {
            Some(body) => {
                request = request.header("content-type", "application/json");
                body.to_string()
            }
            None => String::new(),
        };
        self.answer(request.body(text.into_bytes()).unwrap())
    }

    fn answer(&self, request: http::Request<Vec<u8>>) -> Result<Answer, ureq::Error> {
        let (parts, bytes) = self.exchange(request)?.into_parts();
        let text = || Value::String(String::from_utf8_lossy(&bytes).into_owned());
        let body = serde_json::from_slice(&bytes).unwrap_or_else(|_| text());
        Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body })
    }

    /// Sends a request as it is, and returns the response as it comes: redirects are not followed.
    pub(crate) fn exchange(&self, request: http::Request<Vec<u8>>) -> Result<http::Response<Vec<u8>>, ureq::Error> {
        let request = self.agent.configure_request(request).max_redirects(0).build();
        let (parts, mut body) = self.agent.run(request)?.into_parts();
        Ok(http::Response::from_parts(parts, body.read_to_vec()?))
    }

    /// The address of a path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// Signs in.
    #[track_caller]
    pub(crate) fn sign_in(&self, email: &str) -> Caller<'_> {
        self.sign_in_with(email, PASSWORD)
    }

    /// Tries to sign in.
    pub(crate) fn try_sign_in(&self, email: &str, password: &str) -> Answer {
        let body = json!({"email": email, "password": password});
        self.send("POST", "/v1/sessions", &[("user-agent", "Kettle/1")], Some(&body))
    }

    /// Signs in with this password.
    #[track_caller]
    pub(crate) fn sign_in_with(&self, email: &str, password: &str) -> Caller<'_> {
        let answer = self.try_sign_in(email, password).is(201);
        let authorization = format!("Bearer {}", answer.body["token"].as_str().unwrap());
        self.caller(authorization, answer.body)
    }

    /// The caller with this token.
    pub(crate) fn with_token(&self, token: &Value) -> Caller<'_> {
        self.caller(format!("Bearer {}", token.as_str().unwrap()), Value::Null)
    }

    /// The caller with this authorization header and session.
    pub(crate) fn caller(&self, authorization: String, session: Value) -> Caller<'_> {
        Caller { service: self, authorization, session }
    }

    /// The super admin.
    pub(crate) fn ana(&self) -> Caller<'_> {
        self.sign_ins_of_ana.fetch_add(1, Ordering::Relaxed);
        self.sign_in("ana@platform.example")
    }

    /// How often [`Self::ana`] has signed in.
    pub(crate) fn sign_ins_of_ana(&self) -> usize {
        self.sign_ins_of_ana.load(Ordering::Relaxed)
    }

    /// An organization with this domain, and its first admin, who has accepted.
    pub(crate) async fn found(&self, store: &Store, domain: &str) -> (String, Caller<'_>) {
        let (organization, user) = self.create_organization(&self.ana(), domain);
        self.accept(store, &organization, &user).await.is(200);
        (organization, self.sign_in(&format!("bob@{domain}")))
    }

    /// Creates an organization named Acme with this domain, and invites its first admin `bob@` that domain; the ids of
    /// both.
    #[track_caller]
    pub(crate) fn create_organization(&self, super_admin: &Caller<'_>, domain: &str) -> (String, String) {
        let first_admin = json!({"name": "Bob Fisher", "email": format!("bob@{domain}")});
        let body = json!({"name": "Acme", "domain": domain, "first_admin": first_admin});
        let created = super_admin.post("/v1/organizations", &body).is(201);
        // Other threads may use the same session, which remembers one position only.
        let at_least = [("porttask-at-least", created.header("porttask-position"))];
        let path = format!("/v1/organizations/{}/users", created.id());
        let users = super_admin.send("GET", &path, &at_least, None).is(200);
        (created.id().to_owned(), users.body["items"][0]["id"].as_str().unwrap().to_owned())
    }

    /// Accepts the first invitation of a user, by the link that was mailed to them.
    pub(crate) async fn accept(&self, store: &Store, organization: &str, user: &str) -> Answer {
        self.accept_with(&self.link(store, Purpose::Invitation, organization, user, 1).await)
    }

    /// The token of a link, as it is mailed.
    pub(crate) async fn link(
        &self,
        store: &Store,
        purpose: Purpose,
        organization: &str,
        user: &str,
        generation: u64,
    ) -> String {
        let links = self.links.get_or_init(|| open_links(store)).await;
        link_token(links, purpose, organization, user, generation)
    }

    /// Accepts an invitation with the token of its link.
    pub(crate) fn accept_with(&self, token: &str) -> Answer {
        let body = json!({"token": token, "password": PASSWORD});
        self.send("POST", "/v1/invitations/accept", &[], Some(&body))
    }
}

/// The signer of the links of a store.
pub(crate) async fn open_links(store: &Store) -> Links {
    Links::open(&Node::on(store).await.vault, "http://x").await.unwrap()
}

/// The token of a link that expires in an hour.
pub(crate) fn link_token(links: &Links, purpose: Purpose, organization: &str, user: &str, generation: u64) -> String {
    link_until(links, purpose, (organization, user, generation), Timestamp::now() + jiff::SignedDuration::from_hours(1))
}

/// The token of a link that expires at this time.
pub(crate) fn link_until(
    links: &Links,
    purpose: Purpose,
    (organization, user, generation): (&str, &str, u64),
    expires_at: Timestamp,
) -> String {
    let (organization, user): (OrganizationId, UserId) = (organization.parse().unwrap(), user.parse().unwrap());
    links.token(&Link { purpose, organization, subject: user.0, generation, expires_at })
}

impl Drop for Service {
    fn drop(&mut self) {
        self.watchdog = None;
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// The directory that is only of this service and its store, if there is one.
fn data_directory<'a>(store: &'a Store, variables: &[(&str, &'a str)]) -> Option<&'a str> {
    let variable = variables.iter().find(|(name, _)| *name == "PORTTASK_DATA").map(|(_, directory)| *directory);
    variable.or((store.engine() == Engine::Sqlite).then(|| store.place()))
}

/// A shell that kills a service and removes its directory when this process ends without dropping it: statics are
/// never dropped, and a process can be killed. The shell reads from a pipe that only this process can write to, and
/// nothing is ever written.
struct Watchdog(Child);

impl Watchdog {
    fn start(service: u32, directory: Option<&str>) -> Self {
        let script = "while read -r _; do :; done
            grep -qs porttask /proc/$1/cmdline && kill -KILL $1 && sleep 0.2
            test -z \"$2\" || rm -rf -- \"$2\"";
        let shell = Command::new("/bin/sh")
            .args(["-c", script, "watchdog", &service.to_string(), directory.unwrap_or_default()])
            .current_dir("/")
            // Ctrl-C in a terminal is sent to the process group of the tests.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self(shell)
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

/// An authenticated caller.
pub(crate) struct Caller<'a> {
    service: &'a Service,
    authorization: String,
    pub(crate) session: Value,
}

impl Caller<'_> {
    pub(crate) fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&Value>) -> Answer {
        let mut all = vec![("authorization", self.authorization.as_str())];
        all.extend_from_slice(headers);
        self.service.send(method, path, &all, body)
    }

    /// Sends a file.
    pub(crate) fn upload(&self, path: &str, headers: &[(&str, &str)], file: impl AsRef<[u8]>) -> Answer {
        let mut request = http::Request::builder().method("POST").uri(self.service.url(path));
        request = request.header("authorization", &self.authorization);
        if headers.iter().all(|(name, _)| *name != "content-type") {
            request = request.header("content-type", "text/csv; charset=utf-8");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.service.answer(request.body(file.as_ref().to_vec()).unwrap()).unwrap()
    }

    /// Sends raw bytes; `None` if the connection was closed while they were sent.
    pub(crate) fn send_bytes(&self, method: &str, path: &str, kind: &str, body: &[u8]) -> Option<Answer> {
        let request = http::Request::builder().method(method).uri(self.service.url(path));
        let request = request.header("authorization", &self.authorization).header("content-type", kind);
        self.service.answer(request.body(body.to_vec()).unwrap()).ok()
    }

    pub(crate) fn authorization(&self) -> &str {
        &self.authorization
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], None)
    }

    pub(crate) fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, &[], None)
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, &[], Some(body))
    }

    pub(crate) fn patch(&self, path: &str, body: &Value) -> Answer {
        self.send("PATCH", path, &[], Some(body))
    }
}
