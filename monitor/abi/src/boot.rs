//! The start-up block: how the monitor tells a new family what to run. The monitor writes it into the arena at
//! [`crate::layout::BOOT_BASE`] before the keeper starts; the family only reads it.
//!
//! Layout: a [`Boot`] header, then the sections it points to. A section is a byte range relative to the start of
//! the block; string lists are NUL-terminated strings one after another.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// `b"POSTERN1"`, little endian.
pub const MAGIC: u64 = u64::from_le_bytes(*b"POSTERN1");

/// A byte range in the start-up block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Section {
    /// Offset from the start of the block.
    pub offset: u32,
    /// Length in bytes.
    pub len: u32,
}

impl Section {
    /// The bytes of this section in `block`, or empty where the range is not inside it.
    #[must_use]
    pub fn of<'a>(&self, block: &'a [u8]) -> &'a [u8] {
        let start = usize::try_from(self.offset).unwrap_or(usize::MAX);
        let len = usize::try_from(self.len).unwrap_or(usize::MAX);
        start.checked_add(len).and_then(|end| block.get(start..end)).unwrap_or(&[])
    }
}

/// Header of the start-up block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Boot {
    /// [`MAGIC`].
    pub magic: u64,
    /// [`crate::VERSION`].
    pub version: u32,
    /// Bytes of the whole block.
    pub len: u32,
    /// User id the app sees.
    pub uid: u32,
    /// Group id the app sees.
    pub gid: u32,
    /// [`permission`] bits at start.
    pub permissions: u32,
    /// Whether [`crate::layout::handle::DISPLAY`] is a display channel: a [`display`] value.
    pub display: u32,
    /// What each standard stream is: a [`stdio`] value.
    pub stdio: [u32; 3],
    /// Processors the app may use.
    pub cpus: u32,
    /// Rows and columns of the terminal behind `console:`, 0 where there is none.
    pub window: [u32; 2],
    /// Memory the app may use, in bytes, as /proc/meminfo tells it.
    pub memory: u64,
    /// Frequency of the TSC in Hz as the host knows it, or 0.
    pub tsc_hz: u64,
    /// Random bytes; the family's only source of entropy.
    pub seed: [u64; 8],
    /// Resource limits the app sees at start: `RLIMIT_*` number → (soft, hard).
    pub rlimits: [[u64; 2]; 16],
    /// Path of the program to run.
    pub program: Section,
    /// Working directory.
    pub cwd: Section,
    /// Host name the app sees.
    pub hostname: Section,
    /// Arguments, string list.
    pub argv: Section,
    /// Environment, string list.
    pub envp: Section,
    /// Mounts: a sequence of [`Mount`] records.
    pub mounts: Section,
    /// The seccomp filter: an array of `struct sock_filter`.
    pub filter: Section,
    /// Text that the library OS serves as files: a sequence of (path NUL, u32 length, bytes), for instance
    /// `/proc/cpuinfo` and `/proc/version`.
    pub texts: Section,
    /// What the app looked up in earlier starts, in order: an [`ahead`] value, then a path, then NUL. To be looked up
    /// before the app asks, or to be ignored.
    pub ahead: Section,
    /// Where programs made system calls in earlier starts: a sequence of [`Site`] records. No more than a hint either.
    pub sites: Section,
}

/// Most [`Site`] records that are kept.
pub const MAX_SITES: usize = 1024;

/// A place in the text of a file where programs make system calls.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Site {
    /// Device of the file, as the library OS numbers it.
    pub device: u64,
    /// Its inode.
    pub inode: u64,
    /// Where in the file, in bytes.
    pub offset: u64,
    /// By which the code around it is known again: a hash of the library OS.
    pub code: u64,
    /// The number that it calls with.
    pub number: u64,
}

/// What is to be done with a path of [`Boot::ahead`].
pub mod ahead {
    /// Find it.
    pub const LOOK: u8 = b'l';
    /// Open it for reading.
    pub const OPEN: u8 = b'o';
    /// List it.
    pub const LIST: u8 = b'd';
}

/// What is behind a standard stream.
pub mod stdio {
    /// Closed.
    pub const NONE: u32 = 0;
    /// A terminal (`console:`): the monitor switches it to raw mode and the library OS runs its line discipline.
    pub const TERMINAL: u32 = 1;
    /// A pipe or socket.
    pub const STREAM: u32 = 2;
    /// A regular file, which has an offset and a size.
    pub const FILE: u32 = 3;
    /// `/dev/null` or another device.
    pub const DEVICE: u32 = 4;
}

/// What [`Boot::display`] says.
pub mod display {
    /// There is no display.
    pub const NONE: u32 = 0;
    /// There is, and a compositor to show it: a bridge greets soon.
    pub const SESSION: u32 = 1;
    /// There is, and nobody shows it yet: a bridge may greet at any time, or never.
    pub const WAITING: u32 = 2;
}

/// Bits of [`Boot::permissions`].
pub mod permission {
    /// Outbound network.
    pub const NETWORK: u32 = 1 << 0;
    /// Listening sockets.
    pub const LISTEN: u32 = 1 << 1;
    /// The app may read the host's clipboard.
    pub const CLIPBOARD_READ: u32 = 1 << 2;
    /// The app may write the host's clipboard.
    pub const CLIPBOARD_WRITE: u32 = 1 << 3;
}

/// One mount of the namespace, 16 bytes and then `path_len` bytes of absolute path and `target_len` bytes of link
/// target, padded to 8 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Mount {
    /// Number that `Open` and its kin name the mount by. 0 for a symbolic link, which is not a mount.
    pub id: u32,
    /// [`mount`] bits.
    pub flags: u32,
    /// Bytes of path.
    pub path_len: u32,
    /// Bytes of link target (only for [`mount::LINK`]).
    pub target_len: u32,
}

/// Bits of [`Mount::flags`].
pub mod mount {
    /// Writing answers EROFS.
    pub const READ_ONLY: u32 = 1 << 0;
    /// Nobody else changes what is below: attributes and names may be cached for ever.
    pub const EXCLUSIVE: u32 = 1 << 1;
    /// The mount is a single file, not a directory.
    pub const FILE: u32 = 1 << 2;
    /// Not a mount but a symbolic link to be made in the root (for instance `/lib` → `usr/lib`).
    pub const LINK: u32 = 1 << 3;
}

/// A mount record, its path, its link target, and the bytes after it.
pub type SplitMount<'a> = (Mount, &'a [u8], &'a [u8], &'a [u8]);

/// Splits the first mount off a mounts section.
#[must_use]
pub fn split_mount(bytes: &[u8]) -> Option<SplitMount<'_>> {
    let (m, rest) = Mount::read_from_prefix(bytes).ok()?;
    let path_len = usize::try_from(m.path_len).ok()?;
    let target_len = usize::try_from(m.target_len).ok()?;
    let both = path_len.checked_add(target_len)?;
    let padded = both.checked_add(7)? & !7;
    Some((m, rest.get(..path_len)?, rest.get(path_len..both)?, rest.get(padded..)?))
}
