//! Connections to the server: parsing the URL, and the settings of every connection.

use std::{
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use porttask_runtime::{
    log::LogError,
    supervise::{Supervised, once},
};
use tokio_postgres::{AsyncMessage, Client, Config, Notification, config::Host, error::SqlState};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{
    error::{at_connect, from_postgres},
    tls::{self, Verification},
};

/// Timeout of a connection attempt, and of unacknowledged data.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A node that holds a partition's lock blocks it for 5 s at most, even if it freezes: the server waits 3 s between two
/// statements and 5 s within one. No setting bounds how long it waits for the rest of a `COPY`; there the next waiter
/// terminates the holder ([`Connector::relieve`]).
const APPEND_SETTINGS: &str = "
    SET statement_timeout = '5s';
    SET idle_in_transaction_session_timeout = '3s';
    SET tcp_user_timeout = '5s';
    SET tcp_keepalives_idle = 2;
    SET tcp_keepalives_interval = 1;
    SET tcp_keepalives_count = 3;
    SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') IN ('off', 'local');
";

/// For statements that find their rows by an index, as all of the log do. A plan made while a table was small would
/// keep scanning it.
pub(crate) const PLAN_SETTINGS: &str = "
    SET plan_cache_mode = force_generic_plan;
    SET enable_seqscan = off;
    SET enable_bitmapscan = off;
    SET enable_sort = off;
    SET enable_hashjoin = off;
    SET enable_mergejoin = off;
    SET jit = off;
";

const RELIEVE: &str = "
    SELECT pid, host(client_addr)
    FROM pg_stat_activity
    WHERE pid = ANY (pg_blocking_pids($1)) AND wait_event = 'ClientRead'
      AND greatest(query_start, state_change) < clock_timestamp() - interval '2 seconds'
      AND pg_terminate_backend(pid)
";

/// Opens connections to the server.
#[derive(Clone)]
pub(crate) struct Connector {
    pub(crate) config: Config,
    pub(crate) tls: MakeRustlsConnect,
}

/// A connection for appends.
pub(super) struct AppendConnection {
    pub(super) client: Client,
    /// Whether the server reported a commit that is durable locally but not, as configured, on its replicas.
    pub(super) is_unreplicated: Arc<AtomicBool>,
    /// The PID of the server process behind this connection.
    pub(super) backend: i32,
}

impl Connector {
    /// Parses a URL like libpq: `postgres://user:password@host/database?sslmode=…&sslrootcert=…`.
    pub(crate) fn new(url: &str) -> Result<Self, LogError> {
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let mut root_file = None;
        let mut mode = "prefer";
        let mut others = Vec::new();
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            match parameter.split_once('=') {
                Some(("sslrootcert", file)) => root_file = Some(percent_decoded(file)),
                Some(("sslmode", value)) => mode = value,
                _ => others.push(parameter),
            }
        }
        let (driver_mode, verification) = match (mode, &root_file) {
            ("disable", _) => ("disable", Verification::None),
            ("prefer", _) => ("prefer", Verification::None),
            ("require", None) => ("require", Verification::None),
            ("require" | "verify-ca", _) => ("require", Verification::Authority),
            ("verify-full", _) => ("require", Verification::Full),
            _ => {
                return Err(LogError::Unusable(format!(
                    "DATABASE_URL: invalid sslmode={mode}: expected disable, prefer, require, verify-ca or verify-full"
                )));
            }
        };
        let driver_mode = format!("sslmode={driver_mode}");
        others.push(&driver_mode);
        let mut config: Config = format!("{base}?{}", others.join("&"))
            .parse()
            // The driver's message does not contain the URL, so no password is logged.
            .map_err(|error| LogError::Unusable(format!("DATABASE_URL: {}", super::error::with_cause(&error))))?;
        config.connect_timeout(*config.get_connect_timeout().unwrap_or(&CONNECT_TIMEOUT));
        config.tcp_user_timeout(*config.get_tcp_user_timeout().unwrap_or(&CONNECT_TIMEOUT));
        if config.get_application_name().is_none() {
            config.application_name("porttask");
        }
        Ok(Self { config, tls: tls::connector(verification, root_file.as_deref())? })
    }

    /// The server's addresses, for messages.
    pub(super) fn server(&self) -> String {
        let ports = self.config.get_ports();
        let hosts = self.config.get_hosts().iter().enumerate().map(|(index, host)| {
            let port = ports.get(index).or(ports.first()).unwrap_or(&5432);
            match host {
                Host::Tcp(name) => format!("{name}:{port}"),
                Host::Unix(folder) => format!("{}:{port}", folder.display()),
            }
        });
        hosts.collect::<Vec<_>>().join(", ")
    }

    /// A connection that passes notifications to `heard`.
    pub(super) async fn listening(
        &self,
        heard: impl Fn(&Notification) + Send + 'static,
    ) -> Result<(Client, Supervised), LogError> {
        let (client, mut connection) =
            self.config.connect(self.tls.clone()).await.map_err(|error| at_connect(&self.server(), &error))?;
        let driver = once("database connection", async move {
            while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
                if let AsyncMessage::Notification(notification) = message {
                    heard(&notification);
                }
            }
        });
        Ok((client, driver))
    }

    /// A connection for anything except appends.
    pub(super) async fn plain(&self) -> Result<Client, LogError> {
        let (client, driver) = self.listening(|_| ()).await?;
        driver.detach();
        Ok(client)
    }

    /// Terminates backends that block `backend` while idle for two seconds, waiting for their client: nodes that froze
    /// or vanished. Their open transactions are rolled back.
    pub(super) async fn relieve(&self, backend: i32) -> Result<(), LogError> {
        let ended = self.plain().await?.query(RELIEVE, &[&backend]).await.map_err(|error| from_postgres(&error))?;
        for row in ended {
            let (pid, client): (i32, Option<String>) = (row.get(0), row.get(1));
            tracing::warn!(pid, client, "terminated the connection of an unresponsive node that held a partition lock");
        }
        Ok(())
    }

    /// A connection that may hold a partition's lock.
    pub(super) async fn appending(&self) -> Result<AppendConnection, LogError> {
        let (client, mut connection) =
            self.config.connect(self.tls.clone()).await.map_err(|error| at_connect(&self.server(), &error))?;
        let is_unreplicated = Arc::new(AtomicBool::new(false));
        let reported = Arc::clone(&is_unreplicated);
        let driver = once("database connection", async move {
            while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
                // The only warning that our commits can raise is "committed locally, but might not have been
                // replicated"; its text depends on the server's locale.
                if let AsyncMessage::Notice(notice) = message
                    && *notice.code() == SqlState::WARNING
                {
                    tracing::warn!(notice = notice.message(), "warning from the database");
                    reported.store(true, Ordering::Release);
                }
            }
        });
        driver.detach();
        for settings in [APPEND_SETTINGS, PLAN_SETTINGS] {
            client.batch_execute(settings).await.map_err(|error| from_postgres(&error))?;
        }
        let row = client.query_one("SELECT pg_backend_pid()", &[]).await.map_err(|error| from_postgres(&error))?;
        is_unreplicated.store(false, Ordering::Release);
        Ok(AppendConnection { client, is_unreplicated, backend: row.get(0) })
    }
}

/// Decodes percent escapes; anything else is kept.
fn percent_decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use tokio_postgres::config::SslMode;

    use super::*;

    #[test]
    fn urls_mean_what_they_mean_to_libpq() {
        for (url, mode) in [
            ("postgres://ana@localhost/log", SslMode::Prefer),
            ("postgres://ana@localhost/log?sslmode=disable", SslMode::Disable),
            ("postgres://ana@localhost/log?connect_timeout=3&sslmode=require", SslMode::Require),
            ("postgres://ana@localhost/log?sslmode=verify-full", SslMode::Require),
        ] {
            assert_eq!(Connector::new(url).unwrap().config.get_ssl_mode(), mode, "{url}");
        }
    }

    #[test]
    fn a_wrong_url_is_refused_without_its_password() {
        for url in ["postgres://ana:secret@localhost/log?sslmode=maybe", "postgres://ana:secret@localhost:port/log"] {
            let Err(LogError::Unusable(message)) = Connector::new(url).map(drop) else { panic!("accepted {url}") };
            assert!(message.contains("DATABASE_URL") && !message.contains("secret"), "{message}");
        }
    }
}
