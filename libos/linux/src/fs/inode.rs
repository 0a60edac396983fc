//! What a file system provides: inodes. The VFS ([`super::path`], [`super::open`], the calls) does the rest.

use super::dentry::Dentry;
use super::extended::Request;
use super::file::mode;
use super::{Metadata, OpenFile};
use crate::task::Thread;
use crate::{Errno, Result};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;

/// What following a symbolic link leads to.
pub enum Link {
    /// A path, relative to the directory of the link.
    Text(Vec<u8>),
    /// A file itself: the links of /proc/PID, which lead to it even where it has no name any more.
    Jump(Arc<Dentry>),
}

/// A name in a directory.
pub type Name = Box<[u8]>;

/// The answer of a lookup, with what the file system learned on the way below.
pub struct Found {
    /// The inode of the name that was asked for.
    pub inode: Arc<dyn Inode>,
    /// What it knows of the components after that name: one below the other; `None`: there is no such name.
    pub below: Vec<(Name, Option<Arc<dyn Inode>>)>,
    /// Another name in the directory of the last of these, which is a link to it.
    pub beside: Option<(Name, Arc<dyn Inode>)>,
}

impl Found {
    /// Only the inode that was asked for.
    #[must_use]
    pub fn one(inode: Arc<dyn Inode>) -> Self {
        Self { inode, below: Vec::new(), beside: None }
    }
}

/// What the caller of a lookup will want next, so that one message can do all of it.
#[derive(Clone, Copy, Default)]
pub struct Hint<'a> {
    /// The rest of the path after the name.
    pub rest: &'a [u8],
    /// The last component will be opened for reading.
    pub open: bool,
}

/// A file to be made.
#[derive(Clone, Copy)]
pub enum New<'a> {
    /// An empty regular file.
    Regular,
    /// A directory.
    Directory,
    /// A symbolic link to this target.
    Symlink(&'a [u8]),
    /// A node: FIFO, socket or device, by type bits and device number.
    Node(u32, u64),
}

/// Attributes to be changed.
#[derive(Clone, Copy, Default)]
pub struct Change {
    /// Permission bits.
    pub mode: Option<u32>,
    /// Owner.
    pub uid: Option<u32>,
    /// Group.
    pub gid: Option<u32>,
    /// Length in bytes.
    pub size: Option<u64>,
    /// Access time: seconds and nanoseconds.
    pub atime: Option<[i64; 2]>,
    /// Modification time.
    pub mtime: Option<[i64; 2]>,
}

/// Facts about a file system, for statfs.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "fields of struct statfs")]
pub struct Statistics {
    pub magic: i64,
    pub block_size: u64,
    pub blocks: u64,
    pub blocks_free: u64,
    pub files: u64,
    pub files_free: u64,
}

/// One name of a directory.
pub struct Listed {
    /// The name.
    pub name: Box<[u8]>,
    /// Inode number.
    pub ino: u64,
    /// Type bits.
    pub mode: u32,
}

/// A file of some file system. Directory operations answer `ENOTDIR` (or `EPERM`, for changes of a file system that
/// has none) where they are not overridden.
///
/// The VFS has checked permissions and read-only mounts before it calls, and updates the dentries afterwards.
#[expect(unused_variables, reason = "default bodies")]
pub trait Inode: Send + Sync + Any {
    /// Type and permission bits. Cheap: it is asked in every path walk.
    fn mode(&self) -> u32;

    /// User and group.
    fn owner(&self) -> [u32; 2];

    /// stat.
    ///
    /// # Errors
    /// Those of asking the monitor.
    fn metadata(&self) -> Result<Metadata>;

    /// Makes the content durable, of a directory its names.
    ///
    /// # Errors
    /// As fsync(2).
    fn flush(&self, data_only: bool) -> Result<()> {
        Ok(())
    }

    /// Makes everything on its file system durable.
    ///
    /// # Errors
    /// As syncfs(2).
    fn flush_file_system(&self) -> Result<()> {
        Ok(())
    }

    /// Looks a name up in this directory; `None` if there is none.
    ///
    /// # Errors
    /// Anything but `ENOENT`.
    fn lookup(&self, dir: &Arc<Dentry>, name: &[u8], hint: Hint<'_>) -> Result<Option<Found>> {
        Err(Errno::ENOTDIR)
    }

    /// Since when, in monotonic nanoseconds, what was told of this directory and its files is known to be right, in a
    /// file system that others change. `None`: it is not known.
    fn unchanged_since(&self) -> Option<u64> {
        None
    }

    /// All names of this directory, without `.` and `..`.
    ///
    /// # Errors
    /// As getdents(2).
    fn list(&self, dir: &Arc<Dentry>) -> Result<Vec<Listed>> {
        Err(Errno::ENOTDIR)
    }

    /// Makes a file in this directory.
    ///
    /// # Errors
    /// `EEXIST`, `ENOSPC`, …
    fn create(
        &self,
        dir: &Arc<Dentry>,
        name: &[u8],
        what: New<'_>,
        mode: u32,
        owner: [u32; 2],
    ) -> Result<Arc<dyn Inode>> {
        Err(Errno::EPERM)
    }

