//! Inodes of the host's files: attributes, and what is done to one file by its name.

use super::handles::Handles;
use super::listing::Listing;
use super::{Address, FLUSH_ALL, HostMount};
use crate::fs::dentry::Dentry;
use crate::fs::directory::DirectoryFile;
use crate::fs::extended::{Request, Store};
use crate::fs::file::{FileOps, flags, mode};
use crate::fs::inode::{Change, Found, Hint, Inode, Listed, New, Statistics};
use crate::fs::inotify::{self, event};
use crate::fs::{Metadata, OpenFile, device};
use crate::ipc::pipe::{self, Fifo};
use crate::task::Thread;
use crate::{Errno, Mutex, Once, Result};
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use postern_abi::calls::{Downcall, notice, set, unnamed};
use postern_abi::message::{Attributes, split_record};
use postern_pal::mem::change_count;
use postern_pal::{clock, gate};

pub(super) struct Cached {
    pub attributes: Attributes,
    /// When they were told (monotonic nanoseconds).
    pub at: u64,
    /// We wrote since: the host's times and blocks are newer. The size is kept right by us.
    pub stale: bool,
}

/// A directory is unchanged since `since` (monotonic nanoseconds) as long as the counter `index` stands at `count`.
pub(super) struct Watch {
    pub index: usize,
    pub count: u32,
    pub since: u64,
}

/// A file of the host.
pub struct HostInode {
    pub(super) mount: Arc<HostMount>,
    pub(super) ino: u64,
    mode: AtomicU32,
    pub(super) cached: Mutex<Cached>,
    target: Once<Vec<u8>>,
    /// The names in it, if it is a directory of a mount that nobody changes and was listed.
    pub(super) listing: Mutex<Option<Arc<Listing>>>,
    /// If it is a directory that the monitor watches: what it takes for all to be as it was listed.
    pub(super) watch: Mutex<Option<Watch>>,
    /// Names that the monitor was asked for one by one since it was listed.
    pub(super) misses: AtomicU32,
    /// Files in it that were opened by a message of their own after they had been looked up.
    pub(super) opened: AtomicU32,
    /// A name it was found by.
    pub(super) alias: Mutex<Weak<Dentry>>,
    pub(super) handles: Mutex<Handles>,
    /// Open files that use its handles.
    pub(super) opens: AtomicU32,
    /// The last name is gone: handles go with the last open file.
    pub(super) nameless: AtomicBool,
    /// Held during appends.
    pub(super) append: Mutex<()>,
    /// Extended attributes that it got after its last name was gone.
    pub(super) extended: Mutex<Store>,
    /// Its number, if it never had a name.
    pub(super) unnamed: AtomicU64,
    fifo: Once<Arc<Fifo>>,
    socket: Mutex<Option<Weak<dyn Any + Send + Sync>>>,
}

impl Drop for HostInode {
    fn drop(&mut self) {
        self.mount.forget_inode(self.ino);
        self.release_unnamed();
        self.let_go_of_handles();
    }
}

impl HostInode {
    pub(super) fn new(mount: &Arc<HostMount>, attributes: &Attributes, target: Vec<u8>) -> Arc<Self> {
        let inode = Arc::new(Self {
            mount: mount.clone(),
            ino: attributes.ino,
            mode: AtomicU32::new(attributes.mode),
            cached: Mutex::new(Cached { attributes: *attributes, at: mount.now(), stale: false }),
            target: Once::new(),
            listing: Mutex::new(None),
            watch: Mutex::new(None),
            misses: AtomicU32::new(0),
            opened: AtomicU32::new(0),
            alias: Mutex::new(Weak::new()),
            handles: Mutex::new(Handles::default()),
            opens: AtomicU32::new(0),
            nameless: AtomicBool::new(false),
            append: Mutex::new(()),
            extended: Mutex::default(),
            unnamed: AtomicU64::new(0),
            fifo: Once::new(),
            socket: Mutex::new(None),
        });
        inode.learn_target(target);
        inode
    }

    pub(super) fn is_kind(&self, bits: u32) -> bool {
        (self.mode.load(Ordering::Relaxed) ^ bits) & mode::S_IFMT == 0
    }

    pub(super) fn learn_target(&self, target: Vec<u8>) {
        if !target.is_empty() && self.is_kind(mode::S_IFLNK) {
            let _ = self.target.set(target);
        }
    }

