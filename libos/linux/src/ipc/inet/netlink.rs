//! `AF_NETLINK` sockets: rtnetlink(7), as far as programs ask what interfaces, addresses and routes there are, and
//! kernel events of devices, of which there are none.

use super::interface::{self, Interface, LOOPBACK};
use crate::fs::Poll;
use crate::io::{Sink, Source};
use crate::ipc::socket::options::{Options, SOL_SOCKET};
use crate::ipc::socket::{Incoming, Outgoing, Receive, SocketOps, family, msg};
use crate::ipc::unix::address::Address;
use crate::ipc::unix::conduit::{Attachment, Conduit, Credentials};
use crate::task::Thread;
use crate::wait::{self, WaitQueue};
use crate::{Errno, Mutex, Result};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::{AtomicU32, Ordering};

/// Protocol: routing.
pub const ROUTE: u32 = 0;
/// Protocol: device events.
pub const UEVENT: u32 = 15;

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const RTM_NEWLINK: u16 = 16;
const RTM_GETLINK: u16 = 18;
const RTM_NEWADDR: u16 = 20;
const RTM_GETADDR: u16 = 22;
const RTM_NEWROUTE: u16 = 24;
const RTM_GETROUTE: u16 = 26;
const RTM_GETNEIGH: u16 = 30;
const RTM_GETRULE: u16 = 34;
const FLAG_MULTI: u16 = 2;
const FLAG_ACK: u16 = 4;
const FLAG_DUMP: u16 = 0x300;
/// Bytes of `struct nlmsghdr`.
const HEADER: usize = 16;
const BUFFER: usize = 212_992;
/// Most bytes of one request.
const MAX_REQUEST: usize = 16 << 10;

/// A netlink socket.
pub struct NetlinkSocket {
    kind: u32,
    protocol: u32,
    options: Options,
    queue: Arc<WaitQueue>,
    inbox: Arc<Conduit>,
    /// Own port id, 0 while not bound.
    port: AtomicU32,
    groups: Mutex<u32>,
}

fn address(port: u32, groups: u32) -> Vec<u8> {
    let mut out = family::NETLINK.to_ne_bytes().to_vec();
    out.extend_from_slice(&[0, 0]);
    out.extend_from_slice(&port.to_ne_bytes());
    out.extend_from_slice(&groups.to_ne_bytes());
    out
}

/// A message under construction; its length is filled in at the end.
struct Message(Vec<u8>);

impl Message {
    fn new(kind: u16, flags: u16, sequence: u32, port: u32) -> Self {
        let mut bytes = alloc::vec![0; 4];
        bytes.extend_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(&flags.to_ne_bytes());
        bytes.extend_from_slice(&sequence.to_ne_bytes());
        bytes.extend_from_slice(&port.to_ne_bytes());
        Self(bytes)
    }

