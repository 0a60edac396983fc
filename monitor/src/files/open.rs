//! The `Open` downcall.

use super::mounts::{Mount, Mounts};
use super::walk::{Node, components};
use crate::answer::Answer;
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, SFlag};
use postern_abi::calls::{open, split_unnamed};
use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// Permission bits that a new file may have: no set-user-id or set-group-id file is made on the host.
pub(super) const MODE_BITS: u64 = 0o1777;

pub(super) fn mode(bits: u64) -> Mode {
    Mode::from_bits_truncate(u32::try_from(bits & MODE_BITS).unwrap_or(0))
}

/// How far a walk came.
struct Walked {
    node: Arc<Node>,
    /// Its target, if it is a link.
    target: Vec<u8>,
    /// The directory that `node` is in, unless that is the root of the mount.
    parent: Option<Arc<Node>>,
    resolved: usize,
}

impl Mounts {
    /// Answers `Open`; see [`postern_abi::calls::Downcall::Open`]. Errors that come with records are in the answer.
    ///
    /// # Errors
    /// Where nothing could be resolved at all.
    pub fn open(&self, mount: u64, flags: u64, create_mode: u64, path: &[u8]) -> Result<Answer, Errno> {
        if split_unnamed(mount).1 != 0 {
            return self.open_unnamed(mount, flags, path);
        }
        let mount = self.get(mount)?;
        let names = components(path)?;
        let mut answer = Answer::default();
        match self.open_into(&mut answer, mount, flags, create_mode, path, &names) {
            Err(error) if answer.payload.is_empty() => return Err(error),
            Err(error) => answer.error = Some(error),
            Ok(()) => {}
        }
        Ok(answer)
    }

    fn open_into(
        &self,
        answer: &mut Answer,
        mount: &Mount,
        flags: u64,
        create_mode: u64,
        path: &[u8],
        names: &[&OsStr],
    ) -> Result<(), Errno> {
        let walked = self.walk_recording(answer, mount, flags, path, names)?;
        let mut node = walked.node;
        let mut resolved = walked.resolved;
        let creates = flags & open::CREATE != 0;
        let rest = names.get(resolved..).unwrap_or(&[]);
        let handle = match rest {
            [] if flags & open::UNNAMED != 0 => {
                Some(self.make_unnamed(answer, mount, &node, flags, create_mode)?)
            }
            [] if node.is(SFlag::S_IFLNK) && flags & open::NEIGHBOUR != 0 => {
                let handle = match &walked.parent {
                    Some(parent) => self.open_neighbour(answer, mount, flags, path, parent, &walked.target),
                    None => None,
                };
                answer.values[0] = Self::count(resolved);
                answer.values[1] = u64::from(handle.is_some());
                answer.handle = handle;
                return Ok(());
            }
            // A link that is not the last component: the library OS goes on from its target.
            [_, ..] if node.is(SFlag::S_IFLNK) => None,
            [name] if creates => {
                Self::may_write(mount)?;
                match self.create_file(mount, &node, name, flags, create_mode) {
                    Ok((made, handle)) => {
                        answer.values = [Self::count(resolved + 1), 0, 1, 0];
                        resolved += 1;
                        if flags & open::LAST_ONLY != 0 {
                            answer.payload.clear();
                        }
                        answer.push_record(self.attributes(mount, &made.stat), b"")?;
                        handle
                    }
                    // Somebody else made it in between; a caller that minds asks with EXCLUSIVE.
                    Err(Errno::EEXIST) if flags & open::EXCLUSIVE == 0 => {
                        node = Arc::new(self.child(mount, &node, name)?);
                        let target = node.link_target()?;
                        answer.push_record(self.attributes(mount, &node.stat), &target)?;
                        resolved += 1;
                        self.open_existing(answer, mount, &node, flags, path)?
                    }
                    Err(error) => return Err(error),
                }
            }
            [_, ..] => None,
            [] if creates && flags & open::EXCLUSIVE != 0 => return Err(Errno::EEXIST),
            [] => {
                let handle = self.open_existing(answer, mount, &node, flags, path)?;
                if flags & open::WATCH != 0 {
                    answer.values[3] = self.watch_outside(mount, &node, path);
                }
                handle
            }
        };
        answer.values[0] = Self::count(resolved);
        // A file whose mode lets nobody open it can still be created with a handle; one not asked for is dropped.
        if flags & (open::READ | open::WRITE) != 0
            && let Some(handle) = handle
        {
            answer.values[1] = 1;
            answer.handle = Some(handle);
        }
        Ok(())
    }

    fn count(n: usize) -> u64 {
        u64::try_from(n).unwrap_or(u64::MAX)
    }