    /// The monitor told its attributes anew.
    pub(super) fn refresh(&self, attributes: &Attributes) {
        self.mode.store(attributes.mode, Ordering::Relaxed);
        let writing = self.mount.exclusive && self.handles.lock().writable().is_some();
        let mut cached = self.cached.lock();
        let size = cached.attributes.size;
        *cached = Cached { attributes: *attributes, at: self.mount.now(), stale: false };
        if writing {
            // A write may have come between the answer and now; our own count of the size is right.
            cached.attributes.size = size;
        }
    }

    /// The path to ask the monitor by, if the file still has a name.
    pub(super) fn path(&self) -> Option<Vec<u8>> {
        let dentry = self.alias.lock().upgrade()?;
        (!dentry.is_deleted()).then(|| dentry.path_in_mount())
    }

    /// How to ask the monitor for the file, which was found as `dentry`. `None` if it has no name any more.
    pub(super) fn address(&self, dentry: &Arc<Dentry>) -> Option<Address> {
        if dentry.is_deleted() {
            return self.any_address();
        }
        Some(Address { id: self.mount.id, path: dentry.path_in_mount() })
    }

    /// As [`HostInode::address`], by any name.
    pub(super) fn any_address(&self) -> Option<Address> {
        if let Some(path) = self.path() {
            return Some(Address { id: self.mount.id, path });
        }
        let number = self.unnamed.load(Ordering::Acquire);
        (number != 0).then(|| Address { id: unnamed(self.mount.id, number), path: Vec::new() })
    }

    /// The attributes, asked for again where they may have changed.
    pub(super) fn attributes(&self) -> Result<Attributes> {
        {
            let cached = self.cached.lock();
            let (attributes, at) = (cached.attributes, cached.at);
            let stale = cached.stale;
            drop(cached);
            let fresh =
                || clock::now().saturating_sub(at) < super::FRESH || self.is_unchanged(&attributes, at);
            if !stale && (self.mount.exclusive || fresh()) {
                return Ok(attributes);
            }
        }
        if let Some(address) = self.any_address()
            && let Ok((attributes, _)) = self.mount.resolve_last(&address, 0)
            && attributes.ino == self.ino
        {
            self.refresh(&attributes);
            return Ok(attributes);
        }
        // Its name is gone: what was known last, with our own changes.
        let mut cached = self.cached.lock();
        cached.stale = false;
        Ok(cached.attributes)
    }

    /// Whether `attributes`, told at the time `at`, are known to be right still. A directory tells of itself, of its
    /// files only where they are reached by no other way.
    fn is_unchanged(&self, attributes: &Attributes, at: u64) -> bool {
        if self.is_kind(mode::S_IFDIR) {
            return self.unchanged_since().is_some_and(|since| since <= at);
        }
        let parent = || self.alias.lock().upgrade()?.parent()?.inode.unchanged_since();
        attributes.nlink <= 1 && parent().is_some_and(|since| since <= at)
    }

    /// A name was removed.
    pub(super) fn lost_name(&self) {
        let mut cached = self.cached.lock();
        let links = &mut cached.attributes.nlink;
        *links = if self.is_kind(mode::S_IFDIR) { 0 } else { links.saturating_sub(1) };
        self.nameless.store(*links == 0, Ordering::Release);
    }
}

impl HostMount {
    /// The time, where it matters for caching.
    pub(super) fn now(&self) -> u64 {
        if self.exclusive { 0 } else { clock::now() }
    }
}

impl Inode for HostInode {
    fn mode(&self) -> u32 {
        self.mode.load(Ordering::Relaxed)
    }

    fn owner(&self) -> [u32; 2] {
        let cached = self.cached.lock();
        [cached.attributes.uid, cached.attributes.gid]
    }

    fn metadata(&self) -> Result<Metadata> {
        let a = self.attributes()?;
        Ok(Metadata {
            dev: self.mount.dev,
            ino: a.ino,
            mode: a.mode,
            nlink: a.nlink,
            uid: a.uid,
            gid: a.gid,
            rdev: a.rdev,
            size: a.size,
            blksize: 4096,
            blocks: a.blocks,
            atime: a.atime,
            mtime: a.mtime,
            ctime: a.ctime,
            btime: a.ctime,
        })
    }

    fn flush(&self, data_only: bool) -> Result<()> {
        // A file without a name need not outlive anything.
        if self.mount.read_only {
            Ok(())
        } else {
            self.any_address().map_or(Ok(()), |address| self.mount.flush(data_only.into(), &address))
        }
    }

