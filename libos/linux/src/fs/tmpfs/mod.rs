//! tmpfs: files in the arena. The content of each regular file is a slot of the arena memfd, so that mapping it
//! shared, forking and sparse files work as with a file of the host.

mod data;

use super::dentry::Dentry;
use super::directory::DirectoryFile;
use super::extended::{Request, Store};
use super::file::mode;
use super::inode::{Change, Found, Hint, Inode, Listed, Name, New, Statistics};
use super::mount::{Cache, Mount};
use super::{FileOps, Metadata, OpenFile, device, time_of_day};
use crate::ipc::pipe::{self, Fifo};
use crate::task::Thread;
use crate::{Errno, Mutex, Result};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use postern_pal::mem::Slot;

const MAGIC: i64 = 0x0102_1994;
const RENAME_NOREPLACE: u32 = 1;
const RENAME_EXCHANGE: u32 = 2;

/// What all files of one tmpfs share.
pub struct Tmpfs {
    dev: u64,
    next_inode: AtomicU64,
    /// What statfs tells, in bytes.
    capacity: u64,
    /// Held while names are removed or renamed: a directory that was found empty stays so.
    changes: Mutex<()>,
}

/// What changes of a file.
struct State {
    uid: u32,
    gid: u32,
    nlink: u32,
    size: u64,
    atime: [i64; 2],
    mtime: [i64; 2],
    ctime: [i64; 2],
    extended: Store,
    /// It has no name yet and can get one.
    may_link: bool,
}

/// Where the content of a regular file is.
enum Content {
    /// Here: at most [`SMALL`] bytes, and never mapped. What is not there up to the file's size is zero.
    Small(Vec<u8>),
    /// In a slot of the arena.
    Large(Arc<Slot>),
}

/// Most bytes that are kept without a slot.
const SMALL: usize = 2048;

enum Body {
    Regular(Mutex<Content>),
    Directory(Mutex<BTreeMap<Box<[u8]>, Arc<Node>>>),
    Symlink(Vec<u8>),
    Fifo(Arc<Fifo>),
    Socket(Mutex<Option<Weak<dyn Any + Send + Sync>>>),
    Device(u64),
}

/// A file of a tmpfs.
pub struct Node {
    fs: Arc<Tmpfs>,
    ino: u64,
    mode: AtomicU32,
    state: Mutex<State>,
    created: [i64; 2],
    body: Body,
    /// Held during appends, so that two do not land in the same place.
    append: Mutex<()>,
    /// Whether it was ever mapped.
    is_mapped: AtomicBool,
}

/// A mount with the root directory of a new tmpfs. `capacity` is what statfs tells, in bytes.
#[must_use]
pub fn new(kind: &'static str, capacity: u64, permissions: u32, owner: [u32; 2]) -> (Arc<Mount>, Arc<Node>) {
    let mount = Mount::new(kind, false, Cache::Forever);
    let fs =
        Arc::new(Tmpfs { dev: mount.dev, next_inode: AtomicU64::new(1), capacity, changes: Mutex::new(()) });
    let root = Node::new(&fs, New::Directory, permissions, owner);
    (mount, root)
}

impl Node {
    fn new(fs: &Arc<Tmpfs>, what: New<'_>, permissions: u32, owner: [u32; 2]) -> Arc<Self> {
        let (kind, body, size) = match what {
            New::Regular => (mode::S_IFREG, Body::Regular(Mutex::new(Content::Small(Vec::new()))), 0),
            New::Directory => (mode::S_IFDIR, Body::Directory(Mutex::default()), 0),
            New::Symlink(target) => (mode::S_IFLNK, Body::Symlink(target.to_vec()), target.len()),
            New::Node(mode::S_IFIFO, _) => (mode::S_IFIFO, Body::Fifo(Fifo::new()), 0),
            New::Node(mode::S_IFSOCK, _) => (mode::S_IFSOCK, Body::Socket(Mutex::new(None)), 0),
            New::Node(kind, device) => (kind & mode::S_IFMT, Body::Device(device), 0),
        };
        let now = time_of_day();
        let [uid, gid] = owner;
        let state = State {
            uid,
            gid,
            nlink: if kind == mode::S_IFDIR { 2 } else { 1 },
            size: size as u64,
            atime: now,
            mtime: now,
            ctime: now,
            extended: Store::default(),
            may_link: false,
        };
        Arc::new(Self {
            fs: fs.clone(),
            ino: fs.next_inode.fetch_add(1, Ordering::Relaxed),
            mode: AtomicU32::new(kind | (permissions & 0o7777)),
            state: Mutex::new(state),
            created: now,
            body,
            append: Mutex::new(()),
            is_mapped: AtomicBool::new(false),
        })
    }

    fn names(&self) -> Result<&Mutex<BTreeMap<Name, Arc<Self>>>> {
        match &self.body {
            Body::Directory(names) => Ok(names),
            _ => Err(Errno::ENOTDIR),
        }
    }

    fn is_dir(&self) -> bool {
        matches!(self.body, Body::Directory(_))
    }

