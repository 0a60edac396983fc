//! UDP sockets: udp(7). Each peer outside the family has a stream of the host of its own; what arrives waits in one
//! queue.

use super::address::Endpoint;
use super::option::Extras;
use super::port::{Claim, Ports};
use super::stream::Stream;
use crate::fs::Poll;
use crate::io::{Sink, Source};
use crate::ipc::poller;
use crate::ipc::socket::options::{Options, SOL_SOCKET, so};
use crate::ipc::socket::{Incoming, Outgoing, Receive, SocketOps, kind, msg};
use crate::ipc::unix::address::Address;
use crate::ipc::unix::conduit::{Attachment, Conduit};
use crate::task::Thread;
use crate::wait::{self, WaitQueue};
use crate::{Errno, Mutex, Result};
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::any::Any;
use postern_abi::calls::net;

const IPPROTO_UDP: u32 = 17;
/// Largest datagram.
const MAX_DATAGRAM: usize = 65_507;
/// Most peers of one socket; the one that was silent longest is dropped first.
const MAX_PEERS: usize = 64;
const BUFFER: usize = 212_992;

static PORTS: Ports<UdpSocket> = Ports::new();

struct State {
    local: Option<Endpoint>,
    /// Default destination.
    peer: Option<Endpoint>,
    streams: Vec<(Endpoint, Arc<Stream>)>,
    closed: bool,
}

/// A UDP socket.
pub struct UdpSocket {
    this: Weak<UdpSocket>,
    family: u16,
    options: Options,
    extras: Extras,
    queue: Arc<WaitQueue>,
    inbox: Arc<Conduit>,
    state: Mutex<State>,
}

impl UdpSocket {
    /// A socket of `AF_INET` or `AF_INET6`.
    #[must_use]
    pub fn new(family: u16) -> Arc<Self> {
        let queue = Arc::new(WaitQueue::new());
        let inbox = Conduit::new(&queue, None);
        Arc::new_cyclic(|this| Self {
            this: this.clone(),
            family,
            options: Options::new(BUFFER),
            extras: Extras::default(),
            queue,
            inbox,
            state: Mutex::new(State { local: None, peer: None, streams: Vec::new(), closed: false }),
        })
    }

    fn bound(&self) -> Result<Endpoint> {
        let mut state = self.state.lock();
        match state.local {
            Some(local) => Ok(local),
            None => {
                let local = PORTS.bind(Claim::any(self.family), &self.this, |_| true)?;
                state.local = Some(local);
                Ok(local)
            }
        }
    }

    /// The stream to a peer, opened if there is none.
    fn stream(&self, peer: &Endpoint) -> Result<Arc<Stream>> {
        let known = self.state.lock().streams.iter().find(|(p, _)| p == peer).map(|(_, s)| s.clone());
        if let Some(stream) = known {
            return Ok(stream);
        }
        let stream = Arc::new(Stream::connect(net::UDP, peer, &self.queue)?);
        let old = {
            let mut state = self.state.lock();
            let old = (state.streams.len() >= MAX_PEERS).then(|| state.streams.remove(0));
            state.streams.push((*peer, stream.clone()));
            old
        };
        drop(old);
        poller::wait_handle(&stream.watched.handle, poller::IN, &self.queue);
        Ok(stream)
    }

    /// Moves what arrived from outside into the queue. An error of a stream (a port that nobody listens on) is kept
    /// for the next call.
    fn collect(&self) {
        let streams: Vec<(Endpoint, Arc<Stream>)> = self.state.lock().streams.clone();
        for (peer, stream) in streams {
            while stream.watched.look(poller::IN) != 0 {
                let mut data = alloc::vec![0; MAX_DATAGRAM];
                match stream.watched.handle.read(&mut data, None) {
                    Ok(len) => {
                        data.truncate(len);
                        data.shrink_to_fit();
                        let from = Some(Address::foreign(peer.format(self.family)));
                        let mut attachment = Attachment { from, ..Attachment::default() };
                        // A full queue loses datagrams, as UDP does.
                        if self.inbox.put(&mut data, &mut attachment, &self.queue).is_none() {
                            break;
                        }
                    }
                    Err(Errno::EINTR) => {}
                    Err(Errno::EAGAIN) => break,
                    Err(error) => {
                        self.options.set_error(error);
                        break;
                    }
                }
            }
            poller::wait_handle(&stream.watched.handle, poller::IN, &self.queue);
        }
    }

    fn send_near(&self, to: &Endpoint, data: &mut Vec<u8>) -> Option<Result<usize>> {
        if !to.is_loopback() {
            return None;
        }
        let to = to.reached();
        let target = PORTS.find(&to, |socket| {
            let state = socket.state.lock();
            !state.closed && state.peer.is_none_or(|p| p.is_loopback())
        })?;
        let mut local = match self.bound() {
            Ok(local) => local,
            Err(error) => return Some(Err(error)),
        };
        if local.is_any() {
            local.address = to.address;
        }
        let from = Some(Address::foreign(local.format(target.family)));
        let mut attachment = Attachment { from, ..Attachment::default() };
        let len = data.len();
        // A full queue loses datagrams, as UDP does.
        Some(target.inbox.put(data, &mut attachment, &self.queue).unwrap_or(Ok(len)))
    }
}

impl SocketOps for UdpSocket {
    fn identity(&self) -> (u16, u32, u32) {
        (self.family, kind::DGRAM, IPPROTO_UDP)
    }

    fn options(&self) -> &Options {
        &self.options
    }