    fn flush_file_system(&self) -> Result<()> {
        let root = Address { id: self.mount.id, path: Vec::new() };
        if self.mount.read_only { Ok(()) } else { self.mount.flush(FLUSH_ALL, &root) }
    }

    fn lookup(&self, dir: &Arc<Dentry>, name: &[u8], hint: Hint<'_>) -> Result<Option<Found>> {
        self.look_up(dir, name, hint)
    }

    fn unchanged_since(&self) -> Option<u64> {
        let watch = self.watch.lock();
        let watch = watch.as_ref()?;
        (change_count(watch.index) == Some(watch.count)).then_some(watch.since)
    }

    fn list(&self, dir: &Arc<Dentry>) -> Result<Vec<Listed>> {
        self.enumerate(dir)
    }

    fn create(
        &self,
        dir: &Arc<Dentry>,
        name: &[u8],
        what: New<'_>,
        mode: u32,
        _: [u32; 2],
    ) -> Result<Arc<dyn Inode>> {
        self.make(dir, name, what, mode)
    }

    fn create_unnamed(
        &self,
        dir: &Arc<Dentry>,
        mode: u32,
        _: [u32; 2],
        may_link: bool,
    ) -> Result<Arc<dyn Inode>> {
        self.make_unnamed(dir, mode, may_link)
    }

    fn link(&self, dir: &Arc<Dentry>, name: &[u8], target: &Arc<Dentry>) -> Result<()> {
        self.make_link(dir, name, target)
    }

    fn remove(&self, dir: &Arc<Dentry>, name: &[u8], child: &Arc<Dentry>, directory: bool) -> Result<()> {
        self.unlink(dir, name, child, directory)
    }

    fn rename(
        &self,
        dir: &Arc<Dentry>,
        name: &[u8],
        child: &Arc<Dentry>,
        to: &Arc<Dentry>,
        to_name: &[u8],
        flags: u32,
    ) -> Result<()> {
        self.move_name(dir, name, child, to, to_name, flags)
    }

    fn read_link(&self, dentry: &Arc<Dentry>) -> Result<Vec<u8>> {
        if !self.is_kind(mode::S_IFLNK) {
            return Err(Errno::EINVAL);
        }
        if let Some(target) = self.target.get() {
            return Ok(target.clone());
        }
        let mut resolved =
            self.mount.resolve(&dentry.path_in_mount(), postern_abi::calls::open::LAST_ONLY, 0)?;
        if let Some(error) = resolved.error {
            return Err(error);
        }
        let (_, target) = resolved.records.pop().ok_or(Errno::ENOENT)?;
        self.learn_target(target.clone());
        Ok(target)
    }

    fn set_attributes(&self, dentry: &Arc<Dentry>, change: &Change) -> Result<()> {
        if change.uid.is_some() || change.gid.is_some() {
            let [uid, gid] = self.owner();
            let same = change.uid.is_none_or(|u| u == uid) && change.gid.is_none_or(|g| g == gid);
            // The owner is the app's user, whatever it calls itself; there is nobody to give a file to.
            if !same {
                return Err(Errno::EPERM);
            }
        }
        if let Some(size) = change.size
            && self.truncate_open(size)?
        {
            return self.set_attributes(dentry, &Change { size: None, ..*change });
        }
        let mut bits = 0;
        let mut times = [0i64; 4];
        if change.mode.is_some() {
            bits |= set::MODE;
        }
        if change.size.is_some() {
            bits |= set::SIZE;
        }
        if let Some([seconds, nanos]) = change.atime {
            bits |= set::ATIME;
            times[..2].copy_from_slice(&[seconds, nanos]);
        }
        if let Some([seconds, nanos]) = change.mtime {
            bits |= set::MTIME;
            times[2..].copy_from_slice(&[seconds, nanos]);
        }
        if bits == 0 {
            return Ok(());
        }
        let Some(address) = self.address(dentry) else {
            self.change_nameless(change);
            return Ok(());
        };
        if change.size.is_some() {
            // The monitor opens and closes it for that.
            inotify::expect(dentry, event::CLOSE_WRITE);
        }
        let mut head = [0; 32];
        for (slot, word) in head.chunks_exact_mut(8).zip(times) {
            slot.copy_from_slice(&word.to_le_bytes());
        }
        let args = [address.id, bits, u64::from(change.mode.unwrap_or(0)), change.size.unwrap_or(0), 0, 0];
        let answer = gate::call(Downcall::SetAttributes, args, &[&head, &address.path])?;
        match split_record(&answer.payload) {
            Some((record, _)) if record.attributes.ino == self.ino => self.refresh(&record.attributes),
            _ => self.change_nameless(change),
        }
        Ok(())
    }

