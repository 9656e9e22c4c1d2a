//! Servers end with their process, however it ends. The test starts itself again as the process that ends.

#![allow(clippy::unwrap_used, reason = "clippy.toml allows it in test functions, but not in their helpers")]

use private_postgres::{Options, PrivatePostgres};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

/// Set for the child process, to the parent of its server's data directory.
const DATA_PARENT: &str = "PRIVATE_POSTGRES_TEST_DATA_PARENT";

/// Not a test, but the child process that the tests kill or let end.
#[test]
fn the_process_that_dies() {
    let Some(parent) = env::var_os(DATA_PARENT) else { return };
    // The shared server is never dropped, so only the watchdog can remove it.
    let shared = PrivatePostgres::shared();
    let options = Options { data_directory: Some(parent.into()), ..Options::default() };
    let own = PrivatePostgres::with(options).unwrap();
    for server in [shared, &own] {
        let lock = fs::read_to_string(server.data_directory().join("postmaster.pid")).unwrap();
        let [home, data] = [server.socket_directory(), server.data_directory()].map(Path::display);
        eprintln!("server|{}|{home}|{data}", lock.lines().next().unwrap());
    }
    // The parent closes the pipe to let this process end normally.
    std::io::stdin().read_line(&mut String::new()).unwrap();
}

struct Server {
    pid: u32,
    directories: [PathBuf; 2],
}

fn start(data_parent: &Path) -> (Child, Vec<Server>) {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "the_process_that_dies", "--nocapture"])
        .env(DATA_PARENT, data_parent)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let servers: Vec<Server> = lines
        .filter_map(|line| {
            let fields: Vec<&str> = line.strip_prefix("server|")?.split('|').collect();
            Some(Server { pid: fields[0].parse().unwrap(), directories: [fields[1].into(), fields[2].into()] })
        })
        .take(2)
        .collect();
    assert_eq!(servers.len(), 2, "the process ended early");
    assert!(
        servers.iter().all(|server| is_postgres(server.pid) && server.directories.iter().all(|path| path.exists()))
    );
    (child, servers)
}

/// Also false for a zombie, which has no command line.
fn is_postgres(pid: u32) -> bool {
    fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.windows(8).any(|part| part == b"postgres"))
}

fn assert_all_end(servers: &[Server]) {
    let deadline = Instant::now() + Duration::from_secs(30);
    let remains = |server: &Server| is_postgres(server.pid) || server.directories.iter().any(|path| path.exists());
    while servers.iter().any(remains) {
        assert!(Instant::now() < deadline, "a server outlived its process");
        thread::sleep(Duration::from_millis(20));
    }
}

fn data_parent() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    directory
}

#[test]
fn servers_end_when_their_process_is_killed() {
    let parent = data_parent();
    let (mut process, servers) = start(parent.path());
    process.kill().unwrap();
    process.wait().unwrap();
    assert_all_end(&servers);
}

#[test]
fn servers_end_when_their_process_ends() {
    let parent = data_parent();
    let (mut process, servers) = start(parent.path());
    drop(process.stdin.take());
    assert!(process.wait().unwrap().success());
    assert_all_end(&servers);
}
