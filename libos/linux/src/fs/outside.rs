//! Changes that others make to files that programs of the family watch (inotify). The monitor tells of all changes to
//! such a file, those of the family included, of which [`super::inotify`] has told already: what the family did leaves an
//! *echo*, and what comes from the monitor and sounds like one is not told again.

use super::dentry::Dentry;
use super::inotify::{self, event};
use crate::Mutex;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use hashbrown::HashMap;
use postern_pal::clock;

/// How long a change from the monitor waits, in nanoseconds: the family's own call, which the monitor answers first, has
/// told of its own change by then.
const GRACE: u64 = 40_000_000;
/// How long after what the family did to a file the same is taken for its echo. Many writes can be one event, so that
/// these are not counted.
const NEAR: u64 = 250_000_000;
/// As [`NEAR`], for changes of names, which are counted.
const LONG: u64 = 2_000_000_000;
/// Most echoes that are remembered.
const MAX_ECHOES: usize = 4096;
/// Most changes that wait.
const MAX_WAITING: usize = 16384;
/// Bits of changes that are never joined to one: each of the family's own comes back exactly once.
const COUNTED: u32 = event::CREATE
    | event::DELETE
    | event::MOVED_FROM
    | event::MOVED_TO
    | event::DELETE_SELF
    | event::MOVE_SELF;

/// A watched file, and how many watches of the family it has.
struct Subject {
    dentry: Arc<Dentry>,
    watches: usize,
}

/// Something the family did itself: watch, kind, name.
type Key = (u64, u32, Box<[u8]>);

struct Echo {
    /// When it was done last (monotonic nanoseconds).
    at: u64,
    /// How often.
    count: u32,
}

/// What the monitor told.
struct Change {
    number: u64,
    mask: u32,
    cookie: u32,
    name: Box<[u8]>,
    at: u64,
}

/// Watched files by the number of their watch. Held while a watch begins or ends.
static SUBJECTS: Mutex<BTreeMap<u64, Subject>> = Mutex::new(BTreeMap::new());
static ECHOES: Mutex<Option<HashMap<Key, Echo>>> = Mutex::new(None);
static WAITING: Mutex<VecDeque<Change>> = Mutex::new(VecDeque::new());

/// A program watches the file: the number of the watch, or 0 if nobody else can change it.
pub fn begin(dentry: &Arc<Dentry>) -> u64 {
    let mut subjects = SUBJECTS.lock();
    let Some(number) = dentry.inode.watch_outside(dentry) else { return 0 };
    subjects.entry(number).or_insert_with(|| Subject { dentry: dentry.clone(), watches: 0 }).watches += 1;
    number
}

/// A program watches it no more.
pub fn end(number: u64) {
    if number == 0 {
        return;
    }
    let mut subjects = SUBJECTS.lock();
    let Some(subject) = subjects.get_mut(&number) else { return };
    subject.watches -= 1;
    if subject.watches > 0 {
        return;
    }
    let gone = subjects.remove(&number);
    if let Some(gone) = &gone {
        gone.dentry.inode.unwatch_outside(number);
    }
    drop(subjects);
    drop(gone);
}

/// The family itself did something to what is watched as `number`.
pub fn echo(number: u64, mask: u32, name: &[u8]) {
    let now = clock::now();
    let mut echoes = ECHOES.lock();
    let echoes = echoes.get_or_insert_default();
    if echoes.len() >= MAX_ECHOES {
        echoes.retain(|_, echo| now.saturating_sub(echo.at) < LONG);
        if echoes.len() >= MAX_ECHOES {
            echoes.clear();
        }
    }
    let echo = echoes.entry((number, mask & event::ALL, name.into())).or_insert(Echo { at: now, count: 0 });
    if now.saturating_sub(echo.at) > LONG {
        echo.count = 0;
    }
    echo.at = now;
    echo.count = echo.count.saturating_add(1);
}

/// Whether a change is the echo of the family's own.
fn is_echo(change: &Change) -> bool {
    let mut echoes = ECHOES.lock();
    let Some(echoes) = echoes.as_mut() else { return false };
    let bits = change.mask & event::ALL;
    let key = (change.number, bits, change.name.clone());
    let Some(echo) = echoes.get_mut(&key) else { return false };
    // What was done after the change came is no reason to doubt it, but for the moment that it waited.
    let age = change.at.saturating_sub(echo.at);
    if bits & COUNTED == 0 {
        return age < NEAR;
    }
    if age >= LONG {
        echoes.remove(&key);
        return false;
    }
    echo.count -= 1;
    if echo.count == 0 {
        echoes.remove(&key);
    }
    true
}

/// The monitor told of a change.
pub fn arrived(number: u64, mask: u32, cookie: u32, name: &[u8]) {
    let mut waiting = WAITING.lock();
    let is_lost = waiting.len() >= MAX_WAITING;
    if is_lost && waiting.back().is_some_and(|last| last.mask & event::Q_OVERFLOW != 0) {
        return;
    }
    let at = clock::now();
    waiting.push_back(if is_lost {
        Change { number: 0, mask: event::Q_OVERFLOW, cookie: 0, name: Box::default(), at }
    } else {
        Change { number, mask, cookie, name: name.into(), at }
    });
}

/// When the next change is to be told (monotonic nanoseconds).
#[must_use]
pub fn next_deadline() -> Option<u64> {
    WAITING.lock().front().map(|change| change.at.saturating_add(GRACE))
}

/// Tells the changes that have waited long enough.
pub fn tell_due() {
    loop {
        let change = {
            let mut waiting = WAITING.lock();
            let now = clock::now();
            if waiting.front().is_none_or(|change| now.saturating_sub(change.at) < GRACE) {
                return;
            }
            waiting.pop_front()
        };
        if let Some(change) = change {
            tell(&change);
        }
    }
}

fn tell(change: &Change) {
    if change.mask & event::Q_OVERFLOW != 0 {
        inotify::overflow_outside();
        return;
    }
    let Some(dentry) = SUBJECTS.lock().get(&change.number).map(|subject| subject.dentry.clone()) else {
        return;
    };
    if is_echo(change) {
        return;
    }
    // Whoever hears of it will look.
    if change.name.is_empty() {
        dentry.inode.doubt(change.mask & event::ATTRIB != 0);
    } else {
        dentry.inode.doubt(false);
        dentry.doubt(&change.name, change.mask & event::DELETE != 0);
    }
    // Not one of the numbers that the family's own renames have.
    const OUTSIDE: u32 = 1 << 31;
    let cookie = if change.cookie == 0 { 0 } else { change.cookie | OUTSIDE };
    let mask = change.mask & (event::ALL | event::ISDIR);
    inotify::outside(&dentry, &change.name, mask, cookie);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(number: u64, mask: u32, name: &[u8], at: u64) -> Change {
        Change { number, mask, cookie: 0, name: name.into(), at }
    }

    #[test]
    fn names_are_counted_and_contents_are_not() {
        echo(7001, event::CREATE, b"a");
        echo(7001, event::MODIFY, b"a");
        let now = clock::now();
        assert!(!is_echo(&change(7001, event::CREATE, b"b", now)));
        assert!(!is_echo(&change(7002, event::CREATE, b"a", now)));
        assert!(is_echo(&change(7001, event::CREATE | event::ISDIR, b"a", now)));
        assert!(!is_echo(&change(7001, event::CREATE, b"a", now)));
        assert!(is_echo(&change(7001, event::MODIFY, b"a", now)));
        assert!(is_echo(&change(7001, event::MODIFY, b"a", now)));
        assert!(!is_echo(&change(7001, event::MODIFY, b"a", now + NEAR)));
    }
}
