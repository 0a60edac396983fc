//! One direction of a connection inside the family: bytes (stream) or packets (datagram, seqpacket) with the files
//! and credentials that travel with them.

use super::garbage;
pub use super::parcel::{Attachment, Border, Credentials, Taken};
use super::urgent::Urgent;
use crate::fs::{OpenFile, Poll};
use crate::io::{Sink, Source};
use crate::ipc::ring::Ring;
use crate::wait::WaitQueue;
use crate::{Errno, Mutex, Result};
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};

/// Default `SO_SNDBUF` and `SO_RCVBUF` (`/proc/sys/net/core/wmem_default`).
pub const DEFAULT_BUFFER: usize = 212_992;
/// Most packets that wait in one queue (`/proc/sys/net/unix/max_dgram_qlen`).
const MAX_PACKETS: usize = 512;

/// Files that belong to the bytes `start..end` of a stream.
struct Mark {
    start: u64,
    end: u64,
    files: Vec<Arc<OpenFile>>,
}

struct Packet {
    data: Vec<u8>,
    attachment: Attachment,
}

pub(super) struct Flow {
    pub(super) ring: Ring,
    /// Bytes of the stream that were read so far.
    pub(super) position: u64,
    /// Urgent bytes, while there are any.
    pub(super) urgent: Option<Box<Urgent>>,
    marks: VecDeque<Mark>,
    /// From which byte on which credentials hold.
    senders: VecDeque<(u64, Credentials)>,
    packets: VecDeque<Packet>,
    /// Bytes in `packets`.
    held: usize,
    limit: usize,
    /// The writer will send no more.
    ended: bool,
    /// The reader will take no more.
    refused: bool,
    /// The reader's next read fails with `ECONNRESET`.
    reset: bool,
    /// The writer ended with a reset, whether the reader knows it or not.
    was_reset: bool,
    /// Writers of others' datagram queues, to be woken when there is room.
    waiting: Vec<Arc<WaitQueue>>,
}

/// A conduit as its reader sees it.
#[derive(Clone, Copy, Debug)]
pub struct ReaderView {
    /// A read would return something: data, an end or an error.
    pub readable: bool,
    /// The writer has ended.
    pub ended: bool,
    /// The reader itself takes no more.
    pub refused: bool,
    /// The next read after the data fails.
    pub reset: bool,
    /// There is an urgent byte.
    pub urgent: bool,
}

/// A conduit as its writer sees it.
#[derive(Clone, Copy, Debug)]
pub struct WriterView {
    /// There is enough room that the writer should go on, or writing fails at once.
    pub writable: bool,
    /// The writer has ended.
    pub ended: bool,
    /// The reader takes no more.
    pub refused: bool,
}

/// One direction of a connection, or the receive queue of a datagram socket.
pub struct Conduit {
    pub(super) flow: Mutex<Flow>,
    /// Queue of the receiving socket.
    reader: Arc<WaitQueue>,
    /// Queue of the sending socket, where there is only one.
    writer: Option<Arc<WaitQueue>>,
    /// The receiver wants to know who sends (`SO_PASSCRED`, or not known yet).
    wants_credentials: AtomicBool,
    /// Whether it belongs to a TCP connection.
    pub(super) is_tcp: bool,
    /// The receiver gets urgent bytes as any other (`SO_OOBINLINE`).
    pub(super) is_inline: AtomicBool,
}

impl Conduit {
    /// A conduit from the socket with queue `writer` to the one with queue `reader`.
    #[must_use]
    pub fn new(reader: &Arc<WaitQueue>, writer: Option<&Arc<WaitQueue>>) -> Arc<Self> {
        Self::of_kind(reader, writer, false)
    }