    fn body(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    fn attribute(mut self, kind: u16, value: &[u8]) -> Self {
        let len = u16::try_from(value.len() + 4).unwrap_or(u16::MAX);
        self.0.extend_from_slice(&len.to_ne_bytes());
        self.0.extend_from_slice(&kind.to_ne_bytes());
        self.0.extend_from_slice(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    fn finish(mut self) -> Vec<u8> {
        let len = u32::try_from(self.0.len()).unwrap_or(0).to_ne_bytes();
        for (slot, byte) in self.0.iter_mut().zip(len) {
            *slot = byte;
        }
        self.0
    }
}

/// A request's header.
#[derive(Clone, Copy)]
struct Request {
    kind: u16,
    flags: u16,
    sequence: u32,
    /// First byte of the body: an address family.
    family: u8,
    /// The interface index in the body, where there is one.
    index: u32,
}

fn half(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..).and_then(|b| b.first_chunk::<2>()).map_or(0, |b| u16::from_ne_bytes(*b))
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|b| b.first_chunk::<4>()).map_or(0, |b| u32::from_ne_bytes(*b))
}

fn name_of(interface: &Interface) -> Vec<u8> {
    let mut name = interface.name.to_vec();
    name.push(0);
    name
}

fn link(request: &Request, flags: u16, port: u32, interface: &Interface) -> Vec<u8> {
    const ADDRESS: u16 = 1;
    const BROADCAST: u16 = 2;
    const NAME: u16 = 3;
    const MTU: u16 = 4;
    const QDISC: u16 = 6;
    const TXQLEN: u16 = 13;
    const OPERSTATE: u16 = 16;
    let mut body = alloc::vec![0, 0];
    body.extend_from_slice(&interface.hardware.to_ne_bytes());
    body.extend_from_slice(&interface.index.to_ne_bytes());
    body.extend_from_slice(&interface.flags.to_ne_bytes());
    body.extend_from_slice(&[0; 4]);
    // The loopback's state is "unknown", an Ethernet's "up".
    let (state, broadcast) = if interface.index == LOOPBACK.index { (0, [0; 6]) } else { (6, [0xff; 6]) };
    Message::new(RTM_NEWLINK, flags, request.sequence, port)
        .body(&body)
        .attribute(NAME, &name_of(interface))
        .attribute(TXQLEN, &interface::QUEUE_LENGTH.to_ne_bytes())
        .attribute(OPERSTATE, &[state])
        .attribute(MTU, &interface.mtu.to_ne_bytes())
        .attribute(QDISC, b"noqueue\0")
        .attribute(ADDRESS, &interface::hardware_address(interface))
        .attribute(BROADCAST, &broadcast)
        .finish()
}

fn address_message(
    request: &Request,
    port: u32,
    interface: &Interface,
    family: u8,
    prefix: u8,
    bytes: &[u8],
) -> Vec<u8> {
    const ADDRESS: u16 = 1;
    const LOCAL: u16 = 2;
    const LABEL: u16 = 3;
    const PERMANENT: u8 = 0x80;
    const SCOPE_HOST: u8 = 254;
    let scope = if interface.index == LOOPBACK.index { SCOPE_HOST } else { 0 };
    let mut body = alloc::vec![family, prefix, PERMANENT, scope];
    body.extend_from_slice(&interface.index.to_ne_bytes());
    let message =
        Message::new(RTM_NEWADDR, FLAG_MULTI, request.sequence, port).body(&body).attribute(ADDRESS, bytes);
    if family == AF_INET {
        message.attribute(LOCAL, bytes).attribute(LABEL, &name_of(interface)).finish()
    } else {
        message.finish()
    }
}

const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;

fn addresses(request: &Request, port: u32) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    for interface in interface::all() {
        if matches!(request.family, 0 | AF_INET) {
            out.push(address_message(
                request,
                port,
                &interface,
                AF_INET,
                interface.prefix,
                &interface.address,
            ));
        }
    }
    if matches!(request.family, 0 | AF_INET6) {
        let mut six = [0; 16];
        if let Some(last) = six.last_mut() {
            *last = 1;
        }
        out.push(address_message(request, port, &LOOPBACK, AF_INET6, 128, &six));
    }
    out
}

fn routes(request: &Request, port: u32) -> Vec<Vec<u8>> {
    const OIF: u16 = 4;
    const GATEWAY: u16 = 5;
    const TABLE: u16 = 15;
    const MAIN: u8 = 254;
    const BOOT: u8 = 3;
    const UNICAST: u8 = 1;
    if !matches!(request.family, 0 | AF_INET) {
        return Vec::new();
    }
    let outside = interface::all().into_iter().find(|i| i.index != LOOPBACK.index);
    outside
        .map(|interface| {
            let [a, b, c, _] = interface.address;
            Message::new(RTM_NEWROUTE, FLAG_MULTI, request.sequence, port)
                .body(&[AF_INET, 0, 0, 0, MAIN, BOOT, 0, UNICAST, 0, 0, 0, 0])
                .attribute(TABLE, &u32::from(MAIN).to_ne_bytes())
                .attribute(GATEWAY, &[a, b, c, 2])
                .attribute(OIF, &interface.index.to_ne_bytes())
                .finish()
        })
        .into_iter()
        .collect()
}

