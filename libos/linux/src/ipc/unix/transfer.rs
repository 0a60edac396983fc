//! Sending and receiving on `AF_UNIX` sockets.

use super::conduit::{Border, Conduit, Taken};
use super::{Address, UnixSocket, ended, timed_out};
use crate::io::{Sink, Source};
use crate::ipc::socket::message::sender_credentials;
use crate::ipc::socket::options::so;
use crate::ipc::socket::{Incoming, Outgoing, Receive, kind, msg};
use crate::ipc::wayland::DisplayClient;
use crate::task::Thread;
use crate::wait;
use crate::{Errno, Result};
use alloc::sync::{Arc, Weak};
use core::sync::atomic::Ordering;

/// Most bytes of requests that the display server gets at a time.
const DISPLAY_CHUNK: usize = 64 << 10;

impl UnixSocket {
    pub(super) fn send_stream(
        &self,
        thread: &Thread,
        source: &mut Source<'_>,
        out: &mut Outgoing<'_>,
    ) -> Result<usize> {
        let is_urgent = out.flags & msg::OOB != 0;
        if is_urgent && (source.left() == 0 || self.display.get().is_some()) {
            return Err(Errno::EOPNOTSUPP);
        }
        let link = self.link()?;
        if out.to.is_some() {
            return Err(Errno::EISCONN);
        }
        let attachment = &mut out.attachment;
        attachment.urgent = is_urgent;
        let wanted = link.tx.wants_credentials() || attachment.credentials.is_some();
        attachment.credentials = sender_credentials(thread, attachment.credentials, wanted);
        let total = source.left();
        if total == 0 {
            let view = link.tx.writer_view(&self.queue);
            // A peer that shut down its side shut down this one with it; a closed one as well.
            return if view.ended || view.refused { Err(Errno::EPIPE) } else { Ok(0) };
        }
        if let Some(display) = self.display.get() {
            return self.send_display(display, thread, source, out);
        }
        let mut done = 0;
        let mut step = || loop {
            match link.tx.write(source, attachment)? {
                Ok(count) => {
                    done += count;
                    if source.left() == 0 || count == 0 {
                        return Some(Ok(()));
                    }
                }
                Err(error) => return Some(Err(error)),
            }
        };
        let result = match step() {
            Some(result) => result,
            None if out.nonblocking => Err(Errno::EAGAIN),
            None => {
                wait::block(thread, &[&self.queue], self.options.send_deadline(), step).map_err(timed_out)
            }
        };
        match result {
            Err(error) if done == 0 => Err(error),
            _ => Ok(done),
        }
    }

    /// To the display server: the requests run here and now, unless the bridge is behind with taking what they cause.
    fn send_display(
        &self,
        display: &DisplayClient,
        thread: &Thread,
        source: &mut Source<'_>,
        out: &mut Outgoing<'_>,
    ) -> Result<usize> {
        let mut done = 0;
        while source.left() > 0 {
            let bytes = source.take_vec(DISPLAY_CHUNK)?;
            if bytes.is_empty() {
                break;
            }
            let mut step = || display.send(thread, &bytes, &mut out.attachment.files);
            let result = match step() {
                Some(result) => result,
                None if out.nonblocking => Err(Errno::EAGAIN),
                None => {
                    wait::block(thread, &[&self.queue], self.options.send_deadline(), step).map_err(timed_out)
                }
            };
            match result {
                Err(_) if done > 0 => break,
                Err(error) => return Err(error),
                Ok(()) => done += bytes.len(),
            }
        }
        Ok(done)
    }

    pub(super) fn send_packet(
        &self,
        thread: &Thread,
        source: &mut Source<'_>,
        out: &mut Outgoing<'_>,
    ) -> Result<usize> {
        if out.flags & msg::OOB != 0 {
            return Err(Errno::EOPNOTSUPP);
        }
        if self.take_reset() {
            return Err(Errno::ECONNRESET);
        }
        let link = self.link()?;
        self.name_sender(out);
        self.put(thread, source, out, &link.tx)
    }

    /// Has the receiver learn the name of this socket.
    fn name_sender(&self, out: &mut Outgoing<'_>) {
        out.attachment.from = Some(self.name.clone());
    }

    /// Puts one packet into a queue, waiting for room.
    fn put(
        &self,
        thread: &Thread,
        source: &mut Source<'_>,
        out: &mut Outgoing<'_>,
        to: &Conduit,
    ) -> Result<usize> {
        const OVERHEAD: usize = 32;
        let total = source.left();
        if total.saturating_add(OVERHEAD) > self.options.send_buffer() {
            return Err(Errno::EMSGSIZE);
        }
        let mut data = source.take_vec(total)?;
        if data.len() < total {
            return Err(Errno::EFAULT);
        }
        let attachment = &mut out.attachment;
        let wanted = to.wants_credentials() || attachment.credentials.is_some();
        attachment.credentials = sender_credentials(thread, attachment.credentials, wanted);
        let mut step = || to.put(&mut data, attachment, &self.queue);
        match step() {
            Some(result) => result,
            None if out.nonblocking => Err(Errno::EAGAIN),
            None => {
                wait::block(thread, &[&self.queue], self.options.send_deadline(), step).map_err(timed_out)
            }
        }
    }

