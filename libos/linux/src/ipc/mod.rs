//! Pipes, sockets, polling, terminals.
use crate::Result;
use crate::task::Process;
use alloc::sync::Arc;
/// Stub.
///
/// # Errors
/// None.
pub fn init(_b: &postern_abi::boot::Boot, _p: &Arc<Process>) -> Result<()> {
    Ok(())
}
/// Stub.
pub fn process_ended(_p: &Arc<Process>) {}
/// Stub.
pub mod poller {
    /// Stub.
    pub fn service() {
        loop {
            postern_pal::thread::park(None);
        }
    }
}
