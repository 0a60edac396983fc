//! `struct msghdr` and control messages: recvmsg(2), cmsg(3).

use super::{Incoming, Outgoing, Receive, Socket, credentials_of, msg};
use crate::fs::OpenFile;
use crate::io::{Sink, Source, UserRanges};
use crate::ipc::socket::options::{SOL_SOCKET, so};
use crate::ipc::unix::conduit::{Attachment, Credentials};
use crate::task::Thread;
use crate::{Errno, Result};
use alloc::sync::Arc;
use alloc::vec::Vec;
use postern_pal::user;

const SCM_RIGHTS: u32 = 1;
const SCM_CREDENTIALS: u32 = 2;
/// Bytes of `struct cmsghdr`.
const HEADER: usize = 16;
/// Most files in one message.
const MAX_FILES: usize = 253;
/// Most bytes of control messages in one send (`/proc/sys/net/core/optmem_max`).
const MAX_CONTROL: usize = 20480;

/// `struct msghdr` in the app's memory.
#[derive(Clone, Copy)]
pub struct Header {
    at: usize,
    /// Address buffer and its length.
    pub name: (usize, u32),
    iov: (usize, usize),
    control: (usize, usize),
}

impl Header {
    /// Reads the header at `at`.
    ///
    /// # Errors
    /// `EFAULT`.
    pub fn read(at: usize) -> Result<Self> {
        let [name, name_len, iov, iov_len, control, control_len, _]: [usize; 7] = user::read(at)?;
        let name_len = u32::try_from(name_len & 0xffff_ffff).unwrap_or(0);
        Ok(Self { at, name: (name, name_len), iov: (iov, iov_len), control: (control, control_len) })
    }

    fn ranges(&self) -> Result<UserRanges> {
        let (iov, count) = self.iov;
        if count > 1024 {
            return Err(Errno::EMSGSIZE);
        }
        if count == 1 {
            let [base, len]: [usize; 2] = user::read(iov)?;
            return Ok(UserRanges::one(base, len));
        }
        UserRanges::from_iovec(iov, count)
    }
}

/// Reads a `struct sockaddr` of the app.
///
/// # Errors
/// `EINVAL` for an impossible length, `EFAULT`.
pub fn read_address(at: usize, len: u32) -> Result<Vec<u8>> {
    let len = usize::try_from(len).unwrap_or(usize::MAX);
    if len > 128 {
        return Err(Errno::EINVAL);
    }
    let mut address = alloc::vec![0; len];
    user::read_bytes(at, &mut address)?;
    Ok(address)
}

/// Writes a `struct sockaddr`, cut to `room` bytes.
///
/// # Errors
/// `EFAULT`.
pub fn write_address(at: usize, room: u32, address: &[u8]) -> Result<()> {
    let room = usize::try_from(room).unwrap_or(0);
    user::write_bytes(at, address.get(..room.min(address.len())).unwrap_or(address))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk::<4>().map(|b| u32::from_ne_bytes(*b))
}

/// Takes apart the control messages of a send.
fn parse_control(thread: &Thread, bytes: &[u8]) -> Result<Attachment> {
    let mut attachment = Attachment::default();
    let mut at = 0;
    while let Some(header) = bytes.get(at..).and_then(|b| b.first_chunk::<HEADER>()) {
        let len = header.first_chunk::<8>().map_or(0, |b| usize::from_ne_bytes(*b));
        let level = word(header, 8).unwrap_or(0);
        let kind = word(header, 12).unwrap_or(0);
        if len < HEADER || len > bytes.len() - at {
            return Err(Errno::EINVAL);
        }
        let data = bytes.get(at + HEADER..at + len).unwrap_or(&[]);
        if level == SOL_SOCKET.cast_unsigned() {
            match kind {
                SCM_RIGHTS => {
                    if attachment.files.len() + data.len() / 4 > MAX_FILES {
                        return Err(Errno::EINVAL);
                    }
                    for fd in data.chunks_exact(4).filter_map(|c| word(c, 0)) {
                        attachment.files.push(thread.process.files.get(fd.cast_signed())?);
                    }
                }
                SCM_CREDENTIALS => {
                    let [Some(pid), Some(uid), Some(gid)] = [word(data, 0), word(data, 4), word(data, 8)]
                    else {
                        return Err(Errno::EINVAL);
                    };
                    check_credentials(thread, Credentials { pid, uid, gid })?;
                    attachment.credentials = Some(Credentials { pid, uid, gid });
                }
                _ => return Err(Errno::EINVAL),
            }
        }
        at += len.next_multiple_of(8);
    }
    Ok(attachment)
}

/// A process may only claim to be itself, by any of its ids.
fn check_credentials(thread: &Thread, claimed: Credentials) -> Result<()> {
    let identity = thread.process.identity.lock();
    let own_uid = [identity.uid, identity.euid, identity.suid].contains(&claimed.uid);
    let own_gid = [identity.gid, identity.egid, identity.sgid].contains(&claimed.gid);
    let privileged = identity.euid == 0;
    if privileged || (claimed.pid == thread.process.pid && own_uid && own_gid) {
        Ok(())
    } else {
        Err(Errno::EPERM)
    }
}