    /// Lets no more names into a directory that is about to be removed.
    fn close_if_directory(&self) -> Result<()> {
        let Body::Directory(names) = &self.body else { return Ok(()) };
        let names = names.lock();
        if !names.is_empty() {
            return Err(Errno::ENOTEMPTY);
        }
        self.state.lock().nlink = 0;
        Ok(())
    }

    /// A name was added to or removed from this directory; `links` is the change of its link count.
    fn touched(&self, links: i32) {
        let now = time_of_day();
        let mut state = self.state.lock();
        state.mtime = now;
        state.ctime = now;
        state.nlink = state.nlink.saturating_add_signed(links);
    }

    fn lost_name(&self) {
        let mut state = self.state.lock();
        state.nlink = if self.is_dir() { 0 } else { state.nlink.saturating_sub(1) };
        state.ctime = time_of_day();
    }

    fn add(&self, name: &[u8], node: Arc<Self>) -> Result<()> {
        let links = i32::from(node.is_dir());
        {
            let mut names = self.names()?.lock();
            if self.state.lock().nlink == 0 {
                return Err(Errno::ENOENT);
            }
            if names.contains_key(name) {
                return Err(Errno::EEXIST);
            }
            names.insert(name.into(), node);
        }
        self.touched(links);
        Ok(())
    }

    /// Makes a file directly, without a dentry: for building trees at start.
    ///
    /// # Errors
    /// `EEXIST`, `ENOTDIR`.
    pub fn make(&self, name: &[u8], what: New<'_>, permissions: u32, owner: [u32; 2]) -> Result<Arc<Self>> {
        let node = Self::new(&self.fs, what, permissions, owner);
        self.add(name, node.clone())?;
        Ok(node)
    }

    /// The node called `name` in this directory.
    #[must_use]
    pub fn child(&self, name: &[u8]) -> Option<Arc<Self>> {
        self.names().ok()?.lock().get(name).cloned()
    }
}

/// The node behind a directory of the same tmpfs.
fn node_of(dir: &Arc<Dentry>) -> Result<&Node> {
    dir.inode.downcast::<Node>().ok_or(Errno::EXDEV)
}

impl Inode for Node {
    fn mode(&self) -> u32 {
        self.mode.load(Ordering::Relaxed)
    }

    fn owner(&self) -> [u32; 2] {
        let state = self.state.lock();
        [state.uid, state.gid]
    }

    fn metadata(&self) -> Result<Metadata> {
        let rdev = if let Body::Device(device) = self.body { device } else { 0 };
        let state = self.state.lock();
        let size = if self.is_dir() { 4096 } else { state.size };
        Ok(Metadata {
            dev: self.fs.dev,
            ino: self.ino,
            mode: self.mode.load(Ordering::Relaxed),
            nlink: state.nlink,
            uid: state.uid,
            gid: state.gid,
            rdev,
            size,
            blksize: 4096,
            blocks: if matches!(self.body, Body::Regular(_)) { state.size.div_ceil(4096) * 8 } else { 0 },
            atime: state.atime,
            mtime: state.mtime,
            ctime: state.ctime,
            btime: self.created,
        })
    }

    fn lookup(&self, _: &Arc<Dentry>, name: &[u8], _: Hint<'_>) -> Result<Option<Found>> {
        Ok(self.names()?.lock().get(name).map(|node| Found::one(node.clone())))
    }

    fn list(&self, _: &Arc<Dentry>) -> Result<Vec<Listed>> {
        let names = self.names()?.lock();
        let listed = |(name, node): (&Name, &Arc<Self>)| Listed {
            name: name.clone(),
            ino: node.ino,
            mode: node.mode.load(Ordering::Relaxed),
        };
        Ok(names.iter().map(listed).collect())
    }

    fn create(
        &self,
        _: &Arc<Dentry>,
        name: &[u8],
        what: New<'_>,
        mode: u32,
        owner: [u32; 2],
    ) -> Result<Arc<dyn Inode>> {
        let node: Arc<dyn Inode> = self.make(name, what, mode, owner)?;
        Ok(node)
    }

    fn create_unnamed(
        &self,
        _: &Arc<Dentry>,
        mode: u32,
        owner: [u32; 2],
        may_link: bool,
    ) -> Result<Arc<dyn Inode>> {
        let node = Self::new(&self.fs, New::Regular, mode, owner);
        {
            let mut state = node.state.lock();
            state.nlink = 0;
            state.may_link = may_link;
        }
        Ok(node)
    }

    fn link(&self, _: &Arc<Dentry>, name: &[u8], target: &Arc<Dentry>) -> Result<()> {
        let inode: Arc<dyn Any + Send + Sync> = target.inode.clone();
        let node = inode.downcast::<Self>().map_err(|_| Errno::EXDEV)?;
        {
            let state = node.state.lock();
            if state.nlink == 0 && !state.may_link {
                return Err(Errno::ENOENT);
            }
        }
        self.add(name, node.clone())?;
        let mut state = node.state.lock();
        state.may_link = false;
        state.nlink += 1;
        state.ctime = time_of_day();
        Ok(())
    }

