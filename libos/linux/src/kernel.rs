//! Where the platform layer calls in: start of the family, system calls, faults, signals, and the keeper's loop.

use crate::call::Call;
use crate::mm::patch;
use crate::signal::{self, After};
use crate::sys::seccomp;
use crate::task::{Thread, clone, exec, exit, process};
use crate::{Errno, Mutex, fs, table};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};
use postern_abi::boot::Boot;
use postern_abi::calls::notice;
use postern_pal::entry::{self, Kernel};
use postern_pal::frame::{Exception, Frame};
use postern_pal::thread::{self as host_thread, Task, ThreadId};
use postern_pal::{gate, report};
use zerocopy::FromBytes;

const SIGTRAP: u32 = 5;
const SIGBUS: u32 = 7;
/// Every program of glibc asks for it once and is content without: not worth a count.
const RSEQ: u64 = 334;

struct Linux;

static LINUX: Linux = Linux;

/// Makes this personality the one that the platform layer calls.
pub fn install() {
    entry::install(&LINUX);
}

/// The keeper's main thread.
fn keeper() -> Option<ThreadId> {
    ThreadId::from_index(0)
}

/// Threads that the keeper shall start in a clean picoprocess.
static STARTS: Mutex<VecDeque<Arc<Thread>>> = Mutex::new(VecDeque::new());
/// Threads that the keeper shall end: they must, and have no host thread to do it on.
static LENDERS: Mutex<VecDeque<Arc<Thread>>> = Mutex::new(VecDeque::new());
/// A host child ended somewhere in the family: look whether one died without having said so.
static LOOK_FOR_DEATHS: AtomicBool = AtomicBool::new(false);
/// After the keeper has looked, it does so again on its own after [`DOZE`] nanoseconds, if there is reason to.
static IS_DOZING: AtomicBool = AtomicBool::new(false);
const DOZE: u64 = 50_000_000;

/// Has the keeper start `thread` in a clean picoprocess forked from itself. The thread's pending program is loaded
/// there.
pub fn start_clean(thread: Arc<Thread>) {
    STARTS.lock().push_back(thread);
    if let Some(keeper) = keeper() {
        host_thread::unpark(keeper);
    }
}

/// Has the keeper end `thread`, which lent its host thread.
pub fn end_lender(thread: Arc<Thread>) {
    LENDERS.lock().push_back(thread);
    if let Some(keeper) = keeper() {
        host_thread::unpark(keeper);
    }
}

/// A thread as the platform layer keeps it.
#[must_use]
pub fn task_of(thread: &Arc<Thread>) -> Task {
    Arc::new(thread.clone())
}

fn thread_of(task: &Task) -> &Arc<Thread> {
    match task.downcast_ref::<Arc<Thread>>() {
        Some(thread) => thread,
        None => report::panic("a task that is no thread"),
    }
}

/// How often each unsupported call was asked for.
static UNSUPPORTED: Mutex<BTreeMap<u64, u64>> = Mutex::new(BTreeMap::new());

#[cold]
fn refuse(number: u64) -> Errno {
    let errno = table::refusal(number);
    if errno == Errno::ENOSYS && number != RSEQ {
        let count = {
            let mut counts = UNSUPPORTED.lock();
            let count = counts.entry(number).or_insert(0);
            *count += 1;
            *count
        };
        // Powers of two only: a program that asks in a loop must not flood the monitor.
        if count.is_power_of_two() {
            let name = table::row(number).map_or("(no such call)", |row| row.name);
            gate::tell(notice::UNSUPPORTED, [count, number, 0, 0], name.as_bytes());
        }
    }
    errno
}

/// Runs the system call in the frame until it has a result that app code may see.
fn dispatch(thread: &Arc<Thread>, frame: &mut Frame) {
    loop {
        if thread.settings.seccomp.is_on() && !seccomp::lets_pass(thread, frame) {
            return;
        }
        let number = frame.call;
        let args = frame.args();
        let result = match table::handler(number) {
            Some(handler) => handler(&mut Call { thread, frame, args }),
            None => Err(refuse(number)),
        };
        let again = match result {
            Ok(value) => {
                frame.rax = value;
                return;
            }
            Err(errno) if errno.number() >= Errno::ERESTARTSYS.number() => {
                signal::interrupted(thread, frame, errno)
            }
            // A file may have grown to where the argument is.
            Err(Errno::EFAULT) if thread.process.space().fit() => continue,
            Err(errno) => {
                frame.rax = errno.to_return();
                return;
            }
        };
        match again {
            After::Restart => {}
            After::Continue => return,
        }
    }
}

