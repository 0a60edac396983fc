//! Lists of files that cross. Names are checked by the monitor, which knows what the app sees and what the user has:
//!
//! - Files that are dropped on the app become grants before the app hears of the drop.
//! - Of files that the app hands out, only those go out that it can see itself, under their names on the host: else an
//!   app could have another one, or a file manager, do what it must not.

use super::transfer::{self, PATIENCE};
use super::{DataState, say};
use crate::bridge::Bridge;
use crate::control::{FilesAnswer, Report};
use postern_channel::{Request, Selection};
use rustix::io::{Errno, read};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// Longest list of files, in bytes.
pub const LIST: u64 = 64 * 1024;
/// What most sources of drags call a list of files.
pub const URI_LIST: &str = "text/uri-list";
/// How long a drop waits until its files are granted. After that the app has it without them.
const GRANTING: Duration = Duration::from_secs(5);

/// Whether something of this MIME type names files, line by line.
pub fn is_list(mime: &str) -> bool {
    matches!(mime, URI_LIST | "x-special/gnome-copied-files" | "application/x-kde4-urilist")
}

fn is_file(line: &str) -> bool {
    line.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("file:"))
}

/// The lines of a list that name files.
fn uris(list: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(list);
    text.lines().map(str::trim).filter(|line| is_file(line)).map(str::to_owned).collect()
}

/// The list with its files replaced by others, one by one; those that have none are left out.
fn replaced(list: &[u8], by: &[Option<String>]) -> Vec<u8> {
    let text = String::from_utf8_lossy(list);
    let mut by = by.iter();
    let lines = text.split_inclusive('\n').filter_map(|line| {
        let name = line.trim();
        if !is_file(name) {
            return Some(line.to_owned());
        }
        let new = by.next()?.as_ref()?;
        let end = line.trim_start().get(name.len()..).unwrap_or_default();
        Some(format!("{new}{end}"))
    });
    lines.collect::<String>().into_bytes()
}

/// A drop whose list of files is being read, or that waits for the monitor to grant them.
pub struct Granting {
    pipe: Option<OwnedFd>,
    list: Vec<u8>,
    question: u32,
    since: Instant,
}

impl Granting {
    /// Reads the list from a pipe.
    pub fn new(pipe: OwnedFd) -> Self {
        Self { pipe: Some(pipe), list: Vec::new(), question: 0, since: Instant::now() }
    }

    pub fn readable(&self) -> Option<&OwnedFd> {
        self.pipe.as_ref()
    }

    /// Whether nothing more can be done about it.
    pub fn is_late(&self, now: Instant) -> bool {
        let limit = if self.pipe.is_some() { PATIENCE } else { GRANTING };
        now.saturating_duration_since(self.since) >= limit
    }

    pub fn waits_for(&self, question: u32) -> bool {
        self.pipe.is_none() && self.question == question
    }

    /// Reads on. The names, when that came to its end.
    pub fn step(&mut self, now: Instant) -> Option<Vec<String>> {
        let pipe = self.pipe.as_ref()?;
        let mut piece = [0; 4096];
        loop {
            let room = LIST.saturating_sub(u64::try_from(self.list.len()).unwrap_or(LIST));
            match read(pipe, &mut piece[..]) {
                Ok(len) if len > 0 && room > 0 => self.list.extend(piece.iter().take(len)),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return None,
                _ => break,
            }
        }
        self.pipe = None;
        self.since = now;
        Some(uris(&std::mem::take(&mut self.list)))
    }

    pub fn ask(&mut self, question: u32) {
        self.question = question;
    }
}

impl Bridge {
    /// Asks the monitor about lists that the app hands out and that are whole now.
    pub(super) fn ask_about_lists(&mut self) {
        let mut question = self.selections.question();
        let has_monitor = self.control.fd().is_some();
        let mut unanswered = Vec::new();
        for provision in &mut self.selections.provisions {
            let Some(list) = provision.ask(question) else { continue };
            let names = uris(list);
            if names.is_empty() || !has_monitor {
                unanswered.push(question);
            } else {
                self.control.report(&Report::Files { question, dropped: false, uris: names });
            }
            question = question.checked_add(1).unwrap_or(1);
        }
        self.selections.last_question = question;
        for question in unanswered {
            self.files_answered(&FilesAnswer { question, uris: Vec::new() });
        }
    }

    /// The monitor's answer.
    pub(super) fn files_answered(&mut self, answer: &FilesAnswer) {
        let provisions = &mut self.selections.provisions;
        let change = |list: &[u8]| replaced(list, &answer.uris);
        let is_for_one = provisions.iter_mut().any(|p| p.answered(answer.question, change));
        if !is_for_one && self.selections.drags.waits_for(answer.question) {
            self.drop_now();
        }
    }

    /// Reads the list of what is dropped, and has its files granted; then the app hears of the drop.
    pub(super) fn pump_drop(&mut self, now: Instant) {
        let Some(granting) = self.selections.drags.granting.as_mut() else { return };
        let is_late = granting.is_late(now);
        let Some(uris) = granting.step(now) else {
            if is_late {
                self.control
                    .report(&Report::Refused { what: "a drop: its list of files does not come".into() });
                self.drop_now();
            }
            return;
        };
        if uris.is_empty() {
            return self.drop_now();
        }
        let question = self.selections.question();
        if let Some(granting) = &mut self.selections.drags.granting {
            granting.ask(question);
        }
        self.control.report(&Report::Files { question, dropped: true, uris });
    }

    /// A request that cannot be served.
    pub(super) fn refuse(&mut self, transfer: u32) {
        say(&mut self.app, transfer, DataState::FAILED, &[]);
    }

    /// Begins to read what was dropped; the app gets it as it comes. `None`: it was refused.
    pub(super) fn read_drop(&mut self, transfer: u32) -> Option<OwnedFd> {
        let pipes = transfer::pipe().ok();
        self.begin_paste(Request { transfer, selection: Selection::DRAG }, pipes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_keep_what_is_no_file() {
        let list = b"# comment\r\nfile:///a%20b\r\nhttp://example.org/\r\nfile:///c\r\n";
        assert_eq!(uris(list), ["file:///a%20b", "file:///c"]);
        let out = replaced(list, &[Some("file:///real".into()), None]);
        assert_eq!(out, b"# comment\r\nfile:///real\r\nhttp://example.org/\r\n");
        assert_eq!(
            replaced(b"copy\nfile:///a\nfile:///b", &[None, Some("FILE:///x".into())]),
            b"copy\nFILE:///x"
        );
        assert_eq!(replaced(list, &[]), b"# comment\r\nhttp://example.org/\r\n", "no answer, no files");
    }
}
