//! Memory maps of processes: what is mapped where ([`space`]) and the system calls that change it ([`calls`]).

pub mod advice;
pub mod calls;
pub mod cut;
pub mod errand;
pub mod known;
pub mod limit;
pub mod lock;
pub mod patch;
pub mod placement;
mod remap;
pub mod remote;
pub mod space;
pub mod vdso;

pub use space::{AddressSpace, Area, Kind};