    /// [`Conduit::new`], of a TCP connection if `is_tcp`.
    #[must_use]
    pub fn of_kind(reader: &Arc<WaitQueue>, writer: Option<&Arc<WaitQueue>>, is_tcp: bool) -> Arc<Self> {
        let flow = Flow {
            ring: Ring::new(),
            position: 0,
            urgent: None,
            marks: VecDeque::new(),
            senders: VecDeque::new(),
            packets: VecDeque::new(),
            held: 0,
            limit: DEFAULT_BUFFER,
            ended: false,
            refused: false,
            reset: false,
            was_reset: false,
            waiting: Vec::new(),
        };
        Arc::new(Self {
            flow: Mutex::new(flow),
            reader: reader.clone(),
            writer: writer.cloned(),
            wants_credentials: AtomicBool::new(false),
            is_tcp,
            is_inline: AtomicBool::new(false),
        })
    }

    /// Whether senders must tell who they are.
    #[inline]
    #[must_use]
    pub fn wants_credentials(&self) -> bool {
        self.wants_credentials.load(Ordering::Relaxed)
    }

    /// Sets whether senders must tell who they are.
    pub fn want_credentials(&self, want: bool) {
        self.wants_credentials.store(want, Ordering::Relaxed);
    }

    /// Sets how many bytes may wait.
    pub fn set_limit(&self, limit: usize) {
        self.flow.lock().limit = limit;
    }

    /// Wakes those who send here; `events` is what signals tell them.
    fn wake_writer(&self, waiting: Vec<Arc<WaitQueue>>, events: Poll) {
        if let Some(writer) = &self.writer {
            writer.wake_for(events);
        }
        for queue in waiting {
            queue.wake_for(events);
        }
    }

    /// Writes bytes of a stream as far as there is room; the attachment goes with the first of them. `None` = full.
    ///
    /// # Errors
    /// `EPIPE` where nobody reads; `EFAULT`; `ETOOMANYREFS` where too many files are in flight.
    pub fn write(&self, source: &mut Source<'_>, attachment: &mut Attachment) -> Option<Result<usize>> {
        if attachment.files.is_empty() {
            return self.write_bytes(source, attachment);
        }
        let launched = match garbage::launch(&attachment.files) {
            Ok(launched) => launched,
            Err(error) => return Some(Err(error)),
        };
        let result = self.write_bytes(source, attachment);
        if !attachment.files.is_empty() {
            launched.abort(&attachment.files);
        }
        result
    }

    fn write_bytes(&self, source: &mut Source<'_>, attachment: &mut Attachment) -> Option<Result<usize>> {
        let mut guard = self.flow.lock();
        let flow = &mut *guard;
        if flow.refused || flow.ended {
            return Some(Err(Errno::EPIPE));
        }
        let room = flow.limit.saturating_sub(flow.ring.len());
        if room == 0 {
            return None;
        }
        let start = flow.position + flow.ring.len() as u64;
        let count = match flow.ring.fill(source, room) {
            Ok(count) => count,
            Err(error) => return Some(Err(error)),
        };
        if !attachment.files.is_empty() && count > 0 {
            let files = core::mem::take(&mut attachment.files);
            flow.marks.push_back(Mark { start, end: start + count as u64, files });
        }
        if let Some(credentials) = attachment.credentials
            && flow.senders.back().is_none_or(|(_, last)| *last != credentials)
        {
            flow.senders.push_back((start, credentials));
        }
        let is_urgent = attachment.urgent && source.left() == 0 && count > 0;
        if is_urgent {
            flow.mark_urgent(self.rules());
        }
        drop(guard);
        self.reader.wake_for(if is_urgent { Poll::PRI | Poll::IN } else { Poll::IN });
        Some(Ok(count))
    }

