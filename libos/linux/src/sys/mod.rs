//! Time, limits, identity and the rest.

/// Stub.
pub fn init(_boot: &postern_abi::boot::Boot, _block: &'static [u8]) {}
/// Stub.
pub mod futex {
    use crate::task::{Process, Thread};
    use alloc::sync::Arc;
    /// Stub.
    pub fn exit_robust(_t: &Arc<Thread>) {}
    /// Stub.
    pub fn wake_address(_p: &Arc<Process>, _a: usize, _c: u32) {}
}
