//! `AF_UNIX` sockets: unix(7).

pub mod address;
pub mod conduit;
pub mod garbage;
mod loopback;
mod parcel;
mod transfer;
mod urgent;

use super::socket::calls::is_unix_kind;
use super::socket::options::{Options, SOL_SOCKET, so};
use super::socket::{Incoming, Outgoing, Receive, SocketOps, credentials_of, family, kind};
use crate::fs::{self, OpenFile, Poll};
use crate::io::{Sink, Source};
use crate::ipc::wayland::{self, DisplayClient};
use crate::task::{Process, Thread};
use crate::wait::{self, WaitQueue};
use crate::{Errno, Mutex, Once, Result};
use address::Address;
use alloc::collections::VecDeque;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use conduit::{Conduit, Credentials, DEFAULT_BUFFER};
use core::any::Any;
use core::sync::atomic::{AtomicU32, Ordering};

/// Highest backlog (`/proc/sys/net/core/somaxconn`).
const MAX_BACKLOG: usize = 4096;

/// What a node of the file system or an abstract name leads to. The socket keeps it alive.
pub struct Binding {
    socket: Weak<UnixSocket>,
}

/// What the node of the display's socket leads to.
struct DisplayNode;

/// The path of the display's socket, and what keeps its node alive.
static DISPLAY: Once<(Vec<u8>, Arc<DisplayNode>)> = Once::new();

/// Makes the display's socket appear where `$WAYLAND_DISPLAY` says.
pub(super) fn publish_display(uid: u32, process: &Process) {
    let path = alloc::format!("/run/user/{uid}/wayland-0").into_bytes();
    let node = Arc::new(DisplayNode);
    let thread = process.state.lock().threads.first().cloned();
    if let Some(thread) = thread {
        // Without a node clients still connect: the path alone is enough.
        let _ = fs::bind_socket(&thread, &path, 0o755, node.clone());
    }
    let _ = DISPLAY.set((path, node));
}

/// A connection, from one side.
pub(super) struct Link {
    pub(super) rx: Arc<Conduit>,
    pub(super) tx: Arc<Conduit>,
    /// Who the peer was when the connection was made (`SO_PEERCRED`).
    peer: Credentials,
    /// The name that the peer's socket has.
    peer_name: Arc<Mutex<Address>>,
}

struct Listener {
    backlog: usize,
    pending: VecDeque<Arc<UnixSocket>>,
    credentials: Credentials,
    closed: bool,
}

/// What a socket will not do any more, whether or not it is connected.
mod ended {
    pub const RECEIVE: u32 = 1;
    pub const SEND: u32 = 2;
    pub const ALL: u32 = 4;
}

/// A socket.
pub struct UnixSocket {
    this: Weak<UnixSocket>,
    kind: u32,
    /// Whether it is an end of a TCP connection, which differs in details.
    is_tcp: bool,
    queue: Arc<WaitQueue>,
    options: Options,
    name: Arc<Mutex<Address>>,
    binding: Mutex<Option<Arc<Binding>>>,
    /// Set once a stream or seqpacket socket is connected.
    link: Once<Link>,
    listener: Mutex<Option<Listener>>,
    /// Receive queue of a datagram socket.
    inbox: Arc<Conduit>,
    /// Where a connected datagram socket sends to.
    target: Mutex<Option<Weak<UnixSocket>>>,
    /// Set if the peer is the display server.
    display: Once<DisplayClient>,
    /// Bits of [`ended`]: shutdown(2) of its own, or closed.
    ended: AtomicU32,
}

impl UnixSocket {
    /// A socket of type `kind`.
    ///
    /// # Errors
    /// `ESOCKTNOSUPPORT`, `EPROTONOSUPPORT`.
    pub fn create(kind: u32, protocol: u32) -> Result<Arc<Self>> {
        if protocol != 0 && protocol != u32::from(family::UNIX) {
            return Err(Errno::EPROTONOSUPPORT);
        }
        // Linux takes a raw AF_UNIX socket for a datagram one.
        let kind = if kind == kind::RAW { kind::DGRAM } else { kind };
        if !is_unix_kind(kind) {
            return Err(Errno::ESOCKTNOSUPPORT);
        }
        Ok(Self::new(kind))
    }

