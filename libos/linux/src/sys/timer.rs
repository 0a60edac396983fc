//! Timers that send signals: alarm(2), setitimer(2), timer_create(2).
//!
//! All of them are in one schedule, which the keeper's poll loop serves: it sleeps until [`next_deadline`] and then
//! calls [`run_expired`]. A timer on a CPU clock is looked at whenever the clock could have reached its time at the
//! earliest.

mod calls;

pub use calls::{
    alarm, getitimer, setitimer, timer_create, timer_delete, timer_getoverrun, timer_gettime, timer_settime,
};

use super::usage;
use crate::Mutex;
use crate::ipc::poller;
use crate::signal::{self, Info, sig};
use crate::task::{Process, limits, resource};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};
use postern_pal::clock;

/// How long a CPU clock that stands still is left alone at most, in nanoseconds.
const LONGEST_LOOK: u64 = 100_000_000;
/// The shortest time between two looks at a CPU clock.
const SHORTEST_LOOK: u64 = 1_000_000;

/// Names a timer: a process and, within it, an interval timer (negative) or the id of a POSIX timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    pid: u32,
    id: i32,
}

impl Name {
    const REAL: i32 = -1;
    const VIRTUAL: i32 = -2;
    const PROFILE: i32 = -3;
    const CPU_LIMIT: i32 = -4;
}

/// What a timer runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Base {
    /// A clock that runs as `CLOCK_MONOTONIC` does, by its number.
    Wall(u32),
    /// The CPU time of the process.
    Cpu,
    /// Its user time.
    User,
}

impl Base {
    /// What it shows for `process`, where the monotonic clock shows `now`.
    fn time(self, process: &Process, now: u64) -> u64 {
        match self {
            Self::Wall(_) => now,
            Self::Cpu => usage::cpu_clock(process),
            Self::User => usage::user_clock(process),
        }
    }
}

/// What happens at an expiration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Notice {
    /// The signal of an interval timer.
    Plain(u32),
    /// The signal of a POSIX timer with a value, for one thread or (0) for the process.
    Value(u32, u64, u32),
    /// Nothing.
    None,
    /// The process used as much CPU time as it may (`RLIMIT_CPU`).
    CpuLimit,
}

struct Timer {
    process: Weak<Process>,
    base: Base,
    notice: Notice,
    /// The next expiration, in monotonic nanoseconds or CPU time; `None` if disarmed.
    next: Option<u64>,
    /// Time between expirations, 0 for a single one.
    interval: u64,
    /// When to look at it, in monotonic nanoseconds: where it is in the schedule.
    look: Option<u64>,
    /// The CPU clock when it was last looked at, and how long to wait if it did not move.
    seen: (u64, u64),
    /// Expirations since the last signal that was taken, and of that signal.
    overrun: u32,
    last_overrun: u32,
}

struct Schedule {
    timers: BTreeMap<Name, Timer>,
    looks: BTreeSet<(u64, Name)>,
}

static SCHEDULE: Mutex<Schedule> = Mutex::new(Schedule { timers: BTreeMap::new(), looks: BTreeSet::new() });

/// The first look of the schedule, `u64::MAX` if there is none.
static FIRST: AtomicU64 = AtomicU64::new(u64::MAX);

/// When [`run_expired`] wants to be called, in monotonic nanoseconds.
#[must_use]
pub fn next_deadline() -> Option<u64> {
    let first = FIRST.load(Ordering::SeqCst);
    (first != u64::MAX).then_some(first)
}

impl Timer {
    fn new(process: &Arc<Process>, base: Base, notice: Notice) -> Self {
        Self {
            process: Arc::downgrade(process),
            base,
            notice,
            next: None,
            interval: 0,
            look: None,
            seen: (0, SHORTEST_LOOK),
            overrun: 0,
            last_overrun: 0,
        }
    }

    /// When to look at it, if its clock shows `time` at `now`.
    fn plan(&mut self, now: u64, time: u64) -> Option<u64> {
        let next = self.next?;
        if matches!(self.base, Base::Wall(_)) {
            return Some(next);
        }
        let (before, patience) = self.seen;
        let patience = if before == time { (patience * 2).min(LONGEST_LOOK) } else { SHORTEST_LOOK };
        self.seen = (time, patience);
        let earliest = next.saturating_sub(time) / u64::from(super::cpus());
        Some(now.saturating_add(earliest.max(patience)))
    }

    /// Counts the expirations up to `time` and sets the next one.
    fn expire(&mut self, time: u64) -> u64 {
        match self.next {
            Some(next) if next <= time => {
                let count = (time - next).checked_div(self.interval).map_or(1, |more| more + 1);
                self.next =
                    (self.interval != 0).then(|| next.saturating_add(count.saturating_mul(self.interval)));
                count
            }
            _ => 0,
        }
    }

