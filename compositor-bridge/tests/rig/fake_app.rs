//! An app's side of the channel, without an app: what a display server would send, and what it gets.

use super::session::Session;
use postern_bridge::{Report, Settings};
use postern_channel::{
    Commit, CommitFlag, Configure, Hello, MAX_MESSAGE, Message, Pool, Rect, Role, Text, TextField, VERSION,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use rustix::io::pwrite;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, IoSlice, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(10);

/// The app's side and its bridge.
pub struct FakeApp {
    socket: OwnedFd,
    /// The bridge's end, kept as a monitor keeps it for the next bridge.
    other_end: Option<OwnedFd>,
    pub bridge: Child,
    control: BufReader<UnixStream>,
    inbox: VecDeque<(Vec<u8>, Option<OwnedFd>)>,
    numbers: u32,
    /// Versions that the bridge told of: compositor, seat, shell.
    pub versions: [u32; 3],
}

/// A window's pixels: one pool of its own.
pub struct Canvas {
    pub pool: u32,
    pub file: OwnedFd,
    pub width: i32,
    pub height: i32,
}

/// The bridge as a program.
pub fn example() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let path = tests.parent().unwrap().parent().unwrap().join("examples/bridge");
    assert!(path.exists(), "{} was not built; run `cargo test` for the whole package", path.display());
    path
}

fn start_bridge(session: &Session, end: &OwnedFd, arguments: &[&str]) -> (Child, BufReader<UnixStream>) {
    spawn_bridge(session.command(example()).args(arguments), end)
}

fn spawn_bridge(command: &mut Command, end: &OwnedFd) -> (Child, BufReader<UnixStream>) {
    let (control, theirs) = UnixStream::pair().unwrap();
    control.set_read_timeout(Some(PATIENCE)).unwrap();
    command.stdin(end.try_clone().unwrap()).stdout(OwnedFd::from(theirs));
    (command.spawn().unwrap(), BufReader::new(control))
}

impl FakeApp {
    /// Starts a bridge. No greeting yet.
    pub fn start_silent(session: &Session, arguments: &[&str]) -> Self {
        let (socket, other_end) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
        let (bridge, control) = start_bridge(session, &other_end, arguments);
        Self {
            socket,
            other_end: Some(other_end),
            bridge,
            control,
            inbox: VecDeque::new(),
            numbers: 0,
            versions: [0; 3],
        }
    }

    /// Starts a bridge and greets it.
    pub fn start(session: &Session, arguments: &[&str]) -> Self {
        let mut app = Self::start_silent(session, arguments);
        app.greet();
        app
    }

    /// Starts a bridge by this command, and greets it.
    pub fn start_by(command: &mut Command) -> Self {
        let (socket, other_end) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
        let (bridge, control) = spawn_bridge(command, &other_end);
        let mut app = Self {
            socket,
            other_end: Some(other_end),
            bridge,
            control,
            inbox: VecDeque::new(),
            numbers: 0,
            versions: [0; 3],
        };
        app.greet();
        app
    }

    /// Starts the next bridge on the same channel.
    pub fn restart(&mut self, session: &Session, arguments: &[&str]) {
        (self.bridge, self.control) = start_bridge(session, self.other_end.as_ref().unwrap(), arguments);
        self.greet();
    }

    fn greet(&mut self) {
        self.versions = self.wait(|message| match message {
            Message::Hello(hello, _) => Some([hello.compositor, hello.seat, hello.shell]),
            _ => None,
        });
        self.send(&Message::Hello(Hello { version: VERSION.into(), features: 0, ..Default::default() }, &[]));
    }

    /// A number that was not used.
    pub fn number(&mut self) -> u32 {
        self.numbers += 1;
        self.numbers
    }

    pub fn send(&self, message: &Message<'_>) {
        self.send_with(message, None);
    }

    pub fn send_with(&self, message: &Message<'_>, handle: Option<&OwnedFd>) {
        let mut bytes = [0; MAX_MESSAGE];
        let len = message.encode(&mut bytes).unwrap();
        self.send_bytes(&bytes[..len], handle);
    }

