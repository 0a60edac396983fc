//! Files: open files and descriptors ([`file`], [`descriptor`]).

pub mod descriptor;
pub mod file;

pub use descriptor::FdTable;
pub use file::{FileOps, Mapping, Metadata, OpenFile, Poll};

use crate::task::{Process, Thread};
use crate::{Errno, Result};
use alloc::sync::Arc;
use alloc::vec::Vec;
/// Stub.
///
/// # Errors
/// None.
pub fn init(_b: &postern_abi::boot::Boot, _k: &'static [u8]) -> Result<()> {
    Ok(())
}
/// Stub.
///
/// # Errors
/// None.
pub fn init_process(_p: &Arc<Process>, _b: &postern_abi::boot::Boot, _k: &'static [u8]) -> Result<()> {
    Ok(())
}
/// Stub.
///
/// # Errors
/// Always.
pub fn open_for_exec(_t: &Thread, _p: &[u8]) -> Result<(Arc<OpenFile>, Vec<u8>)> {
    Err(Errno::ENOENT)
}
/// Stub.
pub mod random {
    /// Stub.
    #[must_use]
    pub fn word() -> u64 {
        4
    }
}
