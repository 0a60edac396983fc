//! Pipes and FIFOs: pipe(7), fifo(7).

mod open;
mod packets;

pub use open::{Fifo, open_fifo, pair, pipe, pipe2, reopen};

use super::ring::Ring;
use super::{DEV_PIPE, anonymous_metadata};
use crate::fs::file::{flags, mode};
use crate::fs::{FileOps, Metadata, OpenFile, Poll};
use crate::io::{Sink, Source};
use crate::task::Thread;
use crate::wait::{self, WaitQueue};
use crate::{Errno, Mutex, Result, signal};
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::any::Any;
use packets::Packets;
use postern_pal::MutexGuard;
use postern_pal::user;

/// Writes of at most this many bytes are not mixed with others' (`PIPE_BUF`).
pub const PIPE_BUF: usize = 4096;
const DEFAULT_CAPACITY: usize = 65536;
/// `/proc/sys/fs/pipe-max-size`.
pub const MAX_CAPACITY: usize = 1 << 20;
const SIGPIPE: u32 = 13;
const FIONREAD: u32 = 0x541b;

struct State {
    ring: Ring,
    /// Where packets begin and end, while there are any.
    packets: Option<Box<Packets>>,
    capacity: usize,
    readers: u32,
    writers: u32,
    /// How often an end was opened: opening a FIFO waits for a change of the other's count.
    reader_opens: u64,
    writer_opens: u64,
    /// Whether a writer may want to hear of each read (`O_ASYNC`).
    tells_writers: bool,
}

impl State {
    /// Bytes that still fit.
    #[inline]
    fn room(&self) -> usize {
        match &self.packets {
            None => self.capacity.saturating_sub(self.ring.len()),
            Some(packets) => self.capacity.saturating_sub(packets.occupied()),
        }
    }

    /// Moves bytes to `sink` up to the end of a packet.
    fn drain_packets(&mut self, sink: &mut Sink<'_>) -> Result<usize> {
        let Some(packets) = &mut self.packets else { return Ok(0) };
        let wanted = packets.readable(sink.left());
        let count = self.ring.drain(sink, wanted)?;
        let dropped = packets.take(count);
        self.ring.skip(dropped);
        if packets.is_empty() {
            self.packets = None;
        }
        Ok(count)
    }

    /// Takes bytes from `source`, at most `room` of them, or one packet. Without packets before it is the first one.
    fn fill_packet(&mut self, source: &mut Source<'_>, room: usize, as_packet: bool) -> Result<usize> {
        let held = self.ring.len();
        let count = self.ring.fill(source, if as_packet { room.min(PIPE_BUF) } else { room })?;
        if as_packet || self.packets.is_some() {
            self.packets.get_or_insert_with(|| Box::new(Packets::after(held))).add(count, as_packet);
        }
        Ok(count)
    }
}

/// The shared part of a pipe.
pub struct Pipe {
    state: Mutex<State>,
    readable: WaitQueue,
    writable: WaitQueue,
}

impl Pipe {
    fn new() -> Arc<Self> {
        let state = State {
            ring: Ring::new(),
            packets: None,
            capacity: DEFAULT_CAPACITY,
            readers: 0,
            writers: 0,
            reader_opens: 0,
            writer_opens: 0,
            tells_writers: false,
        };
        Arc::new(Self { state: Mutex::new(state), readable: WaitQueue::new(), writable: WaitQueue::new() })
    }

    fn wake_all(&self) {
        self.readable.wake_after_lock();
        self.writable.wake_after_lock();
    }
}

/// One open end of a pipe (both ends for a FIFO opened for reading and writing).
pub struct PipeEnd {
    pipe: Arc<Pipe>,
    reads: bool,
    writes: bool,
    /// The FIFO it was opened by; `None` for pipe(2).
    node: Option<Arc<dyn FileOps>>,
    /// Writers that had been there when the end was opened: no hang-up is reported before one more came and left.
    writers_seen: u64,
    ino: u64,
    created: [i64; 2],
    owner: [u32; 2],
}

