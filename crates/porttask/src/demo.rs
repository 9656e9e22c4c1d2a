//! `porttask demo`: a lifelike platform in an empty data directory, which is then served.

use std::{
    io::{IsTerminal, Write},
    sync::Arc,
    time::Instant,
};

use clap::Args;
use porttask_app::billing::invoices::rendering::Rendering;
use porttask_demo::{Account, Built, Options, PASSWORD, Parts, build};
use porttask_infra::log::Storage;
use porttask_runtime::reactors;

use crate::{
    error::Error,
    logging::{print, say},
    node::Node,
    service::{REACTORS, ServiceArgs},
    storage::StorageArgs,
};

#[derive(Args)]
pub(crate) struct DemoArgs {
    /// How large the platform is: this many times 40 organizations with 1,500 users.
    #[arg(long, default_value_t = 1.0, value_parser = scale)]
    scale: f64,
    /// Selects one of many platforms; the same seed makes the same organizations, users and work.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Build the platform and exit.
    #[arg(long)]
    no_serve: bool,
}

impl DemoArgs {
    pub(crate) async fn run(self, storage: &StorageArgs, service: ServiceArgs) -> Result<(), Error> {
        if porttask_infra::log::exists(&storage.storage()?).await? {
            let place = match storage.storage()? {
                Storage::Sqlite(directory) => format!("{} holds a log", directory.display()),
                Storage::Postgres(_) => "the database in DATABASE_URL holds a log".to_owned(),
            };
            return Err(format!("{place}: a demonstration needs an empty one, such as --data ./demo").into());
        }
        let started = Instant::now();
        {
            let blobs = service.blobs.settings(storage)?.blobs;
            let node = Node::open_or_create(storage).await?;
            service.blobs.create(storage)?;
            let parts = Parts { database: Arc::clone(&node.database), vault: Arc::clone(&node.vault), blobs };
            let issuer = service.issuer();
            let options = Options { scale: self.scale, seed: self.seed, now: node.clock.now(), issuer: &issuer };
            let Built { accounts, events, last_month } = build(&parts, options, &progress).await?;
            // Mails of the past are not sent. The documents of the last month are rendered once it serves, the others when
            // they are asked for.
            reactors::begin_behind(&node.database, Rendering::NAME, &last_month).await?;
            for reactor in REACTORS.into_iter().filter(|reactor| *reactor != Rendering::NAME) {
                reactors::release(&node.database, reactor).await?;
            }
            say(format_args!("\rRecorded {events} events in {:.0} s.", started.elapsed().as_secs_f64()));
            print(format_args!("Sign in with the password \"{PASSWORD}\" as"));
            for Account { role, email } in accounts {
                print(format_args!("  {email:<40} {role}"));
            }
        }
        if self.no_serve { Ok(()) } else { service.serve(storage).await }
    }
}

fn scale(text: &str) -> Result<f64, String> {
    let scale = text.parse().ok().filter(|scale| (0.01..=100.0).contains(scale));
    scale.ok_or_else(|| "must be a number from 0.01 to 100".to_owned())
}

/// Shows how far the year is built, on a terminal.
fn progress(text: &str) {
    let mut out = std::io::stderr();
    if out.is_terminal() {
        _ = write!(out, "\rBuilding a year: {text}").and_then(|()| out.flush());
    }
}
