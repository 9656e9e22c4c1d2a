//! Runs test vectors of billing against the domain: `cargo run -p porttask-tests --bin vectors -- FOLDER`.

use std::process::ExitCode;

use porttask_tests::vectors::run;

fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1) else {
        eprintln!("usage: vectors FOLDER");
        return ExitCode::from(2);
    };
    match run(folder.as_ref(), &mut |line| println!("{line}")) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("vectors: {}: {error}", folder.display());
            ExitCode::from(2)
        }
    }
}
