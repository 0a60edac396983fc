//! The account of a running app: what it asked for, how often, and what was refused.

use crate::control::Denied;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// Most different refusals, unsupported calls or processes that are remembered: a hostile app cannot make the list
/// grow without end.
const MAX_ENTRIES: usize = 256;
/// Longest text taken from the family, in characters.
const MAX_TEXT: usize = 300;

/// Counts of one app.
#[derive(Debug, Default)]
pub struct Account {
    calls: [AtomicU64; 16],
    denied: Mutex<Vec<Denied>>,
    unsupported: Mutex<BTreeMap<String, u64>>,
    processes: Mutex<BTreeMap<u32, Process>>,
}

/// A process of the app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its number in the family's PID namespace.
    pub host_pid: u32,
    /// Its name.
    pub name: String,
}

/// Locks, also after another thread panicked: the account is only counts.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Seconds since 1970.
#[must_use]
pub fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

/// Text from the family, cut and without control characters, fit for a terminal or a window.
#[must_use]
pub fn clean(bytes: &[u8]) -> String {
    clean_to(bytes, MAX_TEXT)
}

/// As [`clean`], but at most `max` characters.
#[must_use]
pub fn clean_to(bytes: &[u8], max: usize) -> String {
    String::from_utf8_lossy(bytes)
        .chars()
        .take(max)
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

impl Account {
    /// Counts a monitor call.
    pub fn count_call(&self, number: u32) {
        let index = usize::try_from(number).unwrap_or(0);
        if let Some(counter) = self.calls.get(index) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Monitor calls by name, those that were made.
    #[must_use]
    pub fn calls(&self) -> BTreeMap<String, u64> {
        let named = postern_abi::calls::MONITOR.iter().zip(self.calls.iter().skip(1));
        named
            .map(|(call, count)| (call.name.to_owned(), count.load(Ordering::Relaxed)))
            .filter(|(_, count)| *count > 0)
            .collect()
    }

    /// Counts a refusal for lack of `permission`.
    pub fn deny(&self, permission: &str, what: &str) {
        let mut list = lock(&self.denied);
        let now = unix_now();
        if let Some(known) = list.iter_mut().find(|d| d.permission == permission && d.what == what) {
            known.count = known.count.saturating_add(1);
            known.last = now;
            return;
        }
        if list.len() >= MAX_ENTRIES {
            list.remove(0);
        }
        list.push(Denied { permission: permission.to_owned(), what: what.to_owned(), count: 1, last: now });
    }

    /// All refusals, the latest last.
    #[must_use]
    pub fn denied(&self) -> Vec<Denied> {
        let mut list = lock(&self.denied).clone();
        list.sort_by_key(|d| d.last);
        list
    }

    /// Counts something that was asked for and is not there.
    pub fn unsupported(&self, name: &str, count: u64) {
        let mut map = lock(&self.unsupported);
        if map.len() < MAX_ENTRIES || map.contains_key(name) {
            let total = map.entry(name.to_owned()).or_default();
            *total = total.saturating_add(count.max(1));
        }
    }

    /// What was asked for and is not there.
    #[must_use]
    pub fn unsupported_list(&self) -> BTreeMap<String, u64> {
        lock(&self.unsupported).clone()
    }

    /// Remembers a process; one with an empty name has ended.
    pub fn process(&self, pid: u32, host_pid: u32, name: &str) {
        let mut map = lock(&self.processes);
        if name.is_empty() {
            map.remove(&pid);
        } else if map.len() < MAX_ENTRIES || map.contains_key(&pid) {
            map.insert(pid, Process { host_pid, name: name.to_owned() });
        }
    }

    /// The processes by the app's own numbers.
    #[must_use]
    pub fn processes(&self) -> BTreeMap<u32, Process> {
        lock(&self.processes).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_counted_and_bounded() {
        let account = Account::default();
        account.deny("network", "connect to 192.0.2.1 port 443");
        account.deny("network", "connect to 192.0.2.1 port 443");
        assert_eq!(account.denied().first().map(|d| d.count), Some(2));
        for i in 0..1000 {
            account.deny("network", &format!("port {i}"));
            account.unsupported(&format!("call {i}"), 1);
            account.process(i, i, "x");
        }
        assert_eq!(account.denied().len(), MAX_ENTRIES);
        assert_eq!(account.unsupported_list().len(), MAX_ENTRIES);
        assert_eq!(account.processes().len(), MAX_ENTRIES);
    }

    #[test]
    fn text_of_the_family_is_harmless() {
        assert_eq!(clean(b"a\x1b[2Jb\n\xff"), "a\u{fffd}[2Jb\u{fffd}\u{fffd}");
        assert_eq!(clean(&[b'x'; 10_000]).len(), MAX_TEXT);
    }
}
