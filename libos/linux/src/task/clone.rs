//! fork(2), vfork(2), clone(2) and clone3(2).
//!
//! - A *thread* is a host thread in the same picoprocess.
//! - A *fork* is a host clone without `CLONE_VM`: the host copies app memory on write; kernel objects are in the arena
//!   and stay shared.
//! - A *vfork* child runs on its parent's host thread, in the parent's memory, until it executes a program or exits;
//!   the parent waits meanwhile, as vfork means it. A program that it executes starts in a clean picoprocess forked
//!   from the keeper, so that the cost does not grow with the parent's size.
//! - Any other child with `CLONE_VM` is a host thread in the picoprocess of its parent; a program that either of the two
//!   executes starts in a clean one, too.

use super::process::{self, ProcessState, Usage};
use super::{FsContext, Limits, Process, Thread, exit, limits, resource};
use crate::call::Call;
use crate::mm::patch;
use crate::signal::ThreadSignals;
use crate::sys::capability::cap;
use crate::wait::WaitQueue;
use crate::{Errno, Mutex, Result, kernel, signal};
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, Ordering};
use postern_pal::frame::Frame;
use postern_pal::thread as host_thread;
use postern_pal::user;

const CLONE_VM: u64 = 0x100;
const CLONE_FS: u64 = 0x200;
const CLONE_FILES: u64 = 0x400;
const CLONE_SIGHAND: u64 = 0x800;
const CLONE_PIDFD: u64 = 0x1000;
const CLONE_VFORK: u64 = 0x4000;
const CLONE_PARENT: u64 = 0x8000;
const CLONE_THREAD: u64 = 0x1_0000;
const CLONE_NEW: u64 = 0x7e02_0080;
const CLONE_SETTLS: u64 = 0x8_0000;
const CLONE_PARENT_SETTID: u64 = 0x10_0000;
const CLONE_CHILD_CLEARTID: u64 = 0x20_0000;
const CLONE_CHILD_SETTID: u64 = 0x100_0000;
const CLONE_CLEAR_SIGHAND: u64 = 0x1_0000_0000;
const CSIGNAL: u64 = 0xff;
/// What clone3 takes: all flags but `CLONE_DETACHED`, and no signal.
const CLONE_KNOWN: u64 = 0x1_ffbf_ff00;
/// Most ids that clone3 takes, one for each nested namespace.
const MAX_TIDS: u64 = 32;

/// What a vfork child gives back: whose host thread it runs on and where that one continues.
pub struct Lender {
    thread: Arc<Thread>,
    frame: Frame,
    fs_base: u64,
    gs_base: u64,
}

impl Lender {
    /// Whether this is the thread that lent.
    #[must_use]
    pub fn is(&self, thread: &Arc<Thread>) -> bool {
        Arc::ptr_eq(&self.thread, thread)
    }
}

/// Arguments of clone, whichever call they came by.
struct Request {
    flags: u64,
    exit_signal: u32,
    stack: u64,
    parent_tid: usize,
    child_tid: usize,
    /// Where the descriptor of the child goes, with `CLONE_PIDFD`.
    pidfd: usize,
    tls: u64,
}

/// fork(2).
///
/// # Errors
/// As the manual page says.
pub fn fork(call: &mut Call<'_>) -> Result<u64> {
    run(call, &Request { flags: 0, exit_signal: 17, stack: 0, parent_tid: 0, child_tid: 0, pidfd: 0, tls: 0 })
}

/// vfork(2).
///
/// # Errors
/// As the manual page says.
pub fn vfork(call: &mut Call<'_>) -> Result<u64> {
    let flags = CLONE_VM | CLONE_VFORK;
    run(call, &Request { flags, exit_signal: 17, stack: 0, parent_tid: 0, child_tid: 0, pidfd: 0, tls: 0 })
}

/// clone(2).
///
/// # Errors
/// As the manual page says; `EPERM` for namespaces.
pub fn clone(call: &mut Call<'_>) -> Result<u64> {
    let raw = call.raw(0);
    let request = Request {
        flags: raw & !CSIGNAL & 0xffff_ffff,
        exit_signal: u32::try_from(raw & CSIGNAL).unwrap_or(0),
        stack: call.raw(1),
        parent_tid: call.word(2),
        child_tid: call.word(3),
        // The same argument serves both.
        pidfd: call.word(2),
        tls: call.raw(4),
    };
    if request.flags & CLONE_PIDFD != 0 && request.flags & CLONE_PARENT_SETTID != 0 {
        return Err(Errno::EINVAL);
    }
    run(call, &request)
}

