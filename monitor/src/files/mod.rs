//! The file service: `file:` streams. It resolves names below the mounts of a family, by policy, and hands out handles
//! of regular files. It never follows a symbolic link and never opens a device, FIFO or socket.

mod attribute;
mod change;
mod late;
mod list;
mod mounts;
mod open;
mod outside;
mod recent;
mod unnamed;
mod walk;
mod watch;

pub use change::clear_umask;
pub use mounts::{Mount, MountError, Mounts, Policy};
pub use outside::Outside;
pub use watch::Watches;
