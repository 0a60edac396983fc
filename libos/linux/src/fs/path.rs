//! Path resolution, as path_resolution(7) describes it.

use super::dentry::{Dentry, Known};
use super::file::mode;
use super::inode::{Hint, Link};
use super::mount::Cache;
use super::{permission, shortcut};
use crate::task::{Process, Thread};
use crate::{Errno, Once, Result};
use alloc::borrow::Cow;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Longest component of a path.
pub const NAME_MAX: usize = 255;
const MAX_LINKS: u32 = 40;

static ROOT: Once<Arc<Dentry>> = Once::new();

pub(super) fn set_root(root: Arc<Dentry>) {
    let _ = ROOT.set(root);
}

/// The root of the namespace. No process has another: chroot is refused.
///
/// # Errors
/// `ENOENT` before the file systems are there.
#[inline]
pub fn root() -> Result<&'static Arc<Dentry>> {
    ROOT.get().ok_or(Errno::ENOENT)
}

/// The working directory of a process.
///
/// # Errors
/// `ENOENT` before the file systems are there.
pub fn working_directory(process: &Process) -> Result<Arc<Dentry>> {
    let cwd = process.fs.cwd.lock().clone();
    match cwd.and_then(|any| any.downcast::<Dentry>().ok()) {
        Some(dentry) => Ok(dentry),
        None => root().cloned(),
    }
}

/// A walk, with what limits it.
pub struct Walk<'a> {
    thread: &'a Thread,
    links: u32,
    /// The file will be opened for reading.
    pub open: bool,
    /// Meeting a symbolic link is an error (`RESOLVE_NO_SYMLINKS`).
    pub no_links: bool,
    /// Following a link of /proc that leads to a file itself is an error (`RESOLVE_NO_MAGICLINKS`).
    pub no_magic_links: bool,
    /// The directory that the walk may not leave: that is an error (`RESOLVE_BENEATH`), or …
    pub top: Option<Arc<Dentry>>,
    /// … the directory is as good as the root (`RESOLVE_IN_ROOT`).
    pub top_is_root: bool,
    /// Leaving the mount that the walk began in is an error (`RESOLVE_NO_XDEV`).
    pub one_mount: bool,
    /// Only what is in the cache counts (`RESOLVE_CACHED`).
    pub cached_only: bool,
    trail: Trail,
}

/// What was passed on the way, as far as it matters for remembering the whole path.
struct Trail {
    /// Everybody may pass (or the owner may, who asks), and nobody but the family changes what is there.
    plain: bool,
    /// Not everybody may pass: only this user, as far as is known.
    only_for: Option<u32>,
    /// The mount that was passed beside that of the root: its address, or 0.
    other: usize,
    /// The directory where a name was missing.
    missing: Option<Arc<Dentry>>,
}

impl Trail {
    const fn new() -> Self {
        Self { plain: true, only_for: None, other: 0, missing: None }
    }

    /// A directory that the process was found to be allowed to search.
    fn search(&mut self, process: &Process, dentry: &Arc<Dentry>) {
        let bits = dentry.inode.mode();
        if bits & 0o111 != 0o111 {
            let uid = process.identity.lock().fsuid;
            let [owner, _] = dentry.inode.owner();
            self.plain &= uid == owner && bits & 0o100 != 0;
            self.only_for = Some(uid);
        }
        self.pass(dentry);
    }

    fn pass(&mut self, dentry: &Arc<Dentry>) {
        if dentry.mount.cache != Cache::Forever {
            self.plain = false;
            return;
        }
        let at = Arc::as_ptr(&dentry.mount).addr();
        if root().is_ok_and(|root| Arc::as_ptr(&root.mount).addr() == at) || self.other == at {
            return;
        }
        self.plain &= self.other == 0;
        self.other = at;
    }
}

/// How a path ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Last {
    /// In a name.
    Name,
    /// In `.`, `..` or `/`: the "parent" is the file itself.
    Dot,
    /// As `Dot`, but `..`.
    DotDot,
}

/// A path up to its last component.
pub struct Parent {
    /// The directory that the last component is in.
    pub dir: Arc<Dentry>,
    /// The last component.
    pub name: Vec<u8>,
    /// A slash follows it.
    pub slash: bool,
    /// What it is.
    pub last: Last,
}

