//! Threads: host threads, one for each thread of an app, with a kernel stack each in the arena.

use crate::errno::{Errno, Result};
use crate::frame::{Frame, flag};
use crate::host::{self, number};
use crate::sync::{self, Mutex};
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::any::Any;
use core::arch::asm;
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use postern_abi::layout::{MAX_THREADS, THREAD_STRIDE, THREADS_BASE};

/// What the personality keeps for a thread.
pub type Task = Arc<dyn Any + Send + Sync>;

/// Offset of the floating-point save area in a thread area. Bytes until [`SIGNAL_STACK`].
pub(crate) const FP_AREA: usize = 0x1000;
/// Offset of the host signal stack.
pub(crate) const SIGNAL_STACK: usize = 0x5000;
/// Offset of the canary below the kernel stack; the signal stack ends here.
pub(crate) const CANARY: usize = 0xf000;
/// Offset of the saved registers: the top of the kernel stack.
pub(crate) const FRAME: usize = THREAD_STRIDE - size_of::<Frame>();

const CANARY_VALUE: u64 = 0x5af3_c0de_7e57_0b0e;

/// The host signal that kicks a thread out of user code.
pub(crate) const KICK: usize = 16;

const CLONE_THREAD: usize = 0x35_0f00;
const CLONE_PROCESS: usize = 0x10_0411;

const STATE_FREE: u32 = 0;
const STATE_LIVE: u32 = 1;
const STATE_EXITED: u32 = 2;

/// Thread control block, at the start of a thread area; GS points to it while its thread runs. The first fields are
/// known to the entry assembly by offset.
#[repr(C)]
pub(crate) struct Control {
    this: usize,
    user_rsp: u64,
    frame: usize,
    /// 1 while the thread runs app code (or is about to). Only for the thread itself and its signal handler.
    pub in_user: AtomicU32,
    /// Work to do before app code goes on.
    pub pending: AtomicU32,
    /// GS base to give the app on the way out; 0 if it has none of its own. Only for the thread itself and its signal
    /// handler, and for its creator before it starts.
    pub user_gs: AtomicU64,
    token: AtomicU32,
    /// 1 while the thread waits in [`park`].
    is_parked: AtomicU32,
    state: AtomicU32,
    host_tid: AtomicU32,
    host_pid: AtomicU32,
    task: UnsafeCell<Option<Task>>,
    next_task: UnsafeCell<Option<Task>>,
    kept: UnsafeCell<[Kept; KEPT]>,
    service: UnsafeCell<Option<fn()>>,
    pub exception: UnsafeCell<crate::frame::Exception>,
    /// Bytes of floating-point state in the save area.
    pub fp_len: UnsafeCell<usize>,
}

/// Names a thread of the family, for waking it. A stale id wakes whoever has the area now, which does no harm.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord, Hash)]
pub struct ThreadId(u32);

fn area(id: ThreadId) -> usize {
    THREADS_BASE + (id.0 as usize) * THREAD_STRIDE
}

pub(crate) fn control(id: ThreadId) -> &'static Control {
    // SAFETY: every area is mapped for the life of the family, zero at first, and all-zero is a valid Control: the
    // options are None (null pointers), the numbers 0. Fields that change are atomic, or in an UnsafeCell that only
    // the area's own thread (or its creator, before it starts) touches.
    unsafe { &*core::ptr::with_exposed_provenance::<Control>(area(id)) }
}

/// The running thread.
#[inline]
#[must_use]
pub fn current() -> ThreadId {
    let this: usize;
    // SAFETY: GS points to the control block whenever Rust code of the library OS runs; its first field is its own
    // address.
    unsafe { asm!("mov {}, gs:[0]", out(reg) this, options(nostack, readonly, preserves_flags)) };
    ThreadId(u32::try_from((this - THREADS_BASE) / THREAD_STRIDE).unwrap_or(0))
}

#[inline]
pub(crate) fn current_control() -> &'static Control {
    control(current())
}

/// Runs `f` on what the personality keeps for the running thread.
pub fn with_task<R>(f: impl FnOnce(Option<&Task>) -> R) -> R {
    // SAFETY: only the running thread changes its own task, and only between calls into the personality.
    f(unsafe { (*current_control().task.get()).as_ref() })
}

/// Makes the running thread continue as `task` once the present call into the personality has returned. This is how
/// a vfork child borrows its parent's thread.
pub fn switch_task(task: Task) {
    // SAFETY: only the running thread touches its own next task.
    unsafe { *current_control().next_task.get() = Some(task) };
}

