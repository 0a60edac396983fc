//! Dentries: the names of the namespace that are in use or were lately, in one tree over all mounts.
//!
//! A dentry always has an inode; names that are known not to exist are kept in their directory's table. A directory
//! has at most one dentry in the tree (except in file systems that are never cached), because what is remembered of
//! its names must be in one place. The root of a mount stands in its parent's table in place of what it covers.

mod changes;

use super::inode::{Found, Hint, Inode, Name};
use super::mount::{Cache, Mount};
use crate::{Mutex, Result};
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use hashbrown::HashMap;
use postern_pal::clock;

/// Names of one directory that are remembered not to exist.
const MAX_ABSENT: usize = 2048;
/// Dentries that are kept although nobody uses them.
const MAX_CACHED: usize = 32768;

/// Removed from its directory.
const DELETED: u32 = 1;
/// Never evicted: a mount point, or a node with an object attached.
const PINNED: u32 = 2;
/// Used since the eviction clock last passed.
const USED: u32 = 4;
/// The root of a mount.
const ROOT: u32 = 8;
/// Entered the eviction clock.
const CLOCKED: u32 = 16;

struct Place {
    parent: Option<Arc<Dentry>>,
    name: Box<[u8]>,
}

enum Child {
    Present(Arc<Dentry>),
    /// There is no such name; since when (monotonic nanoseconds).
    Absent(u64),
}

#[derive(Default)]
struct Names {
    map: HashMap<Box<[u8]>, Child>,
    absent: usize,
    /// Counts changes, so that the answer to a lookup that was under way meanwhile is not remembered.
    generation: u64,
    /// All names of the directory are in the map.
    complete: bool,
}

/// A name of the namespace, and its file.
pub struct Dentry {
    /// The mount it belongs to.
    pub mount: Arc<Mount>,
    /// The file.
    pub inode: Arc<dyn Inode>,
    place: Mutex<Place>,
    names: Mutex<Names>,
    /// Held while the file system changes names of this directory and while the tree follows, so that changes come
    /// to the tree in the order in which they came to the file system.
    changing: Mutex<()>,
    flags: AtomicU32,
    /// When it was last known to be right (monotonic nanoseconds); only for mounts that others change.
    checked: AtomicU64,
}

/// What the tree knows of a name.
pub enum Known {
    /// It exists.
    Present(Arc<Dentry>),
    /// It does not.
    Absent,
    /// The file system must be asked.
    Unknown,
}

static CLOCK: Mutex<VecDeque<Weak<Dentry>>> = Mutex::new(VecDeque::new());
/// Dentries in the clock that are no more. Their memory stays until the clock lets go of them.
static DEAD: AtomicUsize = AtomicUsize::new(0);

