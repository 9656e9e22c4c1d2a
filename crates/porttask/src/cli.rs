//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::{
    bench, config::Effective, constraints, events, export, import, keys, service::ServiceArgs, storage::StorageArgs,
    tasks, views,
};

/// Any reason for which a command failed, for the person at the terminal.
pub(crate) type Error = Box<dyn std::error::Error + Send + Sync>;

/// The administration platform of PortTask.
///
/// The event log is kept in the data folder, or in the PostgreSQL database that DATABASE_URL names.
#[derive(Parser)]
#[command(name = "porttask", version)]
pub(crate) struct Cli {
    /// The configuration file; otherwise ./porttask.toml, if there is one.
    #[arg(long, env = "PORTTASK_CONFIG", global = true)]
    config: Option<PathBuf>,
    /// What is logged to standard error, as a filter: info, or warn,porttask_infra=debug
    #[arg(long, env = "PORTTASK_LOG", default_value = "warn", global = true)]
    pub(crate) log: String,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the HTTP API. The first start makes the platform and prints a link for its first super admin.
    Serve {
        #[command(flatten)]
        storage: StorageArgs,
        #[command(flatten)]
        service: Box<ServiceArgs>,
    },
    /// Make the platform, and a link by which somebody becomes its first super admin.
    ///
    /// The link is good once and for an hour; run it again for another one. With PORTTASK_ADMIN_EMAIL and
    /// PORTTASK_ADMIN_PASSWORD no link is needed.
    Init {
        #[command(flatten)]
        storage: StorageArgs,
        #[command(flatten)]
        service: Box<ServiceArgs>,
    },
    /// Print the OpenAPI document of the HTTP API.
    Openapi,
    /// Show the configuration that is in force, and where each value comes from. Takes the options of serve.
    Config {
        /// As JSON.
        #[arg(long)]
        json: bool,
        /// Print a configuration file that says what can be configured, and change nothing.
        #[arg(long, conflicts_with = "json")]
        example: bool,
    },
    /// Look into the event log.
    Events {
        #[command(flatten)]
        storage: StorageArgs,
        #[command(subcommand)]
        command: events::Command,
    },
    /// Look after the read models: the tables that listings and dashboards are made of.
    Views {
        #[command(flatten)]
        storage: StorageArgs,
        #[command(subcommand)]
        command: views::Command,
    },
    /// Look after tasks: what is left to be done because something happened, as mail to be sent.
    ///
    /// The running service carries them out by itself. What fails is tried again for hours, and dead then: it is listed here
    /// with its cause until somebody revives it.
    Tasks {
        #[command(flatten)]
        storage: StorageArgs,
        #[command(subcommand)]
        command: tasks::Command,
    },
    /// Verify or rebuild uniqueness constraints and counters.
    #[command(alias = "guards")]
    Constraints {
        #[command(flatten)]
        storage: StorageArgs,
        #[command(subcommand)]
        command: constraints::Command,
    },
    /// Look after the keys by which personal data is sealed.
    Keys {
        #[command(flatten)]
        storage: StorageArgs,
        #[command(subcommand)]
        command: keys::Command,
    },
    /// Bring people or things in from files.
    Import {
        #[command(flatten)]
        storage: StorageArgs,
        #[command(subcommand)]
        command: import::Command,
    },
    /// Take things out; that they were taken is recorded first.
    Export {
        #[command(flatten)]
        storage: StorageArgs,
        #[command(subcommand)]
        command: export::Command,
    },
    /// Measure this machine: each figure beside its limit, taken in the same run.
    Bench(bench::BenchArgs),
}

impl Cli {
    pub(crate) async fn run(self, configuration: &Effective) -> Result<(), Error> {
        match self.command {
            Command::Config { example: true, .. } => configuration.show_example(),
            Command::Config { json, .. } => configuration.show(json),
            Command::Serve { storage, service } => service.serve(&storage).await,
            Command::Init { storage, service } => service.init(&storage).await,
            Command::Openapi => {
                use std::io::Write;
                Ok(writeln!(std::io::stdout(), "{}", porttask_api::document())?)
            }
            Command::Events { storage, command } => command.run(&storage).await,
            Command::Export { storage, command } => command.run(&storage).await,
            Command::Views { storage, command } => command.run(&storage).await,
            Command::Tasks { storage, command } => command.run(&storage).await,
            Command::Constraints { storage, command } => command.run(&storage).await,
            Command::Keys { storage, command } => command.run(&storage).await,
            Command::Import { storage, command } => command.run(&storage).await,
            Command::Bench(arguments) => arguments.run().await,
        }
    }
}