    fn remove(&self, _: &Arc<Dentry>, name: &[u8], child: &Arc<Dentry>, directory: bool) -> Result<()> {
        let node = node_of(child)?;
        let _alone = self.fs.changes.lock();
        node.close_if_directory()?;
        self.names()?.lock().remove(name).ok_or(Errno::ENOENT)?;
        node.lost_name();
        self.touched(-i32::from(directory));
        Ok(())
    }

    fn rename(
        &self,
        _: &Arc<Dentry>,
        name: &[u8],
        child: &Arc<Dentry>,
        to: &Arc<Dentry>,
        to_name: &[u8],
        flags: u32,
    ) -> Result<()> {
        let node = node_of(child)?;
        let target = node_of(to)?;
        let _alone = self.fs.changes.lock();
        let same = core::ptr::eq(target, self);
        let covered = target.child(to_name);
        if flags & RENAME_NOREPLACE != 0 && covered.is_some() {
            return Err(Errno::EEXIST);
        }
        let moved = self.names()?.lock().get(name).cloned().ok_or(Errno::ENOENT)?;
        if flags & RENAME_EXCHANGE != 0 {
            let other = covered.ok_or(Errno::ENOENT)?;
            self.names()?.lock().insert(name.into(), other.clone());
            target.names()?.lock().insert(to_name.into(), moved);
            let change = i32::from(other.is_dir()) - i32::from(node.is_dir());
            self.touched(if same { 0 } else { change });
            target.touched(if same { 0 } else { -change });
            return Ok(());
        }
        if let Some(covered) = &covered {
            match (node.is_dir(), covered.is_dir()) {
                (true, false) => return Err(Errno::ENOTDIR),
                (false, true) => return Err(Errno::EISDIR),
                (true, true) => covered.close_if_directory()?,
                _ => {}
            }
        }
        self.names()?.lock().remove(name);
        target.names()?.lock().insert(to_name.into(), moved);
        if let Some(covered) = &covered {
            covered.lost_name();
            target.touched(-i32::from(covered.is_dir()));
        }
        self.touched(-i32::from(node.is_dir()));
        target.touched(i32::from(node.is_dir()));
        node.state.lock().ctime = time_of_day();
        Ok(())
    }

    fn read_link(&self, _: &Arc<Dentry>) -> Result<Vec<u8>> {
        match &self.body {
            Body::Symlink(target) => Ok(target.clone()),
            _ => Err(Errno::EINVAL),
        }
    }

    fn set_attributes(&self, _: &Arc<Dentry>, change: &Change) -> Result<()> {
        if let Some(size) = change.size {
            self.truncate(size)?;
        }
        if let Some(bits) = change.mode {
            let kind = self.mode() & mode::S_IFMT;
            self.mode.store(kind | (bits & 0o7777), Ordering::Relaxed);
        }
        let mut state = self.state.lock();
        state.uid = change.uid.unwrap_or(state.uid);
        state.gid = change.gid.unwrap_or(state.gid);
        state.atime = change.atime.unwrap_or(state.atime);
        state.mtime = change.mtime.unwrap_or(state.mtime);
        state.ctime = time_of_day();
        Ok(())
    }

    fn keeps_extended(&self) -> bool {
        true
    }

    fn extended(&self, _: &Arc<Dentry>, request: Request<'_>) -> Result<Vec<u8>> {
        let mut state = self.state.lock();
        let answer = state.extended.answer(request)?;
        if request.is_change() {
            state.ctime = time_of_day();
        }
        Ok(answer)
    }

    fn open(self: Arc<Self>, thread: &Thread, dentry: &Arc<Dentry>, status: u32) -> Result<Arc<OpenFile>> {
        match &self.body {
            Body::Regular(_) => Ok(OpenFile::at(self, status, dentry.clone())),
            Body::Directory(_) => Ok(DirectoryFile::open(dentry, status)),
            Body::Fifo(fifo) => {
                let ops = pipe::open_fifo(fifo, self.clone(), thread, status)?;
                Ok(OpenFile::at(ops, status, dentry.clone()))
            }
            Body::Device(number) => device::open(*number, self.mode(), thread, dentry, status),
            Body::Symlink(_) => Err(Errno::ELOOP),
            Body::Socket(_) => Err(Errno::ENXIO),
        }
    }

    fn statistics(&self) -> Result<Statistics> {
        let blocks = self.fs.capacity / 4096;
        let files = self.fs.capacity / 4096;
        Ok(Statistics {
            magic: MAGIC,
            block_size: 4096,
            blocks,
            blocks_free: blocks,
            files,
            files_free: files.saturating_sub(self.fs.next_inode.load(Ordering::Relaxed)),
        })
    }

    fn attach(&self, object: Arc<dyn Any + Send + Sync>) -> Result<()> {
        let Body::Socket(slot) = &self.body else { return Err(Errno::EOPNOTSUPP) };
        *slot.lock() = Some(Arc::downgrade(&object));
        Ok(())
    }

    fn attached(&self) -> Option<Arc<dyn Any + Send + Sync>> {
        let Body::Socket(slot) = &self.body else { return None };
        slot.lock().as_ref().and_then(Weak::upgrade)
    }
}