impl Kernel for Linux {
    fn boot(&self, block: &'static [u8]) {
        let Ok((boot, _)) = Boot::read_from_prefix(block) else { report::panic("no start-up block") };
        if let Err(errno) = start(&boot, block) {
            report::panic_fmt(format_args!("the library OS did not start: {errno:?}"));
        }
    }

    fn keeper(&self) {
        loop {
            let next = STARTS.lock().pop_front();
            if let Some(thread) = next {
                clone::start_process(&thread);
                continue;
            }
            let lender = LENDERS.lock().pop_front();
            if let Some(thread) = lender {
                exit::end_lender(&thread);
                continue;
            }
            if LOOK_FOR_DEATHS.swap(false, Ordering::SeqCst) {
                exit::look_for_deaths();
                IS_DOZING.store(true, Ordering::SeqCst);
                host_thread::park(Some(postern_pal::clock::now().saturating_add(DOZE)));
                IS_DOZING.store(false, Ordering::SeqCst);
                continue;
            }
            if fs::ahead::step() {
                continue;
            }
            host_thread::park(None);
        }
    }

    fn thread_started(&self, task: &Task, frame: &mut Frame) {
        let thread = thread_of(task);
        clone::started(thread, frame);
        exec::load_pending(thread, frame);
        // Whatever was sent to it while it had no host thread.
        host_thread::kick(host_thread::current());
    }

    fn system_call(&self, task: &Task, frame: &mut Frame) {
        let thread = thread_of(task);
        if frame.site != 0 {
            patch::consider(thread, frame);
        }
        dispatch(thread, frame);
    }

    fn exception(&self, task: &Task, frame: &mut Frame, exception: &Exception) {
        let thread = thread_of(task);
        if exception.signal == SIGTRAP && patch::retry_breakpoint(thread, frame) {
            return;
        }
        if exception.signal != SIGBUS || !thread.process.space().fit() {
            signal::fault(thread, frame, exception);
        }
        self.resume(task, frame);
    }

    fn resume(&self, task: &Task, frame: &mut Frame) {
        let thread = thread_of(task);
        thread.process.settings.barriers.synchronise();
        thread.process.space().errands.run();
        loop {
            if thread.must_exit.load(Ordering::Acquire) != 0 {
                exit::exit_thread(thread, frame);
                return;
            }
            if thread.moves_out.swap(0, Ordering::SeqCst) != 0 {
                start_clean(thread.clone());
                host_thread::exit();
            }
            match signal::deliver(thread, frame) {
                After::Continue if thread.must_exit.load(Ordering::Acquire) == 0 => return,
                After::Continue => {}
                After::Restart => dispatch(thread, frame),
            }
        }
    }

    fn parked(&self, task: &Task) {
        thread_of(task).process.space().errands.run();
    }

    fn host_child_ended(&self, by_itself: bool) {
        LOOK_FOR_DEATHS.store(true, Ordering::SeqCst);
        // One that ended by itself has said so before. Only because the host may have merged its signal with that of
        // one that was killed is it looked at, at leisure.
        let is_dozing = by_itself && IS_DOZING.load(Ordering::SeqCst);
        if let Some(keeper) = keeper().filter(|_| !is_dozing) {
            host_thread::unpark(keeper);
        }
    }
}

/// Starts the family: kernel services, then the initial process.
fn start(boot: &Boot, block: &'static [u8]) -> crate::Result<()> {
    crate::sys::init(boot, block);
    crate::mm::known::init(boot, block);
    fs::init(boot, block)?;
    let thread = process::initial(boot)?;
    fs::init_process(&thread.process, boot, block)?;
    crate::ipc::init(boot, &thread.process)?;
    fs::ahead::init(&thread, boot, block);
    host_thread::spawn_service(crate::ipc::poller::service)?;
    exec::start_initial(&thread, boot, block);
    Ok(())
}
