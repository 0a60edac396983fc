//! TCP sockets: tcp(7). A connection is a stream of the host, or, within the family, a pair of conduits.

use super::address::Endpoint;
use super::option::Extras;
use super::port::{Claim, Ports};
use super::stream::Stream;
use crate::fs::Poll;
use crate::io::{Sink, Source};
use crate::ipc::poller;
use crate::ipc::ring::Ring;
use crate::ipc::socket::options::{Options, SOL_SOCKET, so};
use crate::ipc::socket::{Incoming, Outgoing, Receive, SocketOps, credentials_of, kind, msg};
use crate::ipc::unix::UnixSocket;
use crate::ipc::unix::conduit::Attachment;
use crate::task::Thread;
use crate::wait::{self, WaitQueue};
use crate::{Errno, Mutex, Result};
use alloc::collections::VecDeque;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::{AtomicBool, Ordering};
use postern_abi::calls::net;
use postern_pal::handle::Handle;

const IPPROTO_TCP: i32 = 6;
const TCP_NODELAY: i32 = 1;
const TCP_INFO: i32 = 11;
const MAX_BACKLOG: usize = 4096;
/// Bytes read ahead of the program, where it asks what there is.
const AHEAD: usize = 16 << 10;
/// Default buffers as programs see them.
const BUFFER: usize = 131_072;
/// Most bytes on their way where neither end has set a size: the host's kernel would let them grow, too.
const IN_FLIGHT: usize = 512 * 1024;

/// How many bytes may be on their way from an end with one send buffer to one with this receive buffer.
fn in_flight(send: usize, receive: usize) -> usize {
    if (send, receive) == (BUFFER, BUFFER) { IN_FLIGHT } else { send.min(receive) }
}

static PORTS: Ports<TcpSocket> = Ports::new();

/// A connection within the family.
#[derive(Clone)]
struct Near {
    end: Arc<UnixSocket>,
    local: Endpoint,
    peer: Endpoint,
}

#[derive(Clone)]
struct Far {
    stream: Arc<Stream>,
    peer: Endpoint,
    connecting: bool,
}

enum Phase {
    Fresh,
    Far(Far),
    Near(Near),
    Listening { backlog: usize, pending: VecDeque<Near>, host: Option<Arc<Stream>> },
    Closed,
}

/// A TCP socket.
pub struct TcpSocket {
    this: Weak<TcpSocket>,
    family: u16,
    options: Options,
    extras: Extras,
    queue: Arc<WaitQueue>,
    local: Mutex<Option<Endpoint>>,
    phase: Mutex<Phase>,
    /// Bytes that were read from the host to be peeked at.
    ahead: Mutex<Ring>,
    /// connect(2) within the family answered `EINPROGRESS`, as programs expect, although it was done.
    in_progress: AtomicBool,
    /// Something was sent to a peer within the family that had closed.
    lost: AtomicBool,
}

impl TcpSocket {
    /// A socket of `AF_INET` or `AF_INET6`.
    #[must_use]
    pub fn new(family: u16) -> Arc<Self> {
        Self::with(family, Arc::new(WaitQueue::new()), Phase::Fresh, None)
    }

