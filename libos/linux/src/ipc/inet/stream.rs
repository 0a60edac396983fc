//! Streams of the host's network, as the monitor opens them: `tcp:` and `udp:`.

use super::address::Endpoint;
use crate::io::{Sink, Source};
use crate::ipc::host_stream::Watched;
use crate::ipc::poller;
use crate::task::Thread;
use crate::wait::WaitQueue;
use crate::{Errno, Result};
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};
use postern_abi::calls::{Downcall, control, net};
use postern_pal::gate::{self, Answer};

static NEXT: AtomicU64 = AtomicU64::new(1);

/// A stream, known to the monitor by its number.
pub struct Stream {
    id: u64,
    /// The host's socket.
    pub watched: Watched,
}

impl Stream {
    /// Connects to `peer`. A TCP stream may still be connecting.
    ///
    /// # Errors
    /// As connect(2); `ENETUNREACH` without permission.
    pub fn connect(protocol: u64, peer: &Endpoint, queue: &Arc<WaitQueue>) -> Result<Self> {
        Self::open(protocol | net::CONNECT, peer, 0, queue).map(|(stream, _)| stream)
    }

    /// Listens on `local` of the host; the result can only be polled and accepted from. That a loopback address is
    /// refused is no news to the user: the family has its own.
    ///
    /// # Errors
    /// As bind(2) and listen(2); without permission what the monitor says.
    pub fn listen(local: &Endpoint, backlog: u64, queue: &Arc<WaitQueue>) -> Result<Self> {
        let own = if local.is_loopback() && !local.is_any() { net::OWN } else { 0 };
        Self::open(net::TCP | net::LISTEN | own, local, backlog, queue).map(|(stream, _)| stream)
    }

    /// Takes a connection from a listening stream: the stream and the peer.
    ///
    /// # Errors
    /// `EAGAIN` if there is none.
    pub fn accept(&self, queue: &Arc<WaitQueue>) -> Result<(Self, Endpoint)> {
        let nobody = Endpoint { address: [0; 16], port: 0 };
        let (stream, answer) = Self::open(net::TCP | net::ACCEPT, &nobody, self.id, queue)?;
        let [port, ..] = answer.values;
        let port = u16::try_from(port).unwrap_or(0);
        let peer = Endpoint::from_wire(&answer.payload, port).unwrap_or(nobody);
        Ok((stream, peer))
    }

    fn open(kind: u64, address: &Endpoint, extra: u64, queue: &Arc<WaitQueue>) -> Result<(Self, Answer)> {
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let args = [kind, u64::from(address.port), id, extra, 0, 0];
        let mut answer = gate::call(Downcall::NetworkOpen, args, &[&address.wire()])?;
        let handle = answer.handle.take().ok_or(Errno::EIO)?;
        Ok((Self { id, watched: Watched::new(Arc::new(handle), queue.clone()) }, answer))
    }

    fn control(&self, operation: u64, value: u64) -> Result<Answer> {
        gate::call(Downcall::StreamControl, [self.id, operation, value, 0, 0, 0], &[])
    }

    /// Takes the pending error.
    ///
    /// # Errors
    /// The pending error itself.
    pub fn check(&self) -> Result<()> {
        let [number, ..] = self.control(control::ERROR, 0)?.values;
        match u32::try_from(number) {
            Ok(0) => Ok(()),
            Ok(number) => Err(Errno::from_number(number)),
            Err(_) => Err(Errno::EIO),
        }
    }

    /// Local address.
    ///
    /// # Errors
    /// The monitor's.
    pub fn local(&self) -> Result<Endpoint> {
        let answer = self.control(control::LOCAL, 0)?;
        let [port, ..] = answer.values;
        Endpoint::from_wire(&answer.payload, u16::try_from(port).unwrap_or(0)).ok_or(Errno::EIO)
    }

    /// Shuts down reading, writing or both.
    ///
    /// # Errors
    /// The monitor's.
    pub fn shutdown(&self, read: bool, write: bool) -> Result<()> {
        let how = match (read, write) {
            (true, true) => 2,
            (false, true) => 1,
            _ => 0,
        };
        self.control(control::SHUTDOWN, how).map(|_| ())
    }

    /// TCP_NODELAY.
    pub fn set_no_delay(&self, on: bool) {
        // Only a matter of speed.
        let _ = self.control(control::NO_DELAY, u64::from(on));
    }

    /// Reads, waiting unless `nonblocking`.
    ///
    /// # Errors
    /// As recv(2).
    pub fn read(
        &self,
        thread: &Thread,
        sink: &mut Sink<'_>,
        nonblocking: bool,
        deadline: Option<u64>,
    ) -> Result<usize> {
        loop {
            match self.watched.read(sink) {
                Err(Errno::EAGAIN) => self.watched.wait(thread, poller::IN, nonblocking, deadline)?,
                Err(Errno::EINTR) if thread.is_interrupted() => return Err(Errno::ERESTARTSYS),
                Err(Errno::EINTR) => {}
                other => {
                    // Who read less than asked for may wait for the next edge without another look.
                    if sink.left() > 0 && nonblocking {
                        poller::wait_handle(&self.watched.handle, poller::IN, &self.watched.queue);
                    }
                    return other;
                }
            }
        }
    }

    /// Writes all, waiting unless `nonblocking`.
    ///
    /// # Errors
    /// As send(2), if nothing was written.
    pub fn write(
        &self,
        thread: &Thread,
        source: &mut Source<'_>,
        nonblocking: bool,
        deadline: Option<u64>,
    ) -> Result<usize> {
        let mut done = 0;
        while source.left() > 0 {
            let step = match self.watched.write(source) {
                Err(Errno::EAGAIN) => match self.watched.wait(thread, poller::OUT, nonblocking, deadline) {
                    Ok(()) => continue,
                    Err(error) => {
                        if nonblocking {
                            poller::wait_handle(&self.watched.handle, poller::OUT, &self.watched.queue);
                        }
                        Err(error)
                    }
                },
                Err(Errno::EINTR) if thread.is_interrupted() => Err(Errno::ERESTARTSYS),
                Err(Errno::EINTR) => continue,
                other => other,
            };
            match step {
                Ok(count) => done += count,
                Err(_) if done > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let _ = self.control(control::CLOSE, 0);
    }
}
