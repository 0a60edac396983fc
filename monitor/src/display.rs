//! The compositor bridge as its monitor sees it: started when the family first uses the display channel, so that a
//! program without windows costs none, or before that if the app had windows earlier; started again when it dies, with a
//! new channel that the family is told of.
//! While there is no compositor it waits for one, however long that takes, and the app runs on: the display server
//! keeps all windows and tells the next bridge of them.
//!
//! A bridge is `postern bridge` with the display channel as standard input. Its standard output is a stream socket to
//! the monitor, with JSON lines both ways: [`Said`] from the bridge, settings to it. Its standard error ends up in the
//! report if it dies.

use crate::account::clean;
use crate::config::{Display, Session};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::socket::{
    AddressFamily, MsgFlags, Shutdown, SockFlag, SockType, UnixAddr, connect, recv, shutdown, socket,
    socketpair,
};
use postern_abi::boot::permission;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A bridge that dies sooner than this after its start counts as one more failed try.
const SOON: Duration = Duration::from_secs(10);
/// How long to wait after the second failed try; the first one is repeated at once. Doubled with each further one.
const PAUSE: Duration = Duration::from_millis(100);
/// Longest such wait.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How often a bridge that dies soon is started again.
const MAX_TRIES: u32 = 20;
/// How often a compositor that is away is looked for, at first and later.
const LOOK: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(1)];
/// How long it is looked for at first.
const AT_FIRST: Duration = Duration::from_secs(60);
/// How long a bridge may take to close its windows when the app moves to another session.
const LEAVE: Duration = Duration::from_millis(500);
/// How much of its last words goes into the report, in bytes.
const LAST_WORDS: u64 = 2048;
/// Longest line of a bridge, in bytes.
const MAX_LINE: usize = 256 * 1024;

/// What a bridge says. What is not listed is ignored.
#[derive(Debug, Deserialize)]
#[serde(tag = "report", rename_all = "snake_case")]
enum Said {
    /// Frames given to the compositor since its start.
    Shown {
        frames: u64,
        #[serde(default)]
        copied: u64,
    },
    /// The app asked for something that its permissions do not give.
    Denied { permission: String, what: String },
    /// Files cross: dropped on the app, or handed out by it. Waits for [`Bridge::answer`].
    Files { question: u32, dropped: bool, uris: Vec<String> },
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
    /// The same of frames that were copied.
    copied: [u64; 2],
    tries: u32,
    /// Since when there has been no compositor.
    away: Option<Instant>,
}

enum State {
    /// Nobody used the channel yet, or there is no session.
    Idle(OwnedFd),
    Running(Running),
    /// To be started again then, if there is a compositor.
    Waiting(Instant),
    Gone,
}

struct Running {
    child: Child,
    /// Its end of the channel, to end it with.
    channel: OwnedFd,
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
    /// Questions about files.
    pub files: Vec<Files>,
}

/// Files that cross, as the bridge was told of them.
pub struct Files {
    /// Number of the question.
    pub question: u32,
    /// Whether they were dropped on the app; else it hands them out.
    pub dropped: bool,
    /// Their addresses.
    pub uris: Vec<String>,
}

#[derive(Serialize)]
struct Answer<'a> {
    files: FilesAnswer<'a>,
}

#[derive(Serialize)]
struct FilesAnswer<'a> {
    question: u32,
    uris: &'a [Option<String>],
}

impl Bridge {
    /// A bridge that will serve `channel`, with these [`permission`] bits.
    #[must_use]
    pub fn new(how: Display, channel: OwnedFd, permissions: u32) -> Self {
        Self {
            how,
            state: State::Idle(channel),
            permissions,
            frames: [0; 2],
            copied: [0; 2],
            tries: 0,
            away: None,
        }
    }

