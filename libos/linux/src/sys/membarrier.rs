//! membarrier(2): memory barriers of other threads.
//!
//! A thread that runs is kicked, and the caller waits until it noticed: that orders its memory accesses. One that waits
//! passes a fence before it runs again.

use crate::call::Call;
use crate::mm::AddressSpace;
use crate::task::{Thread, process};
use crate::{Errno, Result};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering, fence};
use postern_pal::{clock, thread as host_thread};

mod command {
    pub const QUERY: u32 = 0;
    pub const GLOBAL: u32 = 1;
    pub const GLOBAL_EXPEDITED: u32 = 2;
    pub const REGISTER_GLOBAL_EXPEDITED: u32 = 4;
    pub const PRIVATE_EXPEDITED: u32 = 8;
    pub const REGISTER_PRIVATE_EXPEDITED: u32 = 16;
    pub const PRIVATE_EXPEDITED_SYNC_CORE: u32 = 32;
    pub const REGISTER_PRIVATE_EXPEDITED_SYNC_CORE: u32 = 64;
    pub const GET_REGISTRATIONS: u32 = 512;
    /// All but those for restartable sequences.
    pub const ALL: u32 = GLOBAL
        | GLOBAL_EXPEDITED
        | REGISTER_GLOBAL_EXPEDITED
        | PRIVATE_EXPEDITED
        | REGISTER_PRIVATE_EXPEDITED
        | PRIVATE_EXPEDITED_SYNC_CORE
        | REGISTER_PRIVATE_EXPEDITED_SYNC_CORE
        | GET_REGISTRATIONS;
}

/// Which commands a process announced that it will use, as their `REGISTER` commands.
#[derive(Default)]
pub struct Registrations(AtomicU32);

impl Registrations {
    /// Takes over those of the parent.
    pub fn inherit(&self, from: &Self) {
        self.0.store(from.0.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    fn has(&self, command: u32) -> bool {
        self.0.load(Ordering::Relaxed) & command != 0
    }

    /// Called on the way back to app code after a kick: a thread of a process that changes code has to forget what it
    /// fetched before.
    pub fn synchronise(&self) {
        if self.has(command::REGISTER_PRIVATE_EXPEDITED_SYNC_CORE) {
            let _ = core::arch::x86_64::__cpuid(0);
        }
    }
}

/// The other threads of all processes, or of those with this memory.
fn others(call: &Call<'_>, space: Option<&Arc<AddressSpace>>) -> Vec<Arc<Thread>> {
    let mut found = Vec::new();
    for process in process::all() {
        if space.is_none_or(|space| Arc::ptr_eq(space, &process.space())) {
            found.extend(process.state.lock().threads.iter().cloned());
        }
    }
    found.retain(|thread| !Arc::ptr_eq(thread, call.thread));
    found
}

/// Returns once each of `threads` passed a barrier. `all`: those that wait are to notice on their way out, too.
fn order(threads: &[Arc<Thread>], all: bool) {
    /// How long to sleep between two looks, in nanoseconds.
    const LOOK: u64 = 20_000;
    fence(Ordering::SeqCst);
    let mut waiting = Vec::new();
    for thread in threads {
        let Some(host) = thread.host() else { continue };
        let runs = !host_thread::is_parked(host);
        if runs || all {
            thread.kick();
        }
        if runs {
            waiting.push(host);
        }
    }
    for host in waiting {
        while !host_thread::has_noticed(host) {
            host_thread::park(Some(clock::now().saturating_add(LOOK)));
        }
    }
    fence(Ordering::SeqCst);
}

/// membarrier(2).
///
/// # Errors
/// As the manual page says; `EINVAL` for the commands for restartable sequences, which are not there.
pub fn membarrier(call: &mut Call<'_>) -> Result<u64> {
    use command as c;
    if call.uint(1) != 0 {
        return Err(Errno::EINVAL);
    }
    let own = &call.process().settings.barriers;
    let registered = |command| if own.has(command) { Ok(()) } else { Err(Errno::EPERM) };
    let command = call.uint(0);
    match command {
        c::QUERY => return Ok(c::ALL.into()),
        c::GET_REGISTRATIONS => return Ok(own.0.load(Ordering::Relaxed).into()),
        c::GLOBAL | c::GLOBAL_EXPEDITED => order(&others(call, None), false),
        c::PRIVATE_EXPEDITED => {
            registered(c::REGISTER_PRIVATE_EXPEDITED)?;
            order(&others(call, Some(&call.process().space())), false);
        }
        c::PRIVATE_EXPEDITED_SYNC_CORE => {
            registered(c::REGISTER_PRIVATE_EXPEDITED_SYNC_CORE)?;
            order(&others(call, Some(&call.process().space())), true);
        }
        c::REGISTER_GLOBAL_EXPEDITED
        | c::REGISTER_PRIVATE_EXPEDITED
        | c::REGISTER_PRIVATE_EXPEDITED_SYNC_CORE => {
            own.0.fetch_or(command, Ordering::SeqCst);
        }
        _ => return Err(Errno::EINVAL),
    }
    Ok(0)
}
