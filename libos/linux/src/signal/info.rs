//! What a signal carries: `siginfo_t`, as the kernel keeps it.

use super::set::sig;
use crate::task::Process;
use crate::task::process::Status;
use crate::{Errno, Result};
use postern_pal::frame::Exception;
use postern_pal::user;

/// `si_code` values.
#[expect(missing_docs, reason = "the names are sigaction's own")]
pub mod code {
    pub const USER: i32 = 0;
    pub const KERNEL: i32 = 0x80;
    pub const TIMER: i32 = -2;
    pub const MESSAGE: i32 = -3;
    pub const IO: i32 = -5;
    pub const TKILL: i32 = -6;
    pub const SEGV_MAPERR: i32 = 1;
    pub const SYS_SECCOMP: i32 = 1;
    pub const CLD_EXITED: i32 = 1;
    pub const CLD_KILLED: i32 = 2;
    pub const CLD_DUMPED: i32 = 3;
    pub const CLD_STOPPED: i32 = 5;
    pub const CLD_CONTINUED: i32 = 6;
}

/// Bytes of `siginfo_t` in the app's memory.
pub const SIZE: usize = 128;
/// Words of it that mean something.
const WORDS: usize = 12;

/// A signal and its `siginfo_t`: the first 48 bytes of the structure, the rest of which is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Info([u32; WORDS]);

impl Info {
    fn new(signal: u32, code: i32) -> Self {
        let mut words = [0; WORDS];
        words[0] = signal;
        words[2] = code.cast_unsigned();
        Self(words)
    }

    fn set_long(&mut self, word: usize, value: u64) {
        for (i, half) in [value & 0xffff_ffff, value >> 32].into_iter().enumerate() {
            if let Some(slot) = self.0.get_mut(word + i) {
                *slot = u32::try_from(half).unwrap_or(0);
            }
        }
    }

    fn long(&self, word: usize) -> u64 {
        let at = |i: usize| u64::from(self.0.get(i).copied().unwrap_or(0));
        at(word) | (at(word + 1) << 32)
    }

    /// Sent by the kernel.
    #[must_use]
    pub fn kernel(signal: u32) -> Self {
        Self::new(signal, code::KERNEL)
    }

    /// Sent by a process: kill (`code::USER`) or tgkill (`code::TKILL`).
    #[must_use]
    pub fn from_process(signal: u32, code: i32, sender: &Process) -> Self {
        let mut info = Self::new(signal, code);
        info.0[4] = sender.pid;
        info.0[5] = sender.identity.lock().uid;
        info
    }

    /// Sent by the POSIX timer with this id and value.
    #[must_use]
    pub fn timer(signal: u32, id: u32, value: u64) -> Self {
        let mut info = Self::new(signal, code::TIMER);
        info.0[4] = id;
        info.set_long(6, value);
        info
    }

    /// A message of `sender` arrived in a queue for which this value was given to mq_notify.
    #[must_use]
    pub fn message(signal: u32, sender: &Process, value: u64) -> Self {
        let mut info = Self::from_process(signal, code::MESSAGE, sender);
        info.set_long(6, value);
        info
    }

    /// File `fd` is ready: a `POLL_*` code and the events.
    #[must_use]
    pub fn poll(signal: u32, reason: i32, band: u64, fd: i32) -> Self {
        // Where the signal has codes of its own, this would be taken for one of them.
        let is_taken =
            matches!(signal, sig::ILL | sig::FPE | sig::SEGV | sig::BUS | sig::TRAP | sig::CHLD | sig::SYS);
        let mut info = Self::new(signal, if is_taken { code::IO } else { reason });
        info.set_long(4, band);
        info.0[6] = fd.cast_unsigned();
        info
    }

    /// The timer id and the overrun count of a signal sent by a timer.
    #[must_use]
    pub fn timer_id(&self) -> Option<u32> {
        (self.code() == code::TIMER).then_some(self.0[4])
    }

    /// Says how many expirations were missed before this timer signal was taken.
    pub fn set_overrun(&mut self, count: u32) {
        self.0[5] = count;
    }

    /// A fault of the app.
    #[must_use]
    pub fn fault(exception: &Exception) -> Self {
        let mut info = Self::new(exception.signal, exception.code);
        info.set_long(4, exception.address);
        info
    }

    /// A seccomp filter answered `SECCOMP_RET_TRAP` with `data` to the call `number` at the instruction before `ip`.
    #[must_use]
    pub fn seccomp(data: u32, ip: u64, number: u32, architecture: u32) -> Self {
        let mut info = Self::new(sig::SYS, code::SYS_SECCOMP);
        info.0[1] = data;
        info.set_long(4, ip);
        info.0[6] = number;
        info.0[7] = architecture;
        info
    }