    /// Reads bytes of a stream: not across a change of sender if `by_sender`, and not past bytes that came with
    /// files. `None` = nothing there yet.
    ///
    /// # Errors
    /// `ECONNRESET` once after the peer closed with unread data; `EFAULT`.
    pub fn read(
        &self,
        sink: &mut Sink<'_>,
        peek: bool,
        skip: usize,
        by_sender: bool,
    ) -> Option<Result<Taken>> {
        let mut guard = self.flow.lock();
        let flow = &mut *guard;
        let mut skip = skip;
        let (mut limit, mut border) = (u64::MAX, Border::None);
        if flow.urgent.is_some() {
            let way = flow.clear_way(skip, peek, self.rules());
            skip = usize::try_from(way.start - flow.position).unwrap_or(usize::MAX);
            limit = way.end;
            border = if way.stops { Border::Stops } else { Border::Passes };
        }
        let before = flow.ring.len();
        if before <= skip {
            return if core::mem::take(&mut flow.reset) {
                Some(Err(Errno::ECONNRESET))
            } else {
                (flow.ended || flow.refused).then(|| Ok(Taken::default()))
            };
        }
        let at = flow.position + skip as u64;
        let mut end = limit.min(flow.position + before as u64);
        let want = at.saturating_add(sink.left() as u64);
        let mark = flow.marks.iter().position(|m| m.end > at && m.start < want);
        if let Some(mark) = mark.and_then(|i| flow.marks.get(i)) {
            end = end.min(mark.end);
        }
        let mut credentials = None;
        if by_sender {
            for (from, who) in &flow.senders {
                if *from <= at {
                    credentials = Some(*who);
                } else {
                    end = end.min(*from);
                    break;
                }
            }
        }
        let max = usize::try_from(end - at).unwrap_or(usize::MAX);
        let result = flow.ring.peek(sink, skip, max);
        let count = match result {
            Ok(count) => count,
            Err(error) => return Some(Err(error)),
        };
        if border != Border::None && at + count as u64 != limit {
            border = Border::None;
        }
        let mut attachment = Attachment { credentials, ..Attachment::default() };
        if count > 0
            && let Some(mark) = mark.and_then(|i| flow.marks.get_mut(i))
        {
            attachment.files = if peek { mark.files.clone() } else { core::mem::take(&mut mark.files) };
        }
        if peek {
            return Some(Ok(Taken { count, whole: count, attachment, border }));
        }
        flow.ring.skip(count);
        flow.position += count as u64;
        if let Some(urgent) = &mut flow.urgent {
            urgent.passed(flow.position);
            if urgent.is_over() {
                flow.urgent = None;
            }
        }
        while flow.marks.front().is_some_and(|m| m.end <= flow.position || m.files.is_empty()) {
            flow.marks.pop_front();
        }
        while flow.senders.get(1).is_some_and(|(from, _)| *from <= flow.position) {
            flow.senders.pop_front();
        }
        let half = flow.limit / 2;
        let crossed = before > half && flow.ring.len() <= half;
        drop(guard);
        if crossed {
            self.wake_writer(Vec::new(), Poll::OUT);
        }
        garbage::land(&attachment.files);
        Some(Ok(Taken { count, whole: count, attachment, border }))
    }

    /// Puts a packet into the queue; `data` is taken only if it succeeds. `None` = full; then `waiter` is woken
    /// when there is room.
    ///
    /// # Errors
    /// `EPIPE` where nobody reads; `EMSGSIZE` if it can never fit; `ETOOMANYREFS` where too many files are in flight.
    pub fn put(
        &self,
        data: &mut Vec<u8>,
        attachment: &mut Attachment,
        waiter: &Arc<WaitQueue>,
    ) -> Option<Result<usize>> {
        if attachment.files.is_empty() {
            return self.put_packet(data, attachment, waiter);
        }
        let launched = match garbage::launch(&attachment.files) {
            Ok(launched) => launched,
            Err(error) => return Some(Err(error)),
        };
        let result = self.put_packet(data, attachment, waiter);
        if !attachment.files.is_empty() {
            launched.abort(&attachment.files);
        }
        result
    }

