//! The ways a program is run, and the rows of the tables.

use postern_tests::Rig;
use std::collections::BTreeMap;
use std::io;
use std::time::Instant;

/// The middle one of some measurements.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// How a program is run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Native,
    Bwrap,
    Postern,
}

/// All of them, in the order of the columns.
pub const WAYS: [Way; 3] = [Way::Native, Way::Bwrap, Way::Postern];

/// The words before a command.
pub fn prefix(rig: &Rig, way: Way) -> Vec<String> {
    let words: Vec<String> = match way {
        Way::Native => vec![],
        Way::Bwrap => {
            let (bin, home) = (rig.dir.join("bin"), rig.home());
            format!(
                "bwrap --ro-bind / / --dev /dev --proc /proc --tmpfs /tmp --unshare-all --die-with-parent \
                 --ro-bind {0} {0} --bind {1} {1}",
                bin.display(),
                home.display()
            )
            .split_whitespace()
            .map(str::to_owned)
            .collect()
        }
        Way::Postern => {
            let grant = format!("{}:ro", rig.dir.join("bin").display());
            let postern = rig.postern.to_string_lossy().into_owned();
            vec![postern, "run".to_owned(), "--grant".to_owned(), grant, "--".to_owned()]
        }
    };
    words
}

/// Runs a command once. Returns the seconds it took and what it printed.
pub fn run(rig: &Rig, way: Way, argv: &[&str]) -> io::Result<(f64, String)> {
    let mut words = prefix(rig, way);
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

/// A number of nanoseconds with three digits that count, and its unit.
pub fn time(nanoseconds: f64) -> String {
    let (value, unit) = match nanoseconds {
        n if n < 1e3 => (n, "ns"),
        n if n < 1e6 => (n / 1e3, "µs"),
        n if n < 1e9 => (n / 1e6, "ms"),
        n => (n / 1e9, "s"),
    };
    let digits = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
    format!("{value:.digits$} {unit}")
}

/// Measurements by way, in the order of [`WAYS`].
pub type Measured = BTreeMap<usize, Vec<f64>>;

/// Prints a row: `show` writes a value with its unit.
pub fn print_row(label: &str, values: &Measured, show: impl Fn(f64) -> String) {
    let middle = |index: usize| values.get(&index).cloned().map(median);
    let cell = |index| middle(index).map_or_else(|| "–".to_owned(), &show);
    let ratio = middle(0).zip(middle(2)).map_or_else(|| "–".to_owned(), |(n, p)| format!("{:.2}", p / n));
    println!("| {label} | {} | {} | {} | {ratio} |", cell(0), cell(1), cell(2));
}
