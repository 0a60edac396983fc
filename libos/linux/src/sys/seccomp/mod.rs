//! seccomp(2): filters that an app installs for itself. They see every call, whichever way it came in, because all ways
//! lead through one place; the host's own filter, which confines the picoprocess, has nothing to do with them.

mod program;

use crate::call::Call;
use crate::signal::{self, Info};
use crate::sys::capability::cap;
use crate::task::process::Status;
use crate::task::{Thread, exit};
use crate::{Errno, Mutex, Result};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering};
use postern_pal::frame::Frame;
use postern_pal::thread as host_thread;
use postern_pal::user;
use program::{Instruction, Program};

/// `SECCOMP_MODE_*`.
const OFF: u32 = 0;
const STRICT: u32 = 1;
const FILTER: u32 = 2;
/// `AUDIT_ARCH_X86_64`.
const ARCHITECTURE: u32 = 0xc000_003e;
/// Most instructions of all filters of a thread, each counted with [`PENALTY`] more.
const MAX_ON_PATH: usize = 32768;
const PENALTY: usize = 4;

/// `SECCOMP_RET_*`: what a filter answers, without its data.
mod action {
    pub const KILL_PROCESS: u32 = 0x8000_0000;
    pub const KILL_THREAD: u32 = 0;
    pub const TRAP: u32 = 0x0003_0000;
    pub const ERRNO: u32 = 0x0005_0000;
    pub const TRACE: u32 = 0x7ff0_0000;
    pub const LOG: u32 = 0x7ffc_0000;
    pub const ALLOW: u32 = 0x7fff_0000;
    pub const MASK: u32 = 0xffff_0000;
}

/// `SECCOMP_FILTER_FLAG_*`.
mod flag {
    pub const TSYNC: u32 = 1;
    pub const LOG: u32 = 2;
    pub const SPEC_ALLOW: u32 = 4;
    pub const TSYNC_ESRCH: u32 = 16;
}

/// A filter, and those that were installed before it.
struct Filter {
    program: Program,
    before: Option<Arc<Filter>>,
    /// How many there are, with this one.
    count: u32,
    /// Instructions of all of them, as Linux counts them.
    cost: usize,
}

/// What holds for the calls of a thread.
#[derive(Default)]
pub struct Seccomp {
    mode: AtomicU32,
    filters: Mutex<Option<Arc<Filter>>>,
}

impl Seccomp {
    /// Takes over what holds for the creator.
    pub fn inherit(&self, from: &Self) {
        let mode = from.mode.load(Ordering::Acquire);
        if mode != OFF {
            self.filters.lock().clone_from(&from.filters.lock());
            self.mode.store(mode, Ordering::Release);
        }
    }

    /// `SECCOMP_MODE_*`, and how many filters there are: /proc/PID/status.
    #[must_use]
    pub fn state(&self) -> (u32, u32) {
        (self.mode.load(Ordering::Acquire), self.filters.lock().as_ref().map_or(0, |filter| filter.count))
    }

    /// Whether calls have to be looked at.
    #[inline]
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.mode.load(Ordering::Relaxed) != OFF
    }

    /// What all filters together answer to a call: the most severe, of equals the one of the newest.
    fn answer(&self, data: &[u32; 16]) -> u32 {
        let newest = self.filters.lock().clone();
        let mut answer = action::ALLOW;
        let mut at = newest.as_ref();
        while let Some(filter) = at {
            let next = filter.program.run(data);
            // As signed numbers the actions are in order of severity.
            if (next & action::MASK).cast_signed() < (answer & action::MASK).cast_signed() {
                answer = next;
            }
            at = filter.before.as_ref();
        }
        answer
    }
}

impl Drop for Filter {
    fn drop(&mut self) {
        // Not by recursion: there may be thousands.
        let mut before = self.before.take();
        while let Some(filter) = before {
            before = Arc::into_inner(filter).and_then(|mut filter| filter.before.take());
        }
    }
}

/// The words of `struct seccomp_data`.
fn describe(frame: &Frame) -> [u32; 16] {
    let mut data = [0; 16];
    let low = |word: u64| u32::try_from(word & 0xffff_ffff).unwrap_or(0);
    data[0] = low(frame.call);
    data[1] = ARCHITECTURE;
    let words = core::iter::once(frame.rip).chain(frame.args());
    for (slot, word) in data[2..].chunks_exact_mut(2).zip(words) {
        slot.copy_from_slice(&[low(word), low(word >> 32)]);
    }
    data
}

/// Whether the call in the frame is to be made. If not, the frame or the thread's fate is settled.
pub fn lets_pass(thread: &Arc<Thread>, frame: &mut Frame) -> bool {
    let seccomp = &thread.settings.seccomp;
    if seccomp.mode.load(Ordering::Acquire) == STRICT {
        const ALLOWED: [u64; 4] = [0, 1, 60, 15];
        if ALLOWED.contains(&frame.call) {
            return true;
        }
        end(thread, Status::Killed(9, false));
        return false;
    }
    let answer = seccomp.answer(&describe(frame));
    let data = answer & !action::MASK;
    match answer & action::MASK {
        action::ALLOW | action::LOG => return true,
        action::ERRNO => frame.rax = u64::from(data.min(4095)).wrapping_neg(),
        action::TRACE => frame.rax = Errno::ENOSYS.to_return(),
        action::TRAP => {
            frame.rax = frame.call;
            let number = describe(frame)[0];
            signal::force(thread, Info::seccomp(data, frame.rip, number, ARCHITECTURE));
        }
        action::KILL_THREAD if thread.process.state.lock().threads.len() > 1 => {
            thread.must_exit.store(1, Ordering::Release);
            host_thread::kick(host_thread::current());
        }
        // So says Linux of answers that it does not know.
        _ => {
            let number = describe(frame)[0];
            signal::force_fatal(thread, Info::seccomp(data, frame.rip, number, ARCHITECTURE));
        }
    }
    false
}

