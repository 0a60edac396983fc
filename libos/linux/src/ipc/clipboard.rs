//! Pasting between apps of the family and the host: bytes to and from files that apps gave to the display server.
//! Nothing here waits; what an app does not take or give yet goes on when its pipe says so.

use super::ring::Ring;
use super::unix::UnixSocket;
use super::wayland::{self, Lent};
use super::{pipe, socket::Socket};
use crate::fs::file::mode;
use crate::fs::{FileOps, Mapping, Metadata, OpenFile};
use crate::io::{Sink, Source};
use crate::task::Thread;
use crate::wait::Notify;
use crate::{Errno, Mutex, Result};
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::{AtomicU64, Ordering};
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

/// A paste on its way into an app's file.
struct Paste {
    file: Arc<OpenFile>,
    state: Mutex<PasteState>,
    place: AtomicU64,
}

#[derive(Default)]
struct PasteState {
    left: Ring,
    last: bool,
    failed: bool,
}

static PASTES: Mutex<Vec<Arc<Paste>>> = Mutex::new(Vec::new());

impl Paste {
    /// Writes what the file takes. Returns whether all is done.
    fn pump(&self) -> bool {
        let mut buf = alloc::vec![0; CHUNK];
        let mut state = self.state.lock();
        while !state.left.is_empty() {
            let Ok(count) = state.left.peek(&mut Sink::Kernel(&mut buf, 0), 0, CHUNK) else { break };
            match push(&self.file, buf.get(..count).unwrap_or(&[])) {
                Some(Ok(count)) if count > 0 => state.left.skip(count),
                Some(_) => {
                    state.failed = true;
                    break;
                }
                None => break,
            }
        }
        state.failed || (state.last && state.left.is_empty())
    }

    fn finish(self: &Arc<Self>) {
        let removed = {
            let mut pastes = PASTES.lock();
            let at = pastes.iter().position(|p| Arc::ptr_eq(p, self));
            at.map(|at| pastes.swap_remove(at))
        };
        if removed.is_some()
            && let Some(queue) = self.file.ops.wait_queue()
        {
            queue.leave(self.place.load(Ordering::Relaxed));
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

fn go_on_pasting(paste: &Arc<Paste>) {
    if paste.pump() {
        paste.finish();
    }
}

fn write(file: &Arc<OpenFile>, bytes: &[u8], last: bool) {
    let known = PASTES.lock().iter().find(|p| Arc::ptr_eq(&p.file, file)).cloned();
    let paste = known.unwrap_or_else(|| {
        let paste = Arc::new(Paste {
            file: file.clone(),
            state: Mutex::new(PasteState::default()),
            place: AtomicU64::new(0),
        });
        PASTES.lock().push(paste.clone());
        keep(file, &paste.place, Resume(Arc::downgrade(&paste), go_on_pasting));
        paste
    });
    {
        let mut state = paste.state.lock();
        state.left.push(bytes);
        state.last |= last;
    }
    go_on_pasting(&paste);
}

/// What to call for a file, for as long as the file lives.
type Callback = (Weak<OpenFile>, Arc<dyn Notify>);

/// Callbacks of files; the queues hold them weakly.
static CALLBACKS: Mutex<Vec<Callback>> = Mutex::new(Vec::new());

fn keep<T: Send + Sync + 'static>(file: &Arc<OpenFile>, place: &AtomicU64, resume: Resume<T>) {
    let Some(queue) = file.ops.wait_queue() else { return };
    let callback = Arc::new(resume);
    let weak: Weak<Resume<T>> = Arc::downgrade(&callback);
    place.store(queue.subscribe(weak), Ordering::Relaxed);
    let mut callbacks = CALLBACKS.lock();
    callbacks.retain(|(file, _)| file.strong_count() > 0);
    callbacks.push((Arc::downgrade(file), callback));
}

/// What an app writes for a paste of the host.
struct Collection {
    transfer: u32,
    file: Arc<OpenFile>,
    place: AtomicU64,
}

static COLLECTIONS: Mutex<Vec<Arc<Collection>>> = Mutex::new(Vec::new());

fn go_on_collecting(collection: &Arc<Collection>) {
    let mut buf = alloc::vec![0; CHUNK];
    loop {
        match pipe::pull(&*collection.file.ops, &mut Sink::Kernel(&mut buf, 0)) {
            Some(Ok(count)) if count > 0 => {
                wayland::transfer_data(collection.transfer, buf.get(..count).unwrap_or(&[]), false);
            }
            None => return,
            Some(_) => break,
        }
    }
    let removed = {
        let mut all = COLLECTIONS.lock();
        let at = all.iter().position(|c| Arc::ptr_eq(c, collection));
        at.map(|at| all.swap_remove(at))
    };
    // Only who takes it off the list tells the end.
    if removed.is_some() {
        if let Some(queue) = collection.file.ops.wait_queue() {
            queue.leave(collection.place.load(Ordering::Relaxed));
        }
        wayland::transfer_data(collection.transfer, &[], true);
    }
}

/// Does what the display server asked for.
pub(super) fn handle(lent: Lent) {
    for (file, bytes, last) in &lent.writes {
        write(file, bytes, *last);
    }
    for (transfer, file) in lent.collects {
        let collection = Arc::new(Collection { transfer, file: file.clone(), place: AtomicU64::new(0) });
        COLLECTIONS.lock().push(collection.clone());
        keep(&file, &collection.place, Resume(Arc::downgrade(&collection), go_on_collecting));
    }
}
