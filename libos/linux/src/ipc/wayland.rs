//! The display server's place in the library OS: `$WAYLAND_DISPLAY` is a socket whose sends run the requests at once,
//! in the sending thread, and whose events come back through an ordinary [`Conduit`]. What the server has to tell the
//! compositor bridge goes out on the display channel; what the bridge tells comes in by the poller thread.
//!
//! One lock around everything. While it is held only the channel and the clients' conduits are written to; files of
//! apps (pasting) are written and read after it was given up, in [`super::selection`].

use super::poller;
use super::unix::conduit::{Attachment, Conduit};
use crate::fs::{OpenFile, Poll, memfd};
use crate::io::Source;
use crate::ipc::{copies, selection};
use crate::task::Thread;
use crate::wait::{self, Notify, WaitQueue};
use crate::{Errno, Mutex, Once, Result};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use postern_channel::{Hello, MAX_MESSAGE, Message, VERSION};
use postern_display::{ClientId, Display, Platform};
use postern_pal::clock;
use postern_pal::handle::Handle;

/// Most bytes of events that wait for a client before it counts as dead.
const MAX_EVENTS: usize = 4 << 20;
/// Most clients at one time: the largest programs have a dozen connections.
const MAX_CLIENTS: usize = 256;
/// How long a client that connects waits for a bridge, in nanoseconds.
const GREETING: u64 = 5_000_000_000;

/// What the display server borrows; what cannot be done under its lock is put down here and done after.
#[derive(Default)]
pub(super) struct Lent {
    /// In order.
    pub(super) errands: Vec<Errand>,
}

/// What is to be done with a file of an app's; most are about a transfer, by its number.
pub(super) enum Errand {
    /// Write a piece of it; true = the last one.
    Write(u32, Arc<OpenFile>, Vec<u8>, bool),
    /// Drop what is not written.
    StopWriting(u32),
    /// Read what an app writes into the other end of this pipe.
    Collect(u32, Arc<OpenFile>),
    /// Go on with that.
    GoOnCollecting(u32),
    /// End it.
    StopCollecting(u32),
    /// Drop it: that may wake somebody who needs the display server.
    Close(Arc<OpenFile>),
}

impl Platform for Lent {
    type File = Arc<OpenFile>;
    type Handle = Arc<Handle>;

    fn pool_memory(&mut self, file: &Self::File) -> Option<(Self::Handle, u64)> {
        memfd::pool(file)
    }

    fn copied_memory(
        &mut self,
        file: &Self::File,
        size: u64,
        known: Option<&Self::Handle>,
    ) -> Option<Self::Handle> {
        copies::memory(file, size, known)
    }

    fn file_from_handle(&mut self, handle: &Self::Handle, size: u32) -> Option<Self::File> {
        Some(selection::shared_memory(handle.clone(), u64::from(size)))
    }

    fn write(&mut self, transfer: u32, file: &Self::File, bytes: &[u8], last: bool) {
        self.errands.push(Errand::Write(transfer, file.clone(), bytes.to_vec(), last));
    }

    fn stop_writing(&mut self, transfer: u32) {
        self.errands.push(Errand::StopWriting(transfer));
    }

    fn collect(&mut self, transfer: u32) -> Option<Self::File> {
        let (reader, writer) = super::pipe::pair(0, [0, 0]);
        self.errands.push(Errand::Collect(transfer, reader));
        Some(writer)
    }

    fn go_on_collecting(&mut self, transfer: u32) {
        self.errands.push(Errand::GoOnCollecting(transfer));
    }

    fn stop_collecting(&mut self, transfer: u32) {
        self.errands.push(Errand::StopCollecting(transfer));
    }

    fn close(&mut self, file: Self::File) {
        self.errands.push(Errand::Close(file));
    }
}

/// The display server and its connections.
struct Core {
    display: Display<Lent>,
    lent: Lent,
    channel: Option<Arc<Handle>>,
    clients: BTreeMap<u32, Arc<Conduit>>,
    buffer: Vec<u8>,
}

