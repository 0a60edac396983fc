//! Deadlocks of record locks: who waits for whom (`EDEADLK`).

use super::lock::Owner;
use crate::{Errno, Result};
use alloc::vec::Vec;

/// Longest chain that is followed, as in Linux: a longer one is taken for none.
const LONGEST: usize = 10;

/// One thread that waits for a lock.
struct Wait {
    /// Names the thread.
    key: u64,
    waiter: Owner,
    holder: Owner,
}

/// All threads that wait for locks.
pub(super) struct Waits(Vec<Wait>);

impl Waits {
    /// Nobody.
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    /// The thread `key` waits, for `waiter`, for what `holder` has.
    ///
    /// # Errors
    /// `EDEADLK` if the holder waits, by however many others, for the waiter.
    pub(super) fn note(&mut self, key: u64, waiter: Owner, holder: Owner) -> Result<()> {
        self.forget(key);
        // Locks of open files have no process that could wait.
        if matches!(waiter, Owner::Process(_)) {
            let mut next = Some(holder);
            for _ in 0..=LONGEST {
                let Some(owner) = next else { break };
                next = self.0.iter().find(|wait| wait.waiter == owner).map(|wait| wait.holder);
                if next == Some(waiter) {
                    return Err(Errno::EDEADLK);
                }
            }
        }
        self.0.push(Wait { key, waiter, holder });
        Ok(())
    }

    /// The thread `key` waits no more.
    pub(super) fn forget(&mut self, key: u64) {
        self.0.retain(|wait| wait.key != key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_circle_is_found_and_a_chain_is_none() {
        let process = Owner::Process;
        let mut waits = Waits::new();
        assert_eq!(waits.note(1, process(1), process(2)), Ok(()));
        assert_eq!(waits.note(2, process(2), process(3)), Ok(()));
        assert_eq!(waits.note(3, process(3), process(1)), Err(Errno::EDEADLK));
        waits.forget(1);
        assert_eq!(waits.note(3, process(3), process(1)), Ok(()));
        assert_eq!(waits.note(4, Owner::File(8), process(2)), Ok(()));
        assert_eq!(waits.note(5, process(9), Owner::File(8)), Ok(()));
    }
}
