//! Files without a name (`O_TMPFILE`). The monitor keeps a descriptor of each, so that the library OS can ask about it
//! and give it a name: as long as it says so, or until the family ends. The file goes with its last descriptor, so that
//! nothing of it stays on the disk, however the family and the monitor end.

use super::mounts::{Mount, Mounts};
use super::open::{access, mode};
use super::walk::Node;
use crate::account::lock;
use crate::answer::Answer;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, openat};
use nix::unistd::linkat;
use postern_abi::calls::{open, split_unnamed};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Mutex;

/// Most unnamed files that are kept for a family. The monitor's descriptors are all it costs.
const MAX_UNNAMED: usize = 256;

/// The unnamed files of a family.
#[derive(Debug, Default)]
pub(super) struct Unnamed(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    /// By number: the mount they belong to, and the file.
    files: HashMap<u64, (u32, OwnedFd)>,
    last: u64,
}

impl Unnamed {
    /// Keeps a file. `None` where there are too many.
    fn keep(&self, mount: u32, file: OwnedFd) -> Option<u64> {
        let mut table = lock(&self.0);
        if table.files.len() >= MAX_UNNAMED {
            return None;
        }
        // Numbers are not used twice; after the last there are no more.
        let number = table.last.checked_add(1).filter(|number| *number <= u64::from(u32::MAX))?;
        table.last = number;
        table.files.insert(number, (mount, file));
        Some(number)
    }

    fn get(&self, mount: u32, number: u64) -> Result<OwnedFd, Errno> {
        let table = lock(&self.0);
        let (of, file) = table.files.get(&number).ok_or(Errno::ENOENT)?;
        if *of != mount {
            return Err(Errno::ENOENT);
        }
        file.try_clone().map_err(|_| Errno::EMFILE)
    }

    fn release(&self, mount: u32, number: u64) -> Result<(), Errno> {
        let mut table = lock(&self.0);
        match table.files.get(&number) {
            Some((of, _)) if *of == mount => {}
            _ => return Err(Errno::ENOENT),
        }
        let released = table.files.remove(&number);
        drop(table);
        drop(released);
        Ok(())
    }
}

impl Mounts {
    /// The mount that `id` names, and the file: what `path` leads to, or an unnamed file.
    pub(super) fn locate(&self, id: u64, path: &[u8]) -> Result<(&Mount, Node), Errno> {
        match split_unnamed(id) {
            (mount, 0) => {
                let mount = self.get(mount)?;
                Ok((mount, self.walk(mount, path)?))
            }
            (mount, number) => {
                let mount = self.get(mount)?;
                if !path.is_empty() {
                    return Err(Errno::EINVAL);
                }
                Ok((mount, Node::from_fd(self.unnamed.get(mount.id, number)?)?))
            }
        }
    }

    /// Makes an unnamed file in `directory`; with the reply come its record, its number and a handle.
    pub(super) fn make_unnamed(
        &self,
        answer: &mut Answer,
        mount: &Mount,
        directory: &Node,
        flags: u64,
        create_mode: u64,
    ) -> Result<OwnedFd, Errno> {
        self.may_search(mount, directory)?;
        Self::may_write(mount)?;
        let is_exclusive = flags & open::EXCLUSIVE != 0;
        let exclusive = if is_exclusive { OFlag::O_EXCL } else { OFlag::empty() };
        let how = access(flags | open::WRITE) | OFlag::O_TMPFILE | OFlag::O_CLOEXEC | exclusive;
        let handle = openat(directory.fd(), ".", how, mode(create_mode))?;
        let file = Node::from_fd(handle.try_clone().map_err(|_| Errno::EMFILE)?)?;
        let record = self.attributes(mount, &file.stat);
        let number = match self.unnamed.keep(mount.id, file.into_fd()) {
            Some(number) => number,
            // It can never get a name: all that matters of it comes with the handle.
            None if is_exclusive => 0,
            None => return Err(Errno::ENFILE),
        };
        answer.payload.clear();
        answer.push_record(record, b"")?;
        answer.values = [answer.values[0], 0, 1, number];
        Ok(handle)
    }

    /// Answers `Open` of an unnamed file.
    pub(super) fn open_unnamed(&self, id: u64, flags: u64, path: &[u8]) -> Result<Answer, Errno> {
        let (mount, file) = self.locate(id, path)?;
        if flags & !(open::READ | open::WRITE | open::TRUNCATE | open::LAST_ONLY) != 0 {
            return Err(Errno::EINVAL);
        }
        let mut answer = Answer::default();
        if flags & (open::READ | open::WRITE | open::TRUNCATE) != 0 {
            let truncate = if flags & open::TRUNCATE != 0 { OFlag::O_TRUNC } else { OFlag::empty() };
            answer.handle = Some(file.reopen(access(flags) | truncate)?);
            answer.values[1] = 1;
        }
        let stat = nix::sys::stat::fstat(file.fd())?;
        answer.push_record(self.attributes(mount, &stat), b"")?;
        Ok(answer)
    }

    /// Gives an unnamed file its first name. It is a file like any other from then on.
    pub(super) fn name_unnamed(&self, id: u64, parent: &Node, name: &OsStr) -> Result<(), Errno> {
        let (mount, file) = self.locate(id, b"")?;
        // Through /proc: to do it by the descriptor alone would take a privilege.
        linkat(AT_FDCWD, &file.proc_path(), parent.fd().as_fd(), name, AtFlags::AT_SYMLINK_FOLLOW)?;
        self.let_go(mount, id);
        Ok(())
    }

    /// Lets go of an unnamed file.
    pub(super) fn release_unnamed(&self, id: u64) -> Result<(), Errno> {
        let (mount, number) = split_unnamed(id);
        self.unnamed.release(self.get(mount)?.id, number)
    }

    fn let_go(&self, mount: &Mount, id: u64) {
        // Somebody else may have let go of it meanwhile.
        let _ = self.unnamed.release(mount.id, split_unnamed(id).1);
    }
}
