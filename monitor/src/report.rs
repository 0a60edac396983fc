//! Reports: what died and why. One JSON file each in `XDG_STATE_HOME/postern/reports`.

use crate::control::Denied;
use crate::manifest::replace;
use crate::paths;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// How many reports are kept; older ones are removed when a new one is saved.
const MAX_KEPT: usize = 200;
/// Longest report that is read, in bytes.
const MAX_BYTES: u64 = 4 << 20;

/// What died.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A process of the app, of a signal.
    #[default]
    Crash,
    /// The picoprocess family: its library OS found itself broken, or one of its processes was killed from outside.
    Family,
    /// The security monitor.
    Monitor,
    /// The compositor bridge.
    Bridge,
}

/// What died and why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// The file's name without its ending.
    pub id: String,
    /// What died.
    pub kind: Kind,
    /// The app's id.
    pub app: String,
    /// Its name as shown.
    pub name: String,
    /// The run of it.
    pub instance: String,
    /// Program and arguments it was started with.
    pub command: Vec<String>,
    /// When, in seconds since 1970.
    pub time: u64,
    /// One line: what died and why.
    pub summary: String,
    /// Name of the process or thread.
    pub process: Option<String>,
    /// The app's own number of it.
    pub pid: Option<u32>,
    /// Signal number.
    pub signal: Option<i32>,
    /// Signal with its meaning, such as `SIGSEGV: invalid memory access`.
    pub signal_text: Option<String>,
    /// The address whose access failed.
    pub fault_address: Option<u64>,
    /// Innermost frame first.
    pub backtrace: Vec<Frame>,
    /// Registers by name.
    pub registers: BTreeMap<String, u64>,
    /// The last requests that were refused for lack of a permission.
    pub denied: Vec<Denied>,
    /// System calls that were asked for and are not there.
    pub unsupported: BTreeMap<String, u64>,
    /// Further text: what the library OS or the bridge said.
    pub details: Option<String>,
}

/// A stack frame.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Frame {
    /// Address in the app's memory.
    pub address: u64,
    /// Function, where the file has symbols.
    pub function: Option<String>,
    /// Bytes from the function's start.
    pub function_offset: Option<u64>,
    /// The file that is mapped there.
    pub module: Option<PathBuf>,
    /// Offset in that file.
    pub module_offset: Option<u64>,
}

impl Report {
    /// A report of something that died just now.
    #[must_use]
    pub fn new(kind: Kind, app: &str, instance: &str) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            id: format!(
                "{}-{}-{:09}",
                if app.is_empty() { "program" } else { app },
                now.as_secs(),
                now.subsec_nanos()
            ),
            kind,
            app: app.to_owned(),
            instance: instance.to_owned(),
            time: now.as_secs(),
            ..Self::default()
        }
    }

    /// Sets the signal and its meaning.
    pub fn set_signal(&mut self, signal: i32) {
        self.signal = Some(signal);
        self.signal_text = Some(signal_text(signal));
    }

    /// Saves it and returns its path. The oldest reports beyond the two hundredth are removed.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn save(&self) -> io::Result<PathBuf> {
        let path = path_of(&self.id)?;
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        replace(&path, &text)?;
        if let Some(dir) = path.parent() {
            remove_oldest(dir);
        }
        Ok(path)
    }

    /// The report as text for a person.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::new();
        let _ = writeln!(out, "{}", self.summary);
        let _ = writeln!(
            out,
            "App: {} ({})",
            if self.name.is_empty() { &self.app } else { &self.name },
            self.instance
        );
        let _ = writeln!(out, "Command: {}", self.command.join(" "));
        let _ = writeln!(out, "Time: {} s since 1970", self.time);
        if let Some(process) = &self.process {
            let _ = writeln!(out, "Process: {process} ({})", self.pid.unwrap_or(0));
        }
        if let Some(signal) = &self.signal_text {
            let _ = writeln!(out, "Signal: {signal}");
        }
        if let Some(address) = self.fault_address {
            let _ = writeln!(out, "Fault address: {address:#x}");
        }
        for (i, frame) in self.backtrace.iter().enumerate() {
            let _ = write!(out, "#{i:<2} {:#018x}", frame.address);
            if let Some(function) = &frame.function {
                let _ = write!(out, " {function}+{:#x}", frame.function_offset.unwrap_or(0));
            }
            if let Some(module) = &frame.module {
                let _ = write!(out, " ({}+{:#x})", module.display(), frame.module_offset.unwrap_or(0));
            }
            out.push('\n');
        }
        for row in self.registers.iter().collect::<Vec<_>>().chunks(4) {
            for (name, value) in row {
                let _ = write!(out, "{name:>6} {value:016x} ");
            }
            out.push('\n');
        }
        if !self.denied.is_empty() {
            let _ = writeln!(out, "Last refused requests:");
            for denied in &self.denied {
                let _ = writeln!(
                    out,
                    "  {} (permission {}, {} times)",
                    denied.what, denied.permission, denied.count
                );
            }
        }
        for (name, count) in &self.unsupported {
            let _ = writeln!(out, "Asked for what is not there: {name} ({count} times)");
        }
        if let Some(details) = &self.details {
            let _ = writeln!(out, "{details}");
        }
        out
    }
}

