//! The network service: `tcp:` and `udp:` streams. The monitor connects in the host's network, by permission, and keeps
//! a copy of every socket, so that a permission that is taken away ends the streams it had allowed.

mod policy;
mod relay;

use crate::account::lock;
use crate::answer::Answer;
use crate::control::Traffic;
use crate::permission;
use crate::shared::Shared;
use crate::sys;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, Backlog, Shutdown, SockFlag, SockProtocol, SockType, SockaddrStorage, bind, connect,
    getsockname, getsockopt, listen, setsockopt, shutdown, socket, socketpair, sockopt,
};
use policy::{Names, Refusal};
use postern_abi::calls::{control, net};
use relay::{Pair, Relay};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// Most streams at one time.
const MAX_STREAMS: usize = 4096;

struct Stream {
    id: u64,
    socket: Arc<OwnedFd>,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Connected to this peer.
    Outbound(SocketAddr),
    /// Listening on this port.
    Listening(u16),
    /// Accepted on this port.
    Inbound(u16),
}

/// The network streams of an app.
#[derive(Default)]
pub struct Network {
    streams: Mutex<Vec<Stream>>,
    relay: Arc<Relay>,
    names: Names,
    /// Bytes of streams that are gone, received and sent.
    past: [AtomicU64; 2],
}

fn address(payload: &[u8], port: u64) -> Result<SocketAddr, Errno> {
    let port = u16::try_from(port).map_err(|_| Errno::EINVAL)?;
    let ip = if let Ok(bytes) = <[u8; 4]>::try_from(payload) {
        IpAddr::V4(Ipv4Addr::from(bytes))
    } else if let Ok(bytes) = <[u8; 16]>::try_from(payload) {
        IpAddr::V6(Ipv6Addr::from(bytes))
    } else {
        return Err(Errno::EINVAL);
    };
    Ok(SocketAddr::new(ip, port))
}

fn family(address: &SocketAddr) -> AddressFamily {
    if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 }
}

/// Puts an address into an answer: bytes as payload, the port as first value.
fn put_address(answer: &mut Answer, address: &SockaddrStorage) {
    if let Some(v4) = address.as_sockaddr_in() {
        answer.payload = v4.ip().octets().to_vec();
        answer.values = [v4.port().into(), 0, 0, 0];
    } else if let Some(v6) = address.as_sockaddr_in6() {
        answer.payload = v6.ip().octets().to_vec();
        answer.values = [v6.port().into(), 0, 0, 0];
    }
}

fn copy(socket: &OwnedFd) -> Result<OwnedFd, Errno> {
    socket.try_clone().map_err(|_| Errno::EMFILE)
}

impl Network {
    /// Answers `NetworkOpen`; see [`postern_abi::calls::Downcall::NetworkOpen`].
    ///
    /// # Errors
    /// The host's; `ENETUNREACH`, `ECONNREFUSED` or `EACCES` without permission.
    pub fn open(&self, shared: &Shared, args: &[u64; 6], payload: &[u8]) -> Result<Answer, Errno> {
        let [what, port, id, extra, ..] = *args;
        if id == 0 || self.has(id) {
            return Err(Errno::EINVAL);
        }
        if lock(&self.streams).len().saturating_add(self.relay.len()) >= MAX_STREAMS {
            return Err(Errno::ENFILE);
        }
        let permission = shared.permissions().network;
        match (what & 0xff, what & !0xff) {
            (protocol @ (net::TCP | net::UDP), net::CONNECT) => {
                let peer = address(payload, port)?;
                if let Err(refusal) = policy::check(&self.names, &permission, peer) {
                    let kind = if protocol == net::TCP { "connect" } else { "send datagrams" };
                    shared.account.deny("network", &format!("{kind} to {} port {}", peer.ip(), peer.port()));
                    return Err(match refusal {
                        Refusal::NoRoute => Errno::ENETUNREACH,
                        Refusal::Local => Errno::ECONNREFUSED,
                    });
                }
                if protocol == net::TCP { self.connect(id, peer) } else { self.relay(id, peer) }
            }
            (net::TCP, operation) if operation & !net::OWN == net::LISTEN => {
                let at = address(payload, port)?;
                if !permission.listen.contains(&at.port()) {
                    if operation & net::OWN == 0 {
                        shared.account.deny("listen", &format!("listen on port {}", at.port()));
                    }
                    return Err(Errno::EACCES);
                }
                self.listen(id, at, extra)
            }
            (net::TCP, net::ACCEPT) => self.accept(id, extra),
            _ => Err(Errno::EPROTONOSUPPORT),
        }
    }