impl PipeEnd {
    fn try_read(&self, sink: &mut Sink<'_>) -> Option<Result<usize>> {
        let mut state = self.pipe.state.lock();
        let before = state.ring.len();
        if before == 0 {
            return (state.writers == 0).then_some(Ok(0));
        }
        if state.packets.is_some() || state.tells_writers {
            return Some(self.read_specially(state, sink));
        }
        let result = state.ring.drain(sink, usize::MAX);
        let (capacity, after) = (state.capacity, state.ring.len());
        drop(state);
        // A writer only ever waits for PIPE_BUF bytes or less.
        if capacity.saturating_sub(before) < PIPE_BUF && capacity.saturating_sub(after) >= PIPE_BUF {
            self.wake_writers();
        }
        Some(result)
    }

    /// Reads where packets are, or where signals tell of each read.
    #[cold]
    fn read_specially(&self, mut state: MutexGuard<'_, State>, sink: &mut Sink<'_>) -> Result<usize> {
        let before = state.room();
        let result = if state.packets.is_some() {
            state.drain_packets(sink)
        } else {
            state.ring.drain(sink, usize::MAX)
        };
        let tells = state.tells_writers || (before < PIPE_BUF && state.room() >= PIPE_BUF);
        drop(state);
        if tells {
            self.wake_writers();
        }
        result
    }

    fn wake_writers(&self) {
        self.pipe.writable.wake_after_lock_for(Poll::OUT);
        if self.writes {
            self.pipe.readable.wake_after_lock_for(Poll::OUT);
        }
    }

    /// One step of a write of `total` bytes of which `done` are written: `None` = must wait.
    fn try_write(
        &self,
        source: &mut Source<'_>,
        total: usize,
        done: &mut usize,
        as_packets: bool,
    ) -> Option<Result<usize>> {
        let mut state = self.pipe.state.lock();
        if state.readers == 0 {
            return Some(Err(Errno::EPIPE));
        }
        if as_packets || state.packets.is_some() {
            drop(state);
            return self.write_packets(source, total, done, as_packets);
        }
        let room = state.capacity.saturating_sub(state.ring.len());
        if room == 0 || (total <= PIPE_BUF && room < total - *done) {
            return None;
        }
        let result = state.ring.fill(source, room);
        drop(state);
        match result {
            Ok(count) => *done += count,
            Err(error) => return Some(if *done > 0 { Ok(*done) } else { Err(error) }),
        }
        self.pipe.readable.wake_after_lock_for(Poll::IN);
        (source.left() == 0).then_some(Ok(*done))
    }

    /// [`PipeEnd::try_write`] of packets, or behind some.
    #[cold]
    fn write_packets(
        &self,
        source: &mut Source<'_>,
        total: usize,
        done: &mut usize,
        as_packets: bool,
    ) -> Option<Result<usize>> {
        loop {
            let mut state = self.pipe.state.lock();
            if state.readers == 0 {
                return Some(Err(Errno::EPIPE));
            }
            let room = state.room();
            let needed = match as_packets {
                true => PIPE_BUF,
                false if total <= PIPE_BUF => total - *done,
                false => 1,
            };
            if room < needed {
                return None;
            }
            let result = state.fill_packet(source, room, as_packets);
            drop(state);
            match result {
                Ok(count) => *done += count,
                Err(error) => return Some(if *done > 0 { Ok(*done) } else { Err(error) }),
            }
            self.pipe.readable.wake_after_lock_for(Poll::IN);
            if source.left() == 0 {
                return Some(Ok(*done));
            }
            if !as_packets {
                return None;
            }
        }
    }
}

impl FileOps for PipeEnd {
    fn read(&self, thread: &Thread, file: &OpenFile, sink: &mut Sink<'_>, _: Option<u64>) -> Result<usize> {
        if sink.left() == 0 {
            return Ok(0);
        }
        if let Some(result) = self.try_read(sink) {
            return result;
        }
        if file.is_nonblocking() {
            return Err(Errno::EAGAIN);
        }
        wait::block(thread, &[&self.pipe.readable], None, || self.try_read(sink))
    }

    fn write(
        &self,
        thread: &Thread,
        file: &OpenFile,
        source: &mut Source<'_>,
        _: Option<u64>,
    ) -> Result<usize> {
        let total = source.left();
        if total == 0 {
            return Ok(0);
        }
        let mut done = 0;
        let status = file.status();
        let as_packets = status & flags::O_DIRECT != 0;
        let result = match self.try_write(source, total, &mut done, as_packets) {
            Some(result) => result,
            None if status & flags::O_NONBLOCK != 0 => Err(Errno::EAGAIN),
            None => wait::block(thread, &[&self.pipe.writable], None, || {
                self.try_write(source, total, &mut done, as_packets)
            }),
        };
        if result == Err(Errno::EPIPE) {
            signal::by_own_call(thread, SIGPIPE);
        }
        if done > 0 { Ok(done) } else { result }
    }

