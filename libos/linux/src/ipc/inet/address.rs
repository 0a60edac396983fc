//! `struct sockaddr_in` and `sockaddr_in6`.

use crate::ipc::socket::family;
use crate::{Errno, Result};
use alloc::vec::Vec;

/// An internet address and port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Endpoint {
    /// The address; IPv4 as the mapped IPv6 address `::ffff:a.b.c.d`.
    pub address: [u8; 16],
    /// Port, host byte order.
    pub port: u16,
}

const MAPPED: [u8; 12] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];
const LOOPBACK_V6: [u8; 16] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

impl Endpoint {
    /// IPv4 address `a` and port.
    #[must_use]
    pub fn v4(a: [u8; 4], port: u16) -> Self {
        let mut address = [0; 16];
        for (slot, byte) in address.iter_mut().zip(MAPPED.iter().chain(&a)) {
            *slot = *byte;
        }
        Self { address, port }
    }

    /// The unspecified address of a family.
    #[must_use]
    pub fn any(family: u16, port: u16) -> Self {
        if family == family::INET { Self::v4([0; 4], port) } else { Self { address: [0; 16], port } }
    }

    /// From a `struct sockaddr` for a socket of family `family`.
    ///
    /// # Errors
    /// `EINVAL` if it is too short, `EAFNOSUPPORT` for another family.
    pub fn parse(family: u16, bytes: &[u8]) -> Result<Self> {
        let head = bytes.first_chunk::<4>().ok_or(Errno::EINVAL)?;
        let [f0, f1, p0, p1] = *head;
        let port = u16::from_be_bytes([p0, p1]);
        match u16::from_ne_bytes([f0, f1]) {
            family::INET if bytes.len() >= 16 => {
                let address = bytes.get(4..).and_then(|b| b.first_chunk::<4>()).ok_or(Errno::EINVAL)?;
                // A socket of IPv6 takes no plain IPv4 address.
                if family == family::INET { Ok(Self::v4(*address, port)) } else { Err(Errno::EAFNOSUPPORT) }
            }
            family::INET6 if family == family::INET6 && bytes.len() >= 24 => {
                let address = bytes.get(8..).and_then(|b| b.first_chunk::<16>()).ok_or(Errno::EINVAL)?;
                Ok(Self { address: *address, port })
            }
            family::INET | family::INET6 if bytes.len() < 16 => Err(Errno::EINVAL),
            _ => Err(Errno::EAFNOSUPPORT),
        }
    }

    /// As a `struct sockaddr` for a socket of family `family`.
    #[must_use]
    pub fn format(&self, family: u16) -> Vec<u8> {
        let mut out = family.to_ne_bytes().to_vec();
        out.extend_from_slice(&self.port.to_be_bytes());
        if family == family::INET {
            out.extend_from_slice(&self.as_v4().unwrap_or([0; 4]));
            out.extend_from_slice(&[0; 8]);
        } else {
            out.extend_from_slice(&[0; 4]);
            out.extend_from_slice(&self.address);
            out.extend_from_slice(&[0; 4]);
        }
        out
    }

    /// The IPv4 address, if it is one.
    #[must_use]
    pub fn as_v4(&self) -> Option<[u8; 4]> {
        let rest = self.address.strip_prefix(&MAPPED)?;
        rest.first_chunk::<4>().copied()
    }

    /// The address as the monitor takes it: 4 or 16 bytes.
    #[must_use]
    pub fn wire(&self) -> Vec<u8> {
        self.as_v4().map_or_else(|| self.address.to_vec(), |a| a.to_vec())
    }

    /// From an address as the monitor gives it.
    #[must_use]
    pub fn from_wire(bytes: &[u8], port: u16) -> Option<Self> {
        match bytes.len() {
            4 => bytes.first_chunk::<4>().map(|a| Self::v4(*a, port)),
            16 => bytes.first_chunk::<16>().map(|a| Self { address: *a, port }),
            _ => None,
        }
    }

    /// Whether it is `0.0.0.0` or `::`.
    #[must_use]
    pub fn is_any(&self) -> bool {
        self.address == [0; 16] || self.as_v4() == Some([0; 4])
    }

    /// Whether it names this machine itself: `127.0.0.0/8`, `::1`, or unspecified, which connect(2) takes for it.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.is_any() || self.address == LOOPBACK_V6 || self.as_v4().is_some_and(|[first, ..]| first == 127)
    }

    /// The address that connect(2) and sendto(2) mean by it: an unspecified one stands for this machine.
    #[must_use]
    pub fn reached(&self) -> Self {
        match self.as_v4() {
            Some([0, 0, 0, 0]) => Self::v4([127, 0, 0, 1], self.port),
            None if self.is_any() => Self { address: LOOPBACK_V6, port: self.port },
            _ => *self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_survive_a_round_trip() {
        let four = Endpoint::v4([10, 1, 2, 3], 8080);
        assert_eq!(Endpoint::parse(family::INET, &four.format(family::INET)), Ok(four));
        assert_eq!(Endpoint::parse(family::INET6, &four.format(family::INET6)), Ok(four));
        assert_eq!(Endpoint::from_wire(&four.wire(), 8080), Some(four));
        assert_eq!(four.wire(), [10, 1, 2, 3]);
        let six = Endpoint { address: [1; 16], port: 1 };
        assert_eq!(Endpoint::parse(family::INET6, &six.format(family::INET6)), Ok(six));
        assert_eq!(Endpoint::parse(family::INET, &six.format(family::INET6)), Err(Errno::EAFNOSUPPORT));
        assert_eq!(Endpoint::parse(family::INET, &[2, 0, 0]), Err(Errno::EINVAL));
    }

    #[test]
    fn loopback_is_recognised_in_both_families() {
        assert!(Endpoint::v4([127, 0, 0, 53], 0).is_loopback());
        assert!(Endpoint::any(family::INET6, 0).is_loopback());
        assert!(!Endpoint::v4([192, 168, 0, 1], 0).is_loopback());
    }
}
