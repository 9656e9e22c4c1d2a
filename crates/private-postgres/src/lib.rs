//! Temporary PostgreSQL servers for tests and benchmarks.
//!
//! Each [`PrivatePostgres`] is a separate server (PostgreSQL 15 or newer), on a free port of 127.0.0.1, with empty data
//! in temporary directories. Everything is removed when it is dropped, and when the process ends in any other way,
//! including SIGKILL. Commits are as durable as in production, unlike those of most test servers.
//!
//! ```no_run
//! # fn main() -> Result<(), private_postgres::Error> {
//! let server = private_postgres::PrivatePostgres::start()?;
//! server.create_database("shop")?;
//! assert_eq!(server.psql("shop", "select 1")?, "1");
//! println!("connect to {}", server.url("shop"));
//! # Ok(())
//! # }
//! ```
//!
//! It works on Linux, for root (whose servers run as `postgres` or `nobody`) and for all other users.

mod account;
mod cluster;
mod error;
mod postmaster;
mod process;
mod programs;
mod watchdog;

pub use error::Error;

use account::Account;
use cluster::Cluster;
use error::Doing;
use postmaster::{Postmaster, START_LIMIT};
use programs::Programs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use watchdog::Watchdog;

const SUPERUSER: &str = "postgres";
/// Maximum ports to try. Each fails only if another process takes it within milliseconds.
const PORT_ATTEMPTS: usize = 10;

/// The options of a server.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Additional settings for `postgresql.conf`, as names and unquoted values. They take precedence over this crate's,
    /// except for the port, the addresses and the socket directory.
    pub settings: Vec<(String, String)>,
    /// The parent of the data directory, such as a small tmpfs. Default: the system's temporary directory. For root,
    /// the account of the server must be able to enter it.
    pub data_directory: Option<PathBuf>,
    /// The server's certificate (with its chain) and private key, both as PEM text. They enable TLS.
    pub tls: Option<(String, String)>,
    /// The superuser's password, on one line. If set, connections to the port require it (`scram-sha-256`); those to
    /// the socket never do.
    pub password: Option<String>,
}

/// A running PostgreSQL server. It is stopped when this value is dropped or the process ends.
pub struct PrivatePostgres {
    postmaster: Option<Postmaster>,
    port: u16,
    password: Option<String>,
    databases: AtomicU64,
    programs: Programs,
    account: Account,
    // Dropped before the directories: it stops the server, if it is still running, and then removes them.
    _watchdog: Watchdog,
    cluster: Cluster,
}

impl PrivatePostgres {
    /// Starts a server with default options and waits until it accepts connections.
    ///
    /// # Errors
    /// When no PostgreSQL is installed, or it does not start within 60 seconds.
    pub fn start() -> Result<Self, Error> {
        Self::with(Options::default())
    }

    /// Starts a server and waits until it accepts connections.
    ///
    /// # Errors
    /// When no PostgreSQL is installed, or it does not start within 60 seconds, for instance because of a setting.
    pub fn with(options: Options) -> Result<Self, Error> {
        let programs = Programs::find()?;
        let account = Account::for_server()?;
        let cluster = Cluster::create(&account, options.data_directory.as_deref())?;
        let watchdog = Watchdog::start(cluster.home(), cluster.data())?;
        cluster.initialise(&programs, &account, &options)?;
        let (postmaster, port) = start_on_free_port(&programs, &account, &cluster)?;
        Ok(Self {
            postmaster: Some(postmaster),
            port,
            password: options.password,
            databases: AtomicU64::new(0),
            programs,
            account,
            _watchdog: watchdog,
            cluster,
        })
    }

