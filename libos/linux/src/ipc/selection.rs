//! Transfers between apps of the family and the host: bytes to and from files that apps gave to the display server.
//! Nothing here waits; what an app does not take or give yet goes on when its pipe says so. Little is kept meanwhile: the
//! display server is told of each piece that is written, and says when a pipe may be read.

use super::ring::Ring;
use super::unix::UnixSocket;
use super::wayland::{self, Errand, Lent};
use super::{pipe, socket::Socket};
use crate::fs::file::mode;
use crate::fs::{FileOps, Mapping, Metadata, OpenFile};
use crate::io::{Sink, Source};
use crate::task::Thread;
use crate::wait::Notify;
use crate::{Errno, Mutex, Result};
use alloc::collections::VecDeque;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use postern_channel::limit;
use postern_pal::handle::Handle;

/// Bytes moved at a time.
const CHUNK: usize = 4096;

/// A file that shows memory of the host, read-only: the keymap.
struct SharedMemory {
    handle: Arc<Handle>,
    size: u64,
}

impl FileOps for SharedMemory {
    fn read(&self, _: &Thread, _: &OpenFile, sink: &mut Sink<'_>, offset: Option<u64>) -> Result<usize> {
        let mut at = offset.unwrap_or(0);
        let mut done = 0;
        let mut buf = alloc::vec![0; CHUNK];
        while at < self.size && sink.left() > 0 {
            let want = usize::try_from(self.size - at).unwrap_or(CHUNK).min(CHUNK).min(sink.left());
            let got = self.handle.read(buf.get_mut(..want).unwrap_or(&mut []), Some(at))?;
            if got == 0 {
                break;
            }
            done += sink.put(buf.get(..got).unwrap_or(&[]))?;
            at += got as u64;
        }
        Ok(done)
    }

    fn is_seekable(&self) -> bool {
        true
    }

    fn metadata(&self) -> Result<Metadata> {
        let mode = mode::S_IFREG | 0o400;
        let mut metadata = super::anonymous_metadata(super::DEV_ANONYMOUS, 2, mode, [0, 0], [0, 0]);
        metadata.size = self.size;
        Ok(metadata)
    }

    fn mapping(&self) -> Result<Mapping> {
        Ok(Mapping::Handle(self.handle.clone()))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// A read-only file of `size` bytes of a host memory handle.
pub(super) fn shared_memory(handle: Arc<Handle>, size: u64) -> Arc<OpenFile> {
    OpenFile::new(Arc::new(SharedMemory { handle, size }), 0)
}

/// Writes what can be written at once; `None` = nothing now.
fn push(file: &OpenFile, bytes: &[u8]) -> Option<Result<usize>> {
    if !file.is_writable() {
        return Some(Err(Errno::EBADF));
    }
    let mut source = Source::Kernel(bytes, 0);
    if let Some(result) = pipe::push(&*file.ops, &mut source) {
        return result;
    }
    let socket = Socket::of(file).ok().and_then(|s| s.ops.as_any().downcast_ref::<UnixSocket>());
    match socket {
        Some(socket) => socket.push(&mut source),
        None => Some(Err(Errno::EINVAL)),
    }
}

/// Lets one thread at a time do something that several want done; whoever comes meanwhile has it done once more.
#[derive(Default)]
struct Turn(AtomicU32);

impl Turn {
    const IDLE: u32 = 0;
    const RUNNING: u32 = 1;
    const AGAIN: u32 = 2;

    fn run(&self, mut what: impl FnMut()) {
        if self.0.swap(Self::AGAIN, Ordering::AcqRel) != Self::IDLE {
            return;
        }
        loop {
            self.0.store(Self::RUNNING, Ordering::Release);
            what();
            let done =
                self.0.compare_exchange(Self::RUNNING, Self::IDLE, Ordering::AcqRel, Ordering::Acquire);
            if done.is_ok() {
                return;
            }
        }
    }
}

/// Wakes a paste or a collection when its file can go on.
struct Resume<T: Send + Sync>(Weak<T>, fn(&Arc<T>));

impl<T: Send + Sync> Notify for Resume<T> {
    fn notify(&self) {
        if let Some(what) = self.0.upgrade() {
            (self.1)(&what);
        }
    }
}

/// What to call for a file, for as long as the transfer lasts: the queue holds it weakly.
struct Callback {
    notify: Mutex<Option<Arc<dyn Notify>>>,
    place: AtomicU64,
}

impl Callback {
    fn new() -> Self {
        Self { notify: Mutex::new(None), place: AtomicU64::new(0) }
    }

    fn begin<T: Send + Sync + 'static>(&self, file: &OpenFile, resume: Resume<T>) {
        let Some(queue) = file.ops.wait_queue() else { return };
        let notify = Arc::new(resume);
        let weak: Weak<Resume<T>> = Arc::downgrade(&notify);
        *self.notify.lock() = Some(notify);
        self.place.store(queue.subscribe(weak), Ordering::Relaxed);
    }

    fn end(&self, file: &OpenFile) {
        let was_there = self.notify.lock().take();
        if was_there.is_some()
            && let Some(queue) = file.ops.wait_queue()
        {
            queue.leave(self.place.load(Ordering::Relaxed));
        }
    }
}

/// Takes what `is_it` says off a list.
fn remove<T>(list: &Mutex<Vec<Arc<T>>>, is_it: impl Fn(&T) -> bool) -> Option<Arc<T>> {
    let mut list = list.lock();
    let at = list.iter().position(|one| is_it(one))?;
    Some(list.swap_remove(at))
}

/// A paste on its way into an app's file.
struct Paste {
    transfer: u32,
    file: Arc<OpenFile>,
    state: Mutex<PasteState>,
    callback: Callback,
    turn: Turn,
}

#[derive(Default)]
struct PasteState {
    left: Ring,
    /// Lengths of the pieces that `left` is made of.
    pieces: VecDeque<usize>,
    last: bool,
}

static PASTES: Mutex<Vec<Arc<Paste>>> = Mutex::new(Vec::new());

enum Pumped {
    /// The file takes no more now; so many pieces are written.
    Waits(u32),
    /// All is written.
    Done,
    /// Nobody reads it.
    Unread,
}

impl Paste {
    /// Writes what the file takes.
    fn pump(&self) -> Pumped {
        let mut buf = alloc::vec![0; CHUNK];
        let mut state = self.state.lock();
        let mut written = 0;
        while !state.left.is_empty() {
            let Ok(count) = state.left.peek(&mut Sink::Kernel(&mut buf, 0), 0, CHUNK) else {
                return Pumped::Unread;
            };
            let mut count = match push(&self.file, buf.get(..count).unwrap_or(&[])) {
                Some(Ok(count)) if count > 0 => count,
                Some(_) => return Pumped::Unread,
                None => break,
            };
            state.left.skip(count);
            while let Some(first) = state.pieces.front_mut() {
                if *first > count {
                    *first -= count;
                    break;
                }
                count -= *first;
                state.pieces.pop_front();
                written += 1;
            }
        }
        if state.last && state.left.is_empty() { Pumped::Done } else { Pumped::Waits(written) }
    }