    fn put_packet(
        &self,
        data: &mut Vec<u8>,
        attachment: &mut Attachment,
        waiter: &Arc<WaitQueue>,
    ) -> Option<Result<usize>> {
        let mut flow = self.flow.lock();
        if flow.refused || flow.ended {
            return Some(Err(Errno::EPIPE));
        }
        let len = data.len();
        if len > flow.limit {
            return Some(Err(Errno::EMSGSIZE));
        }
        if flow.packets.len() >= MAX_PACKETS || flow.held + len > flow.limit {
            if self.writer.is_none() && !flow.waiting.iter().any(|q| Arc::ptr_eq(q, waiter)) {
                flow.waiting.push(waiter.clone());
            }
            return None;
        }
        flow.held += len;
        let (data, attachment) = (core::mem::take(data), core::mem::take(attachment));
        flow.packets.push_back(Packet { data, attachment });
        drop(flow);
        self.reader.wake_for(Poll::IN);
        Some(Ok(len))
    }

    /// Takes a packet; what does not fit into the sink is dropped. `None` = nothing there yet.
    ///
    /// # Errors
    /// `ECONNRESET` once after the peer closed with unread data; `EFAULT`.
    pub fn take(&self, sink: &mut Sink<'_>, peek: bool) -> Option<Result<Taken>> {
        let mut flow = self.flow.lock();
        // Before what is held: a stream tells of it after that.
        if core::mem::take(&mut flow.reset) {
            return Some(Err(Errno::ECONNRESET));
        }
        if peek && let Some(packet) = flow.packets.front() {
            let attachment = Attachment {
                files: packet.attachment.files.clone(),
                credentials: packet.attachment.credentials,
                from: packet.attachment.from.clone(),
                urgent: false,
            };
            let whole = packet.data.len();
            let taken = |count| Taken { count, whole, attachment, border: Border::None };
            return Some(sink.put(&packet.data).map(taken));
        }
        let Some(packet) = flow.packets.pop_front() else {
            return (flow.ended || flow.refused).then(|| Ok(Taken::default()));
        };
        let whole = packet.data.len();
        let full = flow.packets.len() + 1 >= MAX_PACKETS || flow.held > flow.limit / 2;
        flow.held -= whole;
        let waiting = core::mem::take(&mut flow.waiting);
        drop(flow);
        if full || !waiting.is_empty() {
            self.wake_writer(waiting, Poll::OUT);
        }
        garbage::land(&packet.attachment.files);
        let attachment = packet.attachment;
        Some(sink.put(&packet.data).map(|count| Taken { count, whole, attachment, border: Border::None }))
    }

    /// What the reader's side looks like now.
    #[must_use]
    pub fn reader_view(&self) -> ReaderView {
        let flow = self.flow.lock();
        ReaderView {
            readable: flow.has_bytes(self.rules())
                || !flow.packets.is_empty()
                || flow.ended
                || flow.refused
                || flow.reset,
            ended: flow.ended,
            refused: flow.refused,
            reset: flow.reset,
            urgent: flow.has_urgent(),
        }
    }

    /// Whether a read would return something now (data, an end or an error).
    #[must_use]
    pub fn is_readable(&self) -> bool {
        self.reader_view().readable
    }

    /// What the writer's side looks like now. Where there is no room, `waiter` is woken when there is.
    #[must_use]
    pub fn writer_view(&self, waiter: &Arc<WaitQueue>) -> WriterView {
        let mut flow = self.flow.lock();
        let used = flow.ring.len().max(flow.held);
        let writable = flow.refused || (used <= flow.limit / 2 && flow.packets.len() < MAX_PACKETS);
        if !writable && self.writer.is_none() && !flow.waiting.iter().any(|q| Arc::ptr_eq(q, waiter)) {
            flow.waiting.push(waiter.clone());
        }
        WriterView { writable, ended: flow.ended, refused: flow.refused }
    }

