//! stress-ng's stressors, natively and under Postern, and what they leave behind on the host.

use crate::processes;
use crate::rig::{Outcome, Rig, root};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::fs;
use std::io;

/// The classes whose stressors have to run.
pub const CLASSES: [&str; 8] = ["cpu", "cpu-cache", "memory", "vm", "pipe", "scheduler", "filesystem", "os"];

/// `tests/conformance/stress-ng.json`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Selection {
    /// Stressors that are not run natively either, because they hurt the machine.
    pub harmful: Vec<String>,
    /// Stressors that a refusal keeps from running.
    pub exceptions: Vec<Exception>,
}

/// A stressor that does not run under Postern.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exception {
    /// Its name.
    pub stressor: String,
    /// The refusal that is the cause.
    pub why: String,
}

/// How a stressor did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It ran and found nothing wrong.
    Passed,
    /// It said itself that it cannot run here.
    Skipped,
    /// It found something wrong, died, or did not end.
    Failed,
}

impl Verdict {
    /// By stress-ng's exit status (stress-ng(1)).
    #[must_use]
    pub const fn of(status: i32) -> Self {
        match status {
            0 => Self::Passed,
            3 | 4 => Self::Skipped,
            _ => Self::Failed,
        }
    }
}

impl Selection {
    /// Reads the file.
    ///
    /// # Errors
    /// If it is not there or not what it should be.
    pub fn load() -> io::Result<Self> {
        let text = fs::read(root().join("tests/conformance/stress-ng.json"))?;
        serde_json::from_slice(&text).map_err(io::Error::other)
    }

    /// Why a stressor is not expected to run.
    #[must_use]
    pub fn reason(&self, stressor: &str) -> Option<&str> {
        self.exceptions.iter().find(|e| e.stressor == stressor).map(|e| e.why.as_str())
    }
}

/// The names of the stressors of all classes.
///
/// # Errors
/// If stress-ng cannot be started.
pub fn stressors(rig: &Rig) -> io::Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for class in CLASSES {
        // It says "class 'vm' stressors: a b c".
        let out = rig.native(&["stress-ng", "--class", &format!("{class}?")])?;
        let text = format!("{}{}", out.stdout, out.stderr);
        let listed = text.lines().filter_map(|line| line.split_once("stressors: "));
        names.extend(listed.flat_map(|(_, rest)| rest.split_whitespace()).map(ToOwned::to_owned));
    }
    Ok(names)
}

/// Runs a stressor in one instance for `seconds`.
///
/// # Errors
/// If it cannot be started.
pub fn run(rig: &Rig, stressor: &str, seconds: u64, sandboxed: bool) -> io::Result<Outcome> {
    let option = format!("--{stressor}");
    let time = format!("{seconds}s");
    let argv =
        ["stress-ng", "--temp-path", "/tmp", &option, "1", "--timeout", &time, "--verify", "--oomable"];
    if sandboxed { rig.sandboxed_with(&[], &argv, None) } else { rig.native(&argv) }
}

/// What of an app is on the host: processes of the user by name, and shared memory files.
#[must_use]
pub fn traces(rig: &Rig) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for pid in processes::all() {
        let is_users = processes::status_field(pid, "Uid:")
            .and_then(|ids| ids.split_whitespace().next().and_then(|id| id.parse().ok()))
            == Some(rig.user.uid.as_raw());
        let name = processes::status_field(pid, "Name:").unwrap_or_default();
        if is_users && (name.starts_with("stress") || name.starts_with("postern")) {
            found.insert(format!("process {pid}: {}", processes::command_line(pid)));
        }
    }
    for dir in ["/dev/shm", "/tmp"] {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.contains("stress") {
                found.insert(format!("file {dir}/{name}"));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_statuses_have_verdicts() {
        assert_eq!(Verdict::of(0), Verdict::Passed);
        assert_eq!(Verdict::of(4), Verdict::Skipped);
        assert_eq!(Verdict::of(2), Verdict::Failed);
        assert_eq!(Verdict::of(137), Verdict::Failed);
    }

    #[test]
    fn exceptions_have_reasons() {
        let selection = Selection::load().unwrap();
        assert!(selection.exceptions.iter().all(|e| e.why.len() > 10));
        assert_eq!(selection.reason("no such stressor"), None);
    }
}
