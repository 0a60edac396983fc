//! `AF_INET`, `AF_INET6` and `AF_NETLINK` sockets.
//!
//! Connections to outside are streams that the monitor opens, if the permission covers them ([`stream`]); connections
//! between processes of the family stay inside ([`port`]).

pub mod address;
pub mod interface;
pub mod netlink;
pub mod option;
pub mod port;
pub mod stream;
pub mod tcp;
pub mod udp;

use super::socket::{SocketOps, family, kind};
use crate::{Errno, Result};
use alloc::sync::Arc;

const IPPROTO_TCP: u32 = 6;
const IPPROTO_UDP: u32 = 17;
const IPPROTO_ICMP: u32 = 1;
const IPPROTO_ICMPV6: u32 = 58;

/// A socket of these families.
///
/// # Errors
/// `EPERM` for raw sockets, `EPROTONOSUPPORT`, `ESOCKTNOSUPPORT`.
pub fn create(domain: u16, kind: u32, protocol: u32) -> Result<Arc<dyn SocketOps>> {
    if domain == family::NETLINK {
        if !matches!(kind, kind::RAW | kind::DGRAM) {
            return Err(Errno::ESOCKTNOSUPPORT);
        }
        return Ok(netlink::NetlinkSocket::create(kind, protocol)?);
    }
    match (kind, protocol) {
        (kind::STREAM, 0 | IPPROTO_TCP) => Ok(tcp::TcpSocket::new(domain)),
        (kind::DGRAM, 0 | IPPROTO_UDP) => Ok(udp::UdpSocket::new(domain)),
        // Who may not ping natively gets this as well.
        (kind::DGRAM, IPPROTO_ICMP | IPPROTO_ICMPV6) => Err(Errno::EACCES),
        (kind::STREAM | kind::DGRAM, _) => Err(Errno::EPROTONOSUPPORT),
        (kind::RAW, _) => Err(Errno::EPERM),
        _ => Err(Errno::ESOCKTNOSUPPORT),
    }
}
