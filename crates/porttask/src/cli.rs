//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use porttask_api::ACCESS_LOG;

use crate::{
    admin, backup, bench, clock, config::Effective, constraints, copy, demo::DemoArgs, error::Error, events, export,
    import, invoices, keys, licence, log, logging, mail, nodes, service::ServiceArgs, storage::StorageArgs, tasks,
    timers, views,
};

/// The administration platform of PortTask.
///
/// The event log is stored in the data directory, or in the PostgreSQL database specified by DATABASE_URL.
#[derive(Parser)]
#[command(name = "porttask", version)]
pub(crate) struct Cli {
    /// The configuration file. Default: ./porttask.toml, if it exists.
    #[arg(long, env = "PORTTASK_CONFIG", global = true)]
    config: Option<PathBuf>,
    /// Log filter for standard error, such as info, or warn,porttask_infra=debug
    #[arg(long, env = "PORTTASK_LOG", default_value = "warn", global = true)]
    pub(crate) log: String,
    /// The format of the log: text, or a JSON object per line.
    #[arg(long, env = "PORTTASK_LOG_FORMAT", default_value = "text", global = true)]
    pub(crate) log_format: logging::Format,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the HTTP API. The first start initializes the platform and prints a link for its first super admin.
    Serve {
        #[command(flatten)]
        storage: StorageArgs,
        #[command(flatten)]
        service: Box<ServiceArgs>,
    },
    /// Initialize the platform, and print a link to create its first super admin.
    ///
    /// The link can be used once, within an hour; run the command again for a new one. If PORTTASK_ADMIN_EMAIL and
    /// PORTTASK_ADMIN_PASSWORD are set, the super admin is created without a link.
    Init {
        /// Create the log with a simulated clock, which `porttask clock advance` advances: for demonstrations and tests.
        /// It can never become a real one.
        #[arg(long)]
        simulated: bool,
        #[command(flatten)]
        storage: StorageArgs,
        #[command(flatten)]
        service: Box<ServiceArgs>,
    },
    /// Build a lifelike platform in an empty data directory, and serve it: a year of organizations, users and their work.
    ///
    /// Prints accounts to sign in with, which all have the same password. No mails of that year are sent.
    Demo {
        #[command(flatten)]
        demo: DemoArgs,
        #[command(flatten)]
        storage: StorageArgs,
        #[command(flatten)]
        service: Box<ServiceArgs>,
    },
    /// Print the OpenAPI document of the HTTP API.
    Openapi,
    /// Show the effective configuration and the source of each value. Accepts the options of serve.
    Config {
        /// Print JSON.
        #[arg(long)]
        json: bool,
        /// Print an example configuration file with all settings, commented out.
        #[arg(long, conflicts_with = "json")]
        example: bool,
    },
    /// Inspect the event log.
    Events {
        #[command(flatten)]
        storage: StorageArgs,
        #[command(subcommand)]
        command: events::Command,
    },
    /// Verify the event log.
    Log {
        #[command(flatten)]
        storage: StorageArgs,
        #[command(subcommand)]
        command: log::Command,
    },
    /// Show the clock of the log, or advance a simulated one.
    Clock {
        #[command(flatten)]
        storage: StorageArgs,
        #[command(subcommand)]
        command: clock::Command,
    },
    /// List, verify or rebuild the read models: the tables behind listings and dashboards.
    Views {
        #[command(flatten)]
        storage: StorageArgs,
        #[command(subcommand)]
        command: views::Command,
    },
    /// List and retry background tasks that events have triggered, such as emails to be sent.
    ///
    /// The running service executes them. A task that fails is retried for hours and then dead-lettered: it is listed
    /// here with its last error until it is retried.
    Tasks {
        #[command(flatten)]
        storage: StorageArgs,
        #[command(subcommand)]
        command: tasks::Command,
    },
    /// List the nodes that serve, with their versions.
    Nodes {
        #[command(flatten)]
        storage: StorageArgs,
        #[command(subcommand)]
        command: nodes::Command,
    },
    /// List what is due next, such as the expiry of invitations, and retry what failed.
    Timers {
        #[command(flatten)]
        storage: StorageArgs,
        #[command(subcommand)]
        command: timers::Command,
    },
    /// Verify or rebuild uniqueness constraints and counters.
    #[command(alias = "guards")]
    Constraints {
        #[command(flatten)]
        storage: StorageArgs,
        #[command(subcommand)]
        command: constraints::Command,
    },
    /// Verify issued invoices.
    Invoices {
        #[command(flatten)]
        storage: StorageArgs,
        #[command(subcommand)]
        command: invoices::Command,
    },
    /// Manage the keys that encrypt personal data.
    Keys {
        #[command(flatten)]
        storage: StorageArgs,
        #[command(subcommand)]
        command: keys::Command,
    },
    /// Import data from files.
    Import {
        #[command(flatten)]
        storage: StorageArgs,
        #[command(subcommand)]
        command: import::Command,
    },
    /// Export data. Every export is recorded before any data is written.
    Export {
        #[command(flatten)]
        storage: StorageArgs,
        #[command(subcommand)]
        command: export::Command,
    },
    /// Write a copy of the embedded log, with its ledger, to a new file, while the service is running.
    Backup {
        #[command(flatten)]
        storage: StorageArgs,
        #[command(flatten)]
        backup: backup::BackupArgs,
    },
    /// Copy the embedded log, with its ledger, to an empty PostgreSQL database, and verify the copy.
    ///
    /// The service must not be running. Everything is written in one transaction, and events keep their ids, offsets and
    /// hashes. The copy needs the same master key. What to do before and after is in docs/operating-the-log.md.
    Copy {
        #[command(flatten)]
        storage: StorageArgs,
        #[command(flatten)]
        copy: copy::CopyArgs,
    },
    /// Regain access to the platform.
    Admin {
        #[command(flatten)]
        storage: StorageArgs,
        #[command(subcommand)]
        command: admin::Command,
    },
    /// Read emails that were written as files.
    Mail {
        #[command(flatten)]
        storage: StorageArgs,
        #[command(subcommand)]
        command: mail::Command,
    },
    /// Verify licences without a connection.
    Licence {
        #[command(subcommand)]
        command: licence::Command,
    },
    /// Run benchmarks, each compared with a baseline measured in the same run.
    Bench(bench::BenchArgs),
}

