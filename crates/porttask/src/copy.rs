//! `porttask copy`: from the embedded log to PostgreSQL.

use std::{
    fs,
    io::{self, Write},
    path::PathBuf,
    sync::Arc,
};

use clap::Args;
use porttask_infra::log::{
    Storage,
    copy::{Copied, Source},
    postgres::{PostgresLog, PostgresOptions},
};
use porttask_runtime::{
    constraints::ConstraintChecker,
    ledger::Database,
    log::{CheckedLog, Offset, PartitionVerifier},
    vault::{MasterKeys, Vault},
};

use crate::{error::Error, master_key::Given, progress::Progress, storage::StorageArgs};

#[derive(Args)]
pub(crate) struct CopyArgs {
    /// The empty PostgreSQL database to copy to: postgres://user:password@host/database?sslmode=verify-full
    #[arg(long, value_name = "URL", required_unless_present = "to_file", conflicts_with = "to_file")]
    to: Option<String>,
    /// A file with the URL of the database to copy to.
    #[arg(long, value_name = "FILE")]
    to_file: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl CopyArgs {
    pub(crate) async fn run(self, storage: &StorageArgs) -> Result<(), Error> {
        let url = self.url()?;
        let Storage::Sqlite(directory) = storage.storage()? else {
            return Err("only an embedded log can be copied: unset DATABASE_URL; a log in PostgreSQL is moved with \
                        pg_dump and pg_restore"
                .into());
        };
        storage.must_exist().await?;
        let keys = Given::existing(storage)?.keys;
        let source = Source::lock(&directory).await?;
        // The copy needs the same master key, which is stored in neither.
        source.purpose_keys()?.iter().try_for_each(|(purpose, wrapped)| keys.opens(purpose, wrapped))?;
        let progress = Progress::new();
        let report = |what: &str, done: u64, of: u64| progress.tell(what, done, of);
        let copied = source.copy_to_postgres(&url, &report).await?;
        let verified = verify(&url, &copied, keys, &report).await;
        drop(progress);
        verified.map_err(|error| format!("the copy was written but does not verify: do not use it: {error}"))?;
        self.show(&copied)?;
        eprintln!("Keep the embedded log as a backup, and do not start it again: its emails would be sent twice.");
        eprintln!("The contents of documents are not copied: set PORTTASK_BLOBS to their folder.");
        eprintln!("Start the service with DATABASE_URL and the same master key. Read models are built from the log.");
        Ok(())
    }

    fn url(&self) -> Result<String, Error> {
        let url = match (&self.to, &self.to_file) {
            (Some(url), _) => url.clone(),
            (None, Some(file)) => {
                let text =
                    fs::read_to_string(file).map_err(|error| format!("--to-file {}: {error}", file.display()))?;
                text.trim_end_matches(['\r', '\n']).to_owned()
            }
            (None, None) => String::new(),
        };
        // The URL is not repeated: it may contain a password.
        match url.starts_with("postgres://") || url.starts_with("postgresql://") {
            true => Ok(url),
            false => Err("--to must begin with postgres://: an embedded log can only be copied to PostgreSQL".into()),
        }
    }

    fn show(&self, copied: &Copied) -> Result<(), Error> {
        let Copied { head, events, digest, incarnation, rows } = copied;
        let streams = rows.iter().find(|(table, _)| *table == "log.streams").map_or(0, |(_, count)| *count);
        let mut out = io::stdout().lock();
        if self.json {
            let rows: serde_json::Map<_, _> =
                rows.iter().map(|(table, count)| ((*table).to_owned(), (*count).into())).collect();
            let line = serde_json::json!({
                "events": events, "streams": streams, "offset": head.position.offset.0,
                "digest": digest.to_string(), "incarnation": incarnation.to_string(), "rows": rows,
            });
            return Ok(writeln!(out, "{line}")?);
        }
        for (table, count) in rows {
            writeln!(out, "{table:<28} {count:>12}")?;
        }
        writeln!(out, "Copied and verified {events} events of {streams} streams, to {}.", head.position)?;
        Ok(writeln!(out, "SHA-256 over all leaf hashes: {digest}")?)
    }
}

/// Verifies the copy like `porttask log verify` and `porttask constraints verify`, without adding partitions.
async fn verify(
    url: &str,
    copied: &Copied,
    keys: MasterKeys,
    report: &(dyn Fn(&str, u64, u64) + Sync),
) -> Result<(), Error> {
    let log: Arc<dyn Database> =
        PostgresLog::open(PostgresOptions { partitions: 1, ..PostgresOptions::new(url) }).await?;
    let heads = log.heads().await?;
    if heads.first() != Some(&copied.head) || heads.iter().skip(1).any(|head| head.position.offset != Offset::START) {
        return Err("its head differs from the one of the embedded log".into());
    }
    let mut verifier = PartitionVerifier::new(Arc::<dyn Database>::clone(&log), &copied.head, Offset::START);
    while let Some(damaged) = verifier.next().await? {
        if let Some(damage) = damaged.first() {
            return Err(damage.to_string().into());
        }
        report("verified events of the copy", verifier.reached().0, verifier.end().0);
    }
    let database: Arc<dyn Database> = CheckedLog::new(log);
    let vault = Arc::new(Vault::open(Arc::<dyn Database>::clone(&database), keys).await?);
    match ConstraintChecker::new(database, vault).verify().await?.as_slice() {
        [] => Ok(()),
        [first, ..] => Err(format!(
            "{first}; if `porttask constraints verify` finds the same in the embedded log, repair it there with \
             `porttask constraints rebuild`, and copy it to an empty database"
        )
        .into()),
    }
}
