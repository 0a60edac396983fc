//! Making system calls function calls: a `syscall` instruction that trapped often enough is replaced by a jump to
//! the library OS.
//!
//! Only sites that run, here or in another process ([`known`]), are looked at, so no text is paged in to search for them,
//! and code that is never understood keeps trapping, which is slower and just as right. Two forms are replaced, both without changing the meaning of any
//! instruction that another thread may be about to execute:
//!
//! 1. `mov eax, NUMBER; …; syscall`, where everything between the two runs straight on (as in libc, where the compiler
//!    puts the loading of arguments there): the five bytes of the `mov` become a jump to a trampoline, which does the
//!    `mov` and a copy of what follows it, and enters the library OS. What follows stays too, with the `syscall`, for a
//!    thread that stands there or jumps there. The `mov` may have another target: it is only known by its number.
//! 2. Any other `syscall`, if the code behind it, followed from instruction to instruction, ends in a return or jump
//!    with at least five bytes of padding after it, within reach of a short jump: the two bytes of the `syscall` become
//!    a short jump to the padding, which gets a jump to the trampoline.
//!
//! Bytes that lie in one aligned word are replaced by one store. Others get a breakpoint in their first byte
//! meanwhile; a thread that runs into it tries again ([`is_own_breakpoint`]). Between the steps the page's protection
//! changes, which makes the host interrupt every processor that runs the process.

use super::known;
use super::space::{self, AddressSpace, Area, Kind, PAGE};
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

/// Bytes between the `mov` of a call's number and its `syscall` that are copied at most.
const MAX_BETWEEN: usize = 32;
/// Bytes of the longest trampoline.
const MAX_TRAMPOLINE: usize = 64;
/// How many readings of the code before a call are asked where instructions begin: more than three of four that make
/// sense must agree.
const BEGINNINGS: usize = 12;
/// Bytes before a `syscall` that are looked at.
const LOOK_BACK: usize = 5 + MAX_BETWEEN + 4 * BEGINNINGS;
/// How far a 32-bit displacement is trusted to reach.
const REACH: usize = 0x7000_0000;

/// Protection of trampolines. While some are written others of the page may be run.
const TRAMPOLINES: u32 = bits::PROT_READ | bits::PROT_EXEC;

/// A page of trampolines near the text that uses it.
#[derive(Clone, Copy)]
pub struct Pool {
    base: usize,
    used: usize,
}

/// How often a site traps before it is patched. A patch costs as much as a few traps (four changes of protection, and a
/// copy of the page); the loader of a program calls from most of its sites once to three times.
const TRAPS: u64 = 4;
/// In how many children a site traps before it is patched in their parent.
const CHILDREN: u64 = 2;
/// Low bits of an entry of [`SEEN`]: how often.
const COUNT: u64 = 7;

/// Sites that trapped lately, by hash, with a count.
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

/// Counts a trap, as far as `wanted`. Traps at the same time may count as one.
fn count_trap(id: u64, site: u64, wanted: u64) -> u64 {
    let key = (id.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ site).wrapping_mul(0xff51_afd7_ed55_8ccd) & !COUNT;
    let Some(slot) = usize::try_from(key >> 54).ok().and_then(|at| SEEN.get(at)) else { return 0 };
    let before = slot.load(Ordering::Relaxed);
    let count = if before & !COUNT == key { before & COUNT } else { 0 };
    let count = (count + 1).min(wanted);
    slot.store(key | count, Ordering::Relaxed);
    count
}

/// Looks at the site of a trapped call and patches it if it is hot and understood.
pub fn consider(thread: &Thread, frame: &Frame) {
    let space = thread.process.space();
    let Ok(site) = usize::try_from(frame.site) else { return };
    let count = count_trap(space.id, frame.site, TRAPS);
    if count == TRAPS {
        // A site that cannot be patched just goes on trapping.
        let _ = patch(thread, &space, site, frame.call);
        return;
    }
    if count == 1 {
        known::note(&space, site, frame.call);
    }
    if let Some(sites) = space.parent_sites()
        && count_trap(sites.id, frame.site, CHILDREN) == CHILDREN
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
    let plan = plan(space, &mut pools, &area, site, number)?;
    plan.trampoline.write_alone(TRAMPOLINES)?;
    space.while_unchanged(&area, || {
        if let Some(padding) = &plan.padding {
            padding.write_alone(area.prot)?;
        }
        replace(thread, space, area.prot, plan.entry.at, &plan.entry.code)
    })
}