    /// The server shared by all tests of this process, started on first use. It ends with the process. Use
    /// [`fresh_database`](Self::fresh_database) to isolate tests.
    ///
    /// # Panics
    /// When the server does not start.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<PrivatePostgres> = OnceLock::new();
        SHARED.get_or_init(|| Self::start().expect("the shared PostgreSQL server did not start"))
    }

    /// Creates an empty database with a new name, and returns its URL.
    ///
    /// # Panics
    /// When it cannot be created, for instance because the server is stopped.
    pub fn fresh_database(&self) -> String {
        let name = format!("fresh_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.create_database(&name).expect("no fresh database");
        self.url(&name)
    }

    /// The URL of a database for the superuser, through the port.
    pub fn url(&self, database: &str) -> String {
        let password = self.password.as_deref().map(|password| format!(":{}", percent_encoded(password)));
        let (password, database) = (password.unwrap_or_default(), percent_encoded(database));
        format!("postgres://{SUPERUSER}{password}@127.0.0.1:{}/{database}", self.port)
    }

    /// The port on 127.0.0.1, which does not change when the server is restarted.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The directory with the Unix socket, which only root and the account of the server can enter.
    pub fn socket_directory(&self) -> &Path {
        self.cluster.home()
    }

    /// The data directory, for tests that inspect or damage the files.
    pub fn data_directory(&self) -> &Path {
        self.cluster.data()
    }

    /// Creates an empty database.
    ///
    /// # Errors
    /// When it exists already, or the server is stopped.
    pub fn create_database(&self, name: &str) -> Result<(), Error> {
        self.psql("postgres", &format!("create database \"{}\"", name.replace('"', "\"\""))).map(drop)
    }

    /// Runs SQL with `psql` as the superuser, through the socket. Returns the rows as lines with `|` between columns,
    /// without headings and without a final newline. Several statements are one transaction.
    ///
    /// # Errors
    /// When a statement fails, or the server is stopped.
    pub fn psql(&self, database: &str, sql: &str) -> Result<String, Error> {
        let mut command = self.account.command(self.programs.psql());
        command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", SUPERUSER, "-d", database, "-c", sql]);
        command.arg("-h").arg(self.cluster.home()).args(["-p", &self.port.to_string()]);
        let mut output = self.account.output(command.current_dir(self.cluster.home()))?;
        if output.ends_with('\n') {
            output.pop();
        }
        Ok(output)
    }

    /// Simulates a crash of the server: connections break and no checkpoint is written, as with
    /// `pg_ctl stop -m immediate`. Does nothing when the server is stopped already.
    ///
    /// # Errors
    /// When the server does not end.
    pub fn stop_immediate(&mut self) -> Result<(), Error> {
        let Some(mut postmaster) = self.postmaster.take() else { return Ok(()) };
        postmaster.stop_immediate(&self.account, &self.cluster)
    }

    /// Kills every process of the server with SIGKILL, so that none can write or send anything more, and returns when
    /// all have ended. Does nothing when the server is stopped already.
    ///
    /// # Errors
    /// When a process survives, for instance because of a hanging disk.
    pub fn kill(&mut self) -> Result<(), Error> {
        let Some(mut postmaster) = self.postmaster.take() else { return Ok(()) };
        postmaster.kill(&self.account, &self.cluster)
    }

    /// Starts the stopped server with the same data on the same port, and waits until it has recovered and accepts
    /// connections. Does nothing when the server is running.
    ///
    /// # Errors
    /// When it does not accept connections within 60 seconds; the error shows the end of its log.
    pub fn start_again(&mut self) -> Result<(), Error> {
        let deadline = Instant::now() + START_LIMIT;
        // A process that was just killed externally refuses connections for a while before it ends.
        while let Some(postmaster) = &mut self.postmaster {
            if !postmaster.is_running()? || Instant::now() > deadline {
                break;
            }
            if TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        loop {
            match Postmaster::start(&self.programs, &self.account, &self.cluster, self.port) {
                Ok(postmaster) => {
                    self.postmaster = Some(postmaster);
                    return Ok(());
                }
                // A short-lived connection may use the port, or a process of a crashed server may not have ended yet.
                Err(error) if Instant::now() < deadline && (is_port_taken(&error) || is_memory_in_use(&error)) => {
                    std::thread::sleep(Duration::from_millis(100));
                }
                Err(error) => return Err(error),
            }
        }
    }
}

impl Drop for PrivatePostgres {
    fn drop(&mut self) {
        // The watchdog and the directories, as fields, are dropped afterwards; if this fails, the watchdog kills the
        // server.
        let _ = self.stop_immediate();
    }
}

fn start_on_free_port(programs: &Programs, account: &Account, cluster: &Cluster) -> Result<(Postmaster, u16), Error> {
    let mut attempt = 1;
    loop {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
        let port = listener.doing(|| "find a free port on 127.0.0.1".into())?.port();
        match Postmaster::start(programs, account, cluster, port) {
            Ok(postmaster) => return Ok((postmaster, port)),
            Err(error) if is_port_taken(&error) && attempt < PORT_ATTEMPTS => attempt += 1,
            Err(error) => return Err(error),
        }
    }
}

fn is_port_taken(error: &Error) -> bool {
    matches!(error, Error::NotRunning { log, .. } if log.contains("could not create any TCP/IP sockets"))
}

fn is_memory_in_use(error: &Error) -> bool {
    matches!(error, Error::NotRunning { log, .. } if log.contains("is still in use"))
}

/// Percent-encodes everything except unreserved characters (RFC 3986).
fn percent_encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_recognised_and_another_one_is_found() {
        let programs = Programs::find().unwrap();
        let account = Account::for_server().unwrap();
        let cluster = Cluster::create(&account, None).unwrap();
        let _watchdog = Watchdog::start(cluster.home(), cluster.data()).unwrap();
        cluster.initialise(&programs, &account, &Options::default()).unwrap();
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let error = Postmaster::start(&programs, &account, &cluster, port).err().unwrap();
        assert!(is_port_taken(&error), "{error}");
        let (mut postmaster, other_port) = start_on_free_port(&programs, &account, &cluster).unwrap();
        assert_ne!(port, other_port);
        postmaster.stop_immediate(&account, &cluster).unwrap();
    }

    #[test]
    fn a_password_in_a_url_is_encoded() {
        assert_eq!(percent_encoded("a-b/c@d:ü"), "a-b%2Fc%40d%3A%C3%BC");
    }
}
