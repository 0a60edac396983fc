//! memfd_create(2). Each is a memory file of the host's own, so that it can leave the family as a pool of pixels.
//! Seals are kept and enforced here, for the app's view; whoever gets the file outside checks for itself.

use super::dentry::Dentry;
use super::extended::{Request, Store};
use super::file::{FileOps, OpenFile, Whence, flags, mode};
use super::inode::{Change, Inode, Statistics};
use super::mount::{Cache, Mount};
use super::{Mapping, Metadata, seek_by_size, stream, time_of_day};
use crate::call::Call;
use crate::io::{Sink, Source};
use crate::task::{Thread, process};
use crate::{Errno, Mutex, Once, Result, ipc};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use postern_abi::calls::Downcall;
use postern_pal::gate;
use postern_pal::handle::Handle;

/// Seals (fcntl(2)).
#[expect(missing_docs, reason = "the names are fcntl's own")]
pub mod seal {
    pub const SEAL: u32 = 1;
    pub const SHRINK: u32 = 2;
    pub const GROW: u32 = 4;
    pub const WRITE: u32 = 8;
    pub const FUTURE_WRITE: u32 = 16;
    pub const EXEC: u32 = 32;
    pub const ALL: u32 = 63;
}

const MFD_CLOEXEC: u32 = 1;
const MFD_ALLOW_SEALING: u32 = 2;
const MFD_HUGETLB: u32 = 4;
const MFD_NOEXEC_SEAL: u32 = 8;
const MFD_EXEC: u32 = 16;
const PUNCH_HOLE: u32 = 2;
const KEEP_SIZE: u32 = 1;

struct State {
    size: u64,
    /// Bytes of the host's file. More than `size` after it was cut short while it was a pool of pixels outside: the
    /// bridge seals those against shrinking. What is beyond `size` is zero.
    reserved: u64,
    /// It is a pool of pixels, and the bridge may already count on its size.
    is_pool: bool,
    seals: u32,
    mode: u32,
    owner: [u32; 2],
    atime: [i64; 2],
    mtime: [i64; 2],
    ctime: [i64; 2],
    extended: Store,
}

/// A memory file.
pub struct MemoryFile {
    handle: Arc<Handle>,
    ino: u64,
    dev: u64,
    state: Mutex<State>,
    append: Mutex<()>,
}

/// The mount that memory files belong to; it is nowhere in the namespace.
fn mount() -> Arc<Mount> {
    static MOUNT: Once<Arc<Mount>> = Once::new();
    if let Some(mount) = MOUNT.get() {
        return mount.clone();
    }
    let _ = MOUNT.set(Mount::new("tmpfs", false, Cache::Never));
    MOUNT.get().cloned().unwrap_or_else(|| Mount::new("tmpfs", false, Cache::Never))
}

/// The handle and size of an open memory file, for the display server: a pool from now on, which never becomes smaller on
/// the host.
#[must_use]
pub fn pool(file: &OpenFile) -> Option<(Arc<Handle>, u64)> {
    let memory = file.ops.as_any().downcast_ref::<MemoryFile>()?;
    let mut state = memory.state.lock();
    state.is_pool = true;
    Some((memory.handle.clone(), state.size))
}

impl MemoryFile {
    fn write_at(&self, source: &mut Source<'_>, at: u64) -> Result<usize> {
        let mut limit = source.left();
        if limit == 0 {
            return Ok(0);
        }
        {
            let state = self.state.lock();
            if state.seals & (seal::WRITE | seal::FUTURE_WRITE) != 0 {
                return Err(Errno::EPERM);
            }
            if state.seals & seal::GROW != 0 {
                let room = state.size.saturating_sub(at);
                if room == 0 && limit > 0 {
                    return Err(Errno::EPERM);
                }
                limit = limit.min(usize::try_from(room).unwrap_or(usize::MAX));
            }
        }
        let count = stream::write_at(&self.handle, source, at, limit)?;
        let now = time_of_day();
        let mut state = self.state.lock();
        let end = at.saturating_add(count as u64);
        state.size = state.size.max(end);
        state.reserved = state.reserved.max(end);
        state.mtime = now;
        state.ctime = now;
        Ok(count)
    }

    /// Sets the length, also where the host's file must not shrink any more: then it only reads as if it were shorter.
    fn set_length(&self, state: &mut State, len: u64) -> Result<()> {
        const ZERO: u32 = PUNCH_HOLE | KEEP_SIZE;
        if len >= state.reserved || len < state.size {
            let resized = if len < state.reserved && state.is_pool {
                Err(Errno::EPERM)
            } else {
                self.handle.resize(len)
            };
            match resized {
                Ok(()) => state.reserved = len,
                Err(Errno::EPERM) if len < state.reserved => {
                    self.handle.allocate(ZERO, len, state.reserved - len)?;
                }
                Err(error) => return Err(error),
            }
        } else if len > state.size {
            // A mapping may have been written through meanwhile.
            self.handle.allocate(ZERO, state.size, len - state.size)?;
        }
        state.size = len;
        Ok(())
    }

