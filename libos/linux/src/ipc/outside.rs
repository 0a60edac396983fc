//! What this folder needs of signals.
use crate::Result;
use crate::task::{Process, Thread};
use crate::wait::WaitQueue;
use alloc::sync::Arc;
pub fn send_to_thread(_: &Thread, _: u32) {}
pub fn send_to_process(_: &Arc<Process>, _: u32) {}
pub fn send_to_group(_: u32, _: u32) {}
pub fn is_blocked_or_ignored(_: &Thread, _: u32) -> bool {
    false
}
pub fn with_mask<T>(_: &Thread, _: Option<u64>, f: impl FnOnce() -> Result<T>) -> Result<T> {
    f()
}
pub fn dequeue(_: &Thread, _: u64) -> Option<[u8; 128]> {
    None
}
pub fn pending_in(_: &Thread, _: u64) -> bool {
    false
}
static ARRIVALS: WaitQueue = WaitQueue::new();
pub fn arrivals(_: &Process) -> &WaitQueue {
    &ARRIVALS
}
pub fn next_deadline() -> Option<u64> {
    None
}
pub fn run_expired() {}
pub fn lookup_socket(_: &Thread, _: &[u8]) -> Result<Arc<dyn core::any::Any + Send + Sync>> {
    Err(crate::Errno::ENOENT)
}
pub fn bind_socket(_: &Thread, _: &[u8], _: Arc<dyn core::any::Any + Send + Sync>) -> Result<()> {
    Err(crate::Errno::EROFS)
}
