//! Making system calls function calls: a `syscall` instruction that trapped often enough is replaced by a jump to
//! the library OS.
//!
//! Only sites that run are looked at, so no text is paged in to search for them, and code that is never understood
//! keeps trapping, which is slower and just as right. Two forms are replaced, both without changing the meaning of any
//! instruction that another thread may be about to execute:
//!
//! 1. `mov eax, NUMBER; syscall`: the five bytes of the `mov` become a jump to a trampoline, which does the `mov` and
//!    enters the library OS. The `syscall` behind it stays, for a thread that stands there or jumps there.
//! 2. Any other `syscall`, if the code behind it, followed from instruction to instruction, ends in a return or jump
//!    with at least five bytes of padding after it, within reach of a short jump: the two bytes of the `syscall` become
//!    a short jump to the padding, which gets a jump to the trampoline.
//!
//! Bytes that lie in one aligned word are replaced by one store. Others get a breakpoint in their first byte
//! meanwhile; a thread that runs into it tries again ([`is_own_breakpoint`]). Between the steps the page's protection
//! changes, which makes the host interrupt every processor that runs the process.

use super::space::{self, AddressSpace, Kind, PAGE};
use crate::task::Thread;
use crate::{Errno, Mutex, Result};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};
use iced_x86::{Decoder, DecoderOptions, FlowControl, Instruction, Mnemonic};
use postern_pal::entry::entry_address;
use postern_pal::frame::Frame;
use postern_pal::mem::{self, bits};
use postern_pal::user;

/// Bytes of a trampoline.
const TRAMPOLINE: usize = 32;
/// How far a 32-bit displacement is trusted to reach.
const REACH: usize = 0x7000_0000;

/// A page of trampolines near the text that uses it.
#[derive(Clone, Copy)]
pub struct Pool {
    base: usize,
    used: usize,
}

/// Sites that trapped lately, by hash: a site is patched when it traps a second time.
static SEEN: [AtomicU64; 1024] = [const { AtomicU64::new(0) }; 1024];

/// Sites that children trap on and their call numbers. A child that traps on each of its calls once gains nothing from
/// patches of its own; made in its parent, they are there for the next child.
pub struct Sites {
    /// Names them among the sites seen.
    id: u64,
    list: Mutex<SiteList>,
}

#[derive(Default)]
struct SiteList {
    wanted: Vec<(u64, u64)>,
    /// Those that were wanted before: patched by now, or impossible to patch.
    tried: Vec<u64>,
}

/// More sites would only be more work for every fork.
const MAX_TRIED: usize = 64;

impl Sites {
    pub(super) fn new() -> Self {
        Self { id: space::new_identity(), list: Mutex::default() }
    }

    fn want(&self, site: u64, number: u64) {
        let mut list = self.list.lock();
        if list.tried.len() < MAX_TRIED && !list.tried.contains(&site) {
            list.tried.push(site);
            list.wanted.push((site, number));
        }
    }
}

/// Before a fork: patches what earlier children trapped on.
pub fn prepare_fork(thread: &Thread) {
    let space = thread.process.space();
    let wanted = core::mem::take(&mut space.children_sites().list.lock().wanted);
    for (site, number) in wanted {
        if let Ok(site) = usize::try_from(site) {
            // The text here may be another one by now: then it is left alone.
            let _ = patch(thread, &space, site, number);
        }
    }
}

fn seen_before(id: u64, site: u64) -> bool {
    let key = (id.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ site).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let slot = usize::try_from(key >> 54).ok().and_then(|at| SEEN.get(at));
    slot.is_some_and(|slot| slot.swap(key, Ordering::Relaxed) == key)
}

/// Looks at the site of a trapped call and patches it if it is hot and understood.
pub fn consider(thread: &Thread, frame: &Frame) {
    let space = thread.process.space();
    if seen_before(space.id, frame.site) {
        if let Ok(site) = usize::try_from(frame.site) {
            // A site that cannot be patched just goes on trapping.
            let _ = patch(thread, &space, site, frame.call);
        }
    } else if let Some(sites) = space.parent_sites()
        && seen_before(sites.id, frame.site)
    {
        sites.want(frame.site, frame.call);
    }
}

/// Whether a breakpoint trap at `address` comes from a patch in progress: then the thread tries again.
#[must_use]
pub fn is_own_breakpoint(space: &AddressSpace, address: usize) -> bool {
    if space.patching(address) {
        return true;
    }
    // It was finished between the trap and now.
    let mut byte = [0];
    user::read_bytes(address, &mut byte).is_ok() && byte != [0xcc]
}

