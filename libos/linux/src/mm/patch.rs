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

mod code;

use super::known;
use super::space::{self, AddressSpace, Area, Kind, PAGE};
use crate::task::Thread;
use crate::{Errno, Mutex, Result};
use alloc::sync::Arc;
use alloc::vec::Vec;
use code::{BEGINNINGS, MAX_BETWEEN, lead_in_of, move_code, near_jump, padding_in};
use core::sync::atomic::{AtomicU64, Ordering};
use postern_pal::entry::entry_address;
use postern_pal::frame::Frame;
use postern_pal::mem::{self, bits};
use postern_pal::user;

/// Bytes of the longest trampoline.
const MAX_TRAMPOLINE: usize = 64;
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
        known::note(&space, site, frame.call, true);
        // A site that cannot be patched just goes on trapping.
        let _ = patch(thread, &space, site, frame.call);
        return;
    }
    if count == 1 {
        known::note(&space, site, frame.call, false);
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

/// Follows the code behind the site to padding that a short jump reaches.
fn find_padding(site: usize, area_end: usize) -> Result<usize> {
    const WINDOW: usize = 160;
    let start = site + 2;
    let mut code = alloc::vec![0u8; WINDOW.min(area_end - start)];
    let got = user::read_partial(start, &mut code)?;
    code.truncate(got);
    padding_in(&code, start as u64).and_then(|at| usize::try_from(at).ok()).ok_or(Errno::ENOENT)
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