    fn has(&self, id: u64) -> bool {
        lock(&self.streams).iter().any(|stream| stream.id == id) || self.relay.get(id).is_some()
    }

    fn stream(&self, id: u64) -> Result<(Arc<OwnedFd>, Kind), Errno> {
        let streams = lock(&self.streams);
        let stream = streams.iter().find(|stream| stream.id == id).ok_or(Errno::ENOTCONN)?;
        Ok((Arc::clone(&stream.socket), stream.kind))
    }

    /// Keeps a copy of `socket` and hands the other to the family.
    fn keep(&self, id: u64, socket: OwnedFd, kind: Kind) -> Result<Answer, Errno> {
        let kept = Arc::new(copy(&socket)?);
        lock(&self.streams).push(Stream { id, socket: kept, kind });
        Ok(Answer { handle: Some(socket), ..Answer::default() })
    }

    fn tcp_socket(address: &SocketAddr) -> Result<OwnedFd, Errno> {
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        socket(family(address), SockType::Stream, flags, SockProtocol::Tcp)
    }

    fn connect(&self, id: u64, peer: SocketAddr) -> Result<Answer, Errno> {
        let socket = Self::tcp_socket(&peer)?;
        match connect(socket.as_raw_fd(), &SockaddrStorage::from(peer)) {
            Ok(()) | Err(Errno::EINPROGRESS) => {}
            Err(error) => return Err(error),
        }
        self.keep(id, socket, Kind::Outbound(peer))
    }