/// sendmsg of one message.
///
/// # Errors
/// As sendmsg(2).
pub fn send(thread: &Thread, file: &OpenFile, header: &Header, flags: u32) -> Result<usize> {
    let socket = Socket::of(file)?;
    let (name, name_len) = header.name;
    let to = if name == 0 || name_len == 0 { None } else { Some(read_address(name, name_len)?) };
    let (control, control_len) = header.control;
    socket.ops.may_send()?;
    let attachment = if control == 0 || control_len == 0 {
        Attachment::default()
    } else if control_len > MAX_CONTROL {
        return Err(Errno::ENOBUFS);
    } else {
        let mut bytes = alloc::vec![0; control_len];
        user::read_bytes(control, &mut bytes)?;
        parse_control(thread, &bytes)?
    };
    let nonblocking = file.is_nonblocking() || flags & msg::DONTWAIT != 0;
    let mut out = Outgoing { to: to.as_deref(), attachment, nonblocking, flags };
    socket.send(thread, &mut Source::User(header.ranges()?), &mut out)
}

/// Control messages being written into the app's buffer.
struct ControlWriter {
    at: usize,
    room: usize,
    written: usize,
    truncated: bool,
}

impl ControlWriter {
    fn put(&mut self, kind: u32, data: &[u8]) -> Result<()> {
        let len = HEADER + data.len();
        let left = self.room - self.written;
        if left < HEADER {
            self.truncated = true;
            return Ok(());
        }
        let take = len.min(left);
        self.truncated |= take < len;
        let mut bytes = Vec::with_capacity(len);
        bytes.extend_from_slice(&take.to_ne_bytes());
        bytes.extend_from_slice(&SOL_SOCKET.to_ne_bytes());
        bytes.extend_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(data);
        user::write_bytes(self.at + self.written, bytes.get(..take).unwrap_or(&[]))?;
        self.written += take.next_multiple_of(8).min(left);
        Ok(())
    }

    /// Gives the files descriptors and tells them, as many as fit.
    fn put_files(&mut self, thread: &Thread, files: Vec<Arc<OpenFile>>, close_on_exec: bool) -> Result<()> {
        let room = (self.room - self.written).saturating_sub(HEADER) / 4;
        let mut fds = Vec::new();
        let total = files.len();
        for file in files.into_iter().take(room) {
            match thread.process.add_file(file, close_on_exec) {
                Ok(fd) => fds.extend_from_slice(&fd.to_ne_bytes()),
                Err(_) => break,
            }
        }
        self.truncated |= fds.len() / 4 < total;
        if fds.is_empty() {
            return Ok(());
        }
        let truncated = self.truncated;
        self.put(SCM_RIGHTS, &fds)?;
        self.truncated = truncated;
        Ok(())
    }
}

/// The `struct sockaddr` of the socket that sent the `count` bytes of a receive; empty if it has none. Who sends to a
/// UNIX stream is its peer.
pub fn sender(socket: &Socket, attachment: &Attachment, count: usize) -> Vec<u8> {
    const UNIX_STREAM: (u16, u32) = (1, 1);
    const NO_NAME: usize = 2;
    let (family, kind, _) = socket.ops.identity();
    if (family, kind) == UNIX_STREAM && count > 0 {
        let name = socket.ops.peer().unwrap_or_default();
        return if name.len() > NO_NAME { name } else { Vec::new() };
    }
    attachment.sender()
}

/// recvmsg of one message. Returns the value of the call.
///
/// # Errors
/// As recvmsg(2).
pub fn receive(thread: &Thread, file: &OpenFile, header: &Header, flags: u32) -> Result<usize> {
    let socket = Socket::of(file)?;
    let how = Receive { nonblocking: file.is_nonblocking() || flags & msg::DONTWAIT != 0, flags };
    let mut sink = Sink::User(header.ranges()?);
    let Incoming { count, whole, attachment, flags: found } = socket.ops.receive(thread, &mut sink, how)?;
    let (name, name_len) = header.name;
    if name != 0 {
        let from = sender(socket, &attachment, count);
        write_address(name, name_len, &from)?;
        user::write(header.at + 8, &u32::try_from(from.len()).unwrap_or(0))?;
    }
    let (control, room) = header.control;
    let room = if control == 0 { 0 } else { room };
    let mut writer = ControlWriter { at: control, room, written: 0, truncated: false };
    if socket.ops.options().has(so::PASSCRED) {
        let who = attachment.credentials.unwrap_or(Credentials::NOBODY);
        let mut data = Vec::with_capacity(12);
        for number in [who.pid, who.uid, who.gid] {
            data.extend_from_slice(&number.to_ne_bytes());
        }
        writer.put(SCM_CREDENTIALS, &data)?;
    }
    if !attachment.files.is_empty() {
        writer.put_files(thread, attachment.files, flags & msg::CMSG_CLOEXEC != 0)?;
    }
    let truncated = if writer.truncated { msg::CTRUNC } else { 0 };
    user::write(header.at + 40, &writer.written)?;
    user::write(header.at + 48, &(found | truncated | (flags & msg::CMSG_CLOEXEC)))?;
    Ok(if flags & msg::TRUNC != 0 { whole } else { count })
}

/// The credentials that go with a message: what the app claims, or who it is if the receiver wants to know.
#[must_use]
pub fn sender_credentials(
    thread: &Thread,
    claimed: Option<Credentials>,
    wanted: bool,
) -> Option<Credentials> {
    if !wanted {
        return None;
    }
    claimed.or_else(|| Some(credentials_of(thread, false)))
}