    pub(super) fn send_datagram(
        &self,
        thread: &Thread,
        source: &mut Source<'_>,
        out: &mut Outgoing<'_>,
    ) -> Result<usize> {
        if out.flags & msg::OOB != 0 {
            return Err(Errno::EOPNOTSUPP);
        }
        let named = out.to.map(Address::parse).transpose()?;
        if self.take_reset() {
            return Err(Errno::ECONNRESET);
        }
        if self.ended.load(Ordering::SeqCst) & ended::SEND != 0 {
            return Err(Errno::EPIPE);
        }
        if named.is_none() && self.target.lock().is_none() {
            return Err(Errno::ENOTCONN);
        }
        let target = match named {
            Some(address) => Self::find(thread, &address)?,
            None => self.living_target()?,
        };
        if target.kind != kind::DGRAM {
            return Err(Errno::EPROTOTYPE);
        }
        // A connected socket takes datagrams from its peer only.
        let theirs = target.target.lock().as_ref().map(Weak::as_ptr);
        if theirs.is_some_and(|peer| !core::ptr::eq(peer, self)) {
            return Err(Errno::EPERM);
        }
        self.name_sender(out);
        match self.put(thread, source, out, &target.inbox) {
            // The queue of a closed socket refuses; a living one was shut down.
            Err(Errno::EPIPE) if target.ended.load(Ordering::SeqCst) & ended::ALL != 0 => {
                Err(Errno::ECONNREFUSED)
            }
            other => other,
        }
    }

    /// The socket that datagrams go to. One that was closed is forgotten with an error.
    fn living_target(&self) -> Result<Arc<Self>> {
        let mut target = self.target.lock();
        let living = target.as_ref().and_then(Weak::upgrade);
        match living.filter(|socket| socket.ended.load(Ordering::SeqCst) & ended::ALL == 0) {
            Some(socket) => Ok(socket),
            None => {
                *target = None;
                drop(target);
                self.disconnected(None);
                Err(Errno::ECONNREFUSED)
            }
        }
    }

    pub(super) fn receive_stream(
        &self,
        thread: &Thread,
        sink: &mut Sink<'_>,
        how: Receive,
    ) -> Result<Incoming> {
        if how.flags & msg::OOB != 0 {
            return self.receive_urgent(sink, how.flags & msg::PEEK != 0);
        }
        if how.flags & msg::ERRQUEUE != 0 {
            return Err(Errno::EAGAIN);
        }
        let Some(link) = self.link.get() else {
            return Err(if self.kind == kind::STREAM { Errno::EINVAL } else { Errno::ENOTCONN });
        };
        if sink.left() == 0 {
            return Ok(Incoming::default());
        }
        let peek = how.flags & msg::PEEK != 0;
        let by_sender = self.options.has(so::PASSCRED);
        let mut got = Incoming::default();
        let mut ended = false;
        let whole = how.flags & msg::WAITALL != 0 && !how.nonblocking;
        let mut step = || loop {
            let skip = if peek { got.count } else { 0 };
            match link.rx.read(sink, peek, skip, by_sender)? {
                Ok(Taken { count: 0, .. }) => {
                    ended = true;
                    return Some(Ok(()));
                }
                Ok(taken) => {
                    let files = !taken.attachment.files.is_empty();
                    got.count += taken.count;
                    got.attachment.files.extend(taken.attachment.files);
                    got.attachment.credentials = got.attachment.credentials.or(taken.attachment.credentials);
                    // With WAITALL go on until the buffer is full, but never past a message with files.
                    if taken.border == Border::Passes && sink.left() > 0 {
                        continue;
                    }
                    if !whole || files || by_sender || sink.left() == 0 || taken.border == Border::Stops {
                        return Some(Ok(()));
                    }
                }
                Err(error) => return Some(Err(error)),
            }
        };
        let result = match step() {
            Some(result) => result,
            None if how.nonblocking => Err(Errno::EAGAIN),
            None => {
                wait::block(thread, &[&self.queue], self.options.receive_deadline(), step).map_err(timed_out)
            }
        };
        got.whole = got.count;
        match result {
            Err(error) if got.count == 0 => Err(error),
            _ => Ok(got),
        }
    }

    fn receive_urgent(&self, sink: &mut Sink<'_>, peek: bool) -> Result<Incoming> {
        let byte = self.link.get().ok_or(Errno::EINVAL)?.rx.receive_urgent(peek)?;
        let cut = if sink.left() == 0 { msg::TRUNC } else { 0 };
        let count = sink.put(&[byte])?;
        Ok(Incoming { count, whole: count, flags: msg::OOB | cut, ..Incoming::default() })
    }

    pub(super) fn receive_packet(
        &self,
        thread: &Thread,
        sink: &mut Sink<'_>,
        how: Receive,
    ) -> Result<Incoming> {
        if how.flags & msg::OOB != 0 {
            return Err(Errno::EOPNOTSUPP);
        }
        if how.flags & msg::ERRQUEUE != 0 {
            return Err(Errno::EAGAIN);
        }
        let from = if self.kind == kind::SEQPACKET { &self.link()?.rx } else { &self.inbox };
        let peek = how.flags & msg::PEEK != 0;
        let mut step = || {
            // Only those who wait learn from a datagram socket that it was shut down.
            let nothing = how.nonblocking && self.kind == kind::DGRAM && from.has_nothing();
            if nothing { None } else { from.take(sink, peek) }
        };
        let taken = match step() {
            Some(result) => result?,
            None if how.nonblocking => return Err(Errno::EAGAIN),
            None => {
                let deadline = self.options.receive_deadline();
                wait::block(thread, &[&self.queue], deadline, step).map_err(timed_out)?
            }
        };
        let flags = if taken.whole > taken.count { msg::TRUNC } else { 0 };
        Ok(Incoming { count: taken.count, whole: taken.whole, attachment: taken.attachment, flags })
    }
}