    /// Takes the error that the next read would report, for `SO_ERROR`.
    #[must_use]
    pub fn take_reset(&self) -> bool {
        core::mem::take(&mut self.flow.lock().reset)
    }

    /// Bytes that can be read: all of a stream, or the first packet's (`FIONREAD`).
    #[must_use]
    pub fn readable_bytes(&self) -> usize {
        let flow = self.flow.lock();
        flow.packets.front().map_or_else(|| flow.readable_bytes(self.rules()), |p| p.data.len())
    }

    /// Bytes that the reader has not got: those of all packets.
    #[must_use]
    pub fn unread_bytes(&self) -> usize {
        let flow = self.flow.lock();
        flow.readable_bytes(self.rules()) + flow.held
    }

    /// Bytes that wait to be read (`SIOCOUTQ` of the writer).
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        let flow = self.flow.lock();
        flow.ring.len() + flow.held
    }

    /// Whether the writer ended with a reset.
    #[must_use]
    pub fn was_reset(&self) -> bool {
        self.flow.lock().was_reset
    }

    /// The writer sends no more. With `reset`, the reader's next read after the data fails. Signals tell the reader
    /// `events`.
    pub fn end(&self, reset: bool, events: Poll) {
        {
            let mut flow = self.flow.lock();
            flow.ended = true;
            flow.reset |= reset;
            flow.was_reset |= reset;
        }
        self.reader.wake_for(events);
        self.wake_writer(Vec::new(), Poll::empty());
    }

    /// Wakes who waits on the receiving socket, for another reason than what is in here.
    pub fn wake_reader(&self, events: Poll) {
        self.reader.wake_for(events);
    }

    /// The reader takes no more; what is held stays readable.
    pub fn refuse(&self) {
        let waiting = {
            let mut flow = self.flow.lock();
            flow.refused = true;
            core::mem::take(&mut flow.waiting)
        };
        self.reader.wake();
        self.wake_writer(waiting, Poll::empty());
    }

    /// The reader is gone: drops everything. Returns whether there were bytes.
    pub fn discard(&self) -> bool {
        let unread = {
            let flow = self.flow.lock();
            flow.readable_bytes(self.rules()) > 0 || flow.held > 0
        };
        self.clear(true);
        unread
    }

    /// Drops the packets that wait. Returns whether there were any.
    pub fn drop_packets(&self) -> bool {
        self.clear(false)
    }

    fn clear(&self, for_ever: bool) -> bool {
        let mut files = Vec::new();
        let (any, waiting) = {
            let mut flow = self.flow.lock();
            flow.refused |= for_ever;
            let any = !flow.ring.is_empty() || !flow.packets.is_empty();
            flow.ring = Ring::new();
            flow.urgent = None;
            flow.held = 0;
            for mut mark in core::mem::take(&mut flow.marks) {
                files.append(&mut mark.files);
            }
            for mut packet in core::mem::take(&mut flow.packets) {
                files.append(&mut packet.attachment.files);
            }
            (any, core::mem::take(&mut flow.waiting))
        };
        self.wake_writer(waiting, Poll::empty());
        garbage::land(&files);
        garbage::bury(files);
        any
    }

    /// The reader's next call fails with `ECONNRESET`.
    pub fn fail(&self) {
        self.flow.lock().reset = true;
        self.reader.wake();
    }

    /// Whether neither a packet nor an error waits.
    #[must_use]
    pub fn has_nothing(&self) -> bool {
        let flow = self.flow.lock();
        flow.packets.is_empty() && !flow.reset
    }

    /// Calls `visit` for every file held.
    pub fn for_each_file(&self, mut visit: impl FnMut(&Arc<OpenFile>)) {
        let flow = self.flow.lock();
        flow.marks.iter().flat_map(|m| &m.files).for_each(&mut visit);
        flow.packets.iter().flat_map(|p| &p.attachment.files).for_each(&mut visit);
    }
}

#[cfg(test)]
mod tests;
