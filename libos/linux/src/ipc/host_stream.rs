//! Files that are a host handle: the standard streams that the user redirected.

use super::{next_inode, poller};
use crate::fs::file::mode;
use crate::fs::{FileOps, Metadata, OpenFile, Poll};
use crate::io::{Sink, Source};
use crate::task::Thread;
use crate::wait::{self, WaitQueue};
use crate::{Errno, Result, signal};
use alloc::string::String;
use alloc::sync::Arc;
use core::any::Any;
use postern_pal::handle::{self, Handle, PollEntry, UserRange};

/// Most bytes moved by one host call.
const CHUNK: usize = 1 << 20;
const SIGPIPE: u32 = 13;

/// A host handle with the queue of those who wait for it.
pub struct Watched {
    /// The handle.
    pub handle: Arc<Handle>,
    /// Woken by the poller.
    pub queue: Arc<WaitQueue>,
}

impl Watched {
    /// Watches `handle` on behalf of `queue`.
    #[must_use]
    pub fn new(handle: Arc<Handle>, queue: Arc<WaitQueue>) -> Self {
        Self { handle, queue }
    }

    /// What the host says of the handle now, in the bits of poll(2).
    #[must_use]
    pub fn look(&self, events: i16) -> i16 {
        let mut entry = [PollEntry::new(&self.handle, events)];
        handle::poll(&mut entry, Some(0));
        let [entry] = entry;
        entry.revents
    }

    /// Present readiness; has the poller wake the queue when what is missing comes.
    #[must_use]
    pub fn poll(&self) -> Poll {
        const RDHUP: i16 = 0x2000;
        let found = self.look(poller::IN | poller::OUT | RDHUP);
        let missing = (poller::IN | poller::OUT) & !found;
        if missing != 0 && found & 0x18 == 0 {
            poller::wait_handle(&self.handle, missing, &self.queue);
        }
        let bits = u32::from(found.cast_unsigned());
        let mut ready = Poll::from_bits_truncate(bits);
        if ready.contains(Poll::IN) {
            ready |= Poll::RDNORM;
        }
        if ready.contains(Poll::OUT) {
            ready |= Poll::WRNORM;
        }
        ready
    }

    /// Waits until the handle has one of `events`.
    ///
    /// # Errors
    /// `EAGAIN` if `nonblocking`; `ERESTARTSYS` when interrupted; `ETIMEDOUT` after `deadline`.
    pub fn wait(&self, thread: &Thread, events: i16, nonblocking: bool, deadline: Option<u64>) -> Result<()> {
        if self.look(events) != 0 {
            return Ok(());
        }
        if nonblocking {
            return Err(Errno::EAGAIN);
        }
        wait::block(thread, &[&self.queue], deadline, || {
            if self.look(events) != 0 {
                return Some(Ok(()));
            }
            poller::wait_handle(&self.handle, events, &self.queue);
            None
        })
    }

    /// One read into `sink`.
    ///
    /// # Errors
    /// The host's.
    pub fn read(&self, sink: &mut Sink<'_>) -> Result<usize> {
        match sink {
            Sink::User(ranges) => {
                let count = self.handle.read_user(&ranges.host_ranges(CHUNK), None, 0)?;
                ranges.advance(count);
                Ok(count)
            }
            Sink::Kernel(buf, filled) => {
                let count = self.handle.read(buf.get_mut(*filled..).unwrap_or(&mut []), None)?;
                *filled += count;
                Ok(count)
            }
        }
    }

    /// One write from `source`.
    ///
    /// # Errors
    /// The host's.
    pub fn write(&self, source: &mut Source<'_>) -> Result<usize> {
        match source {
            Source::User(ranges) => {
                let pieces: alloc::vec::Vec<UserRange> = ranges.host_ranges(CHUNK);
                let count = self.handle.write_user(&pieces, None, 0)?;
                ranges.advance(count);
                Ok(count)
            }
            Source::Kernel(bytes, used) => {
                let count = self.handle.write(bytes.get(*used..).unwrap_or(&[]), None)?;
                *used += count;
                Ok(count)
            }
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        poller::forget(&self.handle);
    }
}

/// What kind of file is behind a standard stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A pipe or socket.
    Stream,
    /// A regular file; the offset is the host's, shared with whoever else has the file open.
    File,
    /// `/dev/null` and the like.
    Device,
}

