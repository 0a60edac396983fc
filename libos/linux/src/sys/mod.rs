//! Time, futexes, limits, identity, scheduling, and what an app is told of the machine.

pub mod compare;
pub mod futex;
pub mod identity;
pub mod limits;
pub mod membarrier;
pub mod prctl;
pub mod sched;
pub mod session;
mod settings;
pub mod system;
pub mod sysv;
pub mod time;
pub mod timer;

pub use settings::{ProcessSettings, ThreadSettings};
pub use system::{cpus, hostname, init, release};
