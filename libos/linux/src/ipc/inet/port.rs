//! Ports of the family: who is bound to which, and the loopback network inside it. A server and its clients in one
//! app reach each other here, without the host's network and without permission.

use super::address::Endpoint;
use crate::ipc::socket::SocketOps;
use crate::{Errno, Mutex, Result};
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

/// First and last port given to who asks for any (`ip_local_port_range`).
const EPHEMERAL: (u16, u16) = (32768, 60999);

struct Bound<T> {
    local: Endpoint,
    reuse: bool,
    socket: Weak<T>,
}

struct Inner<T> {
    bound: Vec<Bound<T>>,
    next: u16,
}

/// The ports of one protocol.
pub struct Ports<T>(Mutex<Inner<T>>);

impl<T: SocketOps> Default for Ports<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: SocketOps> Ports<T> {
    /// No port is bound.
    #[must_use]
    pub const fn new() -> Self {
        Self(Mutex::new(Inner { bound: Vec::new(), next: EPHEMERAL.0 }))
    }

    /// Binds a socket; port 0 asks for any. Returns the address it has now. `shares`: whether a socket that allows
    /// the same address again allows it to this one.
    ///
    /// # Errors
    /// `EADDRINUSE`.
    pub fn bind(
        &self,
        mut local: Endpoint,
        reuse: bool,
        socket: &Weak<T>,
        shares: impl Fn(&T) -> bool,
    ) -> Result<Endpoint> {
        if local.port != 0 && reuse && self.find(&local, |other| !shares(other)).is_some() {
            return Err(Errno::EADDRINUSE);
        }
        let mut inner = self.0.lock();
        inner.bound.retain(|b| b.socket.strong_count() > 0);
        if local.port == 0 {
            let (first, last) = EPHEMERAL;
            for _ in first..=last {
                let port = inner.next;
                inner.next = if port >= last { first } else { port + 1 };
                if !inner.bound.iter().any(|b| b.local.port == port) {
                    local.port = port;
                    break;
                }
            }
            if local.port == 0 {
                return Err(Errno::EADDRINUSE);
            }
        } else {
            let clash =
                |b: &Bound<T>| b.local.port == local.port && b.local.covers(&local) && !(b.reuse && reuse);
            if inner.bound.iter().any(clash) {
                return Err(Errno::EADDRINUSE);
            }
        }
        inner.bound.push(Bound { local, reuse, socket: socket.clone() });
        Ok(local)
    }

    /// Gives the ports of a socket back.
    pub fn release(&self, socket: *const T) {
        self.0.lock().bound.retain(|b| !core::ptr::eq(b.socket.as_ptr(), socket));
    }

    /// A socket bound to `to` that `accept` takes.
    #[must_use]
    pub fn find(&self, to: &Endpoint, accept: impl Fn(&T) -> bool) -> Option<Arc<T>> {
        let candidates: Vec<Arc<T>> = {
            let inner = self.0.lock();
            let fit = |b: &&Bound<T>| b.local.port == to.port && b.local.covers(to);
            inner.bound.iter().filter(fit).filter_map(|b| b.socket.upgrade()).collect()
        };
        candidates.into_iter().rev().find(|socket| accept(socket))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipc::inet::tcp::TcpSocket;
    use crate::ipc::socket::family;

    #[test]
    fn a_port_is_taken_once_unless_both_allow_more() {
        let ports = Ports::new();
        let (a, b) = (TcpSocket::new(family::INET), TcpSocket::new(family::INET));
        let local = Endpoint::v4([127, 0, 0, 1], 80);
        let bind = |socket, reuse| ports.bind(local, reuse, &Arc::downgrade(socket), |_| true);
        assert_eq!(bind(&a, true), Ok(local));
        assert_eq!(bind(&b, false), Err(Errno::EADDRINUSE));
        // Who listens may not want to share, whatever both said before.
        let unshared = ports.bind(local, true, &Arc::downgrade(&b), |_| false);
        assert_eq!(unshared, Err(Errno::EADDRINUSE));
        assert_eq!(bind(&b, true), Ok(local));
        // Another address of the same port is free, the unspecified one is not.
        assert!(ports.bind(Endpoint::v4([127, 0, 0, 2], 80), false, &Arc::downgrade(&a), |_| true).is_ok());
        assert!(ports.bind(Endpoint::any(family::INET, 80), false, &Arc::downgrade(&a), |_| true).is_err());
    }

    #[test]
    fn any_port_is_a_free_one_and_is_found_again() {
        let ports = Ports::new();
        let (a, b) = (TcpSocket::new(family::INET), TcpSocket::new(family::INET));
        let any = Endpoint::any(family::INET, 0);
        let first = ports.bind(any, false, &Arc::downgrade(&a), |_| true).unwrap();
        let second = ports.bind(any, false, &Arc::downgrade(&b), |_| true).unwrap();
        assert_ne!(first.port, second.port);
        let to = Endpoint::v4([127, 0, 0, 1], second.port);
        assert!(ports.find(&to, |_| true).is_some_and(|found| Arc::ptr_eq(&found, &b)));
        ports.release(Arc::as_ptr(&b));
        assert!(ports.find(&to, |_| true).is_none());
    }
}