/// Patches sites of text that was mapped just now and nobody runs yet. A site that cannot be patched will trap.
///
/// # Errors
/// If nothing was patched, or the area is another one by now.
pub(super) fn patch_fresh(space: &AddressSpace, area: &Area, sites: &[(usize, u64)]) -> Result<()> {
    let mut pools = space.pools().try_lock().ok_or(Errno::EAGAIN)?;
    let mut plans: Vec<Plan> = Vec::new();
    for (site, number) in sites {
        let Ok(plan) = plan(space, &mut pools, area, *site, *number) else { continue };
        // Two sites may have found the same padding.
        if !plan.in_text().any(|new| plans.iter().flat_map(Plan::in_text).any(|old| old.overlaps(new))) {
            plans.push(plan);
        }
    }
    let mut rest = plans.as_slice();
    while let Some(page) = rest.first().map(|plan| plan.trampoline.at & !(PAGE - 1)) {
        let same = rest.iter().take_while(|plan| plan.trampoline.at & !(PAGE - 1) == page).count();
        let (these, others) = rest.split_at(same);
        write_all(page, PAGE, TRAMPOLINES, these.iter().map(|plan| &plan.trampoline))?;
        rest = others;
    }
    let entries = plans.iter().flat_map(Plan::in_text);
    space.while_unchanged(area, || write_all(area.start, area.end - area.start, area.prot, entries))
}

/// Writes into the `len` bytes at `start`, which nobody runs, and which have the protection `prot`.
fn write_all<'a>(start: usize, len: usize, prot: u32, mut all: impl Iterator<Item = &'a Code>) -> Result<()> {
    mem::protect(start, len, prot | bits::PROT_WRITE)?;
    let written = all.try_for_each(|code| user::write_bytes(code.at, &code.code));
    mem::protect(start, len, prot)?;
    written
}

/// Code for an address.
struct Code {
    at: usize,
    code: Vec<u8>,
}

impl Code {
    fn overlaps(&self, other: &Self) -> bool {
        self.at < other.at + other.code.len() && other.at < self.at + self.code.len()
    }

    /// Writes it where nobody runs it, but may run what is beside it.
    fn write_alone(&self, prot: u32) -> Result<()> {
        write_all(self.at & !(PAGE - 1), span(self.at, self.code.len()), prot, [self].into_iter())
    }
}

/// What a patch consists of, in the order in which it is written.
struct Plan {
    trampoline: Code,
    /// A jump to it in padding, which is never executed.
    padding: Option<Code>,
    /// The jump that takes the place of the call.
    entry: Code,
}

impl Plan {
    fn in_text(&self) -> impl Iterator<Item = &Code> {
        self.padding.iter().chain([&self.entry])
    }
}

/// Understands the code around a site.
fn plan(space: &AddressSpace, pools: &mut Vec<Pool>, area: &Area, site: usize, number: u64) -> Result<Plan> {
    let is_text = area.prot & bits::PROT_EXEC != 0 && area.prot & bits::PROT_WRITE == 0 && !area.shared;
    if !is_text || area.kind == Kind::Vdso || site < area.start || site + 2 > area.end {
        return Err(Errno::EPERM);
    }
    let mut code = [0u8; 2];
    user::read_bytes(site, &mut code)?;
    if code != [0x0f, 0x05] {
        return Err(Errno::EINVAL);
    }
    if let Some((first, lead)) = lead_in(area.start, site, number) {
        let trampoline = space.trampoline(pools, site, first, &lead)?;
        let jump = near_jump(first, trampoline.at)?;
        return Ok(Plan { trampoline, padding: None, entry: Code { at: first, code: jump.to_vec() } });
    }
    let target = find_padding(site, area.end)?;
    let trampoline = space.trampoline(pools, site, site, &[])?;
    let jump = near_jump(target, trampoline.at)?;
    let delta = i8::try_from(target.cast_signed() - (site + 2).cast_signed()).map_err(|_| Errno::ERANGE)?;
    let padding = Some(Code { at: target, code: jump.to_vec() });
    let entry = Code { at: site, code: [0xeb, delta.cast_unsigned()].to_vec() };
    Ok(Plan { trampoline, padding, entry })
}

/// The code from a `mov` of `number` to the site, and where it begins.
fn lead_in(area_start: usize, site: usize, number: u64) -> Option<(usize, Vec<u8>)> {
    let mut code = alloc::vec![0u8; LOOK_BACK.min(site - area_start)];
    let start = site - code.len();
    user::read_bytes(start, &mut code).ok()?;
    let at = lead_in_of(&code, start as u64, number)?;
    Some((start + at, code.split_off(at)))
}

