//! The one list of downcalls and upcalls.
//!
//! A downcall has one of two transports. *Direct* calls are host system calls that the library OS makes itself, as
//! the seccomp filter allows them, on memory, threads and handles it already has. *Monitor* calls name something
//! and are messages ([`crate::message`]) that the monitor checks against the app's manifest.

/// How a downcall travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// A host system call of the filter.
    Direct,
    /// A message to the monitor.
    Monitor,
}

/// A row of the list: what `postern abi` prints.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// Name, in Drawbridge's manner.
    pub name: &'static str,
    /// Transport.
    pub transport: Transport,
    /// One line: what it does.
    pub summary: &'static str,
}

macro_rules! direct_calls {
    ($($name:literal: $summary:literal,)*) => {
        /// Downcalls that are host system calls.
        pub const DIRECT: &[Call] = &[$(Call { name: $name, transport: Transport::Direct, summary: $summary },)*];
    };
}

direct_calls! {
    "MemoryMap": "map anonymous memory or a granted handle (mmap)",
    "MemoryUnmap": "unmap (munmap)",
    "MemoryProtect": "change protection (mprotect)",
    "MemoryRemap": "move or resize a mapping (mremap)",
    "MemoryAdvise": "drop or hint pages (madvise)",
    "ThreadCreate": "a thread in this address space (clone)",
    "ProcessCreate": "a picoprocess with a copy of the user half and the same handles (clone)",
    "ThreadExit": "end this thread (exit)",
    "ThreadInterrupt": "kick a thread out of user code (tgkill), and return from a kick (rt_sigreturn, sigaltstack)",
    "Wait": "wait for and wake on a word of memory (futex)",
    "HandleRead": "read at an offset or from a stream (preadv2)",
    "HandleWrite": "write at an offset or to a stream (pwritev2)",
    "HandleReceive": "receive a message and handles (recvmsg)",
    "HandleSend": "send a message and handles (sendmsg)",
    "HandlePoll": "wait until handles are ready (ppoll)",
    "HandleResize": "set the length of, or free a range in, a granted file (ftruncate, fallocate)",
    "HandleClose": "close a handle (close)",
    "ClockRead": "read a clock that user mode cannot (clock_gettime)",
}

