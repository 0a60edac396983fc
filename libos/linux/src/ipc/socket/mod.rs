//! What every socket is: an open file with the calls of socket(7). The families are in [`super::unix`] and
//! [`super::inet`].

pub mod calls;
pub mod message;
pub mod options;

use super::inet::interface;
use super::unix::conduit::{Attachment, Credentials};
use super::unix::garbage;
use super::{DEV_SOCKET, anonymous_metadata, next_inode, time_of_day};
use crate::fs::file::{flags, mode};
use crate::fs::{FileOps, Metadata, OpenFile, Poll, sigio};
use crate::io::{Sink, Source};
use crate::task::Thread;
use crate::wait::WaitQueue;
use crate::{Errno, Result, signal};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use options::{Options, SOL_SOCKET, so};
use postern_pal::user;

/// Address families.
#[expect(missing_docs, reason = "the names are socket(2)'s own")]
pub mod family {
    pub const UNIX: u16 = 1;
    pub const INET: u16 = 2;
    pub const INET6: u16 = 10;
    pub const NETLINK: u16 = 16;
}

/// Socket types.
#[expect(missing_docs, reason = "the names are socket(2)'s own")]
pub mod kind {
    pub const STREAM: u32 = 1;
    pub const DGRAM: u32 = 2;
    pub const RAW: u32 = 3;
    pub const SEQPACKET: u32 = 5;
}

/// Flags of send and receive calls.
#[expect(missing_docs, reason = "the names are recv(2)'s own")]
pub mod msg {
    pub const OOB: u32 = 1;
    pub const PEEK: u32 = 2;
    pub const CTRUNC: u32 = 8;
    pub const TRUNC: u32 = 0x20;
    pub const DONTWAIT: u32 = 0x40;
    pub const EOR: u32 = 0x80;
    pub const WAITALL: u32 = 0x100;
    pub const ERRQUEUE: u32 = 0x2000;
    pub const NOSIGNAL: u32 = 0x4000;
    pub const WAITFORONE: u32 = 0x1_0000;
    pub const CMSG_CLOEXEC: u32 = 0x4000_0000;
}

const SIGPIPE: u32 = 13;
const FIONREAD: u32 = 0x541b;
const SIOCOUTQ: u32 = 0x5411;
const SIOCATMARK: u32 = 0x8905;
const FIOSETOWN: u32 = 0x8901;
const SIOCSPGRP: u32 = 0x8902;
const FIOGETOWN: u32 = 0x8903;
const SIOCGPGRP: u32 = 0x8904;

/// What a send carries besides the bytes.
#[derive(Default)]
pub struct Outgoing<'a> {
    /// Destination, a `struct sockaddr`.
    pub to: Option<&'a [u8]>,
    /// Files and explicitly sent credentials.
    pub attachment: Attachment,
    /// Must not wait.
    pub nonblocking: bool,
    /// `MSG_*`.
    pub flags: u32,
}

/// How to receive.
#[derive(Clone, Copy, Default)]
pub struct Receive {
    /// Must not wait.
    pub nonblocking: bool,
    /// `MSG_*`.
    pub flags: u32,
}

/// What a receive took.
#[derive(Default)]
pub struct Incoming {
    /// Bytes put into the sink.
    pub count: usize,
    /// Bytes of the whole packet (or `count`).
    pub whole: usize,
    /// Files, credentials and the sender's `struct sockaddr`.
    pub attachment: Attachment,
    /// `MSG_TRUNC` and the like.
    pub flags: u32,
}

