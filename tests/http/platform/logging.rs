//! The log: whatever happens to standard error, the service works on and stops on a signal.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    net::TcpListener,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use porttask_tests::{Engine, Store, on_both_engines, run_on, signal};
use serde_json::{Value, json};

use crate::service::{ADMIN, PASSWORD, porttask};

on_both_engines!(
    a_service_without_standard_error_works,
    a_service_whose_log_is_on_a_full_disk_works,
    a_service_whose_log_nobody_reads_works,
    a_service_whose_reader_of_the_log_is_gone_works,
);

/// A service whose standard error is broken; killed when dropped.
struct Deaf {
    child: Child,
    url: String,
}

impl Deaf {
    /// Starts the service by this program, which gets the service's command line as arguments.
    fn start(store: &Store, stderr: Stdio, shell: Option<&str>, variables: &[(&str, &str)]) -> Self {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let direct = porttask(store, &["serve", "--listen", &address.to_string()]);
        let mut command = match shell {
            None => direct,
            Some(script) => {
                let mut command = Command::new("/bin/sh");
                command.args(["-c", script]).arg(direct.get_program()).args(direct.get_args()).env_clear();
                command.envs(direct.get_envs().filter_map(|(name, value)| Some((name, value?))));
                command
            }
        };
        command.envs(ADMIN).envs(variables.iter().copied()).env("PORTTASK_GRACE_SECONDS", "5");
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr).spawn().unwrap();
        let mut service = Self { child, url: format!("http://{address}") };
        let began = Instant::now();
        while service.status("GET", "/healthz", None).is_none() {
            assert!(began.elapsed() < Duration::from_secs(30), "the service did not start");
            assert!(service.child.try_wait().unwrap().is_none(), "the service ended");
            std::thread::sleep(Duration::from_millis(50));
        }
        service
    }

    fn status(&self, method: &str, path: &str, body: Option<&Value>) -> Option<u16> {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let request = ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.url));
        let request = request.header("content-type", "application/json");
        let text = body.map(Value::to_string).unwrap_or_default();
        agent.run(request.body(text).unwrap()).ok().map(|response| response.status().as_u16())
    }

    /// Changes go on working, and SIGTERM ends the service without an error.
    fn works_and_stops(mut self) {
        let body = json!({"email": ADMIN[0].1, "password": PASSWORD});
        for _ in 0..5 {
            assert_eq!(self.status("POST", "/v1/sessions", Some(&body)), Some(201));
            // Makes the service log at the level debug.
            (0..200).for_each(|_| assert_eq!(self.status("GET", "/v1/me", None), Some(401)));
        }
        assert_eq!(self.status("GET", "/readyz", None), Some(200));
        signal(self.child.id(), libc::SIGTERM);
        let began = Instant::now();
        let ended = loop {
            match self.child.try_wait().unwrap() {
                Some(status) => break status,
                None => std::thread::sleep(Duration::from_millis(20)),
            }
            assert!(began.elapsed() < Duration::from_secs(15), "SIGTERM did not end it");
        };
        assert!(ended.success(), "{ended}");
    }
}

impl Drop for Deaf {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

const LOUD: [(&str, &str); 4] = [
    ("PORTTASK_LOG", "debug"),
    ("PORTTASK_RATE_ATTEMPTS", "0"),
    ("PORTTASK_RATE_SESSION", "0"),
    ("PORTTASK_RATE_STRANGERS", "0"),
];

async fn a_service_without_standard_error_works(store: Store) {
    Deaf::start(&store, Stdio::null(), Some("exec \"$0\" \"$@\" 2>&-"), &LOUD).works_and_stops();
}

async fn a_service_whose_log_is_on_a_full_disk_works(store: Store) {
    let full = File::options().write(true).open("/dev/full").unwrap();
    Deaf::start(&store, full.into(), None, &LOUD).works_and_stops();
}

async fn a_service_whose_log_nobody_reads_works(store: Store) {
    let (reader, writer) = std::io::pipe().unwrap();
    Deaf::start(&store, writer.into(), None, &LOUD).works_and_stops();
    drop(reader);
}

async fn a_service_whose_reader_of_the_log_is_gone_works(store: Store) {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    Deaf::start(&store, writer.into(), None, &LOUD).works_and_stops();
}

#[test]
fn every_line_of_a_json_log_is_an_object_and_requests_are_logged_if_wanted() {
    run_on(Engine::Sqlite, async |store: Store| {
        let variables = [("PORTTASK_LOG_FORMAT", "json"), ("PORTTASK_ACCESS_LOG", "true")];
        let mut service = Deaf::start(&store, Stdio::piped(), None, &variables);
        assert_eq!(service.status("GET", "/v1/me?q=hidden", None), Some(401));
        signal(service.child.id(), libc::SIGTERM);
        let mut log = String::new();
        service.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(lines.iter().any(|line| line["message"].as_str().unwrap().starts_with("Listening on ")), "{log}");
        let access = lines.iter().find(|line| line["route"] == "/v1/me").unwrap();
        assert_eq!((&access["method"], &access["status"]), (&json!("GET"), &json!(401)), "{access}");
        assert_eq!((access["actor"].as_str(), access["milliseconds"].is_number()), (Some(""), true), "{access}");
        assert!(access["request"].as_str().unwrap().starts_with("req_"), "{access}");
        assert!(!log.contains("hidden"), "queries may hold personal data: {log}");
    });
}

#[test]
fn a_log_that_is_not_a_terminal_has_no_colours() {
    run_on(Engine::Sqlite, async |store: Store| {
        let mut service = Deaf::start(&store, Stdio::piped(), None, &[("PORTTASK_LOG", "debug")]);
        signal(service.child.id(), libc::SIGTERM);
        let lines = BufReader::new(service.child.stderr.take().unwrap()).lines();
        assert!(lines.map(Result::unwrap).all(|line| !line.contains('\u{1b}')));
    });
}