    /// What to wait for before [`Bridge::tend`] has something to do.
    #[must_use]
    pub fn poll_fd(&self) -> Option<BorrowedFd<'_>> {
        match &self.state {
            State::Idle(_) if self.how.session == Session::Nowhere => None,
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

    /// Frames of these whose pixels the display server had to copy.
    #[must_use]
    pub fn copied(&self) -> u64 {
        let [past, now] = self.copied;
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

    /// Answers a question about files: where on the host those are that the app hands out. A bridge that does not get the
    /// answer goes on without, after a while.
    pub fn answer(&mut self, question: u32, uris: &[Option<String>]) {
        let answer = Answer { files: FilesAnswer { question, uris } };
        if let (State::Running(running), Ok(mut line)) = (&mut self.state, serde_json::to_vec(&answer)) {
            line.push(b'\n');
            let _ = running.status.write_all(&line);
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
            State::Waiting(until) if until <= Instant::now() => self.try_again(&mut outcome),
            other => self.state = other,
        }
        outcome
    }

    /// Starts it before the family uses the channel, because it will soon.
    pub fn start_early(&mut self) -> Outcome {
        let mut outcome = Outcome::default();
        match std::mem::replace(&mut self.state, State::Gone) {
            State::Idle(channel) if self.how.session != Session::Nowhere => {
                self.launch(channel, &mut outcome)
            }
            other => self.state = other,
        }
        outcome
    }

    /// Shows the app in the session of the compositor behind `socket` from now on: its windows go where they were.
    pub fn attach(&mut self, socket: PathBuf) -> Outcome {
        let mut outcome = Outcome::default();
        self.how.session = Session::At(socket);
        self.tries = 0;
        self.away = None;
        match std::mem::replace(&mut self.state, State::Gone) {
            State::Idle(channel) => self.launch(channel, &mut outcome),
            State::Running(running) => {
                self.add_up();
                running.leave();
                self.launch_again(&mut outcome);
            }
            State::Waiting(_) | State::Gone => self.launch_again(&mut outcome),
        }
        outcome
    }

    /// The counts of a bridge that ends.
    fn add_up(&mut self) {
        self.frames = [self.frames(), 0];
        self.copied = [self.copied(), 0];
    }

    /// Starts the next bridge if there is a compositor for it, else waits for one.
    fn try_again(&mut self, outcome: &mut Outcome) {
        let is_there = match &self.how.session {
            Session::At(socket) => is_listening(socket).is_ok(),
            Session::Given => true,
            Session::Nowhere => false,
        };
        if is_there {
            self.away = None;
            return self.launch_again(outcome);
        }
        let now = Instant::now();
        let since = *self.away.get_or_insert(now);
        let [at_first, later] = LOOK;
        self.state = State::Waiting(now + if now - since < AT_FIRST { at_first } else { later });
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
        if let Session::At(socket) = &self.how.session {
            command.env("WAYLAND_DISPLAY", socket).env_remove("WAYLAND_SOCKET");
        }
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
        let kept = channel.try_clone()?;
        let child = command
            .stdin(channel)
            .stdout(OwnedFd::from(theirs))
            .stderr(Stdio::from(errors.try_clone()?))
            .spawn()?;
        Ok(Running {
            child,
            channel: kept,
            status,
            errors,
            input: Vec::new(),
            since: Instant::now(),
            failed: None,
        })
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
                Ok(Said::Shown { frames, copied }) => {
                    self.frames[1] = frames;
                    self.copied[1] = copied;
                }
                Ok(Said::Denied { permission, what }) => {
                    outcome.denied.push((clean(permission.as_bytes()), clean(what.as_bytes())));
                }
                Ok(Said::Files { question, dropped, uris }) => {
                    outcome.files.push(Files { question, dropped, uris });
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
        self.add_up();
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
        let hopeless = running.failed.as_ref().is_some_and(|(_, retry)| !retry);
        // Its end of the channel goes with it: the display server knows that nobody is there.
        drop(running);
        self.tries += 1;
        if hopeless || self.tries > MAX_TRIES {
            return;
        }
        match self.tries.checked_sub(2) {
            None => self.try_again(outcome),
            Some(more) => {
                let pause = PAUSE.saturating_mul(1 << more.min(8)).min(LONGEST_PAUSE);
                self.state = State::Waiting(Instant::now() + pause);
            }
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

impl Running {
    /// Ends it without a report: it closes its windows, popups first, when its channel ends.
    fn leave(mut self) {
        let _ = shutdown(self.channel.as_raw_fd(), Shutdown::Both);
        let until = Instant::now() + LEAVE;
        let mut rest = [0; 4096];
        loop {
            let left = until.saturating_duration_since(Instant::now()).as_millis();
            let mut fds = [PollFd::new(self.status.as_fd(), PollFlags::POLLIN)];
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
            if !poll(&mut fds, timeout).is_ok_and(|ready| ready > 0)
                || matches!(self.status.read(&mut rest), Ok(0))
            {
                break;
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether somebody listens on a socket. Does not wait for one who is slow to answer.
///
/// # Errors
/// Why nobody does.
pub fn is_listening(path: &Path) -> Result<(), Errno> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let probe = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    match connect(probe.as_raw_fd(), &UnixAddr::new(path)?) {
        Ok(()) | Err(Errno::EAGAIN) => Ok(()),
        Err(error) => Err(error),
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
