//! Handles: host file descriptors that the monitor granted. The whole family has one table of them, so a handle
//! stored in a kernel object is good in every process.

use crate::errno::{Errno, Result};
use crate::host::{self, number};
use core::sync::atomic::{AtomicI32, Ordering};

/// An open handle; closed when dropped.
#[derive(Debug)]
pub struct Handle(AtomicI32);

/// A range of memory to read into or write from: the app's, or a buffer of ours. As `struct iovec`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct UserRange {
    /// First address.
    pub addr: usize,
    /// Bytes.
    pub len: usize,
}

/// One entry of a [`poll`] set, as `struct pollfd`.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct PollEntry {
    fd: i32,
    /// `POLL*` bits asked for.
    pub events: i16,
    /// `POLL*` bits found.
    pub revents: i16,
}

impl PollEntry {
    /// An entry for `handle`.
    #[must_use]
    pub fn new(handle: &Handle, events: i16) -> Self {
        Self { fd: handle.number(), events, revents: 0 }
    }
}

#[repr(C)]
struct MessageHeader {
    name: usize,
    name_len: u32,
    pad: u32,
    iov: usize,
    iov_len: usize,
    control: usize,
    control_len: usize,
    flags: i32,
    pad2: u32,
}

/// How [`Handle::read_user`] and [`Handle::write_user`] read and write: flags of preadv2(2), 0 for none.
pub mod how {
    /// Fail with `EAGAIN` rather than wait for a device.
    pub const NOWAIT: u32 = 8;
    /// Write at the end of the file, whatever the offset.
    pub const APPEND: u32 = 16;
}

/// Offset that means "the stream's own position" to [`Handle::read_user`] and its kin.
const NO_OFFSET: usize = usize::MAX;

fn offset_arg(offset: Option<u64>) -> usize {
    offset.map_or(NO_OFFSET, |o| usize::try_from(o).unwrap_or(NO_OFFSET))
}

impl Handle {
    /// Takes over a host descriptor that nothing else owns.
    pub(crate) fn from_number(number: i32) -> Self {
        Self(AtomicI32::new(number))
    }

    /// One of the handles a family starts with ([`postern_abi::layout::handle`]). `None` the second time, and for a
    /// number that is not one of them.
    #[must_use]
    pub fn initial(number: i32) -> Option<Self> {
        static TAKEN: [AtomicI32; 16] = [const { AtomicI32::new(0) }; 16];
        let slot = TAKEN.get(usize::try_from(number).ok()?)?;
        (slot.swap(1, Ordering::Relaxed) == 0).then(|| Self::from_number(number))
    }

    /// The number, for messages of the library OS itself; means nothing to the app.
    #[must_use]
    pub fn number(&self) -> i32 {
        self.0.load(Ordering::Relaxed)
    }

    fn raw(&self) -> usize {
        usize::try_from(self.number()).unwrap_or(usize::MAX)
    }

    /// Reads into the app's memory: `preadv2`, with flags of [`how`]. `offset` `None` reads from a stream. At most 1024 ranges are used.
    ///
    /// # Errors
    /// The host's.
    pub fn read_user(&self, ranges: &[UserRange], offset: Option<u64>, how: u32) -> Result<usize> {
        let ranges = ranges.get(..ranges.len().min(1024)).unwrap_or(ranges);
        if !ranges.iter().all(|r| crate::user::is_user_range(r.addr, r.len)) {
            return Err(Errno::EFAULT);
        }
        let at = offset_arg(offset);
        let iov = ranges.as_ptr().addr();
        // SAFETY: the ranges were checked to be in the user half, where no Rust object is; the host checks them.
        unsafe { host::call(number::PREADV2, [self.raw(), iov, ranges.len(), at, 0, how as usize]) }
    }

    /// Writes from the app's memory: `pwritev2`, with flags of [`how`].
    ///
    /// # Errors
    /// The host's.
    pub fn write_user(&self, ranges: &[UserRange], offset: Option<u64>, how: u32) -> Result<usize> {
        let ranges = ranges.get(..ranges.len().min(1024)).unwrap_or(ranges);
        if !ranges.iter().all(|r| crate::user::is_user_range(r.addr, r.len)) {
            return Err(Errno::EFAULT);
        }
        let at = offset_arg(offset);
        let iov = ranges.as_ptr().addr();
        // SAFETY: the host only reads the ranges.
        unsafe { host::call(number::PWRITEV2, [self.raw(), iov, ranges.len(), at, 0, how as usize]) }
    }

    /// Reads into a buffer of ours.
    ///
    /// # Errors
    /// The host's.
    pub fn read(&self, buf: &mut [u8], offset: Option<u64>) -> Result<usize> {
        let range = UserRange { addr: buf.as_mut_ptr().addr(), len: buf.len() };
        let iov = core::ptr::from_ref(&range).addr();
        // SAFETY: the range is exactly the exclusively borrowed buffer.
        unsafe { host::call(number::PREADV2, [self.raw(), iov, 1, offset_arg(offset), 0, 0]) }
    }

    /// Writes from a buffer of ours.
    ///
    /// # Errors
    /// The host's.
    pub fn write(&self, buf: &[u8], offset: Option<u64>) -> Result<usize> {
        let range = UserRange { addr: buf.as_ptr().addr(), len: buf.len() };
        let iov = core::ptr::from_ref(&range).addr();
        // SAFETY: the host only reads the buffer.
        unsafe { host::call(number::PWRITEV2, [self.raw(), iov, 1, offset_arg(offset), 0, 0]) }
    }

