//! `make soak`: one app starts and ends processes, threads, sockets and files for `POSTERN_SOAK_SECONDS` (600). What it
//! and its monitor keep must not grow. Prints a line every twentieth of the time.
#![forbid(unsafe_code)]

use postern_tests::processes::status_field;
use postern_tests::{Rig, Running};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Descriptor of the arena in a keeper.
const ARENA: i32 = 3;

/// What is kept at one moment.
#[derive(Clone, Copy, Debug, Default)]
struct Kept {
    /// KiB of the library OS's heap, stacks and files.
    arena: u64,
    /// KiB of the monitor's own memory (what it shares with other processes depends on those).
    monitor: u64,
    /// Handles of the family and of the monitor.
    handles: u64,
}

impl Kept {
    fn now(keeper: u32, monitor: u32) -> io::Result<Self> {
        let count = |pid: u32| Ok::<_, io::Error>(fs::read_dir(format!("/proc/{pid}/fd"))?.count() as u64);
        Ok(Self {
            arena: fs::metadata(format!("/proc/{keeper}/fd/{ARENA}"))?.blocks() / 2,
            monitor: status_field(monitor, "RssAnon:")
                .and_then(|kib| kib.split_whitespace().next()?.parse().ok())
                .unwrap_or(0),
            handles: count(keeper)? + count(monitor)?,
        })
    }

    /// The least of both, each by itself: what is there only for the moment does not count.
    fn least(self, other: Self) -> Self {
        Self {
            arena: self.arena.min(other.arena),
            monitor: self.monitor.min(other.monitor),
            handles: self.handles.min(other.handles),
        }
    }
}

fn soak() -> io::Result<bool> {
    const PARTS: u32 = 20;
    let seconds: u32 = std::env::var("POSTERN_SOAK_SECONDS").ok().and_then(|s| s.parse().ok()).unwrap_or(600);
    let rig = Rig::new()?;
    let script = rig.script("soak", &[])?;
    let grant = format!("{}:ro", rig.dir.join("bin").display());
    let mut app = Running::start(&rig, &["--grant", &grant], &["/bin/bash", &script, &seconds.to_string()])?;
    let (keeper, monitor) = (app.pid_of("keeper_pid")?, app.pid_of("pid")?);
    let mut seen = Vec::new();
    for part in 1..PARTS {
        let end = Instant::now() + Duration::from_secs(seconds.into()) / PARTS;
        let mut least = Kept::now(keeper, monitor)?;
        while Instant::now() < end {
            std::thread::sleep(Duration::from_millis(100));
            least = least.least(Kept::now(keeper, monitor)?);
        }
        println!(
            "{:>3} %  arena {} KiB, monitor {} KiB, handles {}",
            part * 100 / PARTS,
            least.arena,
            least.monitor,
            least.handles
        );
        seen.push(least);
    }
    let status = app.end()?;
    let log = fs::read_to_string(rig.dir.join("apps.log"))?;
    println!("{}", log.trim());
    // Caches fill in the first quarter.
    let (first, last) = seen.split_at(seen.len() / 4);
    let most = first.iter().copied().reduce(|a, b| Kept {
        arena: a.arena.max(b.arena),
        monitor: a.monitor.max(b.monitor),
        handles: a.handles.max(b.handles),
    });
    let (Some(then), Some(now)) = (most, last.last()) else { return Ok(false) };
    let is_flat = |then: u64, now: u64, slack: u64| now <= then + then / 10 + slack;
    let flat = is_flat(then.arena, now.arena, 512)
        && is_flat(then.monitor, now.monitor, 256)
        && is_flat(then.handles, now.handles, 2);
    println!("{}", if flat { "flat" } else { "it grows" });
    Ok(flat && status == 0 && log.contains("rounds "))
}

fn main() -> ExitCode {
    match soak() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
