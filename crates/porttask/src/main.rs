//! PortTask Admin: configuration, wiring, command line.

mod address;
mod admin;
mod backup;
mod bench;
mod blobs;
mod bounds;
mod cli;
mod clock;
mod config;
mod console;
mod constraints;
mod copy;
mod demo;
mod error;
mod events;
mod export;
mod import;
mod invoices;
mod keys;
mod licence;
mod log;
mod logging;
mod mail;
mod master_key;
mod node;
mod nodes;
mod payments;
mod progress;
mod secret;
mod service;
mod storage;
mod tasks;
mod timers;
mod views;

use std::{io::Write, process::ExitCode};

/// Requests, appends and folds make many short-lived allocations.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let done = match config::read::<cli::Cli>(std::env::args_os().collect()) {
        Ok((cli, configuration)) => match logging::start(&cli.log_filter(), cli.log_format) {
            Ok(()) => cli.run(&configuration).await,
            Err(error) => Err(error),
        },
        Err(error) => Err(error),
    };
    logging::finish();
    match done {
        Ok(()) => ExitCode::SUCCESS,
        // The reader of our output has closed the pipe: no failure.
        Err(error) if error.downcast_ref::<std::io::Error>().is_some_and(is_broken_pipe) => ExitCode::SUCCESS,
        // The output already lists the rejected lines.
        Err(error) if error.is::<import::SomeWereRefused>() => ExitCode::from(2),
        Err(error) if error.is::<backup::OtherTool>() => {
            eprintln!("porttask: {error}");
            ExitCode::from(2)
        }
        Err(error) => match error.downcast::<clap::Error>() {
            // clap chooses the stream and the exit code; printing help is no failure.
            Ok(error) => error.exit(),
            Err(error) => {
                _ = writeln!(std::io::stderr(), "porttask: {error}");
                ExitCode::FAILURE
            }
        },
    }
}

fn is_broken_pipe(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::BrokenPipe
}
