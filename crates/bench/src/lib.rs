//! Benchmarks of the engines and the service. Where possible, a figure is compared with a baseline measured in the same
//! run: the ratio is what counts, because machines differ and their speed drifts.

#![allow(clippy::disallowed_methods, reason = "tasks and threads end with their benchmark")]

mod access;
mod append;
mod billing;
mod invoices;
mod metering;
mod operations;
mod report;
mod service;
mod store;
mod timers;
mod views;

use std::path::PathBuf;

pub use report::{Figure, table};

/// What to measure, and where.
#[derive(Debug, Clone)]
pub struct Options {
    /// Only this group of benchmarks: `append`, `views`, `service`, `access`, `timers`, `operations` or `billing`.
    pub only: Option<String>,
    /// Only this engine: `sqlite` or `postgres`.
    pub engine: Option<String>,
    /// Only figures whose name contains this.
    pub figure: Option<String>,
    /// The directory for the stores. It must be on the disk to be measured, not in memory.
    pub directory: PathBuf,
    /// Seconds per measurement. With the default of 1, a run takes about ten minutes.
    pub seconds: f64,
    /// Skip the slow benchmarks: a million events, 10,000 timers, and the long reader.
    pub quick: bool,
}

/// Why a benchmark failed.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// Runs the chosen benchmarks, and reports each step to `progress`.
///
/// # Errors
/// If there is no such group or engine, or an engine fails.
pub async fn run(options: &Options, progress: &(dyn Fn(&str) + Sync)) -> Result<Vec<Figure>, Error> {
    match options.only.as_deref() {
        None => {
            let mut figures = append::run(options, progress).await?;
            figures.append(&mut views::run(options, progress).await?);
            figures.append(&mut service::run(options, progress).await?);
            figures.append(&mut access::run(options, progress).await?);
            figures.append(&mut timers::run(options, progress).await?);
            figures.append(&mut operations::run(options, progress).await?);
            figures.append(&mut billing::run(options, progress).await?);
            Ok(figures)
        }
        Some("append") => append::run(options, progress).await,
        Some("views") => views::run(options, progress).await,
        Some("service") => service::run(options, progress).await,
        Some("access") => access::run(options, progress).await,
        Some("timers") => timers::run(options, progress).await,
        Some("billing") => billing::run(options, progress).await,
        Some("operations") => operations::run(options, progress).await,
        Some(other) => {
            let groups = "append, views, service, access, timers, operations or billing";
            Err(format!("there is no benchmark `{other}`: choose {groups}").into())
        }
    }
}
