//! What this folder needs of others.
use crate::Result;
use crate::task::Thread;
use alloc::sync::Arc;
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
