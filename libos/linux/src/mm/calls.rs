//! mmap(2) and its relatives.

use super::known;
use super::space::{Kind, PAGE, page_up};
use crate::call::{Call, done};
use crate::fs::dentry_of;
use crate::ipc::socket::Socket;
use crate::ipc::wayland;
use crate::{Errno, Result};
use postern_pal::mem::bits;
use postern_pal::user;

const MAP_TYPE: u32 = 0xf;
const MAP_SHARED_VALIDATE: u32 = 3;
const MAP_32BIT: u32 = 0x40;
/// The flags that are ignored where they mean nothing; `MAP_SHARED_VALIDATE` refuses all others.
const LEGACY: u32 = 0xfc07_f9f3;

/// mmap(2).
///
/// # Errors
/// As the manual page says.
pub fn mmap(call: &mut Call<'_>) -> Result<u64> {
    let (addr, len, prot, flags) = (call.word(0), call.word(1), call.uint(2), call.uint(3));
    let offset = call.raw(5);
    let len = page_up(len).ok_or(Errno::ENOMEM)?;
    if len == 0 || !offset.is_multiple_of(PAGE as u64) {
        return Err(Errno::EINVAL);
    }
    let kind = flags & MAP_TYPE;
    let shared = match kind {
        bits::MAP_PRIVATE => false,
        bits::MAP_SHARED | MAP_SHARED_VALIDATE => true,
        _ => return Err(Errno::EINVAL),
    };
    if flags & bits::MAP_FIXED != 0 && addr % PAGE != 0 {
        return Err(Errno::EINVAL);
    }
    let space = call.process().space();
    let exists = flags & bits::MAP_FIXED_NOREPLACE != 0 && space.overlaps(addr, len);
    let file = if flags & bits::MAP_ANONYMOUS != 0 {
        if kind == MAP_SHARED_VALIDATE {
            return Err(Errno::EINVAL);
        }
        None
    } else {
        let file = call.file(4)?;
        if exists {
            return Err(Errno::EEXIST);
        }
        if kind == MAP_SHARED_VALIDATE && flags & !LEGACY != 0 {
            return Err(Errno::EOPNOTSUPP);
        }
        let may_write = !shared || prot & bits::PROT_WRITE == 0 || file.is_writable();
        if !may_write || !file.is_readable() {
            return Err(Errno::EACCES);
        }
        if prot & bits::PROT_EXEC != 0 {
            match dentry_of(&file) {
                Some(dentry) => wayland::expect(&dentry.name()),
                None if file.ops.mapping().is_err() => return Err(Errno::EPERM),
                None => {}
            }
        }
        file.ops.check_mapping(shared, prot & bits::PROT_WRITE != 0)?;
        if offset.checked_add(len as u64).is_none() {
            return Err(Errno::EOVERFLOW);
        }
        Some((file, offset))
    };
    super::lock::check_flag(call.process(), flags)?;
    let mut flags = (flags & !MAP_TYPE) | if shared { bits::MAP_SHARED } else { bits::MAP_PRIVATE };
    let mut addr = addr & !(PAGE - 1);
    if flags & MAP_32BIT != 0 && flags & (bits::MAP_FIXED | bits::MAP_FIXED_NOREPLACE) == 0 {
        addr = space.find_free_below(len, 0x8000_0000).ok_or(Errno::ENOMEM)?;
        flags |= bits::MAP_FIXED_NOREPLACE;
    }
    let refuses = file.as_ref().is_some_and(|(file, _)| file.ops.as_any().is::<Socket>());
    if refuses && flags & bits::MAP_FIXED != 0 {
        // Linux makes room before it asks the socket, which has no memory to show.
        space.unmap(addr, len)?;
    }
    let is_text = !shared && file.is_some() && prot & (bits::PROT_EXEC | bits::PROT_WRITE) == bits::PROT_EXEC;
    let at = space.map(addr, len, prot, flags, file, Kind::Plain)?;
    if is_text {
        known::patch_mapped(&space, at);
    }
    done(at)
}

/// munmap(2).
///
/// # Errors
/// As the manual page says.
pub fn munmap(call: &mut Call<'_>) -> Result<u64> {
    let (addr, len) = (call.word(0), call.word(1));
    if addr % PAGE != 0 {
        return Err(Errno::EINVAL);
    }
    call.process().space().unmap(addr, len).map(|()| 0)
}

/// mprotect(2), and pkey_mprotect(2) without a key.
///
/// # Errors
/// As the manual page says.
pub fn mprotect(call: &mut Call<'_>) -> Result<u64> {
    let (addr, len, prot) = (call.word(0), call.word(1), call.uint(2));
    if addr % PAGE != 0 || prot & !0x0f00_000f != 0 {
        return Err(Errno::EINVAL);
    }
    call.process().space().protect(addr, len, prot).map(|()| 0)
}

