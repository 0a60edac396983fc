//! Shared memory segments: shmget(2), shmat(2). A segment is a file slot; attaching maps it. A segment that was removed
//! lives as long as it is attached somewhere, by the references that the memory maps hold.

use super::{Object, Permissions, READ, Table, WRITE, answer, command, now, usable};
use crate::call::Call;
use crate::fs::file::flags;
use crate::fs::{FileOps, Mapping, Metadata, OpenFile};
use crate::ipc;
use crate::mm::space::{Kind, PAGE, page_up};
use crate::{Errno, Mutex, Result};
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::any::Any;
use postern_pal::mem::{Slot, bits};
use postern_pal::user;

/// Device number that /proc/PID/maps shows for segments.
const DEVICE: u64 = 1;
/// Bits of shmat's flags.
const READ_ONLY: u32 = 0o10000;
const ROUND: u32 = 0o20000;
const REMAP: u32 = 0o40000;
const EXECUTE: u32 = 0o100_000;
/// The mode of a segment that is to go with its last attachment.
const DESTROYED: u32 = 0o1000;

/// The memory of a segment, as a file that can be mapped.
struct Memory {
    slot: Arc<Slot>,
    ino: u64,
    size: u64,
}

impl FileOps for Memory {
    fn metadata(&self) -> Result<Metadata> {
        let mut meta = ipc::anonymous_metadata(DEVICE, self.ino, 0o100_600, [0, 0], [0, 0]);
        meta.size = self.size;
        Ok(meta)
    }

