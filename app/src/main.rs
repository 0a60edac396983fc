//! Postern: the manager window and the command line.
#![forbid(unsafe_code)]

mod library;
mod manager;

use std::process::ExitCode;

fn main() -> ExitCode {
    match manager::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("postern: {error:#}");
            ExitCode::FAILURE
        }
    }
}
