//! Socket options that every family has: socket(7).

use crate::{Errno, Result};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// `SOL_SOCKET`.
pub const SOL_SOCKET: i32 = 1;

/// Names of `SOL_SOCKET` options.
#[expect(missing_docs, reason = "the names are socket(7)'s own")]
pub mod so {
    pub const DEBUG: i32 = 1;
    pub const REUSEADDR: i32 = 2;
    pub const TYPE: i32 = 3;
    pub const ERROR: i32 = 4;
    pub const DONTROUTE: i32 = 5;
    pub const BROADCAST: i32 = 6;
    pub const SNDBUF: i32 = 7;
    pub const RCVBUF: i32 = 8;
    pub const KEEPALIVE: i32 = 9;
    pub const OOBINLINE: i32 = 10;
    pub const PRIORITY: i32 = 12;
    pub const LINGER: i32 = 13;
    pub const REUSEPORT: i32 = 15;
    pub const PASSCRED: i32 = 16;
    pub const PEERCRED: i32 = 17;
    pub const RCVLOWAT: i32 = 18;
    pub const SNDLOWAT: i32 = 19;
    pub const RCVTIMEO: i32 = 20;
    pub const SNDTIMEO: i32 = 21;
    pub const BINDTODEVICE: i32 = 25;
    pub const ATTACH_FILTER: i32 = 26;
    pub const DETACH_FILTER: i32 = 27;
    pub const TIMESTAMP: i32 = 29;
    pub const ACCEPTCONN: i32 = 30;
    pub const PEERSEC: i32 = 31;
    pub const SNDBUFFORCE: i32 = 32;
    pub const RCVBUFFORCE: i32 = 33;
    pub const PASSSEC: i32 = 34;
    pub const TIMESTAMPNS: i32 = 35;
    pub const MARK: i32 = 36;
    pub const PROTOCOL: i32 = 38;
    pub const DOMAIN: i32 = 39;
    pub const PEERGROUPS: i32 = 59;
    pub const ZEROCOPY: i32 = 60;
    pub const INCOMING_CPU: i32 = 49;
    pub const BUSY_POLL: i32 = 46;
}

const MAX_BUFFER: usize = 8 << 20;

/// The state of the common options.
pub struct Options {
    flags: AtomicU64,
    send_buffer: AtomicUsize,
    receive_buffer: AtomicUsize,
    /// Nanoseconds, 0 = for ever.
    receive_timeout: AtomicU64,
    send_timeout: AtomicU64,
    /// On or off, and seconds.
    linger: [AtomicU32; 2],
    error: AtomicU32,
}

/// An option value as an `int`.
///
/// # Errors
/// `EINVAL` if it is shorter.
pub fn int(value: &[u8]) -> Result<i32> {
    let bytes = value.first_chunk::<4>().ok_or(Errno::EINVAL)?;
    Ok(i32::from_ne_bytes(*bytes))
}

fn timeout(value: &[u8]) -> Result<u64> {
    let bytes = value.first_chunk::<16>().ok_or(Errno::EINVAL)?;
    let (seconds, micros) = bytes.split_at(8);
    let number = |b: &[u8]| b.first_chunk::<8>().map(|b| i64::from_ne_bytes(*b)).ok_or(Errno::EINVAL);
    let (seconds, micros) = (number(seconds)?, number(micros)?);
    if !(0..1_000_000).contains(&micros) {
        return Err(Errno::EDOM);
    }
    // A negative number of seconds does not wait at all.
    let Ok(seconds) = u64::try_from(seconds) else { return Ok(1) };
    let micros = u64::try_from(micros).unwrap_or(0);
    Ok(seconds.saturating_mul(1_000_000_000).saturating_add(micros * 1000))
}

fn timeval(nanos: u64) -> Vec<u8> {
    let mut out = (nanos / 1_000_000_000).to_ne_bytes().to_vec();
    out.extend_from_slice(&(nanos % 1_000_000_000 / 1000).to_ne_bytes());
    out
}

