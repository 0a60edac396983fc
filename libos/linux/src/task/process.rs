//! A process of an app.

use super::{Limits, Thread, limits, resource};
use crate::fs::FdTable;
use crate::mm::AddressSpace;
use crate::signal::ProcessSignals;
use crate::sys::capability::Capabilities;
use crate::wait::WaitQueue;
use crate::{Errno, Mutex, Result};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::{AtomicU32, Ordering};

/// User and group ids, as credentials(7). The app may change them among themselves; they mean nothing to the host.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "credentials' own names")]
pub struct Identity {
    pub uid: u32,
    pub euid: u32,
    pub suid: u32,
    pub fsuid: u32,
    pub gid: u32,
    pub egid: u32,
    pub sgid: u32,
    pub fsgid: u32,
    pub groups: Vec<u32>,
    pub capabilities: Capabilities,
}

impl Identity {
    /// Whether it has a capability of [`crate::sys::capability::cap`].
    #[must_use]
    pub fn may(&self, cap: u32) -> bool {
        self.capabilities.has(cap)
    }
}

/// Root, working directory (paths of the VFS) and umask; shared by `CLONE_FS`.
pub struct FsContext {
    /// Working directory: an `Arc<fs::Path>` once the VFS is there.
    pub cwd: Mutex<Option<Arc<dyn Any + Send + Sync>>>,
    /// Root directory, likewise.
    pub root: Mutex<Option<Arc<dyn Any + Send + Sync>>>,
    /// File mode creation mask.
    pub umask: AtomicU32,
}

/// How a process ended or stopped, as wait(2) tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// `_exit` with this code.
    Exited(u8),
    /// Ended by this signal; true if it "dumped core".
    Killed(u8, bool),
    /// Stopped by this signal.
    Stopped(u8),
    /// Continued.
    Continued,
}

/// What changes over the life of a process, under one lock.
#[derive(Default)]
pub struct ProcessState {
    /// Threads that have not ended.
    pub threads: Vec<Arc<Thread>>,
    /// Children that were not waited for.
    pub children: Vec<Arc<Process>>,
    /// Set once the process has ended.
    pub exit: Option<Status>,
    /// Set while an exit of all threads is under way.
    pub exiting: Option<Status>,
    /// The last stop or continuation, until a parent waited for it.
    pub job: Option<Status>,
    /// Whether its threads are stopped now.
    pub stopped: bool,
    /// The parent that lent its host thread to this vfork child, and its registers.
    pub vfork: Option<Box<super::clone::Lender>>,
}

/// Resources used, in the units of getrusage(2): CPU time in nanoseconds.
#[derive(Clone, Copy, Debug, Default)]
#[expect(missing_docs, reason = "getrusage's own")]
pub struct Usage {
    pub user_ns: u64,
    pub system_ns: u64,
    pub max_rss_kib: u64,
}

impl Usage {
    /// User and system time.
    #[must_use]
    pub fn total_ns(&self) -> u64 {
        self.user_ns.saturating_add(self.system_ns)
    }
}

/// A process.
pub struct Process {
    /// Process id (thread group id).
    pub pid: u32,
    /// Parent; empty once it died.
    pub parent: Mutex<Weak<Process>>,
    /// Process id of the parent, [`INIT`] where there is none.
    pub parent_id: AtomicU32,
    /// Process group.
    pub group: AtomicU32,
    /// Session.
    pub session: AtomicU32,
    /// Controlling terminal, an object of `ipc::tty`.
    pub terminal: Mutex<Option<Arc<dyn Any + Send + Sync>>>,
    /// Descriptors.
    pub files: Arc<FdTable>,
    /// Root, working directory, umask.
    pub fs: Arc<FsContext>,
    /// Memory map; replaced by exec.
    pub space: Mutex<Arc<AddressSpace>>,
    /// Whether another process may have the same memory (`CLONE_VM`).
    pub shares_memory: AtomicU32,
    /// Signal actions and pending signals.
    pub signals: ProcessSignals,
    /// What it set for itself: personality and the like.
    pub settings: crate::sys::ProcessSettings,
    /// Ids.
    pub identity: Mutex<Identity>,
    /// Threads, children, exit status.
    pub state: Mutex<ProcessState>,
    /// Held while a child's end becomes visible and its signal is sent, and while children are waited for: no wait
    /// reaps a child before its SIGCHLD is pending. Taken before any `state`.
    pub children_end: Mutex<()>,
    /// Woken when a child changes state, a thread ends, a stop ends.
    pub changed: WaitQueue,
    /// Resource limits.
    pub limits: Limits,
    /// Absolute path of the program, its arguments and environment as they were at exec: /proc.
    pub program: Mutex<Program>,
    /// Signal that the parent gets at exit, normally SIGCHLD.
    pub exit_signal: AtomicU32,
    /// Has executed a program since it was forked (setpgid refuses then).
    pub has_execed: AtomicU32,
    /// prctl(PR_SET_CHILD_SUBREAPER).
    pub subreaper: AtomicU32,
    /// prctl(PR_SET_PDEATHSIG).
    pub parent_death_signal: AtomicU32,
    /// Monotonic nanoseconds at start.
    pub started: u64,
    /// Used by ended threads of this process.
    pub used: Mutex<Usage>,
    /// Used by children that were waited for.
    pub used_by_children: Mutex<Usage>,
    /// Bytes read and written by ended threads. Added to under the lock of `used`.
    pub moved: super::thread::Moved,
}