    fn go_on(self: &Arc<Self>) {
        self.turn.run(|| {
            // One that was stopped says nothing more.
            let is_there = PASTES.lock().iter().any(|paste| Arc::ptr_eq(paste, self));
            if !is_there {
                return;
            }
            match self.pump() {
                Pumped::Waits(0) => {}
                Pumped::Waits(pieces) => wayland::transfer_written(self.transfer, pieces),
                Pumped::Done => stop_writing(self.transfer),
                Pumped::Unread => {
                    stop_writing(self.transfer);
                    wayland::transfer_unread(self.transfer);
                }
            }
        });
    }
}

fn write(transfer: u32, file: &Arc<OpenFile>, bytes: &[u8], last: bool) {
    let known = PASTES.lock().iter().find(|paste| paste.transfer == transfer).cloned();
    let paste = known.unwrap_or_else(|| {
        let paste = Arc::new(Paste {
            transfer,
            file: file.clone(),
            state: Mutex::default(),
            callback: Callback::new(),
            turn: Turn::default(),
        });
        PASTES.lock().push(paste.clone());
        paste.callback.begin(file, Resume(Arc::downgrade(&paste), Paste::go_on));
        paste
    });
    {
        let mut state = paste.state.lock();
        if !bytes.is_empty() {
            state.left.push(bytes);
            state.pieces.push_back(bytes.len());
        }
        state.last |= last;
    }
    paste.go_on();
}

fn stop_writing(transfer: u32) {
    if let Some(paste) = remove(&PASTES, |paste| paste.transfer == transfer) {
        paste.callback.end(&paste.file);
    }
}

/// What an app writes for the host.
struct Collection {
    transfer: u32,
    file: Arc<OpenFile>,
    callback: Callback,
    turn: Turn,
}

static COLLECTIONS: Mutex<Vec<Arc<Collection>>> = Mutex::new(Vec::new());

impl Collection {
    /// Reads as much as the host takes and the app has written.
    fn go_on(self: &Arc<Self>) {
        self.turn.run(|| {
            let mut buf = alloc::vec![0; limit::PIECE];
            while wayland::may_collect(self.transfer) {
                match pipe::pull(&*self.file.ops, &mut Sink::Kernel(&mut buf, 0)) {
                    Some(Ok(count)) if count > 0 => {
                        wayland::transfer_data(self.transfer, buf.get(..count).unwrap_or(&[]), false);
                    }
                    None => return,
                    Some(_) => {
                        stop_collecting(self.transfer);
                        wayland::transfer_data(self.transfer, &[], true);
                        return;
                    }
                }
            }
        });
    }
}

fn collect(transfer: u32, file: Arc<OpenFile>) {
    let collection =
        Arc::new(Collection { transfer, file, callback: Callback::new(), turn: Turn::default() });
    COLLECTIONS.lock().push(collection.clone());
    collection.callback.begin(&collection.file, Resume(Arc::downgrade(&collection), Collection::go_on));
    // The app may have been quicker.
    collection.go_on();
}

fn stop_collecting(transfer: u32) {
    if let Some(collection) = remove(&COLLECTIONS, |collection| collection.transfer == transfer) {
        collection.callback.end(&collection.file);
    }
}

/// Does what the display server asked for.
pub(super) fn handle(lent: Lent) {
    for errand in lent.errands {
        match errand {
            Errand::Write(transfer, file, bytes, last) => write(transfer, &file, &bytes, last),
            Errand::StopWriting(transfer) => stop_writing(transfer),
            Errand::Collect(transfer, file) => collect(transfer, file),
            Errand::GoOnCollecting(transfer) => {
                let known = COLLECTIONS.lock().iter().find(|c| c.transfer == transfer).cloned();
                if let Some(collection) = known {
                    collection.go_on();
                }
            }
            Errand::StopCollecting(transfer) => stop_collecting(transfer),
            Errand::Close(file) => drop(file),
        }
    }
}