static CORE: Once<Mutex<Core>> = Once::new();
/// Woken when the bridge has described the session.
static DESCRIBED: WaitQueue = WaitQueue::new();
/// Whether a bridge has ever described the session: outputs first, input devices last.
static IS_DESCRIBED: AtomicBool = AtomicBool::new(false);
/// Whether the first bridge was said hello to.
static HAS_GREETED: AtomicBool = AtomicBool::new(false);
/// Whether clients have to wait until the bridge has taken some of what waits for it.
static IS_CONGESTED: AtomicBool = AtomicBool::new(false);
/// When the poller has to look at the display, in monotonic nanoseconds; `u64::MAX` = not at all.
static DEADLINE: AtomicU64 = AtomicU64::new(u64::MAX);
static READER: Once<(Arc<WaitQueue>, Arc<ChannelReader>)> = Once::new();

fn milliseconds(now: u64) -> u32 {
    // Wayland's times are 32-bit milliseconds that wrap.
    u32::try_from((now / 1_000_000) & 0xffff_ffff).unwrap_or(0)
}

impl Core {
    /// Sends to the bridge and gives clients their events.
    fn settle(&mut self) {
        while let Some(channel) = &self.channel {
            let Some(message) = self.display.take_channel() else { break };
            match channel.send(&[&message.bytes], message.handle.as_deref(), false) {
                Ok(_) => {}
                Err(Errno::EINTR) => self.display.put_back(message),
                Err(Errno::EAGAIN) => {
                    self.display.put_back(message);
                    if let Some((queue, _)) = READER.get() {
                        poller::wait_handle(channel, poller::OUT, queue);
                    }
                    break;
                }
                // The bridge is gone. A new one asks for everything again.
                Err(_) => self.channel = None,
            }
        }
        if self.channel.is_none() {
            self.display.bridge_lost();
        }
        for id in self.display.take_ready() {
            let (bytes, files) = self.display.take_events(id, usize::MAX);
            let Some(conduit) = self.clients.get(&id.0) else { continue };
            let mut attachment = Attachment { files: files.into(), ..Attachment::default() };
            let mut source = Source::Kernel(&bytes, 0);
            let written = conduit.write(&mut source, &mut attachment);
            if written.is_none_or(|w| w.is_err()) || source.left() > 0 {
                // It reads no more: let it go.
                self.drop_client(id);
            }
        }
    }

    fn drop_client(&mut self, id: ClientId) {
        self.display.disconnect(id);
        if let Some(conduit) = self.clients.remove(&id.0) {
            conduit.end(false, Poll::HUP);
        }
    }
}

/// Runs `f` on the server, and then whatever follows from it.
fn with_core<R>(f: impl FnOnce(&mut Core, u32) -> R) -> Option<R> {
    let core = CORE.get()?;
    let now = clock::now();
    let (result, lent, timeout) = {
        let mut core = core.lock();
        let result = f(&mut core, milliseconds(now));
        core.settle();
        let is_congested = core.display.is_congested();
        if IS_CONGESTED.swap(is_congested, Ordering::SeqCst) && !is_congested {
            // Every one may have been told to wait.
            core.clients.values().for_each(|client| client.wake_reader(Poll::OUT | Poll::WRNORM));
        }
        (result, core::mem::take(&mut core.lent), core.display.next_timeout())
    };
    let deadline = timeout.map_or(u64::MAX, |ms| now.saturating_add(u64::from(ms) * 1_000_000));
    // The poller learns of a sooner deadline at once, of a later one when it looks.
    if DEADLINE.fetch_min(deadline, Ordering::SeqCst) > deadline {
        poller::kick();
    }
    selection::handle(lent);
    Some(result)
}

/// When [`tick`] has something to do.
pub(super) fn next_deadline() -> Option<u64> {
    Some(DEADLINE.load(Ordering::SeqCst)).filter(|at| *at != u64::MAX)
}

