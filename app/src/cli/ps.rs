//! `postern ps`, `top` and `stop`: the running apps.

use super::{print, print_json};
use anyhow::bail;
use postern_monitor::control::{Status, running};
use std::collections::HashMap;
use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

/// Time between two pictures of `top`.
const INTERVAL: Duration = Duration::from_secs(2);
/// How long `stop` waits: a little longer than a monitor gives its app.
const PATIENCE: Duration = Duration::from_secs(8);

/// The state of all running apps. One that does not answer is left out, with a message.
fn statuses(memory: bool) -> Vec<Status> {
    let mut found = Vec::new();
    for mut app in running() {
        match app.client.status(memory) {
            Ok(status) => found.push(status),
            Err(error) => eprintln!("postern: {}: {error}", app.instance),
        }
    }
    found
}

/// Lists the running apps.
pub fn list(json: bool) -> anyhow::Result<()> {
    let statuses = statuses(true);
    if json {
        return print_json(&statuses);
    }
    print(format_args!(
        "{:24} {:>7} {:>5} {:>7} {:>9} {:>9}  COMMAND",
        "INSTANCE", "PID", "PROC", "THREADS", "CPU s", "MEMORY"
    ))?;
    for s in &statuses {
        print(format_args!(
            "{:24} {:>7} {:>5} {:>7} {:>9.2} {:>9}  {}",
            s.instance,
            s.pid,
            s.processes,
            s.threads,
            seconds(s.cpu_us),
            mebibytes(s.pss_bytes),
            s.command.join(" ")
        ))?;
        if let Some(weaker) = &s.sandbox.weaker {
            print(format_args!("    {weaker}"))?;
        }
    }
    Ok(())
}

fn seconds(us: u64) -> f64 {
    Duration::from_micros(us).as_secs_f64()
}

fn mebibytes(bytes: u64) -> String {
    format!("{}.{} MiB", bytes >> 20, ((bytes >> 10) & 1023) * 10 / 1024)
}

/// Shows the running apps until the user interrupts it; once if the output is no terminal.
pub fn top() -> anyhow::Result<()> {
    let terminal = std::io::stdout().is_terminal();
    let mut last: HashMap<String, (Instant, u64)> = HashMap::new();
    loop {
        let statuses = statuses(true);
        let now = Instant::now();
        if terminal {
            print(format_args!(
                "\x1b[H\x1b[2J{:24} {:>6} {:>10} {:>5} {:>8} {:>8} {:>8}",
                "INSTANCE", "CPU %", "MEMORY", "PROC", "FRAMES", "COPIED", "REFUSED"
            ))?;
        }
        for s in &statuses {
            // At first the mean since its start.
            let (since, before) = match last.get(&s.instance) {
                Some((when, cpu)) => (now.duration_since(*when), *cpu),
                None => (Duration::from_millis(s.uptime_ms), 0),
            };
            let percent = 100.0 * seconds(s.cpu_us.saturating_sub(before)) / since.as_secs_f64().max(0.001);
            let refused: u64 = s.denied.iter().map(|denied| denied.count).sum();
            print(format_args!(
                "{:24} {percent:>6.1} {:>10} {:>5} {:>8} {:>8} {refused:>8}",
                s.instance,
                mebibytes(s.pss_bytes),
                s.processes,
                s.frames,
                s.copied_frames
            ))?;
        }
        if !terminal {
            return Ok(());
        }
        last = statuses.into_iter().map(|s| (s.instance, (now, s.cpu_us))).collect();
        std::thread::sleep(INTERVAL);
    }
}

/// Asks an app, or one run of it, to end, and waits until it has.
pub fn stop(app: &str, kill: bool) -> anyhow::Result<()> {
    let mut asked = 0;
    for mut one in running() {
        let meant = one.instance == app || one.client.status(false).is_ok_and(|status| status.app == app);
        if meant {
            asked += 1;
            if kill { one.client.kill()? } else { one.client.stop()? }
        }
    }
    if asked == 0 {
        bail!("{app} is not running");
    }
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        let left = running().into_iter().any(|mut one| {
            one.instance == app || one.client.status(false).is_ok_and(|status| status.app == app)
        });
        if !left {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    bail!("{app} did not end")
}