/// The place in `code`, which begins at `start` and ends where a `syscall` stands, of a `mov` of `number` to a 32-bit
/// register, if all behind it runs straight to the `syscall`.
fn lead_in_of(code: &[u8], start: u64, number: u64) -> Option<usize> {
    let is_move = |at: usize| {
        let Some(&[before, opcode, a, b, c, d]) = code.get(at - 1..at + 5) else { return false };
        // A REX prefix would make it another register; a byte that only looks like one is not worth the risk.
        (0xb8..0xc0).contains(&opcode)
            && u64::from(u32::from_le_bytes([a, b, c, d])) == number
            && !(0x40..0x50).contains(&before)
    };
    let last = code.len().checked_sub(5)?;
    let at = (last.saturating_sub(MAX_BETWEEN).max(1)..=last).rev().find(|at| is_move(*at))?;
    if at == last {
        return (code.get(at) == Some(&0xb8)).then_some(at);
    }
    let runs_straight_on = straight(code.get(at..)?, start + at as u64);
    // The same bytes may be part of other instructions: readings that begin earlier must come to them as well. They
    // fall into step with the code after a few instructions, wherever they begin.
    let readings = (0..at.min(BEGINNINGS)).filter_map(|begin| reaches(code.get(begin..)?, at - begin));
    let (all, in_step) = readings.fold((0, 0), |(all, step), reached| (all + 1, step + usize::from(reached)));
    (runs_straight_on && at >= 2 * BEGINNINGS && in_step * 4 > all * 3).then_some(at)
}

/// Whether `code` consists of instructions that run one after the other and can be copied elsewhere.
fn straight(code: &[u8], start: u64) -> bool {
    let mut decoder = Decoder::with_ip(64, code, start, DecoderOptions::NONE);
    let mut instruction = Instruction::default();
    while decoder.can_decode() {
        decoder.decode_out(&mut instruction);
        if instruction.is_invalid() || instruction.flow_control() != FlowControl::Next {
            return false;
        }
    }
    true
}

/// Whether an instruction begins at `at` if `code` is read from its beginning; `None` if it makes no sense then.
fn reaches(code: &[u8], at: usize) -> Option<bool> {
    let mut decoder = Decoder::new(64, code, DecoderOptions::NONE);
    let mut instruction = Instruction::default();
    while decoder.position() < at {
        decoder.decode_out(&mut instruction);
        if instruction.is_invalid() {
            return None;
        }
    }
    Some(decoder.position() == at)
}

