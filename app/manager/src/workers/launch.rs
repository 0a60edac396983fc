//! Starting apps, through `postern run`. An app is a process of its own from the start: it goes on when the manager is closed.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::super::command::{Event, OwnPaths};
use super::{Events, spawn};

/// An end within this time counts as a failed start.
const EARLY: Duration = Duration::from_secs(5);

/// How much of the output's end is looked at for the reason of a failure, in bytes.
const TAIL_BYTES: u64 = 4096;

/// How many of its lines are shown.
const TAIL_LINES: usize = 6;

/// The exit status of an app that ended because it was asked to (SIGTERM).
const ASKED_TO_END: i32 = 128 + 15;

/// Starts an app and tells when it has ended.
pub(super) fn launch(app: &str, paths: &OwnPaths, out: &Events) {
    if let Err(error) = try_launch(app, paths, out) {
        out.send(Event::LaunchEnded { app: app.to_owned(), error: Some(error.to_string()), early: true });
    }
}

fn try_launch(app: &str, paths: &OwnPaths, out: &Events) -> std::io::Result<()> {
    fs::create_dir_all(&paths.logs)?;
    let log_path = paths.logs.join(format!("{}.log", app.replace('/', "_")));
    let log = File::options().write(true).create(true).truncate(true).mode(0o600).open(&log_path)?;
    let mut child = Command::new(&paths.program)
        .args(["run", app])
        .stdin(Stdio::null())
        // To a file and not a pipe: the app may write after the manager is gone.
        .stdout(log.try_clone()?)
        .stderr(log)
        // A group of its own: Ctrl-C in the terminal that the manager was started from does not reach the app.
        .process_group(0)
        .spawn()?;
    let (app, out, started) = (app.to_owned(), out.clone(), Instant::now());
    spawn("reaper", move || {
        let status = child.wait();
        let early = started.elapsed() < EARLY;
        let error = match status {
            Ok(status) if status.success() || status.code() == Some(ASKED_TO_END) => None,
            Ok(status) => Some(reason(status, &log_path)),
            Err(error) => Some(error.to_string()),
        };
        out.send(Event::LaunchEnded { app, error, early });
    })
}

/// What to tell the user: the end of the output, or else the status.
fn reason(status: ExitStatus, log: &PathBuf) -> String {
    match tail(log) {
        Ok(text) if !text.is_empty() => text,
        _ => match status.code() {
            Some(code) => format!("It ended with exit status {code} and said nothing"),
            None => format!("It ended: {status}"),
        },
    }
}

fn tail(log: &PathBuf) -> std::io::Result<String> {
    let mut file = File::open(log)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    // Our own messages begin with our name, which the window shows already.
    let plain = |line: &'_ str| line.strip_prefix("postern: ").unwrap_or(line).trim_end().to_owned();
    let lines: Vec<String> = text.lines().map(plain).filter(|line| !line.is_empty()).collect();
    Ok(lines.get(lines.len().saturating_sub(TAIL_LINES)..).unwrap_or_default().join("\n"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    #[test]
    fn the_reason_is_the_end_of_the_output() {
        let path = std::env::temp_dir().join(format!("postern-launch-{}.log", std::process::id()));
        let many: String = (0..2000).map(|at| format!("line {at}\n")).collect();
        fs::write(&path, format!("{many}\npostern: what went wrong\n\n")).expect("written");
        let text = reason(ExitStatus::from_raw(1 << 8), &path);
        assert!(text.starts_with("line 1995\n") && text.ends_with("\nwhat went wrong"), "{text}");
        fs::write(&path, "").expect("written");
        assert!(reason(ExitStatus::from_raw(3 << 8), &path).contains("exit status 3"));
        let _ = fs::remove_file(path);
    }
}