enum End {
    File(Arc<Dentry>),
    Parent(Parent),
}

fn skip_slashes(path: &[u8]) -> &[u8] {
    let at = path.iter().position(|b| *b != b'/').unwrap_or(path.len());
    path.get(at..).unwrap_or(&[])
}

/// Splits the first component off a path that does not begin with a slash.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    let at = path.iter().position(|b| *b == b'/').unwrap_or(path.len());
    path.split_at_checked(at).unwrap_or((path, &[]))
}

impl<'a> Walk<'a> {
    /// A walk on behalf of `thread`.
    #[must_use]
    pub fn new(thread: &'a Thread) -> Self {
        Self {
            thread,
            links: 0,
            open: false,
            no_links: false,
            no_magic_links: false,
            top: None,
            top_is_root: false,
            one_mount: false,
            cached_only: false,
            trail: Trail::new(),
        }
    }

    /// Finds the file at `path`, seen from `base`. A symbolic link at the end is followed if `follow` says so.
    ///
    /// # Errors
    /// As path_resolution(7).
    pub fn find(&mut self, base: &Arc<Dentry>, path: &[u8], follow: bool) -> Result<Arc<Dentry>> {
        if self.is_limited() {
            return self.walk(base, path, follow);
        }
        match shortcut::find(&self.thread.process, base, path, follow) {
            Known::Present(dentry) => return Ok(dentry),
            Known::Absent => return Err(Errno::ENOENT),
            Known::Unknown => {}
        }
        let events = super::mount::events();
        self.trail = Trail::new();
        let found = self.walk(base, path, follow);
        if self.trail.plain {
            let (end, exists) = match &found {
                Ok(dentry) => (Some(dentry.clone()), true),
                Err(Errno::ENOENT) => (self.trail.missing.take(), false),
                Err(_) => (None, false),
            };
            // The mount that was passed must be the one that the entry watches.
            let other = self.trail.other;
            if let Some(end) = end.filter(|e| other == 0 || Arc::as_ptr(&e.mount).addr() == other) {
                shortcut::remember(base, path, follow, &end, exists, self.trail.only_for, events);
            }
        }
        found
    }

    fn is_limited(&self) -> bool {
        self.no_links
            || self.no_magic_links
            || self.top.is_some()
            || self.one_mount
            || self.cached_only
            || self.links > 0
    }

    fn walk(&mut self, base: &Arc<Dentry>, path: &[u8], follow: bool) -> Result<Arc<Dentry>> {
        match self.run(base, path, false, follow)? {
            End::File(dentry) => Ok(dentry),
            End::Parent(_) => Err(Errno::ENOENT),
        }
    }

    /// Finds the directory of the last component of `path`.
    ///
    /// # Errors
    /// As path_resolution(7).
    pub fn find_parent(&mut self, base: &Arc<Dentry>, path: &[u8]) -> Result<Parent> {
        match self.run(base, path, true, false)? {
            End::Parent(parent) => Ok(parent),
            End::File(dir) => Ok(Parent { dir, name: Vec::new(), slash: true, last: Last::Dot }),
        }
    }

    /// Counts one followed link.
    ///
    /// # Errors
    /// `ELOOP`.
    pub fn count_link(&mut self) -> Result<()> {
        self.links += 1;
        if self.links > MAX_LINKS || self.no_links { Err(Errno::ELOOP) } else { Ok(()) }
    }

    fn leave_check(&self, from: &Arc<Dentry>, to: &Arc<Dentry>) -> Result<()> {
        if self.one_mount && !Arc::ptr_eq(&from.mount, &to.mount) { Err(Errno::EXDEV) } else { Ok(()) }
    }

