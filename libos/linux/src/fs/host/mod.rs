//! Files of the host, through the monitor's file service (see [`postern_abi::calls`]). Names and attributes are
//! asked for by messages and cached; content is read, written and mapped directly through handles.
//!
//! [`extended`] does extended attributes, [`inode`] caches attributes, [`names`] does directories, [`listing`] keeps
//! whole ones, [`data`] content, [`handles`] keeps handles open, [`unnamed`] does files without a name,
//! [`outside`] has the monitor watch what others change.

mod data;
mod extended;
mod handles;
mod inode;
mod listing;
mod names;
mod outside;
mod unnamed;

pub use inode::HostInode;

use super::OpenFile;
use super::dentry::Dentry;
use super::file::flags;
use super::inode::Statistics;
use super::mount::{Cache, Mount};
use crate::{Errno, Mutex, Result};
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::any::Any;
use hashbrown::HashMap;
use postern_abi::boot;
use postern_abi::calls::{Downcall, open};
use postern_abi::message::{Attributes, split_record};
use postern_pal::handle::Handle;
use postern_pal::{clock, gate};

/// How long names and attributes are believed where others may change them, in nanoseconds.
const FRESH: u64 = 50_000_000;

/// What [`Downcall::Flush`] takes for everything on the file system.
const FLUSH_ALL: u64 = 2;

/// A mount of the monitor.
pub struct HostMount {
    id: u64,
    dev: u64,
    read_only: bool,
    /// Nobody but this family changes it.
    exclusive: bool,
    inodes: Mutex<HashMap<u64, Weak<HostInode>>>,
    /// What was told of a file system that the app does not write, and when (monotonic nanoseconds).
    told: Mutex<Option<(u64, Statistics)>>,
}

/// How the monitor is asked for one file: the mount, or an unnamed file of it, and the path.
pub(super) struct Address {
    id: u64,
    path: Vec<u8>,
}

/// What an `Open` message found: attributes of the components that exist, in order, with link targets.
struct Resolved {
    records: Vec<(Attributes, Vec<u8>)>,
    /// How many components were resolved.
    count: usize,
    created: bool,
    /// The last record is that of a neighbour ([`open::NEIGHBOUR`]).
    neighbour: bool,
    /// Number of a new unnamed file.
    number: u64,
    handle: Option<Handle>,
    error: Option<Errno>,
}

/// The mount that a record of the start-up block describes, and the inode of its root.
///
/// # Errors
/// The monitor's, if the root cannot be asked for.
pub fn mount(record: &boot::Mount) -> Result<(Arc<Mount>, Arc<HostInode>)> {
    let read_only = record.flags & boot::mount::READ_ONLY != 0;
    let exclusive = record.flags & boot::mount::EXCLUSIVE != 0;
    let cache = if exclusive { Cache::Forever } else { Cache::For(FRESH) };
    let mount = Mount::new("ext4", read_only, cache);
    let host = Arc::new(HostMount {
        id: u64::from(record.id),
        dev: mount.dev,
        read_only,
        exclusive,
        inodes: Mutex::new(HashMap::new()),
        told: Mutex::new(None),
    });
    let mut resolved = host.resolve(b"", 0, 0)?;
    let (attributes, target) = resolved.records.pop().ok_or(Errno::ENOENT)?;
    let root = host.intern(&attributes, target);
    Ok((mount, root))
}

/// Gets a handle for reading a regular file of the host, for the one who will open it.
///
/// # Errors
/// The monitor's.
pub fn open_ahead(dentry: &Arc<Dentry>) -> Result<()> {
    let inode: Arc<dyn Any + Send + Sync> = dentry.inode.clone();
    match inode.downcast::<HostInode>() {
        Ok(inode) if inode::is_regular(&inode) => inode.get_handle(dentry, flags::O_RDONLY),
        _ => Ok(()),
    }
}

