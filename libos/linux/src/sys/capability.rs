//! Capabilities, as capabilities(7). Like the ids they belong to, they mean something inside the family only: with all of
//! them a process may do to others of its family what it likes, and to the host nothing.

use crate::call::Call;
use crate::task::process::{self, Identity};
use crate::{Errno, Result};
use postern_pal::user;

/// Capabilities that something here depends on, by number.
#[expect(missing_docs, reason = "the names are those of capabilities(7)")]
pub mod cap {
    pub const KILL: u32 = 5;
    pub const SETGID: u32 = 6;
    pub const SETUID: u32 = 7;
    pub const SETPCAP: u32 = 8;
    pub const IPC_LOCK: u32 = 14;
    pub const SYS_PTRACE: u32 = 19;
    pub const SYS_ADMIN: u32 = 21;
    pub const SYS_NICE: u32 = 23;
    pub const SYS_RESOURCE: u32 = 24;
    pub const LEASE: u32 = 28;
    /// The highest number.
    pub const LAST: u32 = 40;
}

/// All that there are.
const ALL: u64 = (1 << (cap::LAST + 1)) - 1;

/// Bits of `PR_SET_SECUREBITS`; each has a lock above it.
mod secure {
    pub const NOROOT: u32 = 1;
    pub const NO_SETUID_FIXUP: u32 = 4;
    pub const KEEP_CAPS: u32 = 16;
    pub const NO_CAP_AMBIENT_RAISE: u32 = 64;
    pub const LOCKS: u32 = 0xaa;
    pub const ALL: u32 = 0xff;
}

fn bit(cap: u32) -> u64 {
    1u64.checked_shl(cap).unwrap_or(0) & ALL
}

/// The sets of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of capabilities(7)")]
pub struct Capabilities {
    pub effective: u64,
    pub permitted: u64,
    pub inheritable: u64,
    pub bounding: u64,
    pub ambient: u64,
    pub secure_bits: u32,
}

impl Capabilities {
    /// Those of a process that user `uid` starts.
    #[must_use]
    pub fn of_user(uid: u32) -> Self {
        let own = if uid == 0 { ALL } else { 0 };
        Self { effective: own, permitted: own, inheritable: 0, bounding: ALL, ambient: 0, secure_bits: 0 }
    }

    /// Whether this one is in effect.
    #[must_use]
    pub fn has(&self, cap: u32) -> bool {
        self.effective & bit(cap) != 0
    }

    /// The user ids change from `old` to `new`: real, effective and saved.
    pub fn change_user(&mut self, old: [u32; 3], new: [u32; 3]) {
        if self.secure_bits & secure::NO_SETUID_FIXUP != 0 {
            return;
        }
        let ([_, old_effective, _], [_, new_effective, _]) = (old, new);
        if old.contains(&0) && !new.contains(&0) {
            self.ambient = 0;
            if self.secure_bits & secure::KEEP_CAPS == 0 {
                self.permitted = 0;
                self.effective = 0;
            }
        }
        if old_effective == 0 && new_effective != 0 {
            self.effective = 0;
        }
        if old_effective != 0 && new_effective == 0 {
            self.effective = self.permitted;
        }
    }

    /// The process, whose real and effective user these are, executes a program.
    pub fn execute(&mut self, uid: u32, euid: u32) {
        self.secure_bits &= !secure::KEEP_CAPS;
        if (uid == 0 || euid == 0) && self.secure_bits & secure::NOROOT == 0 {
            self.permitted = self.bounding | self.inheritable;
            self.effective = if euid == 0 { self.permitted } else { self.ambient };
        } else {
            self.permitted = self.ambient;
            self.effective = self.ambient;
        }
    }

    fn replace(&mut self, effective: u64, permitted: u64, inheritable: u64) -> Result<()> {
        let (effective, permitted, inheritable) = (effective & ALL, permitted & ALL, inheritable & ALL);
        let within = |set: u64, limit: u64| set & !limit == 0;
        let fine = (self.has(cap::SETPCAP) || within(inheritable, self.inheritable | self.permitted))
            && within(inheritable, self.inheritable | self.bounding)
            && within(permitted, self.permitted)
            && within(effective, permitted);
        if !fine {
            return Err(Errno::EPERM);
        }
        (self.effective, self.permitted, self.inheritable) = (effective, permitted, inheritable);
        self.ambient &= permitted & inheritable;
        Ok(())
    }
}