impl Drop for Dentry {
    fn drop(&mut self) {
        if *self.flags.get_mut() & CLOCKED != 0 {
            DEAD.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Dentry {
    fn new(mount: Arc<Mount>, inode: Arc<dyn Inode>, parent: Option<Arc<Self>>, name: &[u8]) -> Arc<Self> {
        let checked = if matches!(mount.cache, Cache::For(_)) { clock::now() } else { 0 };
        Arc::new(Self {
            mount,
            inode,
            place: Mutex::new(Place { parent, name: name.into() }),
            names: Mutex::default(),
            changing: Mutex::new(()),
            flags: AtomicU32::new(USED),
            checked: AtomicU64::new(checked),
        })
    }

    /// The root of the namespace.
    #[must_use]
    pub fn namespace_root(mount: Arc<Mount>, inode: Arc<dyn Inode>) -> Arc<Self> {
        let root = Self::new(mount, inode, None, b"");
        root.flags.fetch_or(PINNED | ROOT, Ordering::Relaxed);
        root
    }

    /// A file outside the tree, which open descriptors and /proc/PID/fd refer to. `name` is what readlink shows.
    #[must_use]
    pub fn unattached(mount: Arc<Mount>, inode: Arc<dyn Inode>, name: &[u8]) -> Arc<Self> {
        let dentry = Self::new(mount, inode, None, name);
        dentry.flags.fetch_or(DELETED, Ordering::Relaxed);
        dentry
    }

    /// A name that is not remembered in its directory, as in /proc.
    #[must_use]
    pub fn transient(parent: &Arc<Self>, name: &[u8], inode: Arc<dyn Inode>) -> Arc<Self> {
        Self::new(parent.mount.clone(), inode, Some(parent.clone()), name)
    }

    /// Mounts a file system at `name` of this directory.
    pub fn mount(self: &Arc<Self>, name: &[u8], mount: Arc<Mount>, inode: Arc<dyn Inode>) -> Arc<Self> {
        let root = Self::new(mount, inode, Some(self.clone()), name);
        root.flags.fetch_or(PINNED | ROOT, Ordering::Relaxed);
        self.flags.fetch_or(PINNED, Ordering::Relaxed);
        let old = {
            let mut names = self.names.lock();
            names.generation += 1;
            names.map.insert(name.into(), Child::Present(root.clone()))
        };
        drop(old);
        root.inode.named(&root);
        super::mount::register(&root);
        root
    }

    /// The directory it is in; `None` for the root of the namespace and for files outside the tree.
    #[must_use]
    pub fn parent(&self) -> Option<Arc<Self>> {
        self.place.lock().parent.clone()
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> Box<[u8]> {
        self.place.lock().name.clone()
    }

    /// Whether it is the root of a mount.
    #[inline]
    #[must_use]
    pub fn is_mount_root(&self) -> bool {
        self.flags.load(Ordering::Relaxed) & ROOT != 0
    }

    /// Whether it was removed from its directory.
    #[inline]
    #[must_use]
    pub fn is_deleted(&self) -> bool {
        self.flags.load(Ordering::Relaxed) & DELETED != 0
    }

    /// Keeps it in the tree until it is removed.
    pub fn pin(&self) {
        self.flags.fetch_or(PINNED, Ordering::Relaxed);
    }

    /// Whether it is a directory.
    #[inline]
    #[must_use]
    pub fn is_directory(&self) -> bool {
        self.inode.is_directory()
    }

    /// Components from the root of its mount, joined by `/`; what the monitor knows the file by.
    #[must_use]
    pub fn path_in_mount(self: &Arc<Self>) -> Vec<u8> {
        self.path(true)
    }

    /// Absolute path, without a word about deletion.
    #[must_use]
    pub fn absolute_path(self: &Arc<Self>) -> Vec<u8> {
        self.path(false)
    }

    fn path(self: &Arc<Self>, in_mount: bool) -> Vec<u8> {
        let mut chain: Vec<Arc<Self>> = Vec::with_capacity(8);
        let mut at = self.clone();
        while !(in_mount && at.is_mount_root()) {
            let Some(parent) = at.parent() else {
                let name = at.name();
                // A file outside the tree is called by its name alone.
                if !name.is_empty() {
                    return name.into_vec();
                }
                break;
            };
            chain.push(core::mem::replace(&mut at, parent));
        }
        let mut path = Vec::with_capacity(128);
        for dentry in chain.iter().rev() {
            if !in_mount || !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(&dentry.place.lock().name);
        }
        if path.is_empty() && !in_mount {
            path.push(b'/');
        }
        path
    }

    /// What is remembered of `name`.
    #[inline]
    #[must_use]
    pub fn known(&self, name: &[u8]) -> Known {
        self.known_with_generation(name).0
    }

    fn known_with_generation(&self, name: &[u8]) -> (Known, u64) {
        let names = self.names.lock();
        let known = match names.map.get(name) {
            Some(Child::Present(child)) => {
                let flags = child.flags.load(Ordering::Relaxed);
                if flags & USED == 0 {
                    child.flags.fetch_or(USED, Ordering::Relaxed);
                }
                if flags & ROOT != 0 || self.is_right(child.checked.load(Ordering::Relaxed)) {
                    Known::Present(child.clone())
                } else {
                    Known::Unknown
                }
            }
            Some(Child::Absent(since)) if self.is_right(*since) => Known::Absent,
            None if self.is_complete(&names) => Known::Absent,
            Some(Child::Absent(_)) => Known::Unknown,
            None => Known::Unknown,
        };
        (known, names.generation)
    }

    /// Whether what was known of a name at the time `checked` may be believed now.
    fn is_right(&self, checked: u64) -> bool {
        match self.mount.cache {
            Cache::For(limit) => {
                clock::now().saturating_sub(checked) < limit
                    || self.inode.unchanged_since().is_some_and(|since| since <= checked)
            }
            _ => true,
        }
    }

    fn is_complete(&self, names: &Names) -> bool {
        names.complete && (self.mount.cache == Cache::Forever || self.inode.unchanged_since().is_some())
    }

    /// Finds `name` in this directory, in the tree or by asking the file system.
    ///
    /// # Errors
    /// The file system's; a missing name is `None`.
    pub fn lookup(self: &Arc<Self>, name: &[u8], hint: Hint<'_>) -> Result<Option<Arc<Self>>> {
        loop {
            let (known, generation) = self.known_with_generation(name);
            match known {
                Known::Present(child) => return Ok(Some(child)),
                Known::Absent => return Ok(None),
                Known::Unknown => {}
            }
            let found = self.inode.lookup(self, name, hint)?;
            if self.mount.cache == Cache::Never {
                return Ok(found.map(|f| Self::transient(self, name, f.inode)));
            }
            if let Some(settled) = self.remember(name, generation, found) {
                return Ok(settled);
            }
            // The directory changed while the file system was asked: ask again.
        }
    }

    /// Puts the answer of a lookup into the tree. `None` if the directory changed since `generation`.
    fn remember(
        self: &Arc<Self>,
        name: &[u8],
        generation: u64,
        found: Option<Found>,
    ) -> Option<Option<Arc<Self>>> {
        let Some(found) = found else {
            let mut names = self.names.lock();
            if names.generation != generation {
                return None;
            }
            if let Some(Child::Present(old)) = names.insert_absent(name) {
                old.flags.fetch_or(DELETED, Ordering::Relaxed);
                drop(names);
                old.forget_names();
            }
            return Some(None);
        };
        let fresh = Self::transient(self, name, found.inode);
        let mut added = alloc::vec![fresh.clone()];
        let mut at = fresh.clone();
        let mut directory = None;
        for (below, inode) in found.below {
            match inode {
                Some(inode) => {
                    let child = Self::transient(&at, &below, inode);
                    at.names.lock().map.insert(below, Child::Present(child.clone()));
                    added.push(child.clone());
                    directory = Some(core::mem::replace(&mut at, child));
                }
                None => {
                    at.names.lock().insert_absent(&below);
                }
            }
        }
        let mut beside = found.beside;
        if let Some(directory) = &directory
            && let Some((name, inode)) = beside.take()
        {
            let dentry = Self::transient(directory, &name, inode);
            directory.names.lock().map.insert(name, Child::Present(dentry.clone()));
            added.push(dentry);
        }
        let mut names = self.names.lock();
        if let Some(Child::Present(old)) = names.map.get(name) {
            let old = old.clone();
            if Arc::ptr_eq(&old.inode, &fresh.inode) || old.is_mount_root() {
                old.checked.store(fresh.checked.load(Ordering::Relaxed), Ordering::Relaxed);
                drop(names);
                fresh.forget_names();
                return Some(Some(old));
            }
        }
        if names.generation != generation {
            drop(names);
            fresh.forget_names();
            return None;
        }
        let old = names.insert_present(name, fresh.clone());
        if let Some((beside, inode)) = beside
            && !names.map.contains_key(&beside)
        {
            let dentry = Self::transient(self, &beside, inode);
            drop(names.insert_present(&beside, dentry.clone()));
            added.push(dentry);
        }
        drop(names);
        if let Some(Child::Present(old)) = old {
            old.flags.fetch_or(DELETED, Ordering::Relaxed);
            old.forget_names();
        }
        for dentry in &added {
            keep(dentry);
        }
        Some(Some(fresh))
    }

    /// The present generation, to be given to [`Dentry::fill`].
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.names.lock().generation
    }

    /// Remembers names of this directory that were listed; `complete`: they are all there are.
    pub fn fill(self: &Arc<Self>, generation: u64, all: Vec<(Name, Arc<dyn Inode>)>, complete: bool) {
        let mut added = Vec::with_capacity(all.len());
        let mut gone = Vec::new();
        {
            let mut names = self.names.lock();
            if names.generation != generation {
                return;
            }
            let is_shared = matches!(self.mount.cache, Cache::For(_));
            let now = if is_shared { clock::now() } else { 0 };
            for (name, inode) in all {
                match names.map.get(&name) {
                    Some(Child::Present(old)) if Arc::ptr_eq(&old.inode, &inode) => {
                        old.checked.store(now, Ordering::Relaxed);
                    }
                    Some(Child::Present(old)) if !is_shared || old.is_mount_root() => {}
                    _ => {
                        let fresh = Self::transient(self, &name, inode);
                        if let Some(Child::Present(old)) = names.insert_present(&name, fresh.clone()) {
                            gone.push(old);
                        }
                        added.push(fresh);
                    }
                }
            }
            if complete && is_shared {
                gone.extend(names.take_older(now));
            }
            names.complete = complete && (!is_shared || self.inode.unchanged_since().is_some());
        }
        for dentry in gone {
            dentry.flags.fetch_or(DELETED, Ordering::Relaxed);
            dentry.forget_names();
        }
        for dentry in &added {
            keep(dentry);
        }
    }

    /// All names with their dentries, if all are known.
    #[must_use]
    pub fn complete_names(&self) -> Option<Vec<Arc<Self>>> {
        let names = self.names.lock();
        self.is_complete(&names).then(|| names.present().cloned().collect())
    }

    /// The mounts directly in this directory.
    #[must_use]
    pub fn mounts_here(&self) -> Vec<Arc<Self>> {
        if self.flags.load(Ordering::Relaxed) & PINNED == 0 {
            return Vec::new();
        }
        self.names.lock().present().filter(|d| d.is_mount_root()).cloned().collect()
    }

    /// Breaks the circles of references below a dentry that left the tree.
    fn forget_names(&self) {
        let mut queue: Vec<Arc<Self>> = self.take_names();
        while let Some(dentry) = queue.pop() {
            queue.extend(dentry.take_names());
        }
    }

    fn take_names(&self) -> Vec<Arc<Self>> {
        let mut names = self.names.lock();
        names.generation += 1;
        names.complete = false;
        names.absent = 0;
        let children = core::mem::take(&mut names.map).into_values();
        children
            .filter_map(|c| match c {
                Child::Present(dentry) => Some(dentry),
                Child::Absent(_) => None,
            })
            .collect()
    }

    /// Takes it out of its parent's table if nobody uses it. Returns whether it is gone.
    fn evict(self: Arc<Self>) -> bool {
        let Some((parent, name)) = ({
            let place = self.place.lock();
            place.parent.clone().map(|p| (p, place.name.clone()))
        }) else {
            return true;
        };
        if self.names.lock().present().next().is_some() {
            return false;
        }
        let mut names = parent.names.lock();
        match names.map.get(&name) {
            // The table's reference and ours.
            Some(Child::Present(d)) if Arc::ptr_eq(d, &self) && Arc::strong_count(&self) == 2 => {}
            Some(Child::Present(d)) if Arc::ptr_eq(d, &self) => return false,
            // It left the tree by other ways.
            _ => return true,
        }
        names.complete = false;
        let gone = names.map.remove(&name);
        drop(names);
        drop(gone);
        true
    }
}

impl Names {
    fn present(&self) -> impl Iterator<Item = &Arc<Dentry>> {
        self.map.values().filter_map(|c| match c {
            Child::Present(d) => Some(d),
            Child::Absent(_) => None,
        })
    }

    /// Takes out the dentries that were not found to be right at the time `now`: others removed or replaced them.
    fn take_older(&mut self, now: u64) -> Vec<Arc<Dentry>> {
        let is_older = |child: &Child| match child {
            Child::Present(dentry) => !dentry.is_mount_root() && dentry.checked.load(Ordering::Relaxed) < now,
            Child::Absent(_) => false,
        };
        let taken = self.map.extract_if(|_, child| is_older(child)).map(|(_, child)| child);
        taken.filter_map(|c| if let Child::Present(dentry) = c { Some(dentry) } else { None }).collect()
    }

    /// Remembers that there is no `name`. Returns what was there.
    fn insert_absent(&mut self, name: &[u8]) -> Option<Child> {
        if self.complete {
            return self.map.remove(name);
        }
        if self.absent >= MAX_ABSENT {
            self.map.retain(|_, c| matches!(c, Child::Present(_)));
            self.absent = 0;
        }
        let old = self.map.insert(name.into(), Child::Absent(clock::now()));
        if !matches!(old, Some(Child::Absent(_))) {
            self.absent += 1;
        }
        old
    }

    fn insert_present(&mut self, name: &[u8], dentry: Arc<Dentry>) -> Option<Child> {
        let old = self.map.insert(name.into(), Child::Present(dentry));
        if matches!(old, Some(Child::Absent(_))) {
            self.absent = self.absent.saturating_sub(1);
        }
        old
    }
}

/// Enters a dentry into the eviction clock, and moves the clock on where there are too many.
fn keep(dentry: &Arc<Dentry>) {
    dentry.inode.named(dentry);
    dentry.flags.fetch_or(CLOCKED, Ordering::Relaxed);
    let mut candidates: [Option<Arc<Dentry>>; 4] = [None, None, None, None];
    {
        let mut clock = CLOCK.lock();
        clock.push_back(Arc::downgrade(dentry));
        if DEAD.load(Ordering::Relaxed) > clock.len() / 2 + 32 {
            DEAD.store(0, Ordering::Relaxed);
            clock.retain(|weak| weak.strong_count() > 0);
        }
        if clock.len() > MAX_CACHED {
            for slot in &mut candidates {
                *slot = clock.pop_front().and_then(|weak| weak.upgrade());
            }
        }
    }
    for candidate in candidates.into_iter().flatten() {
        let flags = candidate.flags.load(Ordering::Relaxed);
        let weak = Arc::downgrade(&candidate);
        let spared = flags & (USED | PINNED) != 0;
        candidate.flags.fetch_and(!USED, Ordering::Relaxed);
        if flags & DELETED == 0 && (spared || !candidate.evict()) {
            CLOCK.lock().push_back(weak);
        }
    }
}