    fn run(&mut self, base: &Arc<Dentry>, path: &[u8], want_parent: bool, follow: bool) -> Result<End> {
        if path.is_empty() {
            return Err(Errno::ENOENT);
        }
        let mut here = base.clone();
        if path.first() == Some(&b'/') {
            here = self.to_root(&here)?;
        }
        let mut text = Cow::Borrowed(path);
        let mut at = 0;
        loop {
            let rest = skip_slashes(text.get(at..).unwrap_or(&[]));
            if rest.is_empty() {
                return Ok(End::File(here));
            }
            let (name, after) = split(rest);
            let last = skip_slashes(after).is_empty();
            let slash = !after.is_empty();
            let next = text.len() - after.len();
            if !here.is_directory() {
                return Err(Errno::ENOTDIR);
            }
            permission::check(&self.thread.process, &*here.inode, permission::EXECUTE)?;
            self.trail.search(&self.thread.process, &here);
            if want_parent && last {
                let kind = match name {
                    b"." => Last::Dot,
                    b".." => Last::DotDot,
                    _ => Last::Name,
                };
                if name.len() > NAME_MAX {
                    return Err(Errno::ENAMETOOLONG);
                }
                return Ok(End::Parent(Parent { dir: here, name: name.to_vec(), slash, last: kind }));
            }
            match name {
                b"." => {
                    at = next;
                    continue;
                }
                b".." => {
                    let at_top = self.top.as_ref().is_some_and(|top| Arc::ptr_eq(top, &here));
                    if at_top && !self.top_is_root {
                        return Err(Errno::EXDEV);
                    }
                    if let Some(parent) = here.parent().filter(|_| !at_top) {
                        self.leave_check(&here, &parent)?;
                        here = parent;
                    }
                    at = next;
                    continue;
                }
                _ => {}
            }
            let Some(child) = self.step(&here, name, after)? else {
                self.trail.missing = Some(here);
                return Err(Errno::ENOENT);
            };
            if child.inode.kind() == mode::S_IFLNK && (!last || follow || slash) {
                self.count_link()?;
                match child.inode.follow(&child)? {
                    Link::Jump(target) => {
                        self.trail.plain = false;
                        if self.no_magic_links {
                            return Err(Errno::ELOOP);
                        }
                        if self.top.is_some() {
                            return Err(Errno::EXDEV);
                        }
                        self.leave_check(&here, &target)?;
                        here = target;
                        at = next;
                        if last && slash && !here.is_directory() {
                            return Err(Errno::ENOTDIR);
                        }
                    }
                    Link::Text(target) => {
                        if target.is_empty() {
                            return Err(Errno::ENOENT);
                        }
                        if target.first() == Some(&b'/') {
                            here = self.to_root(&here)?;
                        }
                        let mut new = target;
                        new.extend_from_slice(after);
                        if new.len() > 4096 * 2 {
                            return Err(Errno::ENAMETOOLONG);
                        }
                        text = Cow::Owned(new);
                        at = 0;
                    }
                }
                continue;
            }
            if last && slash && !child.is_directory() {
                return Err(Errno::ENOTDIR);
            }
            here = child;
            if last {
                self.trail.pass(&here);
            }
            at = next;
        }
    }

    fn to_root(&self, here: &Arc<Dentry>) -> Result<Arc<Dentry>> {
        let root = match &self.top {
            Some(top) if self.top_is_root => top,
            Some(_) => return Err(Errno::EXDEV),
            None => root()?,
        };
        self.leave_check(here, root)?;
        Ok(root.clone())
    }

    /// One step down: finds `name` in `dir`, where search permission was checked.
    ///
    /// # Errors
    /// `ENAMETOOLONG`, or the file system's; a missing name is `None`.
    pub fn step(&self, dir: &Arc<Dentry>, name: &[u8], rest: &[u8]) -> Result<Option<Arc<Dentry>>> {
        let child = match dir.known(name) {
            Known::Present(child) => Some(child),
            Known::Absent => None,
            Known::Unknown => {
                if name.len() > NAME_MAX {
                    return Err(Errno::ENAMETOOLONG);
                }
                if self.cached_only {
                    return Err(Errno::EAGAIN);
                }
                dir.lookup(name, Hint { rest, open: self.open })?
            }
        };
        if let Some(child) = &child {
            self.leave_check(dir, child)?;
        }
        Ok(child)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_split_at_slashes() {
        assert_eq!(split(b"usr//lib"), (&b"usr"[..], &b"//lib"[..]));
        assert_eq!(split(b"usr"), (&b"usr"[..], &b""[..]));
        assert_eq!(skip_slashes(b"//lib/"), b"lib/");
        assert_eq!(skip_slashes(b"///"), b"");
    }
}
