//! The socket system calls.

use super::message::{self, Header, read_address, write_address};
use super::{Outgoing, Receive, Socket, SocketOps, family, kind, msg};
use crate::call::{Call, done};
use crate::fs::OpenFile;
use crate::fs::file::flags;
use crate::io::{Sink, Source, UserRanges};
use crate::ipc::unix::UnixSocket;
use crate::ipc::{deadline, inet};
use crate::{Errno, Result};
use alloc::sync::Arc;
use postern_pal::{clock, user};

const SOCK_FLAGS: u32 = flags::O_NONBLOCK | flags::O_CLOEXEC;
/// Most messages of one sendmmsg or recvmmsg.
const MAX_MESSAGES: u32 = 1024;
/// Bytes of `struct mmsghdr`.
const MESSAGE_SIZE: usize = 64;

fn split_type(call: &Call<'_>) -> Result<(u16, u32, u32, u32)> {
    let domain = u16::try_from(call.uint(0)).map_err(|_| Errno::EAFNOSUPPORT)?;
    let kind = call.uint(1);
    let status = kind & SOCK_FLAGS;
    let kind = kind & !SOCK_FLAGS;
    if kind > 0xf {
        return Err(Errno::EINVAL);
    }
    Ok((domain, kind, status, call.uint(2)))
}

fn install(call: &Call<'_>, file: Arc<OpenFile>, status: u32) -> Result<i32> {
    call.process().add_file(file, status & flags::O_CLOEXEC != 0)
}

/// socket(2).
///
/// # Errors
/// `EAFNOSUPPORT`, `EINVAL`, `EPROTONOSUPPORT`, `ESOCKTNOSUPPORT`, `EMFILE`.
pub fn socket(call: &mut Call<'_>) -> Result<u64> {
    let (domain, kind, status, protocol) = split_type(call)?;
    let ops: Arc<dyn SocketOps> = match domain {
        family::UNIX => UnixSocket::create(kind, protocol)?,
        family::INET | family::INET6 | family::NETLINK => inet::create(domain, kind, protocol)?,
        _ => return Err(Errno::EAFNOSUPPORT),
    };
    let fd = install(call, Socket::open(call.thread, ops, status), status)?;
    Ok(u64::try_from(fd).unwrap_or(0))
}

/// socketpair(2).
///
/// # Errors
/// As socket(2), and `EOPNOTSUPP` for other than `AF_UNIX`.
pub fn socketpair(call: &mut Call<'_>) -> Result<u64> {
    let (domain, kind, status, protocol) = split_type(call)?;
    if domain != family::UNIX {
        return Err(if matches!(domain, family::INET | family::INET6) {
            Errno::EOPNOTSUPP
        } else {
            Errno::EAFNOSUPPORT
        });
    }
    let (first, second) = UnixSocket::pair(call.thread, kind, protocol)?;
    let files = &call.process().files;
    let first = install(call, Socket::open(call.thread, first, status), status)?;
    let second = install(call, Socket::open(call.thread, second, status), status)
        .inspect_err(|_| drop(files.remove(first)))?;
    user::write(call.word(3), &[first, second]).inspect_err(|_| {
        drop(files.remove(first));
        drop(files.remove(second));
    })?;
    Ok(0)
}

/// bind(2).
///
/// # Errors
/// As the manual page.
pub fn bind(call: &mut Call<'_>) -> Result<u64> {
    let file = call.file(0)?;
    let socket = Socket::of(&file)?;
    let address = read_address(call.word(1), call.uint(2))?;
    socket.ops.bind(call.thread, &address)?;
    Ok(0)
}

/// connect(2).
///
/// # Errors
/// As the manual page.
pub fn connect(call: &mut Call<'_>) -> Result<u64> {
    let file = call.file(0)?;
    let socket = Socket::of(&file)?;
    let address = read_address(call.word(1), call.uint(2))?;
    socket.ops.connect(call.thread, file.is_nonblocking(), &address)?;
    Ok(0)
}

/// listen(2).
///
/// # Errors
/// As the manual page.
pub fn listen(call: &mut Call<'_>) -> Result<u64> {
    let file = call.file(0)?;
    Socket::of(&file)?.ops.listen(call.thread, call.int(1))?;
    Ok(0)
}

