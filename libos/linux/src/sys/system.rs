//! What an app is told of the machine, and calls that have nothing to do here.

use super::load;
use super::time::uptime;
use crate::call::Call;
use crate::{Errno, Once, Result};
use alloc::vec::Vec;
use postern_abi::boot::Boot;
use postern_pal::user;

/// Length of each string of `struct utsname`, with its NUL.
const NAME: usize = 65;
/// Where a host did not tell its kernel version.
const RELEASE: &[u8] = b"6.1.0";
const VERSION: &[u8] = b"#1 SMP PREEMPT_DYNAMIC";

struct System {
    hostname: Vec<u8>,
    release: Vec<u8>,
    version: Vec<u8>,
    cpus: u32,
}

static SYSTEM: Once<System> = Once::new();

/// The text that the start-up block has for a path.
fn text(boot: &Boot, block: &'static [u8], wanted: &[u8]) -> Option<&'static [u8]> {
    let mut rest = boot.texts.of(block);
    loop {
        let end = rest.iter().position(|b| *b == 0)?;
        let (path, tail) = rest.split_at_checked(end)?;
        let (len, tail) = tail.get(1..)?.split_first_chunk::<4>()?;
        let len = usize::try_from(u32::from_le_bytes(*len)).ok()?;
        let (bytes, tail) = tail.split_at_checked(len)?;
        if path == wanted {
            return Some(bytes);
        }
        rest = tail;
    }
}

/// Learns from the start-up block what machine this is.
pub fn init(boot: &Boot, block: &'static [u8]) {
    load::init();
    let line = |path: &[u8], otherwise: &[u8]| {
        let found = text(boot, block, path).map(<[u8]>::trim_ascii).filter(|t| !t.is_empty());
        found.unwrap_or(otherwise).to_vec()
    };
    let _ = SYSTEM.set(System {
        hostname: boot.hostname.of(block).to_vec(),
        release: line(b"/proc/sys/kernel/osrelease", RELEASE),
        version: line(b"/proc/sys/kernel/version", VERSION),
        cpus: boot.cpus,
    });
}

/// Processors that the app may use, at least 1 and at most 64.
#[must_use]
pub fn cpus() -> u32 {
    SYSTEM.get().map_or(1, |s| s.cpus).clamp(1, 64)
}

/// The host name that the app sees.
#[must_use]
pub fn hostname() -> &'static [u8] {
    SYSTEM.get().map_or(b"localhost", |s| &s.hostname)
}

/// Release and version of the kernel, as uname tells them.
#[must_use]
pub fn release() -> (&'static [u8], &'static [u8]) {
    SYSTEM.get().map_or((RELEASE, VERSION), |s| (&s.release, &s.version))
}

/// uname(2).
///
/// # Errors
/// `EFAULT`.
pub fn uname(call: &mut Call<'_>) -> Result<u64> {
    let system = SYSTEM.get().ok_or(Errno::EFAULT)?;
    let fields: [&[u8]; 6] =
        [b"Linux", &system.hostname, &system.release, &system.version, b"x86_64", b"(none)"];
    let mut out = [0u8; NAME * 6];
    for (slot, field) in out.chunks_exact_mut(NAME).zip(fields) {
        for (byte, from) in slot.iter_mut().take(NAME - 1).zip(field) {
            *byte = *from;
        }
    }
    user::write_bytes(call.word(0), &out)?;
    Ok(0)
}

/// sysinfo(2), of the family.
///
/// # Errors
/// `EFAULT`.
pub fn sysinfo(call: &mut Call<'_>) -> Result<u64> {
    let (total, used) = crate::fs::proc::memory();
    let (_, threads) = load::threads();
    let mut words = [0u64; 14];
    words[0] = uptime();
    for (word, average) in words.iter_mut().skip(1).zip(load::averages()) {
        // In units of 1/65536.
        *word = average << 5;
    }
    words[4] = total;
    words[5] = total - used;
    words[10] = u64::try_from(threads).unwrap_or(0) & 0xffff;
    // One unit is one byte; there is no high memory.
    words[13] = 1;
    user::write(call.word(0), &words)?;
    Ok(0)
}
