//! Where memory is placed: numa(7) on a machine that has one node. A thread's policy is kept and told; those of ranges
//! are checked and forgotten, as they would change nothing.

use super::space::{PAGE, page_up};
use crate::call::Call;
use crate::sys::capability::cap;
use crate::sys::identity;
use crate::task::{Process, process};
use crate::{Errno, Result};
use alloc::sync::Arc;
use core::sync::atomic::Ordering;
use postern_pal::user;

/// Nodes as a bit set: there is node 0.
const NODES: u64 = 1;
/// Bits of node sets that the kernel looks at (`MAX_NUMNODES`).
const MAX_NODES: u64 = 1024;

mod mode {
    pub const DEFAULT: u32 = 0;
    pub const PREFERRED: u32 = 1;
    pub const BIND: u32 = 2;
    pub const INTERLEAVE: u32 = 3;
    pub const LOCAL: u32 = 4;
    pub const LAST: u32 = 6;
    pub const STATIC: u32 = 1 << 15;
    pub const RELATIVE: u32 = 1 << 14;
    pub const BALANCING: u32 = 1 << 13;
    pub const FLAGS: u32 = STATIC | RELATIVE | BALANCING;
}

mod moving {
    pub const STRICT: u32 = 1;
    pub const MOVE: u32 = 2;
    pub const MOVE_ALL: u32 = 4;
}

/// A policy as set_mempolicy(2) has it: mode with its flags, and whether node 0 is in its set.
fn policy(word: u32, nodes: u64) -> Result<u32> {
    let (kind, flags) = (word & !mode::FLAGS, word & mode::FLAGS);
    let both = mode::STATIC | mode::RELATIVE;
    if kind > mode::LAST || flags & both == both || flags & mode::BALANCING != 0 && kind != mode::BIND {
        return Err(Errno::EINVAL);
    }
    let fits = match kind {
        mode::DEFAULT => nodes == 0,
        mode::LOCAL => nodes == 0 && flags == 0,
        mode::PREFERRED if nodes == 0 => flags & both == 0,
        // Of the nodes that it names, one has to be there; relative ones are folded onto those that are.
        _ => nodes & NODES != 0 || nodes != 0 && flags & mode::RELATIVE != 0,
    };
    match (fits, kind) {
        (false, _) => Err(Errno::EINVAL),
        (true, mode::PREFERRED) if nodes == 0 => Ok(mode::LOCAL | flags),
        (true, _) => Ok(word),
    }
}

/// The set of nodes at an address; `most` as the calls have it: one more than the bits that count.
fn nodes(address: usize, most: u64) -> Result<u64> {
    let bits = most.wrapping_sub(1);
    if bits == 0 || address == 0 {
        return Ok(0);
    }
    if bits > PAGE as u64 * 8 {
        return Err(Errno::EINVAL);
    }
    let mut set = 0;
    for word in 0..bits.div_ceil(64) {
        let place = usize::try_from(word * 8).map_err(|_| Errno::EINVAL)?;
        let mut value: u64 = user::read(address.wrapping_add(place))?;
        let left = bits - word * 64;
        if left < 64 {
            value &= (1 << left) - 1;
        }
        if word == 0 {
            set = value;
        } else if word * 64 >= MAX_NODES && value != 0 {
            return Err(Errno::EINVAL);
        }
    }
    Ok(set)
}

/// Whether the caller may have memory moved that others share too.
fn check_moving(call: &Call<'_>, flags: u32, valid: u32) -> Result<()> {
    if flags & !valid != 0 {
        return Err(Errno::EINVAL);
    }
    if flags & moving::MOVE_ALL != 0 && !call.process().identity.lock().may(cap::SYS_NICE) {
        return Err(Errno::EPERM);
    }
    Ok(())
}

/// set_mempolicy(2).
///
/// # Errors
/// As the manual page says.
pub fn set_mempolicy(call: &mut Call<'_>) -> Result<u64> {
    let set = nodes(call.word(1), call.raw(2))?;
    let policy = policy(call.uint(0), set)?;
    call.thread.settings.memory_policy.store(policy, Ordering::Relaxed);
    Ok(0)
}

/// get_mempolicy(2).
///
/// # Errors
/// As the manual page says.
pub fn get_mempolicy(call: &mut Call<'_>) -> Result<u64> {
    const NODE: u32 = 1;
    const ADDRESS: u32 = 2;
    const ALLOWED: u32 = 4;
    let (most, address, flags) = (call.raw(2), call.word(3), call.uint(4));
    let own = call.thread.settings.memory_policy.load(Ordering::Relaxed);
    let is_mapped = || call.process().space().is_mapped(address & !(PAGE - 1), PAGE);
    if call.word(1) != 0 && most < 1 || flags & !(NODE | ADDRESS | ALLOWED) != 0 {
        return Err(Errno::EINVAL);
    }
    let (word, set) = if flags & ALLOWED != 0 {
        if flags & (NODE | ADDRESS) != 0 {
            return Err(Errno::EINVAL);
        }
        (0, NODES)
    } else if flags & ADDRESS != 0 {
        if !is_mapped() {
            return Err(Errno::EFAULT);
        }
        // Which node a page is on, or the policy of its range.
        (if flags & NODE != 0 { 0 } else { mode::DEFAULT }, 0)
    } else if address != 0 || flags & NODE != 0 && own & !mode::FLAGS != mode::INTERLEAVE {
        return Err(Errno::EINVAL);
    } else if flags & NODE != 0 {
        (0, 0)
    } else {
        let named = !matches!(own & !mode::FLAGS, mode::DEFAULT | mode::LOCAL);
        (own, if named { NODES } else { 0 })
    };
    if call.word(0) != 0 {
        user::write(call.word(0), &word)?;
    }
    if call.word(1) != 0 {
        let bytes = most.wrapping_sub(1).div_ceil(64).saturating_mul(8);
        let bytes = usize::try_from(bytes).ok().filter(|bytes| *bytes <= PAGE + 8).ok_or(Errno::EINVAL)?;
        user::zero(call.word(1), bytes)?;
        if bytes >= 8 {
            user::write(call.word(1), &set)?;
        }
    }
    Ok(0)
}

