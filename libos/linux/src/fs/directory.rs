//! Open directories, and files opened with `O_PATH`: the same for all file systems.

use super::dentry::Dentry;
use super::file::{DirEntry, FileOps, Whence, mode};
use super::inode::Listed;
use super::{Metadata, OpenFile};
use crate::io::{Sink, Source};
use crate::task::Thread;
use crate::{Errno, Mutex, Result};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;

/// An open directory. It lists what was there when it was read from the beginning, as POSIX allows.
pub struct DirectoryFile {
    dentry: Arc<Dentry>,
    names: Mutex<Option<Arc<Vec<Listed>>>>,
}

impl DirectoryFile {
    /// Opens a directory.
    #[must_use]
    pub fn open(dentry: &Arc<Dentry>, status: u32) -> Arc<OpenFile> {
        let ops = Arc::new(Self { dentry: dentry.clone(), names: Mutex::new(None) });
        OpenFile::at(ops, status, dentry.clone())
    }

    fn names(&self, again: bool) -> Result<Arc<Vec<Listed>>> {
        if !again && let Some(names) = &*self.names.lock() {
            return Ok(names.clone());
        }
        let mut names = self.dentry.inode.list(&self.dentry)?;
        for mounted in self.dentry.mounts_here() {
            let name = mounted.name();
            if !names.iter().any(|l| l.name == name) {
                let meta = mounted.inode.metadata()?;
                names.push(Listed { name, ino: meta.ino, mode: meta.mode });
            }
        }
        let names = Arc::new(names);
        *self.names.lock() = Some(names.clone());
        Ok(names)
    }
}

impl FileOps for DirectoryFile {
    fn read(&self, _: &Thread, _: &OpenFile, _: &mut Sink<'_>, _: Option<u64>) -> Result<usize> {
        Err(Errno::EISDIR)
    }

    fn is_seekable(&self) -> bool {
        true
    }

    fn seek(&self, _: &OpenFile, position: u64, whence: Whence) -> Result<u64> {
        match whence {
            Whence::End => Ok(i64::MAX.unsigned_abs()),
            Whence::Set | Whence::Current => Ok(position),
            Whence::Data | Whence::Hole => Err(Errno::EINVAL),
        }
    }

    fn metadata(&self) -> Result<Metadata> {
        self.dentry.inode.metadata()
    }

    fn sync(&self, data_only: bool) -> Result<()> {
        self.dentry.inode.flush(data_only)
    }

    fn read_dir(&self, position: u64, emit: &mut dyn FnMut(&DirEntry<'_>) -> bool) -> Result<u64> {
        if self.dentry.is_deleted() {
            return Err(Errno::ENOENT);
        }
        let names = self.names(position == 0)?;
        let mut at = position;
        if at < 2 {
            let own = self.dentry.inode.metadata()?.ino;
            let parent = self.dentry.parent().map_or(Ok(own), |p| p.inode.metadata().map(|m| m.ino))?;
            for (name, ino) in [(&b"."[..], own), (&b".."[..], parent)].iter().skip(usize::from(at == 1)) {
                if !emit(&DirEntry { ino: *ino, next: at + 1, mode: mode::S_IFDIR, name }) {
                    return Ok(at);
                }
                at += 1;
            }
        }
        let first = usize::try_from(at - 2).unwrap_or(usize::MAX);
        for listed in names.iter().skip(first) {
            let entry = DirEntry { ino: listed.ino, next: at + 1, mode: listed.mode, name: &listed.name };
            if !emit(&entry) {
                break;
            }
            at += 1;
        }
        Ok(at)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// A file opened with `O_PATH`: it only says where it is.
pub struct PathFile(pub Arc<Dentry>);

impl FileOps for PathFile {
    fn read(&self, _: &Thread, _: &OpenFile, _: &mut Sink<'_>, _: Option<u64>) -> Result<usize> {
        Err(Errno::EBADF)
    }

    fn write(&self, _: &Thread, _: &OpenFile, _: &mut Source<'_>, _: Option<u64>) -> Result<usize> {
        Err(Errno::EBADF)
    }

    fn metadata(&self) -> Result<Metadata> {
        self.0.inode.metadata()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