macro_rules! monitor_calls {
    ($($(#[$doc:meta])* $variant:ident = $number:literal, $summary:literal;)*) => {
        /// Downcalls that are messages to the monitor. The number is [`crate::message::Request::call`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u32)]
        pub enum Downcall { $($(#[$doc])* $variant = $number,)* }

        impl Downcall {
            /// The call with this number.
            #[must_use]
            pub fn from_number(number: u32) -> Option<Self> {
                match number { $($number => Some(Self::$variant),)* _ => None }
            }
        }

        /// Downcalls that are messages to the monitor, in order of number.
        pub const MONITOR: &[Call] = &[$(Call {
            name: stringify!($variant), transport: Transport::Monitor, summary: $summary,
        },)*];
    };
}

monitor_calls! {
    /// Resolves a path below a mount as far as possible, and opens (or creates) what it names.
    ///
    /// Arguments: `[mount id, `[`open`]` flags, creation mode, 0, 0, 0]`. Payload: path relative to the mount's
    /// root, components separated by `/`, no leading `/`, no `.` or `..`; empty = the root.
    ///
    /// The walk stops at the first component that is missing, or is a symbolic link (also as the last component;
    /// links are never followed by the monitor, the library OS does that; but see [`open::NEIGHBOUR`]).
    /// Reply payload: one [`crate::message::Record`] per component that exists, in order (the record of the root if
    /// the path is empty); a link's record carries its target. Values: `[components resolved, 1 if a handle comes
    /// with the reply, 1 if the file was created or 2 if the last record is that of a neighbour, 0]`. The call succeeds (error 0) when it resolved at least the
    /// parent of what stopped it; `ENOENT` as a whole is told by fewer components than asked for. Errors of
    /// opening (`EACCES`, `EROFS`, `ENOSPC`, `EEXIST`, …) come in `error`, with the records still in the payload.
    /// Handles are of regular files only: asking to read a directory, FIFO or socket succeeds without one.
    Open = 1, "resolve a path below a mount; open or create what it names";
    /// Lists a directory. Arguments: `[mount id, cookie]` (cookie 0 at first). Payload: path of the directory.
    /// Reply: records with names, without `.` and `..`; values: `[cookie for the next call, 1 if this was the last,
    /// watch, count]`. If watch is not 0, the directory is watched since before it was read: as long as counter
    /// `watch - 1` ([`crate::layout::CHANGES_BASE`]) stands at `count`, nothing changed. Only the first call watches.
    Enumerate = 2, "list a directory with attributes";
    /// Makes a directory, symbolic link, hard link, FIFO or socket node. Arguments: `[mount id, `[`node`]` kind,
    /// mode, length of the first path]`. Payload: the path, then for a symbolic link its target, for a hard link
    /// the existing path on the same mount. Reply payload: the record of the new file.
    Create = 3, "make a directory, link or node";
    /// Renames. Arguments: `[mount id, flags as renameat2, length of the first path]`. Payload: old and new path on
    /// the same mount (across mounts the library OS answers EXDEV itself).
    Rename = 4, "rename below a mount";
    /// Removes a file (`args[1]` = 0) or an empty directory (`args[1]` = 1). Arguments: `[mount id, 0 or 1]`.
    Remove = 5, "remove a file or an empty directory";
    /// Changes attributes. Arguments: `[mount id, `[`set`]` bits, mode, size, 0, 0]`. Payload: path,
    /// preceded by 32 bytes: atime seconds, atime nanoseconds, mtime seconds, mtime nanoseconds (i64 each).
    /// Reply payload: the record after the change.
    SetAttributes = 6, "change mode, size or times";
    /// Makes the content durable (fsync). Arguments: `[mount id, 1 for data only or 2 for all of the file system]`.
    /// Payload: path.
    Flush = 7, "make a file durable";
    /// Facts about the file system of a mount. Arguments: `[mount id]`. Reply values: `[block size, blocks, blocks
    /// free for the user, files free]`.
    FileSystem = 8, "free and total space of a mount";
    /// Makes an anonymous memory file that may be sealed and leave the family. Arguments: `[size in bytes, 1 to seal it
    /// against shrinking at once]`.
    /// Reply: the handle.
    MemoryCreate = 9, "make a memory file of its own";
    /// Opens a network stream, if the network permission covers it.
    ///
    /// Arguments: `[`[`net`]` protocol and operation, port, stream id chosen by the caller (nonzero, names it in
    /// `StreamControl`), backlog or id of the listening stream]`. Payload: the address, 4 or 16 bytes.
    /// - connect: reply: a connected (or, for TCP, connecting) non-blocking socket. Errors as connect(2),
    ///   `ENETUNREACH` without permission.
    /// - listen: reply: the listening socket, which can only be polled; values: `[port]`.
    /// - accept: reply: the socket; values: `[port of the peer]`; payload: its address. `EAGAIN` when there is none.
    NetworkOpen = 10, "connect, listen or accept a tcp: or udp: stream";
    /// Changes or asks the state of a network stream. Arguments: `[stream id, `[`control`]` operation, value…]`.
    /// Reply values and payload by operation.
    StreamControl = 11, "shut down, close or ask a network stream";
    /// Console attributes. Arguments: `[operation: 0 = cooked mode as at start, 1 = raw mode, 2 = ask window size]`.
    /// Reply values: `[rows, columns]`.
    Console = 12, "mode and size of the terminal";
    /// Tells the monitor something for its account and reports. Arguments: `[`[`notice`]` kind, value…]`;
    /// payload: text by kind. Always succeeds.
    Notice = 13, "report an exit, a crash, a refusal or an unknown request";
    /// Reads or changes the extended attributes of a regular file or a directory: those of the namespace `user.` only.
    ///
    /// Arguments: `[mount id, `[`attribute`]` operation, `[`attribute`]` flags, length of the path, length of the
    /// name]`. Payload: the path, the whole name (`user.…`, without a NUL), and for `SET` the value.
    /// - `GET`: reply payload: the value. `ENODATA` if there is none.
    /// - `SET`: no reply payload. A value that leaves no room for path and name in the message cannot be set.
    /// - `LIST`: reply payload: the names, each with a NUL behind it. `E2BIG` if they are longer than a message.
    /// - `REMOVE`: no reply payload.
    ///
    /// Errors: `EOPNOTSUPP` for a name of another namespace; `EPERM` for a file of another kind; `EROFS` for a change
    /// where the mount is read-only; the host's.
    ExtendedAttribute = 14, "get, set, list or remove an extended attribute";
}

/// What stands in place of the mount id where the unnamed file `number` ([`open::UNNAMED`]) of that mount is meant:
/// with an empty path, in `Open`, `SetAttributes`, `Flush` and `ExtendedAttribute`; in `Create` as what a hard link is
/// made to, which gives the file its first name and ends its number; in `Remove`, which lets go of it.
#[must_use]
pub const fn unnamed(mount: u64, number: u64) -> u64 {
    mount | number << 32
}

/// The mount id and the number of an unnamed file, 0 if none is meant. The other way of [`unnamed`].
#[must_use]
pub const fn split_unnamed(id: u64) -> (u64, u64) {
    (id & 0xffff_ffff, id >> 32)
}

/// Flags of [`Downcall::Open`].
pub mod open {
    /// Want a handle for reading.
    pub const READ: u64 = 1 << 0;
    /// Want a handle for writing.
    pub const WRITE: u64 = 1 << 1;
    /// Create if missing (a regular file).
    pub const CREATE: u64 = 1 << 2;
    /// With [`CREATE`]: fail with EEXIST if it exists.
    pub const EXCLUSIVE: u64 = 1 << 3;
    /// Truncate to zero length.
    pub const TRUNCATE: u64 = 1 << 4;
    /// Make an unnamed file in the named directory (`O_TMPFILE`). The only record is that of the file; values: `[…, 1
    /// if a handle comes with the reply, 1, number of the file]`. By its number ([`super::unnamed`]) it can be asked
    /// about and named until it is let go of. With [`EXCLUSIVE`]: it can never be named, and its number may be 0.
    pub const UNNAMED: u64 = 1 << 5;
    /// Send no records of the components before the last.
    pub const LAST_ONLY: u64 = 1 << 6;
    /// Have the family told of all changes to what the path names, a regular file or a directory, and to the names in
    /// it ([`crate::event::EventKind::Changed`]), its own included. `values[3]` is the number of the watch, the same for
    /// the same file; 0 if it is not watched, because nobody else changes it or because there are too many watches.
    pub const WATCH: u64 = 1 << 7;
    /// Where the last component is a link to another name of its own directory, as those of most libraries are: also
    /// send the record of that name, and the handle that was asked for is of that file. Only to look up, or to read.
    pub const NEIGHBOUR: u64 = 1 << 8;
}

/// Kinds of [`Downcall::Create`].
pub mod node {
    /// A directory.
    pub const DIRECTORY: u64 = 1;
    /// A symbolic link.
    pub const SYMLINK: u64 = 2;
    /// A hard link.
    pub const HARD_LINK: u64 = 3;
    /// A FIFO (only the name and mode live on the host; the pipe is the library OS's).
    pub const FIFO: u64 = 4;
    /// A socket (likewise).
    pub const SOCKET: u64 = 5;
}

/// Bits of [`Downcall::SetAttributes`].
pub mod set {
    /// Set the permission bits.
    pub const MODE: u64 = 1 << 0;
    /// Set the size.
    pub const SIZE: u64 = 1 << 1;
    /// Set the access time.
    pub const ATIME: u64 = 1 << 2;
    /// Set the modification time.
    pub const MTIME: u64 = 1 << 3;
}

/// Operations and flags of [`Downcall::ExtendedAttribute`].
pub mod attribute {
    /// Tell the value.
    pub const GET: u64 = 1;
    /// Set the value.
    pub const SET: u64 = 2;
    /// Tell all names.
    pub const LIST: u64 = 3;
    /// Remove it.
    pub const REMOVE: u64 = 4;
    /// Flag of [`SET`]: fail with EEXIST if it is there.
    pub const CREATE: u64 = 1;
    /// Flag of [`SET`]: fail with ENODATA if it is not there.
    pub const REPLACE: u64 = 2;
    /// Longest name.
    pub const MAX_NAME: usize = 255;
    /// Longest value.
    pub const MAX_VALUE: usize = 65536;
    /// What names begin with.
    pub const NAMESPACE: &[u8] = b"user.";
}

/// Protocols and operations of [`Downcall::NetworkOpen`], to be or-ed.
pub mod net {
    /// TCP.
    pub const TCP: u64 = 1;
    /// UDP, with a fixed peer.
    pub const UDP: u64 = 2;
    /// Connect to a peer.
    pub const CONNECT: u64 = 0x100;
    /// Listen on a port.
    pub const LISTEN: u64 = 0x200;
    /// Take a connection from a listening stream.
    pub const ACCEPT: u64 = 0x300;
    /// With [`LISTEN`]: the port is one of the family's own loopback, which works without the host. That it is not
    /// granted is no refusal to be counted.
    pub const OWN: u64 = 0x1000;
}

/// Operations of [`Downcall::StreamControl`].
pub mod control {
    /// `args[2]` = 0 read, 1 write, 2 both (shutdown(2)).
    pub const SHUTDOWN: u64 = 1;
    /// The family closed its last handle.
    pub const CLOSE: u64 = 2;
    /// Values: `[SO_ERROR]`.
    pub const ERROR: u64 = 3;
    /// Values: `[local port]`; payload: local address.
    pub const LOCAL: u64 = 4;
    /// `args[2]`: TCP_NODELAY on or off.
    pub const NO_DELAY: u64 = 5;
}

/// Kinds of [`Downcall::Notice`].
pub mod notice {
    /// The initial app process ended: `args[1]` is its wait status. Payload: text for the user, where the program could
    /// not be started.
    pub const EXIT: u64 = 1;
    /// An app process died of a signal: `args[1]` = guest pid, `args[2]` = signal, `args[3]` = faulting address,
    /// `args[4]` = instruction pointer. Payload: UTF-8 JSON object
    /// `{"comm","argv":[…],"code","registers":{…},"maps":"…","stack":[return addresses]}`.
    pub const CRASH: u64 = 2;
    /// The library OS found itself broken. Payload: text. The monitor ends the family and writes a report.
    pub const PANIC: u64 = 3;
    /// A request was refused by the library OS for lack of a permission. Payload: `permission NUL what was asked`.
    pub const DENIED: u64 = 4;
    /// A system call or option that is not there was asked for. `args[1]` = count. Payload: its name.
    pub const UNSUPPORTED: u64 = 5;
    /// Every process of the family has ended.
    pub const EMPTY: u64 = 6;
    /// A line from the library OS. `args[1]` = 1: for the user, such as why the program could not be executed; always
    /// shown. `args[1]` = 0: for debugging. Payload: text.
    pub const LOG: u64 = 7;
    /// A process began or changed its program (or, with an empty payload, ended): `args[1]` = guest pid, `args[2]` = host pid in the family's
    /// namespace; payload: name.
    pub const PROCESS: u64 = 8;
    /// The family need not be told of watch `args[1]` any more ([`super::open::WATCH`]).
    pub const UNWATCH: u64 = 9;
    /// Mount `args[1]` is there from now on ([`crate::event::EventKind::Mounted`]), or cannot be.
    pub const MOUNTED: u64 = 10;
    /// What the library OS knows of places where the app's programs make system calls, for its next start. Payload:
    /// [`crate::boot::Site`] records.
    pub const SITES: u64 = 11;
}

/// Upcalls: how control enters a picoprocess. None returns.
pub const UPCALLS: &[Call] = &[
    Call {
        name: "Start",
        transport: Transport::Direct,
        summary: "the keeper begins, with the start-up block in the arena",
    },
    Call {
        name: "Exception",
        transport: Transport::Direct,
        summary: "a trap, a fault or a kick of the thread (host signal)",
    },
    Call {
        name: "ThreadStart",
        transport: Transport::Direct,
        summary: "a thread or picoprocess begins on its kernel stack",
    },
];

/// Most downcalls there may ever be.
pub const MAX_DOWNCALLS: usize = 32;
/// Most upcalls there may ever be.
pub const MAX_UPCALLS: usize = 3;

const _: () = assert!(DIRECT.len() + MONITOR.len() <= MAX_DOWNCALLS);
const _: () = assert!(UPCALLS.len() <= MAX_UPCALLS);
