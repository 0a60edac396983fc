//! Pipes, sockets, polling, terminals, and the way out to the host's streams.
//!
//! [`ring`] is the byte queue below pipes, stream sockets and pseudo-terminals. Readiness is told by
//! [`crate::wait::WaitQueue`]s; what depends on a host handle is watched by the one thread of [`poller`].

pub mod console;
mod copies;
pub mod deadline;
pub mod epoll;
pub mod eventfd;
pub mod host_stream;
pub mod inet;
pub mod mqueue;
pub mod pipe;
pub mod poll;
pub mod poller;
pub mod ring;
pub mod selection;
pub mod signalfd;
pub mod socket;
pub mod timerfd;
pub mod tty;
pub mod unix;
pub mod wayland;

use crate::fs::{FileOps, Metadata, OpenFile};
use crate::task::Process;
use crate::{Errno, Result};
use alloc::string::String;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};
use postern_abi::layout::handle::DISPLAY;
use postern_pal::handle::Handle;

/// Device number that stat shows for pipes.
pub const DEV_PIPE: u64 = 14;
/// Device number that stat shows for sockets.
pub const DEV_SOCKET: u64 = 8;
/// Device number that stat shows for event descriptors and the like.
pub const DEV_ANONYMOUS: u64 = 15;

static NEXT_INODE: AtomicU64 = AtomicU64::new(1000);

/// A fresh inode number for an object without a name.
#[must_use]
pub fn next_inode() -> u64 {
    NEXT_INODE.fetch_add(1, Ordering::Relaxed)
}

/// What stat tells of an object without a name that was made at `created` (`CLOCK_REALTIME`).
#[must_use]
pub fn anonymous_metadata(dev: u64, ino: u64, mode: u32, created: [i64; 2], owner: [u32; 2]) -> Metadata {
    let [uid, gid] = owner;
    Metadata {
        dev,
        ino,
        mode,
        nlink: 1,
        uid,
        gid,
        blksize: 4096,
        atime: created,
        mtime: created,
        ctime: created,
        btime: created,
        ..Metadata::default()
    }
}

/// The time of day, for `st_ctime` of what is made now.
#[must_use]
pub fn time_of_day() -> [i64; 2] {
    postern_pal::clock::read(postern_pal::clock::id::REALTIME).unwrap_or([0, 0])
}

/// Prepares this folder for the initial process: its standard streams and what the poller needs.
///
/// # Errors
/// `EMFILE`.
pub fn init(boot: &postern_abi::boot::Boot, process: &Arc<Process>) -> Result<()> {
    poller::init(boot.permissions);
    if boot.display != postern_abi::boot::display::NONE
        && let Some(channel) = Handle::initial(DISPLAY)
    {
        wayland::init(channel, boot.display == postern_abi::boot::display::WAITING);
        unix::publish_display(boot.uid, process);
    }
    console::init(boot, process)
}

/// A process has ended (its descriptors are closed already).
pub fn process_ended(process: &Arc<Process>) {
    tty::job::process_ended(process);
}

/// What `/proc/PID/fd` shows for an open file of this folder: `pipe:[N]`, `/dev/pts/N` and the like. `None` for others.
#[must_use]
pub fn link_name(ops: &dyn FileOps) -> Option<String> {
    use alloc::format;
    let any = ops.as_any();
    if let Some(number) = pipe::number(ops) {
        return Some(format!("pipe:[{number}]"));
    }
    if let Some(socket) = any.downcast_ref::<socket::Socket>() {
        return Some(format!("socket:[{}]", socket.number()));
    }
    if let Some(number) = tty::number_of(ops) {
        return Some(format!("/dev/pts/{number}"));
    }
    if let Some(stream) = any.downcast_ref::<host_stream::HostStream>() {
        return Some(stream.link_name());
    }
    event_kind(ops).map(|kind| format!("anon_inode:[{kind}]"))
}

/// What opening `/proc/PID/fd/N` of an object without a name gives: the pipe or stream of the host opened once more.
///
/// # Errors
/// `ENXIO`: sockets and event descriptors cannot be opened.
pub fn reopen(file: &Arc<OpenFile>, status: u32) -> Result<Arc<OpenFile>> {
    let any = file.ops.as_any();
    if any.is::<socket::Socket>() || event_kind(&*file.ops).is_some() {
        return Err(Errno::ENXIO);
    }
    if let Some(pipe) = pipe::reopen(&*file.ops, status) {
        return pipe;
    }
    if any.is::<host_stream::HostStream>() {
        return Ok(OpenFile::new(file.ops.clone(), status));
    }
    Ok(file.clone())
}

/// The kind of an event descriptor. All of them have one inode in Linux (`anon_inodefs`).
pub fn event_kind(ops: &dyn FileOps) -> Option<&'static str> {
    let any = ops.as_any();
    if any.is::<eventfd::EventFd>() {
        Some("eventfd")
    } else if any.is::<epoll::Epoll>() {
        Some("eventpoll")
    } else if any.is::<timerfd::TimerFd>() {
        Some("timerfd")
    } else if any.is::<signalfd::SignalFd>() {
        Some("signalfd")
    } else {
        None
    }
}
