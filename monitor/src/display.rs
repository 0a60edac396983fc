//! The compositor bridge as its monitor sees it: started when the family first uses the display channel, so that a
//! program without windows costs none; started again when it dies, with a new channel that the family is told of.
//!
//! A bridge is `postern bridge` with the display channel as standard input. Its standard output is a stream socket to
//! the monitor, with JSON lines both ways: [`Said`] from the bridge, settings to it. Its standard error ends up in the
//! report if it dies.

use crate::account::clean;
use crate::config::Display;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, socketpair};
use postern_abi::boot::permission;
use serde::Deserialize;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A bridge that dies sooner than this after its start is not started again at once.
const SOON: Duration = Duration::from_secs(10);
/// How long to wait then.
const PAUSE: Duration = Duration::from_secs(1);
/// How often a bridge that dies soon is started again: long enough for a compositor to come back.
const MAX_TRIES: u32 = 120;
/// How much of its last words goes into the report, in bytes.
const LAST_WORDS: u64 = 2048;
/// Longest line of a bridge, in bytes.
const MAX_LINE: usize = 256 * 1024;

/// What a bridge says. What is not listed is ignored.
#[derive(Debug, Deserialize)]
#[serde(tag = "report", rename_all = "snake_case")]
enum Said {
    /// Frames given to the compositor since its start.
    Shown { frames: u64 },
    /// The app asked for something that its permissions do not give.
    Denied { permission: String, what: String },
    /// It ends because of this; whether another one may do better.
    Failed { error: String, retry: bool },
    #[serde(other)]
    Other,
}

/// The bridge of an app.
pub struct Bridge {
    how: Display,
    state: State,
    /// [`permission`] bits.
    permissions: u32,
    /// Frames of bridges that are gone, and of this one.
    frames: [u64; 2],
    tries: u32,
}

enum State {
    /// Nobody used the channel yet.
    Idle(OwnedFd),
    Running(Running),
    /// To be started again then.
    Waiting(Instant),
    Gone,
}

struct Running {
    child: Child,
    status: UnixStream,
    errors: File,
    input: Vec<u8>,
    since: Instant,
    failed: Option<(String, bool)>,
}

/// What came of tending a bridge.
#[derive(Default)]
pub struct Outcome {
    /// It ended against its will: how, and the signal that ended it.
    pub died: Option<(String, Option<i32>)>,
    /// The family's end of the channel to a new bridge.
    pub new_channel: Option<OwnedFd>,
    /// Requests that it refused: permission, and what was asked.
    pub denied: Vec<(String, String)>,
}

impl Bridge {
    /// A bridge that will serve `channel`, with these [`permission`] bits.
    #[must_use]
    pub fn new(how: Display, channel: OwnedFd, permissions: u32) -> Self {
        Self { how, state: State::Idle(channel), permissions, frames: [0; 2], tries: 0 }
    }