    fn relay(&self, id: u64, peer: SocketAddr) -> Result<Answer, Errno> {
        let any: IpAddr =
            if peer.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let errno = |error: std::io::Error| error.raw_os_error().map_or(Errno::EIO, Errno::from_raw);
        let socket = UdpSocket::bind((any, 0)).map_err(errno)?;
        socket.connect(peer).map_err(errno)?;
        socket.set_nonblocking(true).map_err(errno)?;
        // Keeps the borders of datagrams, and unlike a datagram socket cannot address anybody else.
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let (local, theirs) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags)?;
        self.relay.add(Pair { id, local, socket, traffic: Default::default() })?;
        Ok(Answer { handle: Some(theirs), ..Answer::default() })
    }

    fn listen(&self, id: u64, at: SocketAddr, backlog: u64) -> Result<Answer, Errno> {
        let socket = Self::tcp_socket(&at)?;
        setsockopt(&socket, sockopt::ReuseAddr, &true)?;
        bind(socket.as_raw_fd(), &SockaddrStorage::from(at))?;
        let backlog = i32::try_from(backlog.min(4096)).unwrap_or(4096);
        listen(&socket, Backlog::new(backlog).unwrap_or(Backlog::MAXCONN))?;
        let mut answer = self.keep(id, socket, Kind::Listening(at.port()))?;
        answer.values = [at.port().into(), 0, 0, 0];
        Ok(answer)
    }

    fn accept(&self, id: u64, listening: u64) -> Result<Answer, Errno> {
        let (socket, kind) = self.stream(listening)?;
        let Kind::Listening(port) = kind else { return Err(Errno::EINVAL) };
        let taken = sys::accept(socket.as_fd())?;
        let peer: SockaddrStorage = nix::sys::socket::getpeername(taken.as_raw_fd())?;
        let mut answer = self.keep(id, taken, Kind::Inbound(port))?;
        put_address(&mut answer, &peer);
        Ok(answer)
    }

    /// Answers `StreamControl`; see [`postern_abi::calls::Downcall::StreamControl`].
    ///
    /// # Errors
    /// The host's; `ENOTCONN` if there is no such stream.
    pub fn control(&self, args: &[u64; 6]) -> Result<Answer, Errno> {
        let [id, operation, value, ..] = *args;
        if let Some(pair) = self.relay.get(id) {
            return self.control_relayed(&pair, operation);
        }
        let (socket, _) = self.stream(id)?;
        let fd = socket.as_raw_fd();
        let mut answer = Answer::default();
        match operation {
            control::SHUTDOWN => {
                let how = match value {
                    0 => Shutdown::Read,
                    1 => Shutdown::Write,
                    2 => Shutdown::Both,
                    _ => return Err(Errno::EINVAL),
                };
                shutdown(fd, how)?;
            }
            control::CLOSE => self.forget(|stream| stream.id == id),
            control::ERROR => {
                let error = getsockopt(&socket, sockopt::SocketError)?;
                answer.values = [u64::try_from(error).unwrap_or(0), 0, 0, 0];
            }
            control::LOCAL => put_address(&mut answer, &getsockname(fd)?),
            control::NO_DELAY => setsockopt(&socket, sockopt::TcpNoDelay, &(value != 0))?,
            _ => return Err(Errno::EINVAL),
        }
        Ok(answer)
    }

    fn control_relayed(&self, pair: &Pair, operation: u64) -> Result<Answer, Errno> {
        let mut answer = Answer::default();
        match operation {
            control::CLOSE => self.relay.retain(|other| other.id != pair.id),
            control::ERROR => {
                let error = getsockopt(&pair.socket, sockopt::SocketError)?;
                answer.values = [u64::try_from(error).unwrap_or(0), 0, 0, 0];
            }
            control::LOCAL => put_address(&mut answer, &getsockname(pair.socket.as_raw_fd())?),
            control::SHUTDOWN | control::NO_DELAY => {}
            _ => return Err(Errno::EINVAL),
        }
        Ok(answer)
    }

    /// Drops streams, with their bytes added to the account.
    fn forget(&self, gone: impl Fn(&Stream) -> bool) {
        lock(&self.streams).retain(|stream| {
            let goes = gone(stream);
            if goes && let Some((received, sent)) = sys::tcp_traffic(stream.socket.as_fd()) {
                self.past[0].fetch_add(received, Ordering::Relaxed);
                self.past[1].fetch_add(sent, Ordering::Relaxed);
            }
            !goes
        });
    }

    /// Ends the streams that `permission` does not allow.
    pub fn revoke(&self, permission: &permission::Network) {
        let allowed = |kind: &Kind| match kind {
            Kind::Outbound(peer) => policy::check(&self.names, permission, *peer).is_ok(),
            Kind::Listening(port) | Kind::Inbound(port) => permission.listen.contains(port),
        };
        self.forget(|stream| {
            let goes = !allowed(&stream.kind);
            if goes {
                // The family's copy of the socket is the same socket: it sees its end.
                let _ = shutdown(stream.socket.as_raw_fd(), Shutdown::Both);
            }
            goes
        });
        self.relay.retain(|pair| {
            pair.socket.peer_addr().is_ok_and(|peer| policy::check(&self.names, permission, peer).is_ok())
        });
    }

    /// Bytes received and sent since the start.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        let [mut read, mut written] = self.relay.traffic();
        read += self.past[0].load(Ordering::Relaxed);
        written += self.past[1].load(Ordering::Relaxed);
        for stream in lock(&self.streams).iter() {
            if let Some((received, sent)) = sys::tcp_traffic(stream.socket.as_fd()) {
                read += received;
                written += sent;
            }
        }
        Traffic { read, written }
    }
}
