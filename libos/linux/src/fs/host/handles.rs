//! Handles of the host's files: kept open with the inode, so that opening a file again costs no message.

use super::HostInode;
use super::inode::is_regular;
use crate::fs::dentry::Dentry;
use crate::fs::file::flags;
use crate::fs::inode::Inode;
use crate::{Errno, Mutex, Result};
use alloc::collections::VecDeque;
use alloc::sync::{Arc, Weak};
use core::sync::atomic::Ordering;
use postern_abi::calls::open;
use postern_pal::handle::Handle;

/// Most inodes whose handles are kept although no open file uses them.
const MAX_IDLE: usize = 400;

static IDLE: Mutex<VecDeque<Weak<HostInode>>> = Mutex::new(VecDeque::new());

/// The handles of one file.
#[derive(Default)]
pub(super) struct Handles {
    read: Option<Arc<Handle>>,
    write: Option<Arc<Handle>>,
    /// The handle for writing reads, too.
    write_reads: bool,
}

impl Handles {
    /// A handle to read by.
    pub(super) fn readable(&self) -> Option<Arc<Handle>> {
        match &self.read {
            Some(handle) => Some(handle.clone()),
            None if self.write_reads => self.write.clone(),
            None => None,
        }
    }

    /// A handle to write by.
    pub(super) fn writable(&self) -> Option<Arc<Handle>> {
        self.write.clone()
    }

    /// The handle to map: one that can write, if there is one.
    pub(super) fn mappable(&self) -> Option<Arc<Handle>> {
        if self.write_reads { self.write.clone() } else { self.readable() }
    }

    fn serves(&self, access: u32) -> bool {
        match access {
            flags::O_WRONLY => self.write.is_some(),
            flags::O_RDWR => self.write.is_some() && self.write_reads,
            _ => self.read.is_some() || self.write_reads,
        }
    }
}

impl HostInode {
    /// Keeps a handle for reading that came with another answer.
    pub(super) fn keep_read_handle(self: &Arc<Self>, handle: Handle) {
        if !is_regular(self) {
            return;
        }
        {
            let mut handles = self.handles.lock();
            if handles.read.is_none() {
                handles.read = Some(Arc::new(handle));
            }
        }
        enter(self);
    }

    /// Keeps the handle for reading and writing that came with a new file.
    pub(super) fn keep_write_handle(self: &Arc<Self>, handle: Handle) {
        {
            let mut handles = self.handles.lock();
            handles.write = Some(Arc::new(handle));
            handles.write_reads = true;
        }
        enter(self);
    }

    /// Keeps the handle that came with a new unnamed file: as long as the file has no name there is no other way to it.
    pub(super) fn keep_only_handle(&self, handle: Handle) {
        let mut handles = self.handles.lock();
        handles.write = Some(Arc::new(handle));
        handles.write_reads = true;
    }

    /// Makes sure that there is a handle for this access mode (`O_RDONLY`, `O_WRONLY`, `O_RDWR`).
    pub(super) fn get_handle(self: &Arc<Self>, dentry: &Arc<Dentry>, access: u32) -> Result<()> {
        if self.handles.lock().serves(access) {
            return Ok(());
        }
        match self.fetch_handle(dentry, access) {
            // The host's table of descriptors is full.
            Err(Errno::ENFILE) => {
                drop_all_idle();
                self.fetch_handle(dentry, access)
            }
            fetched => fetched,
        }
    }

    fn fetch_handle(self: &Arc<Self>, dentry: &Arc<Dentry>, access: u32) -> Result<()> {
        let path = self.address(dentry).ok_or(Errno::ENOENT)?;
        if access == 0 {
            let (attributes, handle) = self.mount.resolve_last(&path, open::READ)?;
            self.check_same(dentry, attributes.ino)?;
            self.keep_read_handle(handle.ok_or(Errno::ENFILE)?);
            let parent = dentry.parent();
            if let Some(parent) = parent.as_ref().and_then(|parent| parent.inode.downcast::<Self>()) {
                parent.opened.fetch_add(1, Ordering::Relaxed);
            }
            return Ok(());
        }
        // Reading, too, where that is allowed: one handle then serves all.
        let both = self.mount.resolve_last(&path, open::READ | open::WRITE);
        let (attributes, handle, reads) = match both {
            Err(Errno::EACCES) if access == flags::O_WRONLY => {
                let (attributes, handle) = self.mount.resolve_last(&path, open::WRITE)?;
                (attributes, handle, false)
            }
            other => {
                let (attributes, handle) = other?;
                (attributes, handle, true)
            }
        };
        self.check_same(dentry, attributes.ino)?;
        let handle = handle.ok_or(Errno::ENFILE)?;
        {
            let mut handles = self.handles.lock();
            handles.write = Some(Arc::new(handle));
            handles.write_reads = reads;
        }
        enter(self);
        Ok(())
    }

    /// The name may have come to mean another file since it was looked up.
    fn check_same(&self, dentry: &Arc<Dentry>, ino: u64) -> Result<()> {
        if ino == self.ino {
            return Ok(());
        }
        if let Some(parent) = dentry.parent() {
            parent.forget(&dentry.name());
        }
        Err(Errno::ESTALE)
    }

    /// Its last name is gone: its handles need not be kept.
    pub(super) fn drop_idle_handles(&self) {
        if self.opens.load(Ordering::Acquire) == 0 && self.nameless.load(Ordering::Acquire) {
            self.let_go_of_handles();
        }
    }

    /// An open file went away.
    pub(super) fn closed(&self) {
        self.opens.fetch_sub(1, Ordering::AcqRel);
        self.drop_idle_handles();
    }
}

/// Closes all handles that no open file uses.
fn drop_all_idle() {
    let all = core::mem::take(&mut *IDLE.lock());
    for weak in all {
        let Some(inode) = weak.upgrade() else { continue };
        if inode.opens.load(Ordering::Acquire) > 0 {
            IDLE.lock().push_back(weak);
            continue;
        }
        inode.let_go_of_handles();
    }
}

/// Notes that an inode has handles, and closes those of one that had them for longest where there are too many.
pub(super) fn enter(inode: &Arc<HostInode>) {
    let mut candidates: [Option<Arc<HostInode>>; 2] = [None, None];
    {
        let mut idle = IDLE.lock();
        idle.push_back(Arc::downgrade(inode));
        if idle.len() > MAX_IDLE {
            for slot in &mut candidates {
                *slot = idle.pop_front().and_then(|weak| weak.upgrade());
            }
        }
    }
    for old in candidates.into_iter().flatten() {
        if Arc::ptr_eq(&old, inode) || old.opens.load(Ordering::Acquire) > 0 || old.attached().is_some() {
            IDLE.lock().push_back(Arc::downgrade(&old));
            continue;
        }
        old.let_go_of_handles();
    }
}
