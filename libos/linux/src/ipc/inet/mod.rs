//! `AF_INET`, `AF_INET6` and `AF_NETLINK` sockets.

use super::socket::SocketOps;
use crate::task::Thread;
use crate::{Errno, Result};
use alloc::sync::Arc;

/// A socket of these families.
///
/// # Errors
/// `EAFNOSUPPORT`.
pub fn create(_: &Thread, _: u16, _: u32, _: u32) -> Result<Arc<dyn SocketOps>> {
    Err(Errno::EAFNOSUPPORT)
}
