//! The Linux personality of the library OS: processes, memory, files, IPC and signals as x86-64 Linux has them, for
//! the unmodified programs of one family.
//!
//! Folders: [`task`] processes and threads, fork, exec, wait; [`signal`]; [`mm`] memory maps; [`fs`] the VFS and its
//! file systems; [`ipc`] pipes, sockets, epoll, terminals; [`sys`] time, limits, identity. [`table`] is the one list
//! of system calls. [`kernel`] is where the platform layer calls in.
#![no_std]
#![forbid(unsafe_code)]
#![warn(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_possible_wrap)]

extern crate alloc;

pub mod call;
pub mod fs;
pub mod io;
pub mod ipc;
pub mod kernel;
pub mod mm;
pub mod signal;
pub mod sys;
pub mod table;
pub mod task;
pub mod wait;

pub use postern_pal::{Errno, Mutex, Once, Result};