    fn new(kind: u32) -> Arc<Self> {
        Self::with_queue(kind, Arc::new(WaitQueue::new()), false)
    }

    fn with_queue(kind: u32, queue: Arc<WaitQueue>, is_tcp: bool) -> Arc<Self> {
        let inbox = Conduit::new(&queue, None);
        Arc::new_cyclic(|this| Self {
            this: this.clone(),
            kind,
            is_tcp,
            queue,
            options: Options::new(DEFAULT_BUFFER),
            name: Arc::new(Mutex::new(Address::Unnamed)),
            binding: Mutex::new(None),
            link: Once::new(),
            listener: Mutex::new(None),
            inbox,
            target: Mutex::new(None),
            display: Once::new(),
            ended: AtomicU32::new(0),
        })
    }

    /// Two connected sockets.
    ///
    /// # Errors
    /// As [`UnixSocket::create`].
    pub fn pair(thread: &Thread, kind: u32, protocol: u32) -> Result<(Arc<Self>, Arc<Self>)> {
        let first = Self::create(kind, protocol)?;
        let second = Self::create(kind, protocol)?;
        if first.kind == kind::DGRAM {
            *first.target.lock() = Some(Arc::downgrade(&second));
            *second.target.lock() = Some(Arc::downgrade(&first));
        } else {
            let who = credentials_of(thread, true);
            first.join(&second, who, who)?;
        }
        Ok((first, second))
    }

    /// Connects two fresh sockets; `own` and `other` are who they belong to.
    fn join(&self, other: &Self, own: Credentials, other_is: Credentials) -> Result<()> {
        let there = Conduit::of_kind(&other.queue, Some(&self.queue), self.is_tcp);
        let back = Conduit::of_kind(&self.queue, Some(&other.queue), self.is_tcp);
        back.set_inline(self.options.has(so::OOBINLINE));
        there.set_inline(other.options.has(so::OOBINLINE));
        there.set_limit(self.options.send_buffer());
        back.want_credentials(self.options.has(so::PASSCRED));
        let near =
            Link { rx: back.clone(), tx: there.clone(), peer: other_is, peer_name: other.name.clone() };
        let far = Link { rx: there, tx: back, peer: own, peer_name: self.name.clone() };
        // Two threads may connect the same socket at the same time.
        self.link.set(near).map_err(|_| Errno::EISCONN)?;
        other.link.set(far).map_err(|_| Errno::EISCONN)
    }

    /// Two sockets that are the ends of a TCP connection within the family; the first one uses `queue`.
    ///
    /// # Errors
    /// None in practice.
    pub fn stream_pair(who: Credentials, queue: &Arc<WaitQueue>) -> Result<(Arc<Self>, Arc<Self>)> {
        let first = Self::with_queue(kind::STREAM, queue.clone(), true);
        let second = Self::with_queue(kind::STREAM, Arc::new(WaitQueue::new()), true);
        first.join(&second, who, who)?;
        Ok((first, second))
    }

    /// Calls `visit` for every file in a queue of this socket.
    fn each_held_file(&self, mut visit: impl FnMut(&Arc<OpenFile>)) {
        let pending: Vec<Arc<Self>> = match self.listener.lock().as_ref() {
            Some(listener) => listener.pending.iter().cloned().collect(),
            None => Vec::new(),
        };
        let links = pending.iter().filter_map(|s| s.link.get()).chain(self.link.get());
        for conduit in links.map(|link| &link.rx).chain([&self.inbox]) {
            conduit.for_each_file(&mut visit);
        }
    }

    /// Drops what is in the queues of this socket, which nobody can read any more.
    fn discard_held(&self) {
        let pending = match self.listener.lock().as_mut() {
            Some(listener) => core::mem::take(&mut listener.pending),
            None => VecDeque::new(),
        };
        for link in pending.iter().filter_map(|s| s.link.get()).chain(self.link.get()) {
            link.rx.discard();
        }
        self.inbox.discard();
    }

