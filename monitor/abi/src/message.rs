//! Messages of the *monitor* transport: one request and one reply, each one `SOCK_SEQPACKET` datagram on a gate.
//!
//! A request is a [`Request`] header followed by at most [`MAX_PAYLOAD`] bytes; a reply is a [`Reply`] header and
//! the same. What the arguments, values and payload mean is documented with each call in [`crate::calls`].
//! All integers are little endian (the only host is x86-64).

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Most payload bytes in one message.
pub const MAX_PAYLOAD: usize = 64 * 1024;

/// Header of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Request {
    /// Which downcall: a [`crate::calls::Downcall`] number.
    pub call: u32,
    /// Payload bytes that follow.
    pub payload_len: u32,
    /// Arguments, by call.
    pub args: [u64; 6],
}

/// Header of a reply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Reply {
    /// 0, or an `errno` value (positive) as Linux defines it.
    pub error: u32,
    /// Payload bytes that follow.
    pub payload_len: u32,
    /// Results, by call.
    pub values: [u64; 4],
}

/// Attributes of a file: what `statx` tells, without anything that names the host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Attributes {
    /// Inode number, unique within its mount.
    pub ino: u64,
    /// Length in bytes.
    pub size: u64,
    /// 512-byte blocks in use.
    pub blocks: u64,
    /// Device number of a device node, in Linux' `makedev` form; else 0.
    pub rdev: u64,
    /// Seconds and nanoseconds of the last access.
    pub atime: [i64; 2],
    /// Seconds and nanoseconds of the last change of the content.
    pub mtime: [i64; 2],
    /// Seconds and nanoseconds of the last change of the attributes.
    pub ctime: [i64; 2],
    /// Type and permission bits, as `st_mode`.
    pub mode: u32,
    /// Hard links.
    pub nlink: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// One record in the payload of an `Open` reply or an `Enumerate` reply: attributes, then `name_len` bytes of name
/// (`Enumerate`: the entry's name; `Open`: the target of a symbolic link, else empty) and `target_len` bytes of target
/// (`Enumerate`: that of a symbolic link, or nothing if it was not read; `Open`: nothing), padded to 8 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Record {
    /// Attributes of the file.
    pub attributes: Attributes,
    /// Bytes of name that follow.
    pub name_len: u32,
    /// Bytes of target that follow the name.
    pub target_len: u32,
}

/// A record with what follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named<'a> {
    /// Attributes of the file.
    pub attributes: Attributes,
    /// The name; see [`Record`].
    pub name: &'a [u8],
    /// The target.
    pub target: &'a [u8],
}

/// Splits the first record off `payload`. `None` if it is malformed or empty.
#[must_use]
pub fn split_record(payload: &[u8]) -> Option<(Named<'_>, &[u8])> {
    let (record, rest) = Record::read_from_prefix(payload).ok()?;
    let name_len = usize::try_from(record.name_len).ok()?;
    let len = name_len.checked_add(usize::try_from(record.target_len).ok()?)?;
    let padded = len.checked_add(7)? & !7;
    let (name, target) = rest.get(..len)?.split_at_checked(name_len)?;
    let rest = rest.get(padded..)?;
    Some((Named { attributes: record.attributes, name, target }, rest))
}

/// Bytes that a record with a name and a target of `len` bytes together takes.
#[must_use]
pub const fn record_len(len: usize) -> usize {
    size_of::<Record>() + ((len + 7) & !7)
}