pub(crate) fn apply_switch(control: &Control) {
    // SAFETY: called by the running thread between calls into the personality, when nothing borrows the task.
    unsafe {
        if let Some(next) = (*control.next_task.get()).take() {
            *control.task.get() = Some(next);
            forget_kept();
        }
    }
}

/// Something that a thread keeps at hand, under a name.
type Kept = (u64, Option<Task>);
/// How many of them; a power of two.
const KEPT: usize = 4;

#[inline]
fn replace_kept(index: usize, new: Kept) -> Kept {
    // SAFETY: only the running thread touches what it keeps, and no reference to it lives longer than this move.
    unsafe {
        (*current_control().kept.get()).get_mut(index).map_or((0, None), |old| core::mem::replace(old, new))
    }
}

#[inline]
fn kept_index(name: u64) -> usize {
    usize::try_from(name % KEPT as u64).unwrap_or(0)
}

/// Takes what the running thread kept under `name`: a cache without locks and without counting references. Whoever
/// keeps something must [`forget_kept`] in time, for it stays alive until then.
#[inline]
#[must_use]
pub fn take_kept(name: u64) -> Option<Arc<dyn Any + Send + Sync>> {
    // SAFETY: as in `replace_kept`.
    let found = unsafe { (*current_control().kept.get()).get_mut(kept_index(name)).filter(|k| k.0 == name)? };
    found.1.take()
}

/// Keeps `object` for the running thread until it is taken or forgotten, or until another one needs the place.
#[inline]
pub fn keep(name: u64, object: Arc<dyn Any + Send + Sync>) {
    drop(replace_kept(kept_index(name), (name, Some(object))));
}

/// Forgets all that the running thread keeps. Done also when it switches its task, and when it exits.
pub fn forget_kept() {
    for index in 0..KEPT {
        drop(replace_kept(index, (0, None)));
    }
}

pub(crate) fn check_canary(control: &Control) -> bool {
    let at = core::ptr::from_ref(control).addr() + CANARY;
    // SAFETY: the canary is in the thread's own area.
    unsafe { core::ptr::with_exposed_provenance::<u64>(at).read() == CANARY_VALUE }
}

struct Areas {
    next: u32,
    exited: VecDeque<u32>,
}

static AREAS: Mutex<Areas> = Mutex::new(Areas { next: 0, exited: VecDeque::new() });

fn is_gone(id: ThreadId) -> bool {
    let control = control(id);
    if control.state.load(Ordering::Acquire) != STATE_EXITED {
        return false;
    }
    let pid = control.host_pid.load(Ordering::Relaxed) as usize;
    let tid = control.host_tid.load(Ordering::Acquire) as usize;
    if tid == 0 {
        // The host clears the number of a thread (`CLONE_CHILD_CLEARTID`) when it never runs user code again.
        return true;
    }
    // SAFETY: signal 0 only asks. Where the filter allows no signals the answer is EPERM, and nobody knows.
    let asked = unsafe { host::call(number::TGKILL, [pid, tid, 0, 0, 0, 0]) };
    asked == Err(Errno::ESRCH)
}

fn allocate_area() -> Result<ThreadId> {
    let mut areas = AREAS.lock();
    for _ in 0..areas.exited.len().min(8) {
        let Some(index) = areas.exited.pop_front() else { break };
        let id = ThreadId(index);
        if is_gone(id) {
            control(id).state.store(STATE_FREE, Ordering::Relaxed);
            return Ok(id);
        }
        areas.exited.push_back(index);
    }
    if areas.next as usize >= MAX_THREADS {
        return Err(Errno::EAGAIN);
    }
    areas.next += 1;
    Ok(ThreadId(areas.next - 1))
}

/// Prepares an area for a new thread that starts in app code with `frame`, as `task`.
fn prepare(task: Option<Task>, service: Option<fn()>, frame: &Frame, fs: u64) -> Result<(ThreadId, usize)> {
    let id = allocate_area()?;
    let base = area(id);
    let control = control(id);
    let frame_at = base + FRAME;
    // SAFETY: the area belongs to no thread (fresh, or its host thread is gone), so this is the only access to it.
    unsafe {
        let raw = core::ptr::with_exposed_provenance_mut::<Control>(base);
        (*raw).this = base;
        (*raw).user_rsp = 0;
        (*raw).frame = frame_at;
        *control.task.get() = task;
        *control.next_task.get() = None;
        *control.kept.get() = [const { (0, None) }; KEPT];
        *control.service.get() = service;
        core::ptr::with_exposed_provenance_mut::<u64>(base + CANARY).write(CANARY_VALUE);
        core::ptr::with_exposed_provenance_mut::<Frame>(frame_at).write(*frame);
        // What pal_child_start pops: the control block and the FS base.
        let top = core::ptr::with_exposed_provenance_mut::<u64>(frame_at - 16);
        top.write(base as u64);
        top.add(1).write(fs);
    }
    control.in_user.store(0, Ordering::Relaxed);
    control.pending.store(0, Ordering::Relaxed);
    control.user_gs.store(0, Ordering::Relaxed);
    control.is_parked.store(0, Ordering::Relaxed);
    control.token.store(0, Ordering::Relaxed);
    control.host_tid.store(0, Ordering::Relaxed);
    control.state.store(STATE_LIVE, Ordering::Release);
    Ok((id, frame_at - 16))
}