/// The version of the capability structures that the kernel knows, and how many words each set has.
fn words_of(version: u32) -> Option<usize> {
    match version {
        0x1998_0330 => Some(1),
        0x2007_1026 | 0x2008_0522 => Some(2),
        _ => None,
    }
}

const VERSION: u32 = 0x2008_0522;

/// Reads the header of capget and capset: words of each set and process id. `None` where the version is unknown; the
/// app is told the right one then.
fn header(call: &Call<'_>) -> Result<Option<(usize, u32)>> {
    let [version, pid]: [u32; 2] = user::read(call.word(0))?;
    let words = words_of(version);
    if words.is_none() {
        user::write(call.word(0), &VERSION)?;
    }
    Ok(words.map(|words| (words, pid)))
}

/// capget(2).
///
/// # Errors
/// As the manual page says.
pub fn capget(call: &mut Call<'_>) -> Result<u64> {
    let Some((words, pid)) = header(call)? else {
        // Asking for the version alone is no error.
        return if call.word(1) == 0 { Ok(0) } else { Err(Errno::EINVAL) };
    };
    if pid.cast_signed() < 0 {
        return Err(Errno::EINVAL);
    }
    let target = match pid {
        0 => call.thread.clone(),
        tid => process::find_thread(tid).ok_or(Errno::ESRCH)?,
    };
    if call.word(1) == 0 {
        return Ok(0);
    }
    let sets = target.process.identity.lock().capabilities;
    for (word, shift) in [0, 32].into_iter().take(words).enumerate() {
        let part = |set: u64| u32::try_from((set >> shift) & 0xffff_ffff).unwrap_or(0);
        let entry = [part(sets.effective), part(sets.permitted), part(sets.inheritable)];
        user::write(call.word(1).wrapping_add(word * 12), &entry)?;
    }
    Ok(0)
}

/// capset(2): of the whole process.
///
/// # Errors
/// As the manual page says.
pub fn capset(call: &mut Call<'_>) -> Result<u64> {
    let (words, pid) = header(call)?.ok_or(Errno::EINVAL)?;
    if pid != 0 && pid != call.thread.tid {
        return Err(Errno::EPERM);
    }
    let mut sets = [0u64; 3];
    for (word, shift) in [0, 32].into_iter().take(words).enumerate() {
        let entry: [u32; 3] = user::read(call.word(1).wrapping_add(word * 12))?;
        for (set, part) in sets.iter_mut().zip(entry) {
            *set |= u64::from(part) << shift;
        }
    }
    let [effective, permitted, inheritable] = sets;
    let mut identity = call.process().identity.lock();
    identity.capabilities.replace(effective, permitted, inheritable).map(|()| 0)
}

fn number(call: &Call<'_>, index: usize) -> Result<u32> {
    u32::try_from(call.raw(index)).ok().filter(|cap| *cap <= cap::LAST).ok_or(Errno::EINVAL)
}

/// `PR_CAPBSET_READ`.
///
/// # Errors
/// `EINVAL`.
pub fn read_bounding(call: &Call<'_>) -> Result<u64> {
    let cap = number(call, 1)?;
    Ok(u64::from(call.process().identity.lock().capabilities.bounding & bit(cap) != 0))
}

/// `PR_CAPBSET_DROP`.
///
/// # Errors
/// As prctl(2).
pub fn drop_bounding(call: &Call<'_>) -> Result<u64> {
    let mut identity = call.process().identity.lock();
    if !identity.may(cap::SETPCAP) {
        return Err(Errno::EPERM);
    }
    identity.capabilities.bounding &= !bit(number(call, 1)?);
    Ok(0)
}

/// `PR_CAP_AMBIENT`.
///
/// # Errors
/// As prctl(2).
pub fn ambient(call: &Call<'_>) -> Result<u64> {
    const IS_SET: u64 = 1;
    const RAISE: u64 = 2;
    const LOWER: u64 = 3;
    const CLEAR_ALL: u64 = 4;
    let mut identity = call.process().identity.lock();
    let sets = &mut identity.capabilities;
    if call.raw(3) != 0 || call.raw(4) != 0 {
        return Err(Errno::EINVAL);
    }
    if call.raw(1) == CLEAR_ALL {
        if call.raw(2) != 0 {
            return Err(Errno::EINVAL);
        }
        sets.ambient = 0;
        return Ok(0);
    }
    let wanted = bit(number(call, 2)?);
    match call.raw(1) {
        IS_SET => return Ok(u64::from(sets.ambient & wanted != 0)),
        RAISE => {
            let allowed = sets.permitted & sets.inheritable & wanted != 0
                && sets.secure_bits & secure::NO_CAP_AMBIENT_RAISE == 0;
            if !allowed {
                return Err(Errno::EPERM);
            }
            sets.ambient |= wanted;
        }
        LOWER => sets.ambient &= !wanted,
        _ => return Err(Errno::EINVAL),
    }
    Ok(0)
}

