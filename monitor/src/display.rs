//! The compositor bridge as its monitor sees it: started when the family first uses the display channel, so that a
//! program without windows costs none; started again when it dies, with a new channel that the family is told of.
//!
//! A bridge is `postern bridge` with the display channel as standard input. Its standard output is a
//! `SOCK_SEQPACKET` socket to the monitor: it sends the number of frames it has shown (8 bytes, little endian), and
//! gets the [`postern_abi::boot::permission`] bits whenever they change (4 bytes). Its standard error ends up in the
//! report if it dies.

use crate::config::Display;
use nix::errno::Errno;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, send, socketpair};
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A bridge that dies sooner than this after its start is not started a third time.
const SOON: Duration = Duration::from_secs(10);
/// How much of its last words goes into the report, in bytes.
const LAST_WORDS: i64 = 2048;

/// The bridge of an app.
pub struct Bridge {
    how: Display,
    state: State,
    /// [`postern_abi::boot::permission`] bits.
    permissions: u32,
    frames: u64,
    died: Option<Instant>,
}

enum State {
    /// Nobody used the channel yet.
    Idle(OwnedFd),
    Running(Running),
    Gone,
}

struct Running {
    child: Child,
    status: OwnedFd,
    errors: File,
}

/// A bridge ended against its will.
pub struct Ended {
    /// How.
    pub summary: String,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// The family's end of the channel to the new bridge, if there is one.
    pub new_channel: Option<OwnedFd>,
}

impl Bridge {
    /// A bridge that will serve `channel`.
    #[must_use]
    pub fn new(how: Display, channel: OwnedFd, permissions: u32) -> Self {
        Self { how, state: State::Idle(channel), permissions, frames: 0, died: None }
    }

    /// What to wait for before [`Bridge::tend`] has something to do.
    #[must_use]
    pub fn poll_fd(&self) -> Option<BorrowedFd<'_>> {
        match &self.state {
            State::Idle(channel) => Some(channel.as_fd()),
            State::Running(running) => Some(running.status.as_fd()),
            State::Gone => None,
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

    /// Frames it has shown.
    #[must_use]
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Tells it the permissions that hold from now on.
    pub fn permit(&mut self, bits: u32) {
        self.permissions = bits;
        if let State::Running(running) = &self.state {
            let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
            let _ = send(running.status.as_raw_fd(), &bits.to_le_bytes(), flags);
        }
    }

    /// Starts it, hears it, or notices its end.
    pub fn tend(&mut self) -> Option<Ended> {
        match std::mem::replace(&mut self.state, State::Gone) {
            State::Idle(channel) => {
                // Readable without a message: the family is gone.
                if recv(channel.as_raw_fd(), &mut [0], MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT) == Ok(0) {
                    return None;
                }
                self.launch(channel).err().map(|error| Ended {
                    summary: format!("it could not be started: {error}"),
                    signal: None,
                    new_channel: None,
                })
            }
            State::Running(running) => self.hear(running),
            State::Gone => None,
        }
    }

    fn launch(&mut self, channel: OwnedFd) -> std::io::Result<()> {
        let flags = SockFlag::SOCK_CLOEXEC;
        let (status, theirs) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags)?;
        let errors = File::from(memfd_create(c"postern-bridge-errors", MFdFlags::MFD_CLOEXEC)?);
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("bridge").args(["--permissions", &self.permissions.to_string()]);
        for (option, value) in [("--title-prefix", &self.how.title_prefix), ("--border", &self.how.border)] {
            if let Some(value) = value {
                command.arg(format!("{option}={value}"));
            }
        }
        command.args(["--app-id", &self.how.app]);
        let child = command.stdin(channel).stdout(theirs).stderr(Stdio::from(errors.try_clone()?)).spawn()?;
        self.state = State::Running(Running { child, status, errors });
        Ok(())
    }

    fn hear(&mut self, mut running: Running) -> Option<Ended> {
        let mut message = [0; 8];
        match recv(running.status.as_raw_fd(), &mut message, MsgFlags::MSG_DONTWAIT) {
            Ok(8) => self.frames = self.frames.max(u64::from_le_bytes(message)),
            Ok(0) | Err(Errno::ECONNRESET) => {
                let status = running.child.wait();
                if status.as_ref().is_ok_and(std::process::ExitStatus::success) {
                    return None;
                }
                let signal = status.as_ref().ok().and_then(|status| status.signal());
                let how = match (signal, status.as_ref().ok().and_then(|status| status.code())) {
                    (Some(signal), _) => format!("ended by {}", crate::report::signal_text(signal)),
                    (None, Some(code)) => format!("ended with status {code}"),
                    (None, None) => "is gone".to_owned(),
                };
                let words = last_words(&mut running.errors);
                let summary = if words.is_empty() {
                    format!("the bridge {how}")
                } else {
                    format!("the bridge {how}: {words}")
                };
                return Some(Ended { summary, signal, new_channel: self.restart() });
            }
            _ => {}
        }
        self.state = State::Running(running);
        None
    }

    /// Starts the next one at once: the display server will send it everything again.
    fn restart(&mut self) -> Option<OwnedFd> {
        if self.died.is_some_and(|when| when.elapsed() < SOON) {
            return None;
        }
        self.died = Some(Instant::now());
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags).ok()?;
        self.launch(ours).ok()?;
        Some(theirs)
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
    let start = len.saturating_sub(LAST_WORDS.unsigned_abs());
    let mut text = Vec::new();
    let _ = errors.seek(SeekFrom::Start(start)).and_then(|_| errors.read_to_end(&mut text));
    String::from_utf8_lossy(&text).trim().to_owned()
}
