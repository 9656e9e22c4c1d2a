//! The running server: the postmaster, which is our child process, and the processes that it has started.

use crate::account::Account;
use crate::cluster::Cluster;
use crate::error::{Doing, Error};
use crate::process;
use crate::programs::Programs;
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

/// Long enough for crash recovery.
pub(crate) const START_LIMIT: Duration = Duration::from_secs(60);
/// PostgreSQL itself kills processes that have not stopped within five seconds.
const STOP_LIMIT: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(10);

/// The postmaster of a running server.
pub(crate) struct Postmaster {
    // Our own child, so that its process id cannot be reused before we have waited for it.
    child: Child,
}

impl Postmaster {
    /// Starts the server and waits until it accepts connections.
    pub(crate) fn start(programs: &Programs, account: &Account, cluster: &Cluster, port: u16) -> Result<Self, Error> {
        let log = cluster.open_log()?;
        let log_start = log.metadata().doing(|| "read the size of the log".into())?.len();
        let error_log = log.try_clone().doing(|| "share the log".into())?;
        let mut command = account.command(programs.path("postgres"));
        // The command line takes precedence over the settings in the file.
        command.arg("-D").arg(cluster.data()).arg("-k").arg(cluster.home());
        command.args(["-h", "127.0.0.1", "-p", &port.to_string()]);
        command.current_dir(cluster.home()).stdout(log).stderr(error_log);
        // Ctrl-C in a terminal goes to the whole process group of the tests.
        command.process_group(0);
        let child = command.spawn().doing(|| "start the PostgreSQL server".into())?;
        let mut server = Self { child };
        let not_running = |what| Error::NotRunning { what, log: cluster.log_since(log_start) };
        let deadline = Instant::now() + START_LIMIT;
        while !is_ready(cluster.data(), server.child.id()) {
            if let Some(status) = server.exit_status()? {
                return Err(not_running(format!("did not start ({status})")));
            }
            if Instant::now() > deadline {
                let _ = server.kill(account, cluster);
                return Err(not_running(format!("accepted no connections within {START_LIMIT:?}")));
            }
            std::thread::sleep(POLL);
        }
        Ok(server)
    }

    /// Whether the process has not exited yet.
    pub(crate) fn is_running(&mut self) -> Result<bool, Error> {
        Ok(self.exit_status()?.is_none())
    }

    /// Like `pg_ctl stop -m immediate`: the server exits without a checkpoint.
    pub(crate) fn stop_immediate(&mut self, account: &Account, cluster: &Cluster) -> Result<(), Error> {
        if self.is_running()? {
            kill_process(self.pid(), Signal::QUIT).doing(|| "stop the PostgreSQL server".into())?;
        }
        let deadline = Instant::now() + STOP_LIMIT;
        while self.is_running()? {
            if Instant::now() > deadline {
                return self.kill(account, cluster);
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    /// Kills all processes of the server at once, and removes what they leave behind, except for their data.
    pub(crate) fn kill(&mut self, account: &Account, cluster: &Cluster) -> Result<(), Error> {
        if !self.is_running()? {
            return Ok(());
        }
        // A stopped parent starts no more processes, and its exited children keep their ids until it waits for them.
        kill_process(self.pid(), Signal::STOP).doing(|| "halt the PostgreSQL server".into())?;
        let halted = process::wait_until(STOP_LIMIT, || !process::is_runnable(self.child.id()));
        let family = process::descendants(self.child.id());
        let leftovers = Leftovers::find(account, cluster, self.child.id(), &family);
        for pid in family.iter().filter_map(|pid| Pid::from_raw(i32::try_from(*pid).ok()?)) {
            // It may have exited already.
            let _ = kill_process(pid, Signal::KILL);
        }
        self.child.kill().doing(|| "kill the PostgreSQL server".into())?;
        self.child.wait().doing(|| "wait for the PostgreSQL server to die".into())?;
        let died = process::wait_until(STOP_LIMIT, || family.iter().all(|pid| process::is_dead(*pid)));
        if !(halted && died) {
            let what = format!("has processes that survived SIGKILL for {STOP_LIMIT:?}: check for a hanging disk");
            return Err(Error::NotRunning { what, log: cluster.log_since(0) });
        }
        leftovers.remove(account);
        Ok(())
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    fn exit_status(&mut self) -> Result<Option<std::process::ExitStatus>, Error> {
        self.child.try_wait().doing(|| "query the status of the PostgreSQL server".into())
    }
}

/// Checks the eighth line of `postmaster.pid`, like `pg_ctl start`.
fn is_ready(data: &Path, pid: u32) -> bool {
    let Ok(text) = fs::read_to_string(data.join("postmaster.pid")) else { return false };
    let mut lines = text.lines().map(str::trim);
    lines.next() == Some(pid.to_string().as_str()) && lines.nth(6) == Some("ready")
}

/// Files and shared memory that killed processes leave behind. A restart would handle most of them, but there may be
/// none, and lock files block it if another process has the old process id by then.
struct Leftovers {
    files: Vec<String>,
    shared_memory_id: Option<String>,
}

impl Leftovers {
    fn find(account: &Account, cluster: &Cluster, postmaster: u32, family: &[u32]) -> Self {
        let lock = cluster.data().join("postmaster.pid");
        let text = fs::read_to_string(&lock).unwrap_or_default();
        let mut lines = text.lines();
        // The fourth line is the port, the seventh the key and the id of a System V shared memory segment.
        let socket = lines.nth(3).map(|port| cluster.home().join(format!(".s.PGSQL.{}", port.trim())));
        let shared_memory_id = lines.nth(2).and_then(|line| Some(line.split_whitespace().nth(1)?.to_owned()));
        let mut files = vec![lock.to_string_lossy().into_owned()];
        if let Some(socket) = socket {
            files.extend([format!("{}.lock", socket.display()), socket.to_string_lossy().into_owned()]);
        }
        // In a container, root may not read another account's memory map, but that account may.
        let mut grep = account.command("grep");
        grep.args(["-hos", "-e", "/dev/shm/PostgreSQL[.0-9]*"]).current_dir("/");
        grep.args(family.iter().chain([&postmaster]).map(|pid| format!("/proc/{pid}/maps")));
        let mapped = grep.output().map(|output| output.stdout).unwrap_or_default();
        files.extend(String::from_utf8_lossy(&mapped).lines().map(str::to_owned));
        Self { files, shared_memory_id }
    }

    fn remove(self, account: &Account) {
        for file in self.files {
            // Each process lists the same shared memory, so it may be removed already.
            let _ = fs::remove_file(file);
        }
        if let Some(id) = self.shared_memory_id {
            let _ = account.command("ipcrm").args(["-m", &id]).current_dir("/").output();
        }
    }
}