    /// A child changed state: what its parent gets as `signal`.
    #[must_use]
    pub fn child(signal: u32, child: &Process, status: Status) -> Self {
        let (code, value) = match status {
            Status::Exited(value) => (code::CLD_EXITED, u32::from(value)),
            Status::Killed(by, false) => (code::CLD_KILLED, u32::from(by)),
            Status::Killed(by, true) => (code::CLD_DUMPED, u32::from(by)),
            Status::Stopped(by) => (code::CLD_STOPPED, u32::from(by)),
            Status::Continued => (code::CLD_CONTINUED, sig::CONT),
        };
        let mut info = Self::new(signal, code);
        info.0[4] = child.pid;
        info.0[5] = child.identity.lock().uid;
        info.0[6] = value;
        let used = *child.used.lock();
        // clock_t: hundredths of a second.
        info.set_long(8, used.user_ns / 10_000_000);
        info.set_long(10, used.system_ns / 10_000_000);
        info
    }

    /// What a process gave to rt_sigqueueinfo(2), for `signal`.
    ///
    /// # Errors
    /// `EFAULT`; `E2BIG` where bytes are set that mean nothing.
    pub fn read(addr: usize, signal: u32) -> Result<Self> {
        let words: [u32; SIZE / 4] = user::read(addr)?;
        let (kept, rest) = words.split_at_checked(WORDS).ok_or(Errno::EINVAL)?;
        if rest.iter().any(|w| *w != 0) {
            return Err(Errno::E2BIG);
        }
        let mut info = Self([0; WORDS]);
        info.0.copy_from_slice(kept);
        info.0[0] = signal;
        Ok(info)
    }

    /// The signal.
    #[must_use]
    pub fn signal(&self) -> u32 {
        self.0[0]
    }

    /// `si_code`.
    #[must_use]
    pub fn code(&self) -> i32 {
        self.0[2].cast_signed()
    }

    /// `si_addr`, of faults.
    #[must_use]
    pub fn address(&self) -> u64 {
        self.long(4)
    }

    /// As the app sees it.
    #[must_use]
    pub fn bytes(&self) -> [u8; SIZE] {
        let mut bytes = [0; SIZE];
        for (slot, word) in bytes.chunks_exact_mut(4).zip(self.0) {
            slot.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// As a `struct signalfd_siginfo`.
    #[must_use]
    pub fn signalfd_bytes(&self) -> [u8; SIZE] {
        let mut words = [0u32; SIZE / 4];
        words[0] = self.0[0];
        words[1] = self.0[1];
        words[2] = self.0[2];
        let [pid, uid, status] = [self.0[4], self.0[5], self.0[6]];
        let value = [self.0[6], self.0[7]];
        let mut put = |at: usize, from: &[u32]| {
            for (slot, word) in words.iter_mut().skip(at).zip(from) {
                *slot = *word;
            }
        };
        let fault = matches!(self.signal(), sig::SEGV | sig::BUS | sig::ILL | sig::FPE | sig::TRAP);
        match self.code() {
            // tid, overrun, int, ptr
            code::TIMER => {
                put(6, &[pid]);
                put(8, &[uid]);
                put(11, &[value[0]]);
                put(12, &value);
            }
            code if code > 0 && code != code::KERNEL && fault => put(18, &[pid, uid]),
            code if code > 0 && code != code::KERNEL && self.signal() == sig::CHLD => {
                put(3, &[pid, uid]);
                put(10, &[status]);
                put(14, &[self.0[8], self.0[9], self.0[10], self.0[11]]);
            }
            code if (1..=6).contains(&code) && self.signal() != sig::SYS || code == code::IO => {
                put(5, &[self.0[6]]);
                put(7, &[pid]);
            }
            code => {
                put(3, &[pid, uid]);
                if code < 0 && code != code::TKILL {
                    put(11, &[value[0]]);
                    put(12, &value);
                }
            }
        }
        let mut bytes = [0; SIZE];
        for (slot, word) in bytes.chunks_exact_mut(4).zip(words) {
            slot.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// A signal of which nothing more is known: queued when there was no room for its information.
    #[must_use]
    pub fn bare(signal: u32) -> Self {
        Self::new(signal, code::USER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_is_that_of_siginfo() {
        let fault = Exception { signal: 11, code: 1, address: 0x1234_5678_9abc, trap: [14, 4, 0] };
        let bytes = Info::fault(&fault).bytes();
        assert_eq!(bytes.get(..4), Some(&[11, 0, 0, 0][..]));
        assert_eq!(bytes.get(8), Some(&1));
        assert_eq!(bytes.get(16..24), Some(&[0xbc, 0x9a, 0x78, 0x56, 0x34, 0x12, 0, 0][..]));
    }

    #[test]
    fn timers_carry_their_value() {
        let mut info = Info::timer(34, 7, 0x1_0000_0002);
        info.set_overrun(3);
        assert_eq!(info.timer_id(), Some(7));
        let bytes = info.bytes();
        assert_eq!(bytes.get(16..24), Some(&[7, 0, 0, 0, 3, 0, 0, 0][..]));
        assert_eq!(bytes.get(24..32), Some(&[2, 0, 0, 0, 1, 0, 0, 0][..]));
        assert_eq!(info.signalfd_bytes().get(48..56), Some(&[2, 0, 0, 0, 1, 0, 0, 0][..]));
    }
}
