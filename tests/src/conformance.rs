//! CPython's own test suite (Debian's libpython3-testsuite), natively and under Postern.

use crate::rig::{Rig, root};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::io::{self, BufRead as _};
use std::process::Stdio;

/// `tests/conformance/cpython.json`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Selection {
    /// For the reader.
    #[serde(rename = "comment")]
    _comment: Vec<String>,
    /// Modules that run in CI.
    pub modules: Vec<String>,
    /// Tests that are left out.
    pub exceptions: Vec<Exception>,
}

/// Tests that are left out, and why.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exception {
    /// A pattern of names.
    pub tests: String,
    /// The refusal that makes them fail.
    pub why: String,
}

/// How a run ended.
#[derive(Debug, Default)]
pub struct Verdict {
    /// Modules that failed, or whose processes died.
    pub failed: BTreeSet<String>,
    /// How many modules were run.
    pub run: usize,
    /// The run came to its end: not all that was asked for was run otherwise.
    pub complete: bool,
    /// What was printed about failures.
    pub details: String,
}

/// Longest that one module may take, in seconds.
const LIMIT: u32 = 300;

impl Selection {
    /// Reads the file.
    ///
    /// # Errors
    /// If it is not there or not what it should be.
    pub fn load() -> io::Result<Self> {
        let text = std::fs::read(root().join("tests/conformance/cpython.json"))?;
        serde_json::from_slice(&text).map_err(io::Error::other)
    }

    /// Runs modules (none: all there are), two at a time, and prints each line with `say`.
    ///
    /// # Errors
    /// If Python cannot be started.
    pub fn run(
        &self,
        rig: &Rig,
        sandboxed: bool,
        modules: &[String],
        mut say: impl FnMut(&str),
    ) -> io::Result<Verdict> {
        let mut command = if sandboxed {
            let mut command = rig.command(&rig.postern);
            command.args(["run", "--id", "conformance", "--"]).arg("/usr/bin/python3");
            command
        } else {
            rig.command("/usr/bin/python3")
        };
        command.args(["-m", "test", "-j2", &format!("--timeout={LIMIT}")]);
        for exception in &self.exceptions {
            command.args(["-i", &exception.tests]);
        }
        command.args(modules).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let mut verdict = Verdict::default();
        if let Some(output) = child.stdout.take() {
            for line in io::BufReader::new(output).split(b'\n') {
                let line = String::from_utf8_lossy(&line?).into_owned();
                say(&line);
                verdict.hear(&line);
            }
        }
        child.wait()?;
        Ok(verdict)
    }
}

impl Verdict {
    /// Takes a line of regrtest: `0:00:43 load avg: 0.00 [22/83/1] test_x failed (1 error)`.
    fn hear(&mut self, line: &str) {
        let progress = line.split_once(" load avg: ").and_then(|(_, rest)| rest.split_once("] "));
        let mut words = progress.map_or("", |(_, rest)| rest).split_whitespace();
        match (words.next().filter(|word| word.starts_with("test_")), words.next()) {
            (Some(module), result) => {
                self.run += 1;
                if matches!(result, Some("failed" | "crashed" | "timed")) {
                    self.failed.insert(module.to_owned());
                }
            }
            _ => {
                self.complete |= line.starts_with("Total duration:");
                self.details.push_str(line);
                self.details.push('\n');
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_heard() {
        let mut verdict = Verdict::default();
        for line in [
            "0:00:00 load avg: 0.00 [ 1/3] test_a passed -- running: test_c (1.6 sec)",
            "0:00:01 load avg: 0.00 [2/3/1] test_b failed (1 error)",
            "test test_b failed -- Traceback (most recent call last):",
            "0:00:02 load avg: 0.00 [3/3/2] test_c crashed (Exit code -11)",
        ] {
            assert!(!verdict.complete);
            verdict.hear(line);
        }
        verdict.hear("Total duration: 3 sec");
        assert!(verdict.complete);
        assert_eq!(verdict.run, 3);
        assert_eq!(verdict.failed.into_iter().collect::<Vec<_>>(), ["test_b", "test_c"]);
        assert!(verdict.details.contains("Traceback"));
    }
}