    fn bind(&self, _: &Thread, address: &[u8]) -> Result<()> {
        let endpoint = Endpoint::parse(self.family, address)?;
        let mut state = self.state.lock();
        if state.local.is_some() {
            return Err(Errno::EINVAL);
        }
        let reuse = self.options.has(so::REUSEADDR) || self.options.has(so::REUSEPORT);
        let claim = Claim { local: endpoint, reuse, only_v6: self.extras.only_v6() };
        state.local = Some(PORTS.bind(claim, &self.this, |_| true)?);
        Ok(())
    }

    fn connect(&self, _: &Thread, _: bool, address: &[u8]) -> Result<()> {
        if address.get(..2) == Some(&[0, 0]) {
            self.state.lock().peer = None;
            return Ok(());
        }
        let peer = Endpoint::parse(self.family, address)?;
        let near = peer.is_loopback() && PORTS.find(&peer.reached(), |s| !s.state.lock().closed).is_some();
        if near {
            self.bound()?;
        } else if let Err(error) = self.stream(&peer) {
            // Nobody is there, but there is a way: as natively, the first send finds out.
            if !(peer.is_loopback() && error == Errno::ENETUNREACH) {
                return Err(error);
            }
            self.bound()?;
        }
        self.state.lock().peer = Some(peer);
        Ok(())
    }

    fn listen(&self, _: &Thread, _: i32) -> Result<()> {
        Err(Errno::EOPNOTSUPP)
    }

    fn accept(&self, _: &Thread, _: bool) -> Result<Arc<dyn SocketOps>> {
        Err(Errno::EOPNOTSUPP)
    }

    fn name(&self) -> Result<Vec<u8>> {
        let (local, peer, stream) = {
            let state = self.state.lock();
            let stream = state.peer.and_then(|p| state.streams.iter().find(|(e, _)| *e == p).cloned());
            (state.local, state.peer, stream)
        };
        if let Some((_, stream)) = stream
            && let Ok(local) = stream.local()
        {
            return Ok(local.format(self.family));
        }
        let mut local = local.unwrap_or_else(|| Endpoint::any(self.family, 0));
        if local.is_any()
            && let Some(peer) = peer
        {
            local.address = peer.address;
        }
        Ok(local.format(self.family))
    }

    fn peer(&self) -> Result<Vec<u8>> {
        self.state.lock().peer.map(|p| p.format(self.family)).ok_or(Errno::ENOTCONN)
    }

    fn send(&self, thread: &Thread, source: &mut Source<'_>, out: &mut Outgoing<'_>) -> Result<usize> {
        if let Some(error) = self.options.take_error() {
            return Err(error);
        }
        let to = match out.to {
            Some(address) => Endpoint::parse(self.family, address)?,
            None => self.state.lock().peer.ok_or(Errno::EDESTADDRREQ)?,
        };
        if to.port == 0 {
            return Err(Errno::EINVAL);
        }
        let total = source.left();
        if total > MAX_DATAGRAM {
            return Err(Errno::EMSGSIZE);
        }
        let mut data = source.take_vec(total)?;
        if data.len() < total {
            return Err(Errno::EFAULT);
        }
        if let Some(result) = self.send_near(&to, &mut data) {
            return result;
        }
        let stream = match self.stream(&to) {
            // Nobody is there. Only a connected socket learns of it, by its next call.
            Err(Errno::ENETUNREACH) if to.is_loopback() => {
                if self.state.lock().peer.is_some() {
                    self.options.set_error(Errno::ECONNREFUSED);
                    self.queue.wake();
                }
                return Ok(total);
            }
            other => other?,
        };
        stream.write(thread, &mut Source::Kernel(&data, 0), out.nonblocking, self.options.send_deadline())
    }

    fn receive(&self, thread: &Thread, sink: &mut Sink<'_>, how: Receive) -> Result<Incoming> {
        if how.flags & msg::ERRQUEUE != 0 {
            return Err(Errno::EAGAIN);
        }
        let peek = how.flags & msg::PEEK != 0;
        let mut attempt = || {
            if !self.inbox.is_readable() {
                self.collect();
            }
            match self.inbox.take(sink, peek) {
                Some(result) => Some(result),
                None => self.options.take_error().map(Err),
            }
        };
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

    fn shutdown(&self, read: bool, _: bool) -> Result<()> {
        if self.state.lock().peer.is_none() {
            return Err(Errno::ENOTCONN);
        }
        if read {
            self.inbox.refuse();
        }
        Ok(())
    }

    fn poll(&self) -> Poll {
        if !self.inbox.is_readable() {
            self.collect();
        }
        let mut ready = Poll::OUT | Poll::WRNORM;
        if self.inbox.is_readable() {
            ready |= Poll::IN | Poll::RDNORM;
        }
        if self.options.has_error() {
            ready |= Poll::ERR;
        }
        ready
    }

    fn queue(&self) -> &WaitQueue {
        &self.queue
    }

    fn close(&self) {
        PORTS.release(self);
        let streams = {
            let mut state = self.state.lock();
            state.closed = true;
            core::mem::take(&mut state.streams)
        };
        drop(streams);
        self.inbox.discard();
    }

    fn queued(&self) -> (usize, usize) {
        if !self.inbox.is_readable() {
            self.collect();
        }
        (self.inbox.readable_bytes(), 0)
    }

    fn is_listening(&self) -> bool {
        false
    }

    fn set_option(&self, level: i32, name: i32, value: &[u8]) -> Result<()> {
        if level == SOL_SOCKET { Ok(()) } else { self.extras.set(level, name, value) }
    }

    fn get_option(&self, level: i32, name: i32) -> Option<Result<Vec<u8>>> {
        (level != SOL_SOCKET).then(|| self.extras.get(level, name))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