    fn keeps_extended(&self) -> bool {
        true
    }

    fn extended(&self, dentry: &Arc<Dentry>, request: Request<'_>) -> Result<Vec<u8>> {
        self.ask_extended(dentry, request)
    }

    fn open(self: Arc<Self>, thread: &Thread, dentry: &Arc<Dentry>, status: u32) -> Result<Arc<OpenFile>> {
        match self.mode() & mode::S_IFMT {
            mode::S_IFREG => {
                self.get_handle(dentry, status & flags::O_ACCMODE)?;
                self.opens.fetch_add(1, Ordering::AcqRel);
                Ok(OpenFile::at(self, status, dentry.clone()))
            }
            mode::S_IFDIR => Ok(DirectoryFile::open(dentry, status)),
            mode::S_IFIFO => {
                if self.fifo.get().is_none() {
                    let _ = self.fifo.set(Fifo::new());
                    dentry.pin();
                }
                let fifo = self.fifo.get().ok_or(Errno::EIO)?;
                let ops = pipe::open_fifo(fifo, self.clone(), thread, status)?;
                // The pipe's own count of ends is what release takes back.
                Ok(OpenFile::at(ops, status, dentry.clone()))
            }
            mode::S_IFCHR => {
                let rdev = self.cached.lock().attributes.rdev;
                device::open(rdev, self.mode(), thread, dentry, status)
            }
            mode::S_IFLNK => Err(Errno::ELOOP),
            _ => Err(Errno::ENXIO),
        }
    }

    fn statistics(&self) -> Result<Statistics> {
        self.mount.statistics()
    }

    fn watch_outside(&self, dentry: &Arc<Dentry>) -> Option<u64> {
        self.ask_for_watch(dentry)
    }

    fn unwatch_outside(&self, number: u64) {
        gate::tell(notice::UNWATCH, [number, 0, 0, 0], b"");
    }

    fn doubt(&self, gone: bool) {
        self.others_changed(gone);
    }

    fn named(&self, dentry: &Arc<Dentry>) {
        *self.alias.lock() = Arc::downgrade(dentry);
    }

    fn attach(&self, object: Arc<dyn Any + Send + Sync>) -> Result<()> {
        *self.socket.lock() = Some(Arc::downgrade(&object));
        if let Some(dentry) = self.alias.lock().upgrade() {
            dentry.pin();
        }
        Ok(())
    }

    fn attached(&self) -> Option<Arc<dyn Any + Send + Sync>> {
        self.socket.lock().as_ref().and_then(Weak::upgrade)
    }
}

impl HostInode {
    /// Changes what is remembered of a file that has no name any more.
    fn change_nameless(&self, change: &Change) {
        let mut cached = self.cached.lock();
        let a = &mut cached.attributes;
        if let Some(bits) = change.mode {
            a.mode = (a.mode & mode::S_IFMT) | (bits & 0o7777);
            self.mode.store(a.mode, Ordering::Relaxed);
        }
        a.size = change.size.unwrap_or(a.size);
        a.atime = change.atime.unwrap_or(a.atime);
        a.mtime = change.mtime.unwrap_or(a.mtime);
    }

    /// Sets the length through a handle for writing, if one is open.
    fn truncate_open(&self, size: u64) -> Result<bool> {
        let Some(handle) = self.handles.lock().writable() else { return Ok(false) };
        handle.resize(size)?;
        self.wrote(|a| a.size = size);
        Ok(true)
    }

    /// We changed the content: `update` does to the cached attributes what is known of the change.
    pub(super) fn wrote(&self, update: impl FnOnce(&mut Attributes)) {
        let mut cached = self.cached.lock();
        update(&mut cached.attributes);
        cached.stale = true;
    }
}

/// The ops of a FIFO node answer fstat only; the pipe does the rest.
pub(super) fn is_regular(inode: &HostInode) -> bool {
    inode.is_kind(mode::S_IFREG)
}

const _: fn(&HostInode) -> &dyn FileOps = |inode| inode;
