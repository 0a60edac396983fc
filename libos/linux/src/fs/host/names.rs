//! Directories of the host: looking up, listing, making, renaming and removing names.

use super::HostInode;
use super::inode::Watch;
use super::listing::Listing;
use crate::fs::dentry::{Dentry, Known};
use crate::fs::file::mode;
use crate::fs::inode::{Found, Hint, Inode, Listed, Name, New};
use crate::{Errno, Result};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::Ordering;
use postern_abi::calls::{Downcall, node, open};
use postern_abi::message::{Attributes, split_record};
use postern_pal::{clock, gate};

/// When so many files of a directory were opened right after somebody had looked whether they are there, as fontconfig
/// does, the others are opened with the look.
const OPENED: u32 = 2;

/// Longest path that is sent to the monitor.
const PATH_MAX: usize = 4096;

/// `name` below the directory `dir`, as the monitor knows it.
fn below(dir: &Arc<Dentry>, name: &[u8]) -> Vec<u8> {
    let mut path = dir.path_in_mount();
    if !path.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(name);
    path
}

/// One order for all listings of a directory, whether they come from the monitor or from the tree.
fn sort(listed: &mut [Listed]) {
    listed.sort_unstable_by(|a, b| a.name.cmp(&b.name));
}

/// The attributes of the first record of a payload.
fn attributes_of(payload: &[u8]) -> Result<Attributes> {
    split_record(payload).map(|(record, _)| record.attributes).ok_or(Errno::EIO)
}

impl HostInode {
    /// Looks up `name`, and on the way as much of the rest of the path as one message can.
    pub(super) fn look_up(&self, dir: &Arc<Dentry>, name: &[u8], hint: Hint<'_>) -> Result<Option<Found>> {
        if self.is_worth_listing() {
            // An error comes again, and of this name, where it matters.
            let _ = self.enumerate(dir);
            match dir.known(name) {
                Known::Present(child) => return Ok(Some(Found::one(child.inode.clone()))),
                Known::Absent => return Ok(None),
                Known::Unknown => {}
            }
        }
        if let Some(found) = self.look_up_listed(name) {
            return Ok(Some(found));
        }
        let mut path = dir.path_in_mount();
        let depth = if path.is_empty() { 0 } else { path.split(|b| *b == b'/').count() };
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(name);
        let mut names: Vec<&[u8]> = alloc::vec![name];
        let mut whole = true;
        for part in hint.rest.split(|b| *b == b'/').filter(|part| !part.is_empty()) {
            if matches!(part, b"." | b"..") || part.len() > 255 || path.len() + part.len() >= PATH_MAX {
                whole = false;
                break;
            }
            path.push(b'/');
            path.extend_from_slice(part);
            names.push(part);
        }
        if path.len() > PATH_MAX {
            return Err(Errno::ENAMETOOLONG);
        }
        let mut flags = if whole { open::NEIGHBOUR } else { 0 };
        // Those before it are known.
        flags |= if names.len() == 1 { open::LAST_ONLY } else { 0 };
        let is_opened_next = names.len() == 1 && self.opened.load(Ordering::Relaxed) >= OPENED;
        flags |= if whole && (hint.open || is_opened_next) { open::READ } else { 0 };
        let mut resolved = self.mount.resolve(&path, flags, 0)?;
        let neighbour = if resolved.neighbour { resolved.records.pop() } else { None };
        let neighbour = neighbour.map(|(attributes, target)| self.mount.intern(&attributes, target));
        let total = depth + names.len();
        let resolved_count = resolved.count.min(total);
        if resolved_count < depth {
            return Ok(None);
        }
        // With READ the error may be that of opening the last component, which exists all the same.
        if let Some(error) = resolved.error
            && resolved_count == depth
        {
            return if error == Errno::ENOENT { Ok(None) } else { Err(error) };
        }
        if resolved_count == depth {
            return Ok(None);
        }
        // Records may or may not include those of the components before `name`.
        let skip = resolved.records.len().saturating_sub(resolved_count - depth);
        let beside = resolved.records.last().map(|(_, target)| target.as_slice().into()).zip(neighbour);
        let mut inodes = Vec::new();
        for (attributes, target) in resolved.records.into_iter().skip(skip) {
            inodes.push(self.mount.intern(&attributes, target));
        }
        if resolved_count == total
            && let Some(opened) = beside.as_ref().map(|(_, inode)| inode).or(inodes.last())
            && let Some(handle) = resolved.handle
        {
            opened.keep_read_handle(handle);
        }
        let ended_in_directory = inodes.last().is_some_and(|i| i.is_kind(mode::S_IFDIR));
        let mut inodes = inodes.into_iter();
        let first = inodes.next().ok_or(Errno::EIO)?;
        let mut more: Vec<(Name, Option<Arc<dyn Inode>>)> = Vec::new();
        let mut rest = names.iter().skip(1);
        for (inode, name) in inodes.zip(&mut rest) {
            more.push(((*name).into(), Some(inode)));
        }
        if resolved_count < total
            && resolved.error.is_none()
            && ended_in_directory
            && let Some(missing) = names.get(resolved_count - depth)
        {
            more.push(((*missing).into(), None));
        }
        let beside = beside.map(|(name, inode): (Name, _)| (name, inode as Arc<dyn Inode>));
        Ok(Some(Found { inode: first, below: more, beside }))
    }