/// clone3(2).
///
/// # Errors
/// As the manual page says; `EPERM` for namespaces.
pub fn clone3(call: &mut Call<'_>) -> Result<u64> {
    let (addr, size) = (call.word(0), call.word(1));
    if size < 64 {
        return Err(Errno::EINVAL);
    }
    if size > 4096 {
        return Err(Errno::E2BIG);
    }
    let [flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls]: [u64; 8] =
        user::read(addr)?;
    let extra = |at: usize| if size > at { user::load_u64(addr.wrapping_add(at)) } else { Ok(0) };
    let (set_tid, set_tid_size) = (extra(64)?, extra(72)?);
    for at in (88..size).step_by(8) {
        if extra(at)? != 0 {
            return Err(Errno::E2BIG);
        }
    }
    // Control groups are not there.
    if flags & !CLONE_KNOWN != 0 || (set_tid != 0) != (set_tid_size != 0) || set_tid_size > MAX_TIDS {
        return Err(Errno::EINVAL);
    }
    if set_tid != 0 {
        // Choosing the id needs privileges that apps do not have.
        return Err(Errno::EPERM);
    }
    if exit_signal & !CSIGNAL != 0 || (stack == 0) != (stack_size == 0) {
        return Err(Errno::EINVAL);
    }
    let word = |v: u64| usize::try_from(v).unwrap_or(usize::MAX);
    let request = Request {
        flags,
        exit_signal: u32::try_from(exit_signal).unwrap_or(0),
        stack: stack.wrapping_add(stack_size),
        parent_tid: word(parent_tid),
        child_tid: word(child_tid),
        pidfd: word(pidfd),
        tls,
    };
    run(call, &request)
}

fn run(call: &mut Call<'_>, request: &Request) -> Result<u64> {
    let flags = request.flags;
    if flags & CLONE_NEW != 0 {
        return Err(Errno::EPERM);
    }
    let has = |flag| flags & flag != 0;
    if has(CLONE_THREAD) && (has(CLONE_PIDFD) || !has(CLONE_SIGHAND))
        || has(CLONE_SIGHAND) && (has(CLONE_CLEAR_SIGHAND) || !has(CLONE_VM))
        || request.exit_signal > 64
    {
        return Err(Errno::EINVAL);
    }
    call.thread.fs_base.store(host_thread::fs_base(), Ordering::Relaxed);
    if flags & CLONE_THREAD != 0 {
        // Descriptors and the working directory are the process' here.
        if flags & (CLONE_FILES | CLONE_FS) != CLONE_FILES | CLONE_FS {
            return Err(Errno::EINVAL);
        }
        spawn(call, request)
    } else if flags & (CLONE_VM | CLONE_VFORK) == CLONE_VM | CLONE_VFORK {
        lend(call, request)
    } else if flags & CLONE_VM != 0 {
        share(call, request)
    } else {
        fork_process(call, request)
    }
}

fn child_frame(frame: &Frame, request: &Request) -> Frame {
    let mut child = *frame;
    child.rax = 0;
    child.call = u64::MAX;
    if request.stack != 0 {
        child.rsp = request.stack;
    }
    child
}

fn child_fs(thread: &Thread, request: &Request) -> Result<u64> {
    if request.flags & CLONE_SETTLS == 0 {
        return Ok(thread.fs_base.load(Ordering::Relaxed));
    }
    if request.tls >= 0x8000_0000_0000 {
        return Err(Errno::EPERM);
    }
    Ok(request.tls)
}

fn set_tid_words(thread: &Thread, request: &Request) -> Result<()> {
    if request.flags & CLONE_CHILD_CLEARTID != 0 {
        thread.clear_child_tid.store(request.child_tid, Ordering::Relaxed);
    }
    if request.flags & CLONE_CHILD_SETTID != 0 {
        thread.set_child_tid.store(request.child_tid, Ordering::Relaxed);
    }
    if request.flags & CLONE_PARENT_SETTID != 0 {
        user::write(request.parent_tid, &thread.tid)?;
    }
    Ok(())
}

