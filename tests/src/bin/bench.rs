//! `make bench`: what things cost natively, under bubblewrap and under Postern, measured in one run. Prints Markdown.
#![forbid(unsafe_code)]

use postern_tests::processes::{pss_of, tree};
use postern_tests::session::wait_for;
use postern_tests::{Rig, Running, Session};
use std::collections::BTreeMap;
use std::io;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Rounds of which the median is taken.
const ROUNDS: usize = 5;
/// Rounds of starting a program.
const STARTS: usize = 21;
/// Colours of a window that has painted.
const COLOURS: usize = 12;

/// What an app needs to be measured: its name, command and a part of its window's title.
const APPS: &[(&str, &[&str], &str)] = &[
    ("foot", &["foot", "--title", "bench-foot", "sh", "-c", "seq 30; exec sleep 900"], "bench-foot"),
    ("gnome-calculator", &["gnome-calculator"], "Calculator"),
    ("gtk3-demo", &["gtk3-demo"], "Application Class"),
    ("mousepad", &["mousepad"], "Mousepad"),
];

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// How a program is run.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Native,
    Bwrap,
    Postern,
}

const WAYS: [Way; 3] = [Way::Native, Way::Bwrap, Way::Postern];

fn prefix(rig: &Rig, way: Way, display: bool) -> Vec<String> {
    let words: Vec<String> = match way {
        Way::Native => vec![],
        Way::Bwrap => {
            "bwrap --ro-bind / / --dev /dev --proc /proc --tmpfs /tmp --unshare-all --die-with-parent --ro-bind"
                .split(' ')
                .map(str::to_owned)
                .chain([rig.dir.join("bin"), rig.dir.join("bin")].map(|p| p.to_string_lossy().into_owned()))
                .collect()
        }
        Way::Postern => {
            let grant = format!("{}:ro", rig.dir.join("bin").display());
            let postern = rig.postern.to_string_lossy().into_owned();
            let mut words = vec![postern, "run".to_owned(), "--grant".to_owned(), grant];
            if !display {
                words.push("--no-display".to_owned());
            }
            words.push("--".to_owned());
            words
        }
    };
    words
}

fn run(rig: &Rig, way: Way, argv: &[&str]) -> io::Result<(f64, String)> {
    let mut words = prefix(rig, way, false);
    words.extend(argv.iter().map(|w| (*w).to_owned()));
    let (program, args) = words.split_first().ok_or_else(|| io::Error::other("no command"))?;
    let start = Instant::now();
    let out = rig.command(program).args(args).output()?;
    let took = start.elapsed().as_secs_f64();
    if !out.status.success() {
        return Err(io::Error::other(format!("{words:?}: {}", String::from_utf8_lossy(&out.stderr))));
    }
    Ok((took, String::from_utf8_lossy(&out.stdout).into_owned()))
}

/// A number with three digits that count, and its unit.
fn time(nanoseconds: f64) -> String {
    let (value, unit) = match nanoseconds {
        n if n < 1e3 => (n, "ns"),
        n if n < 1e6 => (n / 1e3, "µs"),
        n if n < 1e9 => (n / 1e6, "ms"),
        n => (n / 1e9, "s"),
    };
    let digits = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
    format!("{value:.digits$} {unit}")
}

fn small_costs(rig: &Rig) -> io::Result<()> {
    let micro = rig.compile("micro", &[])?;
    let rows = [
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
    println!("| | native | bwrap | Postern | Postern ÷ native |\n|---|---:|---:|---:|---:|");
    for (name, label) in rows {
        // The ways take turns, so that a slow moment of the machine does not hit one of them alone.
        let mut values: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
        let mut problem = None;
        for _ in 0..ROUNDS {
            for (index, way) in WAYS.into_iter().enumerate() {
                match run(rig, way, &[&micro, name]) {
                    Ok((_, text)) => {
                        let number = text.split_whitespace().nth(1).and_then(|n| n.parse().ok());
                        values.entry(index).or_default().extend(number.filter(|n: &f64| n.is_finite()));
                    }
                    Err(error) if way == Way::Postern => problem = Some(error.to_string()),
                    Err(_) => {}
                }
            }
        }
        print_row(label, &values);
        if let Some(problem) = problem {
            eprintln!("{name}: {problem}");
        }
    }
    for (argv, label) in [
        (["/bin/busybox", "true"], "start + exit of a static program (busybox true)"),
        (["/bin/echo", "x"], "start + exit of a dynamic program (echo)"),
    ] {
        let mut values: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
        for _ in 0..STARTS {
            for (index, way) in WAYS.into_iter().enumerate() {
                if let Ok((seconds, _)) = run(rig, way, &argv) {
                    values.entry(index).or_default().push(seconds * 1e9);
                }
            }
        }
        print_row(label, &values);
    }
    Ok(())
}

fn print_row(label: &str, values: &BTreeMap<usize, Vec<f64>>) {
    let middle = |index: usize| values.get(&index).cloned().map(median);
    let cell = |index| middle(index).map_or_else(|| "–".to_owned(), time);
    let ratio = middle(0).zip(middle(2)).map_or_else(|| "–".to_owned(), |(n, p)| format!("{:.2}", p / n));
    println!("| {label} | {} | {} | {} | {ratio} |", cell(0), cell(1), cell(2));
}

/// Seconds to the painted window, and KiB of proportional memory a moment later.
fn app_once(rig: &Rig, session: &Session, way: Way, argv: &[&str], title: &str) -> io::Result<(f64, f64)> {
    let start = Instant::now();
    let measure = |root: u32| -> io::Result<(f64, f64)> {
        session.wait_painted(rig, title, COLOURS)?;
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

fn apps(rig: &Rig) -> io::Result<()> {
    let session = Session::start(rig)?;
    println!(
        "\n| app | painted window, native | Postern | ÷ | memory (PSS), native | Postern | more |\n|---|---:|---:|---:|---:|---:|---:|"
    );
    for (name, argv, title) in APPS {
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

fn main() -> ExitCode {
    let only = std::env::args().nth(1);
    let result = Rig::new().and_then(|rig| {
        if only.as_deref() != Some("apps") {
            small_costs(&rig)?;
        }
        if only.as_deref() != Some("small") {
            apps(&rig)?;
        }
        Ok(())
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