    /// Lists the directory `dir`, and enters all names with their attributes into the tree.
    pub(super) fn enumerate(&self, dir: &Arc<Dentry>) -> Result<Vec<Listed>> {
        if let Some(children) = dir.complete_names() {
            let listed = |d: Arc<Dentry>| {
                let ino = d.inode.downcast::<Self>().map_or(1, |inode| inode.ino);
                Listed { name: d.name(), ino, mode: d.inode.mode() }
            };
            let mut all: Vec<Listed> = children.into_iter().map(listed).collect();
            sort(&mut all);
            return Ok(all);
        }
        self.misses.store(0, Ordering::Relaxed);
        if self.mount.read_only && self.mount.exclusive {
            let listing = self.listing(dir)?;
            let mut all = Vec::with_capacity(listing.len());
            all.extend(listing.iter().map(|record| Listed {
                name: record.name.into(),
                ino: record.attributes.ino,
                mode: record.attributes.mode,
            }));
            return Ok(all);
        }
        let generation = dir.generation();
        let mut listed = Vec::new();
        let mut found: Vec<(Name, Arc<dyn Inode>)> = Vec::new();
        self.ask_for_names(dir, |payload| {
            let mut rest = payload;
            while let Some((record, after)) = split_record(rest) {
                let name: Box<[u8]> = record.name.into();
                let attributes = &record.attributes;
                listed.push(Listed { name: name.clone(), ino: attributes.ino, mode: attributes.mode });
                found.push((name, self.mount.intern(attributes, record.target.to_vec())));
                rest = after;
            }
        })?;
        dir.fill(generation, found, true);
        sort(&mut listed);
        Ok(listed)
    }

    /// Whether so many names of this directory were asked for one by one that asking for all is cheaper. How many there
    /// are is guessed from its size.
    fn is_worth_listing(&self) -> bool {
        const FEW: u64 = 8;
        const BYTES_PER_NAME: u64 = 32;
        /// Names that are listed in the time of one question.
        const NAMES_PER_QUESTION: u64 = 16;
        let misses = self.misses.fetch_add(1, Ordering::Relaxed);
        let names = self.cached.lock().attributes.size / BYTES_PER_NAME;
        u64::from(misses) >= FEW.max(names / NAMES_PER_QUESTION)
    }

    /// Has the monitor list the directory `dir`; `take` gets the payloads of the answers.
    fn ask_for_names(&self, dir: &Arc<Dentry>, mut take: impl FnMut(&[u8])) -> Result<()> {
        let path = dir.path_in_mount();
        let since = clock::now();
        let mut cookie = 0;
        loop {
            let answer = gate::call(Downcall::Enumerate, [self.mount.id, cookie, 0, 0, 0, 0], &[&path])?;
            let [next, last, watch, count] = answer.values;
            if cookie == 0 {
                let index = usize::try_from(watch).ok().and_then(|watch| watch.checked_sub(1));
                let count = u32::try_from(count).unwrap_or(0);
                *self.watch.lock() = index.map(|index| Watch { index, count, since });
            }
            take(answer.payload.as_slice());
            if last != 0 || next == cookie {
                return Ok(());
            }
            cookie = next;
        }
    }

    /// All names of `dir`, which is in a mount that nobody changes.
    fn listing(&self, dir: &Arc<Dentry>) -> Result<Arc<Listing>> {
        if let Some(listing) = &*self.listing.lock() {
            return Ok(listing.clone());
        }
        let mut records = Vec::new();
        self.ask_for_names(dir, |payload| records.extend_from_slice(payload))?;
        let listing = Arc::new(Listing::new(records));
        *self.listing.lock() = Some(listing.clone());
        Ok(listing)
    }

    /// Looks `name` up in the listing, if there is one. `None`: the monitor must be asked. So it must for a symbolic link
    /// whose target did not come with it, and for a name that is not listed, which it may have a reason to report.
    fn look_up_listed(&self, name: &[u8]) -> Option<Found> {
        let listing = self.listing.lock().clone()?;
        let found = listing.find(name)?;
        if found.attributes.mode & mode::S_IFMT == mode::S_IFLNK && found.target.is_empty() {
            return None;
        }
        let inode = self.mount.intern(&found.attributes, found.target.to_vec());
        Some(Found::one(inode))
    }