/// Lets time pass for the display; called by the poller.
pub(super) fn tick() {
    if next_deadline().is_some_and(|at| at <= clock::now()) {
        DEADLINE.store(u64::MAX, Ordering::SeqCst);
        with_core(|core, now| core.display.tick(now));
    }
}

/// Pieces of a paste are written to the app's file.
pub(super) fn transfer_written(transfer: u32, pieces: u32) {
    with_core(|core, _| core.display.transfer_written(transfer, pieces));
}

/// Nobody reads the app's file any more.
pub(super) fn transfer_unread(transfer: u32) {
    with_core(|core, _| core.display.transfer_unread(&mut core.lent, transfer));
}

/// Whether the host takes more of what an app writes for it.
pub(super) fn may_collect(transfer: u32) -> bool {
    with_core(|core, _| core.display.may_collect(transfer)).unwrap_or(false)
}

/// Bytes that an app wrote for the host.
pub(super) fn transfer_data(transfer: u32, bytes: &[u8], last: bool) {
    with_core(|core, _| core.display.transfer_data(transfer, bytes, last));
}

/// Reads the channel when the poller says that there is something.
struct ChannelReader;

impl Notify for ChannelReader {
    fn notify(&self) {
        let was_described = IS_DESCRIBED.load(Ordering::Acquire);
        with_core(|core, now| {
            let Some(channel) = core.channel.clone() else { return };
            loop {
                match channel.receive(&mut core.buffer, &mut [], false) {
                    Ok((0, _)) => {
                        core.channel = None;
                        return;
                    }
                    Ok((len, handle)) => {
                        let bytes = core.buffer.get(..len).unwrap_or(&[]);
                        let described = matches!(Message::decode(bytes), Ok(Message::Seat(..)));
                        // A message that cannot be understood has no effect.
                        let _ =
                            core.display.channel_message(&mut core.lent, bytes, handle.map(Arc::new), now);
                        IS_DESCRIBED.fetch_or(described, Ordering::Release);
                    }
                    Err(Errno::EAGAIN) => break,
                    Err(Errno::EINTR) => {}
                    Err(_) => {
                        core.channel = None;
                        return;
                    }
                }
            }
            if let Some((queue, _)) = READER.get() {
                poller::wait_handle(&channel, poller::IN, queue);
            }
        });
        if !was_described && IS_DESCRIBED.load(Ordering::Acquire) {
            DESCRIBED.wake();
        }
    }
}

/// Says hello to the bridge, once. The monitor starts it when there is something for it.
fn greet(core: &mut Core) {
    if HAS_GREETED.swap(true, Ordering::Relaxed) {
        return;
    }
    let mut bytes = [0; 64];
    let hello = Message::Hello(Hello { version: u32::from(VERSION), features: 0, ..Default::default() }, &[]);
    if let (Some(len), Some(channel)) = (hello.encode(&mut bytes), &core.channel) {
        // A full channel has something in it already.
        let _ = channel.send(&[bytes.get(..len).unwrap_or(&[])], None, false);
    }
}

/// Starts the display server with this channel to a bridge. `waits`: no session shows it yet, so that apps need not wait
/// for a bridge either.
pub(super) fn init(channel: Handle, waits: bool) {
    let core = Core {
        display: Display::new(),
        lent: Lent::default(),
        channel: None,
        clients: BTreeMap::new(),
        buffer: alloc::vec![0; MAX_MESSAGE],
    };
    let _ = CORE.set(Mutex::new(core));
    if waits {
        with_core(|core, _| core.display.go_on_alone());
        IS_DESCRIBED.store(true, Ordering::Release);
    }
    let reader = Arc::new(ChannelReader);
    let queue = Arc::new(WaitQueue::new());
    let weak: Weak<ChannelReader> = Arc::downgrade(&reader);
    // For as long as the family lives.
    let _ = queue.subscribe(weak);
    let _ = READER.set((queue, reader));
    replace_channel(channel);
}