fn start(id: ThreadId, stack: usize, flags: usize) -> Result<ThreadId> {
    let new = control(id);
    let pid = current_control().host_pid.load(Ordering::Relaxed);
    // A thread shares the caller's host process; a process learns its own number from its thread id.
    new.host_pid.store(if flags == CLONE_THREAD { pid } else { 0 }, Ordering::Relaxed);
    let tid = core::ptr::from_ref(&new.host_tid).addr();
    let clear = if flags == CLONE_THREAD { tid } else { 0 };
    // SAFETY: the child runs on its own stack in its own area, which `prepare` filled for pal_child_start; with
    // CLONE_VM it shares our memory as a thread does, without it the kernel half is shared memory and the rest is
    // the app's. The host writes only the child's thread id.
    let value = unsafe { host::pal_clone(flags, stack, tid, clear) };
    match Errno::check(value) {
        Ok(_) => Ok(id),
        Err(error) => {
            // SAFETY: no thread ever ran in the area.
            unsafe { *new.task.get() = None };
            new.state.store(STATE_EXITED, Ordering::Release);
            AREAS.lock().exited.push_back(id.0);
            Err(error)
        }
    }
}

/// Starts a thread in this process. It inherits the GS base of the running one.
///
/// # Errors
/// `EAGAIN` where there are too many.
pub fn spawn(task: Task, frame: &Frame, fs: u64) -> Result<ThreadId> {
    let (id, stack) = prepare(Some(task), None, frame, fs)?;
    control(id).user_gs.store(gs_base(), Ordering::Relaxed);
    start(id, stack, CLONE_THREAD)
}

/// Starts a picoprocess with a copy of the user half of this one, and with the GS base of the running thread.
///
/// # Errors
/// `EAGAIN` or `ENOMEM` where the host refuses.
pub fn fork(task: Task, frame: &Frame, fs: u64) -> Result<ThreadId> {
    let (id, stack) = prepare(Some(task), None, frame, fs)?;
    control(id).user_gs.store(gs_base(), Ordering::Relaxed);
    start(id, stack, CLONE_PROCESS)
}

/// Starts a thread in this process that runs `service` in the kernel half and never enters app code. Only for the
/// keeper.
///
/// # Errors
/// `EAGAIN` where there are too many.
pub fn spawn_service(service: fn()) -> Result<ThreadId> {
    let (id, stack) = prepare(None, Some(service), &Frame::zeroed(), 0)?;
    start(id, stack, CLONE_THREAD)
}

/// Makes area 0 the keeper's first thread. Returns its frame address.
///
/// # Safety
/// Called once, by start-up, before any other thread exists.
pub(crate) unsafe fn adopt_keeper(host_pid: u32) -> Result<usize> {
    let (id, _) = prepare(None, None, &Frame::zeroed(), 0)?;
    let control = control(id);
    control.host_pid.store(host_pid, Ordering::Relaxed);
    control.host_tid.store(host_pid, Ordering::Relaxed);
    let base = area(id);
    // SAFETY: sets GS to the control block of this thread; nothing used GS before.
    unsafe { asm!("wrgsbase {}", in(reg) base, options(nostack, preserves_flags)) };
    set_signal_stack(base);
    Ok(base + FRAME)
}

/// Sets GS to the thread's area `base` in the thread's signal handler. Returns the app's own GS base, if it had one.
pub(crate) fn take_base(base: usize) -> Option<u64> {
    let now: usize;
    // SAFETY: reads a register.
    unsafe { asm!("rdgsbase {}", out(reg) now, options(nomem, nostack, preserves_flags)) };
    if now == base {
        return None;
    }
    // SAFETY: sets GS to the control block of this thread, as everywhere in the kernel half.
    unsafe { asm!("wrgsbase {}", in(reg) base, options(nostack, preserves_flags)) };
    Some(now as u64)
}

