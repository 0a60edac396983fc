//! The app's memory, touched only through checked copies. A pointer from the app is a number until a copy proved
//! it; a fault during the copy becomes `EFAULT`.

use crate::errno::{Errno, Result};
use core::arch::global_asm;
use postern_abi::layout::{KERNEL_BASE, KERNEL_END};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// One past the highest address an app can use.
pub const USER_END: usize = 0x7fff_ffff_f000;
/// The lowest address an app can use.
pub const USER_START: usize = 0x1000;

// The exception handler looks whether a fault happened between pal_user_begin and pal_user_end; if so, it continues
// at pal_user_fault, which returns what is left in rcx (copies) plus 1 for the single-word accesses.
global_asm!(
    ".pushsection .text.postern_user, \"ax\", @progbits",
    ".global pal_user_begin",
    "pal_user_begin:",
    // fn(dst, src, len) -> bytes not copied
    ".global pal_user_copy",
    ".type pal_user_copy, @function",
    "pal_user_copy:",
    "mov rcx, rdx",
    "rep movsb",
    "xor eax, eax",
    "ret",
    // fn(dst, len) -> bytes not zeroed
    ".global pal_user_zero",
    ".type pal_user_zero, @function",
    "pal_user_zero:",
    "mov rcx, rsi",
    "xor eax, eax",
    "rep stosb",
    "ret",
    // fn(ptr, out: *mut u32) -> 0 or nonzero
    ".global pal_user_load32",
    ".type pal_user_load32, @function",
    "pal_user_load32:",
    "mov ecx, 1",
    "mov eax, [rdi]",
    "mov [rsi], eax",
    "xor eax, eax",
    "ret",
    // fn(ptr, out: *mut u64) -> 0 or nonzero
    ".global pal_user_load64",
    ".type pal_user_load64, @function",
    "pal_user_load64:",
    "mov ecx, 1",
    "mov rax, [rdi]",
    "mov [rsi], rax",
    "xor eax, eax",
    "ret",
    // fn(ptr, value: u64) -> 0 or nonzero
    ".global pal_user_store64",
    ".type pal_user_store64, @function",
    "pal_user_store64:",
    "mov ecx, 1",
    "mov [rdi], rsi",
    "xor eax, eax",
    "ret",
    // fn(ptr, value: u8) -> 0 or nonzero
    ".global pal_user_store8",
    ".type pal_user_store8, @function",
    "pal_user_store8:",
    "mov ecx, 1",
    "mov [rdi], sil",
    "xor eax, eax",
    "ret",
    // fn(ptr, old: u32, new: u32, seen: *mut u32) -> 0 or nonzero
    ".global pal_user_cmpxchg32",
    ".type pal_user_cmpxchg32, @function",
    "pal_user_cmpxchg32:",
    "mov r8, rcx",
    "mov ecx, 1",
    "mov eax, esi",
    "lock cmpxchg [rdi], edx",
    "mov [r8], eax",
    "xor eax, eax",
    "ret",
    ".global pal_user_end",
    "pal_user_end:",
    ".global pal_user_fault",
    "pal_user_fault:",
    "mov rax, rcx",
    "ret",
    ".popsection",
);

unsafe extern "C" {
    fn pal_user_copy(dst: usize, src: usize, len: usize) -> usize;
    fn pal_user_zero(dst: usize, len: usize) -> usize;
    fn pal_user_load32(src: usize, out: *mut u32) -> usize;
    fn pal_user_load64(src: usize, out: *mut u64) -> usize;
    fn pal_user_store64(dst: usize, value: u64) -> usize;
    fn pal_user_store8(dst: usize, value: u8) -> usize;
    fn pal_user_cmpxchg32(ptr: usize, old: u32, new: u32, seen: *mut u32) -> usize;
    pub(crate) safe static pal_user_begin: u8;
    pub(crate) safe static pal_user_end: u8;
    pub(crate) safe static pal_user_fault: u8;
}

/// Whether all of `[addr, addr + len)` is in the user half.
#[inline]
#[must_use]
pub fn is_user_range(addr: usize, len: usize) -> bool {
    match addr.checked_add(len) {
        Some(end) => end <= KERNEL_BASE || (addr >= KERNEL_END && end <= USER_END),
        None => false,
    }
}

fn check(addr: usize, len: usize) -> Result<()> {
    if is_user_range(addr, len) { Ok(()) } else { Err(Errno::EFAULT) }
}

/// Copies from the app. Returns how many bytes could be read, which is less than asked for where memory ends.
///
/// # Errors
/// `EFAULT` if not even the first byte could be read.
pub fn read_partial(addr: usize, buf: &mut [u8]) -> Result<usize> {
    check(addr, buf.len())?;
    // SAFETY: the source is in the user half, so it overlaps nothing of ours, and faults are caught; the
    // destination is a slice of ours.
    let left = unsafe { pal_user_copy(buf.as_mut_ptr().addr(), addr, buf.len()) };
    if left == buf.len() && left != 0 { Err(Errno::EFAULT) } else { Ok(buf.len() - left) }
}

/// Copies from the app, all or nothing.
///
/// # Errors
/// `EFAULT` if some of it is not readable memory of the app.
#[inline]
pub fn read_bytes(addr: usize, buf: &mut [u8]) -> Result<()> {
    if read_partial(addr, buf)? == buf.len() { Ok(()) } else { Err(Errno::EFAULT) }
}

/// Copies to the app. Returns how many bytes could be written.
///
/// # Errors
/// `EFAULT` if not even the first byte could be written.
pub fn write_partial(addr: usize, buf: &[u8]) -> Result<usize> {
    check(addr, buf.len())?;
    // SAFETY: the destination is in the user half, so no Rust object is there, and faults are caught.
    let left = unsafe { pal_user_copy(addr, buf.as_ptr().addr(), buf.len()) };
    if left == buf.len() && left != 0 { Err(Errno::EFAULT) } else { Ok(buf.len() - left) }
}

