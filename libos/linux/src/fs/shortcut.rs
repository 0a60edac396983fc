//! Whole paths that were walked lately, so that walking them again costs one look instead of one per component.
//!
//! Only walks that would go the same way for others are remembered: every directory lets all pass, or its owner, who
//! then is the only one that the entry is for; and all is on the mount of the root and at most one other, both changed
//! by nobody but the family. An entry is good while the counters of these mounts stand where they stood.

use super::dentry::{Dentry, Known};
use super::mount::{self, Mount};
use super::path;
use crate::Mutex;
use crate::task::Process;
use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use core::hash::{BuildHasher, Hasher};
use hashbrown::DefaultHashBuilder;

const SLOTS: usize = 1024;
/// Longer paths are walked.
const MAX_PATH: usize = 256;

struct Entry {
    hash: u64,
    /// Where the walk began. Weak references keep the addresses from being used again, but no file from going away.
    base: Weak<Dentry>,
    path: Box<[u8]>,
    follow: bool,
    /// What was found; `None`: a name was missing.
    found: Option<Weak<Dentry>>,
    /// The user that owns the directories on the way that not everybody may pass.
    only_for: Option<u32>,
    /// The mount where the walk ended.
    mount: Arc<Mount>,
    stamp: u64,
}

/// All zero at first, and so not in the image.
static TABLE: [Mutex<Option<Box<Entry>>>; SLOTS] = [const { Mutex::new(None) }; SLOTS];
static HASHER: crate::Once<DefaultHashBuilder> = crate::Once::new();

fn hash(base: &Arc<Dentry>, path: &[u8], follow: bool) -> u64 {
    let builder = match HASHER.get() {
        Some(builder) => builder,
        None => {
            let _ = HASHER.set(DefaultHashBuilder::default());
            match HASHER.get() {
                Some(builder) => builder,
                // Another thread is just setting it: this walk goes without.
                None => return 0,
            }
        }
    };
    let mut hasher = builder.build_hasher();
    hasher.write_usize(Arc::as_ptr(base).addr());
    hasher.write(path);
    hasher.write_u8(u8::from(follow));
    hasher.finish()
}

fn slot(hash: u64) -> Option<&'static Mutex<Option<Box<Entry>>>> {
    TABLE.get(usize::try_from(hash % SLOTS as u64).ok()?)
}

/// A number that stands still while the answer is right. Both counters only grow, so their sum tells.
fn stamp(root: &Mount, end: &Mount, found: bool) -> u64 {
    let changes = root.change_stamp().wrapping_add(end.change_stamp());
    if found {
        return changes;
    }
    changes.wrapping_add(root.addition_stamp()).wrapping_add(end.addition_stamp())
}

/// What is remembered of `path`, seen from `base`.
#[must_use]
pub fn find(process: &Process, base: &Arc<Dentry>, path: &[u8], follow: bool) -> Known {
    let hash = hash(base, path, follow);
    let (Some(slot), Ok(root)) = (slot(hash), path::root()) else { return Known::Unknown };
    let slot = slot.lock();
    match &*slot {
        Some(entry)
            if entry.hash == hash
                && entry.follow == follow
                && entry.base.as_ptr() == Arc::as_ptr(base)
                && *entry.path == *path
                && entry.stamp == stamp(&root.mount, &entry.mount, entry.found.is_some())
                && entry.only_for.is_none_or(|uid| process.identity.lock().fsuid == uid) =>
        {
            match &entry.found {
                Some(found) => found.upgrade().map_or(Known::Unknown, Known::Present),
                None => Known::Absent,
            }
        }
        _ => Known::Unknown,
    }
}

/// Remembers where a walk ended (`found`: at `end`; else a name was missing in the directory `end`) that began when [`mount::events`] was `events`.
pub fn remember(
    base: &Arc<Dentry>,
    path: &[u8],
    follow: bool,
    end: &Arc<Dentry>,
    found: bool,
    only_for: Option<u32>,
    events: u64,
) {
    if path.len() > MAX_PATH || base.is_deleted() {
        return;
    }
    let hash = hash(base, path, follow);
    let (Some(slot), Ok(root)) = (slot(hash), path::root()) else { return };
    let stamp = stamp(&root.mount, &end.mount, found);
    // Nothing changed since the walk began, so the stamp belongs to what it saw.
    if mount::events() != events {
        return;
    }
    let found = found.then(|| Arc::downgrade(end));
    let (base, mount) = (Arc::downgrade(base), end.mount.clone());
    let entry = Entry { hash, base, path: path.into(), follow, found, only_for, mount, stamp };
    let old = slot.lock().replace(Box::new(entry));
    drop(old);
}
