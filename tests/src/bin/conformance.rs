//! `make conformance`: the whole of CPython's test suite, under Postern and natively. Fails if a module fails under
//! Postern alone.
#![forbid(unsafe_code)]

use postern_tests::Rig;
use postern_tests::conformance::Selection;
use std::io;
use std::process::ExitCode;

fn compare() -> io::Result<bool> {
    let rig = Rig::new()?;
    let selection = Selection::load()?;
    for exception in &selection.exceptions {
        println!("left out: {} ({})", exception.tests, exception.why);
    }
    let sandboxed = selection.run(&rig, true, &[], |line| println!("{line}"))?;
    if !sandboxed.complete {
        return Err(io::Error::other(format!("the run ended after {} modules", sandboxed.run)));
    }
    println!("\nunder Postern {} modules ran, {} failed", sandboxed.run, sandboxed.failed.len());
    let again: Vec<String> = sandboxed.failed.iter().cloned().collect();
    if again.is_empty() {
        return Ok(sandboxed.run > 0);
    }
    let native = selection.run(&rig, false, &again, |_| {})?;
    let ours: Vec<&String> = sandboxed.failed.difference(&native.failed).collect();
    println!("failing natively as well: {:?}\nfailing under Postern alone: {ours:?}", native.failed);
    Ok(ours.is_empty())
}

fn main() -> ExitCode {
    match compare() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
