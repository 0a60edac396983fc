//! What others do to the host's files: having it watched, and what follows from it.

use super::HostInode;
use crate::fs::dentry::Dentry;
use crate::fs::file::mode;
use crate::fs::inode::Inode;
use crate::fs::inotify::{self, event};
use alloc::sync::Arc;
use core::sync::atomic::Ordering;
use postern_abi::calls::open;

impl HostInode {
    /// Has the monitor watch it.
    pub(super) fn ask_for_watch(&self, dentry: &Arc<Dentry>) -> Option<u64> {
        if self.mount.exclusive || !matches!(self.mode() & mode::S_IFMT, mode::S_IFREG | mode::S_IFDIR) {
            return None;
        }
        let address = self.address(dentry)?;
        let flags = open::LAST_ONLY | open::WATCH;
        let resolved = self.mount.resolve_at(address.id, &address.path, flags, 0).ok()?;
        // A name that others gave to another file meanwhile has that one watched: better than none.
        (resolved.error.is_none() && resolved.number != 0).then_some(resolved.number)
    }

    /// Others changed it: its attributes have to be asked for. Where its last name is gone, its content shall go, too: no
    /// handles are kept only because it might be opened again.
    pub(super) fn others_changed(&self, gone: bool) {
        {
            let mut cached = self.cached.lock();
            cached.at = 0;
            cached.stale = true;
        }
        if !gone || self.is_kind(mode::S_IFDIR) || self.opens.load(Ordering::Acquire) > 0 {
            return;
        }
        let Some(address) = self.any_address() else { return };
        let told = self.mount.resolve_last(&address, 0);
        if told.map_or(true, |(attributes, _)| attributes.ino != self.ino) {
            self.let_go_of_handles();
        }
    }

    /// Closes its handles. The host tells those who watch the file that one for writing was closed, and the app was told
    /// when its own descriptor was.
    pub(super) fn let_go_of_handles(&self) {
        let handles = core::mem::take(&mut *self.handles.lock());
        if handles.writable().is_some() && inotify::is_used() {
            let alias = self.alias.lock().upgrade();
            if let Some(dentry) = alias {
                inotify::expect(&dentry, event::CLOSE_WRITE);
            }
        }
        drop(handles);
    }
}
