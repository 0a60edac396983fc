//! The alternate signal stack: sigaltstack(2).

use crate::call::Call;
use crate::{Errno, Result};
use postern_pal::user;

const ONSTACK: u32 = 1;
const DISABLE: u32 = 2;
const AUTODISARM: u32 = 1 << 31;
/// `MINSIGSTKSZ` of x86-64.
const MIN_SIZE: u64 = 2048;

/// An alternate stack; `size` 0 = none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AltStack {
    start: u64,
    size: u64,
    flags: u32,
}

impl Default for AltStack {
    fn default() -> Self {
        Self { start: 0, size: 0, flags: DISABLE }
    }
}

impl AltStack {
    /// Whether a thread with this stack pointer runs on it.
    #[must_use]
    pub fn holds(&self, sp: u64) -> bool {
        self.flags & AUTODISARM == 0 && self.covers(sp)
    }

    /// Whether `sp` points into it.
    #[must_use]
    pub fn covers(&self, sp: u64) -> bool {
        sp > self.start && sp - self.start <= self.size
    }

    /// Where the stack pointer of a handler begins, if there is a stack and `sp` is not on it already.
    #[must_use]
    pub fn top_for(&self, sp: u64) -> Option<u64> {
        (self.size != 0 && !self.holds(sp)).then(|| self.start.wrapping_add(self.size))
    }

    /// As a `stack_t` of a signal frame: address, flags, size.
    #[must_use]
    pub fn words(&self) -> [u64; 3] {
        [self.start, u64::from(self.flags), self.size]
    }

    /// A handler begins: a stack that disarms itself is gone until the handler returns.
    pub fn disarm(&mut self) {
        if self.flags & AUTODISARM != 0 {
            *self = Self::default();
        }
    }

    fn shown(&self, sp: u64) -> [u64; 3] {
        let state = if self.size == 0 {
            DISABLE
        } else if self.holds(sp) {
            ONSTACK
        } else {
            0
        };
        [self.start, u64::from(state | (self.flags & AUTODISARM)), self.size]
    }

    /// Replaces the stack by what a `stack_t` says, for a thread whose stack pointer is `sp`.
    ///
    /// # Errors
    /// As sigaltstack(2).
    pub fn set(&mut self, [start, flags, size]: [u64; 3], sp: u64) -> Result<()> {
        if self.holds(sp) {
            return Err(Errno::EPERM);
        }
        // Bytes 12 to 15 of stack_t are padding.
        let flags = u32::try_from(flags & 0xffff_ffff).unwrap_or(0);
        match flags & !AUTODISARM {
            DISABLE => *self = Self { start: 0, size: 0, flags },
            0 | ONSTACK if size < MIN_SIZE => return Err(Errno::ENOMEM),
            0 | ONSTACK => *self = Self { start, size, flags },
            _ => return Err(Errno::EINVAL),
        }
        Ok(())
    }
}

/// sigaltstack(2).
///
/// # Errors
/// As the manual page says.
pub fn sigaltstack(call: &mut Call<'_>) -> Result<u64> {
    let (new_at, old_at, sp) = (call.word(0), call.word(1), call.frame.rsp);
    let new: Option<[u64; 3]> = if new_at == 0 { None } else { Some(user::read(new_at)?) };
    let old = {
        let mut stack = call.thread.signals.alt_stack.lock();
        let old = stack.shown(sp);
        if let Some(new) = new {
            stack.set(new, sp)?;
        }
        old
    };
    if old_at != 0 {
        user::write(old_at, &old)?;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_in_use_cannot_be_replaced() {
        let mut stack = AltStack::default();
        assert_eq!(stack.set([0x1000, 0, 0x4000], 0x9000), Ok(()));
        assert_eq!(stack.top_for(0x9000), Some(0x5000));
        assert_eq!(stack.top_for(0x2000), None);
        assert_eq!(stack.set([0, 2, 0], 0x2000), Err(Errno::EPERM));
        assert_eq!(stack.shown(0x2000), [0x1000, 1, 0x4000]);
        assert_eq!(stack.set([0, 2, 0], 0x9000), Ok(()));
        assert_eq!(stack.top_for(0x9000), None);
    }

    #[test]
    fn small_stacks_and_unknown_flags_are_refused() {
        let mut stack = AltStack::default();
        assert_eq!(stack.set([0x1000, 0, 2047], 0), Err(Errno::ENOMEM));
        assert_eq!(stack.set([0x1000, 8, 0x4000], 0), Err(Errno::EINVAL));
    }

    #[test]
    fn a_stack_can_disarm_itself() {
        let mut stack = AltStack::default();
        assert_eq!(stack.set([0x1000, u64::from(AUTODISARM), 0x4000], 0), Ok(()));
        assert!(!stack.holds(0x2000));
        stack.disarm();
        assert_eq!(stack, AltStack::default());
    }
}