fn path_of(id: &str) -> io::Result<PathBuf> {
    paths::check_id(id)?;
    Ok(paths::reports()?.join(format!("{id}.json")))
}

fn remove_oldest(dir: &Path) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    let mut files: Vec<(SystemTime, PathBuf)> = entries
        .flatten()
        .filter(|entry| entry.path().extension().is_some_and(|e| e == "json"))
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    files.sort();
    let surplus = files.len().saturating_sub(MAX_KEPT);
    for (_, path) in files.into_iter().take(surplus) {
        let _ = fs::remove_file(path);
    }
}

fn read(path: &Path) -> io::Result<Report> {
    let mut text = Vec::new();
    io::Read::read_to_end(&mut io::Read::take(fs::File::open(path)?, MAX_BYTES), &mut text)?;
    let mut report: Report = serde_json::from_slice(&text)?;
    // The file's name decides: it is what a report is loaded and deleted by.
    report.id = path.file_stem().and_then(|s| s.to_str()).unwrap_or_default().to_owned();
    Ok(report)
}

/// All reports, the newest first. Files that are no reports are left out.
#[must_use]
pub fn list() -> Vec<Report> {
    let Ok(dir) = paths::reports() else { return Vec::new() };
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let mut reports: Vec<Report> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "json"))
        .filter(|path| path.file_name().and_then(|n| n.to_str()).is_some_and(|n| !n.starts_with('.')))
        .filter_map(|path| read(&path).ok())
        .collect();
    reports.sort_by(|a, b| b.time.cmp(&a.time).then_with(|| b.id.cmp(&a.id)));
    reports
}

/// Loads one report.
///
/// # Errors
/// If there is none with this id, or it cannot be read.
pub fn load(id: &str) -> io::Result<Report> {
    read(&path_of(id)?)
}

/// Deletes one report.
///
/// # Errors
/// If there is none with this id, or it cannot be deleted.
pub fn delete(id: &str) -> io::Result<()> {
    fs::remove_file(path_of(id)?)
}

/// A signal's name and meaning.
#[must_use]
pub fn signal_text(signal: i32) -> String {
    let meaning = match signal {
        libc::SIGHUP => "SIGHUP: the terminal was closed",
        libc::SIGINT => "SIGINT: interrupted",
        libc::SIGQUIT => "SIGQUIT: quit",
        libc::SIGILL => "SIGILL: illegal instruction",
        libc::SIGTRAP => "SIGTRAP: breakpoint",
        libc::SIGABRT => "SIGABRT: the program gave up",
        libc::SIGBUS => "SIGBUS: access beyond the end of a mapped file",
        libc::SIGFPE => "SIGFPE: arithmetic error",
        libc::SIGKILL => "SIGKILL: killed",
        libc::SIGSEGV => "SIGSEGV: invalid memory access",
        libc::SIGPIPE => "SIGPIPE: wrote to a pipe that nobody reads",
        libc::SIGTERM => "SIGTERM: asked to end",
        libc::SIGSYS => "SIGSYS: bad system call",
        libc::SIGXCPU => "SIGXCPU: processor time used up",
        libc::SIGXFSZ => "SIGXFSZ: file too large",
        other => return format!("signal {other}"),
    };
    meaning.to_owned()
}
