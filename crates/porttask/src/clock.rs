//! `porttask clock`: the clock of the log.

use clap::{ArgGroup, Subcommand};
use jiff::{SignedDuration, Span, Timestamp, tz::TimeZone};
use porttask_runtime::{clock::Advance, ledger::Database};
use serde_json::json;

use crate::{error::Error, storage::StorageArgs};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Show the time of the log, and whether its clock is simulated.
    Show {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Advance the clock of a log that was created by `porttask init --simulated`.
    ///
    /// Running nodes follow within two seconds. The clock never goes back.
    #[command(group(ArgGroup::new("target").required(true).args(["by", "to"])))]
    Advance {
        /// By how much, such as 30d, "1 month 12h", or P30D (ISO 8601).
        by: Option<Span>,
        /// To this instant, such as 2027-01-01T00:00:00Z.
        #[arg(long)]
        to: Option<Timestamp>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

impl Command {
    pub(crate) async fn run(self, storage: &StorageArgs) -> Result<(), Error> {
        let database = storage.open().await?;
        let json = match self {
            Self::Show { json } => json,
            Self::Advance { by, to, json } => {
                let advance = match (by, to) {
                    (_, Some(to)) => Advance::To(to),
                    (by, None) => Advance::By(duration(by.unwrap_or_default(), &*database).await?),
                };
                database.advance_clock(advance).await?;
                json
            }
        };
        show(&*database, json).await
    }
}

/// The duration of a span from the time of the log, in UTC: months have different lengths.
async fn duration(by: Span, database: &dyn Database) -> Result<SignedDuration, Error> {
    let now = database.database_time().await?.checked_add(database.clock_offset().await?.unwrap_or_default())?;
    Ok(by.to_duration(&now.to_zoned(TimeZone::UTC))?)
}

async fn show(database: &dyn Database, json: bool) -> Result<(), Error> {
    let (database_time, offset) = (database.database_time().await?, database.clock_offset().await?);
    let time = database_time.checked_add(offset.unwrap_or_default())?;
    if json {
        let micros = offset.map(|offset| offset.as_micros() as i64);
        let clock = json!({
            "time": time, "simulated": offset.is_some(), "database_time": database_time, "offset_microseconds": micros,
        });
        println!("{clock}");
        return Ok(());
    }
    println!("time      {time:.6}");
    match offset {
        Some(offset) => println!("clock     simulated, {offset:#} ahead of the database"),
        None => println!("clock     real: that of the database"),
    }
    Ok(())
}
