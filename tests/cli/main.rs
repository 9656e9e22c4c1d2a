//! The command line of the running binary, on both engines.

#![allow(clippy::disallowed_methods, reason = "tasks and threads end with their test")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod clock;
mod config;
mod copy;
mod creation;
mod demo;
mod events;
mod import;
mod integrity;
mod keeping;
mod licence;
mod operator;

use porttask_tests::{Engine, Store};
use std::process::{Command, Output, Stdio};

/// The binary on a store, with nothing else of the environment that could change its ways.
fn porttask(store: &Store, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_porttask"));
    command.args(arguments).stdin(Stdio::null());
    for variable in ["DATABASE_URL", "PORTTASK_DATA", "PORTTASK_LOG", "PORTTASK_MASTER_KEY", "PORTTASK_MASTER_KEY_FILE"]
    {
        command.env_remove(variable);
    }
    match store.engine() {
        Engine::Sqlite => command.env("PORTTASK_DATA", store.place()),
        Engine::Postgres => command
            .env("DATABASE_URL", store.place())
            .env("PORTTASK_BLOBS", concat!(env!("CARGO_TARGET_TMPDIR"), "/blobs"))
            .env("PORTTASK_BLOBS_SHARED", "true"),
    };
    command
}

/// What a command said when it succeeded.
fn said(output: &Output) -> String {
    assert!(output.status.success(), "failed: {}", complaint(output));
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// What a command complained of.
fn complaint(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