/// What a process executes.
#[derive(Clone, Debug, Default)]
pub struct Program {
    /// Absolute path.
    pub path: Vec<u8>,
    /// Arguments, NUL-terminated one after another.
    pub arguments: Vec<u8>,
    /// Environment, likewise.
    pub environment: Vec<u8>,
    /// Auxiliary vector as the program got it.
    pub auxiliary: Vec<u8>,
}

impl Process {
    /// The number of descriptors that the process may have.
    #[must_use]
    pub fn descriptor_limit(&self) -> usize {
        usize::try_from(self.limits.soft(resource::NOFILE)).unwrap_or(usize::MAX)
    }

    /// Gives `file` the lowest free descriptor.
    ///
    /// # Errors
    /// `EMFILE`.
    pub fn add_file(&self, file: Arc<crate::fs::OpenFile>, close_on_exec: bool) -> Result<i32> {
        self.files.insert(file, close_on_exec, 0, self.descriptor_limit())
    }

    /// The memory map.
    #[must_use]
    pub fn space(&self) -> Arc<AddressSpace> {
        self.space.lock().clone()
    }

    /// Makes its limits hold for its memory map.
    pub fn limit_memory(&self) {
        self.space().set_limits(self);
    }

    /// Parent's process id. Processes without a parent, the initial one too, are children of [`INIT`].
    #[must_use]
    pub fn parent_pid(&self) -> u32 {
        self.parent_id.load(Ordering::Relaxed)
    }

    /// Whether it has ended (it may still be a zombie).
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.state.lock().exit.is_some()
    }
}

/// All processes and threads of the family, by id.
pub struct Registry {
    processes: BTreeMap<u32, Arc<Process>>,
    threads: BTreeMap<u32, Weak<Thread>>,
    next: u32,
    /// Ids in use: processes, zombies included, and further threads.
    tasks: u32,
    /// Most of them that the app may have.
    most: u32,
}

static REGISTRY: Mutex<Registry> = Mutex::new(Registry {
    processes: BTreeMap::new(),
    threads: BTreeMap::new(),
    next: 2,
    tasks: 0,
    most: u32::MAX,
});

/// Highest process id (`/proc/sys/kernel/pid_max`).
pub const PID_MAX: u32 = 4_194_304;

/// Gives back an id that nothing was made with.
pub fn release_id() {
    let mut registry = REGISTRY.lock();
    registry.tasks = registry.tasks.saturating_sub(1);
}

/// A fresh process or thread id, which counts until [`forget`], [`forget_thread`] or [`release_id`].
///
/// # Errors
/// `EAGAIN` if there are `limit` (`RLIMIT_NPROC`) or as many as the app may have at all.
pub fn allocate_id(limit: u64) -> Result<u32> {
    let mut registry = REGISTRY.lock();
    if u64::from(registry.tasks) >= limit || registry.tasks >= registry.most {
        return Err(Errno::EAGAIN);
    }
    registry.tasks += 1;
    loop {
        let id = registry.next;
        registry.next = if id + 1 >= PID_MAX { 300 } else { id + 1 };
        if !registry.processes.contains_key(&id) && !registry.threads.contains_key(&id) {
            return Ok(id);
        }
    }
}

/// Processes and threads that the app has, and the most that it may have.
#[must_use]
pub fn count() -> (u32, u32) {
    let registry = REGISTRY.lock();
    (registry.tasks, registry.most)
}

/// Makes a process known.
pub fn register(process: &Arc<Process>) {
    REGISTRY.lock().processes.insert(process.pid, process.clone());
}

/// Makes a thread known.
pub fn register_thread(thread: &Arc<Thread>) {
    REGISTRY.lock().threads.insert(thread.tid, Arc::downgrade(thread));
}

/// Forgets a process that was waited for.
pub fn forget(pid: u32) {
    let mut registry = REGISTRY.lock();
    if registry.processes.remove(&pid).is_some() {
        registry.tasks = registry.tasks.saturating_sub(1);
    }
}

