//! Walking a path below a mount, one component at a time, each relative to the directory before it and without
//! following links. So no path can leave its mount, whatever the app or the host does to the tree meanwhile.

use super::mounts::{Mount, Mounts, Policy, is_secret};
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat};
use postern_abi::message::Attributes;
use std::ffi::OsStr;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// Longest path, as PATH_MAX of Linux.
const MAX_PATH: usize = 4096;
/// Longest name, as NAME_MAX of Linux.
const MAX_NAME: usize = 255;

/// A file that was found: a descriptor that only names it, and its attributes.
#[derive(Debug)]
pub(crate) struct Node {
    fd: OwnedFd,
    pub stat: FileStat,
}

impl Node {
    pub fn from_fd(fd: OwnedFd) -> Result<Self, Errno> {
        let stat = fstat(&fd)?;
        Ok(Self { fd, stat })
    }

    pub fn into_fd(self) -> OwnedFd {
        self.fd
    }

    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    pub fn kind(&self) -> SFlag {
        kind(&self.stat)
    }

    pub fn is(&self, kind: SFlag) -> bool {
        self.kind() == kind
    }

    /// A path of the monitor's own /proc that means exactly this file.
    pub fn proc_path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.fd.as_raw_fd()))
    }

    /// Opens exactly this file.
    pub fn reopen(&self, flags: OFlag) -> Result<OwnedFd, Errno> {
        nix::fcntl::open(&self.proc_path(), flags | OFlag::O_CLOEXEC | OFlag::O_NOCTTY, Mode::empty())
    }

    /// The target, if this is a symbolic link.
    pub fn link_target(&self) -> Result<Vec<u8>, Errno> {
        if !self.is(SFlag::S_IFLNK) {
            return Ok(Vec::new());
        }
        let target = nix::fcntl::readlinkat(self.fd(), "")?;
        Ok(target.as_bytes().to_vec())
    }
}

/// What kind of file has these attributes.
pub(super) fn kind(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits())
}

/// Splits a path of the ABI into its components.
///
/// # Errors
/// `EINVAL` for a component that is no name; `ENAMETOOLONG`.
pub(super) fn components(path: &[u8]) -> Result<Vec<&OsStr>, Errno> {
    if path.is_empty() {
        return Ok(Vec::new());
    }
    if path.len() > MAX_PATH {
        return Err(Errno::ENAMETOOLONG);
    }
    path.split(|byte| *byte == b'/')
        .map(|name| match name {
            b"" | b"." | b".." => Err(Errno::EINVAL),
            name if name.contains(&0) => Err(Errno::EINVAL),
            name if name.len() > MAX_NAME => Err(Errno::ENAMETOOLONG),
            name => Ok(OsStr::from_bytes(name)),
        })
        .collect()
}

impl Mounts {
    /// Looks up one name in a directory, by the mount's policy.
    pub(super) fn child(&self, mount: &Mount, parent: &Node, name: &OsStr) -> Result<Node, Errno> {
        self.may_search(mount, parent)?;
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let node = Node::from_fd(openat(parent.fd(), name, flags, Mode::empty())?)?;
        if self.is_hidden(node.stat.st_dev, node.stat.st_ino) {
            return Err(Errno::EACCES);
        }
        Ok(node)
    }

    /// Whether names can be looked up in `directory`.
    pub(super) fn may_search(&self, mount: &Mount, directory: &Node) -> Result<(), Errno> {
        if !directory.is(SFlag::S_IFDIR) {
            return Err(Errno::ENOTDIR);
        }
        match mount.policy {
            Policy::System if directory.stat.st_mode & 0o001 == 0 => Err(Errno::EACCES),
            _ => Ok(()),
        }
    }

    /// Whether the content of `node`, at `path` below the mount, can be read.
    pub(super) fn may_read(&self, mount: &Mount, node: &Node, path: &[u8]) -> Result<(), Errno> {
        if mount.policy == Policy::Granted {
            return Ok(());
        }
        let whole = mount.path.join(Path::new(OsStr::from_bytes(path)));
        if node.stat.st_mode & 0o004 == 0 || is_secret(&whole) { Err(Errno::EACCES) } else { Ok(()) }
    }

    /// Whether anything below the mount can be changed.
    pub(super) fn may_write(mount: &Mount) -> Result<(), Errno> {
        if mount.is_writable() { Ok(()) } else { Err(Errno::EROFS) }
    }

    /// The file at `path`, which must not lead through a link.
    pub(super) fn walk(&self, mount: &Mount, path: &[u8]) -> Result<Node, Errno> {
        self.walk_components(mount, &components(path)?)
    }

    /// The directory that `path` is in, and its name there.
    pub(super) fn walk_parent<'a>(&self, mount: &Mount, path: &'a [u8]) -> Result<(Node, &'a OsStr), Errno> {
        let components = components(path)?;
        let (name, directories) = components.split_last().ok_or(Errno::EBUSY)?;
        let parent = self.walk_components(mount, directories)?;
        if parent.is(SFlag::S_IFLNK) {
            return Err(Errno::ELOOP);
        }
        self.may_search(mount, &parent)?;
        Ok((parent, name))
    }

    fn walk_components(&self, mount: &Mount, components: &[&OsStr]) -> Result<Node, Errno> {
        let mut node = self.root(mount)?;
        for name in components {
            if node.is(SFlag::S_IFLNK) {
                return Err(Errno::ELOOP);
            }
            node = self.child(mount, &node, name)?;
        }
        Ok(node)
    }

    /// Attributes as the ABI has them: nothing that names the host's devices.
    pub(super) fn attributes(&self, mount: &Mount, stat: &FileStat) -> Attributes {
        let number = |n: i64| u64::try_from(n).unwrap_or(0);
        let map = |id: u32, (from, to): (u32, u32)| if id == from { to } else { id };
        let [user, group] = self.owner;
        let device = matches!(kind(stat), SFlag::S_IFCHR | SFlag::S_IFBLK);
        Attributes {
            ino: inode(mount, stat),
            size: number(stat.st_size),
            blocks: number(stat.st_blocks),
            rdev: if device { stat.st_rdev } else { 0 },
            atime: [stat.st_atime, stat.st_atime_nsec],
            mtime: [stat.st_mtime, stat.st_mtime_nsec],
            ctime: [stat.st_ctime, stat.st_ctime_nsec],
            mode: stat.st_mode,
            nlink: u32::try_from(stat.st_nlink).unwrap_or(u32::MAX),
            uid: map(stat.st_uid, user),
            gid: map(stat.st_gid, group),
        }
    }
}

/// The inode number, made unique within the mount where other file systems are mounted below it on the host.
fn inode(mount: &Mount, stat: &FileStat) -> u64 {
    if stat.st_dev == mount.device {
        return stat.st_ino;
    }
    stat.st_ino ^ stat.st_dev.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}
