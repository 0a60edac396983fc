//! Time, futexes, limits, identity, scheduling, and what an app is told of the machine.

pub mod capability;
pub mod compare;
pub mod futex;
pub mod identity;
pub mod limits;
pub mod load;
pub mod membarrier;
pub mod prctl;
pub mod sched;
pub mod seccomp;
pub mod session;
mod settings;
pub mod system;
pub mod sysv;
pub mod time;
pub mod timer;
pub mod usage;

pub use settings::{MACHINE_CHECK, ProcessSettings, ThreadSettings};
pub use system::{cpus, hostname, init, release};
