//! Postern: the command line, and the manager window inside.
#![forbid(unsafe_code)]

mod cli;
mod manager;

use std::process::ExitCode;

fn main() -> ExitCode {
    postern_monitor::sys::memory::keep_heap_small();
    cli::main(manager::run)
}