fn spawn(call: &mut Call<'_>, request: &Request) -> Result<u64> {
    let parent = call.thread;
    let process = parent.process.clone();
    let fs = child_fs(parent, request)?;
    process.files.share();
    let name = *parent.name.lock();
    let id = process::allocate_id(task_limit(&process))?;
    let thread = Thread::new(id, process.clone(), name, ThreadSignals::for_thread(&parent.signals));
    process::register_thread(&thread);
    thread.settings.inherit(&parent.settings);
    thread.fs_base.store(fs, Ordering::Relaxed);
    let added = set_tid_words(&thread, request).and_then(|()| {
        let mut state = process.state.lock();
        if state.exiting.is_some() {
            return Err(Errno::ERESTARTNOINTR);
        }
        // Again, under the lock: another thread may just give all of the process a filter.
        thread.settings.seccomp.inherit(&parent.settings.seccomp);
        state.threads.push(thread.clone());
        Ok(())
    });
    if let Err(errno) = added {
        process::forget_thread(thread.tid);
        return Err(errno);
    }
    let frame = child_frame(call.frame, request);
    match host_thread::spawn(kernel::task_of(&thread), &frame, fs) {
        Ok(_) => Ok(u64::from(thread.tid)),
        Err(errno) => {
            process.state.lock().threads.retain(|t| !Arc::ptr_eq(t, &thread));
            process::forget_thread(thread.tid);
            process.changed.wake();
            Err(errno)
        }
    }
}

/// The number of processes and threads that keeps `process` from making another one. Root inside is bound by the
/// most that the app may have only.
fn task_limit(process: &Process) -> u64 {
    let is_exempt = process.identity.lock().may(cap::SYS_RESOURCE);
    if is_exempt { limits::INFINITY } else { process.limits.soft(resource::NPROC) }
}

/// The copy of a process that fork and vfork make, with its one thread. Signals that wait are handled first.
fn copy_process(call: &Call<'_>, request: &Request, share_memory: bool) -> Result<Arc<Thread>> {
    let parent = call.process();
    let pid = process::allocate_id(task_limit(parent))?;
    let fs = if request.flags & CLONE_FS != 0 {
        parent.fs.clone()
    } else {
        Arc::new(FsContext {
            cwd: Mutex::new(parent.fs.cwd.lock().clone()),
            root: Mutex::new(parent.fs.root.lock().clone()),
            umask: AtomicU32::new(parent.fs.umask.load(Ordering::Relaxed)),
        })
    };
    let files = if request.flags & CLONE_FILES != 0 {
        parent.files.share();
        parent.files.clone()
    } else {
        parent.files.fork()
    };
    let space = parent.space();
    let space = if share_memory { space } else { Arc::default() };
    let signals = parent.signals.fork(request.flags & CLONE_CLEAR_SIGHAND != 0);
    // CLONE_PARENT: a sibling.
    let of =
        if request.flags & CLONE_PARENT != 0 { parent.parent.lock().upgrade() } else { Some(parent.clone()) };
    let process = Arc::new(Process {
        pid,
        parent: Mutex::new(of.as_ref().map(Arc::downgrade).unwrap_or_default()),
        parent_id: AtomicU32::new(of.as_ref().map_or(super::process::INIT, |p| p.pid)),
        group: AtomicU32::new(parent.group.load(Ordering::Relaxed)),
        session: AtomicU32::new(parent.session.load(Ordering::Relaxed)),
        terminal: Mutex::new(parent.terminal.lock().clone()),
        files,
        fs,
        space: Mutex::new(space),
        shares_memory: AtomicU32::new(0),
        signals,
        settings: crate::sys::ProcessSettings::default(),
        identity: Mutex::new(parent.identity.lock().clone()),
        state: Mutex::new(ProcessState::default()),
        children_end: Mutex::new(()),
        changed: WaitQueue::new(),
        limits: Limits::new(parent.limits.all()),
        program: Mutex::new(parent.program.lock().clone()),
        exit_signal: AtomicU32::new(request.exit_signal),
        has_execed: AtomicU32::new(0),
        subreaper: AtomicU32::new(0),
        parent_death_signal: AtomicU32::new(0),
        started: postern_pal::clock::now(),
        used: Mutex::new(Usage::default()),
        used_by_children: Mutex::new(Usage::default()),
        moved: Default::default(),
    });
    let name = *call.thread.name.lock();
    process.settings.inherit(&parent.settings);
    if !share_memory {
        process.limit_memory();
    }
    if process.limits.soft(resource::CPU) != limits::INFINITY {
        crate::sys::timer::limit_cpu(&process);
    }
    let signals = ThreadSignals::for_child(&call.thread.signals);
    let joining = signal::joining();
    if call.thread.is_interrupted() {
        drop(joining);
        leave_files(&process);
        process::release_id();
        return Err(Errno::ERESTARTNOINTR);
    }
    let thread = process::adopt(&process, name, signals);
    drop(joining);
    thread.settings.inherit(&call.thread.settings);
    if let Some(of) = of {
        of.state.lock().children.push(process);
    }
    Ok(thread)
}

