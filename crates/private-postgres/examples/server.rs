//! A server for a script: prints the address of an empty database, and runs until standard input ends.

#![allow(clippy::print_stdout, reason = "it is what the script reads")]

use std::io::Read;

use private_postgres::{Error, PrivatePostgres};

fn main() -> Result<(), Error> {
    let server = PrivatePostgres::start()?;
    server.create_database("porttask")?;
    println!("{}", server.url("porttask"));
    // An error ends it like the end of the input does.
    _ = std::io::stdin().read_to_end(&mut Vec::new());
    Ok(())
}