    fn poll(&self, _: &OpenFile) -> Poll {
        let state = self.pipe.state.lock();
        let mut ready = Poll::empty();
        if self.reads {
            if !state.ring.is_empty() {
                ready |= Poll::IN | Poll::RDNORM;
            }
            if state.writers == 0 && state.writer_opens != self.writers_seen {
                ready |= Poll::HUP;
            }
        }
        if self.writes {
            if state.room() >= PIPE_BUF {
                ready |= Poll::OUT | Poll::WRNORM;
            }
            if state.readers == 0 {
                ready |= Poll::ERR;
            }
        }
        ready
    }

    fn wait_queue(&self) -> Option<&WaitQueue> {
        Some(if self.reads { &self.pipe.readable } else { &self.pipe.writable })
    }

    fn knows_hurry(&self, _: bool) -> bool {
        true
    }

    fn async_queue(&self) -> Option<&WaitQueue> {
        self.wait_queue()
    }

    fn set_async(&self, on: bool) {
        if on && self.writes {
            self.pipe.state.lock().tells_writers = true;
        }
    }

    fn metadata(&self) -> Result<Metadata> {
        match &self.node {
            Some(node) => node.metadata(),
            None => {
                let mode = mode::S_IFIFO | 0o600;
                Ok(anonymous_metadata(DEV_PIPE, self.ino, mode, self.created, self.owner))
            }
        }
    }

    fn ioctl(&self, _: &Thread, _: &OpenFile, request: u32, argument: usize) -> Result<u64> {
        if request != FIONREAD {
            return Err(Errno::ENOTTY);
        }
        let len = self.pipe.state.lock().ring.len();
        user::write(argument, &i32::try_from(len).unwrap_or(i32::MAX))?;
        Ok(0)
    }

