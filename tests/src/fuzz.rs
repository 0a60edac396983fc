//! Random programs of system calls (`tests/programs/fuzz`), natively and under Postern. What they print must be equal.

use crate::rig::{Rig, root};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::process::Command;

/// A difference that is known, and the reason for it.
#[derive(Debug, Deserialize)]
pub struct Exception {
    /// First word of the call's line.
    pub call: String,
    /// Part of what is printed natively.
    pub native: String,
    /// Part of what is printed under Postern.
    pub postern: String,
    /// Why it is left alone.
    pub why: String,
}

/// Where the two first differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Seed of the program.
    pub seed: u64,
    /// The line that is printed natively.
    pub native: String,
    /// The line that is printed under Postern.
    pub postern: String,
}

/// The name of the call in a line: behind its number, or in a child's line.
fn call_of(line: &str) -> &str {
    let words = line.trim_start().trim_start_matches("child: ");
    let numbered = words.split_once(' ').filter(|(first, _)| first.parse::<u32>().is_ok());
    numbered.map_or(words, |(_, rest)| rest).split(' ').next().unwrap_or_default()
}

impl Exception {
    fn explains(&self, difference: &Difference) -> bool {
        call_of(&difference.native) == self.call
            && difference.native.contains(&self.native)
            && difference.postern.contains(&self.postern)
    }
}

/// The lines of each seed.
fn by_seed(text: &str) -> BTreeMap<u64, Vec<&str>> {
    let mut seeds: BTreeMap<u64, Vec<&str>> = BTreeMap::new();
    let mut now = None;
    for line in text.lines() {
        if let Some(seed) = line.strip_prefix("seed ").and_then(|s| s.parse().ok()) {
            now = Some(seed);
            seeds.entry(seed).or_default();
        } else if let Some(lines) = now.and_then(|seed| seeds.get_mut(&seed)) {
            lines.push(line);
        }
    }
    seeds
}

fn first_difference(seed: u64, native: &[&str], postern: &[&str]) -> Option<Difference> {
    let longest = native.len().max(postern.len());
    let line = |lines: &[&str], at: usize| lines.get(at).copied().unwrap_or("(nothing)").to_owned();
    (0..longest)
        .map(|at| Difference { seed, native: line(native, at), postern: line(postern, at) })
        .find(|d| d.native != d.postern)
}

/// The programs, compiled, and a place to run them in.
pub struct Fuzzer {
    rig: Rig,
    program: String,
    place: String,
    exceptions: Vec<Exception>,
}

impl Fuzzer {
    /// Compiles the programs.
    ///
    /// # Errors
    /// The compiler's message, or the system's.
    pub fn new() -> io::Result<Self> {
        let rig = Rig::new()?;
        let mut sources = Vec::new();
        for entry in fs::read_dir(root().join("tests/programs/fuzz"))? {
            let path = entry?.path();
            if path.extension().is_some_and(|e| e == "c") {
                sources.push(path);
            }
        }
        let program = rig.dir.join("bin/fuzz");
        let out = Command::new("gcc").args(["-O1", "-Wall", "-o"]).arg(&program).args(&sources).output()?;
        if !out.status.success() {
            return Err(io::Error::other(String::from_utf8_lossy(&out.stderr).into_owned()));
        }
        let place = rig.dir.join("fuzz");
        fs::create_dir(&place)?;
        rig.own(&place)?;
        let text = fs::read_to_string(root().join("tests/conformance/fuzz.json"))?;
        Ok(Self {
            program: program.to_string_lossy().into_owned(),
            place: place.to_string_lossy().into_owned(),
            exceptions: serde_json::from_str(&text)?,
            rig,
        })
    }

    fn outputs(&self, arguments: &[&str]) -> io::Result<(String, String)> {
        let argv = [&["/usr/bin/env", "-C", &self.place, &self.program], arguments].concat();
        let native = self.rig.native(&argv)?;
        let postern = self.rig.sandboxed_with(&["--grant", &self.place], &argv, None)?;
        Ok((native.stdout, postern.stdout))
    }

