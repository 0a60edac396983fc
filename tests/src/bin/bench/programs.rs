//! Whole programs: compilers, servers, tools. Each does its work in the home of the app.

use crate::ways::{Measured, WAYS, Way, prefix, print_row, run, time};
use postern_tests::Rig;
use std::io;

/// Rounds of which the median is taken.
const ROUNDS: usize = 3;

/// What a workload of `tests/programs/bench.sh` prints.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unit {
    /// Nanoseconds: less is better.
    Time,
    /// Operations per second: more is better.
    Rate,
}

/// The workloads: name in the script, label, unit, the program without which there is no row.
const ROWS: &[(&str, &str, Unit, &str)] = &[
    ("python", "python3 -c pass", Unit::Time, "python3"),
    ("gcc", "gcc -O2 of 10,000 lines", Unit::Time, "gcc"),
    ("make", "make -j2 of 60 files", Unit::Time, "make"),
    ("git", "git status of 20,000 files", Unit::Time, "git"),
    ("find", "find /usr/share, a second time", Unit::Time, "find"),
    ("xz", "xz of 8 MB", Unit::Time, "xz"),
    ("ffmpeg", "ffmpeg, x264 of 4 s", Unit::Time, "ffmpeg"),
    ("pgbench-select", "pgbench, select only, 4 clients (per second)", Unit::Rate, "psql"),
    ("pgbench-tpcb", "pgbench, TPC-B, 4 clients (per second)", Unit::Rate, "psql"),
    ("redis-set", "redis SET, 20 clients (per second)", Unit::Rate, "redis-server"),
    ("redis-get", "redis GET, 20 clients (per second)", Unit::Rate, "redis-server"),
    ("nginx", "nginx + wrk, 4 kB files (per second)", Unit::Rate, "wrk"),
];

fn is_installed(program: &str) -> bool {
    ["/usr/bin", "/usr/sbin"].iter().any(|dir| std::path::Path::new(dir).join(program).exists())
}

/// Prints the table. What a workload prepares is kept from round to round.
pub fn table(rig: &Rig) -> io::Result<()> {
    let script = rig.script("bench", &[])?;
    println!("\n| | native | bwrap | Postern | Postern ÷ native |\n|---|---:|---:|---:|---:|");
    for (name, label, unit, _) in ROWS.iter().filter(|row| is_installed(row.3)) {
        let mut values = Measured::new();
        for _ in 0..ROUNDS {
            for (index, way) in WAYS.into_iter().enumerate() {
                match run(rig, way, &["/bin/bash", &script, name]) {
                    Ok((_, text)) => values.entry(index).or_default().extend(text.trim().parse::<f64>()),
                    Err(error) => eprintln!("{name}: {error}"),
                }
            }
        }
        match unit {
            Unit::Time => print_row(label, &values, time),
            Unit::Rate => print_row(label, &values, |rate| format!("{rate:.0}")),
        }
    }
    if is_installed("wrk") {
        over_a_granted_port(rig, &script)?;
    }
    Ok(())
}

/// The server runs the way that is measured, the load natively.
fn over_a_granted_port(rig: &Rig, script: &str) -> io::Result<()> {
    let mut values = Measured::new();
    for _ in 0..ROUNDS {
        for (index, way) in WAYS.into_iter().enumerate() {
            let mut words = prefix(rig, way);
            let more: &[&str] = match way {
                Way::Native => &[],
                Way::Bwrap => &["--share-net"],
                Way::Postern => &["--grant", "@WORK", "--listen", "@PORT"],
            };
            let at = words.iter().position(|word| word == "--").unwrap_or(words.len());
            words.splice(at..at, more.iter().map(ToString::to_string));
            let mut argv = vec!["/bin/bash", script, "nginx-port"];
            argv.extend(words.iter().map(String::as_str));
            match run(rig, Way::Native, &argv) {
                Ok((_, text)) => values.entry(index).or_default().extend(text.trim().parse::<f64>()),
                Err(error) => eprintln!("nginx-port: {error}"),
            }
        }
    }
    print_row("nginx over a granted port, wrk outside (per second)", &values, |rate| format!("{rate:.0}"));
    Ok(())
}
