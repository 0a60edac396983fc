//! Where a read puts its bytes and where a write takes them from: the app's memory (one range or many, as readv
//! gives them) or a buffer of the kernel half (sendfile, exec, /proc).

use crate::{Errno, Result};
use alloc::vec::Vec;
use postern_pal::handle::UserRange;
use postern_pal::user;

/// Most bytes that one read or write moves (`MAX_RW_COUNT`).
pub const MAX_COUNT: usize = 0x7fff_f000;

/// Destination of a read.
pub enum Sink<'a> {
    /// The app's memory.
    User(UserRanges),
    /// A buffer of ours, and how much of it is filled.
    Kernel(&'a mut [u8], usize),
}

/// Source of a write.
pub enum Source<'a> {
    /// The app's memory.
    User(UserRanges),
    /// A buffer of ours, and how much of it is used up.
    Kernel(&'a [u8], usize),
}

/// Ranges of the app's memory with a position.
#[derive(Debug)]
pub struct UserRanges {
    first: UserRange,
    more: Vec<UserRange>,
    index: usize,
    done_in_range: usize,
    left: usize,
}

impl UserRanges {
    /// One range; cut at [`MAX_COUNT`].
    #[must_use]
    pub fn one(addr: usize, len: usize) -> Self {
        let len = len.min(MAX_COUNT);
        Self { first: UserRange { addr, len }, more: Vec::new(), index: 0, done_in_range: 0, left: len }
    }

    /// The ranges of a `struct iovec` array in the app's memory.
    ///
    /// # Errors
    /// `EINVAL` for more than 1024 entries or a length that overflows; `EFAULT`.
    pub fn from_iovec(addr: usize, count: usize) -> Result<Self> {
        if count > 1024 {
            return Err(Errno::EINVAL);
        }
        let mut ranges = Vec::with_capacity(count);
        let mut left = 0usize;
        for i in 0..count {
            let [base, len]: [usize; 2] = user::read(addr.wrapping_add(i * 16))?;
            if len > isize::MAX.unsigned_abs() {
                return Err(Errno::EINVAL);
            }
            if !user::is_user_range(base, len) && len != 0 {
                return Err(Errno::EFAULT);
            }
            let len = len.min(MAX_COUNT - left);
            left += len;
            ranges.push(UserRange { addr: base, len });
        }
        Ok(Self { first: UserRange { addr: 0, len: 0 }, more: ranges, index: 0, done_in_range: 0, left })
    }

    fn at(&self, index: usize) -> Option<UserRange> {
        if self.more.is_empty() { (index == 0).then_some(self.first) } else { self.more.get(index).copied() }
    }

    /// Bytes that are left.
    #[must_use]
    pub fn left(&self) -> usize {
        self.left
    }

    /// The rest of the current range; `None` when all is done.
    fn current(&mut self) -> Option<UserRange> {
        loop {
            let range = self.at(self.index)?;
            let len = range.len.saturating_sub(self.done_in_range);
            if len > 0 {
                return Some(UserRange { addr: range.addr.wrapping_add(self.done_in_range), len });
            }
            self.index += 1;
            self.done_in_range = 0;
        }
    }

    /// Bytes of the part that comes next. Only the first one may be empty.
    fn next_part(&mut self) -> usize {
        if self.index == 0 && self.done_in_range == 0 {
            return self.at(0).map_or(0, |range| range.len);
        }
        self.current().map_or(0, |range| range.len)
    }

    /// What is left, at most `limit` bytes, if it is one range: I/O on handles then needs no list.
    #[must_use]
    pub fn single(&mut self, limit: usize) -> Option<UserRange> {
        let wanted = limit.min(self.left);
        let range = self.current()?;
        (range.len >= wanted).then_some(UserRange { addr: range.addr, len: wanted })
    }

    /// Cuts what is left to `limit` bytes.
    pub fn limit(&mut self, limit: usize) {
        self.left = self.left.min(limit);
    }

    /// Counts `count` bytes as done.
    pub fn advance(&mut self, mut count: usize) {
        count = count.min(self.left);
        self.left -= count;
        while count > 0 {
            let Some(range) = self.current() else { return };
            let step = range.len.min(count);
            self.done_in_range += step;
            count -= step;
        }
    }

    /// What is left as ranges for the host, at most `limit` bytes. For I/O on handles without a copy.
    #[must_use]
    pub fn host_ranges(&self, limit: usize) -> Vec<UserRange> {
        let mut out = Vec::new();
        let mut budget = limit.min(self.left);
        let mut index = self.index;
        let mut skip = self.done_in_range;
        while budget > 0 {
            let Some(range) = self.at(index) else { break };
            let len = range.len.saturating_sub(skip).min(budget);
            if len > 0 {
                out.push(UserRange { addr: range.addr.wrapping_add(skip), len });
            }
            budget -= len;
            index += 1;
            skip = 0;
        }
        out
    }
}