    /// A datagram socket lost its peer `old`: what it holds is dropped, and the peer is told if it lives.
    fn disconnected(&self, old: Option<Arc<Self>>) {
        if !self.inbox.drop_packets() {
            return;
        }
        let Some(old) = old else { return };
        let theirs = old.target.lock().as_ref().map(Weak::as_ptr);
        if theirs.is_some_and(|peer| core::ptr::eq(peer, self)) {
            old.inbox.fail();
        }
    }

    /// Takes the error that the peer's end left behind.
    fn take_reset(&self) -> bool {
        self.link.get().map_or(&self.inbox, |link| &link.rx).take_reset()
    }

    fn link(&self) -> Result<&Link> {
        self.link.get().ok_or(Errno::ENOTCONN)
    }

    /// Whether the peer takes no more, while this end could still send.
    #[must_use]
    pub fn peer_has_left(&self) -> bool {
        self.link.get().is_some_and(|link| {
            let view = link.tx.writer_view(&self.queue);
            view.refused && !view.ended
        })
    }

    /// The queue that is woken when the socket's readiness changes, to be shared.
    #[must_use]
    pub fn shared_queue(&self) -> &Arc<WaitQueue> {
        &self.queue
    }

    /// The socket that an address names.
    fn find(thread: &Thread, address: &Address) -> Result<Arc<Self>> {
        match address {
            Address::Unnamed | Address::Foreign(_) => Err(Errno::EINVAL),
            Address::Abstract(name) => address::find(name),
            Address::Path(path) => {
                let node = fs::lookup_socket(thread, path)?;
                let binding = node.downcast::<Binding>().map_err(|_| Errno::ECONNREFUSED)?;
                binding.socket.upgrade().ok_or(Errno::ECONNREFUSED)
            }
        }
    }

    /// Whether an address is the display's.
    fn is_display(thread: &Thread, address: &Address) -> bool {
        let (Some((path, node)), Address::Path(asked)) = (DISPLAY.get(), address) else { return false };
        let found = || fs::lookup_socket(thread, asked).ok().and_then(|found| found.downcast().ok());
        path == asked || found().is_some_and(|found: Arc<DisplayNode>| Arc::ptr_eq(&found, node))
    }

    fn connect_display(&self, thread: &Thread) -> Result<()> {
        let rx = Conduit::new(&self.queue, None);
        let client = wayland::connect(thread, &rx)?;
        // Nothing is ever held in this direction: requests run as they are sent.
        let tx = Conduit::new(&self.queue, None);
        let peer = Credentials { pid: 1, ..credentials_of(thread, true) };
        let link = Link { rx, tx, peer, peer_name: Arc::new(Mutex::new(Address::Unnamed)) };
        if self.link.set(link).is_err() {
            client.close();
            return Err(Errno::EISCONN);
        }
        if let Err(client) = self.display.set(client) {
            client.close();
        }
        self.queue.wake();
        Ok(())
    }

    /// Writes to a stream what fits, without waiting and without SIGPIPE. `None` = full or not connected.
    pub(super) fn push(&self, source: &mut Source<'_>) -> Option<Result<usize>> {
        self.link.get()?.tx.write(source, &mut conduit::Attachment::default())
    }

    fn connect_stream(&self, thread: &Thread, nonblocking: bool, address: &Address) -> Result<()> {
        if self.kind == kind::STREAM && Self::is_display(thread, address) {
            return self.connect_display(thread);
        }
        // The address comes first, and whether anybody listens.
        let target = Self::find(thread, address)?;
        if target.kind != self.kind {
            return Err(Errno::EPROTOTYPE);
        }
        if target.listener.lock().as_ref().is_none_or(|listener| listener.closed) {
            return Err(Errno::ECONNREFUSED);
        }
        if self.link.get().is_some() {
            return Err(Errno::EISCONN);
        }
        if self.listener.lock().is_some() {
            return Err(Errno::EINVAL);
        }
        let own = credentials_of(thread, true);
        let attempt = || {
            let mut guard = target.listener.lock();
            let Some(listener) = guard.as_mut().filter(|l| !l.closed) else {
                return Some(Err(Errno::ECONNREFUSED));
            };
            if listener.pending.len() > listener.backlog {
                return None;
            }
            let server = Self::new(self.kind);
            *server.name.lock() = target.name.lock().clone();
            if let Err(error) = self.join(&server, own, listener.credentials) {
                return Some(Err(error));
            }
            // Until it is accepted nobody knows whether the server wants to hear who sends.
            if let Some(link) = server.link.get() {
                link.rx.want_credentials(true);
            }
            server.options.switch(so::PASSCRED, target.options.has(so::PASSCRED));
            listener.pending.push_back(server);
            Some(Ok(()))
        };
        let result = match attempt() {
            Some(result) => result,
            None if nonblocking => Err(Errno::EAGAIN),
            None => {
                let deadline = self.options.send_deadline();
                wait::block(thread, &[&target.queue], deadline, attempt).map_err(timed_out)
            }
        };
        target.queue.wake_for(if result.is_ok() { Poll::IN } else { Poll::empty() });
        self.queue.wake();
        result
    }
}

