//! kcmp(2): whether two processes share something.

use super::identity;
use crate::call::Call;
use crate::ipc::epoll;
use crate::task::{Process, process};
use crate::{Errno, Result};
use alloc::sync::Arc;
use core::cmp::Ordering;
use postern_pal::user;

mod kind {
    pub const FILE: u32 = 0;
    pub const VM: u32 = 1;
    pub const FILES: u32 = 2;
    pub const FS: u32 = 3;
    pub const SIGHAND: u32 = 4;
    pub const IO: u32 = 5;
    pub const SYSVSEM: u32 = 6;
    pub const EPOLL_TFD: u32 = 7;
}

/// The answer for two objects: equal, less or greater, in an order that says nothing about where they are.
fn compare<T: ?Sized>(a: &Arc<T>, b: &Arc<T>) -> u64 {
    /// Odd, so that different objects stay different.
    const MIX: usize = 0x9e37_79b9_7f4a_7c15;
    let place = |object: &Arc<T>| Arc::as_ptr(object).cast::<u8>().addr().wrapping_mul(MIX).rotate_left(29);
    match place(a).cmp(&place(b)) {
        Ordering::Equal => 0,
        Ordering::Less => 1,
        Ordering::Greater => 2,
    }
}

fn target(call: &Call<'_>, index: usize) -> Result<Arc<Process>> {
    Ok(process::find_thread(call.uint(index)).ok_or(Errno::ESRCH)?.process.clone())
}

/// kcmp(2).
///
/// # Errors
/// As the manual page says.
pub fn kcmp(call: &mut Call<'_>) -> Result<u64> {
    let (a, b) = (target(call, 0)?, target(call, 1)?);
    if ![&a, &b].iter().all(|p| identity::may_trace(call.process(), p)) {
        return Err(Errno::EPERM);
    }
    match call.uint(2) {
        kind::FILE => Ok(compare(&a.files.get(call.int(3))?, &b.files.get(call.int(4))?)),
        kind::VM => Ok(compare(&a.space(), &b.space())),
        kind::FILES => Ok(compare(&a.files, &b.files)),
        kind::FS => Ok(compare(&a.fs, &b.fs)),
        kind::SIGHAND => Ok(compare(&a, &b)),
        // Nobody has any.
        kind::IO | kind::SYSVSEM => Ok(0),
        kind::EPOLL_TFD => {
            // `struct kcmp_epoll_slot`.
            let [epoll, target, offset]: [u32; 3] = user::read(call.word(4))?;
            let file = a.files.get(call.int(3))?;
            let epoll = b.files.get(epoll.cast_signed())?;
            Ok(compare(&file, &epoll::watched(&epoll, target.cast_signed(), offset)?))
        }
        _ => Err(Errno::EINVAL),
    }
}