    /// Time until the next expiration and the interval.
    fn left(&self, time: u64) -> (u64, u64) {
        // An expiration that is due but not served yet still counts as to come.
        (self.next.map_or(0, |next| next.saturating_sub(time).max(1)), self.interval)
    }
}

impl Schedule {
    /// Puts a timer where it belongs in the schedule.
    fn place(&mut self, name: Name, now: u64, time: u64) {
        let Some(timer) = self.timers.get_mut(&name) else { return };
        if let Some(old) = timer.look.take() {
            self.looks.remove(&(old, name));
        }
        timer.look = timer.plan(now, time);
        if let Some(look) = timer.look {
            self.looks.insert((look, name));
        }
    }

    fn remove(&mut self, name: Name) -> Option<Timer> {
        let timer = self.timers.remove(&name)?;
        if let Some(look) = timer.look {
            self.looks.remove(&(look, name));
        }
        Some(timer)
    }

    fn first(&self) -> u64 {
        self.looks.first().map_or(u64::MAX, |(at, _)| *at)
    }
}

/// Changes the schedule and tells the keeper's loop if it must wake earlier.
fn change<T>(f: impl FnOnce(&mut Schedule) -> T) -> T {
    let (result, earlier) = {
        let mut schedule = SCHEDULE.lock();
        let result = f(&mut schedule);
        let first = schedule.first();
        (result, first < FIRST.swap(first, Ordering::SeqCst))
    };
    if earlier {
        poller::kick();
    }
    result
}

/// Sets a timer: `next` on its own clock (`None`: disarms it). Returns time left and interval as they were.
fn set(process: &Arc<Process>, id: i32, next: Option<u64>, interval: u64) -> Option<(u64, u64)> {
    let name = Name { pid: process.pid, id };
    let now = clock::now();
    // The CPU clock is read outside the lock of the schedule, because that needs the process' own.
    let base = SCHEDULE.lock().timers.get(&name)?.base;
    let time = base.time(process, now);
    change(|schedule| {
        let timer = schedule.timers.get_mut(&name)?;
        let old = timer.left(time);
        timer.next = next;
        timer.interval = interval;
        timer.overrun = 0;
        timer.last_overrun = 0;
        schedule.place(name, now, time);
        Some(old)
    })
}

struct Due {
    process: Arc<Process>,
    name: Name,
    notice: Notice,
    count: u64,
}

/// Sends the signals of all timers that expired.
pub fn run_expired() {
    let now = clock::now();
    let names: Vec<Name> = {
        let schedule = SCHEDULE.lock();
        schedule.looks.iter().take_while(|(at, _)| *at <= now).map(|(_, name)| *name).collect()
    };
    let mut due = Vec::new();
    for name in names {
        let found = SCHEDULE.lock().timers.get(&name).map(|t| (t.process.upgrade(), t.base));
        let Some((process, base)) = found else { continue };
        let Some(process) = process.filter(|p| !p.has_ended()) else {
            change(|schedule| schedule.remove(name));
            continue;
        };
        let time = base.time(&process, now);
        change(|schedule| {
            if let Some(timer) = schedule.timers.get_mut(&name) {
                let count = timer.expire(time);
                let notice = timer.notice;
                schedule.place(name, now, time);
                if count > 0 {
                    due.push(Due { process, name, notice, count });
                }
            }
        });
    }
    for due in due {
        send(&due);
    }
}

fn send(due: &Due) {
    let process = &due.process;
    match due.notice {
        Notice::None => {}
        Notice::CpuLimit => enforce_cpu_limit(process),
        Notice::Plain(signal) => signal::send_to_process(process, Info::kernel(signal)),
        Notice::Value(signal, value, tid) => {
            let id = due.name.id.unsigned_abs();
            let thread = if tid == 0 { None } else { crate::task::process::find_thread(tid) };
            // The thread that wanted it has ended.
            if tid != 0 && thread.is_none() {
                return;
            }
            let pending = signal::has_timer(process, thread.as_deref(), id);
            let missed = if pending { due.count } else { due.count - 1 };
            change(|schedule| {
                if let Some(timer) = schedule.timers.get_mut(&due.name) {
                    let missed = u32::try_from(missed).unwrap_or(u32::MAX);
                    timer.overrun = timer.overrun.saturating_add(missed).min(i32::MAX.unsigned_abs());
                }
            });
            if !pending {
                let _ = signal::post(process, thread.as_deref(), Info::timer(signal, id, value));
            }
        }
    }
}