    /// Runs the programs of `count` seeds from `first` on, of `calls` calls each. Returns where they differ, no
    /// exception says why, and they differ again when they run alone: some results depend on the moment.
    ///
    /// # Errors
    /// If one cannot be started.
    pub fn run(&self, first: u64, count: u64, calls: u32) -> io::Result<Vec<Difference>> {
        let mut found = Vec::new();
        for difference in self.differences(first, count, calls)? {
            let again = |_| Ok::<_, io::Error>(!self.differences(difference.seed, 1, calls)?.is_empty());
            if (0..2).map(again).collect::<Result<Vec<_>, _>>()?.into_iter().all(|differs| differs) {
                found.push(difference);
            }
        }
        Ok(found)
    }

    fn differences(&self, first: u64, count: u64, calls: u32) -> io::Result<Vec<Difference>> {
        let arguments = [first.to_string(), count.to_string(), calls.to_string()];
        let (native, postern) = self.outputs(&arguments.each_ref().map(String::as_str))?;
        let (native, postern) = (by_seed(&native), by_seed(&postern));
        if native.len() as u64 != count {
            return Err(io::Error::other(format!("{} of {count} seeds ran natively", native.len())));
        }
        let compare = |(seed, lines): (&u64, &Vec<&str>)| {
            first_difference(*seed, lines, postern.get(seed).map_or(&[], Vec::as_slice))
        };
        let known = |d: &Difference| self.exceptions.iter().any(|e| e.explains(d));
        Ok(native.iter().filter_map(compare).filter(|d| !known(d)).collect())
    }

    /// Leaves out calls of a seed as long as the same call differs. Returns what both print in the end.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn shrink(&self, difference: &Difference, calls: u32) -> io::Result<String> {
        let seed = difference.seed.to_string();
        let mut kept: Vec<String> = (0..calls).map(|c| c.to_string()).collect();
        let mut shown = format!("{difference:?}");
        let mut chunk = kept.len();
        while chunk > 0 {
            let mut at = 0;
            while at < kept.len() {
                let mut fewer = kept.clone();
                fewer.drain(at..(at + chunk).min(kept.len()));
                let (native, postern) = self.outputs(&[&seed, "=", &fewer.join(",")])?;
                let (ours, theirs) = (by_seed(&native), by_seed(&postern));
                let lines = |map: &BTreeMap<u64, Vec<&str>>| {
                    map.get(&difference.seed).map(|l| l.iter().map(ToString::to_string).collect::<Vec<_>>())
                };
                let (a, b) = (lines(&ours).unwrap_or_default(), lines(&theirs).unwrap_or_default());
                let (a, b): (Vec<&str>, Vec<&str>) =
                    (a.iter().map(String::as_str).collect(), b.iter().map(String::as_str).collect());
                match first_difference(difference.seed, &a, &b) {
                    Some(d) if call_of(&d.native) == call_of(&difference.native) => {
                        kept = fewer;
                        shown = format!("natively:\n{native}under Postern:\n{postern}");
                    }
                    _ => at += chunk,
                }
            }
            chunk /= 2;
        }
        Ok(format!("seed {seed}, calls {}\n{shown}", kept.join(",")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_have_names() {
        assert_eq!(call_of("12 read 3 80 = 0"), "read");
        assert_eq!(call_of("  child: poke 14+5 = done"), "poke");
        assert_eq!(call_of("end 0"), "end");
    }

    #[test]
    fn the_first_difference_is_told() {
        let text = "seed 1\n0 read\nend 0\nseed 2\n0 write\n";
        let seeds = by_seed(text);
        assert_eq!(seeds.len(), 2);
        assert_eq!(first_difference(1, &seeds[&1], &["0 read", "end 0"]), None);
        let found = first_difference(2, &seeds[&2], &[]).map(|d| d.postern);
        assert_eq!(found.as_deref(), Some("(nothing)"));
    }
}