/// Writes an address result: buffer, and pointer to its length.
fn give_address(address: &[u8], at: usize, len_at: usize) -> Result<()> {
    let room = user::load_u32(len_at)?;
    if room.cast_signed() < 0 {
        return Err(Errno::EINVAL);
    }
    write_address(at, room, address)?;
    user::write(len_at, &u32::try_from(address.len()).unwrap_or(0))
}

fn accept_with(call: &Call<'_>, status: u32) -> Result<u64> {
    if status & !SOCK_FLAGS != 0 {
        return Err(Errno::EINVAL);
    }
    let file = call.file(0)?;
    let socket = Socket::of(&file)?;
    let new = socket.ops.accept(call.thread, file.is_nonblocking())?;
    let peer = new.peer();
    let opened = Socket::open(call.thread, new, status);
    if call.word(1) != 0 {
        // A peer that is gone already has no address any more.
        give_address(&peer.unwrap_or_default(), call.word(1), call.word(2))?;
    }
    let fd = install(call, opened, status)?;
    Ok(u64::try_from(fd).unwrap_or(0))
}

/// accept(2).
///
/// # Errors
/// As the manual page.
pub fn accept(call: &mut Call<'_>) -> Result<u64> {
    accept_with(call, 0)
}

/// accept4(2).
///
/// # Errors
/// As the manual page.
pub fn accept4(call: &mut Call<'_>) -> Result<u64> {
    accept_with(call, call.uint(3))
}

/// getsockname(2).
///
/// # Errors
/// As the manual page.
pub fn getsockname(call: &mut Call<'_>) -> Result<u64> {
    let file = call.file(0)?;
    let name = Socket::of(&file)?.ops.name()?;
    give_address(&name, call.word(1), call.word(2))?;
    Ok(0)
}

/// getpeername(2).
///
/// # Errors
/// As the manual page.
pub fn getpeername(call: &mut Call<'_>) -> Result<u64> {
    let file = call.file(0)?;
    let name = Socket::of(&file)?.ops.peer()?;
    give_address(&name, call.word(1), call.word(2))?;
    Ok(0)
}

/// shutdown(2).
///
/// # Errors
/// `EINVAL`, `ENOTCONN`.
pub fn shutdown(call: &mut Call<'_>) -> Result<u64> {
    let file = call.file(0)?;
    let socket = Socket::of(&file)?;
    let (read, write) = match call.int(1) {
        0 => (true, false),
        1 => (false, true),
        2 => (true, true),
        _ => return Err(Errno::EINVAL),
    };
    socket.ops.shutdown(read, write)?;
    Ok(0)
}

/// setsockopt(2).
///
/// # Errors
/// `ENOPROTOOPT`, `EINVAL`, `EFAULT`.
pub fn setsockopt(call: &mut Call<'_>) -> Result<u64> {
    let file = call.file(0)?;
    let socket = Socket::of(&file)?;
    let len = usize::try_from(call.int(4)).map_err(|_| Errno::EINVAL)?;
    let mut value = alloc::vec![0; len.min(4096)];
    user::read_bytes(call.word(3), &mut value)?;
    socket.set_option(call.int(1), call.int(2), &value)?;
    Ok(0)
}

/// getsockopt(2).
///
/// # Errors
/// `ENOPROTOOPT`, `EINVAL`, `EFAULT`.
pub fn getsockopt(call: &mut Call<'_>) -> Result<u64> {
    let file = call.file(0)?;
    let socket = Socket::of(&file)?;
    let room = usize::try_from(user::load_u32(call.word(4))?.cast_signed()).map_err(|_| Errno::EINVAL)?;
    let value = socket.get_option(call.int(1), call.int(2))?;
    let value = value.get(..room.min(value.len())).unwrap_or(&[]);
    user::write_bytes(call.word(3), value)?;
    user::write(call.word(4), &u32::try_from(value.len()).unwrap_or(0))?;
    Ok(0)
}