    /// Makes a file without a name in this directory (`O_TMPFILE`); `may_link`: it can get one later.
    ///
    /// # Errors
    /// `EOPNOTSUPP`.
    fn create_unnamed(
        &self,
        dir: &Arc<Dentry>,
        mode: u32,
        owner: [u32; 2],
        may_link: bool,
    ) -> Result<Arc<dyn Inode>> {
        Err(Errno::EOPNOTSUPP)
    }

    /// Gives `target`, of the same mount, another name in this directory.
    ///
    /// # Errors
    /// `EEXIST`, `EMLINK`, …
    fn link(&self, dir: &Arc<Dentry>, name: &[u8], target: &Arc<Dentry>) -> Result<()> {
        Err(Errno::EPERM)
    }

    /// Removes a name of this directory: an empty directory, or anything else.
    ///
    /// # Errors
    /// `ENOTEMPTY`, …
    fn remove(&self, dir: &Arc<Dentry>, name: &[u8], child: &Arc<Dentry>, directory: bool) -> Result<()> {
        Err(Errno::EPERM)
    }

    /// Renames `child`, called `name` here, to `to_name` in `to`, of the same mount. `flags` as renameat2(2).
    ///
    /// # Errors
    /// As rename(2).
    fn rename(
        &self,
        dir: &Arc<Dentry>,
        name: &[u8],
        child: &Arc<Dentry>,
        to: &Arc<Dentry>,
        to_name: &[u8],
        flags: u32,
    ) -> Result<()> {
        Err(Errno::EPERM)
    }

    /// The target of a symbolic link.
    ///
    /// # Errors
    /// `EINVAL` if it is none.
    fn read_link(&self, dentry: &Arc<Dentry>) -> Result<Vec<u8>> {
        Err(Errno::EINVAL)
    }

    /// Where a symbolic link leads.
    ///
    /// # Errors
    /// As [`Inode::read_link`].
    fn follow(&self, dentry: &Arc<Dentry>) -> Result<Link> {
        self.read_link(dentry).map(Link::Text)
    }

    /// Changes attributes.
    ///
    /// # Errors
    /// As chmod(2) and its kin.
    fn set_attributes(&self, dentry: &Arc<Dentry>, change: &Change) -> Result<()> {
        Err(Errno::EPERM)
    }

    /// Whether the file system keeps extended attributes.
    fn keeps_extended(&self) -> bool {
        false
    }

    /// Asks for or changes extended attributes. Only names of namespaces that the caller may use come here.
    ///
    /// # Errors
    /// As getxattr(2) and its kin; `EOPNOTSUPP` where the file system does not keep those of this namespace.
    fn extended(&self, dentry: &Arc<Dentry>, request: Request<'_>) -> Result<Vec<u8>> {
        Err(Errno::EOPNOTSUPP)
    }

    /// Opens; `status` are open(2) flags. Permissions were checked, `O_TRUNC` was done.
    ///
    /// # Errors
    /// As open(2).
    fn open(self: Arc<Self>, thread: &Thread, dentry: &Arc<Dentry>, status: u32) -> Result<Arc<OpenFile>>;

    /// statfs.
    ///
    /// # Errors
    /// Those of asking the monitor.
    fn statistics(&self) -> Result<Statistics>;

    /// Has the file, found as `dentry`, watched for changes that others make to it: the number of the watch. `None` where
    /// nobody else can, or it cannot be watched.
    fn watch_outside(&self, dentry: &Arc<Dentry>) -> Option<u64> {
        None
    }

    /// Ends a watch.
    fn unwatch_outside(&self, number: u64) {}

    /// Others changed the file: what is known of it may be wrong. `gone`: it may have lost its last name.
    fn doubt(&self, gone: bool) {}

    /// A dentry of it entered the tree.
    fn named(&self, dentry: &Arc<Dentry>) {}

    /// Keeps an object of another part of the personality with the node: a bound socket.
    ///
    /// # Errors
    /// `EOPNOTSUPP` where the file system cannot.
    fn attach(&self, object: Arc<dyn Any + Send + Sync>) -> Result<()> {
        Err(Errno::EOPNOTSUPP)
    }

    /// The object that was attached, while it lives.
    fn attached(&self) -> Option<Arc<dyn Any + Send + Sync>> {
        None
    }
}

impl dyn Inode {
    /// Type bits of the mode.
    #[inline]
    #[must_use]
    pub fn kind(&self) -> u32 {
        self.mode() & mode::S_IFMT
    }

    /// Whether it is a directory.
    #[inline]
    #[must_use]
    pub fn is_directory(&self) -> bool {
        self.kind() == mode::S_IFDIR
    }

    /// This inode as a type of a particular file system.
    #[must_use]
    pub fn downcast<T: Inode>(&self) -> Option<&T> {
        let any: &dyn Any = self;
        any.downcast_ref()
    }
}
