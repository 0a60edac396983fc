//! Timeouts as system calls give them, as deadlines in monotonic nanoseconds.

use crate::{Errno, Result};
use postern_pal::{clock, user};

const SECOND: u64 = 1_000_000_000;

/// Nanoseconds of a timespec.
///
/// # Errors
/// `EINVAL` if it is negative or not normalised.
pub fn nanoseconds(spec: [i64; 2]) -> Result<u64> {
    let [seconds, nanos] = spec;
    let seconds = u64::try_from(seconds).map_err(|_| Errno::EINVAL)?;
    let nanos = u64::try_from(nanos).map_err(|_| Errno::EINVAL)?;
    if nanos >= SECOND {
        return Err(Errno::EINVAL);
    }
    Ok(seconds.saturating_mul(SECOND).saturating_add(nanos))
}

/// A timespec of so many nanoseconds.
#[must_use]
pub fn timespec(nanos: u64) -> [i64; 2] {
    [i64::try_from(nanos / SECOND).unwrap_or(i64::MAX), i64::try_from(nanos % SECOND).unwrap_or(0)]
}

/// The deadline of the relative timespec at `addr`; `None` for a null pointer (for ever).
///
/// # Errors
/// `EFAULT`, `EINVAL`.
pub fn from_timespec(addr: usize) -> Result<Option<u64>> {
    if addr == 0 {
        return Ok(None);
    }
    Ok(Some(after(nanoseconds(user::read(addr)?)?)))
}

/// The deadline of a relative timeout in milliseconds; negative = for ever.
#[must_use]
pub fn from_milliseconds(timeout: i32) -> Option<u64> {
    u64::try_from(timeout).ok().map(|ms| after(ms * 1_000_000))
}

/// The deadline `nanos` from now; 0 is a deadline that has always passed.
#[must_use]
pub fn after(nanos: u64) -> u64 {
    if nanos == 0 { 0 } else { clock::now().saturating_add(nanos) }
}