/// Copies to the app, all or nothing (on failure some bytes may have been written).
///
/// # Errors
/// `EFAULT` if some of it is not writable memory of the app.
#[inline]
pub fn write_bytes(addr: usize, buf: &[u8]) -> Result<()> {
    if write_partial(addr, buf)? == buf.len() { Ok(()) } else { Err(Errno::EFAULT) }
}

/// Fills with zeroes.
///
/// # Errors
/// `EFAULT` if some of it is not writable memory of the app.
pub fn zero(addr: usize, len: usize) -> Result<()> {
    check(addr, len)?;
    // SAFETY: as in write_partial.
    if unsafe { pal_user_zero(addr, len) } == 0 { Ok(()) } else { Err(Errno::EFAULT) }
}

/// Reads a plain value.
///
/// # Errors
/// `EFAULT` as [`read_bytes`].
#[inline]
pub fn read<T: FromBytes + IntoBytes>(addr: usize) -> Result<T> {
    let mut value = T::new_zeroed();
    read_bytes(addr, value.as_mut_bytes())?;
    Ok(value)
}

/// Writes a plain value.
///
/// # Errors
/// `EFAULT` as [`write_bytes`].
#[inline]
pub fn write<T: IntoBytes + Immutable>(addr: usize, value: &T) -> Result<()> {
    write_bytes(addr, value.as_bytes())
}

/// Reads a NUL-terminated string of at most `max` bytes (without the NUL) into `buf`, which is cleared first.
///
/// # Errors
/// `EFAULT`, or `ENAMETOOLONG` if there is no NUL within `max` bytes.
pub fn read_string(addr: usize, max: usize, buf: &mut alloc::vec::Vec<u8>) -> Result<()> {
    buf.clear();
    let mut chunk = [0u8; 128];
    let mut at = addr;
    while buf.len() <= max {
        // Up to the next 128-byte boundary: never reads over a page end that the string itself does not reach.
        let len = 128 - at % 128;
        let part = chunk.get_mut(..len).ok_or(Errno::EFAULT)?;
        let got = read_partial(at, part)?;
        let part = part.get(..got).ok_or(Errno::EFAULT)?;
        if let Some(end) = part.iter().position(|b| *b == 0) {
            buf.extend_from_slice(part.get(..end).unwrap_or(&[]));
            return if buf.len() <= max { Ok(()) } else { Err(Errno::ENAMETOOLONG) };
        }
        if got < len {
            return Err(Errno::EFAULT);
        }
        buf.extend_from_slice(part);
        at = at.checked_add(len).ok_or(Errno::EFAULT)?;
    }
    Err(Errno::ENAMETOOLONG)
}

/// Reads a 32-bit word atomically.
///
/// # Errors
/// `EFAULT`; `EINVAL` if it is not aligned.
#[inline]
pub fn load_u32(addr: usize) -> Result<u32> {
    check(addr, 4)?;
    if !addr.is_multiple_of(4) {
        return Err(Errno::EINVAL);
    }
    let mut out = 0;
    // SAFETY: one aligned load from the user half, faults caught; `out` is ours.
    if unsafe { pal_user_load32(addr, &raw mut out) } == 0 { Ok(out) } else { Err(Errno::EFAULT) }
}

/// Reads a 64-bit word.
///
/// # Errors
/// `EFAULT`.
#[inline]
pub fn load_u64(addr: usize) -> Result<u64> {
    check(addr, 8)?;
    let mut out = 0;
    // SAFETY: one load from the user half, faults caught; `out` is ours.
    if unsafe { pal_user_load64(addr, &raw mut out) } == 0 { Ok(out) } else { Err(Errno::EFAULT) }
}

/// Writes a 64-bit word; atomic if it is aligned.
///
/// # Errors
/// `EFAULT`.
#[inline]
pub fn store_u64(addr: usize, value: u64) -> Result<()> {
    check(addr, 8)?;
    // SAFETY: one store to the user half, faults caught.
    if unsafe { pal_user_store64(addr, value) } == 0 { Ok(()) } else { Err(Errno::EFAULT) }
}

/// Writes one byte.
///
/// # Errors
/// `EFAULT`.
pub fn store_u8(addr: usize, value: u8) -> Result<()> {
    check(addr, 1)?;
    // SAFETY: one store to the user half, faults caught.
    if unsafe { pal_user_store8(addr, value) } == 0 { Ok(()) } else { Err(Errno::EFAULT) }
}

/// Replaces `old` by `new` atomically; returns the value that was there.
///
/// # Errors
/// `EFAULT`; `EINVAL` if it is not aligned.
pub fn compare_exchange_u32(addr: usize, old: u32, new: u32) -> Result<u32> {
    check(addr, 4)?;
    if !addr.is_multiple_of(4) {
        return Err(Errno::EINVAL);
    }
    let mut seen = 0;
    // SAFETY: one aligned locked access to the user half, faults caught; `seen` is ours.
    if unsafe { pal_user_cmpxchg32(addr, old, new, &raw mut seen) } == 0 {
        Ok(seen)
    } else {
        Err(Errno::EFAULT)
    }
}

/// Atomically applies `change` to a 32-bit word; returns the old value.
///
/// # Errors
/// `EFAULT`; `EINVAL` if it is not aligned.
pub fn update_u32(addr: usize, mut change: impl FnMut(u32) -> u32) -> Result<u32> {
    let mut seen = load_u32(addr)?;
    loop {
        let was = compare_exchange_u32(addr, seen, change(seen))?;
        if was == seen {
            return Ok(was);
        }
        seen = was;
    }
}