/// A send or receive whose time is up fails with `EAGAIN`.
fn timed_out(error: Errno) -> Errno {
    if error == Errno::ETIMEDOUT { Errno::EAGAIN } else { error }
}

impl SocketOps for UnixSocket {
    fn identity(&self) -> (u16, u32, u32) {
        (family::UNIX, self.kind, 0)
    }

    fn options(&self) -> &Options {
        &self.options
    }

    fn bind(&self, thread: &Thread, address: &[u8]) -> Result<()> {
        let address = Address::parse(address)?;
        let this = self.this.upgrade().ok_or(Errno::EINVAL)?;
        let mut name = self.name.lock();
        if *name != Address::Unnamed {
            return match address {
                // Binding to no name again is no error.
                Address::Unnamed => Ok(()),
                // Linux makes the node first.
                Address::Path(path) => fs::may_bind_socket(thread, &path).and(Err(Errno::EINVAL)),
                Address::Abstract(_) | Address::Foreign(_) => Err(Errno::EINVAL),
            };
        }
        *name = match address {
            Address::Foreign(_) => return Err(Errno::EINVAL),
            Address::Unnamed => Address::Abstract(address::claim_any(&this)?),
            Address::Abstract(wanted) => {
                address::claim(&wanted, &this)?;
                Address::Abstract(wanted)
            }
            Address::Path(path) => {
                let binding = Arc::new(Binding { socket: self.this.clone() });
                let bits = 0o777 & !thread.process.fs.umask.load(Ordering::Relaxed);
                fs::bind_socket(thread, &path, bits, binding.clone())?;
                *self.binding.lock() = Some(binding);
                Address::Path(path)
            }
        };
        Ok(())
    }

    fn connect(&self, thread: &Thread, nonblocking: bool, address: &[u8]) -> Result<()> {
        const UNSPECIFIED: [u8; 2] = [0, 0];
        if self.kind == kind::DGRAM && address.get(..2) == Some(&UNSPECIFIED) {
            let old = self.target.lock().take();
            self.disconnected(old.and_then(|old| old.upgrade()));
            return Ok(());
        }
        let address = Address::parse(address)?;
        if self.kind != kind::DGRAM {
            return self.connect_stream(thread, nonblocking, &address);
        }
        let target = Self::find(thread, &address)?;
        if target.kind != kind::DGRAM {
            return Err(Errno::EPROTOTYPE);
        }
        let old = self.target.lock().replace(Arc::downgrade(&target));
        if let Some(old) = old.filter(|old| !core::ptr::eq(old.as_ptr(), Arc::as_ptr(&target))) {
            self.disconnected(old.upgrade());
        }
        self.queue.wake();
        Ok(())
    }

    fn listen(&self, thread: &Thread, backlog: i32) -> Result<()> {
        if self.kind == kind::DGRAM {
            return Err(Errno::EOPNOTSUPP);
        }
        if *self.name.lock() == Address::Unnamed || self.link.get().is_some() {
            return Err(Errno::EINVAL);
        }
        let backlog = usize::try_from(backlog).unwrap_or(MAX_BACKLOG).min(MAX_BACKLOG);
        let mut guard = self.listener.lock();
        match guard.as_mut() {
            Some(listener) => listener.backlog = backlog,
            None => {
                let credentials = credentials_of(thread, true);
                *guard = Some(Listener { backlog, pending: VecDeque::new(), credentials, closed: false });
            }
        }
        drop(guard);
        self.queue.wake();
        Ok(())
    }

