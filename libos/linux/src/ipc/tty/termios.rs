//! `struct termios` of the kernel: termios(3), ioctl_tty(2).

use crate::{Errno, Result};
use alloc::vec::Vec;

/// Input mode bits.
#[expect(missing_docs, reason = "the names are termios' own")]
pub mod input {
    pub const IGNBRK: u32 = 0o1;
    pub const PARMRK: u32 = 0o10;
    pub const ISTRIP: u32 = 0o40;
    pub const INLCR: u32 = 0o100;
    pub const IGNCR: u32 = 0o200;
    pub const ICRNL: u32 = 0o400;
    pub const IXON: u32 = 0o2000;
    pub const IXANY: u32 = 0o4000;
    pub const IMAXBEL: u32 = 0o20000;
    pub const IUTF8: u32 = 0o40000;
}

/// Output mode bits.
#[expect(missing_docs, reason = "the names are termios' own")]
pub mod output {
    pub const OPOST: u32 = 0o1;
    pub const OLCUC: u32 = 0o2;
    pub const ONLCR: u32 = 0o4;
    pub const OCRNL: u32 = 0o10;
    pub const ONOCR: u32 = 0o20;
    pub const ONLRET: u32 = 0o40;
    pub const TABDLY: u32 = 0o14000;
    pub const XTABS: u32 = 0o14000;
}

/// Local mode bits.
#[expect(missing_docs, reason = "the names are termios' own")]
pub mod local {
    pub const ISIG: u32 = 0o1;
    pub const ICANON: u32 = 0o2;
    pub const ECHO: u32 = 0o10;
    pub const ECHOE: u32 = 0o20;
    pub const ECHOK: u32 = 0o40;
    pub const ECHONL: u32 = 0o100;
    pub const NOFLSH: u32 = 0o200;
    pub const TOSTOP: u32 = 0o400;
    pub const ECHOCTL: u32 = 0o1000;
    pub const ECHOKE: u32 = 0o4000;
    pub const IEXTEN: u32 = 0o100000;
}

/// Indices of control characters.
#[expect(missing_docs, reason = "the names are termios' own")]
pub mod cc {
    pub const INTR: usize = 0;
    pub const QUIT: usize = 1;
    pub const ERASE: usize = 2;
    pub const KILL: usize = 3;
    pub const EOF: usize = 4;
    pub const TIME: usize = 5;
    pub const MIN: usize = 6;
    pub const START: usize = 8;
    pub const STOP: usize = 9;
    pub const SUSP: usize = 10;
    pub const EOL: usize = 11;
    pub const REPRINT: usize = 12;
    pub const WERASE: usize = 14;
    pub const LNEXT: usize = 15;
    pub const EOL2: usize = 16;
}

/// Control characters of a terminal.
const CONTROLS: usize = 19;

/// Terminal attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "fields of struct termios2")]
pub struct Termios {
    pub iflag: u32,
    pub oflag: u32,
    pub cflag: u32,
    pub lflag: u32,
    pub line: u8,
    pub controls: [u8; CONTROLS],
    pub ispeed: u32,
    pub ospeed: u32,
}

/// Bytes of `struct termios` and `struct termios2`.
pub const SIZE: usize = 36;
/// With the two speeds.
pub const SIZE2: usize = 44;
/// Bytes of `struct termio`, System V's.
pub const SIZE_OLD: usize = 18;
/// Control characters in it.
const CONTROLS_OLD: usize = 8;
/// `CLOCAL`: no modem lines.
pub const CLOCAL: u32 = 0o4000;

impl Default for Termios {
    /// What a new terminal has (`tty_std_termios`).
    fn default() -> Self {
        Self {
            iflag: input::ICRNL | input::IXON,
            oflag: output::OPOST | output::ONLCR,
            // B38400, CS8, CREAD.
            cflag: 0o277,
            lflag: local::ISIG
                | local::ICANON
                | local::ECHO
                | local::ECHOE
                | local::ECHOK
                | local::ECHOCTL
                | local::ECHOKE
                | local::IEXTEN,
            line: 0,
            controls: [3, 0x1c, 0x7f, 0x15, 4, 0, 1, 0, 0x11, 0x13, 0x1a, 0, 0x12, 0xf, 0x17, 0x16, 0, 0, 0],
            ispeed: 38400,
            ospeed: 38400,
        }
    }
}

