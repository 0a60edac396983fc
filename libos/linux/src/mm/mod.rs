//! Memory maps of processes.

mod space;

pub use space::AddressSpace;
