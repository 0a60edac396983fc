//! Events: what the monitor tells a family without being asked, on the handle [`crate::layout::handle::EVENTS`].
//! Each is one datagram: an [`Event`], with a name behind it where its kind says so.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// One event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Event {
    /// An [`EventKind`] number.
    pub kind: u32,
    /// Zero.
    pub reserved: u32,
    /// By kind.
    pub args: [u64; 3],
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum EventKind {
    /// Send signal `args[0]` to the initial app process (a `postern stop`, or a signal the launcher received).
    Signal = 1,
    /// The terminal behind `console:` now has `args[0]` rows and `args[1]` columns.
    WindowSize = 2,
    /// A bridge was restarted: the new display channel comes as a handle with this event.
    DisplayReady = 3,
    /// The permissions changed: `args[0]` is the new set of [`crate::boot::permission`] bits.
    Permissions = 4,
    /// Something happened to a watched file or directory ([`crate::calls::open::WATCH`]): `args[0]` is the number of the
    /// watch, `args[1]` the bits of inotify(7), with its cookie in the upper half, `args[2]` the length of the name that
    /// follows: that of the file in the directory, or none. With the bit for an overflow: of any watch, and what it was
    /// is not known.
    Changed = 5,
    /// The user gave the app another file or folder: `args[0]` is the number of the mount, `args[1]` its
    /// [`crate::boot::mount`] bits, `args[2]` the length of the absolute path that follows. Answered by
    /// [`crate::calls::notice::MOUNTED`].
    Mounted = 6,
    /// The start of the app is over. Answered by [`crate::calls::notice::SITES`].
    Settled = 7,
}

impl EventKind {
    /// The kind with this number.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            1 => Self::Signal,
            2 => Self::WindowSize,
            3 => Self::DisplayReady,
            4 => Self::Permissions,
            5 => Self::Changed,
            6 => Self::Mounted,
            7 => Self::Settled,
            _ => return None,
        })
    }
}
