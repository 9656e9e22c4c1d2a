//! `porttask bench`.

use std::path::PathBuf;

use clap::Args;
use porttask_bench::{Options, table};

use crate::error::Error;

/// Benchmarks start a private PostgreSQL server, which must be installed; `--engine sqlite` does not need it.
#[derive(Args)]
pub(crate) struct BenchArgs {
    /// Only this group of benchmarks: append, views, service, access, timers, operations or billing.
    #[arg(long)]
    only: Option<String>,
    /// Only this engine: sqlite or postgres.
    #[arg(long)]
    engine: Option<String>,
    /// Only figures whose name contains this, such as append_callers_64.
    #[arg(long)]
    figure: Option<String>,
    /// The directory for the measured stores, on the disk to be measured. They are removed at the end.
    #[arg(long, default_value_os_t = std::env::temp_dir())]
    directory: PathBuf,
    /// The file to write the figures to, as JSON.
    #[arg(long, default_value = "target/bench.json")]
    output: PathBuf,
    /// Seconds per measurement.
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// Skip the slow benchmarks: a million events, 10,000 timers, and the long reader.
    #[arg(long)]
    quick: bool,
}

impl BenchArgs {
    pub(crate) async fn run(self) -> Result<(), Error> {
        if !(0.01..=3_600.0).contains(&self.seconds) {
            return Err("--seconds must be between 0.01 and 3600".into());
        }
        let Self { only, engine, figure, directory, output, seconds, quick } = self;
        let options = Options { only, engine, figure, directory, seconds, quick };
        let figures = porttask_bench::run(&options, &|step| eprintln!("· {step}")).await?;
        println!("{}", table(&figures));
        if let Some(parent) = output.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(&output, serde_json::to_vec_pretty(&figures)?)?;
        eprintln!("Written to {}", output.display());
        Ok(())
    }
}