/// A socket of some family.
pub trait SocketOps: Send + Sync + Any {
    /// Family, type and protocol, as socket(2) takes them.
    fn identity(&self) -> (u16, u32, u32);
    /// Common options.
    fn options(&self) -> &Options;
    /// bind(2).
    ///
    /// # Errors
    /// As the manual page.
    fn bind(&self, thread: &Thread, address: &[u8]) -> Result<()>;
    /// connect(2).
    ///
    /// # Errors
    /// As the manual page.
    fn connect(&self, thread: &Thread, nonblocking: bool, address: &[u8]) -> Result<()>;
    /// listen(2).
    ///
    /// # Errors
    /// As the manual page.
    fn listen(&self, thread: &Thread, backlog: i32) -> Result<()>;
    /// accept(2): the new socket.
    ///
    /// # Errors
    /// As the manual page.
    fn accept(&self, thread: &Thread, nonblocking: bool) -> Result<Arc<dyn SocketOps>>;
    /// getsockname(2): a `struct sockaddr`.
    ///
    /// # Errors
    /// As the manual page.
    fn name(&self) -> Result<Vec<u8>>;
    /// getpeername(2).
    ///
    /// # Errors
    /// `ENOTCONN`.
    fn peer(&self) -> Result<Vec<u8>>;
    /// Sends.
    ///
    /// # Errors
    /// As send(2). `EPIPE` raises SIGPIPE in the caller of this.
    fn send(&self, thread: &Thread, source: &mut Source<'_>, out: &mut Outgoing<'_>) -> Result<usize>;
    /// What is wrong with any message, whatever it carries.
    ///
    /// # Errors
    /// As send(2).
    fn may_send(&self) -> Result<()> {
        Ok(())
    }
    /// Receives.
    ///
    /// # Errors
    /// As recv(2).
    fn receive(&self, thread: &Thread, sink: &mut Sink<'_>, how: Receive) -> Result<Incoming>;
    /// shutdown(2); `read` and `write` say which directions.
    ///
    /// # Errors
    /// `ENOTCONN`.
    fn shutdown(&self, read: bool, write: bool) -> Result<()>;
    /// Readiness.
    fn poll(&self) -> Poll;
    /// Queue of this socket.
    fn queue(&self) -> &WaitQueue;
    /// The last descriptor is gone.
    fn close(&self);
    /// Bytes that can be received now, and bytes sent that the peer did not take.
    fn queued(&self) -> (usize, usize);
    /// Whether it listens.
    fn is_listening(&self) -> bool;
    /// Whether what is read next is, or follows, the urgent byte: sockatmark(3).
    fn is_at_mark(&self) -> bool {
        false
    }
    /// An option was set that the family may have to act upon, or that is the family's own.
    ///
    /// # Errors
    /// `ENOPROTOOPT`.
    fn set_option(&self, level: i32, name: i32, value: &[u8]) -> Result<()>;
    /// An option of the family's own; `None` = not known there.
    fn get_option(&self, level: i32, name: i32) -> Option<Result<Vec<u8>>>;
    /// For finding out what it is.
    fn as_any(&self) -> &dyn Any;
}

/// A socket as an open file.
pub struct Socket {
    /// The family's part.
    pub ops: Arc<dyn SocketOps>,
    ino: u64,
    created: [i64; 2],
    owner: [u32; 2],
}

impl Socket {
    /// An open file for a socket; `status` takes `O_NONBLOCK`.
    #[must_use]
    pub fn open(thread: &Thread, ops: Arc<dyn SocketOps>, status: u32) -> Arc<OpenFile> {
        let owner = {
            let identity = thread.process.identity.lock();
            [identity.fsuid, identity.fsgid]
        };
        let socket = Arc::new(Self { ops, ino: next_inode(), created: time_of_day(), owner });
        OpenFile::new(socket, flags::O_RDWR | (status & flags::O_NONBLOCK))
    }

    /// The socket behind an open file.
    ///
    /// # Errors
    /// `ENOTSOCK`.
    #[inline]
    pub fn of(file: &OpenFile) -> Result<&Self> {
        file.ops.as_any().downcast_ref().ok_or(Errno::ENOTSOCK)
    }

    /// Number in `/proc/PID/fd` (`socket:[N]`).
    #[must_use]
    pub fn number(&self) -> u64 {
        self.ino
    }

    /// Sends, and raises SIGPIPE as send(2) does.
    ///
    /// # Errors
    /// As send(2).
    pub fn send(&self, thread: &Thread, source: &mut Source<'_>, out: &mut Outgoing<'_>) -> Result<usize> {
        let result = self.ops.send(thread, source, out);
        if result == Err(Errno::EPIPE)
            && out.flags & msg::NOSIGNAL == 0
            && self.ops.identity().1 == kind::STREAM
        {
            signal::by_own_call(thread, SIGPIPE);
        }
        result
    }