/// sendto(2).
///
/// # Errors
/// As the manual page.
pub fn sendto(call: &mut Call<'_>) -> Result<u64> {
    let file = call.file(0)?;
    let socket = Socket::of(&file)?;
    let flags = call.uint(3);
    let to = if call.word(4) == 0 { None } else { Some(read_address(call.word(4), call.uint(5))?) };
    let nonblocking = file.is_nonblocking() || flags & msg::DONTWAIT != 0;
    let mut out = Outgoing { to: to.as_deref(), nonblocking, flags, ..Outgoing::default() };
    let mut source = Source::User(UserRanges::one(call.word(1), call.word(2)));
    done(socket.send(call.thread, &mut source, &mut out)?)
}

/// recvfrom(2).
///
/// # Errors
/// As the manual page.
pub fn recvfrom(call: &mut Call<'_>) -> Result<u64> {
    let file = call.file(0)?;
    let socket = Socket::of(&file)?;
    let flags = call.uint(3);
    let how = Receive { nonblocking: file.is_nonblocking() || flags & msg::DONTWAIT != 0, flags };
    let mut sink = Sink::User(UserRanges::one(call.word(1), call.word(2)));
    let got = socket.ops.receive(call.thread, &mut sink, how)?;
    if call.word(4) != 0 {
        let from = message::sender(socket, &got.attachment, got.count);
        give_address(&from, call.word(4), call.word(5))?;
    }
    done(if flags & msg::TRUNC != 0 { got.whole } else { got.count })
}

/// sendmsg(2).
///
/// # Errors
/// As the manual page.
pub fn sendmsg(call: &mut Call<'_>) -> Result<u64> {
    let file = call.file(0)?;
    done(message::send(call.thread, &file, &Header::read(call.word(1))?, call.uint(2))?)
}

/// recvmsg(2).
///
/// # Errors
/// As the manual page.
pub fn recvmsg(call: &mut Call<'_>) -> Result<u64> {
    let file = call.file(0)?;
    done(message::receive(call.thread, &file, &Header::read(call.word(1))?, call.uint(2))?)
}

/// Runs `one` on each `struct mmsghdr`; an error after the first message ends the call with the count so far.
fn each_message(
    call: &Call<'_>,
    mut one: impl FnMut(&OpenFile, &Header, u64) -> Result<Option<usize>>,
) -> Result<u64> {
    let file = call.file(0)?;
    let mut count = 0;
    while count < u64::from(call.uint(2).min(MAX_MESSAGES)) {
        let at = call.word(1).wrapping_add(usize::try_from(count).unwrap_or(0) * MESSAGE_SIZE);
        let result = Header::read(at).and_then(|header| one(&file, &header, count));
        let len = match result {
            Ok(Some(len)) => len,
            Ok(None) => break,
            Err(error) if count == 0 => return Err(error),
            Err(_) => break,
        };
        user::write(at + 56, &u32::try_from(len).unwrap_or(u32::MAX))?;
        count += 1;
    }
    Ok(count)
}

/// sendmmsg(2).
///
/// # Errors
/// As the manual page.
pub fn sendmmsg(call: &mut Call<'_>) -> Result<u64> {
    let flags = call.uint(3);
    each_message(call, |file, header, _| message::send(call.thread, file, header, flags).map(Some))
}

/// recvmmsg(2).
///
/// # Errors
/// As the manual page.
pub fn recvmmsg(call: &mut Call<'_>) -> Result<u64> {
    let flags = call.uint(3);
    let deadline = deadline::from_timespec(call.word(4))?;
    each_message(call, |file, header, count| {
        // The timeout is looked at after each message only, as Linux does.
        if count > 0 && deadline.is_some_and(|d| clock::now() >= d) {
            return Ok(None);
        }
        let wait = flags & msg::WAITFORONE == 0 || count == 0;
        let flags = (flags & !msg::WAITFORONE) | if wait { 0 } else { msg::DONTWAIT };
        message::receive(call.thread, file, header, flags).map(Some)
    })
}

/// Whether `kind` is a type that `AF_UNIX` has.
#[must_use]
pub fn is_unix_kind(kind: u32) -> bool {
    matches!(kind, kind::STREAM | kind::DGRAM | kind::SEQPACKET)
}