    fn with(family: u16, queue: Arc<WaitQueue>, phase: Phase, local: Option<Endpoint>) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            this: this.clone(),
            family,
            options: Options::new(BUFFER),
            extras: Extras::default(),
            queue,
            local: Mutex::new(local),
            phase: Mutex::new(phase),
            ahead: Mutex::new(Ring::new()),
            in_progress: AtomicBool::new(false),
            lost: AtomicBool::new(false),
        })
    }

    fn is_listening_now(&self) -> bool {
        matches!(*self.phase.lock(), Phase::Listening { .. })
    }

    fn near(&self) -> Option<Near> {
        match &*self.phase.lock() {
            Phase::Near(near) => Some(near.clone()),
            _ => None,
        }
    }

    fn far(&self) -> Option<Far> {
        match &*self.phase.lock() {
            Phase::Far(far) => Some(far.clone()),
            _ => None,
        }
    }

    /// The local address, bound to any port if it has none.
    fn bound(&self) -> Result<Endpoint> {
        let mut local = self.local.lock();
        match *local {
            Some(local) => Ok(local),
            None => {
                let any = PORTS.bind(Claim::any(self.family), &self.this, |_| true)?;
                *local = Some(any);
                Ok(any)
            }
        }
    }

    /// Connects to a listening socket of the family. `None` if there is none at `peer`.
    fn connect_near(&self, thread: &Thread, peer: &Endpoint) -> Result<Option<()>> {
        if !peer.is_loopback() {
            return Ok(None);
        }
        let to = peer.reached();
        let Some(listener) = PORTS.find(&to, Self::is_listening_now) else { return Ok(None) };
        let mut local = self.bound()?;
        if local.is_any() {
            local.address = to.address;
        }
        let (ours, theirs) = UnixSocket::stream_pair(credentials_of(thread, true), &self.queue)?;
        // The accepted end inherits the listener's sizes.
        let (here, there) = (&self.options, &listener.options);
        ours.limit_sending(in_flight(here.send_buffer(), there.receive_buffer()));
        ours.limit_receiving(in_flight(there.send_buffer(), here.receive_buffer()));
        ours.set_inline(here.has(so::OOBINLINE));
        theirs.set_inline(there.has(so::OOBINLINE));
        {
            let mut phase = listener.phase.lock();
            let Phase::Listening { backlog, pending, .. } = &mut *phase else { return Ok(None) };
            if pending.len() > *backlog {
                return Err(Errno::ETIMEDOUT);
            }
            pending.push_back(Near { end: theirs, local: to, peer: local });
        }
        *self.phase.lock() = Phase::Near(Near { end: ours, local, peer: to });
        listener.queue.wake_for(Poll::IN);
        self.queue.wake_for(Poll::OUT);
        Ok(Some(()))
    }

    fn connect_far(&self, thread: &Thread, nonblocking: bool, peer: &Endpoint) -> Result<()> {
        let stream = Stream::connect(net::TCP, peer, &self.queue).map_err(|error| {
            // The loopback network is always there; it is the port that nobody listens on.
            if error == Errno::ENETUNREACH && peer.is_loopback() { Errno::ECONNREFUSED } else { error }
        })?;
        if self.extras.is_on(IPPROTO_TCP, TCP_NODELAY) {
            stream.set_no_delay(true);
        }
        let far = Far { stream: Arc::new(stream), peer: *peer, connecting: true };
        *self.phase.lock() = Phase::Far(far.clone());
        if nonblocking {
            return Err(Errno::EINPROGRESS);
        }
        self.wait_connected(thread, &far)
    }

    fn wait_connected(&self, thread: &Thread, far: &Far) -> Result<()> {
        let waited = far.stream.watched.wait(thread, poller::OUT, false, self.options.send_deadline());
        match waited {
            Ok(()) => self.finish(far).unwrap_or(Err(Errno::EINPROGRESS)),
            Err(Errno::ETIMEDOUT) => Err(Errno::EINPROGRESS),
            Err(error) => Err(error),
        }
    }

    /// Looks whether connecting has ended, and how.
    fn finish(&self, far: &Far) -> Option<Result<()>> {
        if far.stream.watched.look(poller::OUT) == 0 {
            return None;
        }
        let result = far.stream.check();
        let mut phase = self.phase.lock();
        match result {
            Ok(()) => {
                if let Phase::Far(far) = &mut *phase {
                    far.connecting = false;
                }
            }
            Err(_) => {
                let old = core::mem::replace(&mut *phase, Phase::Fresh);
                drop(phase);
                drop(old);
            }
        }
        Some(result)
    }

    fn try_accept(&self) -> Option<Result<Arc<Self>>> {
        let host = {
            let mut phase = self.phase.lock();
            let Phase::Listening { pending, host, .. } = &mut *phase else {
                return Some(Err(Errno::EINVAL));
            };
            if let Some(near) = pending.pop_front() {
                drop(phase);
                let queue = near.end.shared_queue().clone();
                let local = near.local;
                let socket = Self::with(self.family, queue, Phase::Near(near), Some(local));
                socket.options.switch(so::OOBINLINE, self.options.has(so::OOBINLINE));
                return Some(Ok(socket));
            }
            host.clone()?
        };
        let queue = Arc::new(WaitQueue::new());
        match host.accept(&queue) {
            Ok((stream, peer)) => {
                let local = stream.local().ok();
                let far = Far { stream: Arc::new(stream), peer, connecting: false };
                Some(Ok(Self::with(self.family, queue, Phase::Far(far), local)))
            }
            Err(Errno::EAGAIN) => {
                poller::wait_handle(&host.watched.handle, poller::IN, &self.queue);
                None
            }
            Err(error) => Some(Err(error)),
        }
    }

    /// Reads from the host with the peculiarities of `how`.
    fn receive_far(&self, thread: &Thread, sink: &mut Sink<'_>, how: Receive, far: &Far) -> Result<Incoming> {
        let deadline = self.options.receive_deadline();
        let timed_out = |e| if e == Errno::ETIMEDOUT { Errno::EAGAIN } else { e };
        if far.connecting
            && let Some(Err(error)) = self.finish(far)
        {
            return Err(error);
        }
        let mut count = 0;
        if how.flags & msg::PEEK != 0 {
            if self.ahead.lock().is_empty() {
                let mut buf = alloc::vec![0; AHEAD];
                let got = far
                    .stream
                    .read(thread, &mut Sink::Kernel(&mut buf, 0), how.nonblocking, deadline)
                    .map_err(timed_out)?;
                self.ahead.lock().push(buf.get(..got).unwrap_or(&[]));
            }
            count = self.ahead.lock().peek(sink, 0, usize::MAX)?;
        } else {
            count += self.ahead.lock().drain(sink, usize::MAX)?;
            if count > 0 && sink.left() > 0 {
                // What was not peeked at yet is part of the same stream; an error is told by the next read.
                count += far.stream.read(thread, sink, true, None).unwrap_or(0);
            }
            let all = how.flags & msg::WAITALL != 0 && !how.nonblocking;
            while count == 0 || (all && sink.left() > 0) {
                match far.stream.read(thread, sink, how.nonblocking, deadline).map_err(timed_out) {
                    Ok(0) => break,
                    Ok(got) => count += got,
                    Err(_) if count > 0 => break,
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(Incoming { count, whole: count, ..Incoming::default() })
    }
}

impl SocketOps for TcpSocket {
    fn identity(&self) -> (u16, u32, u32) {
        (self.family, kind::STREAM, IPPROTO_TCP.cast_unsigned())
    }

    fn options(&self) -> &Options {
        &self.options
    }

    fn bind(&self, _: &Thread, address: &[u8]) -> Result<()> {
        let endpoint = Endpoint::parse(self.family, address)?;
        let mut local = self.local.lock();
        if local.is_some() {
            return Err(Errno::EINVAL);
        }
        let reuse = self.options.has(so::REUSEADDR) || self.options.has(so::REUSEPORT);
        // Who listens shares only with those that all say SO_REUSEPORT.
        let shares = |other: &Self| {
            let both = self.options.has(so::REUSEPORT) && other.options.has(so::REUSEPORT);
            both || !matches!(*other.phase.lock(), Phase::Listening { .. })
        };
        let claim = Claim { local: endpoint, reuse, only_v6: self.extras.only_v6() };
        *local = Some(PORTS.bind(claim, &self.this, shares)?);
        Ok(())
    }

    fn connect(&self, thread: &Thread, nonblocking: bool, address: &[u8]) -> Result<()> {
        if let Some(far) = self.far() {
            if !far.connecting {
                return Err(Errno::EISCONN);
            }
            return match self.finish(&far) {
                Some(Ok(())) => Ok(()),
                Some(Err(error)) => Err(error),
                None if nonblocking => Err(Errno::EALREADY),
                None => self.wait_connected(thread, &far),
            };
        }
        match &*self.phase.lock() {
            // As after a connection to outside: the next call tells that it was made.
            Phase::Near(_) if self.in_progress.swap(false, Ordering::Relaxed) => return Ok(()),
            Phase::Near(_) => return Err(Errno::EISCONN),
            Phase::Listening { .. } => return Err(Errno::EINVAL),
            _ => {}
        }
        let peer = Endpoint::parse(self.family, address)?;
        match self.connect_near(thread, &peer)? {
            Some(()) if nonblocking => {
                self.in_progress.store(true, Ordering::Relaxed);
                Err(Errno::EINPROGRESS)
            }
            Some(()) => Ok(()),
            None => self.connect_far(thread, nonblocking, &peer),
        }
    }

    fn listen(&self, _: &Thread, backlog: i32) -> Result<()> {
        let local = self.bound()?;
        let wanted = usize::try_from(backlog).unwrap_or(MAX_BACKLOG).min(MAX_BACKLOG);
        match &mut *self.phase.lock() {
            Phase::Fresh => {}
            Phase::Listening { backlog, .. } => {
                *backlog = wanted;
                return Ok(());
            }
            _ => return Err(Errno::EINVAL),
        }
        // Others than the family are let in only if the permission says so; the family itself always.
        let host = Stream::listen(&local, wanted as u64, &self.queue).map(Arc::new).ok();
        *self.phase.lock() = Phase::Listening { backlog: wanted, pending: VecDeque::new(), host };
        self.queue.wake();
        Ok(())
    }

    fn accept(&self, thread: &Thread, nonblocking: bool) -> Result<Arc<dyn SocketOps>> {
        let socket = match self.try_accept() {
            Some(result) => result?,
            None if nonblocking => return Err(Errno::EAGAIN),
            None => {
                let deadline = self.options.receive_deadline();
                wait::block(thread, &[&self.queue], deadline, || self.try_accept())
                    .map_err(|e| if e == Errno::ETIMEDOUT { Errno::EAGAIN } else { e })?
            }
        };
        Ok(socket)
    }

    fn name(&self) -> Result<Vec<u8>> {
        if let Some(near) = self.near() {
            return Ok(near.local.format(self.family));
        }
        if let Some(far) = self.far()
            && let Ok(local) = far.stream.local()
        {
            return Ok(local.format(self.family));
        }
        let local = self.local.lock().unwrap_or_else(|| Endpoint::any(self.family, 0));
        Ok(local.format(self.family))
    }

    fn peer(&self) -> Result<Vec<u8>> {
        match &*self.phase.lock() {
            Phase::Near(near) if !near.end.was_reset() => Ok(near.peer.format(self.family)),
            Phase::Far(far) if !far.connecting || far.stream.watched.look(poller::OUT) == poller::OUT => {
                Ok(far.peer.format(self.family))
            }
            _ => Err(Errno::ENOTCONN),
        }
    }

    fn send(&self, thread: &Thread, source: &mut Source<'_>, out: &mut Outgoing<'_>) -> Result<usize> {
        out.to = None;
        if let Some(near) = self.near() {
            out.attachment = Attachment::default();
            let total = source.left();
            if total == 0 {
                return Ok(0);
            }
            let result = near.end.send(thread, source, out);
            // What is sent to a peer that has closed is lost; only the next send hears of it, as over a network.
            if result == Err(Errno::EPIPE)
                && near.end.peer_has_left()
                && !self.lost.swap(true, Ordering::Relaxed)
            {
                // No more of it than a send buffer holds: the reset is back before the rest is sent.
                return Ok(total.min(self.options.send_buffer()));
            }
            return result;
        }
        let Some(far) = self.far() else { return Err(Errno::EPIPE) };
        if out.flags & msg::OOB != 0 {
            return Err(Errno::EOPNOTSUPP);
        }
        if far.connecting
            && let Some(Err(error)) = self.finish(&far)
        {
            return Err(error);
        }
        far.stream
            .write(thread, source, out.nonblocking, self.options.send_deadline())
            .map_err(|e| if e == Errno::ETIMEDOUT { Errno::EAGAIN } else { e })
    }

    fn receive(&self, thread: &Thread, sink: &mut Sink<'_>, how: Receive) -> Result<Incoming> {
        if how.flags & msg::ERRQUEUE != 0 {
            return Err(Errno::EAGAIN);
        }
        if let Some(near) = self.near() {
            return near.end.receive(thread, sink, how);
        }
        if how.flags & msg::OOB != 0 {
            return Err(Errno::EINVAL);
        }
        match self.far() {
            Some(_) if sink.left() == 0 => Ok(Incoming::default()),
            Some(far) => self.receive_far(thread, sink, how, &far),
            None => Err(Errno::ENOTCONN),
        }
    }

    fn shutdown(&self, read: bool, write: bool) -> Result<()> {
        if let Some(near) = self.near() {
            return near.end.shutdown(read, write);
        }
        if let Some(far) = self.far() {
            let result = far.stream.shutdown(read, write);
            self.queue.wake();
            return result;
        }
        if self.is_listening_now() && read {
            let old = core::mem::replace(&mut *self.phase.lock(), Phase::Closed);
            close_phase(old);
            self.queue.wake();
            return Ok(());
        }
        Err(Errno::ENOTCONN)
    }

    fn poll(&self) -> Poll {
        if let Some(near) = self.near() {
            return near.end.poll();
        }
        if let Some(far) = self.far() {
            let mut ready = far.stream.watched.poll();
            if !self.ahead.lock().is_empty() {
                ready |= Poll::IN | Poll::RDNORM;
            }
            return ready;
        }
        match &*self.phase.lock() {
            Phase::Listening { pending, host, .. } => {
                let waiting = host.as_ref().is_some_and(|h| {
                    let found = h.watched.look(poller::IN) != 0;
                    if !found {
                        poller::wait_handle(&h.watched.handle, poller::IN, &self.queue);
                    }
                    found
                });
                if pending.is_empty() && !waiting { Poll::empty() } else { Poll::IN | Poll::RDNORM }
            }
            _ => Poll::OUT | Poll::WRNORM | Poll::HUP,
        }
    }

    fn queue(&self) -> &WaitQueue {
        &self.queue
    }

    fn close(&self) {
        PORTS.release(self);
        let old = core::mem::replace(&mut *self.phase.lock(), Phase::Closed);
        if let (Phase::Near(near), true) = (&old, self.options.aborts()) {
            near.end.abort();
        }
        close_phase(old);
        self.queue.wake();
    }

    fn queued(&self) -> (usize, usize) {
        match self.near() {
            Some(near) => near.end.queued(),
            None => (self.peekable(), 0),
        }
    }

    fn is_listening(&self) -> bool {
        self.is_listening_now()
    }

    fn is_at_mark(&self) -> bool {
        self.near().is_some_and(|near| near.end.is_at_mark())
    }

    fn set_option(&self, level: i32, name: i32, value: &[u8]) -> Result<()> {
        if level == SOL_SOCKET {
            match (self.near(), name) {
                (Some(near), so::SNDBUF) => near.end.limit_sending(self.options.send_buffer()),
                (Some(near), so::OOBINLINE) => near.end.set_inline(self.options.has(so::OOBINLINE)),
                (Some(near), so::RCVBUF) => near.end.limit_receiving(self.options.receive_buffer()),
                _ => {}
            }
            return Ok(());
        }
        self.extras.set(level, name, value)?;
        if (level, name) == (IPPROTO_TCP, TCP_NODELAY)
            && let Some(far) = self.far()
        {
            far.stream.set_no_delay(self.extras.is_on(level, name));
        }
        Ok(())
    }

    fn get_option(&self, level: i32, name: i32) -> Option<Result<Vec<u8>>> {
        match (level, name) {
            (SOL_SOCKET, so::ERROR) => {
                let far = self.far()?;
                let result = if far.connecting { self.finish(&far)? } else { far.stream.check() };
                let number = result.err().map_or(0, |e| i32::from(e.number()));
                Some(Ok(number.to_ne_bytes().to_vec()))
            }
            (SOL_SOCKET, _) => None,
            (IPPROTO_TCP, TCP_INFO) => {
                const ESTABLISHED: u8 = 1;
                const CLOSE: u8 = 7;
                const LISTEN: u8 = 10;
                let mut info = alloc::vec![0; 104];
                let state = match &*self.phase.lock() {
                    Phase::Far(_) | Phase::Near(_) => ESTABLISHED,
                    Phase::Listening { .. } => LISTEN,
                    _ => CLOSE,
                };
                if let Some(first) = info.first_mut() {
                    *first = state;
                }
                Some(Ok(info))
            }
            _ => Some(self.extras.get(level, name)),
        }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl TcpSocket {
    /// Bytes that can be read: reads them ahead, because only a read tells how many there are.
    fn peekable(&self) -> usize {
        let Some(far) = self.far() else { return 0 };
        let handle: &Handle = &far.stream.watched.handle;
        if self.ahead.lock().is_empty() && far.stream.watched.look(poller::IN) & poller::IN != 0 {
            let mut buf = alloc::vec![0; AHEAD];
            if let Ok(got) = handle.read(&mut buf, None) {
                self.ahead.lock().push(buf.get(..got).unwrap_or(&[]));
            }
        }
        self.ahead.lock().len()
    }
}

fn close_phase(phase: Phase) {
    match phase {
        Phase::Near(near) => near.end.close(),
        Phase::Listening { pending, .. } => pending.iter().for_each(|near| near.end.close()),
        _ => {}
    }
}