impl Options {
    /// Defaults with this buffer size for both directions.
    #[must_use]
    pub const fn new(buffer: usize) -> Self {
        Self {
            flags: AtomicU64::new(0),
            send_buffer: AtomicUsize::new(buffer),
            receive_buffer: AtomicUsize::new(buffer),
            receive_timeout: AtomicU64::new(0),
            send_timeout: AtomicU64::new(0),
            linger: [AtomicU32::new(0), AtomicU32::new(0)],
            error: AtomicU32::new(0),
        }
    }

    /// Whether a yes-or-no option is on.
    #[inline]
    #[must_use]
    pub fn has(&self, name: i32) -> bool {
        self.flags.load(Ordering::Relaxed) >> (name & 63) & 1 != 0
    }

    /// Switches a yes-or-no option.
    pub fn switch(&self, name: i32, on: bool) {
        let bit = 1 << (name & 63);
        if on {
            self.flags.fetch_or(bit, Ordering::Relaxed);
        } else {
            self.flags.fetch_and(!bit, Ordering::Relaxed);
        }
    }

    /// `SO_SNDBUF` in bytes.
    #[must_use]
    pub fn send_buffer(&self) -> usize {
        self.send_buffer.load(Ordering::Relaxed)
    }

    /// `SO_RCVBUF` in bytes.
    #[must_use]
    pub fn receive_buffer(&self) -> usize {
        self.receive_buffer.load(Ordering::Relaxed)
    }

    /// Whether closing aborts the connection (`SO_LINGER` of no time).
    #[must_use]
    pub fn aborts(&self) -> bool {
        let [on, time] = &self.linger;
        on.load(Ordering::Relaxed) != 0 && time.load(Ordering::Relaxed) == 0
    }

    fn deadline(timeout: &AtomicU64) -> Option<u64> {
        match timeout.load(Ordering::Relaxed) {
            0 => None,
            nanos => Some(crate::ipc::deadline::after(nanos)),
        }
    }

    /// When a receive that starts now gives up.
    #[must_use]
    pub fn receive_deadline(&self) -> Option<u64> {
        Self::deadline(&self.receive_timeout)
    }

    /// When a send that starts now gives up.
    #[must_use]
    pub fn send_deadline(&self) -> Option<u64> {
        Self::deadline(&self.send_timeout)
    }

    /// Stores an error for `SO_ERROR` and the next call.
    pub fn set_error(&self, error: Errno) {
        self.error.store(u32::from(error.number()), Ordering::Relaxed);
    }

    /// Takes the stored error.
    #[must_use]
    pub fn take_error(&self) -> Option<Errno> {
        match self.error.swap(0, Ordering::Relaxed) {
            0 => None,
            number => Some(Errno::from_number(number)),
        }
    }

    /// Whether an error is stored.
    #[must_use]
    pub fn has_error(&self) -> bool {
        self.error.load(Ordering::Relaxed) != 0
    }

    /// setsockopt at `SOL_SOCKET`.
    ///
    /// # Errors
    /// `EINVAL`, `EDOM`, `ENOPROTOOPT`, `EPERM`.
    pub fn set(&self, name: i32, value: &[u8]) -> Result<()> {
        match name {
            so::RCVTIMEO => self.receive_timeout.store(timeout(value)?, Ordering::Relaxed),
            so::SNDTIMEO => self.send_timeout.store(timeout(value)?, Ordering::Relaxed),
            so::LINGER => {
                let seconds = value.get(4..).ok_or(Errno::EINVAL)?;
                let [on, time] = &self.linger;
                on.store(int(value)?.cast_unsigned(), Ordering::Relaxed);
                time.store(int(seconds)?.cast_unsigned(), Ordering::Relaxed);
            }
            so::SNDBUF | so::RCVBUF => {
                // Linux doubles the value for its own bookkeeping and shows it doubled.
                let size = usize::try_from(int(value)?).unwrap_or(MAX_BUFFER / 2);
                let size = size.min(MAX_BUFFER / 2).saturating_mul(2).max(4608);
                let buffer = if name == so::SNDBUF { &self.send_buffer } else { &self.receive_buffer };
                buffer.store(size, Ordering::Relaxed);
            }
            so::DEBUG | so::SNDBUFFORCE | so::RCVBUFFORCE | so::MARK => return Err(Errno::EPERM),
            so::REUSEADDR
            | so::DONTROUTE
            | so::BROADCAST
            | so::KEEPALIVE
            | so::OOBINLINE
            | so::REUSEPORT
            | so::PASSCRED
            | so::PASSSEC
            | so::TIMESTAMP
            | so::TIMESTAMPNS
            | so::ZEROCOPY => self.switch(name, int(value)? != 0),
            so::PRIORITY | so::RCVLOWAT | so::BUSY_POLL | so::INCOMING_CPU => {
                int(value)?;
            }
            so::BINDTODEVICE | so::ATTACH_FILTER | so::DETACH_FILTER => {}
            _ => return Err(Errno::ENOPROTOOPT),
        }
        Ok(())
    }

