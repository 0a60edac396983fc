//! Changes of names: what the tree does after the file system did it.

use super::{Child, DELETED, Dentry, Names, PINNED, keep};
use crate::Mutex;
use crate::fs::inode::Inode;
use crate::fs::mount::Cache;
use alloc::sync::Arc;
use core::sync::atomic::Ordering;
use postern_pal::MutexGuard;

impl Dentry {
    /// The lock to hold while names of this directory are changed. Never two of them, except by
    /// [`Dentry::change_both`].
    #[must_use]
    pub fn change(&self) -> MutexGuard<'_, ()> {
        self.changing.lock()
    }

    /// The locks of two directories, which may be the same, for a rename.
    #[must_use]
    pub fn change_both<'a>(
        a: &'a Arc<Self>,
        b: &'a Arc<Self>,
    ) -> (MutexGuard<'a, ()>, Option<MutexGuard<'a, ()>>) {
        match Arc::as_ptr(a).addr().cmp(&Arc::as_ptr(b).addr()) {
            core::cmp::Ordering::Less => {
                let first = a.changing.lock();
                (first, Some(b.changing.lock()))
            }
            core::cmp::Ordering::Equal => (a.changing.lock(), None),
            core::cmp::Ordering::Greater => {
                let first = b.changing.lock();
                (first, Some(a.changing.lock()))
            }
        }
    }

    /// Whether `name` still means `child` (`None`: nothing), as far as the tree knows. To be asked under
    /// [`Dentry::change`] of what was looked up before.
    #[must_use]
    pub fn still_holds(&self, name: &[u8], child: Option<&Arc<Self>>) -> bool {
        let names = self.names.lock();
        match (names.map.get(name), child) {
            _ if self.mount.cache == Cache::Never => true,
            (Some(Child::Present(held)), Some(child)) => Arc::ptr_eq(held, child),
            (Some(Child::Present(_)), None) => false,
            (_, child) => child.is_none(),
        }
    }

    /// A file was made here.
    pub fn created(self: &Arc<Self>, name: &[u8], inode: Arc<dyn Inode>) -> Arc<Self> {
        let fresh = Self::transient(self, name, inode);
        if self.mount.cache == Cache::Never {
            return fresh;
        }
        let old = {
            let mut names = self.names.lock();
            names.generation += 1;
            names.insert_present(name, fresh.clone())
        };
        drop(old);
        self.mount.added();
        keep(&fresh);
        fresh
    }

    /// A name was removed from here.
    pub fn removed(&self, name: &[u8], child: &Arc<Self>) {
        child.flags.fetch_or(DELETED, Ordering::Relaxed);
        child.flags.fetch_and(!PINNED, Ordering::Relaxed);
        let old = {
            let mut names = self.names.lock();
            names.generation += 1;
            names.insert_absent(name)
        };
        drop(old);
        self.mount.changed();
        child.forget_names();
    }

    /// `child` moved from `name` here to `to_name` in `to`.
    pub fn renamed(&self, name: &[u8], child: &Arc<Self>, to: &Arc<Self>, to_name: &[u8]) {
        let old = {
            let mut names = self.names.lock();
            names.generation += 1;
            names.insert_absent(name)
        };
        drop(old);
        {
            let mut place = child.place.lock();
            place.parent = Some(to.clone());
            place.name = to_name.into();
        }
        let covered = {
            let mut names = to.names.lock();
            names.generation += 1;
            names.insert_present(to_name, child.clone())
        };
        if let Some(Child::Present(covered)) = covered
            && !Arc::ptr_eq(&covered, child)
        {
            covered.flags.fetch_or(DELETED, Ordering::Relaxed);
            covered.forget_names();
        }
        self.mount.changed();
        self.mount.added();
    }

    /// Two names changed places.
    pub fn exchanged(
        &self,
        name: &[u8],
        child: &Arc<Self>,
        to: &Arc<Self>,
        to_name: &[u8],
        other: &Arc<Self>,
    ) {
        let here = child.parent();
        for (dentry, parent, new_name) in [(child, Some(to.clone()), to_name), (other, here, name)] {
            let mut place = dentry.place.lock();
            place.parent = parent;
            place.name = new_name.into();
        }
        let swap = |names: &Mutex<Names>, name: &[u8], dentry: &Arc<Self>| {
            let mut names = names.lock();
            names.generation += 1;
            names.insert_present(name, dentry.clone())
        };
        drop(swap(&to.names, to_name, child));
        drop(swap(&self.names, name, other));
        self.mount.changed();
    }

    /// Forgets that there is no `name`, which turned out to be wrong.
    pub fn forget_absence(&self, name: &[u8]) {
        let old = {
            let mut names = self.names.lock();
            names.generation += 1;
            names.complete = false;
            match names.map.get(name) {
                Some(Child::Absent(_)) => {
                    names.absent = names.absent.saturating_sub(1);
                    names.map.remove(name)
                }
                _ => None,
            }
        };
        drop(old);
        self.mount.added();
    }

    /// Others may have changed what `name` means, and its file: what is known of both has to be asked for again. `gone`: the
    /// name was removed.
    pub fn doubt(&self, name: &[u8], gone: bool) {
        let child = {
            let mut names = self.names.lock();
            names.generation += 1;
            names.complete = false;
            match names.map.get(name) {
                Some(Child::Present(child)) => {
                    child.checked.store(0, Ordering::Relaxed);
                    Some(child.clone())
                }
                Some(Child::Absent(_)) => {
                    names.absent = names.absent.saturating_sub(1);
                    names.map.remove(name);
                    None
                }
                None => None,
            }
        };
        if let Some(child) = child {
            child.inode.named(&child);
            child.inode.doubt(gone);
        }
    }

    /// Forgets what is known of `name`, which turned out to mean another file.
    pub fn forget(&self, name: &[u8]) {
        let old = {
            let mut names = self.names.lock();
            names.generation += 1;
            match names.map.get(name) {
                Some(Child::Present(child)) if child.is_mount_root() => None,
                Some(Child::Absent(_)) => {
                    names.absent = names.absent.saturating_sub(1);
                    names.map.remove(name)
                }
                _ => {
                    names.complete = false;
                    names.map.remove(name)
                }
            }
        };
        drop(old);
        self.mount.changed();
        self.mount.added();
    }
}
