//! PortTask Admin: configuration, wiring, command line.

mod bench;
mod cli;
mod events;
mod guards;
mod keys;
mod master_key;
mod node;
mod progress;
mod service;
mod storage;
mod views;

use std::process::ExitCode;

use clap::Parser;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    let done = match start_logging() {
        Ok(()) => cli.run().await,
        Err(error) => Err(error),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read our output has heard enough.
        Err(error) if error.downcast_ref::<std::io::Error>().is_some_and(is_broken_pipe) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("porttask: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Logs to standard error what PORTTASK_LOG asks for.
fn start_logging() -> Result<(), cli::Error> {
    let wanted = std::env::var("PORTTASK_LOG").unwrap_or_else(|_| "warn".to_owned());
    let filter = tracing_subscriber::EnvFilter::try_new(&wanted)
        .map_err(|error| format!("PORTTASK_LOG={wanted}: {error}; write warn, info or debug, or module=level"))?;
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    Ok(())
}

fn is_broken_pipe(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::BrokenPipe
}
