//! The display server behind a real socket, for real clients outside a picoprocess.
//!
//! `wayland-harness SOCKET BRIDGE [ARGUMENT…]`: listens at SOCKET, runs BRIDGE with the remote-display channel as its
//! standard input, and starts it again when it ends. Clients need memory files that can be sealed.
#![forbid(unsafe_code)]

use postern_channel::limit::PIECE;
use postern_channel::{MAX_MESSAGE, Message, Text, TextField};
use postern_display::{ClientId, Display, Outgoing, Platform};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use std::collections::{BTreeMap, VecDeque};
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Child, Command, ExitCode, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};

type Failure = Box<dyn std::error::Error>;

/// Files of clients and handles of the channel are the same here: host files.
#[derive(Default)]
struct Host {
    /// Pastes into clients.
    writes: Vec<Paste>,
    /// Pastes out of clients.
    collects: Vec<(u32, OwnedFd)>,
}

/// A paste into a client: its number, the file, the pieces it has yet to get, and whether those are all.
struct Paste {
    transfer: u32,
    file: Rc<OwnedFd>,
    pieces: VecDeque<VecDeque<u8>>,
    last: bool,
}

impl Platform for Host {
    type File = Rc<OwnedFd>;
    type Handle = Rc<OwnedFd>;

    fn pool_memory(&mut self, file: &Self::File) -> Option<(Self::Handle, u64)> {
        let size = rustix::fs::fstat(file).ok()?.st_size;
        Some((file.clone(), u64::try_from(size).ok()?))
    }

    fn file_from_handle(&mut self, handle: &Self::Handle, _size: u32) -> Option<Self::File> {
        Some(handle.clone())
    }

    fn write(&mut self, transfer: u32, file: &Self::File, bytes: &[u8], last: bool) {
        let _ = rustix::io::ioctl_fionbio(file, true);
        let piece = bytes.iter().copied().collect();
        match self.writes.iter_mut().find(|paste| paste.transfer == transfer) {
            Some(paste) => {
                paste.pieces.push_back(piece);
                paste.last |= last;
            }
            None => {
                self.writes.push(Paste { transfer, file: file.clone(), pieces: [piece].into(), last });
            }
        }
    }

    fn stop_writing(&mut self, transfer: u32) {
        self.writes.retain(|paste| paste.transfer != transfer);
    }

    fn collect(&mut self, transfer: u32) -> Option<Self::File> {
        let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).ok()?;
        self.collects.push((transfer, reader));
        Some(Rc::new(writer))
    }

    // The pipes are looked at all the time.
    fn go_on_collecting(&mut self, _transfer: u32) {}

    fn stop_collecting(&mut self, transfer: u32) {
        self.collects.retain(|(number, _)| *number != transfer);
    }

    fn close(&mut self, file: Self::File) {
        drop(file);
    }
}

/// Receives bytes with the files that came with them. `Ok(0)` is the end.
fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8], files: &mut Vec<OwnedFd>) -> Result<usize, Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(28))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let got = recvmsg(socket, &mut [IoSliceMut::new(buffer)], &mut ancillary, flags)?;
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            files.extend(rights);
        }
    }
    Ok(got.bytes)
}

fn send(socket: BorrowedFd<'_>, bytes: &[u8], files: &[BorrowedFd<'_>]) -> Result<usize, Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(28))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !files.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(files)) {
        return Err(Errno::INVAL);
    }
    sendmsg(socket, &[IoSlice::new(bytes)], &mut ancillary, SendFlags::NOSIGNAL | SendFlags::DONTWAIT)
}

/// A client's socket, and what it has not taken yet.
struct Connection {
    socket: UnixStream,
    bytes: Vec<u8>,
    files: VecDeque<Rc<OwnedFd>>,
}

struct Harness {
    display: Display<Host>,
    host: Host,
    clients: BTreeMap<u32, Connection>,
    listener: UnixListener,
    command: Vec<String>,
    bridge: Child,
    channel: OwnedFd,
    began: Instant,
    log: bool,
}