fn end(thread: &Arc<Thread>, status: Status) {
    exit::end_process(&thread.process, status);
    host_thread::kick(host_thread::current());
}

fn set_strict(call: &Call<'_>) -> Result<u64> {
    let mode = &call.thread.settings.seccomp.mode;
    match mode.compare_exchange(OFF, STRICT, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) | Err(STRICT) => Ok(0),
        Err(_) => Err(Errno::EINVAL),
    }
}

/// Reads a `struct sock_fprog`: how many instructions there are, and where.
fn read_header(at: usize) -> Result<(usize, usize)> {
    let [len, instructions]: [u64; 2] = user::read(at)?;
    let len = usize::try_from(len & 0xffff).unwrap_or(0);
    if len == 0 || len > program::MAX_LEN {
        return Err(Errno::EINVAL);
    }
    Ok((len, usize::try_from(instructions).map_err(|_| Errno::EFAULT)?))
}

fn read_program((len, at): (usize, usize)) -> Result<Program> {
    let mut list: Vec<Instruction> = Vec::with_capacity(len);
    for index in 0..len {
        list.push(user::read(at.wrapping_add(index * size_of::<Instruction>()))?);
    }
    Program::new(list)
}

/// Whether `ancestor` is `filter` or one of those before it, or none at all.
fn is_before(ancestor: Option<&Arc<Filter>>, filter: Option<&Arc<Filter>>) -> bool {
    let Some(ancestor) = ancestor else { return true };
    let mut at = filter;
    while let Some(filter) = at {
        if Arc::ptr_eq(ancestor, filter) {
            return true;
        }
        at = filter.before.as_ref();
    }
    false
}

fn set_filter(call: &Call<'_>, flags: u32, at: usize) -> Result<u64> {
    if flags & !(flag::TSYNC | flag::LOG | flag::SPEC_ALLOW | flag::TSYNC_ESRCH) != 0 {
        return Err(Errno::EINVAL);
    }
    // Before the rights: programs learn by EFAULT that there are filters at all.
    let header = read_header(at)?;
    let own = &call.thread.settings;
    // A filter could fool a program that has more rights than who installed it.
    let has_rights = call.process().identity.lock().capabilities.has(cap::SYS_ADMIN);
    if own.no_new_privileges.load(Ordering::Relaxed) == 0 && !has_rights {
        return Err(Errno::EACCES);
    }
    let program = read_program(header)?;
    if own.seccomp.mode.load(Ordering::Acquire) == STRICT {
        return Err(Errno::EINVAL);
    }
    // Held until all threads have it: two that synchronise at once must not cross.
    let state = call.process().state.lock();
    let before = own.seccomp.filters.lock().clone();
    let others = || state.threads.iter().filter(|other| !Arc::ptr_eq(other, call.thread));
    if flags & flag::TSYNC != 0 {
        for other in others() {
            let theirs = &other.settings.seccomp;
            if theirs.mode.load(Ordering::Acquire) == STRICT
                || !is_before(theirs.filters.lock().as_ref(), before.as_ref())
            {
                return if flags & flag::TSYNC_ESRCH != 0 { Err(Errno::ESRCH) } else { Ok(other.tid.into()) };
            }
        }
    }
    let count = before.as_ref().map_or(1, |before| before.count.saturating_add(1));
    let cost = before.as_ref().map_or(0, |before| before.cost) + program.len() + PENALTY;
    if cost - PENALTY > MAX_ON_PATH {
        return Err(Errno::ENOMEM);
    }
    let filter = Arc::new(Filter { program, before, count, cost });
    let apply = |thread: &Thread| {
        let settings = &thread.settings;
        *settings.seccomp.filters.lock() = Some(filter.clone());
        settings.seccomp.mode.store(FILTER, Ordering::Release);
    };
    apply(call.thread);
    if flags & flag::TSYNC != 0 {
        for other in others() {
            let privileges = own.no_new_privileges.load(Ordering::Relaxed);
            other.settings.no_new_privileges.fetch_or(privileges, Ordering::Relaxed);
            apply(other);
        }
    }
    Ok(0)
}

/// seccomp(2). `SECCOMP_FILTER_FLAG_NEW_LISTENER` is refused.
///
/// # Errors
/// As the manual page says.
pub fn seccomp(call: &mut Call<'_>) -> Result<u64> {
    const SET_MODE_STRICT: u32 = 0;
    const SET_MODE_FILTER: u32 = 1;
    const GET_ACTION_AVAIL: u32 = 2;
    let (operation, flags, argument) = (call.uint(0), call.uint(1), call.word(2));
    match operation {
        SET_MODE_STRICT if flags == 0 && argument == 0 => set_strict(call),
        SET_MODE_FILTER => set_filter(call, flags, argument),
        GET_ACTION_AVAIL if flags == 0 => {
            use action::{ALLOW, ERRNO, KILL_PROCESS, KILL_THREAD, LOG, TRACE, TRAP};
            let asked: u32 = user::read(argument)?;
            let known = [KILL_PROCESS, KILL_THREAD, TRAP, ERRNO, TRACE, LOG, ALLOW];
            if known.contains(&asked) { Ok(0) } else { Err(Errno::EOPNOTSUPP) }
        }
        _ => Err(Errno::EINVAL),
    }
}

/// `PR_SET_SECCOMP`.
///
/// # Errors
/// As prctl(2) says.
pub fn set(call: &Call<'_>) -> Result<u64> {
    match call.raw(1) {
        1 => set_strict(call),
        2 => set_filter(call, 0, call.word(2)),
        _ => Err(Errno::EINVAL),
    }
}
