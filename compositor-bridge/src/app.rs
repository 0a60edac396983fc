//! The app's end of the channel: datagrams in, a bounded queue of datagrams out.

use crate::config::{BridgeError, malformed};
use postern_channel::{DragEvent, MAX_MESSAGE, Message};
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use std::collections::VecDeque;
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// Above this many waiting messages, input is dropped instead of queued: the app is frozen or stuck, and nobody wants
/// minutes of old key strokes to arrive at once.
const INPUT_QUEUE: usize = 1024;
/// Below this many, data of transfers may join them.
const SHORT: usize = 64;
/// Above this many, the app's display is closed.
const QUEUE: usize = 16 * 1024;
/// How long a message that does not press waits for one to go with.
const SOON: Duration = Duration::from_millis(20);

/// What came in.
pub enum Received<'a> {
    /// A datagram, and the handle that came with it.
    Message(&'a [u8], Option<OwnedFd>),
    /// Nothing now.
    Nothing,
    /// The other end is closed.
    End,
}

struct Waiting {
    bytes: Box<[u8]>,
    handle: Option<OwnedFd>,
}

impl Waiting {
    /// None: it is none that could be sent.
    fn new(message: &Message<'_>, handle: Option<OwnedFd>) -> Option<Self> {
        let mut buffer = [0; MAX_MESSAGE];
        let bytes = message.encode(&mut buffer).and_then(|len| buffer.get(..len))?.into();
        Some(Self { bytes, handle })
    }
}

/// The app's end of the channel.
pub struct App {
    socket: OwnedFd,
    waiting: VecDeque<Waiting>,
    /// What waits for a message to go with, so that it does not wake the app alone; and how long at most.
    soon: Vec<Waiting>,
    soon_until: Option<Instant>,
    overflow: bool,
}

impl App {
    pub fn new(socket: OwnedFd) -> Self {
        Self { socket, waiting: VecDeque::new(), soon: Vec::new(), soon_until: None, overflow: false }
    }

    pub fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Takes one datagram. `buffer` must be longer than the longest message, so that a longer one shows.
    pub fn receive<'a>(&self, buffer: &'a mut [u8; MAX_MESSAGE + 1]) -> Result<Received<'a>, BridgeError> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
        let result = loop {
            match recvmsg(&self.socket, &mut [IoSliceMut::new(buffer)], &mut ancillary, flags) {
                Err(Errno::INTR) => {}
                result => break result,
            }
        };
        let message = match result {
            Ok(message) => message,
            Err(Errno::AGAIN) => return Ok(Received::Nothing),
            Err(Errno::CONNRESET | Errno::PIPE) => return Ok(Received::End),
            Err(error) => return Err(BridgeError::System("receive from the app", error.into())),
        };
        // Collected whole, so that every handle has an owner and is closed on each way out.
        let mut handles = Vec::new();
        for item in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = item {
                handles.extend(rights);
            }
        }
        if message.bytes == 0 {
            return Ok(Received::End);
        }
        if message.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) {
            return Err(malformed("a message that is too long or carries too many handles"));
        }
        let handle = handles.pop();
        if !handles.is_empty() {
            return Err(malformed("a message with more than one handle"));
        }
        let bytes = buffer.get(..message.bytes).ok_or_else(|| malformed("a message of impossible length"))?;
        Ok(Received::Message(bytes, handle))
    }

    /// Sends a message, or queues it if the app does not read just now.
    pub fn send(&mut self, message: &Message<'_>) {
        self.send_with(message, None);
    }

    /// Sends a message with the next one, or in 20 ms.
    pub fn send_soon(&mut self, message: &Message<'_>) {
        self.soon.extend(Waiting::new(message, None));
        self.soon_until.get_or_insert_with(|| Instant::now() + SOON);
    }

    /// How long what was sent by [`App::send_soon`] may wait.
    pub fn held_for(&self, now: Instant) -> Option<Duration> {
        self.soon_until.map(|until| until.saturating_duration_since(now))
    }

    /// Lets what waited go.
    fn send_held(&mut self) {
        if self.soon_until.take().is_some() {
            self.waiting.extend(self.soon.drain(..));
            self.overflow |= self.waiting.len() > QUEUE;
        }
    }

    /// Sends a message with a handle.
    pub fn send_with(&mut self, message: &Message<'_>, handle: Option<OwnedFd>) {
        self.send_held();
        let is_motion = matches!(message, Message::Drag(drag, _) if drag.event == DragEvent::MOTION);
        let is_input =
            is_motion || matches!(message, Message::Pointer(..) | Message::Key(..) | Message::Touch(..));
        if self.waiting.len() >= if is_input { INPUT_QUEUE } else { QUEUE } {
            self.overflow |= !is_input;
            return;
        }
        self.waiting.extend(Waiting::new(message, handle));
    }

    /// Whether messages wait for the app to read.
    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether so little waits that data of transfers may join it.
    pub fn is_short(&self) -> bool {
        self.waiting.len() < SHORT
    }

    /// Sends what waits, as far as it goes. False: the other end is closed.
    pub fn flush(&mut self) -> Result<bool, BridgeError> {
        if self.overflow {
            return Err(BridgeError::AppStuck);
        }
        if self.soon_until.is_some_and(|until| until <= Instant::now()) {
            self.send_held();
        }
        while let Some(next) = self.waiting.front() {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut ancillary = SendAncillaryBuffer::new(&mut space);
            let handle = next.handle.as_ref().map(|handle| [handle.as_fd()]);
            if let Some(handle) = &handle {
                ancillary.push(SendAncillaryMessage::ScmRights(handle));
            }
            let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
            match sendmsg(&self.socket, &[IoSlice::new(&next.bytes)], &mut ancillary, flags) {
                Ok(_) => {}
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => return Ok(true),
                Err(Errno::PIPE | Errno::CONNRESET | Errno::NOTCONN) => return Ok(false),
                Err(error) => return Err(BridgeError::System("send to the app", error.into())),
            }
            self.waiting.pop_front();
        }
        Ok(true)
    }
}
