//! The monitor's end: settings in, reports out, as JSON lines.

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use serde::{Deserialize, Serialize};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// How often counts are reported at most.
const INTERVAL: Duration = Duration::from_secs(1);
/// Longest line that is understood.
const LINE: usize = 512 * 1024;
/// Most bytes that wait for a monitor that does not read. Further reports are dropped: counts are said again later.
const BACKLOG: usize = 64 * 1024;

/// What the monitor can change while the app runs. What a line does not mention stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// See [`BridgeConfig::clipboard_read`](crate::BridgeConfig::clipboard_read).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clipboard_read: Option<bool>,
    /// See [`BridgeConfig::clipboard_write`](crate::BridgeConfig::clipboard_write).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clipboard_write: Option<bool>,
    /// The answer to a [`Report::Files`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<FilesAnswer>,
}

/// What the monitor says to a [`Report::Files`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilesAnswer {
    /// The question's number.
    pub question: u32,
    /// Of files that are to go out: each one's address on the host, none for those that the app cannot see.
    #[serde(default)]
    pub uris: Vec<Option<String>>,
}

/// A window as the session shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// The app's number of the surface.
    pub surface: u32,
    /// Title, prefix included.
    pub title: String,
    /// Width of the window geometry, in surface units.
    pub width: i32,
    /// Height of the window geometry, in surface units.
    pub height: i32,
}

/// What the bridge tells the monitor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "report", rename_all = "snake_case")]
pub enum Report {
    /// Connected, and privileges are given up.
    Ready {
        /// Whether the kernel has Landlock; seccomp is always there.
        landlock: bool,
    },
    /// At most once a second, when something changed.
    Shown {
        /// Frames given to the compositor since the start.
        frames: u64,
        /// Frames of these whose pixels the display server had to copy.
        copied: u64,
        /// The mapped windows.
        windows: Vec<Window>,
    },
    /// The app asked for something that its permissions do not give.
    Denied {
        /// The permission.
        permission: String,
        /// What was asked.
        what: String,
    },
    /// Files cross. Answered by [`Settings::files`].
    Files {
        /// Number of the question.
        question: u32,
        /// Whether the user dropped them on the app, which is to have them from now on; else the app hands them out, and
        /// may only do so with what it can see.
        dropped: bool,
        /// Their addresses (`file:`), as the source wrote them.
        uris: Vec<String>,
    },
    /// Something was refused for another reason, for example its size.
    Refused {
        /// What and why.
        what: String,
    },
    /// The bridge ends because of this.
    Failed {
        /// The error's text.
        error: String,
        /// Whether a new bridge may show the windows again.
        retry: bool,
    },
}

/// What is shown, as far as reports count it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    pub frames: u64,
    pub copied: u64,
    pub windows: Vec<Window>,
}

/// The monitor's end of the control socket.
pub struct Control {
    socket: Option<OwnedFd>,
    input: Vec<u8>,
    output: Vec<u8>,
    last: Shown,
    last_at: Option<Instant>,
}

impl Control {
    pub fn new(socket: Option<OwnedFd>) -> Self {
        Self { socket, input: Vec::new(), output: Vec::new(), last: Shown::default(), last_at: None }
    }

    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.socket.as_ref().map(AsFd::as_fd)
    }

    pub fn is_waiting(&self) -> bool {
        !self.output.is_empty()
    }

    /// Queues a report.
    pub fn report(&mut self, report: &Report) {
        if self.socket.is_none() || self.output.len() > BACKLOG {
            return;
        }
        if let Ok(line) = serde_json::to_vec(report) {
            self.output.extend(line);
            self.output.push(b'\n');
        }
    }

    /// Reports what is shown, if it changed and the last time was long enough ago. Otherwise says when to ask again.
    pub fn report_shown(&mut self, now: Instant, shown: impl FnOnce() -> Shown) -> Option<Duration> {
        self.socket.as_ref()?;
        if let Some(last) = self.last_at {
            let age = now.saturating_duration_since(last);
            if age < INTERVAL {
                return Some(INTERVAL.saturating_sub(age));
            }
        }
        let shown = shown();
        if shown != self.last {
            let Shown { frames, copied, windows } = shown.clone();
            self.report(&Report::Shown { frames, copied, windows });
            self.last = shown;
            self.last_at = Some(now);
        }
        None
    }

    /// Sends what waits, as far as it goes.
    pub fn flush(&mut self) {
        let Some(socket) = &self.socket else { return };
        while !self.output.is_empty() {
            match send(socket, &self.output, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(sent) => drop(self.output.drain(..sent.min(self.output.len()))),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(_) => {
                    self.close();
                    return;
                }
            }
        }
    }

    /// Takes what came and calls `change` for every line. A monitor that is gone leaves its last settings.
    pub fn receive(&mut self, mut change: impl FnMut(Result<Settings, String>)) {
        let Some(socket) = &self.socket else { return };
        let mut buffer = [0_u8; 4096];
        match recv(socket, &mut buffer[..], RecvFlags::DONTWAIT) {
            Ok((0, _)) => self.close(),
            Ok((len, _)) => self.input.extend(buffer.iter().take(len)),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_) => self.close(),
        }
        while let Some(end) = self.input.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = self.input.drain(..=end).collect();
            change(
                serde_json::from_slice(&line)
                    .map_err(|error| format!("a setting is not understood: {error}")),
            );
        }
        if self.input.len() > LINE {
            self.input.clear();
            change(Err("a setting is too long".into()));
        }
    }

    fn close(&mut self) {
        self.socket = None;
        self.output.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader, Write};
    use std::os::unix::net::UnixStream;

    #[test]
    fn lines_become_settings_even_in_pieces() {
        let (mut monitor, bridge) = UnixStream::pair().unwrap();
        let mut control = Control::new(Some(bridge.into()));
        let mut got = Vec::new();
        monitor.write_all(b"{\"clipboard_read\":true}\n{\"clip").unwrap();
        control.receive(|settings| got.push(settings));
        assert_eq!(got, [Ok(Settings { clipboard_read: Some(true), ..Settings::default() })]);
        got.clear();
        monitor.write_all(b"board_write\":false}\n{\"color\":1}\n").unwrap();
        control.receive(|settings| got.push(settings));
        assert_eq!(got[0], Ok(Settings { clipboard_write: Some(false), ..Settings::default() }));
        assert!(got[1].as_ref().unwrap_err().contains("color"), "unknown fields are named");
    }

    #[test]
    fn counts_are_reported_once_a_second_and_only_when_changed() {
        let (monitor, bridge) = UnixStream::pair().unwrap();
        let mut control = Control::new(Some(bridge.into()));
        let start = Instant::now();
        let shown = |frames| move || Shown { frames, ..Shown::default() };
        assert_eq!(control.report_shown(start, shown(0)), None, "nothing shown is nothing new");
        assert_eq!(control.report_shown(start, shown(3)), None);
        assert_eq!(
            control.report_shown(start + INTERVAL / 4, shown(4)),
            Some(INTERVAL - INTERVAL / 4),
            "too early"
        );
        assert_eq!(control.report_shown(start + INTERVAL, shown(4)), None);
        control.flush();
        drop(control);
        let lines: Vec<String> = BufReader::new(monitor).lines().map(Result::unwrap).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[1], r#"{"report":"shown","frames":4,"copied":0,"windows":[]}"#);
    }
}