/// Makes `RLIMIT_CPU` hold for a process: from the soft limit on it gets SIGXCPU each second, at the hard one SIGKILL.
pub fn limit_cpu(process: &Arc<Process>) {
    const SECOND: u64 = 1_000_000_000;
    let name = Name { pid: process.pid, id: Name::CPU_LIMIT };
    let [soft, hard] = process.limits.get(resource::CPU);
    let first = soft.min(hard);
    if first == limits::INFINITY {
        change(|schedule| schedule.remove(name));
        return;
    }
    let new = || Timer::new(process, Base::Cpu, Notice::CpuLimit);
    SCHEDULE.lock().timers.entry(name).or_insert_with(new);
    let _ = set(process, name.id, Some(first.saturating_mul(SECOND)), SECOND);
}

fn enforce_cpu_limit(process: &Arc<Process>) {
    let [_, hard] = process.limits.get(resource::CPU);
    let is_over = usage::cpu_clock(process) / 1_000_000_000 >= hard;
    signal::kernel_to_process(process, if is_over { sig::KILL } else { sig::XCPU });
}

/// A pending signal is being handled: if a timer sent it, it now gets to know how many expirations it stands for.
pub fn signal_taken(process: &Process, info: &mut Info) {
    let Some(id) = info.timer_id().and_then(|id| i32::try_from(id).ok()) else { return };
    let mut schedule = SCHEDULE.lock();
    if let Some(timer) = schedule.timers.get_mut(&Name { pid: process.pid, id }) {
        timer.last_overrun = core::mem::take(&mut timer.overrun);
        info.set_overrun(timer.last_overrun);
    }
}

fn remove_all(process: &Process, also_interval_timers: bool) {
    let lowest = if also_interval_timers { i32::MIN } else { 0 };
    let names: Vec<Name> = {
        let schedule = SCHEDULE.lock();
        let first = Name { pid: process.pid, id: lowest };
        let last = Name { pid: process.pid, id: i32::MAX };
        schedule.timers.range(first..=last).map(|(name, _)| *name).collect()
    };
    for name in names {
        change(|schedule| schedule.remove(name));
    }
}

/// The process executes a program: its POSIX timers are gone, its interval timers go on.
pub fn exec(process: &Process) {
    remove_all(process, false);
}

/// The process ended.
pub fn process_ended(process: &Process) {
    remove_all(process, true);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timer(base: Base, next: u64, interval: u64) -> Timer {
        let mut timer = Timer {
            process: Weak::new(),
            base,
            notice: Notice::Plain(sig::ALRM),
            next: Some(next),
            interval,
            look: None,
            seen: (0, SHORTEST_LOOK),
            overrun: 0,
            last_overrun: 0,
        };
        timer.look = None;
        timer
    }

    #[test]
    fn expirations_are_counted_and_the_next_stays_on_the_beat() {
        let mut timer = timer(Base::Wall(1), 100, 10);
        assert_eq!(timer.expire(99), 0);
        assert_eq!(timer.expire(125), 3);
        assert_eq!(timer.next, Some(130));
        assert_eq!(timer.left(125), (5, 10));
        timer.interval = 0;
        assert_eq!(timer.expire(130), 1);
        assert_eq!((timer.next, timer.left(131)), (None, (0, 0)));
    }

    #[test]
    fn the_schedule_follows_changes() {
        let mut schedule = Schedule { timers: BTreeMap::new(), looks: BTreeSet::new() };
        let (a, b) = (Name { pid: 5, id: -1 }, Name { pid: 5, id: 0 });
        schedule.timers.insert(a, timer(Base::Wall(1), 500, 0));
        schedule.timers.insert(b, timer(Base::Wall(1), 300, 0));
        schedule.place(a, 0, 0);
        schedule.place(b, 0, 0);
        assert_eq!(schedule.first(), 300);
        if let Some(timer) = schedule.timers.get_mut(&b) {
            timer.next = Some(900);
        }
        schedule.place(b, 0, 0);
        assert_eq!(schedule.first(), 500);
        assert!(schedule.remove(a).is_some());
        assert_eq!((schedule.first(), schedule.looks.len()), (900, 1));
    }

    #[test]
    fn a_cpu_clock_that_stands_still_is_looked_at_ever_more_rarely() {
        let mut timer = timer(Base::Cpu, SHORTEST_LOOK, 0);
        timer.seen = (50, SHORTEST_LOOK);
        let first = timer.plan(0, 50);
        let second = timer.plan(0, 50);
        assert_eq!((first, second), (Some(2 * SHORTEST_LOOK), Some(4 * SHORTEST_LOOK)));
        assert_eq!(timer.plan(0, 60), Some(SHORTEST_LOOK));
    }
}