/// With `CLONE_PIDFD`, gives the parent a descriptor for its new child.
fn give_pidfd(call: &Call<'_>, request: &Request, child: &Thread) -> Result<()> {
    if request.flags & CLONE_PIDFD == 0 {
        return Ok(());
    }
    let fd = signal::pidfd_create(call.process(), child.process.clone(), 0)?;
    if let Err(errno) = user::write(request.pidfd, &fd) {
        drop(call.process().files.remove(fd));
        return Err(errno);
    }
    Ok(())
}

/// Closes the descriptors of a process that never came to be, if they are its own.
fn leave_files(process: &Process) {
    if Arc::strong_count(&process.files) == 1 {
        drop(process.files.remove_if(|_, _| true));
    }
}

/// Undoes `copy_process` when the host refused.
fn abandon(thread: &Arc<Thread>) {
    let process = &thread.process;
    leave_files(process);
    process::forget_thread(thread.tid);
    process::forget(process.pid);
    process::count_live(false);
    let parent = process.parent.lock().upgrade();
    if let Some(parent) = parent {
        parent.state.lock().children.retain(|c| c.pid != process.pid);
    }
    process.state.lock().threads.clear();
}

fn fork_process(call: &mut Call<'_>, request: &Request) -> Result<u64> {
    let fs = child_fs(call.thread, request)?;
    patch::prepare_fork(call.thread);
    let thread = copy_process(call, request, false)?;
    thread.fs_base.store(fs, Ordering::Relaxed);
    let frame = child_frame(call.frame, request);
    let started =
        set_tid_words(&thread, request).and_then(|()| give_pidfd(call, request, &thread)).and_then(|()| {
            let child = thread.process.space();
            call.process()
                .space()
                .fork_into(&child, || host_thread::fork(kernel::task_of(&thread), &frame, fs))
        });
    match started {
        Ok(_) => {
            if request.flags & CLONE_VFORK != 0 {
                wait_for_exec(call.thread, &thread.process);
            }
            Ok(u64::from(thread.tid))
        }
        Err(errno) => {
            abandon(&thread);
            Err(errno)
        }
    }
}

/// A process that shares the memory of its parent and runs beside it: a host thread of the same picoprocess.
fn share(call: &mut Call<'_>, request: &Request) -> Result<u64> {
    let fs = child_fs(call.thread, request)?;
    let thread = copy_process(call, request, true)?;
    thread.fs_base.store(fs, Ordering::Relaxed);
    for process in [call.process(), &thread.process] {
        process.shares_memory.store(1, Ordering::SeqCst);
    }
    let frame = child_frame(call.frame, request);
    let started = set_tid_words(&thread, request)
        .and_then(|()| give_pidfd(call, request, &thread))
        .and_then(|()| host_thread::spawn(kernel::task_of(&thread), &frame, fs));
    match started {
        Ok(_) => Ok(u64::from(thread.tid)),
        Err(errno) => {
            abandon(&thread);
            Err(errno)
        }
    }
}

/// With `CLONE_VFORK` the parent waits until its child executes a program or ends; only its own end stops it.
fn wait_for_exec(parent: &Thread, child: &Process) {
    let place = child.changed.stand();
    while child.has_execed.load(Ordering::Relaxed) == 0
        && !child.has_ended()
        && parent.must_exit.load(Ordering::Acquire) == 0
    {
        host_thread::park(None);
    }
    drop(place);
}