/// Makes `code`, which was written for the address `from`, right for the address `to`: addresses relative to the
/// instruction are the only thing that changes.
fn move_code(code: &mut [u8], from: usize, to: usize) -> Result<()> {
    let original = code.to_vec();
    let mut decoder = Decoder::with_ip(64, &original, from as u64, DecoderOptions::NONE);
    let mut instruction = Instruction::default();
    let moved = i32::try_from(to.cast_signed() - from.cast_signed()).map_err(|_| Errno::ERANGE)?;
    while decoder.can_decode() {
        let begin = decoder.position();
        decoder.decode_out(&mut instruction);
        if !instruction.is_ip_rel_memory_operand() {
            continue;
        }
        let at = begin + decoder.get_constant_offsets(&instruction).displacement_offset();
        let field = code.get_mut(at..).and_then(|rest| rest.first_chunk_mut::<4>()).ok_or(Errno::EINVAL)?;
        *field = i32::from_le_bytes(*field).checked_sub(moved).ok_or(Errno::ERANGE)?.to_le_bytes();
    }
    Ok(())
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
    /// A trampoline near `site` that runs `lead`, which stood at `from`, enters the library OS and continues behind the
    /// site. There is room for it; it is still to be written.
    fn trampoline(&self, pools: &mut Vec<Pool>, site: usize, from: usize, lead: &[u8]) -> Result<Code> {
        let mut code: Vec<u8> = Vec::with_capacity(MAX_TRAMPOLINE);
        code.extend(lead);
        code.extend([0x48, 0xb9]); // movabs rcx, back
        code.extend((site as u64 + 2).to_le_bytes());
        code.extend([0xff, 0x25, 0, 0, 0, 0]); // jmp [rip]
        code.extend((entry_address() as u64).to_le_bytes());
        let size = code.len().next_multiple_of(16);
        let near = |pool: &Pool| pool.base.abs_diff(site) < REACH && pool.used + size <= PAGE;
        let pool = match pools.iter_mut().find(|pool| near(pool)) {
            Some(pool) => pool,
            None => {
                let base = self.map_near(site)?;
                pools.push(Pool { base, used: 0 });
                pools.last_mut().ok_or(Errno::ENOMEM)?
            }
        };
        let at = pool.base + pool.used;
        let (lead, _) = code.split_at_mut_checked(lead.len()).ok_or(Errno::EINVAL)?;
        move_code(lead, from, at)?;
        pool.used += size;
        Ok(Code { at, code })
    }

    /// Maps a page within reach of `site`.
    fn map_near(&self, site: usize) -> Result<usize> {
        let flags = bits::MAP_PRIVATE | bits::MAP_FIXED_NOREPLACE;
        for at in self.free_pages_near(site, REACH - PAGE) {
            if let Ok(base) = self.map(at, PAGE, TRAMPOLINES, flags, None, Kind::Trampolines) {
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

    /// `mov ecx, ecx` (harmless code of two bytes) before `code`.
    fn after_other_code(code: &[u8]) -> Vec<u8> {
        [[0x89, 0xc9].repeat(24).as_slice(), code].concat()
    }

    #[test]
    fn code_that_runs_straight_to_a_call_is_found() {
        // mov eax, 14
        assert_eq!(lead_in_of(&after_other_code(&[0xb8, 14, 0, 0, 0]), 0x1000, 14), Some(48));
        assert_eq!(lead_in_of(&[0x90, 0xb8, 14, 0, 0, 0], 0x1000, 14), Some(1));
        // mov eax, 14; lea rsi, [rip + 0x1178dd]
        let with_argument = [0xb8, 14, 0, 0, 0, 0x48, 0x8d, 0x35, 0xdd, 0x78, 0x11, 0];
        assert_eq!(lead_in_of(&after_other_code(&with_argument), 0x1000, 14), Some(48));
        assert_eq!(lead_in_of(&after_other_code(&with_argument), 0x1000, 15), None);
        // mov edx, 60; xor edi, edi; mov eax, edx
        let other_register = [0xba, 60, 0, 0, 0, 0x31, 0xff, 0x89, 0xd0];
        assert_eq!(lead_in_of(&after_other_code(&other_register), 0x1000, 60), Some(48));
    }

    #[test]
    fn readings_fall_into_step() {
        // Calls, jumps and moves of all lengths before `mov edx, 60; nop; xor edi, edi; mov eax, edx`; the first two bytes
        // are the end of another instruction.
        let code = [
            0x11, 0x00, 0xe8, 0x6a, 0x62, 0xff, 0xff, 0x48, 0x89, 0xdf, 0xe8, 0xd2, 0xce, 0xff, 0xff, 0xe9,
            0x4c, 0xfd, 0xff, 0xff, 0x48, 0x8b, 0x44, 0x24, 0x08, 0x48, 0x8b, 0xb8, 0x40, 0x06, 0x00, 0x00,
            0xff, 0x90, 0x38, 0x06, 0x00, 0x00, 0xe9, 0x28, 0xfe, 0xff, 0xff, 0x31, 0xf6, 0x83, 0xe8, 0x01,
            0x0f, 0x8f, 0x96, 0x00, 0x00, 0x00, 0xba, 0x3c, 0x00, 0x00, 0x00, 0x66, 0x90, 0x31, 0xff, 0x89,
            0xd0,
        ];
        assert_eq!(lead_in_of(&code, 0x1000, 60), Some(54));
    }

    #[test]
    fn code_that_may_be_something_else_is_left_alone() {
        // mov r8d, 14
        assert_eq!(lead_in_of(&after_other_code(&[0x41, 0xb8, 14, 0, 0, 0]), 0x1000, 14), None);
        // mov eax, 14; jz +0
        assert_eq!(lead_in_of(&after_other_code(&[0xb8, 14, 0, 0, 0, 0x74, 0]), 0x1000, 14), None);
        // mov eax, 14; call +0
        assert_eq!(lead_in_of(&after_other_code(&[0xb8, 14, 0, 0, 0, 0xe8, 0, 0, 0, 0]), 0x1000, 14), None);
        // lea rsi, [rax + 0xeb8]; add [rax], al: the bytes of a mov, but inside other instructions.
        let inside = [0x48, 0x8d, 0xb0, 0xb8, 14, 0, 0, 0, 0, 0x31, 0xff];
        assert_eq!(lead_in_of(&after_other_code(&inside), 0x1000, 14), None);
        // Too little code before it to be sure.
        assert_eq!(lead_in_of(&[0x90, 0xb8, 14, 0, 0, 0, 0x31, 0xff], 0x1000, 14), None);
    }

    #[test]
    fn moved_code_reaches_the_same_addresses() {
        // xor edi, edi; lea rsi, [rip + 0x100]
        let mut code = [0x31, 0xff, 0x48, 0x8d, 0x35, 0, 1, 0, 0];
        move_code(&mut code, 0x2000, 0x1f80).unwrap();
        assert_eq!(code, [0x31, 0xff, 0x48, 0x8d, 0x35, 0x80, 1, 0, 0]);
        assert!(move_code(&mut code, 0x2000, 0x2000 + (1 << 40)).is_err());
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