/// mbind(2).
///
/// # Errors
/// As the manual page says.
pub fn mbind(call: &mut Call<'_>) -> Result<u64> {
    let (start, len, flags) = (call.word(0), call.word(1), call.uint(5));
    let set = nodes(call.word(3), call.raw(4))?;
    check_moving(call, flags, moving::STRICT | moving::MOVE | moving::MOVE_ALL)?;
    if start % PAGE != 0 {
        return Err(Errno::EINVAL);
    }
    let len = page_up(len).filter(|len| start.checked_add(*len).is_some()).ok_or(Errno::EINVAL)?;
    if len == 0 {
        return Ok(0);
    }
    policy(call.uint(2), set)?;
    if call.process().space().is_mapped(start, len) { Ok(0) } else { Err(Errno::EFAULT) }
}

/// set_mempolicy_home_node(2): no range has a policy that has a home.
///
/// # Errors
/// As the manual page says.
pub fn set_mempolicy_home_node(call: &mut Call<'_>) -> Result<u64> {
    let (start, len, node, flags) = (call.word(0), call.word(1), call.raw(2), call.raw(3));
    if start % PAGE != 0 || flags != 0 || node != 0 || start.checked_add(len).is_none() {
        return Err(Errno::EINVAL);
    }
    if len == 0 { Ok(0) } else { Err(Errno::ENOENT) }
}

/// Another process, or the caller's own, whose memory the caller may have moved.
fn target(call: &Call<'_>) -> Result<Arc<Process>> {
    let target = match call.uint(0) {
        0 => call.process().clone(),
        tid => process::find_thread(tid).ok_or(Errno::ESRCH)?.process.clone(),
    };
    if identity::may_trace(call.process(), &target) { Ok(target) } else { Err(Errno::EPERM) }
}

/// migrate_pages(2): all pages are on the one node.
///
/// # Errors
/// As the manual page says.
pub fn migrate_pages(call: &mut Call<'_>) -> Result<u64> {
    nodes(call.word(2), call.raw(1))?;
    let new = nodes(call.word(3), call.raw(1))?;
    target(call)?;
    if new & !NODES != 0 && !call.process().identity.lock().may(cap::SYS_NICE) {
        return Err(Errno::EPERM);
    }
    if new & NODES == 0 { Err(Errno::EINVAL) } else { Ok(0) }
}

/// move_pages(2).
///
/// # Errors
/// As the manual page says.
pub fn move_pages(call: &mut Call<'_>) -> Result<u64> {
    let (count, pages, wanted, status) = (call.word(1), call.word(2), call.word(3), call.word(4));
    check_moving(call, call.uint(5), moving::MOVE | moving::MOVE_ALL)?;
    let space = target(call)?.space();
    for index in 0..count {
        let page: usize = user::read(pages.wrapping_add(index.wrapping_mul(8)))?;
        if wanted != 0 && user::read::<i32>(wanted.wrapping_add(index.wrapping_mul(4)))? != 0 {
            return Err(Errno::ENODEV);
        }
        let is_there = space.is_mapped(page & !(PAGE - 1), PAGE);
        let answer: i32 = if is_there { 0 } else { -i32::from(Errno::EFAULT.number()) };
        user::write(status.wrapping_add(index.wrapping_mul(4)), &answer)?;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_checked_as_linux_does() {
        assert_eq!(policy(mode::DEFAULT, 0), Ok(mode::DEFAULT));
        assert_eq!(policy(mode::DEFAULT, 1), Err(Errno::EINVAL));
        assert_eq!(policy(mode::PREFERRED, 0), Ok(mode::LOCAL));
        assert_eq!(policy(mode::BIND, 0), Err(Errno::EINVAL));
        assert_eq!(policy(mode::BIND, 2), Err(Errno::EINVAL));
        assert_eq!(policy(mode::BIND | mode::RELATIVE, 2), Ok(mode::BIND | mode::RELATIVE));
        assert_eq!(policy(mode::BIND | mode::STATIC | mode::RELATIVE, 1), Err(Errno::EINVAL));
        assert_eq!(policy(mode::LAST + 1, 1), Err(Errno::EINVAL));
    }
}