fn start_bridge(command: &[String]) -> Result<(Child, OwnedFd), Failure> {
    let (own, other) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    let (program, arguments) = command.split_first().ok_or("no bridge given")?;
    let mut bridge = Command::new(program);
    bridge.args(arguments).stdin(Stdio::from(other)).stdout(Stdio::null());
    Ok((bridge.spawn()?, own))
}

impl Harness {
    fn now(&self) -> u32 {
        u32::try_from(self.began.elapsed().as_millis() & 0xffff_ffff).unwrap_or(0)
    }

    /// Reads what a client sent. False: it is gone.
    fn client_sent(&mut self, id: u32) -> bool {
        let now = self.now();
        let Some(connection) = self.clients.get_mut(&id) else { return false };
        let (mut buffer, mut files) = (vec![0; 65536], Vec::new());
        let got = match receive(connection.socket.as_fd(), &mut buffer, &mut files) {
            Ok(0) => return false,
            Ok(got) => got,
            Err(Errno::AGAIN | Errno::INTR) => return true,
            Err(_) => return false,
        };
        let mut files: VecDeque<_> = files.into_iter().map(Rc::new).collect();
        let bytes = buffer.get(..got).unwrap_or(&[]);
        let result = self.display.receive(&mut self.host, ClientId(id), bytes, &mut files, now);
        if let Err(error) = result {
            eprintln!("harness: client {id}: {error:?}");
            self.client_gets(id);
            return false;
        }
        true
    }

    /// Sends what waits for a client.
    fn client_gets(&mut self, id: u32) {
        let (bytes, files) = self.display.take_events(ClientId(id), usize::MAX);
        let Some(connection) = self.clients.get_mut(&id) else { return };
        connection.bytes.extend(bytes);
        connection.files.extend(files);
        while !connection.bytes.is_empty() {
            let count = connection.files.len().min(28);
            let files: Vec<_> = connection.files.iter().take(count).map(|f| f.as_fd()).collect();
            match send(connection.socket.as_fd(), &connection.bytes, &files) {
                Ok(sent) => {
                    connection.bytes.drain(..sent);
                    connection.files.drain(..count);
                }
                Err(_) => break,
            }
        }
    }

    fn client_gone(&mut self, id: u32) {
        self.display.disconnect(ClientId(id));
        self.clients.remove(&id);
    }

    /// Exchanges messages with the bridge. False: it is gone.
    fn bridge_talks(&mut self) -> bool {
        let now = self.now();
        let mut buffer = vec![0; MAX_MESSAGE];
        loop {
            let mut files = Vec::new();
            match receive(self.channel.as_fd(), &mut buffer, &mut files) {
                Ok(0) => return false,
                Ok(got) => {
                    let bytes = buffer.get(..got).unwrap_or(&[]);
                    if self.log {
                        eprintln!("harness: bridge: {:?}", Message::decode(bytes));
                    }
                    let handle = files.pop().map(Rc::new);
                    if let Err(error) = self.display.channel_message(&mut self.host, bytes, handle, now) {
                        eprintln!("harness: bridge: {error}");
                    }
                }
                Err(Errno::AGAIN | Errno::INTR) => break,
                Err(_) => return false,
            }
        }
        while let Some(Outgoing { bytes, handle }) = self.display.take_channel() {
            if self.log {
                match Message::decode(&bytes) {
                    Ok(Message::Text(Text { surface, field: TextField::TITLE }, text)) => {
                        eprintln!("harness: surface {surface} is {:?}", String::from_utf8_lossy(text));
                    }
                    other => eprintln!("harness: to bridge: {other:?}"),
                }
            }
            let files: Vec<_> = handle.iter().map(|h| h.as_fd()).collect();
            match send(self.channel.as_fd(), &bytes, &files) {
                Ok(_) => {}
                Err(Errno::AGAIN) => {
                    drop(files);
                    self.display.put_back(Outgoing { bytes, handle });
                    break;
                }
                Err(_) => return false,
            }
        }
        true
    }

