//! Files without a name (`O_TMPFILE`): the monitor keeps each and knows it by a number.

use super::HostInode;
use super::handles::enter;
use crate::fs::dentry::Dentry;
use crate::fs::inode::Inode;
use crate::{Errno, Result};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use postern_abi::calls::{Downcall, open, unnamed};
use postern_pal::gate;

impl HostInode {
    /// Makes one in the directory `dir`.
    pub(super) fn make_unnamed(
        &self,
        dir: &Arc<Dentry>,
        mode: u32,
        may_link: bool,
    ) -> Result<Arc<dyn Inode>> {
        let exclusive = if may_link { 0 } else { open::EXCLUSIVE };
        let flags = open::READ | open::WRITE | open::UNNAMED | open::LAST_ONLY | exclusive;
        let mut resolved = self.mount.resolve(&dir.path_in_mount(), flags, mode)?;
        if let Some(error) = resolved.error {
            return Err(error);
        }
        let handle = resolved.handle.filter(|_| resolved.created).ok_or(Errno::ENOENT)?;
        let (attributes, _) = resolved.records.pop().ok_or(Errno::EIO)?;
        // Whatever had this inode number before is gone.
        let inode = Self::new(&self.mount, &attributes, Vec::new());
        self.mount.inodes.lock().insert(attributes.ino, Arc::downgrade(&inode));
        inode.unnamed.store(resolved.number, Ordering::Release);
        inode.nameless.store(true, Ordering::Release);
        inode.keep_only_handle(handle);
        Ok(inode)
    }

    /// It got its first name: it is a file like any other, and the monitor let go of it.
    pub(super) fn got_name(self: &Arc<Self>) {
        self.unnamed.store(0, Ordering::Release);
        self.nameless.store(false, Ordering::Release);
        enter(self);
    }

    /// Has the monitor let go of it.
    pub(super) fn release_unnamed(&self) {
        let number = self.unnamed.swap(0, Ordering::AcqRel);
        if number != 0 {
            let id = unnamed(self.mount.id, number);
            // A monitor that is gone has let go of everything.
            let _ = gate::call(Downcall::Remove, [id, 0, 0, 0, 0, 0], &[]);
        }
    }
}