    /// Sets the length of the file behind it.
    ///
    /// # Errors
    /// The host's.
    pub fn resize(&self, len: u64) -> Result<()> {
        let len = usize::try_from(len).map_err(|_| Errno::EFBIG)?;
        // SAFETY: changes a file, no memory of ours: kernel memory is in the arena, whose handle is not exported.
        unsafe { host::call(number::FTRUNCATE, [self.raw(), len, 0, 0, 0, 0]) }.map(|_| ())
    }

    /// `fallocate` with `mode` 0, `FALLOC_FL_KEEP_SIZE` (1) or `FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE` (3).
    ///
    /// # Errors
    /// The host's.
    pub fn allocate(&self, mode: u32, offset: u64, len: u64) -> Result<()> {
        let offset = usize::try_from(offset).map_err(|_| Errno::EFBIG)?;
        let len = usize::try_from(len).map_err(|_| Errno::EFBIG)?;
        // SAFETY: as in resize.
        unsafe { host::call(number::FALLOCATE, [self.raw(), mode as usize, offset, len, 0, 0]) }.map(|_| ())
    }

    /// Sends one message, with at most one handle. Does not block: `EAGAIN` where the peer's buffer is full.
    ///
    /// # Errors
    /// The host's.
    pub fn send(&self, parts: &[&[u8]], with: Option<&Handle>, wait: bool) -> Result<usize> {
        let mut iov = [UserRange { addr: 0, len: 0 }; 4];
        for (slot, part) in iov.iter_mut().zip(parts) {
            *slot = UserRange { addr: part.as_ptr().addr(), len: part.len() };
        }
        // One SCM_RIGHTS control message: length, level SOL_SOCKET, type, descriptor.
        let control: [u64; 3] =
            [20, 1 | (1 << 32), with.map_or(0, |h| u64::try_from(h.number()).unwrap_or(0))];
        let header = MessageHeader {
            name: 0,
            name_len: 0,
            pad: 0,
            iov: iov.as_ptr().addr(),
            iov_len: parts.len().min(iov.len()),
            control: if with.is_some() { control.as_ptr().addr() } else { 0 },
            control_len: if with.is_some() { 24 } else { 0 },
            flags: 0,
            pad2: 0,
        };
        const NOSIGNAL: usize = 0x4000;
        const DONTWAIT: usize = 0x40;
        let flags = NOSIGNAL | if wait { 0 } else { DONTWAIT };
        let header = core::ptr::from_ref(&header).addr();
        // SAFETY: the host only reads the header and what it points to, all alive.
        unsafe { host::call(number::SENDMSG, [self.raw(), header, flags, 0, 0, 0]) }
    }

    /// Receives one message and at most one handle into `buf` (and `more`, where the message is longer).
    ///
    /// # Errors
    /// The host's; `EAGAIN` if there is none and `wait` is false.
    pub fn receive(&self, buf: &mut [u8], more: &mut [u8], wait: bool) -> Result<(usize, Option<Handle>)> {
        let iov = [
            UserRange { addr: buf.as_mut_ptr().addr(), len: buf.len() },
            UserRange { addr: more.as_mut_ptr().addr(), len: more.len() },
        ];
        let mut control = [0u64; 3];
        let mut header = MessageHeader {
            name: 0,
            name_len: 0,
            pad: 0,
            iov: iov.as_ptr().addr(),
            iov_len: iov.len(),
            control: control.as_mut_ptr().addr(),
            control_len: 24,
            flags: 0,
            pad2: 0,
        };
        const CLOEXEC: usize = 0x4000_0000;
        const DONTWAIT: usize = 0x40;
        let flags = CLOEXEC | if wait { 0 } else { DONTWAIT };
        let pointer = core::ptr::from_mut(&mut header).addr();
        // SAFETY: the host writes within the two exclusively borrowed buffers, the control buffer and the header.
        let got = unsafe { host::call(number::RECVMSG, [self.raw(), pointer, flags, 0, 0, 0]) }?;
        let [len, kind, number] = control;
        let handle = (header.control_len >= 20 && len == 20 && kind == 1 | (1 << 32))
            .then(|| i32::try_from(number & 0xffff_ffff).ok())
            .flatten()
            .map(Self::from_number);
        Ok((got, handle))
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: this handle owns the descriptor, so nothing else uses the number.
        let _ = unsafe { host::call(number::CLOSE, [self.raw(), 0, 0, 0, 0, 0]) };
    }
}

/// Waits until an entry is ready or `timeout` nanoseconds passed (`None`: for ever). Returns how many are ready; 0
/// also when a kick interrupted it.
pub fn poll(entries: &mut [PollEntry], timeout: Option<u64>) -> usize {
    let spec = timeout.map(|ns| [ns / 1_000_000_000, ns % 1_000_000_000]);
    let spec = spec.as_ref().map_or(0, |s| s.as_ptr().addr());
    for entry in entries.iter_mut() {
        entry.revents = 0;
    }
    // SAFETY: the host writes only the revents of the exclusively borrowed entries and the timespec copy.
    unsafe { host::call(number::PPOLL, [entries.as_mut_ptr().addr(), entries.len(), spec, 0, 8, 0]) }
        .unwrap_or(0)
}
