//! The platform layer of the library OS: entry, faults, memory, threads, host system calls and downcalls. It is the
//! only crate of the library OS with `unsafe` code; what it exports is safe to call.
//!
//! Everything here runs in a picoprocess and is therefore *not trusted*: confinement is the monitor's and the
//! seccomp filter's work. Correctness for the app is ours.
#![no_std]
#![cfg_attr(
    not(feature = "image"),
    allow(dead_code, reason = "the start code that uses it is only in the image")
)]
#![warn(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_possible_wrap)]

extern crate alloc;

pub mod clock;
pub mod entry;
pub mod errno;
mod exception;
pub mod frame;
pub mod gate;
pub mod handle;
pub mod heap;
mod host;
pub mod mem;
pub mod processor;
pub mod report;
#[cfg(feature = "image")]
pub mod start;
pub mod sync;
pub mod thread;
pub mod user;

pub use errno::{Errno, Result};
pub use sync::{Mutex, MutexGuard, Once};