    fn mapping(&self) -> Result<Mapping> {
        Ok(Mapping::Slot(self.slot.clone()))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

struct State {
    /// `None` once it is removed: then only attachments keep it.
    kept: Option<Arc<OpenFile>>,
    attached: i64,
    detached: i64,
    last: u32,
}

/// A segment.
struct Segment {
    permissions: Mutex<Permissions>,
    size: u64,
    file: Weak<OpenFile>,
    creator: u32,
    state: Mutex<State>,
}

impl Object for Segment {
    fn permissions(&self) -> &Mutex<Permissions> {
        &self.permissions
    }
}

static SEGMENTS: Mutex<Table<Segment>> = Mutex::new(Table::new());

fn make(permissions: Permissions, creator: u32, size: u64) -> Result<Segment> {
    let memory = Memory { slot: Arc::new(Slot::new()?), ino: ipc::next_inode(), size };
    let file = OpenFile::new(Arc::new(memory), flags::O_RDWR);
    let weak = Arc::downgrade(&file);
    let state = State { kept: Some(file), attached: 0, detached: 0, last: 0 };
    Ok(Segment { permissions: Mutex::new(permissions), size, file: weak, creator, state: Mutex::new(state) })
}

/// shmget(2).
///
/// # Errors
/// As the manual page says.
pub fn shmget(call: &mut Call<'_>) -> Result<u64> {
    let (key, size, asked) = (call.int(0), call.raw(1), call.uint(2));
    let process = call.process();
    let fits = |old: &Segment| if size > old.size { Err(Errno::EINVAL) } else { Ok(()) };
    let id = SEGMENTS.lock().get(process, key, asked, fits, |permissions| {
        // More than a slot holds would never be mapped.
        if size == 0 || size > postern_abi::layout::SLOT_SIZE - PAGE as u64 {
            return Err(Errno::EINVAL);
        }
        make(permissions, process.pid, size)
    })?;
    answer(id)
}

/// The file of a segment, if it is there still.
fn file(segment: &Segment) -> Result<Arc<OpenFile>> {
    segment.file.upgrade().ok_or(Errno::EINVAL)
}

/// shmat(2).
///
/// # Errors
/// As the manual page says.
pub fn shmat(call: &mut Call<'_>) -> Result<u64> {
    let (addr, asked) = (call.word(1), call.uint(2));
    let wanted = if asked & READ_ONLY != 0 { READ } else { READ | WRITE };
    let segment = usable(call, &SEGMENTS, wanted)?;
    let file = file(&segment)?;
    let addr = if asked & ROUND != 0 { addr & !(PAGE - 1) } else { addr };
    if addr % PAGE != 0 || (addr == 0 && asked & REMAP != 0) {
        return Err(Errno::EINVAL);
    }
    let mut prot = bits::PROT_READ;
    prot |= if asked & READ_ONLY == 0 { bits::PROT_WRITE } else { 0 };
    prot |= if asked & EXECUTE != 0 { bits::PROT_EXEC } else { 0 };
    let placed = match (addr, asked & REMAP) {
        (0, _) => 0,
        (_, 0) => bits::MAP_FIXED_NOREPLACE,
        _ => bits::MAP_FIXED,
    };
    let len = usize::try_from(segment.size).ok().and_then(page_up).ok_or(Errno::ENOMEM)?;
    let space = call.process().space();
    let at = space
        .map(addr, len, prot, bits::MAP_SHARED | placed, Some((file, 0)), Kind::Plain)
        .map_err(|errno| if errno == Errno::EEXIST { Errno::EINVAL } else { errno })?;
    let mut state = segment.state.lock();
    state.attached = now();
    state.last = call.process().pid;
    crate::call::done(at)
}

/// shmdt(2).
///
/// # Errors
/// `EINVAL` if no segment is attached at the address.
pub fn shmdt(call: &mut Call<'_>) -> Result<u64> {
    let addr = call.word(0);
    let space = call.process().space();
    let first = space.find(addr).filter(|a| a.start == addr && a.offset == 0);
    let file = first.and_then(|a| a.file).ok_or(Errno::EINVAL)?;
    let size = file.ops.as_any().downcast_ref::<Memory>().ok_or(Errno::EINVAL)?.size;
    let end = addr.saturating_add(usize::try_from(size).ok().and_then(page_up).unwrap_or(0));
    let mut pieces: Vec<(usize, usize)> = Vec::new();
    space.for_each(&mut |area| {
        let same = area.file.as_ref().is_some_and(|f| Arc::ptr_eq(f, &file));
        if same && area.start >= addr && area.end <= end {
            pieces.push((area.start, area.end - area.start));
        }
    });
    for (start, len) in pieces {
        space.unmap(start, len)?;
    }
    let segments: Vec<(i32, Arc<Segment>)> =
        SEGMENTS.lock().objects.iter().map(|(id, s)| (*id, s.clone())).collect();
    let owner = segments.into_iter().find(|(_, s)| core::ptr::eq(s.file.as_ptr(), Arc::as_ptr(&file)));
    if let Some((id, segment)) = owner {
        let mut state = segment.state.lock();
        state.detached = now();
        state.last = call.process().pid;
        let is_removed = state.kept.is_none();
        drop(state);
        drop(file);
        if is_removed && segment.file.strong_count() == 0 {
            drop(SEGMENTS.lock().remove(id));
        }
    }
    Ok(0)
}

/// How often a segment is attached: every attachment holds its file.
fn attachments(segment: &Segment) -> u64 {
    let kept = usize::from(segment.state.lock().kept.is_some());
    u64::try_from(segment.file.strong_count().saturating_sub(kept)).unwrap_or(0)
}

/// As `struct shmid64_ds`.
fn status(segment: &Segment) -> [u64; 14] {
    let permissions = *segment.permissions.lock();
    let count = attachments(segment);
    let state = segment.state.lock();
    let mut words = [0u64; 14];
    for (slot, word) in words.iter_mut().zip(permissions.words()) {
        *slot = word;
    }
    words[6] = segment.size;
    words[7] = state.attached.cast_unsigned();
    words[8] = state.detached.cast_unsigned();
    words[9] = permissions.changed.cast_unsigned();
    words[10] = u64::from(segment.creator) | (u64::from(state.last) << 32);
    words[11] = count;
    words
}

/// shmctl(2).
///
/// # Errors
/// As the manual page says.
pub fn shmctl(call: &mut Call<'_>) -> Result<u64> {
    const LOCK: u32 = 11;
    const UNLOCK: u32 = 12;
    const STAT_INDEX: u32 = 13;
    const INFO: u32 = 14;
    const STAT_ANY: u32 = 15;
    let (id, process, at) = (call.int(0), call.process(), call.word(2));
    match call.uint(1) {
        command::STAT => {
            let segment = usable(call, &SEGMENTS, READ)?;
            user::write(at, &status(&segment))?;
            Ok(0)
        }
        STAT_INDEX | STAT_ANY => {
            let segment = usable(call, &SEGMENTS, READ)?;
            user::write(at, &status(&segment))?;
            answer(id)
        }
        command::SET => {
            let segment = SEGMENTS.lock().find(id)?;
            let mut permissions = segment.permissions.lock();
            permissions.check_owner(process)?;
            permissions.set(at)?;
            Ok(0)
        }
        command::REMOVE => {
            let mut table = SEGMENTS.lock();
            let segment = table.find(id)?;
            segment.permissions.lock().check_owner(process)?;
            table.forget_key(&segment);
            segment.permissions.lock().mode |= DESTROYED;
            let kept = segment.state.lock().kept.take();
            drop(kept);
            if segment.file.strong_count() == 0 {
                drop(table.remove(id));
            }
            Ok(0)
        }
        LOCK | UNLOCK => {
            usable(call, &SEGMENTS, 0)?.permissions.lock().check_owner(process)?;
            Ok(0)
        }
        command::INFO => {
            // Largest and smallest segment, number of segments, per process, pages in all.
            let words = [u64::MAX >> 24, 1, 4096, 4096, u64::MAX >> 24, 0, 0, 0, 0];
            user::write(at, &words)?;
            highest(&SEGMENTS)
        }
        INFO => {
            let used = SEGMENTS.lock().objects.len() as u64;
            user::write(at, &[used & 0xffff_ffff, 0, 0, 0, 0, 0])?;
            highest(&SEGMENTS)
        }
        _ => Err(Errno::EINVAL),
    }
}

/// The highest id in use, which the `*_INFO` commands return.
fn highest<T>(table: &Mutex<Table<T>>) -> Result<u64> {
    Ok(table.lock().objects.keys().next_back().map_or(0, |id| u64::from(id.unsigned_abs())))
}
