//! Sending and receiving on `AF_UNIX` sockets.

use super::conduit::{Conduit, Taken};
use super::{Address, UnixSocket, timed_out};
use crate::io::{Sink, Source};
use crate::ipc::socket::message::sender_credentials;
use crate::ipc::socket::options::so;
use crate::ipc::socket::{Incoming, Outgoing, Receive, kind, msg};
use crate::task::Thread;
use crate::wait;
use crate::{Errno, Result};
use alloc::sync::{Arc, Weak};

/// Most bytes of requests that the display server gets at a time.
const DISPLAY_CHUNK: usize = 64 << 10;

impl UnixSocket {
    pub(super) fn send_stream(
        &self,
        thread: &Thread,
        source: &mut Source<'_>,
        out: &mut Outgoing<'_>,
    ) -> Result<usize> {
        if out.flags & msg::OOB != 0 {
            return Err(Errno::EOPNOTSUPP);
        }
        let link = self.link()?;
        if out.to.is_some() {
            return Err(Errno::EISCONN);
        }
        let attachment = &mut out.attachment;
        let wanted = link.tx.wants_credentials() || attachment.credentials.is_some();
        attachment.credentials = sender_credentials(thread, attachment.credentials, wanted);
        let total = source.left();
        if total == 0 {
            return if link.tx.is_refused() { Err(Errno::EPIPE) } else { Ok(0) };
        }
        if let Some(display) = self.display.get() {
            let mut done = 0;
            while source.left() > 0 {
                let bytes = source.take_vec(DISPLAY_CHUNK)?;
                if bytes.is_empty() {
                    break;
                }
                display.send(&bytes, core::mem::take(&mut attachment.files))?;
                done += bytes.len();
            }
            return Ok(done);
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

    pub(super) fn send_packet(
        &self,
        thread: &Thread,
        source: &mut Source<'_>,
        out: &mut Outgoing<'_>,
    ) -> Result<usize> {
        if out.flags & msg::OOB != 0 {
            return Err(Errno::EOPNOTSUPP);
        }
        let link = self.link()?;
        self.put(thread, source, out, &link.tx)
    }

    /// Puts one packet into a queue, waiting for room.
    fn put(
        &self,
        thread: &Thread,
        source: &mut Source<'_>,
        out: &mut Outgoing<'_>,
        to: &Conduit,
    ) -> Result<usize> {
        let total = source.left();
        if total > self.options.send_buffer() {
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
        let target = match out.to {
            Some(address) => Self::find(thread, &Address::parse(address)?)?,
            None => {
                let mut target = self.target.lock();
                match target.as_ref().ok_or(Errno::ENOTCONN)?.upgrade() {
                    Some(socket) => socket,
                    None => {
                        *target = None;
                        return Err(Errno::ECONNREFUSED);
                    }
                }
            }
        };
        if target.kind != kind::DGRAM {
            return Err(Errno::EPROTOTYPE);
        }
        // A connected socket takes datagrams from its peer only.
        let theirs = target.target.lock().as_ref().map(Weak::as_ptr);
        if theirs.is_some_and(|peer| !core::ptr::eq(peer, self)) {
            return Err(Errno::EPERM);
        }
        let name = self.name.lock().clone();
        out.attachment.from = (name != Address::Unnamed).then(|| Arc::from(name.format()));
        match self.put(thread, source, out, &target.inbox) {
            // The queue of a closed socket refuses; a living one was shut down.
            Err(Errno::EPIPE) if Arc::strong_count(&target) == 1 => Err(Errno::ECONNREFUSED),
            other => other,
        }
    }

    pub(super) fn receive_stream(
        &self,
        thread: &Thread,
        sink: &mut Sink<'_>,
        how: Receive,
    ) -> Result<Incoming> {
        if how.flags & msg::OOB != 0 {
            return Err(Errno::EINVAL);
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
                    if !whole || files || by_sender || sink.left() == 0 {
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
        let mut step = || from.take(sink, peek);
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
