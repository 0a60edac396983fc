//! Access to the memory of another process of the family, and changes of what it maps. No process can reach another's
//! private memory; so one of the other's threads does the work, between two instructions of the app or while it waits.

use super::AddressSpace;
use crate::task::{Process, Thread};
use crate::{Errno, Mutex, Result};
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering};
use postern_pal::thread::{self as host_thread, ThreadId};
use postern_pal::{clock, user};

/// Most bytes that one errand moves.
pub const MOST: usize = 256 * 1024;

/// What is to be done.
pub enum Work {
    /// Read at most so many bytes from an address.
    Read(usize, usize),
    /// Write these bytes to an address.
    Write(usize, Vec<u8>),
    /// Have areas show no more than their files hold ([`super::cut`]).
    Fit(Arc<AddressSpace>),
}

impl Work {
    /// Does it in the memory of the running thread. Returns what was read, or how many bytes were written.
    fn run(&self) -> Result<(Vec<u8>, usize)> {
        match self {
            Self::Read(at, len) => {
                let mut bytes = alloc::vec![0; (*len).min(MOST)];
                let got = user::read_partial(*at, &mut bytes)?;
                bytes.truncate(got);
                Ok((bytes, got))
            }
            Self::Write(at, bytes) => Ok((Vec::new(), user::write_partial(*at, bytes)?)),
            Self::Fit(space) => {
                space.fit();
                Ok((Vec::new(), 0))
            }
        }
    }
}

type Outcome = Result<(Vec<u8>, usize)>;

struct Errand {
    work: Work,
    outcome: Mutex<Option<Outcome>>,
    /// Who waits for it.
    caller: ThreadId,
}

/// What threads of an address space are to do for others.
#[derive(Default)]
pub struct Errands {
    count: AtomicU32,
    queue: Mutex<VecDeque<Arc<Errand>>>,
}

impl Errands {
    fn add(&self, errand: Arc<Errand>) {
        let mut queue = self.queue.lock();
        queue.push_back(errand);
        self.count.fetch_add(1, Ordering::SeqCst);
    }

    fn take(&self) -> Option<Arc<Errand>> {
        let mut queue = self.queue.lock();
        let errand = queue.pop_front()?;
        self.count.fetch_sub(1, Ordering::SeqCst);
        Some(errand)
    }

    /// Takes `errand` back; `false` if somebody has begun it.
    fn withdraw(&self, errand: &Arc<Errand>) -> bool {
        let mut queue = self.queue.lock();
        let Some(at) = queue.iter().position(|e| Arc::ptr_eq(e, errand)) else { return false };
        self.count.fetch_sub(1, Ordering::SeqCst);
        queue.remove(at).is_some()
    }

    /// Does what is to be done. Called by a thread of the address space where it holds no lock.
    #[inline]
    pub fn run(&self) {
        if self.count.load(Ordering::SeqCst) != 0 {
            self.run_all();
        }
    }

    #[cold]
    fn run_all(&self) {
        while let Some(errand) = self.take() {
            let outcome = errand.work.run();
            *errand.outcome.lock() = Some(outcome);
            host_thread::unpark(errand.caller);
        }
    }
}

/// Does `work` in the memory of `owner` for the running thread, `caller`. Returns what was read, or how many bytes were
/// written.
///
/// # Errors
/// `EFAULT`; `ESRCH` where the process ends or executes a program meanwhile; `EINTR` if the caller must end.
pub fn run_in(caller: &Thread, owner: &Arc<Process>, space: &Arc<AddressSpace>, work: Work) -> Outcome {
    /// How often to look whether the other process is still there, in nanoseconds.
    const LOOK: u64 = 5_000_000;
    if Arc::ptr_eq(space, &caller.process.space()) {
        return work.run();
    }
    let errand = Arc::new(Errand { work, outcome: Mutex::new(None), caller: host_thread::current() });
    space.errands.add(errand.clone());
    for thread in &owner.state.lock().threads {
        thread.kick();
    }
    loop {
        if let Some(outcome) = errand.outcome.lock().take() {
            return outcome;
        }
        let gone = owner.has_ended() || !Arc::ptr_eq(space, &owner.space());
        let over = if gone {
            Some(Errno::ESRCH)
        } else if caller.must_exit.load(Ordering::Acquire) != 0 {
            Some(Errno::EINTR)
        } else {
            None
        };
        match over {
            Some(errno) if space.errands.withdraw(&errand) => return Err(errno),
            _ => host_thread::park(Some(clock::now().saturating_add(LOOK))),
        }
    }
}