    /// getsockopt at `SOL_SOCKET`, for what does not depend on the kind of socket.
    ///
    /// # Errors
    /// `ENOPROTOOPT`.
    pub fn get(&self, name: i32) -> Result<Vec<u8>> {
        let size = |n: &AtomicUsize| i32::try_from(n.load(Ordering::Relaxed)).unwrap_or(i32::MAX);
        let number: i32 = match name {
            so::RCVTIMEO => return Ok(timeval(self.receive_timeout.load(Ordering::Relaxed))),
            so::SNDTIMEO => return Ok(timeval(self.send_timeout.load(Ordering::Relaxed))),
            so::LINGER => {
                let [on, time] = &self.linger;
                let mut out = on.load(Ordering::Relaxed).to_ne_bytes().to_vec();
                out.extend_from_slice(&time.load(Ordering::Relaxed).to_ne_bytes());
                return Ok(out);
            }
            so::ERROR => self.take_error().map_or(0, |e| i32::from(e.number())),
            so::SNDBUF => size(&self.send_buffer),
            so::RCVBUF => size(&self.receive_buffer),
            so::RCVLOWAT | so::SNDLOWAT => 1,
            so::DEBUG | so::PRIORITY | so::MARK | so::BUSY_POLL => 0,
            so::INCOMING_CPU => -1,
            so::BINDTODEVICE => return Ok(Vec::new()),
            // Only who is in the family of UNIX has a peer of this machine: nobody, by `pid`, `uid` and `gid`.
            so::PEERCRED => return Ok([0, u32::MAX, u32::MAX].map(u32::to_ne_bytes).concat()),
            so::REUSEADDR
            | so::DONTROUTE
            | so::BROADCAST
            | so::KEEPALIVE
            | so::OOBINLINE
            | so::REUSEPORT
            | so::PASSCRED
            | so::PASSSEC
            | so::TIMESTAMP
            | so::TIMESTAMPNS
            | so::ZEROCOPY => i32::from(self.has(name)),
            _ => return Err(Errno::ENOPROTOOPT),
        };
        Ok(number.to_ne_bytes().to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffer_sizes_are_shown_doubled_as_linux_does() {
        let options = Options::new(212_992);
        options.set(so::SNDBUF, &10_000i32.to_ne_bytes()).unwrap();
        assert_eq!(options.get(so::SNDBUF).unwrap(), 20_000i32.to_ne_bytes());
        assert_eq!(options.get(so::RCVBUF).unwrap(), 212_992i32.to_ne_bytes());
    }

    #[test]
    fn timeouts_are_checked_and_kept() {
        let options = Options::new(1);
        let value = |s: i64, us: i64| [s.to_ne_bytes(), us.to_ne_bytes()].concat();
        options.set(so::RCVTIMEO, &value(2, 500_000)).unwrap();
        assert_eq!(options.get(so::RCVTIMEO).unwrap(), value(2, 500_000));
        assert_eq!(options.set(so::RCVTIMEO, &value(0, 1_000_000)), Err(Errno::EDOM));
        assert_eq!(options.set(so::RCVTIMEO, &[0; 8]), Err(Errno::EINVAL));
    }

    #[test]
    fn an_error_is_reported_once() {
        let options = Options::new(1);
        options.set_error(Errno::ECONNREFUSED);
        assert_eq!(options.get(so::ERROR).unwrap(), 111i32.to_ne_bytes());
        assert_eq!(options.get(so::ERROR).unwrap(), 0i32.to_ne_bytes());
    }
}