    /// getsockopt.
    ///
    /// # Errors
    /// `ENOPROTOOPT`.
    pub fn get_option(&self, level: i32, name: i32) -> Result<Vec<u8>> {
        if let Some(result) = self.ops.get_option(level, name) {
            return result;
        }
        if level != SOL_SOCKET {
            return Err(Errno::ENOPROTOOPT);
        }
        let (family, kind, protocol) = self.ops.identity();
        let number = match name {
            so::TYPE => kind,
            so::DOMAIN => u32::from(family),
            so::PROTOCOL => protocol,
            so::ACCEPTCONN => u32::from(self.ops.is_listening()),
            _ => return self.ops.options().get(name),
        };
        Ok(number.to_ne_bytes().to_vec())
    }

    /// setsockopt.
    ///
    /// # Errors
    /// `ENOPROTOOPT`, `EINVAL`.
    pub fn set_option(&self, level: i32, name: i32, value: &[u8]) -> Result<()> {
        if level == SOL_SOCKET {
            self.ops.options().set(name, value)?;
        }
        self.ops.set_option(level, name, value)
    }
}

impl FileOps for Socket {
    fn read(&self, thread: &Thread, file: &OpenFile, sink: &mut Sink<'_>, _: Option<u64>) -> Result<usize> {
        if sink.left() == 0 {
            // Unlike recv(2), which waits for something that it need not take.
            return Ok(0);
        }
        let how = Receive { nonblocking: file.is_nonblocking(), flags: 0 };
        Ok(self.ops.receive(thread, sink, how)?.count)
    }

    fn write(
        &self,
        thread: &Thread,
        file: &OpenFile,
        source: &mut Source<'_>,
        _: Option<u64>,
    ) -> Result<usize> {
        let mut out = Outgoing { nonblocking: file.is_nonblocking(), ..Outgoing::default() };
        self.send(thread, source, &mut out)
    }

    fn poll(&self, _: &OpenFile) -> Poll {
        self.ops.poll()
    }

    fn wait_queue(&self) -> Option<&WaitQueue> {
        Some(self.ops.queue())
    }

    fn knows_hurry(&self, _: bool) -> bool {
        true
    }

    fn async_queue(&self) -> Option<&WaitQueue> {
        Some(self.ops.queue())
    }

    fn metadata(&self) -> Result<Metadata> {
        Ok(anonymous_metadata(DEV_SOCKET, self.ino, mode::S_IFSOCK | 0o777, self.created, self.owner))
    }

    fn ioctl(&self, thread: &Thread, file: &OpenFile, request: u32, argument: usize) -> Result<u64> {
        let value = match request {
            FIOSETOWN | SIOCSPGRP => {
                let owner: i32 = user::read(argument)?;
                return sigio::set_owner_number(&thread.process, file, owner).map(|()| 0);
            }
            FIOGETOWN | SIOCGPGRP => {
                return user::write(argument, &sigio::owner_number(file)).map(|()| 0);
            }
            FIONREAD if self.ops.is_listening() => return Err(Errno::EINVAL),
            FIONREAD => self.ops.queued().0,
            SIOCOUTQ => self.ops.queued().1,
            SIOCATMARK => usize::from(self.ops.is_at_mark()),
            // Any socket will do to ask about interfaces; the C library takes one of AF_UNIX.
            _ => return interface::ioctl(request, argument),
        };
        user::write(argument, &i32::try_from(value).unwrap_or(i32::MAX))?;
        Ok(0)
    }

    fn release(&self, _: &OpenFile) {
        self.ops.close();
    }

    fn close(&self, _: &OpenFile, _: u32) {
        // It may be left in a queue that nobody can read.
        garbage::request();
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Who the calling thread is, as another process sees it: by effective ids if `effective`.
#[must_use]
pub fn credentials_of(thread: &Thread, effective: bool) -> Credentials {
    let identity = thread.process.identity.lock();
    let (uid, gid) = if effective { (identity.euid, identity.egid) } else { (identity.uid, identity.gid) };
    Credentials { pid: thread.process.pid, uid, gid }
}