impl Sink<'_> {
    /// Bytes that still fit.
    #[must_use]
    pub fn left(&self) -> usize {
        match self {
            Self::User(ranges) => ranges.left(),
            Self::Kernel(buf, filled) => buf.len() - *filled,
        }
    }

    /// Puts as much of `bytes` as fits. Returns how much.
    ///
    /// # Errors
    /// `EFAULT` if not even one byte could be written.
    pub fn put(&mut self, bytes: &[u8]) -> Result<usize> {
        match self {
            Self::User(ranges) => {
                let mut done = 0;
                while let Some(range) = ranges.current() {
                    let part = bytes.get(done..).unwrap_or(&[]);
                    let part = part.get(..part.len().min(range.len).min(ranges.left)).unwrap_or(&[]);
                    if part.is_empty() {
                        break;
                    }
                    match user::write_partial(range.addr, part) {
                        Ok(count) => {
                            ranges.advance(count);
                            done += count;
                            if count < part.len() {
                                break;
                            }
                        }
                        Err(error) if done == 0 => return Err(error),
                        Err(_) => break,
                    }
                }
                Ok(done)
            }
            Self::Kernel(buf, filled) => {
                let room = buf.get_mut(*filled..).unwrap_or(&mut []);
                let count = room.len().min(bytes.len());
                if let (Some(room), Some(bytes)) = (room.get_mut(..count), bytes.get(..count)) {
                    room.copy_from_slice(bytes);
                }
                *filled += count;
                Ok(count)
            }
        }
    }

    /// Puts `count` zero bytes, as far as they fit. Returns how many.
    ///
    /// # Errors
    /// `EFAULT`.
    pub fn put_zeroes(&mut self, count: usize) -> Result<usize> {
        const ZEROES: [u8; 4096] = [0; 4096];
        let mut done = 0;
        while done < count && self.left() > 0 {
            let part = ZEROES.get(..(count - done).min(4096)).unwrap_or(&ZEROES);
            let put = self.put(part)?;
            done += put;
            if put < part.len() {
                break;
            }
        }
        Ok(done)
    }
}

impl Source<'_> {
    /// Whether it may be in several parts.
    #[inline]
    #[must_use]
    pub fn is_split(&self) -> bool {
        matches!(self, Self::User(ranges) if !ranges.more.is_empty())
    }

    /// Bytes of the part that comes next: one of those that writev(2) gave.
    #[must_use]
    pub fn next_part(&mut self) -> usize {
        match self {
            Self::User(ranges) => ranges.next_part(),
            Self::Kernel(bytes, used) => bytes.len() - *used,
        }
    }

    /// Bytes that are left.
    #[must_use]
    pub fn left(&self) -> usize {
        match self {
            Self::User(ranges) => ranges.left(),
            Self::Kernel(buf, used) => buf.len() - *used,
        }
    }

    /// Cuts what is left to `limit` bytes.
    pub fn limit(&mut self, limit: usize) {
        match self {
            Self::User(ranges) => ranges.limit(limit),
            Self::Kernel(buf, used) => {
                let bytes: &[u8] = buf;
                *buf = bytes.get(..used.saturating_add(limit)).unwrap_or(bytes);
            }
        }
    }

    /// Takes up to `buf.len()` bytes. Returns how many.
    ///
    /// # Errors
    /// `EFAULT` if not even one byte could be read.
    pub fn take(&mut self, buf: &mut [u8]) -> Result<usize> {
        match self {
            Self::User(ranges) => {
                let mut done = 0;
                while let Some(range) = ranges.current() {
                    let room = buf.get_mut(done..).unwrap_or(&mut []);
                    let len = room.len().min(range.len).min(ranges.left);
                    let Some(room) = room.get_mut(..len) else { break };
                    if room.is_empty() {
                        break;
                    }
                    match user::read_partial(range.addr, room) {
                        Ok(count) => {
                            ranges.advance(count);
                            done += count;
                            if count < len {
                                break;
                            }
                        }
                        Err(error) if done == 0 => return Err(error),
                        Err(_) => break,
                    }
                }
                Ok(done)
            }
            Self::Kernel(bytes, used) => {
                let rest = bytes.get(*used..).unwrap_or(&[]);
                let count = rest.len().min(buf.len());
                if let (Some(room), Some(rest)) = (buf.get_mut(..count), rest.get(..count)) {
                    room.copy_from_slice(rest);
                }
                *used += count;
                Ok(count)
            }
        }
    }

    /// Takes up to `limit` bytes into a new buffer.
    ///
    /// # Errors
    /// `EFAULT` if not even one byte could be read.
    pub fn take_vec(&mut self, limit: usize) -> Result<Vec<u8>> {
        let mut buf = alloc::vec![0; self.left().min(limit)];
        let count = self.take(&mut buf)?;
        buf.truncate(count);
        Ok(buf)
    }
}