/// A bridge was started again: from now on this is the channel. The new bridge greets, which makes the server tell
/// everything again.
pub(super) fn replace_channel(channel: Handle) {
    let channel = Arc::new(channel);
    let old = with_core(|core, _| {
        // What waits is for the bridge that is gone.
        core.display.bridge_lost();
        core.channel.replace(channel.clone())
    });
    let old = old.flatten();
    if let Some(old) = old {
        poller::forget(&old);
    }
    if let Some((queue, _)) = READER.get() {
        poller::wait_handle(&channel, poller::IN, queue);
    }
}

/// A client's connection to the display server.
pub struct DisplayClient {
    id: ClientId,
    events: Arc<Conduit>,
}

/// A program maps this library: if it is the one by which clients connect, the bridge starts now, while the program is
/// still being loaded, and not when it connects and waits. A client without that library only waits longer.
pub fn expect(library: &[u8]) {
    if library.starts_with(b"libwayland-client.so") && !HAS_GREETED.load(Ordering::Relaxed) {
        with_core(|core, _| greet(core));
    }
}

/// Whether there is a display.
#[must_use]
pub fn is_there() -> bool {
    CORE.get().is_some()
}

/// Connects a client; its events go into `events`. Waits for a bridge to describe the session, because before that the
/// server knows no outputs and no input devices.
///
/// # Errors
/// `ECONNREFUSED` if there is no display; `ERESTARTSYS` when interrupted.
pub fn connect(thread: &Thread, events: &Arc<Conduit>) -> Result<DisplayClient> {
    if !IS_DESCRIBED.load(Ordering::Acquire) {
        with_core(|core, _| greet(core));
        let deadline = Some(clock::now().saturating_add(GREETING));
        let described = || IS_DESCRIBED.load(Ordering::Acquire).then_some(Ok(()));
        match wait::block(thread, &[&DESCRIBED], deadline, described) {
            Ok(()) => {}
            // The session is there but no bridge: the app goes on, and is shown when one comes.
            Err(Errno::ETIMEDOUT) => {
                with_core(|core, _| core.display.go_on_alone());
                IS_DESCRIBED.store(true, Ordering::Release);
            }
            Err(error) => return Err(error),
        }
    }
    events.set_limit(MAX_EVENTS);
    let id = with_core(|core, _| {
        if core.clients.len() >= MAX_CLIENTS {
            return None;
        }
        let id = core.display.connect();
        core.clients.insert(id.0, events.clone());
        Some(id)
    });
    Ok(DisplayClient { id: id.flatten().ok_or(Errno::ECONNREFUSED)?, events: events.clone() })
}

impl DisplayClient {
    /// Whether a send would do something now.
    #[must_use]
    pub fn has_room(&self) -> bool {
        !IS_CONGESTED.load(Ordering::SeqCst)
    }

    /// Runs the requests in `bytes`, with the files that came with them. `None` = not now: the bridge has too much to
    /// take already.
    ///
    /// # Errors
    /// `EPIPE` when the client has been disconnected.
    pub fn send(&self, thread: &Thread, bytes: &[u8], files: &mut Vec<Arc<OpenFile>>) -> Option<Result<()>> {
        with_core(|core, now| {
            if !core.clients.contains_key(&self.id.0) {
                return Some(Err(Errno::EPIPE));
            }
            if core.display.is_congested() {
                return None;
            }
            let mut files: VecDeque<Arc<OpenFile>> = core::mem::take(files).into();
            let received = core.display.receive(&mut core.lent, self.id, bytes, &mut files, now);
            copies::copy(thread, core.display.take_copies());
            if received.is_err() {
                // The error event for it goes first.
                core.settle();
                core.drop_client(self.id);
            }
            Some(Ok(()))
        })
        .unwrap_or(Some(Err(Errno::EPIPE)))
    }

    /// The client's socket is closed: its windows vanish.
    pub fn close(&self) {
        with_core(|core, _| core.drop_client(self.id));
        self.events.refuse();
    }
}
