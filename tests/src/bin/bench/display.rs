//! The display: frames, the way from input to picture, processor time and the bridge's memory.

use crate::ways::{Way, median};
use postern_tests::processes::{cpu_nanoseconds, private_kib, tree};
use postern_tests::running::App;
use postern_tests::session::wait_for;
use postern_tests::{Rig, Session};
use std::io;
use std::time::Duration;

/// Rounds of which the median is taken.
const ROUNDS: usize = 3;
/// Seconds that a client draws as fast as it can.
const DRAW: &str = "4";
/// Motions of the pointer that are measured in a round.
const MOTIONS: &str = "60";
/// Seconds of which the processor time is taken.
const BUSY: u64 = 6;

/// Starts a client one way or the other.
pub fn client<'a>(rig: &'a Rig, session: &Session, way: Way, argv: &[&str]) -> io::Result<App<'a>> {
    let grant = format!("{}:ro", rig.dir.join("bin").display());
    let options = ["--grant", &grant];
    App::start(rig, session, (way == Way::Postern).then_some(&options[..]), argv)
}

/// Frames per second of a client that draws as fast as buffers come back.
fn frames(rig: &Rig, session: &Session, way: Way, program: &str, damage: &str) -> io::Result<f64> {
    let argv = [program, "fps", DRAW, "1920", "1080", damage];
    let postern = rig.postern.to_string_lossy();
    let grant = format!("{}:ro", rig.dir.join("bin").display());
    let mut all = match way {
        Way::Postern => vec![&*postern, "run", "--grant", &grant, "--"],
        _ => Vec::new(),
    };
    all.extend(argv);
    session.run(rig, &all)?.trim().parse().map_err(io::Error::other)
}

/// Median milliseconds from a motion of the pointer to the picture that shows it.
fn latency(rig: &Rig, session: &Session, way: Way, [program, meter]: [&str; 2]) -> io::Result<f64> {
    let client = client(rig, session, way, &[program, "input", "1920", "1080"])?;
    session.wait_window(rig, "input")?;
    std::thread::sleep(Duration::from_millis(500));
    let text = session.run(rig, &[meter, "200", "200", MOTIONS])?;
    drop(client);
    let values: Vec<f64> = text.lines().filter_map(|line| line.parse().ok()).collect();
    if values.is_empty() {
        return Err(io::Error::other("nothing was measured"));
    }
    Ok(median(values))
}

/// Frames that a paced client has shown, at the moment when it says so in its title.
fn shown(rig: &Rig, session: &Session) -> io::Result<u32> {
    let number = || -> io::Result<Option<u32>> {
        let title = session.wait_window(rig, "paced")?.title;
        Ok(title.split_whitespace().last().and_then(|word| word.parse().ok()))
    };
    let before = number()?;
    wait_for("frames in the title", || Ok(number()?.filter(|now| Some(*now) != before)))
}

/// Milliseconds of processor time for a frame, compositor included, of a client that draws one for each frame callback;
/// and private memory of the bridge in KiB.
fn busy(rig: &Rig, session: &Session, way: Way, program: &str) -> io::Result<(f64, Option<f64>)> {
    let client = client(rig, session, way, &[program, "paced", "600", "1920", "1080"])?;
    session.wait_window(rig, "paced")?;
    std::thread::sleep(Duration::from_secs(2));
    let all = || -> io::Result<(u64, u32)> {
        let count = shown(rig, session)?;
        let mut pids = tree(client.root());
        pids.push(session.compositor());
        Ok((pids.iter().map(|pid| cpu_nanoseconds(*pid)).sum(), count))
    };
    let (before, first) = all()?;
    std::thread::sleep(Duration::from_secs(BUSY));
    let (after, last) = all()?;
    let microseconds = u32::try_from(after.saturating_sub(before) / 1000).unwrap_or(u32::MAX);
    let bridge = match &client {
        App::Sandboxed(app) => Some(private_kib(app.pid_of("bridge_pid")?)),
        App::Native(_) => None,
    };
    let kib = bridge.map(|kib| f64::from(u32::try_from(kib).unwrap_or(u32::MAX)));
    Ok((f64::from(microseconds) / 1000.0 / f64::from(last.saturating_sub(first)), kib))
}

/// Measures the ways in turn. The first round warms up and is not counted.
pub fn row(
    session: &Session,
    rig: &Rig,
    label: &str,
    unit: &str,
    mut measure: impl FnMut(Way) -> io::Result<f64>,
) -> io::Result<()> {
    let (mut native, mut postern) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        for (way, list) in [(Way::Native, &mut native), (Way::Postern, &mut postern)] {
            match measure(way) {
                Ok(value) if round > 0 => list.push(value),
                Ok(_) => {}
                Err(error) => eprintln!("{label}: {error}"),
            }
            wait_for("the window to go", || Ok(session.windows(rig)?.is_empty().then_some(())))?;
        }
    }
    let (n, p) = (median(native), median(postern));
    let ratio = if n == 0.0 { "–".to_owned() } else { format!("{:.2}", p / n) };
    println!("| {label} | {n:.1} {unit} | {p:.1} {unit} | {ratio} |");
    Ok(())
}

/// Prints the table.
pub fn table(rig: &Rig) -> io::Result<()> {
    let program = rig.compile("wl_frames", &[])?;
    let meter = rig.compile("wl_meter", &[])?;
    let session = Session::start(rig)?;
    session.message(rig, &["output HEADLESS-1 resolution 1920x1080"])?;
    println!("\n| | native | Postern | ÷ |\n|---|---:|---:|---:|");
    for (label, damage) in [
        ("1080p frames per second as fast as possible, all damaged", "full"),
        ("the same, 32 × 32 damaged", "small"),
    ] {
        row(&session, rig, label, "", |way| frames(rig, &session, way, &program, damage))?;
    }
    row(&session, rig, "motion of the pointer to picture, median", "ms", |way| {
        latency(rig, &session, way, [&program, &meter])
    })?;
    let mut bridge = Vec::new();
    row(&session, rig, "processor time a 1080p frame, compositor included", "ms", |way| {
        let (time, kib) = busy(rig, &session, way, &program)?;
        bridge.extend(kib);
        Ok(time)
    })?;
    println!("\nPrivate memory of a bridge: {:.1} MiB", median(bridge) / 1024.0);
    Ok(())
}
