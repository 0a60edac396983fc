//! Clocks.

use crate::errno::Result;
use crate::host::{self, number};
use core::sync::atomic::{AtomicUsize, Ordering};

/// Clock ids of clock_gettime(2).
#[expect(missing_docs, reason = "the names are clock_gettime's own")]
pub mod id {
    pub const REALTIME: u32 = 0;
    pub const MONOTONIC: u32 = 1;
    pub const PROCESS_CPUTIME: u32 = 2;
    pub const THREAD_CPUTIME: u32 = 3;
    pub const BOOTTIME: u32 = 7;
}

/// Address of the host's `__vdso_clock_gettime`, or 0.
static VDSO: AtomicUsize = AtomicUsize::new(0);

/// Address of the word that holds the address of the host's `__vdso_clock_gettime` (0 if it has none). Programs find
/// the function through this word, so that a family that moves to another host needs one store.
#[must_use]
pub fn vdso_pointer() -> usize {
    core::ptr::from_ref(&VDSO).addr()
}

pub(crate) fn set_vdso(function: usize) {
    VDSO.store(function, Ordering::Relaxed);
}

/// Reads a clock: seconds and nanoseconds.
///
/// # Errors
/// `EINVAL` for a clock that the host does not have.
pub fn read(clock: u32) -> Result<[i64; 2]> {
    let mut spec = [0i64; 2];
    let function = VDSO.load(Ordering::Relaxed);
    if function != 0 && matches!(clock, 0 | 1 | 4 | 5 | 6 | 7 | 11) {
        // SAFETY: start-up found this address in the host's vDSO by the name of a function with this signature.
        let get: extern "C" fn(i32, *mut [i64; 2]) -> i32 = unsafe { core::mem::transmute(function) };
        if get(i32::try_from(clock).unwrap_or(0), &raw mut spec) == 0 {
            return Ok(spec);
        }
    }
    // SAFETY: the host writes only the timespec.
    unsafe { host::call(number::CLOCK_GETTIME, [clock as usize, (&raw mut spec).addr(), 0, 0, 0, 0]) }?;
    Ok(spec)
}

/// Nanoseconds of `clock` (0 where it cannot be read).
#[must_use]
pub fn nanoseconds(clock: u32) -> u64 {
    let [seconds, nanos] = read(clock).unwrap_or([0, 0]);
    let seconds = u64::try_from(seconds).unwrap_or(0);
    let nanos = u64::try_from(nanos).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(nanos)
}

/// Nanoseconds of CLOCK_MONOTONIC.
#[must_use]
pub fn now() -> u64 {
    nanoseconds(id::MONOTONIC)
}

/// Finds a function in a vDSO image mapped at `base`.
///
/// # Safety
/// `base` must be 0 or the address that the host kernel gave as `AT_SYSINFO_EHDR`.
pub(crate) unsafe fn find_in_vdso(base: usize, name: &[u8]) -> Option<usize> {
    if base == 0 {
        return None;
    }
    // SAFETY: the kernel maps a complete, well-formed ELF image at `base`; all reads below follow its own headers.
    let word = |at: usize| unsafe { core::ptr::with_exposed_provenance::<u64>(at).read_unaligned() };
    let half = |at: usize| word(at) & 0xffff;
    let to = |v: u64| usize::try_from(v).unwrap_or(0);
    let phoff = to(word(base + 32));
    let phnum = to(half(base + 56));
    let (mut load, mut dynamic) = (None, None);
    for i in 0..phnum {
        let ph = base + phoff + i * 56;
        match word(ph) & 0xffff_ffff {
            1 if load.is_none() => {
                load = Some(base.wrapping_add(to(word(ph + 8))).wrapping_sub(to(word(ph + 16))))
            }
            2 => dynamic = Some(base + to(word(ph + 8))),
            _ => {}
        }
    }
    let (bias, mut entry) = (load?, dynamic?);
    let (mut symtab, mut strtab, mut hash, mut gnu_hash) = (0, 0, 0, 0);
    while word(entry) != 0 {
        let value = bias.wrapping_add(to(word(entry + 8)));
        match word(entry) {
            4 => hash = value,
            5 => strtab = value,
            6 => symtab = value,
            0x6fff_fef5 => gnu_hash = value,
            _ => {}
        }
        entry += 16;
    }
    // The number of symbols: from DT_HASH, else from the string table, which the linker puts after the symbols.
    let count = if hash != 0 {
        to(word(hash) >> 32)
    } else if gnu_hash != 0 && strtab > symtab {
        (strtab - symtab) / 24
    } else {
        0
    };
    (0..count.min(64)).find_map(|i| {
        let symbol = symtab + i * 24;
        let text = strtab + to(word(symbol) & 0xffff_ffff);
        let same = name.iter().chain(&[0]).enumerate().all(|(k, b)| word(text + k) & 0xff == u64::from(*b));
        let value = to(word(symbol + 8));
        (same && value != 0).then(|| bias.wrapping_add(value))
    })
}