/// vfork: the child borrows this host thread.
fn lend(call: &mut Call<'_>, request: &Request) -> Result<u64> {
    let fs = child_fs(call.thread, request)?;
    let thread = copy_process(call, request, true)?;
    thread.fs_base.store(fs, Ordering::Relaxed);
    let prepared = set_tid_words(&thread, request).and_then(|()| give_pidfd(call, request, &thread));
    if let Err(errno) = prepared {
        abandon(&thread);
        return Err(errno);
    }
    let lender = Lender {
        thread: call.thread.clone(),
        frame: *call.frame,
        fs_base: call.thread.fs_base.load(Ordering::Relaxed),
        gs_base: host_thread::gs_base(),
    };
    thread.process.state.lock().vfork = Some(Box::new(lender));
    call.thread.is_lent.store(1, Ordering::SeqCst);
    if call.thread.must_exit.load(Ordering::SeqCst) != 0 {
        kernel::end_lender(call.thread.clone());
    }
    *call.frame = child_frame(call.frame, request);
    started(&thread, call.frame);
    let _ = host_thread::set_fs_base(fs);
    host_thread::switch_task(kernel::task_of(&thread));
    Ok(0)
}

/// Gives a borrowed host thread back to the vfork parent, which continues with the child's id as result. `false` if
/// the process runs on a host thread of its own.
pub fn give_back(process: &Process, frame: &mut Frame) -> bool {
    let Some(lender) = process.state.lock().vfork.take() else { return false };
    lender.thread.is_lent.store(0, Ordering::SeqCst);
    *frame = lender.frame;
    frame.rax = u64::from(process.pid);
    frame.call = u64::MAX;
    let _ = host_thread::set_fs_base(lender.fs_base);
    let _ = host_thread::set_gs_base(lender.gs_base);
    host_thread::switch_task(kernel::task_of(&lender.thread));
    // Signals that came for the parent meanwhile.
    lender.thread.kick();
    true
}

/// A thread begins on its host thread, in its own memory.
pub fn started(thread: &Arc<Thread>, _frame: &mut Frame) {
    thread.set_host(host_thread::current());
    thread.process.space().leave_behind();
    let at = thread.set_child_tid.swap(0, Ordering::Relaxed);
    if at != 0 {
        // Linux ignores a bad address here too.
        let _ = user::write(at, &thread.tid);
    }
}

/// The keeper forks a clean picoprocess for a thread that has a program to load. Where the host refuses that, the
/// process ends as if killed.
pub fn start_process(thread: &Arc<Thread>) {
    let frame = Frame::zeroed();
    if host_thread::fork(kernel::task_of(thread), &frame, 0).is_err() {
        // As on Linux where the memory for a program fails past the point of no return.
        exit::never_ran(thread);
    }
}

/// set_tid_address(2).
///
/// # Errors
/// None.
pub fn set_tid_address(call: &mut Call<'_>) -> Result<u64> {
    call.thread.clear_child_tid.store(call.word(0), Ordering::Relaxed);
    Ok(u64::from(call.thread.tid))
}

/// arch_prctl(2): the thread pointer, and the other segment base.
///
/// # Errors
/// `EPERM` for an address that is none; `EINVAL` for features that the CPU has but we hide.
pub fn arch_prctl(call: &mut Call<'_>) -> Result<u64> {
    const SET_GS: u32 = 0x1001;
    const SET_FS: u32 = 0x1002;
    const GET_FS: u32 = 0x1003;
    const GET_GS: u32 = 0x1004;
    match call.uint(0) {
        SET_FS if host_thread::set_fs_base(call.raw(1)) => {
            call.thread.fs_base.store(call.raw(1), Ordering::Relaxed);
            Ok(0)
        }
        SET_GS if host_thread::set_gs_base(call.raw(1)) => Ok(0),
        SET_FS | SET_GS => Err(Errno::EPERM),
        GET_FS => user::write(call.word(1), &host_thread::fs_base()).map(|()| 0),
        GET_GS => user::write(call.word(1), &host_thread::gs_base()).map(|()| 0),
        _ => Err(Errno::EINVAL),
    }
}
