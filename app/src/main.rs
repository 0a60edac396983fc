//! Postern: the manager window and the command line.
#![forbid(unsafe_code)]

mod cli;
mod library;
mod manager;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main(manager::run)
}
