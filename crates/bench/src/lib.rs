//! Measurements of the engines, each beside its own limit in the same run: what counts is the ratio, because machines
//! differ and drift.

mod access;
mod append;
mod report;
mod service;
mod store;
mod views;

use std::path::PathBuf;

pub use report::{Figure, table};

/// What to measure, and where.
#[derive(Debug, Clone)]
pub struct Options {
    /// Only this group of measurements: `append`, `views`, `service` or `access`.
    pub only: Option<String>,
    /// Only this engine: `sqlite` or `postgres`.
    pub engine: Option<String>,
    /// Only measurements whose name contains this.
    pub figure: Option<String>,
    /// The folder for the stores; it must be on the disk that matters, not in memory.
    pub directory: PathBuf,
    /// Seconds per measurement. The default of 1 makes a run of about ten minutes.
    pub seconds: f64,
    /// Leave out what takes minutes: the million events and the long reader.
    pub quick: bool,
}

/// Any reason for which a measurement failed.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// Measures, telling `progress` what is being done.
///
/// # Errors
/// If there is nothing by that name, or an engine fails.
pub async fn run(options: &Options, progress: &(dyn Fn(&str) + Sync)) -> Result<Vec<Figure>, Error> {
    match options.only.as_deref() {
        None => {
            let mut figures = append::run(options, progress).await?;
            figures.append(&mut views::run(options, progress).await?);
            figures.append(&mut service::run(options, progress).await?);
            figures.append(&mut access::run(options, progress).await?);
            Ok(figures)
        }
        Some("append") => append::run(options, progress).await,
        Some("views") => views::run(options, progress).await,
        Some("service") => service::run(options, progress).await,
        Some("access") => access::run(options, progress).await,
        Some(other) => Err(format!("there is no benchmark `{other}`: choose append, views, service or access").into()),
    }
}