    fn pastes(&mut self) {
        let (mut written, mut unread) = (Vec::new(), Vec::new());
        self.host.writes.retain_mut(|paste| {
            while let Some(piece) = paste.pieces.front_mut() {
                let (bytes, _) = piece.as_slices();
                if bytes.is_empty() {
                    paste.pieces.pop_front();
                    written.push(paste.transfer);
                    continue;
                }
                match rustix::io::write(&*paste.file, bytes) {
                    Ok(written) => drop(piece.drain(..written)),
                    Err(Errno::AGAIN) => return true,
                    Err(_) => {
                        unread.push(paste.transfer);
                        return false;
                    }
                }
            }
            !paste.last
        });
        for transfer in written {
            self.display.transfer_written(transfer, 1);
        }
        for transfer in unread {
            self.display.transfer_unread(&mut self.host, transfer);
        }
        let mut open = Vec::new();
        for (transfer, file) in std::mem::take(&mut self.host.collects) {
            let mut ready = [PollFd::new(&file, PollFlags::IN)];
            let nothing = Timespec { tv_sec: 0, tv_nsec: 0 };
            if !self.display.may_collect(transfer) || poll(&mut ready, Some(&nothing)).unwrap_or(0) == 0 {
                open.push((transfer, file));
                continue;
            }
            let mut buffer = vec![0; PIECE];
            let got = rustix::io::read(&file, &mut buffer[..]).unwrap_or(0);
            self.display.transfer_data(transfer, buffer.get(..got).unwrap_or(&[]), got == 0);
            if got > 0 {
                open.push((transfer, file));
            }
        }
        self.host.collects.extend(open);
    }

    fn turn(&mut self) -> Result<(), Failure> {
        let wait = self.display.next_timeout().unwrap_or(1000);
        let busy = !self.host.collects.is_empty() || !self.host.writes.is_empty();
        let wait = Timespec::try_from(Duration::from_millis(if busy { 5 } else { wait.into() }))?;
        let (readable, ids) = {
            let mut watched =
                vec![PollFd::new(&self.listener, PollFlags::IN), PollFd::new(&self.channel, PollFlags::IN)];
            watched.extend(self.clients.values().map(|c| PollFd::new(&c.socket, PollFlags::IN)));
            match poll(&mut watched, Some(&wait)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            let readable: Vec<bool> = watched.iter().map(|w| !w.revents().is_empty()).collect();
            (readable, self.clients.keys().copied().collect::<Vec<u32>>())
        };
        if readable.first() == Some(&true) {
            let (socket, _) = self.listener.accept()?;
            let id = self.display.connect().0;
            self.clients.insert(id, Connection { socket, bytes: Vec::new(), files: VecDeque::new() });
        }
        for (id, _) in ids.into_iter().zip(readable.iter().skip(2)).filter(|(_, r)| **r) {
            if !self.client_sent(id) {
                self.client_gone(id);
            }
        }
        let now = self.now();
        self.display.tick(now);
        self.pastes();
        if !self.bridge_talks() {
            let status = self.bridge.wait()?;
            eprintln!("harness: the bridge ended: {status}; starting another");
            std::thread::sleep(Duration::from_millis(300));
            (self.bridge, self.channel) = start_bridge(&self.command)?;
        }
        for id in self.display.take_ready() {
            self.client_gets(id.0);
        }
        Ok(())
    }
}

fn serve() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("usage: wayland-harness SOCKET BRIDGE [ARGUMENT…]")?;
    let command: Vec<String> = arguments.collect();
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path)?;
    let (bridge, channel) = start_bridge(&command)?;
    let mut harness = Harness {
        display: Display::new(),
        host: Host::default(),
        clients: BTreeMap::new(),
        listener,
        command,
        bridge,
        channel,
        began: Instant::now(),
        log: std::env::var_os("HARNESS_LOG").is_some(),
    };
    loop {
        harness.turn()?;
    }
}

fn main() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("wayland-harness: {error}");
            ExitCode::FAILURE
        }
    }
}