/// `PR_SET_SECUREBITS`.
///
/// # Errors
/// As prctl(2).
pub fn set_secure_bits(call: &Call<'_>) -> Result<u64> {
    let mut identity = call.process().identity.lock();
    let allowed = identity.may(cap::SETPCAP);
    let sets = &mut identity.capabilities;
    let new = u32::try_from(call.raw(1)).ok().filter(|bits| bits & !secure::ALL == 0);
    let locks = sets.secure_bits & secure::LOCKS;
    // A lock keeps itself and the bit below it.
    let kept = locks | (locks >> 1);
    match new {
        Some(new) if allowed && (new ^ sets.secure_bits) & kept == 0 => {
            sets.secure_bits = new;
            Ok(0)
        }
        _ => Err(Errno::EPERM),
    }
}

/// `PR_SET_KEEPCAPS`.
///
/// # Errors
/// As prctl(2).
pub fn keep(call: &Call<'_>) -> Result<u64> {
    let mut identity = call.process().identity.lock();
    let bits = &mut identity.capabilities.secure_bits;
    match call.raw(1) {
        _ if *bits & (secure::KEEP_CAPS << 1) != 0 => return Err(Errno::EPERM),
        0 => *bits &= !secure::KEEP_CAPS,
        1 => *bits |= secure::KEEP_CAPS,
        _ => return Err(Errno::EINVAL),
    }
    Ok(0)
}

/// Whether `PR_SET_KEEPCAPS` was set.
#[must_use]
pub fn keeps(identity: &Identity) -> bool {
    identity.capabilities.secure_bits & secure::KEEP_CAPS != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_none_and_root_all() {
        let plain = Capabilities::of_user(1000);
        assert_eq!((plain.effective, plain.permitted, plain.bounding), (0, 0, ALL));
        assert!(Capabilities::of_user(0).has(cap::LAST));
        assert!(!Capabilities::of_user(0).has(cap::LAST + 1));
    }

    #[test]
    fn root_that_becomes_a_user_loses_all_unless_it_keeps_them() {
        let mut sets = Capabilities::of_user(0);
        sets.change_user([0, 0, 0], [0, 5, 0]);
        assert_eq!((sets.effective, sets.permitted), (0, ALL));
        sets.change_user([0, 5, 0], [0, 0, 0]);
        assert_eq!(sets.effective, ALL);
        let mut keeping = Capabilities { secure_bits: secure::KEEP_CAPS, ..sets };
        sets.change_user([0, 0, 0], [5, 5, 5]);
        assert_eq!((sets.effective, sets.permitted), (0, 0));
        keeping.change_user([0, 0, 0], [5, 5, 5]);
        assert_eq!((keeping.effective, keeping.permitted), (0, ALL));
    }

    #[test]
    fn nobody_gains_by_setting() {
        let mut sets = Capabilities::of_user(1000);
        assert_eq!(sets.replace(0, 0, 0), Ok(()));
        assert_eq!(sets.replace(0, 1, 0), Err(Errno::EPERM));
        assert_eq!(sets.replace(0, 0, 1), Err(Errno::EPERM));
        let mut root = Capabilities::of_user(0);
        assert_eq!(root.replace(1, 3, 7), Ok(()));
        assert_eq!(root.replace(4, 3, 0), Err(Errno::EPERM));
        assert_eq!(root.replace(3, 7, 0), Err(Errno::EPERM));
    }

    #[test]
    fn programs_of_root_get_what_the_bounding_set_leaves() {
        let mut sets = Capabilities { bounding: 3, ..Capabilities::of_user(0) };
        sets.execute(0, 0);
        assert_eq!((sets.effective, sets.permitted), (3, 3));
        sets.execute(5, 5);
        assert_eq!((sets.effective, sets.permitted), (0, 0));
    }
}
