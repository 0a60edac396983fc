//! `make bench`: what Postern costs, as ratios against native and bubblewrap in the same run. Prints Markdown.

use postern_tests::{Outcome, Rig, Session};
use std::collections::BTreeMap;
use std::io;
use std::process::{Child, ExitCode};
use std::time::{Duration, Instant};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Name → nanoseconds, from the lines of `micro`.
fn parse(outcome: &Outcome) -> BTreeMap<String, f64> {
    let line =
        |l: &str| l.split_once(' ').and_then(|(name, v)| Some((name.to_owned(), v.trim().parse().ok()?)));
    outcome.stdout.lines().filter_map(line).collect()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn show(ns: f64) -> String {
    match ns {
        n if n >= 1e6 => format!("{:.2} ms", n / 1e6),
        n if n >= 1e4 => format!("{:.1} µs", n / 1e3),
        n => format!("{n:.0} ns"),
    }
}

fn row(name: &str, native: f64, bwrap: Option<f64>, postern: f64) {
    let bwrap = bwrap.map_or_else(|| "–".into(), show);
    println!("| {name} | {} | {bwrap} | {} | {:.2} |", show(native), show(postern), postern / native);
}

const BWRAP: [&str; 14] = [
    "bwrap",
    "--ro-bind",
    "/usr",
    "/usr",
    "--ro-bind",
    "/etc",
    "/etc",
    "--symlink",
    "usr/lib64",
    "/lib64",
    "--symlink",
    "usr/bin",
    "/bin",
    "--unshare-all",
];

fn run() -> io::Result<()> {
    let rig = Rig::new()?;
    let micro = rig.compile("micro", &["-O2"])?;
    println!("| | native | bwrap | Postern | Postern / native |\n|---|---|---|---|---|");
    const ROUNDS: usize = 3;
    let mut all: Vec<[BTreeMap<String, f64>; 3]> = Vec::new();
    for _ in 0..ROUNDS {
        let bin = rig.dir.join("bin").to_string_lossy().into_owned();
        let mut wrapped = BWRAP.to_vec();
        wrapped.extend(["--symlink", "usr/lib", "/lib", "--dev", "/dev", "--proc", "/proc"]);
        wrapped.extend(["--ro-bind", &bin, &bin, &micro]);
        all.push([
            parse(&rig.native(&[&micro])?),
            parse(&rig.native(&wrapped)?),
            parse(&rig.sandboxed(&[&micro])?),
        ]);
    }
    let names = [
        ("getppid", "getppid"),
        ("clock_gettime", "clock_gettime"),
        ("stat", "stat"),
        ("open_read_close", "open + read + close"),
        ("pipe_write_read", "pipe write + read"),
        ("mmap_touch_munmap", "mmap + touch + munmap (16 KiB)"),
        ("fork_wait", "fork + wait"),
        ("spawn_true", "posix_spawn of /bin/true"),
        ("spawn_true_1gib", "the same from a process with 1 GiB touched"),
    ];
    for (key, label) in names {
        let pick = |i: usize| median(all.iter().filter_map(|r| r.get(i)?.get(key).copied()).collect());
        row(label, pick(0), Some(pick(1)), pick(2));
    }
    start_and_exit(&rig)?;
    apps(&rig)
}

fn start_and_exit(rig: &Rig) -> io::Result<()> {
    let time = |f: &mut dyn FnMut() -> io::Result<Outcome>| -> io::Result<f64> {
        let mut rounds = Vec::new();
        for _ in 0..15 {
            let start = Instant::now();
            f()?;
            rounds.push(start.elapsed().as_secs_f64() * 1e9);
        }
        Ok(median(rounds))
    };
    // What the rig itself costs (setpriv, timeout) is in all three.
    let argv = ["/bin/busybox", "true"];
    let mut wrapped = BWRAP.to_vec();
    wrapped.extend(argv);
    let native = time(&mut || rig.native(&argv))?;
    let bwrap = time(&mut || rig.native(&wrapped))?;
    let postern = time(&mut || rig.sandboxed(&argv))?;
    row("start + exit of a static program", native, Some(bwrap), postern);
    Ok(())
}

/// Proportional memory of a process and its descendants, in MiB.
fn memory(root: u32) -> f64 {
    let mut all = vec![root];
    let mut at = 0;
    let mut total = 0.0;
    while let Some(pid) = all.get(at).copied() {
        let children =
            std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        all.extend(children.split_whitespace().filter_map(|c| c.parse::<u32>().ok()));
        let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
        let pss = rollup
            .lines()
            .find_map(|l| l.strip_prefix("Pss:")?.trim().strip_suffix(" kB")?.trim().parse::<f64>().ok());
        total += pss.unwrap_or(0.0) / 1024.0;
        at += 1;
    }
    total
}

fn end(mut child: Child) {
    let _ = child.kill();
    let _ = child.wait();
}

fn apps(rig: &Rig) -> io::Result<()> {
    println!(
        "\n| app | to a painted window: native | Postern | ratio | memory (PSS): native | Postern | difference |"
    );
    println!("|---|---|---|---|---|---|---|");
    let session = Session::start(rig)?;
    for (program, title) in
        [("foot", "foot"), ("gnome-calculator", "calculator"), ("gtk3-demo", "gtk"), ("mousepad", "mousepad")]
    {
        let mut seconds = [Vec::new(), Vec::new()];
        let mut sizes = [Vec::new(), Vec::new()];
        for round in 0..6 {
            let sandboxed = round % 2;
            let start = Instant::now();
            let child = if sandboxed == 1 {
                session.launch_sandboxed(rig, &["--id", "bench"], &[program])?
            } else {
                session.launch(rig, &[program])?
            };
            let painted = session.wait_painted(rig, title, 8);
            let took = start.elapsed().as_secs_f64();
            std::thread::sleep(Duration::from_secs(2));
            let size = memory(child.id());
            for window in session.windows(rig)? {
                session.message(rig, &[&format!("[con_id={}]", window.id), "kill"])?;
            }
            end(child);
            let begin = Instant::now();
            while !session.windows(rig)?.is_empty() && begin.elapsed() < Duration::from_secs(20) {
                std::thread::sleep(Duration::from_millis(100));
            }
            painted?;
            if let (Some(s), Some(m)) = (seconds.get_mut(sandboxed), sizes.get_mut(sandboxed)) {
                s.push(took);
                m.push(size);
            }
        }
        let [native, postern] = seconds.map(median);
        let [native_size, postern_size] = sizes.map(median);
        println!(
            "| {program} | {native:.2} s | {postern:.2} s | {:.2} | {native_size:.1} MiB | {postern_size:.1} MiB | {:+.1} MiB |",
            postern / native,
            postern_size - native_size
        );
    }
    Ok(())
}
