//! Device nodes: null, zero, full, random, urandom, and the terminals of [`crate::ipc::tty`].

use super::dentry::Dentry;
use super::file::{FileOps, Whence, mode};
use super::{Mapping, Metadata, OpenFile, random};
use crate::io::{Sink, Source};
use crate::ipc::tty;
use crate::task::Thread;
use crate::{Errno, Result};
use alloc::sync::Arc;
use core::any::Any;

/// Linux' `makedev` for small numbers.
#[must_use]
pub const fn number(major: u64, minor: u64) -> u64 {
    (major << 8) | (minor & 0xff) | ((minor & !0xff) << 12)
}

/// Major and minor part of a device number.
#[must_use]
pub const fn parts(number: u64) -> (u64, u64) {
    ((number >> 8) & 0xfff, (number & 0xff) | ((number >> 12) & 0xfff_ff00))
}

/// `/dev/null`.
pub const NULL: u64 = number(1, 3);
/// `/dev/zero`.
pub const ZERO: u64 = number(1, 5);
/// `/dev/full`.
pub const FULL: u64 = number(1, 7);
/// `/dev/random`.
pub const RANDOM: u64 = number(1, 8);
/// `/dev/urandom`.
pub const URANDOM: u64 = number(1, 9);
/// `/dev/tty`.
pub const TTY: u64 = number(5, 0);
/// `/dev/ptmx`.
pub const PTMX: u64 = number(5, 2);
/// Major number of pseudo-terminals.
pub const PTS_MAJOR: u64 = 136;

/// Opens the character device `number` through the node at `dentry`.
///
/// # Errors
/// `ENXIO` if there is no such device; those of the terminals.
pub fn open(
    number: u64,
    kind: u32,
    thread: &Thread,
    dentry: &Arc<Dentry>,
    status: u32,
) -> Result<Arc<OpenFile>> {
    if kind & mode::S_IFMT != mode::S_IFCHR {
        return Err(Errno::ENXIO);
    }
    let ops: Arc<dyn FileOps> = match number {
        NULL | ZERO | FULL | RANDOM | URANDOM => Arc::new(Memory { number, dentry: dentry.clone() }),
        TTY => tty::open_tty(thread, status)?,
        PTMX => tty::open_ptmx(thread, status)?,
        _ => match parts(number) {
            (PTS_MAJOR, minor) => {
                tty::open_pts(thread, u32::try_from(minor).map_err(|_| Errno::ENXIO)?, status)?
            }
            _ => return Err(Errno::ENXIO),
        },
    };
    Ok(OpenFile::at(ops, status, dentry.clone()))
}

/// The memory devices (mem(4), null(4), random(4)).
struct Memory {
    number: u64,
    dentry: Arc<Dentry>,
}

impl FileOps for Memory {
    fn read(&self, _: &Thread, _: &OpenFile, sink: &mut Sink<'_>, _: Option<u64>) -> Result<usize> {
        match self.number {
            NULL => Ok(0),
            RANDOM | URANDOM => random::fill_sink(sink),
            _ => sink.put_zeroes(sink.left()),
        }
    }

    fn write(&self, _: &Thread, _: &OpenFile, source: &mut Source<'_>, _: Option<u64>) -> Result<usize> {
        if self.number == FULL { Err(Errno::ENOSPC) } else { Ok(source.left()) }
    }

    fn is_seekable(&self) -> bool {
        true
    }

    fn stays_at_start(&self) -> bool {
        matches!(self.number, NULL | ZERO | FULL)
    }

    fn seek(&self, _: &OpenFile, position: u64, whence: Whence) -> Result<u64> {
        Ok(if matches!(whence, Whence::Set | Whence::Current) { position } else { 0 })
    }

    fn knows_hurry(&self, _: bool) -> bool {
        self.number != FULL
    }

    fn metadata(&self) -> Result<Metadata> {
        self.dentry.inode.metadata()
    }

    fn size(&self) -> Result<u64> {
        Ok(0)
    }

    fn mapping(&self) -> Result<Mapping> {
        if self.number == ZERO { Ok(Mapping::Zero) } else { Err(Errno::ENODEV) }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_numbers_are_those_of_linux() {
        assert_eq!(NULL, 0x103);
        assert_eq!(number(136, 0), 0x8800);
        assert_eq!(parts(number(136, 300)), (136, 300));
    }
}
