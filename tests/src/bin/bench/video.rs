//! Frames that do not make it to the screen in time: of videos, and of the benchmarks in GTK 4's demo.

use crate::display::{client, row};
use crate::ways::{Way, median, prefix};
use postern_tests::desktop::make_video;
use postern_tests::rig::root;
use postern_tests::{Rig, Session};
use std::fs;
use std::io;
use std::time::Duration;

/// Seconds that a video lasts.
const SECONDS: u32 = 10;
/// Seconds until a benchmark of GTK's has come to what it can do, and looks at it after that, one a second.
const WARM_UP: u64 = 8;
const LOOKS: usize = 8;

/// Videos: lines, frames a second, and how mpv paints them.
const VIDEOS: &[(u32, u32, &[&str])] = &[
    (1080, 60, &["--vo=wlshm"]),
    (1080, 30, &["--vo=wlshm"]),
    (720, 60, &["--vo=wlshm"]),
    (480, 30, &["--vo=gpu", "--gpu-sw=yes"]),
];

/// Benchmarks of GTK's: name, what the word before it in the title counts, and the row's label.
const BENCHMARKS: &[(&str, &str, &str)] = &[
    ("fishbowl", " Icons", "gtk4-demo, fishbowl: icons that move without a dropped frame"),
    ("frames", " fps", "gtk4-demo, frames: drawn a second, of 60"),
    ("iconscroll", " fps", "gtk4-demo, scrolling: drawn a second, of 60"),
];

/// Frames that mpv dropped of a video.
fn dropped(rig: &Rig, session: &Session, way: Way, argv: &[&str]) -> io::Result<f64> {
    let mut all = prefix(rig, way);
    all.extend(argv.iter().map(|word| (*word).to_owned()));
    let text = session.run(rig, &all.iter().map(String::as_str).collect::<Vec<_>>())?;
    let numbers: Vec<f64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    match numbers[..] {
        [dropped, end] if end > f64::from(SECONDS) * 0.9 => Ok(dropped),
        _ => Err(io::Error::other(format!("not played to its end: {text}"))),
    }
}

/// The number before `unit` in the title of a benchmark's window, while it runs.
fn reached(rig: &Rig, session: &Session, way: Way, name: &str, unit: &str) -> io::Result<f64> {
    let overlay = format!("G_RESOURCE_OVERLAYS=/{name}={}", rig.dir.join("bin").display());
    let _app = client(rig, session, way, &["env", &overlay, "gtk4-demo", &format!("--run={name}")])?;
    session.wait_window(rig, " fps")?;
    std::thread::sleep(Duration::from_secs(WARM_UP));
    let mut values = Vec::new();
    for _ in 0..LOOKS {
        std::thread::sleep(Duration::from_secs(1));
        let title = session.wait_window(rig, " fps")?.title;
        let number = title.split(unit).next().and_then(|start| start.split_whitespace().last());
        values.extend(number.and_then(|word| word.parse::<f64>().ok()));
    }
    if values.len() < LOOKS {
        return Err(io::Error::other("the title has no number"));
    }
    Ok(median(values))
}

/// Prints the table.
pub fn table(rig: &Rig) -> io::Result<()> {
    let script = rig.file("drops.lua", &fs::read(root().join("tests/programs/drops.lua"))?)?;
    for (name, ..) in BENCHMARKS {
        let file = format!("{name}.ui");
        rig.file(&file, &fs::read(root().join("tests/programs/gtk4").join(&file))?)?;
    }
    let session = Session::start(rig)?;
    // A headless output waits 16 ms after what it has painted, not after when it began: at 60 Hz it comes to 52
    // pictures a second as soon as a frame is late, and stays there while it is asked for more; natively too. At
    // 75 Hz it keeps up with a video of 60.
    session.message(rig, &["output HEADLESS-1 mode --custom 1920x1080@75Hz"])?;
    // At its own size: nothing scales it.
    session.message(rig, &["for_window [title=\"bench-video\"] floating enable"])?;
    println!("\n| | native | Postern | ÷ |\n|---|---:|---:|---:|");
    for (height, rate, output) in VIDEOS {
        let path = rig.dir.join("bin").join(format!("bench-video-{height}-{rate}.mkv"));
        let path = path.to_string_lossy();
        let source = format!("size={}x{height}:rate={rate}:duration={SECONDS}", height * 16 / 9 / 2 * 2);
        make_video(&path, &["--ovc=libx264", "--ovcopts=preset=veryfast"], &source);
        let options = ["mpv", "--no-config", "--no-terminal", "--no-audio", "--hwdec=no"];
        let script = format!("--script={script}");
        let argv = [&options[..], output, &[&script, &path]].concat();
        let frames = rate * SECONDS;
        let output = output.first().map_or("", |option| option.trim_start_matches("--vo="));
        let label = format!("mpv, {height}p{rate} by {output}: dropped of {frames} frames");
        row(&session, rig, &label, "", |way| dropped(rig, &session, way, &argv))?;
    }
    session.message(rig, &["output HEADLESS-1 mode --custom 1920x1080@60Hz"])?;
    for (name, unit, label) in BENCHMARKS {
        row(&session, rig, label, "", |way| reached(rig, &session, way, name, unit))?;
    }
    Ok(())
}