/// The answers to one request: messages, each to be one datagram except that dumps are joined.
fn answer(request: &Request, header: &[u8], port: u32) -> Vec<Vec<u8>> {
    let error = |errno: Option<Errno>| {
        let number = errno.map_or(0, |e| -i32::from(e.number()));
        let message = Message::new(NLMSG_ERROR, 0, request.sequence, port);
        alloc::vec![message.body(&number.to_ne_bytes()).body(header).finish()]
    };
    let dump = request.flags & FLAG_DUMP == FLAG_DUMP;
    let rows = match request.kind {
        RTM_GETLINK if dump => interface::all().iter().map(|i| link(request, FLAG_MULTI, port, i)).collect(),
        RTM_GETLINK => {
            return match interface::all().iter().find(|i| i.index == request.index) {
                Some(interface) => alloc::vec![link(request, 0, port, interface)],
                None => error(Some(Errno::ENODEV)),
            };
        }
        RTM_GETADDR if dump => addresses(request, port),
        RTM_GETROUTE if dump => routes(request, port),
        RTM_GETNEIGH | RTM_GETRULE if dump => Vec::new(),
        // Messages of the protocol itself need no answer unless one is asked for.
        0..16 => return if request.flags & FLAG_ACK != 0 { error(None) } else { Vec::new() },
        RTM_GETROUTE | RTM_GETADDR => return error(Some(Errno::EOPNOTSUPP)),
        // Everything else changes something, or asks for what is not there.
        _ => return error(Some(Errno::EPERM)),
    };
    let done = Message::new(NLMSG_DONE, FLAG_MULTI, request.sequence, port).body(&[0; 4]).finish();
    // An empty datagram would read as the end of the socket.
    if rows.is_empty() { alloc::vec![done] } else { alloc::vec![rows.concat(), done] }
}

impl NetlinkSocket {
    /// A socket of `protocol`.
    ///
    /// # Errors
    /// `EPROTONOSUPPORT` for protocols other than [`ROUTE`] and [`UEVENT`].
    pub fn create(kind: u32, protocol: u32) -> Result<Arc<Self>> {
        if !matches!(protocol, ROUTE | UEVENT) {
            return Err(Errno::EPROTONOSUPPORT);
        }
        let queue = Arc::new(WaitQueue::new());
        let inbox = Conduit::new(&queue, None);
        Ok(Arc::new(Self {
            kind,
            protocol,
            options: Options::new(BUFFER),
            queue,
            inbox,
            port: AtomicU32::new(0),
            groups: Mutex::new(0),
        }))
    }

    /// Puts a message of the kernel into the socket.
    ///
    /// # Errors
    /// `ENOBUFS` if it is full.
    pub fn deliver(&self, mut message: Vec<u8>) -> Result<()> {
        let from = Some(Address::foreign(address(0, 0)));
        let credentials = Some(Credentials { pid: 0, uid: 0, gid: 0 });
        let mut attachment = Attachment { from, credentials, ..Attachment::default() };
        match self.inbox.put(&mut message, &mut attachment, &self.queue) {
            Some(_) => Ok(()),
            None => Err(Errno::ENOBUFS),
        }
    }

    fn port(&self, thread: &Thread) -> u32 {
        let port = self.port.load(Ordering::Relaxed);
        if port != 0 {
            return port;
        }
        self.port.store(thread.process.pid, Ordering::Relaxed);
        thread.process.pid
    }
}

impl SocketOps for NetlinkSocket {
    fn identity(&self) -> (u16, u32, u32) {
        (family::NETLINK, self.kind, self.protocol)
    }

    fn options(&self) -> &Options {
        &self.options
    }

    fn bind(&self, thread: &Thread, address: &[u8]) -> Result<()> {
        if address.len() < 12 || half(address, 0) != family::NETLINK {
            return Err(Errno::EINVAL);
        }
        match word(address, 4) {
            0 => {
                self.port(thread);
            }
            port => self.port.store(port, Ordering::Relaxed),
        }
        *self.groups.lock() = word(address, 8);
        Ok(())
    }

    fn connect(&self, thread: &Thread, _: bool, _: &[u8]) -> Result<()> {
        self.port(thread);
        Ok(())
    }

    fn listen(&self, _: &Thread, _: i32) -> Result<()> {
        Err(Errno::EOPNOTSUPP)
    }

    fn accept(&self, _: &Thread, _: bool) -> Result<Arc<dyn SocketOps>> {
        Err(Errno::EOPNOTSUPP)
    }

    fn name(&self) -> Result<Vec<u8>> {
        Ok(address(self.port.load(Ordering::Relaxed), *self.groups.lock()))
    }

