//! Pseudo-terminals: pty(7), `/dev/ptmx` and `/dev/pts`.

use super::{MAX_OUTPUT, Slave, Tty, ioctl, job};
use crate::fs::file::{flags, mode};
use crate::fs::{FileOps, Metadata, OpenFile, Poll, sigio};
use crate::io::{Sink, Source};
use crate::ipc::anonymous_metadata;
use crate::task::{Process, Thread};
use crate::wait::{self, WaitQueue};
use crate::{Errno, Result};
use alloc::sync::Arc;
use core::any::Any;

/// Packet mode: input was flushed.
pub const FLUSH_READ: u8 = 1;
/// Packet mode: output was flushed.
pub const FLUSH_WRITE: u8 = 2;
/// Packet mode: output stopped.
pub const STOP: u8 = 4;
/// Packet mode: output started again.
pub const START: u8 = 8;
/// Bytes that the master passes on at a time.
const CHUNK: usize = 1024;
/// `/dev/ptmx`: major 5, minor 2.
const PTMX: u64 = 0x502;

/// The master of a pseudo-terminal.
pub struct Master {
    pub(super) tty: Arc<Tty>,
}

impl Master {
    fn try_read(&self, sink: &mut Sink<'_>) -> Option<Result<usize>> {
        let mut state = self.tty.state.lock();
        let mut extra = 0;
        if state.packet {
            let status = core::mem::take(&mut state.packet_status);
            if status != 0 {
                return Some(sink.put(&[status]));
            }
            if !state.output.is_empty() {
                extra = match sink.put(&[0]) {
                    Ok(count) => count,
                    Err(error) => return Some(Err(error)),
                };
            }
        }
        let before = state.output.len();
        if before == 0 {
            return state.slave_closed.then_some(Err(Errno::EIO));
        }
        let result = state.output.drain(sink, usize::MAX);
        let crossed = before > MAX_OUTPUT / 2 && state.output.len() <= MAX_OUTPUT / 2;
        drop(state);
        if crossed {
            self.tty.queue.wake();
        }
        Some(result.map(|count| count + extra))
    }

    fn try_write(&self, source: &mut Source<'_>, done: &mut usize) -> Option<Result<()>> {
        while source.left() > 0 {
            let room = self.tty.state.lock().discipline.room();
            if room == 0 {
                return None;
            }
            let bytes = match source.take_vec(room.min(CHUNK)) {
                Ok(bytes) => bytes,
                Err(error) => return Some(Err(error)),
            };
            if bytes.is_empty() {
                break;
            }
            *done += bytes.len();
            self.tty.input(&bytes);
        }
        Some(Ok(()))
    }
}

impl FileOps for Master {
    fn read(&self, thread: &Thread, file: &OpenFile, sink: &mut Sink<'_>, _: Option<u64>) -> Result<usize> {
        if sink.left() == 0 {
            return Ok(0);
        }
        match self.try_read(sink) {
            Some(result) => result,
            None if file.is_nonblocking() => Err(Errno::EAGAIN),
            None => wait::block(thread, &[&self.tty.master], None, || self.try_read(sink)),
        }
    }

    fn write(
        &self,
        thread: &Thread,
        file: &OpenFile,
        source: &mut Source<'_>,
        _: Option<u64>,
    ) -> Result<usize> {
        let mut done = 0;
        let result = match self.try_write(source, &mut done) {
            Some(result) => result,
            None if file.is_nonblocking() => Err(Errno::EAGAIN),
            None => wait::block(thread, &[&self.tty.master], None, || self.try_write(source, &mut done)),
        };
        match result {
            Err(error) if done == 0 => Err(error),
            _ => Ok(done),
        }
    }

    fn poll(&self, _: &OpenFile) -> Poll {
        let state = self.tty.state.lock();
        let mut ready = Poll::empty();
        if !state.output.is_empty() {
            ready |= Poll::IN | Poll::RDNORM;
        }
        if state.packet && state.packet_status != 0 {
            ready |= Poll::IN | Poll::RDNORM | Poll::PRI;
        }
        if state.slave_closed {
            ready |= Poll::HUP;
        }
        if state.discipline.room() > 0 {
            ready |= Poll::OUT | Poll::WRNORM;
        }
        ready
    }

    fn wait_queue(&self) -> Option<&WaitQueue> {
        Some(&self.tty.master)
    }

    fn async_queue(&self) -> Option<&WaitQueue> {
        Some(&self.tty.master)
    }

    fn default_owner(&self, by: &Process) -> Option<(sigio::Kind, u32)> {
        Some((sigio::Kind::Process, by.pid))
    }

    fn metadata(&self) -> Result<Metadata> {
        let mut metadata =
            anonymous_metadata(super::DEV_PTS, 2, mode::S_IFCHR | 0o666, self.tty.created, [0, 0]);
        metadata.rdev = PTMX;
        Ok(metadata)
    }

    fn ioctl(&self, thread: &Thread, _: &OpenFile, request: u32, argument: usize) -> Result<u64> {
        ioctl::master(self, thread, request, argument)
    }

    fn release(&self, _: &OpenFile) {
        self.tty.forget();
        self.tty.hang_up();
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Opens `/dev/ptmx`: a new pseudo-terminal, locked until `TIOCSPTLCK` unlocks it.
///
/// # Errors
/// None.
pub fn open_ptmx(thread: &Thread, _status: u32) -> Result<Arc<dyn FileOps>> {
    let owner = {
        let identity = thread.process.identity.lock();
        [identity.uid, identity.gid]
    };
    Ok(Arc::new(Master { tty: Tty::new(None, true, [0; 4], owner) }))
}

/// Opens `/dev/pts/number` with open(2) flags `status`.
///
/// # Errors
/// `ENOENT`; `EIO` while it is locked or after it hung up; `EBUSY` if somebody wants it alone.
pub fn open_pts(thread: &Thread, number: u32, status: u32) -> Result<Arc<dyn FileOps>> {
    let tty = Tty::by_number(number)?;
    open_slave(&tty, thread, status)
}

pub(super) fn open_slave(tty: &Arc<Tty>, thread: &Thread, status: u32) -> Result<Arc<dyn FileOps>> {
    {
        let state = tty.state.lock();
        if state.locked || state.hung_up {
            return Err(Errno::EIO);
        }
        if state.exclusive {
            return Err(Errno::EBUSY);
        }
    }
    let slave = Slave::open(tty);
    job::acquire_by_open(tty, &thread.process, status);
    Ok(slave)
}

/// Flags of open(2) that `TIOCGPTPEER` takes.
pub(super) const PEER_FLAGS: u32 = flags::O_ACCMODE | flags::O_NOCTTY | flags::O_NONBLOCK | flags::O_CLOEXEC;
