//! Processes and threads.

pub mod process;
pub mod thread;

pub use process::{FsContext, Identity, Process};
pub use thread::Thread;
