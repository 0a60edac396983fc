//! Apps: from the start to the painted window, and their memory.

use crate::screen::Screen;
use crate::ways::{Way, median};
use postern_tests::processes::{pss_of, tree};
use postern_tests::session::wait_for;
use postern_tests::{Rig, Running, Session};
use std::io;
use std::time::{Duration, Instant};

/// Rounds of which the median is taken.
const ROUNDS: usize = 5;
/// A screen of more colours has a window that has painted.
const COLOURS: usize = 12;

/// What an app needs to be measured: its name, command and a part of its window's title.
const APPS: &[(&str, &[&str], &str)] = &[
    ("foot", &["foot", "--title", "bench-foot", "sh", "-c", "seq 30; exec sleep 900"], "bench-foot"),
    ("gnome-calculator", &["gnome-calculator"], "Calculator"),
    ("gtk3-demo", &["gtk3-demo"], "Application Class"),
    ("mousepad", &["mousepad"], "Mousepad"),
    ("gtk4-demo", &["gtk4-demo"], "GTK Demo"),
    ("featherpad", &["featherpad"], "Untitled"),
    ("libreoffice", &["libreoffice", "--norestore", "--nologo", "--writer"], "Writer"),
    ("firefox-esr", &["firefox-esr", "--new-instance", "about:license"], "Mozilla Firefox"),
];

fn is_installed(program: &str) -> bool {
    ["/usr/bin", "/usr/games"].iter().any(|dir| std::path::Path::new(dir).join(program).exists())
}

/// Seconds to the painted window, and KiB of proportional memory a moment later.
fn app_once(rig: &Rig, session: &Session, way: Way, argv: &[&str], title: &str) -> io::Result<(f64, f64)> {
    let mut screen = Screen::connect(&session.socket())?;
    let start = Instant::now();
    let mut measure = |root: u32| -> io::Result<(f64, f64)> {
        screen.wait_colours(COLOURS)?;
        let seconds = start.elapsed().as_secs_f64();
        // Memory once it rests.
        std::thread::sleep(Duration::from_secs(3));
        let kib = pss_of(&tree(root));
        Ok((seconds, f64::from(u32::try_from(kib).unwrap_or(u32::MAX))))
    };
    let result = if way == Way::Postern {
        let app = Running::start_in(rig, session, &[], argv)?;
        measure(app.launcher.id())
    } else {
        let mut child = session.launch(rig, argv)?;
        let result = measure(child.id());
        for pid in tree(child.id()).into_iter().rev() {
            let pid = nix::unistd::Pid::from_raw(i32::try_from(pid).unwrap_or(0));
            let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
        }
        child.wait()?;
        result
    };
    wait_for("the window to go", || {
        Ok((!session.windows(rig)?.iter().any(|w| w.title.contains(title))).then_some(()))
    })?;
    result
}

/// Prints the table, of all apps or of one.
pub fn table(rig: &Rig, only: Option<&str>) -> io::Result<()> {
    let session = Session::start(rig)?;
    println!(
        "\n| app | painted window, native | Postern | ÷ | memory (PSS), native | Postern | more |\n|---|---:|---:|---:|---:|---:|---:|"
    );
    for (name, argv, title) in
        APPS.iter().filter(|app| is_installed(app.0) && only.is_none_or(|o| o == app.0))
    {
        let (mut native, mut postern) = (Vec::new(), Vec::new());
        // The first round warms the page cache and the apps' own caches, and is not counted.
        for round in 0..=ROUNDS {
            for (way, list) in [(Way::Native, &mut native), (Way::Postern, &mut postern)] {
                match app_once(rig, &session, way, argv, title) {
                    Ok(result) if round > 0 => list.push(result),
                    Ok(_) => {}
                    Err(error) => eprintln!("{name}: {error}"),
                }
            }
        }
        let part = |list: &[(f64, f64)], f: fn(&(f64, f64)) -> f64| median(list.iter().map(f).collect());
        let (n, p) = (part(&native, |r| r.0), part(&postern, |r| r.0));
        let (nm, pm) = (part(&native, |r| r.1) / 1024.0, part(&postern, |r| r.1) / 1024.0);
        println!(
            "| {name} | {n:.2} s | {p:.2} s | {:.2} | {nm:.1} MiB | {pm:.1} MiB | {:+.1} MiB |",
            p / n,
            pm - nm
        );
    }
    Ok(())
}