/// A standard stream that is no terminal.
pub struct HostStream {
    watched: Watched,
    kind: Kind,
    ino: u64,
    owner: [u32; 2],
}

impl HostStream {
    /// A file for `handle`.
    #[must_use]
    pub fn new(handle: Arc<Handle>, kind: Kind, owner: [u32; 2]) -> Arc<Self> {
        let watched = Watched::new(handle, Arc::new(WaitQueue::new()));
        Arc::new(Self { watched, kind, ino: next_inode(), owner })
    }

    /// What `/proc/PID/fd` shows.
    #[must_use]
    pub fn link_name(&self) -> String {
        match self.kind {
            Kind::Stream => alloc::format!("pipe:[{}]", self.ino),
            Kind::File => alloc::format!("/proc/self/fd/redirected:[{}]", self.ino),
            Kind::Device => String::from("/dev/null"),
        }
    }
}

impl FileOps for HostStream {
    fn read(&self, thread: &Thread, file: &OpenFile, sink: &mut Sink<'_>, _: Option<u64>) -> Result<usize> {
        if sink.left() == 0 {
            return Ok(0);
        }
        loop {
            if self.kind != Kind::File {
                self.watched.wait(thread, poller::IN, file.is_nonblocking(), None)?;
            }
            match self.watched.read(sink) {
                // Somebody else was faster, or a kick came before the first byte.
                Err(Errno::EAGAIN) if self.kind != Kind::File => {}
                Err(Errno::EINTR) if !thread.is_interrupted() => {}
                Err(Errno::EINTR) => return Err(Errno::ERESTARTSYS),
                other => return other,
            }
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
        while source.left() > 0 {
            let step = match self.watched.write(source) {
                Err(Errno::EAGAIN) if self.kind != Kind::File => {
                    match self.watched.wait(thread, poller::OUT, file.is_nonblocking(), None) {
                        Ok(()) => continue,
                        Err(error) => Err(error),
                    }
                }
                Err(Errno::EINTR) if !thread.is_interrupted() => continue,
                Err(Errno::EINTR) => Err(Errno::ERESTARTSYS),
                other => other,
            };
            match step {
                Ok(count) => done += count,
                Err(Errno::EPIPE) => {
                    signal::by_own_call(thread, SIGPIPE);
                    return if done > 0 { Ok(done) } else { Err(Errno::EPIPE) };
                }
                Err(_) if done > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn poll(&self, _: &OpenFile) -> Poll {
        if self.kind == Kind::File {
            return Poll::IN | Poll::OUT | Poll::RDNORM | Poll::WRNORM;
        }
        self.watched.poll()
    }

    fn wait_queue(&self) -> Option<&WaitQueue> {
        (self.kind != Kind::File).then_some(&*self.watched.queue)
    }

    fn knows_hurry(&self, _: bool) -> bool {
        true
    }

    fn metadata(&self) -> Result<Metadata> {
        let (dev, mode, rdev) = match self.kind {
            Kind::Stream => (super::DEV_PIPE, mode::S_IFIFO | 0o600, 0),
            Kind::File => (super::DEV_ANONYMOUS, mode::S_IFREG | 0o600, 0),
            // /dev/null's number: programs compare it to tell whether their output goes nowhere.
            Kind::Device => (super::DEV_ANONYMOUS, mode::S_IFCHR | 0o666, 0x103),
        };
        let mut metadata = super::anonymous_metadata(dev, self.ino, mode, [0, 0], self.owner);
        metadata.rdev = rdev;
        Ok(metadata)
    }

    fn sync(&self, _: bool) -> Result<()> {
        if self.kind == Kind::File { Ok(()) } else { Err(Errno::EINVAL) }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