    fn release(&self, _: &OpenFile) {
        let mut state = self.pipe.state.lock();
        if self.reads {
            state.readers = state.readers.saturating_sub(1);
        }
        if self.writes {
            state.writers = state.writers.saturating_sub(1);
        }
        if state.readers == 0 && state.writers == 0 {
            state.ring = Ring::new();
            state.packets = None;
        }
        // Signals tell those who are left alone.
        let is_left = (state.readers == 0) != (state.writers == 0);
        drop(state);
        if is_left {
            self.pipe.readable.wake_after_lock_for(Poll::IN);
            self.pipe.writable.wake_after_lock_for(Poll::OUT);
        } else {
            self.pipe.wake_all();
        }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Whether `ops` is a pipe or FIFO, and its number in `/proc/PID/fd` (`pipe:[N]`) where it has no path.
#[must_use]
pub fn number(ops: &dyn FileOps) -> Option<u64> {
    let end = ops.as_any().downcast_ref::<PipeEnd>()?;
    end.node.is_none().then_some(end.ino)
}

/// Writes what fits at once, without waiting and without SIGPIPE, for the kernel's own use. The outer `None` = no
/// pipe, the inner one = full.
pub(super) fn push(ops: &dyn FileOps, source: &mut Source<'_>) -> Option<Option<Result<usize>>> {
    let end = ops.as_any().downcast_ref::<PipeEnd>()?;
    let mut done = 0;
    // A short write is wanted here, so it counts as longer than PIPE_BUF.
    let result = end.try_write(source, usize::MAX, &mut done, false);
    Some(if done > 0 { Some(Ok(done)) } else { result })
}

/// Reads what is there, without waiting. `None` = nothing yet.
pub(super) fn pull(ops: &dyn FileOps, sink: &mut Sink<'_>) -> Option<Result<usize>> {
    match ops.as_any().downcast_ref::<PipeEnd>() {
        Some(end) => end.try_read(sink),
        None => Some(Err(Errno::EBADF)),
    }
}

/// Whether something can be put into a pipe at all: somebody reads it, and there is room or time to wait for some.
/// Raises SIGPIPE as write(2) does.
///
/// # Errors
/// `EPIPE`; `EAGAIN` if it is full and must not block.
pub fn may_fill(thread: &Thread, file: &OpenFile) -> Result<()> {
    let Some(end) = file.ops.as_any().downcast_ref::<PipeEnd>() else { return Ok(()) };
    let (readers, room) = {
        let state = end.pipe.state.lock();
        (state.readers, state.room())
    };
    if readers == 0 {
        signal::by_own_call(thread, SIGPIPE);
        return Err(Errno::EPIPE);
    }
    if room == 0 && file.is_nonblocking() { Err(Errno::EAGAIN) } else { Ok(()) }
}

/// Whether the two are ends of one pipe.
#[must_use]
pub fn are_one(a: &dyn FileOps, b: &dyn FileOps) -> bool {
    let pipe = |ops: &dyn FileOps| ops.as_any().downcast_ref::<PipeEnd>().map(|end| Arc::as_ptr(&end.pipe));
    pipe(a).is_some_and(|first| pipe(b) == Some(first))
}

/// tee(2): copies up to `len` bytes from one pipe to another, and leaves them in the first.
///
/// # Errors
/// `EINVAL` if they are not two pipes, `EAGAIN`, `EPIPE` (and SIGPIPE), `ERESTARTSYS`.
pub fn tee(thread: &Thread, from: &dyn FileOps, to: &dyn FileOps, len: usize, waits: bool) -> Result<usize> {
    let end = |ops| <dyn FileOps>::as_any(ops).downcast_ref::<PipeEnd>().ok_or(Errno::EINVAL);
    let (from, to) = (end(from)?, end(to)?);
    if Arc::ptr_eq(&from.pipe, &to.pipe) {
        return Err(Errno::EINVAL);
    }
    let step = || {
        let mut bytes = alloc::vec::Vec::new();
        let runs = {
            let state = from.pipe.state.lock();
            if state.ring.is_empty() {
                return (state.writers == 0).then_some(Ok(0));
            }
            bytes.resize(len.min(state.ring.len()), 0);
            if let Err(error) = state.ring.peek(&mut Sink::Kernel(&mut bytes, 0), 0, len) {
                return Some(Err(error));
            }
            state.packets.as_ref().map_or_else(|| Packets::after(bytes.len()), |p| p.first(bytes.len()))
        };
        let (mut start, mut written) = (0, 0);
        for (len, is_packet) in runs.iter() {
            let mut part = Source::Kernel(bytes.get(start..start + len).unwrap_or(&[]), 0);
            let before = written;
            // What fits counts, however little.
            let result = to.try_write(&mut part, usize::MAX, &mut written, is_packet);
            if written == 0 {
                return result;
            }
            start += len;
            if written - before < len {
                break;
            }
        }
        Some(Ok(written))
    };
    let result = match step() {
        Some(result) => result,
        None if !waits => Err(Errno::EAGAIN),
        None => wait::block(thread, &[&from.pipe.readable, &to.pipe.writable], None, step),
    };
    if result == Err(Errno::EPIPE) {
        signal::by_own_call(thread, SIGPIPE);
    }
    result
}

/// fcntl(F_GETPIPE_SZ).
///
/// # Errors
/// `EBADF` if it is no pipe.
pub fn capacity(ops: &dyn FileOps) -> Result<usize> {
    let end = ops.as_any().downcast_ref::<PipeEnd>().ok_or(Errno::EBADF)?;
    Ok(end.pipe.state.lock().capacity)
}

/// fcntl(F_SETPIPE_SZ). Returns the new size: `size` rounded up to a power of two of at least a page.
///
/// # Errors
/// `EBADF` if it is no pipe, `EPERM` above [`MAX_CAPACITY`], `EBUSY` where more is held now, `EINVAL` for 0.
pub fn set_capacity(ops: &dyn FileOps, size: usize) -> Result<usize> {
    let end = ops.as_any().downcast_ref::<PipeEnd>().ok_or(Errno::EBADF)?;
    if size == 0 || size > 1 << 31 {
        return Err(Errno::EINVAL);
    }
    let size = size.max(PIPE_BUF).next_power_of_two();
    if size > MAX_CAPACITY {
        return Err(Errno::EPERM);
    }
    let mut state = end.pipe.state.lock();
    if state.capacity - state.room() > size {
        return Err(Errno::EBUSY);
    }
    state.capacity = size;
    drop(state);
    end.pipe.wake_all();
    Ok(size)
}