/// Gives back what [`take_base`] took, for code that the signal only interrupted.
pub(crate) fn give_base(app: u64) {
    // SAFETY: the register had this value before; the handler uses GS no more.
    unsafe { asm!("wrgsbase {}", in(reg) app, options(nostack, preserves_flags)) };
}

fn set_signal_stack(base: usize) {
    let stack: [usize; 3] = [base + SIGNAL_STACK, 0, CANARY - SIGNAL_STACK];
    // SAFETY: the range is the part of the thread's area that is set aside for host signals.
    let _ = unsafe { host::call(number::SIGALTSTACK, [stack.as_ptr().addr(), 0, 0, 0, 0, 0]) };
}

/// First Rust code of a new thread, on its kernel stack.
#[unsafe(no_mangle)]
extern "C" fn pal_child_rust(base: usize) {
    set_signal_stack(base);
    let control = current_control();
    if control.host_pid.load(Ordering::Relaxed) == 0 {
        // The host wrote our thread id before we ran; a new process has the same number.
        control.host_pid.store(control.host_tid.load(Ordering::Relaxed), Ordering::Relaxed);
    }
    // SAFETY: only this thread reads its own service after the creator wrote it.
    if let Some(service) = unsafe { *control.service.get() } {
        service();
        crate::report::panic("a service thread ended");
    }
    crate::entry::thread_started(control);
}

/// Ends the running host thread. The personality must have dropped every lock; its reference to the task is
/// dropped here.
pub fn exit() -> ! {
    let id = current();
    let control = control(id);
    forget_kept();
    // SAFETY: the thread never comes back to use its task.
    let task = unsafe { (*control.task.get()).take() };
    drop(task);
    // SAFETY: as above.
    let next = unsafe { (*control.next_task.get()).take() };
    drop(next);
    control.pending.store(0, Ordering::Relaxed);
    AREAS.lock().exited.push_back(id.0);
    let state = core::ptr::from_ref(&control.state).cast_mut().cast::<u32>();
    // SAFETY: after the store others may take the area once the host thread is gone, which they ask the host for.
    unsafe { host::pal_exit_host_thread(state, STATE_EXITED) }
}

/// The host's ids of a thread's process and of itself, in the family's own PID namespace.
#[must_use]
pub fn host_ids(id: ThreadId) -> (u32, u32) {
    let control = control(id);
    (control.host_pid.load(Ordering::Relaxed), control.host_tid.load(Ordering::Relaxed))
}

/// Whether the host still has the process of `id`.
#[must_use]
pub fn host_process_exists(pid: u32) -> bool {
    // SAFETY: signal 0 only asks. Where the filter allows no signals the answer is EPERM, and nobody knows.
    let asked = unsafe { host::call(number::TGKILL, [pid as usize, pid as usize, 0, 0, 0, 0]) };
    asked != Err(Errno::ESRCH)
}

/// Waits for [`unpark`], at most until `deadline` (monotonic nanoseconds). One `unpark` is remembered, so there is no
/// lost wake-up; returns early at times.
pub fn park(deadline: Option<u64>) {
    let control = current_control();
    let token = &control.token;
    if token.swap(0, Ordering::AcqRel) != 0 {
        look_up(control);
        return;
    }
    control.is_parked.swap(1, Ordering::SeqCst);
    sync::futex_wait(token, 0, deadline);
    // Before the thread looks whether it was kicked: see [`kick`].
    control.is_parked.swap(0, Ordering::SeqCst);
    // A full fence: an `unpark` that comes after what the thread looks at next must find the token taken.
    token.swap(0, Ordering::SeqCst);
    look_up(control);
}

/// The personality sees whether a thread that waits has to do something meanwhile.
fn look_up(control: &Control) {
    if control.pending.load(Ordering::Acquire) != 0 {
        with_task(|task| task.map(|task| crate::entry::kernel().parked(task)));
    }
}

/// Wakes a thread from [`park`], or makes its next `park` return at once.
pub fn unpark(id: ThreadId) {
    let token = &control(id).token;
    if token.swap(1, Ordering::AcqRel) == 0 {
        sync::futex_wake(token, 1);
    }
}

/// Makes a thread look for pending work (signals): at once if it runs app code, else before it returns there. Also
/// wakes it from [`park`].
///
/// The way out to app code reads `pending` without a fence, which would cost every system call dear. So the kicker may
/// only spare the signal where the thread is known to pass a fence first: while it is parked.
pub fn kick(id: ThreadId) {
    let control = control(id);
    control.pending.swap(1, Ordering::SeqCst);
    if id == current() {
        // It is not parked, and looks before it returns to app code.
        return;
    }
    if control.is_parked.load(Ordering::SeqCst) == 0 {
        let (pid, tid) = host_ids(id);
        // SAFETY: the signal's handler is ours and only diverts the thread.
        let _ = unsafe { host::call(number::TGKILL, [pid as usize, tid as usize, KICK, 0, 0, 0]) };
    }
    unpark(id);
}

