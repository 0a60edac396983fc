//! Addresses of `AF_UNIX` sockets, and the abstract name space, which the family has to itself.

use super::UnixSocket;
use crate::ipc::socket::family;
use crate::{Errno, Mutex, Result};
use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering};

/// Bytes of `sun_path`.
const MAX_PATH: usize = 108;

/// Name of a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// None: bind(2) gives an abstract one.
    Unnamed,
    /// A node of the file system.
    Path(Vec<u8>),
    /// An abstract name.
    Abstract(Vec<u8>),
    /// A `struct sockaddr` of another family: of a packet that came from there.
    Foreign(Vec<u8>),
}

impl Address {
    /// From a `struct sockaddr_un`.
    ///
    /// # Errors
    /// `EINVAL` if it is none.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let (head, rest) = bytes.split_first_chunk::<2>().ok_or(Errno::EINVAL)?;
        if u16::from_ne_bytes(*head) != family::UNIX || rest.len() > MAX_PATH {
            return Err(Errno::EINVAL);
        }
        match rest.split_first() {
            None => Ok(Self::Unnamed),
            Some((0, name)) => Ok(Self::Abstract(name.to_vec())),
            Some(_) => {
                let len = rest.iter().position(|b| *b == 0).unwrap_or(rest.len());
                Ok(Self::Path(rest.get(..len).unwrap_or(rest).to_vec()))
            }
        }
    }

    /// A `struct sockaddr` of another family, as a sender has it.
    #[must_use]
    pub fn foreign(bytes: Vec<u8>) -> Arc<Mutex<Self>> {
        Arc::new(Mutex::new(Self::Foreign(bytes)))
    }

    /// As a `struct sockaddr_un`.
    #[must_use]
    pub fn format(&self) -> Vec<u8> {
        let mut out = family::UNIX.to_ne_bytes().to_vec();
        match self {
            Self::Foreign(bytes) => out.clone_from(bytes),
            Self::Unnamed => {}
            Self::Path(path) => {
                out.extend_from_slice(path);
                out.push(0);
            }
            Self::Abstract(name) => {
                out.push(0);
                out.extend_from_slice(name);
            }
        }
        out
    }
}

static ABSTRACT: Mutex<BTreeMap<Vec<u8>, Weak<UnixSocket>>> = Mutex::new(BTreeMap::new());

/// Takes an abstract name for a socket.
///
/// # Errors
/// `EADDRINUSE`.
pub fn claim(name: &[u8], socket: &Arc<UnixSocket>) -> Result<()> {
    let mut names = ABSTRACT.lock();
    if names.get(name).is_some_and(|s| s.strong_count() > 0) {
        return Err(Errno::EADDRINUSE);
    }
    names.insert(name.to_vec(), Arc::downgrade(socket));
    Ok(())
}

/// Takes a fresh abstract name of five hexadecimal digits, as Linux does.
///
/// # Errors
/// `ENOSPC` if all are taken.
pub fn claim_any(socket: &Arc<UnixSocket>) -> Result<Vec<u8>> {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    for _ in 0..=0xf_ffffu32 {
        let number = NEXT.fetch_add(1, Ordering::Relaxed) & 0xf_ffff;
        let name = alloc::format!("{number:05x}").into_bytes();
        if claim(&name, socket).is_ok() {
            return Ok(name);
        }
    }
    Err(Errno::ENOSPC)
}

/// Gives an abstract name back.
pub fn release(name: &[u8]) {
    ABSTRACT.lock().remove(name);
}

/// The socket with this abstract name.
///
/// # Errors
/// `ECONNREFUSED`.
pub fn find(name: &[u8]) -> Result<Arc<UnixSocket>> {
    ABSTRACT.lock().get(name).and_then(Weak::upgrade).ok_or(Errno::ECONNREFUSED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_survive_a_round_trip() {
        for address in [
            Address::Unnamed,
            Address::Path(b"/run/user/1000/bus".to_vec()),
            Address::Abstract(b"name\0with nul".to_vec()),
        ] {
            assert_eq!(Address::parse(&address.format()), Ok(address));
        }
    }

    #[test]
    fn a_path_ends_at_the_first_nul_and_has_a_limit() {
        let mut bytes = Address::Path(b"a".to_vec()).format();
        bytes.extend_from_slice(b"junk");
        assert_eq!(Address::parse(&bytes), Ok(Address::Path(b"a".to_vec())));
        assert_eq!(Address::parse(&[1]), Err(Errno::EINVAL));
        assert_eq!(Address::parse(&[2, 0, b'a']), Err(Errno::EINVAL));
        assert_eq!(Address::parse(&[[1, 0].to_vec(), alloc::vec![b'x'; 109]].concat()), Err(Errno::EINVAL));
    }
}
