//! A server for scripts: prints the URL of an empty database, and runs until the end of standard input.

#![allow(clippy::print_stdout, reason = "the script reads it")]

use std::io::Read;

use private_postgres::{Error, PrivatePostgres};

fn main() -> Result<(), Error> {
    let server = PrivatePostgres::start()?;
    server.create_database("porttask")?;
    println!("{}", server.url("porttask"));
    // An error ends it like the end of input.
    _ = std::io::stdin().read_to_end(&mut Vec::new());
    Ok(())
}