    pub fn send_bytes(&self, bytes: &[u8], handle: Option<&OwnedFd>) {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        let handle = handle.map(|handle| [handle.as_fd()]);
        if let Some(handle) = &handle {
            assert!(ancillary.push(SendAncillaryMessage::ScmRights(handle)));
        }
        // A bridge that has ended shows in other ways.
        let _ = sendmsg(&self.socket, &[IoSlice::new(bytes)], &mut ancillary, SendFlags::NOSIGNAL);
    }

    /// Sends unless that would block. False: it would.
    pub fn try_send(&self, message: &Message<'_>) -> bool {
        let mut bytes = [0; MAX_MESSAGE];
        let len = message.encode(&mut bytes).unwrap();
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        rustix::net::send(&self.socket, &bytes[..len], flags).is_ok()
    }

    fn receive(&mut self) -> bool {
        let wait = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
        if poll(&mut [PollFd::new(&self.socket, PollFlags::IN)], Some(&wait)).unwrap() == 0 {
            return false;
        }
        let mut bytes = vec![0; MAX_MESSAGE];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::CMSG_CLOEXEC;
        let got = recvmsg(&self.socket, &mut [IoSliceMut::new(&mut bytes)], &mut ancillary, flags).unwrap();
        assert!(got.bytes > 0, "the bridge closed the channel");
        bytes.truncate(got.bytes);
        let mut handle = None;
        for item in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = item {
                handle = handle.or(rights.into_iter().next());
            }
        }
        self.inbox.push_back((bytes, handle));
        true
    }

    /// Waits for a message that fits; those before it stay for later.
    #[track_caller]
    pub fn wait<T>(&mut self, fits: impl Fn(&Message<'_>) -> Option<T>) -> T {
        self.wait_with(fits).0
    }

    #[track_caller]
    pub fn wait_with<T>(&mut self, fits: impl Fn(&Message<'_>) -> Option<T>) -> (T, Option<OwnedFd>) {
        let start = Instant::now();
        loop {
            let found = self.inbox.iter().enumerate().find_map(|(at, (bytes, _))| {
                let message = Message::decode(bytes).expect("the bridge keeps to the channel");
                fits(&message).map(|found| (at, found))
            });
            if let Some((at, found)) = found {
                let (_, handle) = self.inbox.remove(at).unwrap();
                return (found, handle);
            }
            if !self.receive() {
                assert!(start.elapsed() < PATIENCE, "what was awaited did not come; got {}", self.got());
            }
        }
    }

    /// What came and was not asked for.
    fn got(&self) -> String {
        let names = self.inbox.iter().map(|(bytes, _)| format!("{:?}", Message::decode(bytes).unwrap()));
        names.collect::<Vec<_>>().join("\n")
    }

    /// Takes what comes for a while, and returns whether a message that fits was among it.
    pub fn comes(&mut self, during: Duration, fits: impl Fn(&Message<'_>) -> bool) -> bool {
        let start = Instant::now();
        while start.elapsed() < during {
            self.receive();
        }
        self.inbox.iter().any(|(bytes, _)| fits(&Message::decode(bytes).unwrap()))
    }

    /// Forgets what came.
    pub fn forget(&mut self) {
        while self.receive() {}
        self.inbox.clear();
    }

    /// Waits for a report of the bridge.
    #[track_caller]
    pub fn report<T>(&mut self, fits: impl Fn(Report) -> Option<T>) -> T {
        loop {
            let mut line = String::new();
            let len = self.control.read_line(&mut line).expect("no such report came");
            assert!(len > 0, "the bridge ended without such a report");
            if let Some(found) = fits(serde_json::from_str(&line).unwrap()) {
                return found;
            }
        }
    }

    /// Sends a line to the bridge's control socket.
    pub fn set_line(&mut self, line: &str) {
        self.control.get_mut().write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// Changes what the app may do.
    pub fn set(&mut self, settings: &Settings) {
        let mut line = serde_json::to_vec(settings).unwrap();
        line.push(b'\n');
        self.control.get_mut().write_all(&line).unwrap();
    }

    /// Whether the bridge has ended.
    pub fn is_over(&mut self) -> bool {
        self.bridge.try_wait().unwrap().is_some()
    }

    /// Takes what is there, and drops it.
    pub fn receive_all(&mut self) {
        let mut bytes = vec![0; MAX_MESSAGE];
        let flags = RecvFlags::DONTWAIT;
        while rustix::net::recv(&self.socket, &mut bytes[..], flags).is_ok_and(|(len, _)| len > 0) {}
    }

    /// Whether the bridge has not taken everything yet.
    pub fn queued(&self) -> bool {
        self.other_end.as_ref().is_some_and(|end| {
            let nothing = Timespec { tv_sec: 0, tv_nsec: 0 };
            poll(&mut [PollFd::new(end, PollFlags::IN)], Some(&nothing)).is_ok_and(|ready| ready > 0)
        })
    }

    /// Closes the app's end.
    pub fn close(&mut self) {
        let (nothing, _) = UnixStream::pair().unwrap();
        self.socket = nothing.into();
        self.other_end = None;
    }

    /// The bridge's end, and the error that it reported.
    pub fn last_words(&mut self) -> (ExitStatus, Option<String>) {
        let status = self.end();
        let mut said = None;
        let mut line = String::new();
        while self.control.read_line(&mut line).is_ok_and(|len| len > 0) {
            if let Ok(Report::Failed { error, .. }) = serde_json::from_str(&line) {
                said = Some(error);
            }
            line.clear();
        }
        (status, said)
    }

    /// Waits for the bridge's end.
    pub fn end(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.bridge.try_wait().unwrap() {
                return status;
            }
            assert!(start.elapsed() < PATIENCE, "the bridge goes on");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Memory for pixels.
    pub fn canvas(&mut self, width: i32, height: i32) -> Canvas {
        let pool = self.number();
        let size = u64::try_from(width * height * 4).unwrap();
        let file = memfd_create("pixels", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
        ftruncate(&file, size).unwrap();
        let canvas = Canvas { pool, file, width, height };
        self.send_canvas(&canvas);
        canvas
    }

    pub fn send_canvas(&self, canvas: &Canvas) {
        let size = u64::try_from(canvas.width * canvas.height * 4).unwrap();
        let pool = Pool { pool: canvas.pool, copied: 0, size };
        self.send_with(&Message::Pool(pool, &[]), Some(&canvas.file));
    }

    /// A commit that shows the canvas, under a new attachment number.
    pub fn shows(&mut self, base: Commit, canvas: &Canvas) -> Commit {
        Commit {
            flags: base.flags | CommitFlag::BUFFER,
            buffer: self.number(),
            pool: canvas.pool,
            stride: u32::try_from(canvas.width * 4).unwrap(),
            width: canvas.width,
            height: canvas.height,
            format: 1,
            damage: Rect { x: 0, y: 0, width: canvas.width, height: canvas.height },
            ..base
        }
    }

    pub fn commit(&self, commit: &Commit) {
        self.send(&Message::Commit(*commit, &[]));
    }

    pub fn title(&self, surface: u32, title: &str) {
        let text = Text { surface, field: TextField::TITLE };
        self.send(&Message::Text(text, title.as_bytes()));
    }

    #[track_caller]
    pub fn configured(&mut self, number: u32) -> Configure {
        self.wait(|message| match message {
            Message::Configure(configure, _) if configure.surface == number => Some(*configure),
            _ => None,
        })
    }

    /// Opens a window that shows the canvas. Returns its last commit.
    pub fn window(&mut self, canvas: &Canvas) -> Commit {
        let surface = self.number();
        let empty = Commit { role: Role::TOPLEVEL, ..Commit::empty(surface) };
        self.commit(&empty);
        let configure = self.configured(surface);
        let shown = self.shows(Commit { acked: configure.serial, ..empty }, canvas);
        self.commit(&shown);
        shown
    }
}

impl Canvas {
    /// Fills a rectangle; `colour` is 0xRRGGBB.
    pub fn fill(&self, x: i32, y: i32, width: i32, height: i32, colour: u32) {
        let line = colour.to_le_bytes().repeat(usize::try_from(width).unwrap());
        for row in y..y + height {
            let at = u64::try_from((row * self.width + x) * 4).unwrap();
            assert_eq!(pwrite(&self.file, &line, at).unwrap(), line.len());
        }
    }

    pub fn fill_all(&self, colour: u32) {
        self.fill(0, 0, self.width, self.height, colour);
    }
}

impl Drop for FakeApp {
    fn drop(&mut self) {
        let _ = self.bridge.kill();
        let _ = self.bridge.wait();
    }
}
