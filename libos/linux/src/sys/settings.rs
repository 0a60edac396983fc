//! What a thread and a process may set for themselves and read back, and which has no effect here beyond that: the
//! host schedules all threads alike.

use super::membarrier::Registrations;
use super::seccomp::Seccomp;
use core::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering};

/// Default timer slack in nanoseconds, as Linux has it.
const TIMER_SLACK: u64 = 50_000;
/// `PR_MCE_KILL_DEFAULT`.
pub const MACHINE_CHECK: u32 = 2;

/// Settings of a thread. A new thread gets those of its creator.
#[expect(missing_docs, reason = "the names are those of the calls that set them")]
pub struct ThreadSettings {
    /// Bit set of processors; 0 = all.
    pub affinity: AtomicU64,
    pub policy: AtomicU32,
    pub priority: AtomicU32,
    pub nice: AtomicI32,
    pub timer_slack: AtomicU64,
    pub io_priority: AtomicU32,
    pub memory_policy: AtomicU32,
    pub no_new_privileges: AtomicU32,
    /// Filters of system calls.
    pub seccomp: Seccomp,
    /// How often it called sched_yield.
    pub yields: AtomicU32,
}

impl Default for ThreadSettings {
    fn default() -> Self {
        Self {
            affinity: AtomicU64::new(0),
            policy: AtomicU32::new(0),
            priority: AtomicU32::new(0),
            nice: AtomicI32::new(0),
            timer_slack: AtomicU64::new(TIMER_SLACK),
            io_priority: AtomicU32::new(0),
            memory_policy: AtomicU32::new(0),
            no_new_privileges: AtomicU32::new(0),
            seccomp: Seccomp::default(),
            yields: AtomicU32::new(0),
        }
    }
}

impl ThreadSettings {
    /// Takes over the settings of the creator.
    pub fn inherit(&self, from: &Self) {
        for (to, from) in [(&self.affinity, &from.affinity), (&self.timer_slack, &from.timer_slack)] {
            to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        for (to, from) in [
            (&self.policy, &from.policy),
            (&self.priority, &from.priority),
            (&self.io_priority, &from.io_priority),
            (&self.memory_policy, &from.memory_policy),
            (&self.no_new_privileges, &from.no_new_privileges),
        ] {
            to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        self.nice.store(from.nice.load(Ordering::Relaxed), Ordering::Relaxed);
        self.seccomp.inherit(&from.seccomp);
    }

    /// Sets the timer slack; 0 = the default.
    pub fn set_timer_slack(&self, nanos: u64) {
        self.timer_slack.store(if nanos == 0 { TIMER_SLACK } else { nanos }, Ordering::Relaxed);
    }
}

/// Settings of a process. A forked process gets those of its parent.
#[expect(missing_docs, reason = "the names are those of the calls that set them")]
pub struct ProcessSettings {
    pub personality: AtomicU32,
    pub dumpable: AtomicU32,
    pub huge_pages_off: AtomicU32,
    pub machine_check: AtomicU32,
    pub barriers: Registrations,
}

impl Default for ProcessSettings {
    fn default() -> Self {
        Self {
            personality: AtomicU32::new(0),
            dumpable: AtomicU32::new(1),
            huge_pages_off: AtomicU32::new(0),
            machine_check: AtomicU32::new(MACHINE_CHECK),
            barriers: Registrations::default(),
        }
    }
}

impl ProcessSettings {
    /// Takes over the settings of the parent.
    pub fn inherit(&self, from: &Self) {
        for (to, from) in [
            (&self.personality, &from.personality),
            (&self.dumpable, &from.dumpable),
            (&self.huge_pages_off, &from.huge_pages_off),
            (&self.machine_check, &from.machine_check),
        ] {
            to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        self.barriers.inherit(&from.barriers);
    }

    /// The process executes a program.
    pub fn exec(&self) {
        self.barriers.inherit(&Registrations::default());
        self.dumpable.store(1, Ordering::Relaxed);
    }
}
