//! A process that appends, to be killed or frozen.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::{Acknowledged, Store, Work, by};

/// How long a process may take to begin.
const START_LIMIT: Duration = Duration::from_secs(30);

/// A running `appender`: it appends to a store from many tasks at once and says what it tries and what was acknowledged.
/// It is killed when dropped.
pub struct Appender {
    child: Child,
    said: Arc<Mutex<Said>>,
    reader: Option<std::thread::JoinHandle<()>>,
}

#[derive(Default)]
struct Said {
    tried: Vec<String>,
    acknowledged: Vec<Acknowledged>,
    errors: Vec<String>,
}

impl Appender {
    /// Starts the program at `program`: `tasks` tasks append `appends` times each, or for ever if 0. Keys begin with
    /// `name`, which must be another one for each process.
    pub fn start(program: &str, store: &Store, work: Work, name: &str, tasks: usize, appends: usize) -> Self {
        assert!(Path::new(program).exists(), "{program} is not built");
        let mut child = Command::new(program)
            .args([&format!("{:?}", store.engine()), store.place(), &work.organization.to_string(), name])
            .args([tasks.to_string(), appends.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = Arc::new(Mutex::new(Said::default()));
        let lines = BufReader::new(child.stdout.take().unwrap());
        let heard = Arc::clone(&said);
        let reader = std::thread::spawn(move || listen(lines, &heard));
        Self { child, said, reader: Some(reader) }
    }

    /// The number of the process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How many appends were acknowledged so far.
    pub fn acknowledged(&self) -> usize {
        self.said.lock().unwrap().acknowledged.len()
    }

    /// The errors that appends ended with so far.
    pub fn errors(&self) -> Vec<String> {
        self.said.lock().unwrap().errors.clone()
    }

    /// Waits until so many appends were acknowledged.
    ///
    /// # Panics
    /// When that takes too long.
    pub async fn until_acknowledged(&self, appends: usize) {
        by(START_LIMIT, &format!("{appends} appends of a child"), async || self.acknowledged() >= appends).await;
    }

    /// Kills the process (SIGKILL) and answers what it had tried and what was acknowledged.
    pub fn kill(mut self) -> (Vec<String>, Vec<Acknowledged>) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.finish()
    }

    /// Waits for the process to end by itself and answers what it had tried and what was acknowledged.
    ///
    /// # Panics
    /// When it failed.
    pub fn wait(mut self) -> (Vec<String>, Vec<Acknowledged>) {
        let status = self.child.wait().unwrap();
        assert!(status.success(), "the appender failed: {status}, {:?}", self.errors());
        self.finish()
    }

    fn finish(&mut self) -> (Vec<String>, Vec<Acknowledged>) {
        self.reader.take().unwrap().join().unwrap();
        let said = std::mem::take(&mut *self.said.lock().unwrap());
        (said.tried, said.acknowledged)
    }
}

impl Drop for Appender {
    fn drop(&mut self) {
        // Already ended in the good case.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn listen(mut lines: impl BufRead, heard: &Mutex<Said>) {
    let mut line = String::new();
    while lines.read_line(&mut line).unwrap() > 0 {
        // A line without an end was cut off by death, before the caller could have heard it.
        if let Some(whole) = line.strip_suffix('\n') {
            let mut said = heard.lock().unwrap();
            match whole.split_once(' ').unwrap_or_else(|| panic!("the appender said {whole:?}")) {
                ("try", key) => said.tried.push(key.to_owned()),
                ("ack", rest) => said.acknowledged.push(Acknowledged::parse(rest)),
                _ => said.errors.push(whole.to_owned()),
            }
        }
        line.clear();
    }
}

/// Sends a signal to a process that this test has started.
///
/// # Panics
/// When there is no such process.
#[expect(unsafe_code, reason = "there is no safe way to send a signal in the standard library")]
pub fn signal(pid: u32, signal: libc::c_int) {
    let pid = libc::pid_t::try_from(pid).unwrap();
    // SAFETY: `kill` only takes two numbers.
    assert_eq!(unsafe { libc::kill(pid, signal) }, 0, "no process {pid} to send signal {signal}");
}
