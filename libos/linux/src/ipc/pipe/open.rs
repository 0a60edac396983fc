//! Making pipes: pipe(2), and opening FIFOs.

use super::{Pipe, PipeEnd};
use crate::call::Call;
use crate::fs::file::flags;
use crate::fs::{FileOps, OpenFile};
use crate::ipc::{next_inode, time_of_day};
use crate::task::Thread;
use crate::{Errno, Result, wait};
use alloc::sync::Arc;
use postern_pal::user;

/// What the file system keeps for a FIFO node: the pipe of those who have it open.
pub struct Fifo {
    pipe: Arc<Pipe>,
}

impl Fifo {
    /// For a new FIFO.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self { pipe: Pipe::new() })
    }
}

/// Opens a FIFO with open(2) `flags`, waiting for the other end as open does. `node` answers fstat.
///
/// # Errors
/// `ENXIO` for a writer that must not wait while there is no reader; `ERESTARTSYS` when interrupted.
pub fn open_fifo(
    fifo: &Fifo,
    node: Arc<dyn FileOps>,
    thread: &Thread,
    status: u32,
) -> Result<Arc<dyn FileOps>> {
    let access = status & flags::O_ACCMODE;
    if access == flags::O_ACCMODE {
        return Err(Errno::EINVAL);
    }
    let reads = access != flags::O_WRONLY;
    let writes = access != 0;
    let nonblocking = status & flags::O_NONBLOCK != 0;
    let pipe = fifo.pipe.clone();
    let (reader_opens, writer_opens, alone) = {
        let mut state = pipe.state.lock();
        if writes && !reads && nonblocking && state.readers == 0 {
            return Err(Errno::ENXIO);
        }
        if reads {
            state.readers += 1;
            state.reader_opens += 1;
        }
        if writes {
            state.writers += 1;
            state.writer_opens += 1;
        }
        let alone = if reads { state.writers == 0 } else { state.readers == 0 };
        (state.reader_opens, state.writer_opens, alone)
    };
    pipe.wake_all();
    let writers_seen = if reads && nonblocking && alone { writer_opens } else { 0 };
    let end = PipeEnd {
        pipe,
        reads,
        writes,
        node: Some(node),
        writers_seen,
        ino: 0,
        created: [0; 2],
        owner: [0; 2],
    };
    if alone && !nonblocking && !(reads && writes) {
        let queue = if reads { &end.pipe.readable } else { &end.pipe.writable };
        let waited = wait::block(thread, &[queue], None, || {
            let state = end.pipe.state.lock();
            let came =
                if reads { state.writer_opens != writer_opens } else { state.reader_opens != reader_opens };
            came.then_some(Ok(()))
        });
        if let Err(error) = waited {
            // No OpenFile was made, so nothing else takes the count back.
            let mut state = end.pipe.state.lock();
            let count = if reads { &mut state.readers } else { &mut state.writers };
            *count = count.saturating_sub(1);
            drop(state);
            end.pipe.wake_all();
            return Err(error);
        }
    }
    Ok(Arc::new(end))
}

/// Opens the pipe behind `ops` once more with open(2) `status`: what opening `/proc/PID/fd/N` of one does. `None` if it
/// is no pipe.
///
/// # Errors
/// `ENXIO` for a writer that must not wait while there is no reader.
pub fn reopen(ops: &dyn FileOps, status: u32) -> Option<Result<Arc<OpenFile>>> {
    let end = ops.as_any().downcast_ref::<PipeEnd>()?;
    let access = status & flags::O_ACCMODE;
    let (reads, writes) = (access != flags::O_WRONLY, access != 0);
    {
        let mut state = end.pipe.state.lock();
        if writes && !reads && status & flags::O_NONBLOCK != 0 && state.readers == 0 {
            return Some(Err(Errno::ENXIO));
        }
        state.readers += u32::from(reads);
        state.reader_opens += u64::from(reads);
        state.writers += u32::from(writes);
        state.writer_opens += u64::from(writes);
    }
    end.pipe.wake_all();
    let (pipe, node) = (end.pipe.clone(), end.node.clone());
    let again = PipeEnd { pipe, reads, writes, node, writers_seen: 0, ..*end };
    Some(Ok(OpenFile::new(Arc::new(again), status)))
}

/// Both ends of a new pipe: the reading and the writing one.
#[must_use]
pub fn pair(status: u32, owner: [u32; 2]) -> (Arc<OpenFile>, Arc<OpenFile>) {
    let pipe = Pipe::new();
    {
        let mut state = pipe.state.lock();
        state.readers = 1;
        state.writers = 1;
        state.reader_opens = 1;
        state.writer_opens = 1;
    }
    let (ino, created) = (next_inode(), time_of_day());
    let end = |reads: bool| {
        let pipe = pipe.clone();
        let end = PipeEnd { pipe, reads, writes: !reads, node: None, writers_seen: 0, ino, created, owner };
        // Only writing makes packets.
        let status = if reads { status & !flags::O_DIRECT } else { status | flags::O_WRONLY };
        OpenFile::new(Arc::new(end), status)
    };
    (end(true), end(false))
}

fn make(call: &Call<'_>, status: u32) -> Result<u64> {
    let known = flags::O_CLOEXEC | flags::O_NONBLOCK | flags::O_DIRECT;
    if status & !known != 0 {
        return Err(Errno::EINVAL);
    }
    let process = call.process();
    let owner = {
        let identity = process.identity.lock();
        [identity.fsuid, identity.fsgid]
    };
    let close_on_exec = status & flags::O_CLOEXEC != 0;
    let (reader, writer) = pair(status & !flags::O_CLOEXEC, owner);
    let first = process.add_file(reader, close_on_exec)?;
    let second =
        process.add_file(writer, close_on_exec).inspect_err(|_| drop(process.files.remove(first)))?;
    if let Err(error) = user::write(call.word(0), &[first, second]) {
        drop(process.files.remove(first));
        drop(process.files.remove(second));
        return Err(error);
    }
    Ok(0)
}

/// pipe(2).
///
/// # Errors
/// `EMFILE`, `EFAULT`.
pub fn pipe(call: &mut Call<'_>) -> Result<u64> {
    make(call, 0)
}

/// pipe2(2).
///
/// # Errors
/// `EINVAL` for unknown flags, `EMFILE`, `EFAULT`.
pub fn pipe2(call: &mut Call<'_>) -> Result<u64> {
    make(call, call.uint(1))
}