/// Forgets a thread that ended. The id of a first thread stays that of its process.
pub fn forget_thread(tid: u32) {
    let mut registry = REGISTRY.lock();
    if registry.threads.remove(&tid).is_some() && !registry.processes.contains_key(&tid) {
        registry.tasks = registry.tasks.saturating_sub(1);
    }
}

/// The process with this id, zombies included.
#[must_use]
pub fn find(pid: u32) -> Option<Arc<Process>> {
    REGISTRY.lock().processes.get(&pid).cloned()
}

/// The thread with this id.
#[must_use]
pub fn find_thread(tid: u32) -> Option<Arc<Thread>> {
    REGISTRY.lock().threads.get(&tid).and_then(Weak::upgrade)
}

/// All processes, in order of id, zombies included.
#[must_use]
pub fn all() -> Vec<Arc<Process>> {
    REGISTRY.lock().processes.values().cloned().collect()
}

static LIVE: AtomicU32 = AtomicU32::new(0);

/// Counts a process that begins (`true`) or has ended (`false`). Returns how many live.
pub fn count_live(begins: bool) -> u32 {
    if begins { LIVE.fetch_add(1, Ordering::SeqCst) + 1 } else { LIVE.fetch_sub(1, Ordering::SeqCst) - 1 }
}

/// Process 1, the parent of those that have none. It is only looked at: it runs nothing and takes no signals.
pub const INIT: u32 = 1;

/// The initial process, with one thread, not yet on a host thread; and process 1.
///
/// # Errors
/// None.
pub fn initial(boot: &postern_abi::boot::Boot) -> Result<Arc<Thread>> {
    let pid = allocate_id(limits::INFINITY)?;
    let [_, most] = boot.rlimits.get(resource::NPROC).copied().unwrap_or([limits::INFINITY; 2]);
    REGISTRY.lock().most = u32::try_from(most).unwrap_or(u32::MAX);
    let init = without_parent(INIT, identity_of(0, 0), boot);
    init.parent_id.store(0, Ordering::Relaxed);
    register_with_thread(&init, *b"init\0\0\0\0\0\0\0\0\0\0\0\0", crate::signal::ThreadSignals::default());
    let process = without_parent(pid, identity_of(boot.uid, boot.gid), boot);
    Ok(adopt(&process, [0; 16], crate::signal::ThreadSignals::default()))
}

fn identity_of(uid: u32, gid: u32) -> Identity {
    Identity {
        uid,
        euid: uid,
        suid: uid,
        fsuid: uid,
        gid,
        egid: gid,
        sgid: gid,
        fsgid: gid,
        groups: alloc::vec![gid],
        capabilities: Capabilities::of_user(uid),
    }
}

/// A process that leads its own session.
fn without_parent(pid: u32, identity: Identity, boot: &postern_abi::boot::Boot) -> Arc<Process> {
    let fs = FsContext { cwd: Mutex::new(None), root: Mutex::new(None), umask: AtomicU32::new(0o022) };
    Arc::new(Process {
        pid,
        parent: Mutex::new(Weak::new()),
        parent_id: AtomicU32::new(INIT),
        group: AtomicU32::new(pid),
        session: AtomicU32::new(pid),
        terminal: Mutex::new(None),
        files: FdTable::new(),
        fs: Arc::new(fs),
        space: Mutex::new(Arc::new(AddressSpace::default())),
        shares_memory: AtomicU32::new(0),
        signals: ProcessSignals::default(),
        settings: crate::sys::ProcessSettings::default(),
        identity: Mutex::new(identity),
        state: Mutex::new(ProcessState::default()),
        children_end: Mutex::new(()),
        changed: WaitQueue::new(),
        limits: Limits::new(boot.rlimits),
        program: Mutex::new(Program::default()),
        exit_signal: AtomicU32::new(17),
        has_execed: AtomicU32::new(0),
        subreaper: AtomicU32::new(0),
        parent_death_signal: AtomicU32::new(0),
        started: postern_pal::clock::now(),
        used: Mutex::new(Usage::default()),
        used_by_children: Mutex::new(Usage::default()),
        moved: Default::default(),
    })
}

/// Makes a new process known, with its first thread.
pub(super) fn adopt(
    process: &Arc<Process>,
    name: [u8; 16],
    signals: crate::signal::ThreadSignals,
) -> Arc<Thread> {
    let thread = register_with_thread(process, name, signals);
    count_live(true);
    thread
}

fn register_with_thread(
    process: &Arc<Process>,
    name: [u8; 16],
    signals: crate::signal::ThreadSignals,
) -> Arc<Thread> {
    let thread = Thread::new(process.pid, process.clone(), name, signals);
    process.state.lock().threads.push(thread.clone());
    register(process);
    register_thread(&thread);
    thread
}
