//! Ports of the family: who is bound to which, and the loopback network inside it. A server and its clients in one
//! app reach each other here, without the host's network and without permission.

use super::address::Endpoint;
use crate::ipc::socket::SocketOps;
use crate::{Errno, Mutex, Result};
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

/// First and last port given to who asks for any (`ip_local_port_range`).
const EPHEMERAL: (u16, u16) = (32768, 60999);

/// What a socket asks for when it is bound.
#[derive(Clone, Copy)]
pub struct Claim {
    /// The address; port 0 asks for any.
    pub local: Endpoint,
    /// It allows the same address to others that allow it too.
    pub reuse: bool,
    /// `IPV6_V6ONLY`: the unspecified address of IPv6 does not stand for those of IPv4.
    pub only_v6: bool,
}

impl Claim {
    /// Any port at the unspecified address of a family.
    #[must_use]
    pub fn any(family: u16) -> Self {
        Self { local: Endpoint::any(family, 0), reuse: false, only_v6: false }
    }

    /// Whether what is sent to `to` arrives here, the ports aside.
    fn takes(&self, to: &Endpoint) -> bool {
        let local = &self.local;
        local.address == to.address
            || local.is_any()
                && match (local.as_v4(), to.as_v4()) {
                    (Some(_), other) => other.is_some(),
                    (None, Some(_)) => !self.only_v6,
                    (None, None) => true,
                }
    }

    /// Whether some address belongs to both.
    fn meets(&self, other: &Self) -> bool {
        self.local.port == other.local.port && (self.takes(&other.local) || other.takes(&self.local))
    }
}

struct Bound<T> {
    claim: Claim,
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

    /// Binds a socket. Returns the address it has now. `shares`: whether a socket that allows
    /// the same address again allows it to this one.
    ///
    /// # Errors
    /// `EADDRINUSE`.
    pub fn bind(&self, mut claim: Claim, socket: &Weak<T>, shares: impl Fn(&T) -> bool) -> Result<Endpoint> {
        if claim.local.port != 0 && claim.reuse && self.find(&claim.local, |other| !shares(other)).is_some() {
            return Err(Errno::EADDRINUSE);
        }
        let mut inner = self.0.lock();
        inner.bound.retain(|b| b.socket.strong_count() > 0);
        if claim.local.port == 0 {
            let (first, last) = EPHEMERAL;
            for _ in first..=last {
                let port = inner.next;
                inner.next = if port >= last { first } else { port + 1 };
                if !inner.bound.iter().any(|b| b.claim.local.port == port) {
                    claim.local.port = port;
                    break;
                }
            }
            if claim.local.port == 0 {
                return Err(Errno::EADDRINUSE);
            }
        } else {
            let clash = |b: &Bound<T>| b.claim.meets(&claim) && !(b.claim.reuse && claim.reuse);
            if inner.bound.iter().any(clash) {
                return Err(Errno::EADDRINUSE);
            }
        }
        inner.bound.push(Bound { claim, socket: socket.clone() });
        Ok(claim.local)
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
            let fit = |b: &&Bound<T>| b.claim.local.port == to.port && b.claim.takes(to);
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
        let claim = |local, reuse| Claim { local, reuse, only_v6: false };
        let bind = |socket, reuse| ports.bind(claim(local, reuse), &Arc::downgrade(socket), |_| true);
        assert_eq!(bind(&a, true), Ok(local));
        assert_eq!(bind(&b, false), Err(Errno::EADDRINUSE));
        // Who listens may not want to share, whatever both said before.
        let unshared = ports.bind(claim(local, true), &Arc::downgrade(&b), |_| false);
        assert_eq!(unshared, Err(Errno::EADDRINUSE));
        assert_eq!(bind(&b, true), Ok(local));
        // Another address of the same port is free, the unspecified one is not.
        let at = |local| ports.bind(claim(local, false), &Arc::downgrade(&a), |_| true);
        assert!(at(Endpoint::v4([127, 0, 0, 2], 80)).is_ok());
        assert!(at(Endpoint::any(family::INET, 80)).is_err());
    }

    #[test]
    fn a_port_of_ipv6_alone_is_another_than_that_of_ipv4() {
        let ports = Ports::new();
        let (four, six) = (TcpSocket::new(family::INET), TcpSocket::new(family::INET6));
        let bind = |socket, family, only_v6| {
            let claim = Claim { local: Endpoint::any(family, 80), reuse: false, only_v6 };
            ports.bind(claim, &Arc::downgrade(socket), |_| true)
        };
        assert!(bind(&four, family::INET, false).is_ok());
        assert_eq!(bind(&six, family::INET6, false), Err(Errno::EADDRINUSE));
        assert!(bind(&six, family::INET6, true).is_ok());
        let found = |to: Endpoint, socket| ports.find(&to, |_| true).is_some_and(|f| Arc::ptr_eq(&f, socket));
        assert!(found(Endpoint::v4([127, 0, 0, 1], 80), &four));
        assert!(found(Endpoint::any(family::INET6, 80).reached(), &six));
    }

    #[test]
    fn a_socket_of_both_families_takes_what_is_sent_to_ipv4() {
        let ports = Ports::new();
        let six = TcpSocket::new(family::INET6);
        let local = ports.bind(Claim::any(family::INET6), &Arc::downgrade(&six), |_| true).unwrap();
        assert!(ports.find(&Endpoint::v4([127, 0, 0, 1], local.port), |_| true).is_some());
        let four = TcpSocket::new(family::INET);
        let local = ports.bind(Claim::any(family::INET), &Arc::downgrade(&four), |_| true).unwrap();
        assert!(ports.find(&Endpoint::any(family::INET6, local.port).reached(), |_| true).is_none());
    }

    #[test]
    fn any_port_is_a_free_one_and_is_found_again() {
        let ports = Ports::new();
        let (a, b) = (TcpSocket::new(family::INET), TcpSocket::new(family::INET));
        let any = Claim::any(family::INET);
        let first = ports.bind(any, &Arc::downgrade(&a), |_| true).unwrap();
        let second = ports.bind(any, &Arc::downgrade(&b), |_| true).unwrap();
        assert_ne!(first.port, second.port);
        let to = Endpoint::v4([127, 0, 0, 1], second.port);
        assert!(ports.find(&to, |_| true).is_some_and(|found| Arc::ptr_eq(&found, &b)));
        ports.release(Arc::as_ptr(&b));
        assert!(ports.find(&to, |_| true).is_none());
    }
}