    fn peer(&self) -> Result<Vec<u8>> {
        Ok(address(0, 0))
    }

    fn send(&self, thread: &Thread, source: &mut Source<'_>, _: &mut Outgoing<'_>) -> Result<usize> {
        let total = source.left();
        if total > MAX_REQUEST {
            return Err(Errno::EMSGSIZE);
        }
        if self.protocol != ROUTE {
            return Err(Errno::EPERM);
        }
        let bytes = source.take_vec(total)?;
        let port = self.port(thread);
        let mut rest = bytes.as_slice();
        while let Some(header) = rest.get(..HEADER) {
            let len = usize::try_from(word(header, 0)).unwrap_or(0);
            if len < HEADER || len > rest.len() {
                break;
            }
            let request = Request {
                kind: half(header, 4),
                flags: half(header, 6),
                sequence: word(header, 8),
                family: rest.get(HEADER).filter(|_| len > HEADER).copied().unwrap_or(0),
                index: if len >= HEADER + 8 { word(rest, HEADER + 4) } else { 0 },
            };
            for message in answer(&request, header, port) {
                self.deliver(message)?;
            }
            rest = rest.get(len.next_multiple_of(4)..).unwrap_or(&[]);
        }
        Ok(total)
    }

    fn receive(&self, thread: &Thread, sink: &mut Sink<'_>, how: Receive) -> Result<Incoming> {
        let peek = how.flags & msg::PEEK != 0;
        let mut attempt = || self.inbox.take(sink, peek);
        let taken = match attempt() {
            Some(result) => result?,
            None if how.nonblocking => return Err(Errno::EAGAIN),
            None => {
                let deadline = self.options.receive_deadline();
                wait::block(thread, &[&self.queue], deadline, attempt)
                    .map_err(|e| if e == Errno::ETIMEDOUT { Errno::EAGAIN } else { e })?
            }
        };
        let flags = if taken.whole > taken.count { msg::TRUNC } else { 0 };
        Ok(Incoming { count: taken.count, whole: taken.whole, attachment: taken.attachment, flags })
    }

    fn shutdown(&self, _: bool, _: bool) -> Result<()> {
        Err(Errno::EOPNOTSUPP)
    }

    fn poll(&self) -> Poll {
        let ready = Poll::OUT | Poll::WRNORM;
        if self.inbox.is_readable() { ready | Poll::IN | Poll::RDNORM } else { ready }
    }

    fn queue(&self) -> &WaitQueue {
        &self.queue
    }

    fn close(&self) {
        self.inbox.discard();
    }

    fn queued(&self) -> (usize, usize) {
        (self.inbox.readable_bytes(), 0)
    }

    fn is_listening(&self) -> bool {
        false
    }

    fn set_option(&self, level: i32, _: i32, _: &[u8]) -> Result<()> {
        const SOL_NETLINK: i32 = 270;
        // Group membership and the like: nothing here ever changes, so nobody is told.
        if matches!(level, SOL_SOCKET | SOL_NETLINK) { Ok(()) } else { Err(Errno::ENOPROTOOPT) }
    }

    fn get_option(&self, _: i32, _: i32) -> Option<Result<Vec<u8>>> {
        None
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(kind: u16, flags: u16) -> Request {
        Request { kind, flags, sequence: 7, family: 0, index: 0 }
    }

    #[test]
    fn a_dump_of_addresses_tells_the_loopback_and_ends() {
        let messages = answer(&request(RTM_GETADDR, FLAG_DUMP), &[0; HEADER], 5);
        let [rows, done] = messages.as_slice() else { panic!("{messages:?}") };
        assert_eq!(half(rows, 4), RTM_NEWADDR);
        assert_eq!((word(rows, 8), word(rows, 12)), (7, 5));
        let first = usize::try_from(word(rows, 0)).unwrap();
        assert_eq!(rows.get(first + 16), Some(&AF_INET6));
        assert_eq!(half(done, 4), NLMSG_DONE);
    }

    #[test]
    fn changes_are_refused() {
        const RTM_DELLINK: u16 = 17;
        let messages = answer(&request(RTM_DELLINK, FLAG_ACK), &[0; HEADER], 5);
        assert_eq!(messages.len(), 1);
        assert_eq!(word(&messages[0], HEADER).cast_signed(), -1);
    }
}
