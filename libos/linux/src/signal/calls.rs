//! System calls that send signals, say what they do, and wait for them.

use super::info::{Info, code};
use super::mask::{read_set, with_mask};
use super::send;
use super::set::{self, UNBLOCKABLE, bit, sig};
use super::state::{Action, flag, pending};
use crate::call::Call;
use crate::ipc::deadline;
use crate::sys::capability::cap;
use crate::task::Thread;
use crate::task::process::{self, Process};
use crate::{Errno, Result, wait};
use alloc::sync::Arc;
use core::sync::atomic::Ordering;
use postern_pal::user;

const SET_SIZE: usize = 8;

/// rt_sigaction(2).
///
/// # Errors
/// As the manual page says.
pub fn rt_sigaction(call: &mut Call<'_>) -> Result<u64> {
    let signal = call.uint(0);
    if call.word(3) != SET_SIZE || bit(signal) == 0 {
        return Err(Errno::EINVAL);
    }
    let process = call.process();
    let old = if call.word(1) != 0 {
        let [handler, flags, restorer, mask]: [u64; 4] = user::read(call.word(1))?;
        if bit(signal) & UNBLOCKABLE != 0 {
            return Err(Errno::EINVAL);
        }
        let action = Action { handler, flags: flags & flag::KNOWN, restorer, mask: mask & !UNBLOCKABLE };
        let old = process.signals.set_action(signal, action);
        if action.ignores(signal) {
            // What is pending already is forgotten too, as POSIX wants it.
            send::forget(process, bit(signal));
        }
        old
    } else {
        process.signals.action(signal)
    };
    if call.word(2) != 0 {
        user::write(call.word(2), &[old.handler, old.flags, old.restorer, old.mask])?;
    }
    Ok(0)
}

/// rt_sigpending(2).
///
/// # Errors
/// As the manual page says.
pub fn rt_sigpending(call: &mut Call<'_>) -> Result<u64> {
    if call.word(1) > SET_SIZE {
        return Err(Errno::EINVAL);
    }
    let set = (pending(call.thread) & call.thread.signals.blocked()).to_le_bytes();
    user::write_bytes(call.word(0), set.get(..call.word(1)).unwrap_or(&set))?;
    Ok(0)
}

/// rt_sigsuspend(2).
///
/// # Errors
/// `EINTR` always.
pub fn rt_sigsuspend(call: &mut Call<'_>) -> Result<u64> {
    let set = read_set(call.word(0), call.word(1))?;
    with_mask(call.thread, Some(set), || sleep(call.thread))
}

/// pause(2).
///
/// # Errors
/// `EINTR` always.
pub fn pause(call: &mut Call<'_>) -> Result<u64> {
    sleep(call.thread)
}

/// Waits for a signal to be handled.
fn sleep(thread: &Thread) -> Result<u64> {
    wait::block(thread, &[], None, || None::<Result<u64>>).map_err(|_| Errno::ERESTARTNOHAND)
}

/// rt_sigtimedwait(2).
///
/// # Errors
/// As the manual page says.
pub fn rt_sigtimedwait(call: &mut Call<'_>) -> Result<u64> {
    let set = read_set(call.word(0), call.word(3))? & !UNBLOCKABLE;
    let deadline = deadline::from_timespec(call.word(2))?;
    let thread = call.thread;
    let process = &thread.process;
    thread.signals.awaited.store(set, Ordering::SeqCst);
    let taken = wait::block(thread, &[&process.signals.arrivals], deadline, || take(thread, set).map(Ok));
    thread.signals.awaited.store(0, Ordering::SeqCst);
    let info = match taken {
        Ok(info) => info,
        Err(Errno::ETIMEDOUT) => return Err(Errno::EAGAIN),
        Err(_) => return Err(Errno::EINTR),
    };
    if call.word(1) != 0 {
        user::write(call.word(1), &info.bytes())?;
    }
    Ok(u64::from(info.signal()))
}

/// Takes one pending signal of `set`, blocked or not.
fn take(thread: &Thread, set: u64) -> Option<Info> {
    let process = &thread.process;
    let mut info = thread.signals.take(set).or_else(|| process.signals.take(set))?;
    crate::sys::timer::signal_taken(process, &mut info);
    Some(info)
}

/// Takes one pending signal of `set` as a `struct signalfd_siginfo`, for signalfd(2).
#[must_use]
pub fn dequeue(thread: &Thread, set: u64) -> Option<[u8; super::info::SIZE]> {
    take(thread, set & !UNBLOCKABLE).map(|info| info.signalfd_bytes())
}

/// Whether a signal of `set` is pending, blocked or not.
#[must_use]
pub fn pending_in(thread: &Thread, set: u64) -> bool {
    pending(thread) & set & !UNBLOCKABLE != 0
}

/// Woken whenever a signal becomes pending for the process or one of its threads.
#[must_use]
pub fn arrivals(process: &Process) -> &wait::WaitQueue {
    &process.signals.arrivals
}

/// The process that `pid` names, which may be the id of any of its threads.
fn find(pid: u32) -> Result<Arc<Process>> {
    process::find(pid)
        .or_else(|| process::find_thread(pid).map(|t| t.process.clone()))
        // Process 1, everybody's ancestor, is the host's business.
        .ok_or(if pid == 1 { Errno::EPERM } else { Errno::ESRCH })
}