    /// What to wait for before [`Bridge::tend`] has something to do.
    #[must_use]
    pub fn poll_fd(&self) -> Option<BorrowedFd<'_>> {
        match &self.state {
            State::Idle(channel) => Some(channel.as_fd()),
            State::Running(running) => Some(running.status.as_fd()),
            State::Waiting(_) | State::Gone => None,
        }
    }

    /// When [`Bridge::tend`] has something to do even so.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Waiting(until) => Some(until),
            _ => None,
        }
    }

    /// Its process id, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        match &self.state {
            State::Running(running) => Some(running.child.id()),
            _ => None,
        }
    }

    /// Frames shown since the app started.
    #[must_use]
    pub fn frames(&self) -> u64 {
        let [past, now] = self.frames;
        past.saturating_add(now)
    }

    /// Tells it the [`permission`] bits that hold from now on.
    pub fn permit(&mut self, bits: u32) {
        self.permissions = bits;
        if let State::Running(running) = &mut self.state {
            let (read, write) =
                (bits & permission::CLIPBOARD_READ != 0, bits & permission::CLIPBOARD_WRITE != 0);
            let line = format!("{{\"clipboard_read\":{read},\"clipboard_write\":{write}}}\n");
            let _ = running.status.write_all(line.as_bytes());
        }
    }

    /// Starts it, hears it, or notices its end.
    pub fn tend(&mut self) -> Outcome {
        let mut outcome = Outcome::default();
        match std::mem::replace(&mut self.state, State::Gone) {
            State::Idle(channel) => {
                // Readable without a message: the family is gone.
                if recv(channel.as_raw_fd(), &mut [0], MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT) != Ok(0) {
                    self.launch(channel, &mut outcome);
                }
            }
            State::Running(running) => self.hear(running, &mut outcome),
            State::Waiting(until) if until <= Instant::now() => self.launch_again(&mut outcome),
            other => self.state = other,
        }
        outcome
    }

    fn launch(&mut self, channel: OwnedFd, outcome: &mut Outcome) {
        match self.spawn(channel) {
            Ok(running) => self.state = State::Running(running),
            Err(error) => outcome.died = Some((format!("it could not be started: {error}"), None)),
        }
    }

    fn spawn(&self, channel: OwnedFd) -> io::Result<Running> {
        let (status, theirs) = UnixStream::pair()?;
        status.set_nonblocking(true)?;
        let errors = File::from(memfd_create(c"postern-bridge-errors", MFdFlags::MFD_CLOEXEC)?);
        // This very program, even if its file was replaced by an update.
        let mut command = Command::new("/proc/self/exe");
        command.arg("bridge");
        for (option, value) in [
            ("--app-id", &self.how.app_id),
            ("--title-prefix", &self.how.title_prefix),
            ("--border", &self.how.border),
        ] {
            if let Some(value) = value {
                command.arg(format!("{option}={value}"));
            }
        }
        for (option, bit) in [
            ("--clipboard-read", permission::CLIPBOARD_READ),
            ("--clipboard-write", permission::CLIPBOARD_WRITE),
        ] {
            if self.permissions & bit != 0 {
                command.arg(option);
            }
        }
        let child = command
            .stdin(channel)
            .stdout(OwnedFd::from(theirs))
            .stderr(Stdio::from(errors.try_clone()?))
            .spawn()?;
        Ok(Running { child, status, errors, input: Vec::new(), since: Instant::now(), failed: None })
    }

    fn hear(&mut self, mut running: Running, outcome: &mut Outcome) {
        let mut buffer = [0; 4096];
        match running.status.read(&mut buffer) {
            Ok(0) => return self.ended(running, outcome),
            Ok(len) => running.input.extend_from_slice(buffer.get(..len).unwrap_or(&[])),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return self.ended(running, outcome),
        }
        self.read_lines(&mut running, outcome);
        self.state = State::Running(running);
    }

    fn read_lines(&mut self, running: &mut Running, outcome: &mut Outcome) {
        while let Some(end) = running.input.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = running.input.drain(..=end).collect();
            match serde_json::from_slice(&line) {
                Ok(Said::Shown { frames }) => self.frames[1] = frames,
                Ok(Said::Denied { permission, what }) => {
                    outcome.denied.push((clean(permission.as_bytes()), clean(what.as_bytes())));
                }
                Ok(Said::Failed { error, retry }) => running.failed = Some((error, retry)),
                Ok(Said::Other) | Err(_) => {}
            }
        }
        if running.input.len() > MAX_LINE {
            running.input.clear();
        }
    }

    fn ended(&mut self, mut running: Running, outcome: &mut Outcome) {
        let status = running.child.wait().ok();
        self.frames = [self.frames(), 0];
        if status.is_some_and(|status| status.success()) {
            return;
        }
        let signal = status.and_then(|status| status.signal());
        let how = match (&running.failed, signal, status.and_then(|status| status.code())) {
            (Some((error, _)), ..) => error.clone(),
            (None, Some(signal), _) => {
                format!("the bridge was ended by {}", crate::report::signal_text(signal))
            }
            (None, None, Some(code)) => format!("the bridge ended with status {code}"),
            (None, None, None) => "the bridge is gone".to_owned(),
        };
        let words = last_words(&mut running.errors);
        let how = if words.is_empty() || running.failed.is_some() { how } else { format!("{how}: {words}") };
        // While a compositor is away every attempt fails; one report is enough.
        if self.tries == 0 || running.since.elapsed() >= SOON {
            outcome.died = Some((how, signal));
        }
        if running.since.elapsed() >= SOON {
            self.tries = 0;
        }
        let hopeless = running.failed.is_some_and(|(_, retry)| !retry);
        self.tries += 1;
        if hopeless || self.tries > MAX_TRIES {
            return;
        }
        if self.tries == 1 {
            self.launch_again(outcome);
        } else {
            self.state = State::Waiting(Instant::now() + PAUSE);
        }
    }

    /// Starts the next one: the display server will send it everything again over the new channel.
    fn launch_again(&mut self, outcome: &mut Outcome) {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        if let Ok((ours, theirs)) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags) {
            self.launch(ours, outcome);
            outcome.new_channel = Some(theirs);
        }
    }

    /// Ends it with the app.
    pub fn end(&mut self) {
        if let State::Running(mut running) = std::mem::replace(&mut self.state, State::Gone) {
            let _ = running.child.kill();
            let _ = running.child.wait();
        }
    }
}

fn last_words(errors: &mut File) -> String {
    let len = errors.metadata().map_or(0, |meta| meta.len());
    let mut text = Vec::new();
    let _ = errors
        .seek(SeekFrom::Start(len.saturating_sub(LAST_WORDS)))
        .and_then(|_| errors.read_to_end(&mut text));
    String::from_utf8_lossy(&text).trim().to_owned()
}
