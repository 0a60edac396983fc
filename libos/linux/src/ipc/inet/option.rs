//! Options of the internet protocols. Most only tune what the host does by itself; they are remembered, so that a
//! program reads back what it set.

use crate::ipc::socket::options::int;
use crate::{Errno, Mutex, Result};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

const IPPROTO_IP: i32 = 0;
const IPPROTO_TCP: i32 = 6;
const IPPROTO_UDP: i32 = 17;
const IPPROTO_IPV6: i32 = 41;
/// Longest value that is remembered, in bytes.
const MAX_VALUE: usize = 64;
/// Most options that one socket remembers.
const MAX_OPTIONS: usize = 64;
const TCP_ULP: i32 = 31;
const IP_MTU: i32 = 14;
const IPV6_MTU: i32 = 24;
const IP_TTL: i32 = 2;
const IP_OPTIONS: i32 = 4;
const IPV6_V6ONLY: i32 = 26;
const TCP_MAXSEG: i32 = 2;

/// Remembered options: level and name → value.
#[derive(Default)]
pub struct Extras(Mutex<BTreeMap<(i32, i32), Vec<u8>>>);

impl Extras {
    /// setsockopt.
    ///
    /// # Errors
    /// `ENOPROTOOPT` for another level or an option that changes what a socket is, `EINVAL`.
    pub fn set(&self, level: i32, name: i32, value: &[u8]) -> Result<()> {
        if !matches!(level, IPPROTO_IP | IPPROTO_TCP | IPPROTO_UDP | IPPROTO_IPV6)
            || (level, name) == (IPPROTO_TCP, TCP_ULP)
        {
            return Err(Errno::ENOPROTOOPT);
        }
        let mut options = self.0.lock();
        if options.len() >= MAX_OPTIONS && !options.contains_key(&(level, name)) {
            return Err(Errno::ENOBUFS);
        }
        options.insert((level, name), value.get(..value.len().min(MAX_VALUE)).unwrap_or(value).to_vec());
        Ok(())
    }

    /// getsockopt: what was set, else a plausible default.
    ///
    /// # Errors
    /// `ENOPROTOOPT` for another level.
    pub fn get(&self, level: i32, name: i32) -> Result<Vec<u8>> {
        if let Some(value) = self.0.lock().get(&(level, name)) {
            return Ok(value.clone());
        }
        if (level, name) == (IPPROTO_IP, IP_OPTIONS) {
            // Without options in its packets; servers refuse a peer whose packets carry some.
            return Ok(Vec::new());
        }
        let number: i32 = match (level, name) {
            (IPPROTO_IP, IP_MTU) | (IPPROTO_IPV6, IPV6_MTU) => 1500,
            (IPPROTO_IP, IP_TTL) => 64,
            (IPPROTO_TCP, TCP_MAXSEG) => 1448,
            (IPPROTO_IP | IPPROTO_TCP | IPPROTO_UDP | IPPROTO_IPV6, _) => 0,
            _ => return Err(Errno::ENOPROTOOPT),
        };
        Ok(number.to_ne_bytes().to_vec())
    }

    /// `IPV6_V6ONLY`.
    #[must_use]
    pub fn only_v6(&self) -> bool {
        self.is_on(IPPROTO_IPV6, IPV6_V6ONLY)
    }

    /// Whether a yes-or-no option was switched on.
    #[must_use]
    pub fn is_on(&self, level: i32, name: i32) -> bool {
        self.0.lock().get(&(level, name)).is_some_and(|v| int(v).is_ok_and(|n| n != 0))
    }
}