/// Whether `sender` may send `signal` to `target` (kill(2)).
fn may_send(sender: &Process, target: &Process, signal: u32) -> bool {
    if sender.pid == target.pid {
        return true;
    }
    let (own_real, own_effective, privileged) = {
        let own = sender.identity.lock();
        (own.uid, own.euid, own.may(cap::KILL))
    };
    let other = target.identity.lock();
    let same = |id: u32| id == other.uid || id == other.suid;
    privileged
        || same(own_real)
        || same(own_effective)
        || (signal == sig::CONT
            && sender.session.load(Ordering::Relaxed) == target.session.load(Ordering::Relaxed))
}

fn check_signal(signal: u32) -> Result<()> {
    if signal <= set::LAST { Ok(()) } else { Err(Errno::EINVAL) }
}

/// kill(2).
///
/// # Errors
/// As the manual page says.
pub fn kill(call: &mut Call<'_>) -> Result<u64> {
    let (pid, signal) = (call.int(0), call.uint(1));
    check_signal(signal)?;
    let sender = call.process().clone();
    let info = Info::from_process(signal, code::USER, &sender);
    if pid > 0 {
        let target = find(pid.unsigned_abs())?;
        if !may_send(&sender, &target, signal) {
            return Err(Errno::EPERM);
        }
        send::send_to_process(&target, info);
        return Ok(0);
    }
    let _joining = send::joining();
    let several = match pid {
        0 => send::members(sender.group.load(Ordering::Relaxed)),
        -1 => process::all()
            .into_iter()
            .filter(|p| p.pid != sender.pid && p.pid != process::INIT && !p.has_ended())
            .collect(),
        i32::MIN => return Err(Errno::ESRCH),
        group => send::members(group.unsigned_abs()),
    };
    if several.is_empty() {
        return Err(Errno::ESRCH);
    }
    let allowed = several.iter().filter(|target| may_send(&sender, target, signal));
    let count = allowed.map(|target| send::send_to_process(target, info)).count();
    if count == 0 { Err(Errno::EPERM) } else { Ok(0) }
}

/// Sends to one thread; `group` 0 = whatever process it belongs to.
fn send_to_one(call: &Call<'_>, group: u32, tid: u32, signal: u32, info: Info) -> Result<u64> {
    check_signal(signal)?;
    let target = if tid == call.thread.tid { Some(call.thread.clone()) } else { process::find_thread(tid) };
    let target = target.filter(|t| group == 0 || t.process.pid == group).ok_or(Errno::ESRCH)?;
    if !may_send(call.process(), &target.process, signal) {
        return Err(Errno::EPERM);
    }
    send::post(&target.process, Some(&target), info)?;
    Ok(0)
}

/// A positive id argument.
fn id(call: &Call<'_>, index: usize) -> Result<u32> {
    u32::try_from(call.int(index)).ok().filter(|id| *id > 0).ok_or(Errno::EINVAL)
}

/// tkill(2).
///
/// # Errors
/// As the manual page says.
pub fn tkill(call: &mut Call<'_>) -> Result<u64> {
    let (tid, signal) = (id(call, 0)?, call.uint(1));
    send_to_one(call, 0, tid, signal, Info::from_process(signal, code::TKILL, call.process()))
}

/// tgkill(2).
///
/// # Errors
/// As the manual page says.
pub fn tgkill(call: &mut Call<'_>) -> Result<u64> {
    let (group, tid, signal) = (id(call, 0)?, id(call, 1)?, call.uint(2));
    send_to_one(call, group, tid, signal, Info::from_process(signal, code::TKILL, call.process()))
}

/// Information that a process made up itself: it must not claim to come from the kernel or from kill, unless it goes
/// to the process itself.
fn read_info(call: &Call<'_>, at: usize, signal: u32, target: u32) -> Result<Info> {
    let info = Info::read(at, signal)?;
    let claims = info.code() >= 0 || info.code() == code::TKILL;
    if claims && target != call.process().pid { Err(Errno::EPERM) } else { Ok(info) }
}

/// rt_sigqueueinfo(2).
///
/// # Errors
/// As the manual page says.
pub fn rt_sigqueueinfo(call: &mut Call<'_>) -> Result<u64> {
    let (pid, signal) = (call.uint(0), call.uint(1));
    let info = read_info(call, call.word(2), signal, pid)?;
    send_info(call, &find(pid)?, info)
}

/// Sends made-up information to a process.
pub(super) fn send_info(call: &Call<'_>, target: &Arc<Process>, info: Info) -> Result<u64> {
    check_signal(info.signal())?;
    if !may_send(call.process(), target, info.signal()) {
        return Err(Errno::EPERM);
    }
    send::post(target, None, info)?;
    Ok(0)
}

/// What pidfd_send_signal sends: the app's information, or that of kill.
pub(super) fn pidfd_info(call: &Call<'_>, target: &Process) -> Result<Info> {
    let (signal, at) = (call.uint(1), call.word(2));
    if at == 0 {
        return Ok(Info::from_process(signal, code::USER, call.process()));
    }
    let given: u32 = user::read(at)?;
    if given != signal {
        return Err(Errno::EINVAL);
    }
    read_info(call, at, signal, target.pid)
}

/// rt_tgsigqueueinfo(2).
///
/// # Errors
/// As the manual page says.
pub fn rt_tgsigqueueinfo(call: &mut Call<'_>) -> Result<u64> {
    let (group, tid, signal) = (id(call, 0)?, id(call, 1)?, call.uint(2));
    let info = read_info(call, call.word(3), signal, group)?;
    send_to_one(call, group, tid, signal, info)
}