    fn accept(&self, thread: &Thread, nonblocking: bool) -> Result<Arc<dyn SocketOps>> {
        if self.kind == kind::DGRAM {
            return Err(Errno::EOPNOTSUPP);
        }
        let attempt = || {
            let mut guard = self.listener.lock();
            match guard.as_mut() {
                None => Some(Err(Errno::EINVAL)),
                Some(listener) => match listener.pending.pop_front() {
                    Some(socket) => Some(Ok(socket)),
                    None if listener.closed => Some(Err(Errno::EINVAL)),
                    None => None,
                },
            }
        };
        let socket = match attempt() {
            Some(result) => result?,
            None if nonblocking => return Err(Errno::EAGAIN),
            None => {
                let deadline = self.options.receive_deadline();
                wait::block(thread, &[&self.queue], deadline, attempt).map_err(timed_out)?
            }
        };
        if let Some(link) = socket.link.get() {
            link.rx.want_credentials(socket.options.has(so::PASSCRED));
        }
        // Those who wait to connect.
        self.queue.wake();
        Ok(socket)
    }

    fn name(&self) -> Result<Vec<u8>> {
        Ok(self.name.lock().format())
    }

    fn peer(&self) -> Result<Vec<u8>> {
        if self.kind == kind::DGRAM {
            let target = self.target.lock().as_ref().and_then(Weak::upgrade).ok_or(Errno::ENOTCONN)?;
            return target.name();
        }
        Ok(self.link()?.peer_name.lock().format())
    }

    fn send(&self, thread: &Thread, source: &mut Source<'_>, out: &mut Outgoing<'_>) -> Result<usize> {
        match self.kind {
            kind::STREAM => self.send_stream(thread, source, out),
            kind::SEQPACKET => self.send_packet(thread, source, out),
            _ => self.send_datagram(thread, source, out),
        }
    }

    fn may_send(&self) -> Result<()> {
        if self.kind != kind::SEQPACKET {
            return Ok(());
        }
        if self.take_reset() { Err(Errno::ECONNRESET) } else { self.link().map(|_| ()) }
    }

    fn receive(&self, thread: &Thread, sink: &mut Sink<'_>, how: Receive) -> Result<Incoming> {
        if self.kind == kind::STREAM {
            self.receive_stream(thread, sink, how)
        } else {
            self.receive_packet(thread, sink, how)
        }
    }

    fn shutdown(&self, read: bool, write: bool) -> Result<()> {
        self.ended.fetch_or(
            (u32::from(read) * ended::RECEIVE) | (u32::from(write) * ended::SEND),
            Ordering::SeqCst,
        );
        if read {
            self.inbox.refuse();
        }
        if let Some(listener) = self.listener.lock().as_mut() {
            listener.closed |= read;
            self.queue.wake();
            return Ok(());
        }
        let Ok(link) = self.link() else {
            self.queue.wake();
            return Ok(());
        };
        if write {
            // The end of both directions is a hang-up, of one an end of data.
            link.tx.end(false, if read && !self.is_tcp { Poll::HUP } else { Poll::IN });
        }
        if read {
            link.rx.refuse();
        }
        Ok(())
    }