impl Termios {
    /// The control character at `index`; `None` if it is switched off.
    #[must_use]
    pub fn control(&self, index: usize) -> Option<u8> {
        self.controls.get(index).copied().filter(|c| *c != 0)
    }

    /// The number at `index` (`MIN`, `TIME`).
    #[must_use]
    pub fn number(&self, index: usize) -> usize {
        self.controls.get(index).copied().map_or(0, usize::from)
    }

    /// As the kernel's `struct termios2`; the first [`SIZE`] bytes are its `struct termios`.
    #[must_use]
    pub fn format(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(SIZE2);
        for word in [self.iflag, self.oflag, self.cflag, self.lflag] {
            out.extend_from_slice(&word.to_ne_bytes());
        }
        out.push(self.line);
        out.extend_from_slice(&self.controls);
        out.extend_from_slice(&self.ispeed.to_ne_bytes());
        out.extend_from_slice(&self.ospeed.to_ne_bytes());
        out
    }

    /// As `struct termio`: the low halves of the modes, and the first control characters.
    #[must_use]
    pub fn format_old(&self) -> [u8; SIZE_OLD] {
        let mut out = [0; SIZE_OLD];
        let modes = [self.iflag, self.oflag, self.cflag, self.lflag].map(u32::to_le_bytes);
        let halves = modes.iter().flat_map(|mode| mode.iter().take(2));
        for (to, from) in
            out.iter_mut().zip(halves.chain([&self.line]).chain(self.controls.iter().take(CONTROLS_OLD)))
        {
            *to = *from;
        }
        out
    }

    /// Takes over a `struct termio`.
    pub fn update_old(&mut self, bytes: &[u8; SIZE_OLD]) {
        let modes = [&mut self.iflag, &mut self.oflag, &mut self.cflag, &mut self.lflag];
        for (mode, half) in modes.into_iter().zip(bytes.chunks_exact(2)) {
            let half = half.first_chunk::<2>().map_or(0, |half| u16::from_le_bytes(*half));
            *mode = *mode & 0xffff_0000 | u32::from(half);
        }
        for (to, from) in self.controls.iter_mut().zip(bytes.iter().skip(9).take(CONTROLS_OLD)) {
            *to = *from;
        }
    }

    /// Takes over what `bytes` say, a `struct termios` or `termios2`.
    ///
    /// # Errors
    /// `EINVAL` if it is shorter.
    pub fn update(&mut self, bytes: &[u8]) -> Result<()> {
        let word = |i: usize| {
            let chunk = bytes.get(i * 4..).and_then(|b| b.first_chunk::<4>());
            chunk.map(|b| u32::from_ne_bytes(*b)).ok_or(Errno::EINVAL)
        };
        let (iflag, oflag, cflag, lflag) = (word(0)?, word(1)?, word(2)?, word(3)?);
        let controls = bytes.get(17..).and_then(|b| b.first_chunk::<CONTROLS>()).ok_or(Errno::EINVAL)?;
        (self.iflag, self.oflag, self.lflag) = (iflag, oflag, lflag);
        self.cflag = cflag;
        self.controls = *controls;
        if bytes.len() >= SIZE2 {
            (self.ispeed, self.ospeed) = (word(9)?, word(10)?);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_survive_a_round_trip() {
        let mut changed = Termios { lflag: 7, ..Termios::default() };
        changed.controls[cc::MIN] = 9;
        let bytes = changed.format();
        assert_eq!(bytes.len(), SIZE2);
        let mut other = Termios::default();
        other.update(&bytes[..SIZE]).unwrap();
        assert_eq!(other, changed);
        assert_eq!(other.update(&bytes[..35]), Err(Errno::EINVAL));
        let mut old = Termios { iflag: 0x1_0000, ..Termios::default() };
        old.update_old(&changed.format_old());
        assert_eq!((old.iflag, old.lflag), (0x1_0000 | changed.iflag, 7));
        assert_eq!(old.controls, changed.controls);
    }
}
