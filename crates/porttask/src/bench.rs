//! `porttask bench`.

use std::path::PathBuf;

use clap::Args;
use porttask_bench::{Options, table};

use crate::cli::Error;

/// Measurements need the server programs of PostgreSQL for a private server; `--engine sqlite` does without.
#[derive(Args)]
pub(crate) struct BenchArgs {
    /// Only this group of measurements: append, views, service, access.
    #[arg(long)]
    only: Option<String>,
    /// Only this engine: sqlite or postgres.
    #[arg(long)]
    engine: Option<String>,
    /// Only measurements whose name contains this, as in append_callers_64.
    #[arg(long)]
    figure: Option<String>,
    /// The folder for the stores that are measured, on the disk that matters; they are removed at the end.
    #[arg(long, default_value_os_t = std::env::temp_dir())]
    directory: PathBuf,
    /// Where the figures are written as JSON.
    #[arg(long, default_value = "target/bench.json")]
    output: PathBuf,
    /// Seconds per measurement.
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// Leave out what takes minutes: the million events and the long reader.
    #[arg(long)]
    quick: bool,
}

impl BenchArgs {
    pub(crate) async fn run(self) -> Result<(), Error> {
        if !(0.01..=3_600.0).contains(&self.seconds) {
            return Err("--seconds must lie between 0.01 and 3600".into());
        }
        let Self { only, engine, figure, directory, output, seconds, quick } = self;
        let options = Options { only, engine, figure, directory, seconds, quick };
        let figures = porttask_bench::run(&options, &|step| eprintln!("· {step}")).await?;
        println!("{}", table(&figures));
        if let Some(parent) = output.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(&output, serde_json::to_vec_pretty(&figures)?)?;
        eprintln!("written to {}", output.display());
        Ok(())
    }
}
