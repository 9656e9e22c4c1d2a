//! What requests and connections may cost, as the configuration says.

use std::time::Duration;

use clap::Args;
use jiff::SignedDuration;
use porttask_api::{Connections, Rates};
use porttask_app::identity::{attempts::AttemptLimits, credential_activity::SessionLimits};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::cli::Error;

/// Files that are open beside connections: the log, its readers, what hashes and mails need.
const OTHER_FILES: u64 = 200;

/// What requests and connections may cost.
#[derive(Args)]
pub(crate) struct BoundsArgs {
    /// Attempts a minute to sign in and to take up links, from one address (of IPv6: from one /64). 0 is no limit.
    #[arg(long, env = "PORTTASK_RATE_ATTEMPTS", default_value_t = 20)]
    rate_attempts: u32,
    /// Requests a minute of one session; up to a quarter of them at once. 0 is no limit.
    #[arg(long, env = "PORTTASK_RATE_SESSION", default_value_t = 1_200)]
    rate_session: u32,
    /// Requests a minute without a valid token, from one address; up to a quarter of them at once. 0 is no limit.
    #[arg(long, env = "PORTTASK_RATE_STRANGERS", default_value_t = 600)]
    rate_strangers: u32,
    /// Failed attempts to sign in with one mail address from one network that cost no pause; then it doubles from a
    /// second to 15 minutes. 0 is no limit.
    #[arg(long, env = "PORTTASK_FREE_ATTEMPTS", default_value_t = 5)]
    free_attempts: u32,
    /// The same with whatever mail addresses from one network in an hour; devices that signed in before do not wait.
    #[arg(long, env = "PORTTASK_FREE_ATTEMPTS_NETWORK", default_value_t = 50)]
    free_attempts_network: u32,
    /// Failed attempts in a day with one mail address from everywhere; beyond, only devices that signed in before are
    /// looked at, until an admin unlocks the account. 0 is no limit.
    #[arg(long, env = "PORTTASK_ATTEMPTS_CEILING", default_value_t = 100)]
    attempts_ceiling: u32,
    /// How long a session lasts at most.
    #[arg(long, env = "PORTTASK_SESSION_HOURS", default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=720))]
    session_hours: u32,
    /// How long a session lasts that nobody uses. 0 is as long as all others.
    #[arg(long, env = "PORTTASK_SESSION_IDLE_SECONDS", default_value_t = 1_800, value_parser = clap::value_parser!(u32).range(..=2_592_000))]
    session_idle_seconds: u32,
    /// How many connections may be open.
    #[arg(long, env = "PORTTASK_MAX_CONNECTIONS", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    max_connections: u32,
    /// How long the head of a request may take.
    #[arg(long, env = "PORTTASK_HEAD_TIMEOUT_SECONDS", default_value_t = 10, value_parser = seconds())]
    head_timeout_seconds: u64,
    /// How long a request may take until it is answered.
    #[arg(long, env = "PORTTASK_REQUEST_TIMEOUT_SECONDS", default_value_t = 30, value_parser = seconds())]
    request_timeout_seconds: u64,
    /// How long a connection is kept without a request; longer than a proxy in front keeps it.
    #[arg(long, env = "PORTTASK_IDLE_TIMEOUT_SECONDS", default_value_t = 75, value_parser = seconds())]
    idle_timeout_seconds: u64,
}

fn seconds() -> clap::builder::RangedU64ValueParser {
    clap::value_parser!(u64).range(1..=86_400)
}

impl BoundsArgs {
    pub(crate) fn rates(&self) -> Rates {
        Rates { attempts: self.rate_attempts, sessions: self.rate_session, strangers: self.rate_strangers }
    }

    pub(crate) fn sessions(&self) -> SessionLimits {
        let idle = Some(SignedDuration::from_secs(self.session_idle_seconds.into()));
        SessionLimits {
            longest: SignedDuration::from_hours(self.session_hours.into()),
            idle: idle.filter(|idle| idle.is_positive()),
        }
    }

    pub(crate) fn attempts(&self) -> AttemptLimits {
        let (free, free_of_network) = (self.free_attempts, self.free_attempts_network);
        AttemptLimits { free, free_of_network, ceiling: self.attempts_ceiling }
    }

    /// What connections may cost, as far as the operating system lets the process have so many.
    ///
    /// # Errors
    /// If it lets it have hardly any.
    pub(crate) fn connections(&self) -> Result<Connections, Error> {
        let wanted = u64::from(self.max_connections);
        let files = open_files(wanted + OTHER_FILES);
        let most = wanted.min(files.saturating_sub(OTHER_FILES));
        if most == 0 {
            return Err(format!("only {files} files may be open, which is too few to serve: raise `ulimit -n`").into());
        }
        if most < wanted {
            tracing::warn!(most, wanted, "fewer connections than asked for: raise the limit of open files (ulimit -n)");
        }
        Ok(Connections {
            most: usize::try_from(most)?,
            head_timeout: Duration::from_secs(self.head_timeout_seconds),
            idle_timeout: Duration::from_secs(self.idle_timeout_seconds),
            request_timeout: Duration::from_secs(self.request_timeout_seconds),
        })
    }
}

/// How many files may be open, raised to what is wanted as far as the process may raise it.
fn open_files(wanted: u64) -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let Some(current) = current else { return u64::MAX };
    if current >= wanted {
        return current;
    }
    let raised = maximum.map_or(wanted, |maximum| wanted.min(maximum));
    match setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum }) {
        Ok(()) => raised,
        Err(_) => current,
    }
}