fn patch(thread: &Thread, space: &AddressSpace, site: usize, number: u64) -> Result<()> {
    // One at a time; a site that misses its turn traps again.
    let mut pools = space.pools().try_lock().ok_or(Errno::EAGAIN)?;
    let area = space.find(site).ok_or(Errno::EFAULT)?;
    let is_text = area.prot & bits::PROT_EXEC != 0 && area.prot & bits::PROT_WRITE == 0 && !area.shared;
    if !is_text || area.kind == Kind::Vdso || site + 2 > area.end {
        return Err(Errno::EPERM);
    }
    let mut code = [0u8; 2];
    user::read_bytes(site, &mut code)?;
    if code != [0x0f, 0x05] {
        return Err(Errno::EINVAL);
    }
    if let Some(first) = move_before(area.start, site, number) {
        let trampoline = space.trampoline(&mut pools, site, Some(number), site + 2)?;
        let jump = near_jump(first, trampoline)?;
        return space.while_unchanged(&area, || replace(thread, space, area.prot, first, &jump));
    }
    let target = find_padding(site, area.end)?;
    let trampoline = space.trampoline(&mut pools, site, None, site + 2)?;
    let jump = near_jump(target, trampoline)?;
    let delta = i8::try_from(target.cast_signed() - (site + 2).cast_signed()).map_err(|_| Errno::ERANGE)?;
    space.while_unchanged(&area, || {
        // The padding is never executed, so it needs no care; the short jump to it comes last.
        mem::protect(target & !(PAGE - 1), span(target, 5), area.prot | bits::PROT_WRITE)?;
        let written = user::write_bytes(target, &jump);
        mem::protect(target & !(PAGE - 1), span(target, 5), area.prot)?;
        written?;
        replace(thread, space, area.prot, site, &[0xeb, delta.cast_unsigned()])
    })
}

/// The address of a `mov eax, number` right before the site.
fn move_before(start: usize, site: usize, number: u64) -> Option<usize> {
    let first = site.checked_sub(5).filter(|first| *first > start)?;
    let mut bytes = [0u8; 6];
    user::read_bytes(first - 1, &mut bytes).ok()?;
    let [before, opcode, immediate @ ..] = bytes;
    let value = u64::from(u32::from_le_bytes(immediate));
    // A REX prefix would make it another register; a byte that only looks like one is not worth the risk.
    (opcode == 0xb8 && value == number && !(0x40..0x50).contains(&before)).then_some(first)
}

/// Follows the code behind the site to padding that a short jump reaches.
fn find_padding(site: usize, area_end: usize) -> Result<usize> {
    const WINDOW: usize = 160;
    let start = site + 2;
    let mut code = alloc::vec![0u8; WINDOW.min(area_end - start)];
    let got = user::read_partial(start, &mut code)?;
    code.truncate(got);
    padding_in(&code, start as u64).and_then(|at| usize::try_from(at).ok()).ok_or(Errno::ENOENT)
}

/// The address of five bytes of padding behind unreachable-from-above code in `code`, which begins at `start`.
fn padding_in(code: &[u8], start: u64) -> Option<u64> {
    let mut decoder = Decoder::with_ip(64, code, start, DecoderOptions::NONE);
    let mut targets: Vec<u64> = Vec::new();
    let mut reachable = true;
    let mut run_start = 0;
    let mut instruction = Instruction::default();
    while decoder.can_decode() {
        decoder.decode_out(&mut instruction);
        let (at, next) = (instruction.ip(), instruction.next_ip());
        if instruction.is_invalid() || at.wrapping_sub(start) > 122 {
            return None;
        }
        if targets.contains(&at) {
            reachable = true;
        }
        if !reachable {
            let is_padding = matches!(instruction.mnemonic(), Mnemonic::Nop | Mnemonic::Int3);
            if !is_padding {
                return None;
            }
            if next - run_start >= 5 && !targets.iter().any(|t| (run_start..next).contains(t)) {
                // Reachable by an 8-bit displacement from the end of the `syscall`.
                return (run_start - start <= 127).then_some(run_start);
            }
            continue;
        }
        match instruction.flow_control() {
            FlowControl::ConditionalBranch | FlowControl::UnconditionalBranch => {
                targets.push(instruction.near_branch_target());
                reachable = instruction.flow_control() == FlowControl::ConditionalBranch;
            }
            FlowControl::Return | FlowControl::IndirectBranch => reachable = false,
            FlowControl::Exception | FlowControl::Interrupt => return None,
            _ => {}
        }
        run_start = next;
    }
    None
}

fn near_jump(from: usize, to: usize) -> Result<[u8; 5]> {
    let delta = to.cast_signed() - (from + 5).cast_signed();
    let [a, b, c, d] = i32::try_from(delta).map_err(|_| Errno::ERANGE)?.to_le_bytes();
    Ok([0xe9, a, b, c, d])
}

fn span(at: usize, len: usize) -> usize {
    (at % PAGE + len).next_multiple_of(PAGE)
}

