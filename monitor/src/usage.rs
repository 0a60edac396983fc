//! What a running app uses of the host: processor time and memory, from /proc.

use crate::account::lock;
use crate::control::Traffic;
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Instant;

/// Most processes that are looked at.
const MAX_PROCESSES: usize = 4096;

/// Measures an app.
#[derive(Debug)]
pub struct Usage {
    keeper: AtomicU32,
    weaker: Mutex<Option<String>>,
    /// Process id of the bridge, 0 where there is none.
    pub bridge: AtomicU32,
    /// Frames that the bridge has shown.
    pub frames: AtomicU64,
    /// Frames of these whose pixels were copied.
    pub copied_frames: AtomicU64,
    /// When the app started.
    pub begun: Instant,
    /// The same, in seconds since 1970.
    pub started: u64,
    /// Last known processor time and I/O of each process, and the sums of those that have ended.
    last: Mutex<Past>,
}

#[derive(Debug, Default)]
struct Past {
    known: BTreeMap<i32, Counters>,
    ended: Counters,
}

/// What only ever grows.
#[derive(Clone, Copy, Debug, Default)]
struct Counters {
    cpu_us: u64,
    read: u64,
    written: u64,
}

impl Counters {
    fn add(&mut self, other: Self) {
        self.cpu_us = self.cpu_us.saturating_add(other.cpu_us);
        self.read = self.read.saturating_add(other.read);
        self.written = self.written.saturating_add(other.written);
    }
}

/// One measurement of everything that belongs to an app.
#[derive(Clone, Copy, Debug, Default)]
pub struct Measured {
    /// Processes of the family, without the keeper.
    pub processes: u32,
    /// Their threads.
    pub threads: u32,
    /// Processor time in microseconds, keeper, monitor and bridge included.
    pub cpu_us: u64,
    /// Resident memory in bytes; shared pages count each time.
    pub rss_bytes: u64,
    /// Proportional memory in bytes, where asked for.
    pub pss_bytes: u64,
    /// Bytes from and to disks.
    pub io: Traffic,
}

impl Usage {
    /// Begins with the family's first process, and why its confinement is weaker than it should be, if it is.
    #[must_use]
    pub fn new(keeper: Pid, weaker: Option<String>) -> Self {
        Self {
            keeper: AtomicU32::new(number(keeper)),
            weaker: Mutex::new(weaker),
            bridge: AtomicU32::new(0),
            frames: AtomicU64::new(0),
            copied_frames: AtomicU64::new(0),
            begun: Instant::now(),
            started: crate::account::unix_now(),
            last: Mutex::default(),
        }
    }

    /// The family was started again.
    pub fn set_keeper(&self, keeper: Pid, weaker: Option<String>) {
        self.keeper.store(number(keeper), Ordering::Relaxed);
        *lock(&self.weaker) = weaker;
    }

    /// Process id of the keeper.
    #[must_use]
    pub fn keeper(&self) -> u32 {
        self.keeper.load(Ordering::Relaxed)
    }

    /// Why the confinement is weaker than it should be, if it is.
    #[must_use]
    pub fn weaker(&self) -> Option<String> {
        lock(&self.weaker).clone()
    }

    /// The host's ids of all processes of the family, the keeper first.
    #[must_use]
    pub fn family(&self) -> Vec<Pid> {
        let keeper = i32::try_from(self.keeper()).unwrap_or(0);
        let mut found = vec![keeper];
        let mut next = 0;
        while let Some(&pid) = found.get(next) {
            next += 1;
            let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { continue };
            for thread in threads.flatten() {
                let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
                found.extend(children.split_whitespace().filter_map(|word| word.parse::<i32>().ok()));
            }
            if found.len() > MAX_PROCESSES {
                break;
            }
        }
        found.into_iter().map(Pid::from_raw).collect()
    }

    /// Measures now; proportional memory only if `memory`, since it costs the host some work.
    #[must_use]
    pub fn measure(&self, memory: bool) -> Measured {
        let mut all: Vec<i32> = self.family().into_iter().map(Pid::as_raw).collect();
        let family = all.len();
        all.push(i32::try_from(std::process::id()).unwrap_or(0));
        all.extend(i32::try_from(self.bridge.load(Ordering::Relaxed)).ok().filter(|pid| *pid > 0));
        let mut sum = Measured { processes: u32::try_from(family - 1).unwrap_or(0), ..Measured::default() };
        let mut counters = BTreeMap::new();
        for (index, pid) in all.iter().enumerate() {
            let Some(stat) = Stat::read(*pid) else { continue };
            sum.rss_bytes = sum.rss_bytes.saturating_add(stat.rss_bytes);
            if index > 0 && index < family {
                sum.threads = sum.threads.saturating_add(stat.threads);
            }
            if memory {
                sum.pss_bytes = sum.pss_bytes.saturating_add(proportional(*pid).unwrap_or(0));
            }
            let (read, written) = io(*pid).unwrap_or_default();
            counters.insert(*pid, Counters { cpu_us: stat.cpu_us, read, written });
        }
        let mut past = lock(&self.last);
        let known = std::mem::replace(&mut past.known, counters);
        for (pid, last) in known {
            if !past.known.contains_key(&pid) {
                past.ended.add(last);
            }
        }
        let mut total = past.ended;
        past.known.values().for_each(|one| total.add(*one));
        sum.cpu_us = total.cpu_us;
        sum.io = Traffic { read: total.read, written: total.written };
        sum
    }
}

fn number(pid: Pid) -> u32 {
    u32::try_from(pid.as_raw()).unwrap_or(0)
}

struct Stat {
    cpu_us: u64,
    threads: u32,
    rss_bytes: u64,
}

impl Stat {
    /// From `/proc/PID/stat`; see proc_pid_stat(5). The name in parentheses may hold anything.
    fn read(pid: i32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        // The first field after the name is number 3, the state.
        let field = |n: usize| fields.get(n - 3).and_then(|f| f.parse::<u64>().ok());
        let tick_us = 1_000_000 / ticks_per_second();
        Some(Self {
            cpu_us: (field(14)?.saturating_add(field(15)?)).saturating_mul(tick_us),
            threads: u32::try_from(field(20)?).ok()?,
            rss_bytes: field(24)?.saturating_mul(4096),
        })
    }
}

fn ticks_per_second() -> u64 {
    let ticks = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK).ok().flatten();
    ticks.and_then(|n| u64::try_from(n).ok()).filter(|n| *n > 0).unwrap_or(100)
}

fn value_kib(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_suffix(" kB")?.trim().parse().ok())
}

fn proportional(pid: i32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    Some(value_kib(&text, "Pss:")?.saturating_mul(1024))
}

fn io(pid: i32) -> Option<(u64, u64)> {
    let text = fs::read_to_string(format!("/proc/{pid}/io")).ok()?;
    let value = |name| text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    Some((value("read_bytes:")?, value("write_bytes:")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_this_process() {
        let usage = Usage::new(nix::unistd::getpid(), None);
        let measured = usage.measure(true);
        assert!(measured.rss_bytes > 1 << 20, "{measured:?}");
        assert!(measured.pss_bytes > 0 && measured.pss_bytes <= measured.rss_bytes, "{measured:?}");
    }
}
