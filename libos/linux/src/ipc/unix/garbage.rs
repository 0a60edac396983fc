//! Files in flight: sent by `SCM_RIGHTS` and not received yet.
//!
//! Two things about them need care. A socket in flight may hold others in its own queue, down to any depth: dropping
//! them one inside another would use kernel stack without bound, so they go through one heap ([`bury`]). And sockets
//! may be in flight in each other's queues, where no process can reach them any more: [`collect`] finds those, as
//! Linux' unix_gc does. The poller thread runs it after descriptors of sockets were closed ([`request`]).

use super::UnixSocket;
use crate::fs::OpenFile;
use crate::ipc::poller;
use crate::ipc::socket::Socket;
use crate::{Errno, Mutex, Result};
use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use postern_pal::clock;

/// Most files of a family that may be in flight at one time.
const MAX_IN_FLIGHT: usize = 1 << 16;

struct Heap {
    files: Vec<Arc<OpenFile>>,
    busy: bool,
}

static HEAP: Mutex<Heap> = Mutex::new(Heap { files: Vec::new(), busy: false });
static IN_FLIGHT: AtomicUsize = AtomicUsize::new(0);
/// When to collect, in monotonic nanoseconds; `u64::MAX` = nothing was asked for.
static DUE: AtomicU64 = AtomicU64::new(u64::MAX);
/// How long a collection waits: whoever closes a descriptor still holds the file for a moment, and others may follow.
const DELAY: u64 = 10_000_000;
/// Sockets in flight, by address of their open file: how many queues hold them.
static SOCKETS: Mutex<BTreeMap<usize, (Weak<OpenFile>, usize)>> = Mutex::new(BTreeMap::new());

fn unix(file: &OpenFile) -> Option<&UnixSocket> {
    Socket::of(file).ok()?.ops.as_any().downcast_ref()
}

fn key(file: &Arc<OpenFile>) -> usize {
    Arc::as_ptr(file).addr()
}

/// Files that were counted as in flight; to be taken back where they could not be sent.
#[must_use]
pub struct Launched(());

impl Launched {
    /// They were not sent after all.
    pub fn abort(self, files: &[Arc<OpenFile>]) {
        land(files);
    }
}

/// Counts files as in flight, before they enter a queue.
///
/// # Errors
/// `ETOOMANYREFS` if there would be too many.
pub fn launch(files: &[Arc<OpenFile>]) -> Result<Launched> {
    if IN_FLIGHT.fetch_add(files.len(), Ordering::Relaxed) + files.len() > MAX_IN_FLIGHT {
        IN_FLIGHT.fetch_sub(files.len(), Ordering::Relaxed);
        return Err(Errno::ETOOMANYREFS);
    }
    for file in files.iter().filter(|f| unix(f).is_some()) {
        let mut sockets = SOCKETS.lock();
        let (_, count) = sockets.entry(key(file)).or_insert_with(|| (Arc::downgrade(file), 0));
        *count += 1;
    }
    Ok(Launched(()))
}

/// Counts files as no longer in flight, after they left a queue.
pub fn land(files: &[Arc<OpenFile>]) {
    if files.is_empty() {
        return;
    }
    IN_FLIGHT.fetch_sub(files.len(), Ordering::Relaxed);
    for file in files.iter().filter(|f| unix(f).is_some()) {
        let mut sockets = SOCKETS.lock();
        if let Some((_, count)) = sockets.get_mut(&key(file)) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                sockets.remove(&key(file));
            }
        }
    }
}

/// Drops `files`, now or as soon as another thread that is at it gets to them.
pub fn bury(files: Vec<Arc<OpenFile>>) {
    if files.is_empty() {
        return;
    }
    {
        let mut heap = HEAP.lock();
        heap.files.extend(files);
        if heap.busy {
            return;
        }
        heap.busy = true;
    }
    loop {
        let next = {
            let mut heap = HEAP.lock();
            let next = heap.files.pop();
            heap.busy = next.is_some();
            next
        };
        match next {
            Some(file) => drop(file),
            None => return,
        }
    }
}

/// A socket that only queues hold.
struct Candidate {
    file: Arc<OpenFile>,
    /// Queues that hold it, and those of them that belong to candidates.
    held: usize,
    held_by_candidates: usize,
    reachable: bool,
}

/// Asks for a collection, where there can be something to collect: a descriptor of a socket was closed.
pub fn request() {
    if IN_FLIGHT.load(Ordering::Relaxed) == 0 || DUE.load(Ordering::Relaxed) != u64::MAX {
        return;
    }
    let due = clock::now().saturating_add(DELAY);
    if DUE.compare_exchange(u64::MAX, due, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
        poller::kick();
    }
}

/// When [`collect`] has something to do.
pub fn next_deadline() -> Option<u64> {
    Some(DUE.load(Ordering::Acquire)).filter(|due| *due != u64::MAX)
}

/// Empties the queues of sockets that no process can reach any more, if that was asked for and its time has come.
pub fn collect() {
    if next_deadline().is_none_or(|due| due > clock::now()) {
        return;
    }
    DUE.store(u64::MAX, Ordering::Release);
    // Whatever is looked at stays alive until the lock is given up: a socket that is closed by the last reference
    // being dropped comes back here.
    let mut seen = Vec::new();
    let lost = {
        let sockets = SOCKETS.lock();
        if sockets.is_empty() {
            return;
        }
        let mut candidates = BTreeMap::new();
        for (key, (file, held)) in sockets.iter() {
            let Some(file) = file.upgrade() else { continue };
            // One reference is ours.
            let only_queues = Arc::strong_count(&file) == held + 1;
            seen.push(file.clone());
            if only_queues {
                let candidate = Candidate { file, held: *held, held_by_candidates: 0, reachable: false };
                candidates.insert(*key, candidate);
            }
        }
        unreachable(candidates)
    };
    for file in &lost {
        if let Some(socket) = unix(file) {
            socket.discard_held();
        }
    }
    bury(lost);
    bury(seen);
}

/// The candidates that are held by nothing but other candidates that are lost as well.
fn unreachable(mut candidates: BTreeMap<usize, Candidate>) -> Vec<Arc<OpenFile>> {
    let holders: Vec<Arc<OpenFile>> = candidates.values().map(|c| c.file.clone()).collect();
    for holder in &holders {
        each_held(holder, |file| {
            if let Some(candidate) = candidates.get_mut(&key(file)) {
                candidate.held_by_candidates += 1;
            }
        });
    }
    let mut reached: Vec<Arc<OpenFile>> = Vec::new();
    for candidate in candidates.values_mut().filter(|c| c.held > c.held_by_candidates) {
        candidate.reachable = true;
        reached.push(candidate.file.clone());
    }
    while let Some(file) = reached.pop() {
        each_held(&file, |file| {
            if let Some(candidate) = candidates.get_mut(&key(file)).filter(|c| !c.reachable) {
                candidate.reachable = true;
                reached.push(candidate.file.clone());
            }
        });
    }
    candidates.into_values().filter(|c| !c.reachable).map(|c| c.file).collect()
}

fn each_held(file: &OpenFile, visit: impl FnMut(&Arc<OpenFile>)) {
    if let Some(socket) = unix(file) {
        socket.each_held_file(visit);
    }
}