/// Replaces code that other threads may be executing.
fn replace(thread: &Thread, space: &AddressSpace, prot: u32, at: usize, new: &[u8]) -> Result<()> {
    let (page, len) = (at & !(PAGE - 1), span(at, new.len()));
    let writable = || mem::protect(page, len, prot | bits::PROT_WRITE);
    let sealed = || mem::protect(page, len, prot);
    let Some((first, rest)) = new.split_first() else { return Ok(()) };
    writable()?;
    let word = at & !7;
    let result = if thread.process.state.lock().threads.len() == 1 {
        user::write_bytes(at, new)
    } else if (at + new.len() - 1) & !7 == word {
        let mut bytes = user::load_u64(word)?.to_le_bytes();
        if let Some(room) = bytes.get_mut(at - word..at - word + new.len()) {
            room.copy_from_slice(new);
        }
        user::store_u64(word, u64::from_le_bytes(bytes))
    } else {
        let mut old = [0; 8];
        let old = old.get_mut(..new.len()).ok_or(Errno::EINVAL)?;
        user::read_bytes(at, old)?;
        space.set_patching(at);
        let steps = user::store_u8(at, 0xcc)
            .and_then(|()| sealed())
            .and_then(|()| writable())
            .and_then(|()| user::write_bytes(at + 1, rest))
            .and_then(|()| sealed())
            .and_then(|()| writable())
            .and_then(|()| user::store_u8(at, *first));
        if steps.is_err() {
            // The breakpoint must not stay, whichever step failed.
            let _ = writable()
                .and_then(|()| user::write_bytes(at + 1, old.get(1..).unwrap_or_default()))
                .and_then(|()| user::store_u8(at, old.first().copied().unwrap_or_default()));
        }
        space.set_patching(0);
        steps
    };
    sealed()?;
    result
}

impl AddressSpace {
    /// A trampoline near `site` that enters the library OS and continues at `back`, with `number` in eax if given.
    fn trampoline(
        &self,
        pools: &mut Vec<Pool>,
        site: usize,
        number: Option<u64>,
        back: usize,
    ) -> Result<usize> {
        let mut code: Vec<u8> = Vec::with_capacity(TRAMPOLINE);
        if let Some(number) = number {
            code.push(0xb8); // mov eax, number
            code.extend(u32::try_from(number).map_err(|_| Errno::EINVAL)?.to_le_bytes());
        }
        code.extend([0x48, 0xb9]); // movabs rcx, back
        code.extend((back as u64).to_le_bytes());
        code.extend([0xff, 0x25, 0, 0, 0, 0]); // jmp [rip]
        code.extend((entry_address() as u64).to_le_bytes());
        let near = |pool: &Pool| pool.base.abs_diff(site) < REACH && pool.used + TRAMPOLINE <= PAGE;
        let pool = match pools.iter_mut().find(|pool| near(pool)) {
            Some(pool) => pool,
            None => {
                let base = self.map_near(site)?;
                pools.push(Pool { base, used: 0 });
                pools.last_mut().ok_or(Errno::ENOMEM)?
            }
        };
        let at = pool.base + pool.used;
        let prot = bits::PROT_READ | bits::PROT_EXEC;
        // Other threads may run earlier trampolines of the page: it stays executable while it is written.
        mem::protect(pool.base, PAGE, prot | bits::PROT_WRITE)?;
        let written = user::write_bytes(at, &code);
        mem::protect(pool.base, PAGE, prot)?;
        written?;
        pool.used += TRAMPOLINE;
        Ok(at)
    }

    /// Maps a page within reach of `site`.
    fn map_near(&self, site: usize) -> Result<usize> {
        let prot = bits::PROT_READ | bits::PROT_EXEC;
        let flags = bits::MAP_PRIVATE | bits::MAP_FIXED_NOREPLACE;
        for at in self.free_pages_near(site, REACH - PAGE) {
            if let Ok(base) = self.map(at, PAGE, prot, flags, None, Kind::Trampolines) {
                return Ok(base);
            }
        }
        Err(Errno::ENOMEM)
    }
}

/// Run when a breakpoint trapped: whether it was ours and the thread simply goes on.
#[must_use]
pub fn retry_breakpoint(thread: &Arc<Thread>, frame: &mut Frame) -> bool {
    let address = usize::try_from(frame.rip.wrapping_sub(1)).unwrap_or(0);
    let ours = is_own_breakpoint(&thread.process.space(), address);
    if ours {
        frame.rip = frame.rip.wrapping_sub(1);
    }
    ours
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_behind_a_return_is_found() {
        // cmp rax, -4096; ja +1; ret; neg eax; ret; nop × 5
        let code = [
            0x48, 0x3d, 0, 0xf0, 0xff, 0xff, 0x77, 0x01, 0xc3, 0xf7, 0xd8, 0xc3, 0x66, 0x90, 0x0f, 0x1f, 0x00,
        ];
        assert_eq!(padding_in(&code, 0x1000), Some(0x100c));
    }

    #[test]
    fn reachable_or_short_padding_is_left_alone() {
        // nop × 5 that is fallen into, then a return.
        assert_eq!(padding_in(&[0x90, 0x90, 0x90, 0x90, 0x90, 0xc3], 0x1000), None);
        // Padding that a branch leads to.
        let code = [0x74, 0x01, 0xc3, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0xc3, 0x01];
        assert_eq!(padding_in(&code, 0x1000), None);
        // Only three bytes before other code.
        assert_eq!(padding_in(&[0xc3, 0x90, 0x90, 0x90, 0x55, 0xc3], 0x1000), None);
        // Data behind an indirect jump.
        assert_eq!(padding_in(&[0xff, 0xe0, 0x11, 0x22, 0xc3, 0x90, 0x90, 0x90, 0x90, 0x90], 0x1000), None);
    }
}