    /// The seals, for F_GET_SEALS.
    #[must_use]
    pub fn seals(&self) -> u32 {
        self.state.lock().seals
    }

    /// F_ADD_SEALS.
    ///
    /// # Errors
    /// `EPERM` once sealed against sealing or if not writable; `EINVAL`; `EBUSY` while it is mapped for writing.
    pub fn add_seals(&self, seals: u32) -> Result<()> {
        if seals & !seal::ALL != 0 {
            return Err(Errno::EINVAL);
        }
        let mut mapped = false;
        if seals & seal::WRITE != 0 {
            for process in process::all() {
                process.space().for_each(&mut |area| {
                    // It could become writable by mprotect.
                    let same =
                        |f: &Arc<OpenFile>| core::ptr::eq(f.ops.as_any(), self.as_any()) && f.is_writable();
                    mapped |= area.shared && area.file.as_ref().is_some_and(same);
                });
            }
        }
        let mut state = self.state.lock();
        if state.seals & seal::SEAL != 0 {
            return Err(Errno::EPERM);
        }
        if mapped && state.seals & seal::WRITE == 0 {
            return Err(Errno::EBUSY);
        }
        // Nobody may change what is sealed to be run as it is.
        let runs = seals & seal::EXEC != 0 && state.mode & 0o111 != 0;
        state.seals |=
            seals | if runs { seal::SHRINK | seal::GROW | seal::WRITE | seal::FUTURE_WRITE } else { 0 };
        Ok(())
    }
}

impl FileOps for MemoryFile {
    fn read(&self, _: &Thread, _: &OpenFile, sink: &mut Sink<'_>, offset: Option<u64>) -> Result<usize> {
        let at = offset.unwrap_or(0);
        let left = self.state.lock().size.saturating_sub(at);
        stream::read_at(&self.handle, sink, at, usize::try_from(left).unwrap_or(usize::MAX))
    }

    fn write(&self, _: &Thread, _: &OpenFile, source: &mut Source<'_>, offset: Option<u64>) -> Result<usize> {
        match offset {
            Some(u64::MAX) => {
                let _one_at_a_time = self.append.lock();
                let end = self.state.lock().size;
                self.write_at(source, end)
            }
            offset => self.write_at(source, offset.unwrap_or(0)),
        }
    }

    fn is_seekable(&self) -> bool {
        true
    }

    fn seek(&self, _: &OpenFile, position: u64, whence: Whence) -> Result<u64> {
        seek_by_size(self.state.lock().size, position, whence)
    }

    fn metadata(&self) -> Result<Metadata> {
        Inode::metadata(self)
    }

    fn size(&self) -> Result<u64> {
        Ok(self.state.lock().size)
    }

    fn mapping(&self) -> Result<Mapping> {
        Ok(Mapping::Handle(self.handle.clone()))
    }

    fn check_mapping(&self, shared: bool, writable: bool) -> Result<()> {
        let sealed = self.state.lock().seals & (seal::WRITE | seal::FUTURE_WRITE) != 0;
        if sealed && shared && writable { Err(Errno::EPERM) } else { Ok(()) }
    }

    fn truncate(&self, len: u64) -> Result<()> {
        let mut state = self.state.lock();
        if (len < state.size && state.seals & seal::SHRINK != 0)
            || (len > state.size && state.seals & seal::GROW != 0)
        {
            return Err(Errno::EPERM);
        }
        self.set_length(&mut state, len)?;
        state.mtime = time_of_day();
        Ok(())
    }

    fn allocate(&self, mode: u32, offset: u64, len: u64) -> Result<()> {
        let end = offset.checked_add(len).ok_or(Errno::EFBIG)?;
        if !matches!(mode, 0 | KEEP_SIZE) && mode != PUNCH_HOLE | KEEP_SIZE {
            return Err(Errno::EOPNOTSUPP);
        }
        let (seals, size) = {
            let state = self.state.lock();
            (state.seals, state.size)
        };
        if mode & PUNCH_HOLE != 0 {
            if seals & (seal::WRITE | seal::FUTURE_WRITE) != 0 {
                return Err(Errno::EPERM);
            }
            return self.handle.allocate(mode, offset, len);
        }
        if seals & seal::GROW != 0 && end > size {
            return Err(Errno::EPERM);
        }
        // Only the length counts: committing memory that may never be touched helps nobody.
        if mode == 0 && end > size {
            self.set_length(&mut self.state.lock(), end)?;
        }
        Ok(())
    }

