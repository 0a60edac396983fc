//! Processes and threads.

pub mod clone;
pub mod elf;
pub mod exec;
pub mod exit;
pub mod limits;
pub mod process;
pub mod stack;
pub mod thread;
pub mod wait;

pub use limits::{Limits, resource};
pub use process::{FsContext, Identity, Process, Status};
pub use thread::Thread;
