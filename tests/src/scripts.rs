//! Scripts of `tests/programs` that use a program from Debian, natively and under Postern.

use crate::rig::{Outcome, Rig, root};
use std::fs;
use std::io;
use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};

/// Ports that a script may use: its argument and those after it.
const PORTS: u16 = 4;
/// Below the ports that the host gives to connections.
const FIRST: u16 = 10_000;
const BLOCKS: u16 = 5_000;

static NEXT: AtomicU16 = AtomicU16::new(0);

/// The first of some ports that nobody uses now. Tests that run at the same time get others.
fn free_ports() -> io::Result<u16> {
    let start = u16::try_from(std::process::id() % u32::from(BLOCKS)).unwrap_or(0);
    (0..BLOCKS)
        .map(|_| {
            let block = (start + NEXT.fetch_add(1, Ordering::Relaxed) % BLOCKS) % BLOCKS;
            FIRST + block * PORTS
        })
        .find(|first| (*first..first + PORTS).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok()))
        .ok_or_else(|| io::Error::other("no free ports"))
}

impl Rig {
    /// Puts a script and the sources it uses, from `tests/programs/languages`, where the user can read them. Returns
    /// the script's path.
    ///
    /// # Errors
    /// The system's.
    pub fn script(&self, name: &str, sources: &[&str]) -> io::Result<String> {
        let programs = root().join("tests/programs");
        for source in sources {
            self.file(source, &fs::read(programs.join("languages").join(source))?)?;
        }
        let file = format!("{name}.sh");
        self.file(&file, &fs::read(programs.join(&file))?)
    }

    /// Runs a script natively and under Postern and asserts that standard output and status are equal.
    /// Its argument is the first of four free ports.
    ///
    /// # Panics
    /// If they differ, or something cannot be started.
    #[expect(clippy::panic, reason = "an assertion of tests")]
    pub fn same_script(&self, name: &str, sources: &[&str]) -> Outcome {
        match self.script(name, sources).and_then(|path| Ok((path, free_ports()?.to_string()))) {
            // Standard error has the shell's messages of killed processes with their ids.
            Ok((path, port)) => self.same_stdout(&["/bin/bash", &path, &port]),
            Err(error) => panic!("{name}: {error}"),
        }
    }
}