/// Whether a thread waits in [`park`]: it passes a fence before it does anything else.
#[must_use]
pub fn is_parked(id: ThreadId) -> bool {
    control(id).is_parked.load(Ordering::SeqCst) != 0
}

/// Whether a thread that was kicked has noticed since, which takes a fence, or [`is_parked`].
#[must_use]
pub fn has_noticed(id: ThreadId) -> bool {
    control(id).pending.load(Ordering::SeqCst) == 0 || is_parked(id)
}

/// Whether the running thread was kicked since it last handled pending work.
#[must_use]
pub fn is_kicked() -> bool {
    current_control().pending.load(Ordering::Acquire) != 0
}

/// Ends the host process of `id` at once. For processes that must not run another instruction.
pub fn kill_host_process(id: ThreadId) {
    let (pid, tid) = host_ids(id);
    // SAFETY: ends another picoprocess of the family; the caller knows that no lock is held by it.
    let _ = unsafe { host::call(number::TGKILL, [pid as usize, tid as usize, 9, 0, 0, 0]) };
}

/// The processor that the running thread is on at this moment, as the host numbers it.
#[must_use]
pub fn processor() -> u32 {
    // The segment whose limit Linux lets user mode read for this: processor in the low 12 bits, node above.
    const SEGMENT: u32 = 0x7b;
    let mut limit = 0u32;
    // SAFETY: reads the limit of a segment; where there is no such segment nothing is written.
    unsafe { asm!("lsl {0:e}, {1:e}", inout(reg) limit, in(reg) SEGMENT, options(nomem, nostack)) };
    limit & 0xfff
}

/// FS base of the app (its thread pointer).
#[must_use]
pub fn fs_base() -> u64 {
    let value: u64;
    // SAFETY: reads a register.
    unsafe { asm!("rdfsbase {}", out(reg) value, options(nomem, nostack, preserves_flags)) };
    value
}

/// Sets the app's FS base. `false` if the address is not canonical.
#[must_use]
pub fn set_fs_base(value: u64) -> bool {
    if value >= 0x8000_0000_0000 {
        return false;
    }
    // SAFETY: a canonical address; the library OS itself does not use FS.
    unsafe { asm!("wrfsbase {}", in(reg) value, options(nomem, nostack, preserves_flags)) };
    true
}

/// GS base of the app; 0 if it has none of its own.
#[must_use]
pub fn gs_base() -> u64 {
    current_control().user_gs.load(Ordering::Relaxed)
}

/// Sets the app's GS base. Takes effect when app code goes on. `false` if the address is not canonical.
#[must_use]
pub fn set_gs_base(value: u64) -> bool {
    if value >= 0x8000_0000_0000 {
        return false;
    }
    current_control().user_gs.store(value, Ordering::Relaxed);
    true
}

/// The app's whole floating-point and vector state in the XSAVE standard format, as a signal frame holds it.
/// `frame` must be the running thread's own.
#[must_use]
pub fn fp_state(frame: &mut Frame) -> &'static [u8] {
    let control = current_control();
    let at = core::ptr::from_ref(control).addr() + FP_AREA;
    if frame.flags & flag::FP == 0 {
        crate::entry::save_fp(frame, at);
        frame.flags |= flag::FP;
    }
    // SAFETY: the save area is the thread's own; its length was set by the code that filled it.
    unsafe {
        let len = (*control.fp_len.get()).clamp(576, SIGNAL_STACK - FP_AREA);
        core::slice::from_raw_parts(core::ptr::with_exposed_provenance::<u8>(at), len)
    }
}

/// Replaces the app's floating-point state by `bytes` (XSAVE standard format, at least the 512 legacy bytes), made
/// harmless: reserved bits are cleared. Takes effect when app code goes on.
pub fn set_fp_state(frame: &mut Frame, bytes: &[u8]) {
    crate::entry::load_fp(frame, bytes);
}

impl ThreadId {
    /// As a number, for storing in an atomic.
    #[must_use]
    pub fn index(self) -> u32 {
        self.0
    }

    /// From a stored number; `None` if there is no such area.
    #[must_use]
    pub fn from_index(index: u32) -> Option<Self> {
        ((index as usize) < MAX_THREADS).then_some(Self(index))
    }
}