    /// Walks as far as there are names and no links, with a record of each component.
    fn walk_recording(
        &self,
        answer: &mut Answer,
        mount: &Mount,
        flags: u64,
        path: &[u8],
        names: &[&OsStr],
    ) -> Result<Walked, Errno> {
        let recent = if flags & open::LAST_ONLY != 0 { self.recent.parent(mount, path) } else { None };
        let mut resolved = if recent.is_some() { names.len().saturating_sub(1) } else { 0 };
        let mut node = match recent {
            Some(parent) => parent,
            None => Arc::new(self.root(mount)?),
        };
        if resolved > 0 || names.is_empty() {
            answer.push_record(self.attributes(mount, &node.stat), b"")?;
        }
        answer.values[0] = Self::count(resolved);
        let (mut parent, mut target) = (None, Vec::new());
        for name in names.get(resolved..).unwrap_or(&[]) {
            let next = match self.child(mount, &node, name) {
                Err(Errno::ENOENT) => break,
                Err(error) => return Err(error),
                Ok(next) => Arc::new(next),
            };
            target = next.link_target()?;
            if flags & open::LAST_ONLY != 0 {
                answer.payload.clear();
            }
            answer.push_record(self.attributes(mount, &next.stat), &target)?;
            resolved += 1;
            answer.values[0] = Self::count(resolved);
            parent = Some(std::mem::replace(&mut node, next));
            if node.is(SFlag::S_IFLNK) {
                break;
            }
        }
        if resolved == names.len()
            && let Some(parent) = &parent
        {
            self.recent.note(mount, path, parent);
        }
        Ok(Walked { node, target, parent, resolved })
    }

    /// Adds the record of the name that a link at `path`, in `parent`, leads to, if that is another name of `parent`.
    /// What is wrong with that one will be told when it is asked for itself.
    fn open_neighbour(
        &self,
        answer: &mut Answer,
        mount: &Mount,
        flags: u64,
        path: &[u8],
        parent: &Node,
        target: &[u8],
    ) -> Option<OwnedFd> {
        let &[name] = &components(target).ok()?[..] else { return None };
        let node = self.child(mount, parent, name).ok()?;
        let beside =
            path.iter().rposition(|byte| *byte == b'/').and_then(|at| path.get(..=at)).unwrap_or(&[]);
        let handle =
            self.open_existing(answer, mount, &node, flags & open::READ, &[beside, target].concat()).ok()?;
        answer.push_record(self.attributes(mount, &node.stat), &node.link_target().ok()?).ok()?;
        answer.values[2] = 2;
        handle
    }

    fn create_file(
        &self,
        mount: &Mount,
        parent: &Node,
        name: &OsStr,
        flags: u64,
        create_mode: u64,
    ) -> Result<(Node, Option<OwnedFd>), Errno> {
        self.may_search(mount, parent)?;
        let how = access(flags) | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let handle = openat(parent.fd(), name, how, mode(create_mode))?;
        let made = Node::from_fd(handle.try_clone().map_err(|_| Errno::EMFILE)?)?;
        Ok((made, Some(handle)))
    }

    /// Opens what the walk found, if it is something that is opened at all, and brings its record up to date.
    fn open_existing(
        &self,
        answer: &mut Answer,
        mount: &Mount,
        node: &Node,
        flags: u64,
        path: &[u8],
    ) -> Result<Option<OwnedFd>, Errno> {
        let writes = flags & (open::WRITE | open::TRUNCATE) != 0;
        let reads = flags & open::READ != 0;
        match node.kind() {
            SFlag::S_IFDIR if writes => return Err(Errno::EISDIR),
            SFlag::S_IFDIR if reads => return self.may_read(mount, node, path).map(|()| None),
            SFlag::S_IFREG => {}
            SFlag::S_IFCHR | SFlag::S_IFBLK if reads || writes => return Err(Errno::EACCES),
            // FIFOs and sockets are the library OS's own; links it follows itself.
            _ => return Ok(None),
        }
        if writes {
            Self::may_write(mount)?;
        }
        if reads {
            self.may_read(mount, node, path)?;
        }
        if !reads && !writes {
            return Ok(None);
        }
        let truncate = if flags & open::TRUNCATE != 0 { OFlag::O_TRUNC } else { OFlag::empty() };
        let handle = node.reopen(access(flags) | truncate)?;
        if flags & open::TRUNCATE != 0 {
            // The record of the last component is the last in the payload and has no name after it.
            let record = postern_abi::message::record_len(0);
            answer.payload.truncate(answer.payload.len().saturating_sub(record));
            let stat = nix::sys::stat::fstat(&handle)?;
            answer.push_record(self.attributes(mount, &stat), b"")?;
        }
        Ok(Some(handle))
    }
}

/// The host's access mode for the one asked for. Truncating needs write access.
pub(super) fn access(flags: u64) -> OFlag {
    let writes = flags & (open::WRITE | open::TRUNCATE) != 0;
    match (flags & open::READ != 0, writes) {
        (true, true) => OFlag::O_RDWR,
        (false, true) => OFlag::O_WRONLY,
        _ => OFlag::O_RDONLY,
    }
}

impl Mounts {
    /// Opens a file by the app's path, as far as the app may read it and its path leads through no link below the
    /// mount.
    ///
    /// # Errors
    /// `ENOENT` outside all mounts; those of `Open`.
    pub fn open_for_reading(&self, path: &std::path::Path) -> Result<OwnedFd, Errno> {
        use std::os::unix::ffi::OsStrExt as _;
        let (mount, rest) = self.find(path).ok_or(Errno::ENOENT)?;
        let rest = rest.as_os_str().as_bytes();
        let node = self.walk(mount, rest)?;
        if !node.is(SFlag::S_IFREG) {
            return Err(Errno::EINVAL);
        }
        self.may_read(mount, &node, rest)?;
        node.reopen(OFlag::O_RDONLY)
    }
}