    fn sync(&self, _: bool) -> Result<()> {
        Ok(())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Inode for MemoryFile {
    fn mode(&self) -> u32 {
        self.state.lock().mode
    }

    fn owner(&self) -> [u32; 2] {
        self.state.lock().owner
    }

    fn metadata(&self) -> Result<Metadata> {
        let state = self.state.lock();
        let [uid, gid] = state.owner;
        Ok(Metadata {
            dev: self.dev,
            ino: self.ino,
            mode: state.mode,
            nlink: 0,
            uid,
            gid,
            rdev: 0,
            size: state.size,
            blksize: 4096,
            blocks: state.size.div_ceil(4096) * 8,
            atime: state.atime,
            mtime: state.mtime,
            ctime: state.ctime,
            btime: state.ctime,
        })
    }

    fn set_attributes(&self, _: &Arc<Dentry>, change: &Change) -> Result<()> {
        if let Some(size) = change.size {
            self.truncate(size)?;
        }
        let mut state = self.state.lock();
        if let Some(bits) = change.mode {
            state.mode = mode::S_IFREG | (bits & 0o7777);
        }
        let [uid, gid] = state.owner;
        state.owner = [change.uid.unwrap_or(uid), change.gid.unwrap_or(gid)];
        state.atime = change.atime.unwrap_or(state.atime);
        state.mtime = change.mtime.unwrap_or(state.mtime);
        Ok(())
    }

    fn keeps_extended(&self) -> bool {
        true
    }

    fn extended(&self, _: &Arc<Dentry>, request: Request<'_>) -> Result<Vec<u8>> {
        let mut state = self.state.lock();
        let answer = state.extended.answer(request)?;
        if request.is_change() {
            state.ctime = time_of_day();
        }
        Ok(answer)
    }

    fn open(self: Arc<Self>, _: &Thread, dentry: &Arc<Dentry>, status: u32) -> Result<Arc<OpenFile>> {
        Ok(OpenFile::at(self, status, dentry.clone()))
    }

    fn statistics(&self) -> Result<Statistics> {
        let big = 1 << 24;
        Ok(Statistics {
            magic: 0x0102_1994,
            block_size: 4096,
            blocks: big,
            blocks_free: big,
            files: big,
            files_free: big,
        })
    }
}

/// memfd_create(2).
///
/// # Errors
/// As the manual page says; huge pages are not there (`EINVAL`).
pub fn memfd_create(call: &mut Call<'_>) -> Result<u64> {
    let wanted = call.uint(1);
    let known = MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL | MFD_EXEC;
    if wanted & MFD_HUGETLB != 0
        || wanted & !known != 0
        || wanted & (MFD_NOEXEC_SEAL | MFD_EXEC) == known & 24
    {
        return Err(Errno::EINVAL);
    }
    let mut name = b"/memfd:".to_vec();
    let given = call.path(0).map_err(|e| if e == Errno::ENAMETOOLONG { Errno::EINVAL } else { e })?;
    if given.len() > 249 {
        return Err(Errno::EINVAL);
    }
    name.extend_from_slice(&given);
    let handle = gate::call(Downcall::MemoryCreate, [0; 6], &[])?.handle.ok_or(Errno::ENOMEM)?;
    let owner = {
        let identity = call.process().identity.lock();
        [identity.fsuid, identity.fsgid]
    };
    let sealable = wanted & (MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL) != 0;
    let no_exec = wanted & MFD_NOEXEC_SEAL != 0;
    let now = time_of_day();
    let mount = mount();
    let file = Arc::new(MemoryFile {
        handle: Arc::new(handle),
        ino: ipc::next_inode(),
        dev: mount.dev,
        state: Mutex::new(State {
            size: 0,
            reserved: 0,
            is_pool: false,
            seals: if !sealable {
                seal::SEAL
            } else if no_exec {
                seal::EXEC
            } else {
                0
            },
            mode: mode::S_IFREG | if no_exec { 0o666 } else { 0o777 },
            owner,
            atime: now,
            mtime: now,
            ctime: now,
            extended: Store::default(),
        }),
        append: Mutex::new(()),
    });
    let dentry = Dentry::unattached(mount, file.clone(), &name);
    let open = OpenFile::at(file, flags::O_RDWR | flags::O_LARGEFILE, dentry);
    let fd = call.process().add_file(open, wanted & MFD_CLOEXEC != 0)?;
    u64::try_from(fd).map_err(|_| Errno::EMFILE)
}