    pub(super) fn make(
        &self,
        dir: &Arc<Dentry>,
        name: &[u8],
        what: New<'_>,
        mode: u32,
    ) -> Result<Arc<dyn Inode>> {
        let path = below(dir, name);
        let (kind, extra): (u64, &[u8]) = match what {
            New::Regular => return self.make_file(&path, mode),
            New::Directory => (node::DIRECTORY, b""),
            New::Symlink(target) => (node::SYMLINK, target),
            New::Node(mode::S_IFIFO, _) => (node::FIFO, b""),
            New::Node(mode::S_IFSOCK, _) => (node::SOCKET, b""),
            New::Node(..) => return Err(Errno::EPERM),
        };
        let args = [self.mount.id, kind, u64::from(mode), path.len() as u64, 0, 0];
        let answer = gate::call(Downcall::Create, args, &[&path, extra])?;
        let attributes = attributes_of(&answer.payload)?;
        self.changed_names(if kind == node::DIRECTORY { 1 } else { 0 });
        Ok(self.mount.intern(&attributes, extra.to_vec()))
    }

    fn make_file(&self, path: &[u8], mode: u32) -> Result<Arc<dyn Inode>> {
        let flags = open::READ | open::WRITE | open::CREATE | open::EXCLUSIVE | open::LAST_ONLY;
        let mut resolved = self.mount.resolve(path, flags, mode)?;
        if let Some(error) = resolved.error {
            return Err(error);
        }
        if !resolved.created {
            // Without a record the way to it ended before: somebody outside has removed a directory.
            return Err(if resolved.records.is_empty() { Errno::ENOENT } else { Errno::EEXIST });
        }
        let (attributes, _) = resolved.records.pop().ok_or(Errno::EIO)?;
        let inode = self.mount.intern(&attributes, Vec::new());
        if let Some(handle) = resolved.handle {
            inode.keep_write_handle(handle);
        }
        self.changed_names(0);
        Ok(inode)
    }

    /// Names were added or removed: the directory's times are newer, and its link count by `links`.
    fn changed_names(&self, links: i32) {
        self.wrote(|a| a.nlink = a.nlink.saturating_add_signed(links));
    }

    pub(super) fn make_link(&self, dir: &Arc<Dentry>, name: &[u8], target: &Arc<Dentry>) -> Result<()> {
        let inode: Arc<dyn Any + Send + Sync> = target.inode.clone();
        let inode = inode.downcast::<Self>().map_err(|_| Errno::EXDEV)?;
        let existing = inode.address(target).ok_or(Errno::ENOENT)?;
        let path = below(dir, name);
        let args = [existing.id, node::HARD_LINK, 0, path.len() as u64, 0, 0];
        let answer = gate::call(Downcall::Create, args, &[&path, &existing.path])?;
        let attributes = attributes_of(&answer.payload)?;
        if attributes.ino == inode.ino {
            inode.refresh(&attributes);
            if existing.id != self.mount.id {
                inode.got_name();
            }
        }
        self.changed_names(0);
        Ok(())
    }

    pub(super) fn unlink(
        &self,
        dir: &Arc<Dentry>,
        name: &[u8],
        child: &Arc<Dentry>,
        directory: bool,
    ) -> Result<()> {
        let path = below(dir, name);
        gate::call(Downcall::Remove, [self.mount.id, u64::from(directory), 0, 0, 0, 0], &[&path])?;
        if let Some(inode) = child.inode.downcast::<Self>() {
            inode.lost_name();
            inode.drop_idle_handles();
        }
        self.changed_names(-i32::from(directory));
        Ok(())
    }

    pub(super) fn move_name(
        &self,
        dir: &Arc<Dentry>,
        name: &[u8],
        child: &Arc<Dentry>,
        to: &Arc<Dentry>,
        to_name: &[u8],
        flags: u32,
    ) -> Result<()> {
        let target = to.inode.downcast::<Self>().ok_or(Errno::EXDEV)?;
        let (old, new) = (below(dir, name), below(to, to_name));
        let covered = match to.known(to_name) {
            Known::Present(covered) => Some(covered),
            _ => None,
        };
        let args = [self.mount.id, u64::from(flags), old.len() as u64, 0, 0, 0];
        gate::call(Downcall::Rename, args, &[&old, &new])?;
        const EXCHANGE: u32 = 2;
        if flags & EXCHANGE == 0
            && let Some(covered) = covered
            && !Arc::ptr_eq(&covered.inode, &child.inode)
            && let Some(inode) = covered.inode.downcast::<Self>()
        {
            inode.lost_name();
            inode.drop_idle_handles();
        }
        // Its change time is newer.
        if let Some(inode) = child.inode.downcast::<Self>() {
            inode.wrote(|_| {});
        }
        self.wrote(|_| {});
        target.wrote(|_| {});
        Ok(())
    }
}