impl Cli {
    /// The log filter, with the access log if it is on.
    pub(crate) fn log_filter(&self) -> String {
        match &self.command {
            Command::Serve { service, .. } if service.logs_access() => format!("{},{ACCESS_LOG}=info", self.log),
            _ => self.log.clone(),
        }
    }

    pub(crate) async fn run(self, configuration: &Effective) -> Result<(), Error> {
        match self.command {
            Command::Config { example: true, .. } => configuration.show_example(),
            Command::Config { json, .. } => configuration.show(json),
            Command::Serve { storage, service } => service.serve(&storage).await,
            Command::Demo { demo, storage, service } => demo.run(&storage, *service).await,
            Command::Init { simulated, storage, service } => service.init(&storage, simulated).await,
            Command::Openapi => {
                use std::io::Write;
                Ok(writeln!(std::io::stdout(), "{}", porttask_api::document())?)
            }
            Command::Events { storage, command } => command.run(&storage).await,
            Command::Log { storage, command } => command.run(&storage).await,
            Command::Export { storage, command } => command.run(&storage).await,
            Command::Clock { storage, command } => command.run(&storage).await,
            Command::Views { storage, command } => command.run(&storage).await,
            Command::Tasks { storage, command } => command.run(&storage).await,
            Command::Nodes { storage, command } => command.run(&storage).await,
            Command::Timers { storage, command } => command.run(&storage).await,
            Command::Constraints { storage, command } => command.run(&storage).await,
            Command::Invoices { storage, command } => command.run(&storage).await,
            Command::Keys { storage, command } => command.run(&storage).await,
            Command::Import { storage, command } => command.run(&storage).await,
            Command::Backup { storage, backup } => backup.run(&storage).await,
            Command::Copy { storage, copy } => copy.run(&storage).await,
            Command::Admin { storage, command } => command.run(&storage).await,
            Command::Mail { storage, command } => command.run(&storage),
            Command::Licence { command } => command.run(),
            Command::Bench(arguments) => arguments.run().await,
        }
    }
}
