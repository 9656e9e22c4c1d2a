//! `porttask backup`: a copy of the embedded log while it is in use.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use clap::Args;
use porttask_infra::log::{Storage, sqlite::SqliteLog};

use crate::{error::Error, storage::StorageArgs};

#[derive(Args)]
pub(crate) struct BackupArgs {
    /// The file to create, readable by its owner only.
    file: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// The log has tools of its own for backups.
#[derive(Debug)]
pub(crate) struct OtherTool;

impl std::fmt::Display for OtherTool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(
            "the log is in PostgreSQL: back up the whole database with its own tools, such as \
             `pg_dump --format=custom --file=FILE \"$DATABASE_URL\"`, pg_basebackup or continuous archiving; the schema \
             `views` may be left out (--exclude-schema=views)",
        )
    }
}

impl std::error::Error for OtherTool {}

impl BackupArgs {
    pub(crate) async fn run(self, storage: &StorageArgs) -> Result<(), Error> {
        let Storage::Sqlite(directory) = storage.storage()? else { return Err(OtherTool.into()) };
        // Creates nothing if there is no log.
        let head = storage.open().await?.heads().await?.pop();
        let file = self.file.clone();
        let bytes = tokio::task::spawn_blocking(move || SqliteLog::backup(&directory, &file)).await??;
        let mut out = io::stdout().lock();
        if self.json {
            let offset = head.map(|head| head.position.offset.0);
            let line = serde_json::json!({"file": self.file, "bytes": bytes, "offset_at_least": offset});
            writeln!(out, "{line}")?;
            return Ok(());
        }
        writeln!(out, "Wrote {bytes} bytes to {}.", self.file.display())?;
        eprintln!("The contents of documents are not in the backup: copy their folder (PORTTASK_BLOBS) after it.");
        eprintln!(
            "The master key is not in the backup: store a copy of it elsewhere. Verify the backup after a restore:"
        );
        eprintln!("`porttask log verify`.");
        Ok(())
    }
}
