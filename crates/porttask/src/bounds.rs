//! The options for rate limits, sessions and connections.

use std::time::Duration;

use clap::Args;
use jiff::SignedDuration;
use porttask_api::{Connections, Rates};
use porttask_app::{
    compliance::denial_log::MAX_SIGN_IN_DELAY,
    identity::{attempts::AttemptLimits, credential_activity::SessionLimits},
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::error::Error;

/// File descriptors reserved for the log, its readers, password hashing and email.
const OTHER_FILES: u64 = 200;

/// Limits on requests, sessions and connections.
#[derive(Args)]
pub(crate) struct BoundsArgs {
    /// Failed attempts to sign in or redeem a link, per minute and IP address (IPv6: per /64). 0 means no limit.
    #[arg(long, env = "PORTTASK_RATE_ATTEMPTS", default_value_t = 20)]
    rate_attempts: u32,
    /// Requests per minute and token; bursts of up to a quarter. 0 means no limit.
    #[arg(long, env = "PORTTASK_RATE_SESSION", default_value_t = 1_200)]
    rate_session: u32,
    /// Requests without a valid token, per minute and IP address (IPv6: per /64); bursts of up to a quarter. 0 means no
    /// limit.
    #[arg(long, env = "PORTTASK_RATE_STRANGERS", default_value_t = 600)]
    rate_strangers: u32,
    /// Failed sign-ins with one email address from one network before further attempts are delayed, by a pause that
    /// doubles from 1 second to 15 minutes. 0 means no limit.
    #[arg(long, env = "PORTTASK_FREE_ATTEMPTS", default_value_t = 5)]
    free_attempts: u32,
    /// The same for failed sign-ins with any email address, per network and hour. Devices that have signed in before
    /// are not delayed. 0 means no limit.
    #[arg(long, env = "PORTTASK_FREE_ATTEMPTS_NETWORK", default_value_t = 50)]
    free_attempts_network: u32,
    /// Failed sign-ins with one email address, from anywhere, per day. Above this, only devices that have signed in
    /// before may try, until an admin unlocks the account. 0 means no limit.
    #[arg(long, env = "PORTTASK_ATTEMPTS_CEILING", default_value_t = 100)]
    attempts_ceiling: u32,
    /// Maximum seconds by which the record of failed sign-ins is delayed at random, so that it does not reveal whether the
    /// account exists.
    #[arg(long, env = "PORTTASK_SIGN_IN_RECORD_DELAY_SECONDS", default_value_t = MAX_SIGN_IN_DELAY.as_secs(),
        value_parser = clap::value_parser!(u64).range(..=MAX_SIGN_IN_DELAY.as_secs()))]
    sign_in_record_delay_seconds: u64,
    /// Maximum lifetime of a session, in hours.
    #[arg(long, env = "PORTTASK_SESSION_HOURS", default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=720))]
    session_hours: u32,
    /// Seconds after which an idle session ends. 0 means no limit.
    #[arg(long, env = "PORTTASK_SESSION_IDLE_SECONDS", default_value_t = 1_800, value_parser = clap::value_parser!(u32).range(..=2_592_000))]
    session_idle_seconds: u32,
    /// Maximum open connections.
    #[arg(long, env = "PORTTASK_MAX_CONNECTIONS", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    max_connections: u32,
    /// Maximum share of the open connections that one IP address may hold (IPv6: one /64), in percent; trusted proxies are
    /// exempt. Further connections are closed at once.
    #[arg(long, env = "PORTTASK_CONNECTION_SHARE_PERCENT", default_value_t = 25, value_parser = clap::value_parser!(u8).range(1..=100))]
    connection_share_percent: u8,
    /// Maximum seconds to receive the head of a request.
    #[arg(long, env = "PORTTASK_HEAD_TIMEOUT_SECONDS", default_value_t = 10, value_parser = seconds())]
    head_timeout_seconds: u64,
    /// Maximum seconds from the head of a request to its response.
    #[arg(long, env = "PORTTASK_REQUEST_TIMEOUT_SECONDS", default_value_t = 30, value_parser = seconds())]
    request_timeout_seconds: u64,
    /// Seconds after which an idle connection is closed. Must be longer than the idle timeout of a proxy in front.
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

    pub(crate) fn sign_in_delay(&self) -> Duration {
        Duration::from_secs(self.sign_in_record_delay_seconds)
    }

    /// The limits on connections. Their number is reduced to what the operating system permits.
    ///
    /// # Errors
    /// If the limit of open files is too low to serve at all.
    pub(crate) fn connections(&self) -> Result<Connections, Error> {
        let wanted = u64::from(self.max_connections);
        let files = open_files(wanted + OTHER_FILES);
        let most = wanted.min(files.saturating_sub(OTHER_FILES));
        if most == 0 {
            return Err(
                format!("the limit of {files} open files is too low to serve: raise it with `ulimit -n`").into()
            );
        }
        if most < wanted {
            tracing::warn!(
                most,
                wanted,
                "max_connections is reduced by the limit of open files: raise it with `ulimit -n`"
            );
        }
        Ok(Connections {
            most: usize::try_from(most)?,
            most_per_network: usize::try_from((most * u64::from(self.connection_share_percent)).div_ceil(100))?,
            head_timeout: Duration::from_secs(self.head_timeout_seconds),
            idle_timeout: Duration::from_secs(self.idle_timeout_seconds),
            request_timeout: Duration::from_secs(self.request_timeout_seconds),
        })
    }
}

/// The limit of open files, raised towards `wanted` as far as permitted.
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