    fn poll(&self) -> Poll {
        const READ: Poll = Poll::IN.union(Poll::RDNORM);
        const WRITE: Poll = Poll::OUT.union(Poll::WRNORM).union(Poll::WRBAND);
        let mut ready = Poll::empty();
        if self.options.has_error() {
            ready |= Poll::ERR;
        }
        let ended = self.ended.load(Ordering::SeqCst);
        if self.link.get().is_none() {
            if ended & ended::RECEIVE != 0 {
                ready |= Poll::RDHUP | READ;
            }
            if ended & (ended::RECEIVE | ended::SEND) == ended::RECEIVE | ended::SEND {
                ready |= Poll::HUP;
            }
        }
        if self.kind == kind::DGRAM {
            let view = self.inbox.reader_view();
            if view.readable {
                ready |= READ;
            }
            if view.reset {
                ready |= Poll::ERR;
            }
            let target = self.target.lock().as_ref().and_then(Weak::upgrade);
            if target.is_none_or(|t| t.inbox.writer_view(&self.queue).writable) {
                ready |= WRITE;
            }
            return ready;
        }
        if let Some(link) = self.link.get() {
            let (rx, tx) = (link.rx.reader_view(), link.tx.writer_view(&self.queue));
            if rx.readable {
                ready |= READ;
            }
            if rx.ended || rx.refused {
                ready |= Poll::RDHUP | READ;
            }
            if (rx.ended || rx.refused) && (tx.refused || tx.ended) {
                ready |= Poll::HUP;
            }
            if rx.reset {
                ready |= Poll::ERR;
            }
            if rx.urgent {
                ready |= Poll::PRI;
            }
            if tx.writable && self.display.get().is_none_or(DisplayClient::has_room) {
                ready |= WRITE;
            }
            return ready;
        }
        match self.listener.lock().as_ref() {
            Some(listener) if !listener.pending.is_empty() => ready | READ,
            Some(_) => ready,
            None => ready | WRITE | Poll::HUP,
        }
    }

    fn queue(&self) -> &WaitQueue {
        &self.queue
    }

    fn close(&self) {
        self.ended.fetch_or(ended::ALL, Ordering::SeqCst);
        let name = self.name.lock().clone();
        // The server side of a connection has its listener's name without owning it.
        if let Address::Abstract(name) = &name
            && address::find(name).is_ok_and(|owner| core::ptr::eq(Arc::as_ptr(&owner), self))
        {
            address::release(name);
        }
        *self.binding.lock() = None;
        if let Some(display) = self.display.get() {
            display.close();
        }
        if let Some(link) = self.link.get() {
            let unread = link.rx.discard();
            link.tx.end(unread, if self.is_tcp { Poll::IN } else { Poll::HUP });
        }
        self.inbox.discard();
        let pending = match self.listener.lock().as_mut() {
            Some(listener) => {
                listener.closed = true;
                core::mem::take(&mut listener.pending)
            }
            None => VecDeque::new(),
        };
        for socket in &pending {
            if let Some(link) = socket.link.get() {
                link.rx.discard();
                link.tx.end(true, Poll::HUP);
            }
        }
        self.queue.wake();
        garbage::request();
    }

    fn queued(&self) -> (usize, usize) {
        match self.link.get() {
            Some(link) => (link.rx.unread_bytes(), link.tx.held_bytes()),
            None => (self.inbox.readable_bytes(), 0),
        }
    }

    fn is_listening(&self) -> bool {
        self.listener.lock().is_some()
    }

    fn is_at_mark(&self) -> bool {
        self.link.get().is_some_and(|link| link.rx.is_at_mark())
    }

    fn set_option(&self, level: i32, name: i32, _: &[u8]) -> Result<()> {
        if level != SOL_SOCKET {
            return Err(Errno::EOPNOTSUPP);
        }
        match name {
            so::PASSCRED => {
                let want = self.options.has(so::PASSCRED);
                self.inbox.want_credentials(want);
                if let Some(link) = self.link.get() {
                    link.rx.want_credentials(want);
                }
            }
            so::OOBINLINE => self.set_inline(self.options.has(so::OOBINLINE)),
            so::SNDBUF => self.limit_sending(self.options.send_buffer()),
            _ => {}
        }
        Ok(())
    }

    fn get_option(&self, level: i32, name: i32) -> Option<Result<Vec<u8>>> {
        if level != SOL_SOCKET {
            return Some(Err(Errno::EOPNOTSUPP));
        }
        match name {
            so::PEERCRED => {
                let listening = self.listener.lock().as_ref().map(|l| l.credentials);
                let who = self.link.get().map(|l| l.peer).or(listening).unwrap_or(Credentials {
                    pid: 0,
                    uid: u32::MAX,
                    gid: u32::MAX,
                });
                let mut out = Vec::with_capacity(12);
                for number in [who.pid, who.uid, who.gid] {
                    out.extend_from_slice(&number.to_ne_bytes());
                }
                Some(Ok(out))
            }
            so::ERROR if self.take_reset() => {
                Some(Ok(i32::from(Errno::ECONNRESET.number()).to_ne_bytes().to_vec()))
            }
            _ => None,
        }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