/// pkey_mprotect(2): only key -1, which is mprotect.
///
/// # Errors
/// `EINVAL` for a key.
pub fn pkey_mprotect(call: &mut Call<'_>) -> Result<u64> {
    if call.int(3) == -1 { mprotect(call) } else { Err(Errno::EINVAL) }
}

/// remap_file_pages(2): maps other pages of the file that a shared area shows over a part of it, as Linux does it now.
///
/// # Errors
/// As the manual page says.
pub fn remap_file_pages(call: &mut Call<'_>) -> Result<u64> {
    const NONBLOCK: u32 = 0x1_0000;
    let start = call.word(0) & !(PAGE - 1);
    let len = call.word(1) & !(PAGE - 1);
    let end = start.checked_add(len).filter(|end| *end > start).ok_or(Errno::EINVAL)?;
    let offset = call.raw(3).checked_mul(PAGE as u64).ok_or(Errno::EINVAL)?;
    let space = call.process().space();
    let area = space.find(start).filter(|a| a.shared && end <= a.end).ok_or(Errno::EINVAL)?;
    if call.uint(2) != 0 || offset.checked_add(len as u64).is_none() {
        return Err(Errno::EINVAL);
    }
    let file = area.file.ok_or(Errno::EINVAL)?;
    let populate = if call.uint(4) & NONBLOCK == 0 { bits::MAP_POPULATE } else { 0 };
    let flags = bits::MAP_SHARED | bits::MAP_FIXED | populate;
    space.map(start, len, area.prot, flags, Some((file, offset)), Kind::Plain).map(|_| 0)
}

/// mremap(2).
///
/// # Errors
/// As the manual page says.
pub fn mremap(call: &mut Call<'_>) -> Result<u64> {
    let (old, old_len, new_len) = (call.word(0), call.word(1), call.word(2));
    let (flags, new) = (call.uint(3), call.word(4));
    if old % PAGE != 0 || flags & !7 != 0 || (flags & 2 != 0 && (flags & 1 == 0 || new % PAGE != 0)) {
        return Err(Errno::EINVAL);
    }
    if flags & 2 != 0 && old < new.saturating_add(new_len) && new < old.saturating_add(old_len) {
        return Err(Errno::EINVAL);
    }
    done(call.process().space().remap(old, old_len, new_len, flags, new)?)
}

/// brk(2): returns the present end of the heap, changed or not.
///
/// # Errors
/// None.
pub fn brk(call: &mut Call<'_>) -> Result<u64> {
    let wanted = call.word(0);
    done(call.process().space().brk(wanted))
}

/// msync(2). File content and mappings are the same host pages; durability is what MS_SYNC adds.
///
/// # Errors
/// As the manual page says.
pub fn msync(call: &mut Call<'_>) -> Result<u64> {
    const MS_SYNC: u32 = 4;
    let (addr, len, flags) = (call.word(0), call.word(1), call.uint(2));
    if addr % PAGE != 0 || flags & !7 != 0 || flags & 5 == 5 {
        return Err(Errno::EINVAL);
    }
    let len = page_up(len).ok_or(Errno::ENOMEM)?;
    let space = call.process().space();
    if !space.is_mapped(addr, len) {
        return Err(Errno::ENOMEM);
    }
    if flags & MS_SYNC != 0
        && let Some(area) = space.find(addr)
        && let Some(file) = area.file.filter(|f| area.shared && f.is_writable())
    {
        let _ = file.ops.sync(true);
    }
    Ok(0)
}

/// mincore(2): mapped pages are told to be resident; `ENOMEM` for unmapped ones, which is what callers probe for.
///
/// # Errors
/// As the manual page says.
pub fn mincore(call: &mut Call<'_>) -> Result<u64> {
    let (addr, len, vector) = (call.word(0), call.word(1), call.word(2));
    if addr % PAGE != 0 {
        return Err(Errno::EINVAL);
    }
    let len = page_up(len).ok_or(Errno::ENOMEM)?;
    if !call.process().space().is_mapped(addr, len) {
        return Err(Errno::ENOMEM);
    }
    const ONES: [u8; 1024] = [1; 1024];
    let mut left = len / PAGE;
    let mut at = vector;
    while left > 0 {
        let step = left.min(ONES.len());
        user::write_bytes(at, ONES.get(..step).unwrap_or(&ONES))?;
        at = at.wrapping_add(step);
        left -= step;
    }
    Ok(0)
}