/// Device and inode of a file of the host, without asking anybody.
#[must_use]
pub fn identity(file: &OpenFile) -> Option<(u64, u64)> {
    file.ops.as_any().downcast_ref::<HostInode>().map(|inode| (inode.mount.dev, inode.ino))
}

impl HostMount {
    /// Facts about the file system. They are believed for a moment where the app writes nothing that would change them:
    /// libraries ask before each file what it is on.
    fn statistics(&self) -> Result<Statistics> {
        const EXT4: i64 = 0xef53;
        let now = clock::now();
        let told = *self.told.lock();
        if let Some((at, statistics)) = told
            && now.saturating_sub(at) < FRESH
        {
            return Ok(statistics);
        }
        let answer = gate::call(Downcall::FileSystem, [self.id, 0, 0, 0, 0, 0], &[])?;
        let [block_size, blocks, blocks_free, files_free] = answer.values;
        let statistics =
            Statistics { magic: EXT4, block_size, blocks, blocks_free, files: files_free, files_free };
        if self.read_only {
            *self.told.lock() = Some((now, statistics));
        }
        Ok(statistics)
    }

    /// Sends an `Open` message.
    fn resolve(&self, path: &[u8], flags: u64, mode: u32) -> Result<Resolved> {
        self.resolve_at(self.id, path, flags, mode)
    }

    /// As [`HostMount::resolve`], of what `id` says: this mount, or an unnamed file of it.
    fn resolve_at(&self, id: u64, path: &[u8], flags: u64, mode: u32) -> Result<Resolved> {
        let args = [id, flags, u64::from(mode), 0, 0, 0];
        let answer = gate::call_raw(Downcall::Open, args, &[path])?;
        let mut records = Vec::new();
        let mut rest = answer.payload.as_slice();
        while let Some((record, after)) = split_record(rest) {
            records.push((record.attributes, record.name.to_vec()));
            rest = after;
        }
        let [count, _, created, number] = answer.values;
        Ok(Resolved {
            records,
            count: usize::try_from(count).unwrap_or(0),
            created: created == 1,
            neighbour: created == 2,
            number,
            handle: answer.handle,
            error: answer.error,
        })
    }

    /// Asks for one file: its record, and a handle if `flags` want one.
    fn resolve_last(&self, address: &Address, flags: u64) -> Result<(Attributes, Option<Handle>)> {
        let Address { id, path } = address;
        let wanted = if path.is_empty() { 0 } else { path.split(|b| *b == b'/').count() };
        let mut resolved = self.resolve_at(*id, path, flags | open::LAST_ONLY, 0)?;
        if let Some(error) = resolved.error {
            return Err(error);
        }
        if resolved.count < wanted {
            return Err(Errno::ENOENT);
        }
        let (attributes, _) = resolved.records.pop().ok_or(Errno::EIO)?;
        Ok((attributes, resolved.handle))
    }

    /// The inode of a record; its attributes become those of the record.
    fn intern(self: &Arc<Self>, attributes: &Attributes, target: Vec<u8>) -> Arc<HostInode> {
        let mut inodes = self.inodes.lock();
        if let Some(inode) = inodes.get(&attributes.ino).and_then(Weak::upgrade)
            && inode.is_kind(attributes.mode)
        {
            drop(inodes);
            inode.refresh(attributes);
            inode.learn_target(target);
            return inode;
        }
        let inode = HostInode::new(self, attributes, target);
        inodes.insert(attributes.ino, Arc::downgrade(&inode));
        inode
    }

    /// Sends a `Flush` message.
    fn flush(&self, what: u64, address: &Address) -> Result<()> {
        gate::call(Downcall::Flush, [address.id, what, 0, 0, 0, 0], &[&address.path]).map(|_| ())
    }

    fn forget_inode(&self, ino: u64) {
        let mut inodes = self.inodes.lock();
        if inodes.get(&ino).is_some_and(|weak| weak.strong_count() == 0) {
            inodes.remove(&ino);
        }
    }
}
