//! What a compositor said before it closed the connection.
//!
//! A compositor that refuses a request sends `wl_display.error` and closes. Whoever writes before reading that finds a
//! broken pipe, and the library does not read on after it; the event still waits in the socket.

use rustix::net::{RecvFlags, recv};
use std::os::fd::BorrowedFd;

/// The object of `wl_display`, and the number of its event `error`.
const DISPLAY: u32 = 1;
const ERROR: u32 = 0;
/// Object and size, which stand before each event.
const HEADER: usize = 8;
/// Most that is read, in bytes: more than a socket holds by default (/proc/sys/net/core/wmem_default).
const MOST: usize = 512 * 1024;

/// An error event.
#[derive(Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The error number, of the interface of the object.
    pub code: u32,
    /// The compositor's words.
    pub message: String,
}

/// Reads what is left in the socket of a connection that has ended. None: it ended without an error event.
pub fn refusal(socket: BorrowedFd<'_>) -> Option<Refusal> {
    let mut said = Vec::new();
    let mut buffer = [0; 4096];
    while said.len() < MOST {
        match recv(socket, &mut buffer, RecvFlags::DONTWAIT) {
            Ok((len @ 1.., _)) => said.extend_from_slice(buffer.get(..len)?),
            _ => break,
        }
    }
    last_error(&said)
}

/// The error event at the very end. Where the first event begins is not known: the library may have read half of it.
fn last_error(said: &[u8]) -> Option<Refusal> {
    (0..said.len()).rev().find_map(|start| error_event(said.get(start..)?))
}

/// Reads an error event that fills `bytes` (wl_display.error: object, code, message; the wire format is in chapter 4
/// of the Wayland book).
fn error_event(bytes: &[u8]) -> Option<Refusal> {
    let word = |at: usize| Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?));
    let size = usize::try_from(word(4)? >> 16).ok()?;
    if word(0)? != DISPLAY || word(4)? & 0xffff != ERROR || size != bytes.len() {
        return None;
    }
    let (code, length) = (word(HEADER + 4)?, usize::try_from(word(HEADER + 8)?).ok()?);
    let text = bytes.get(HEADER + 12..)?;
    if text.len() != length.checked_next_multiple_of(4)? {
        return None;
    }
    let (end, message) = text.get(..length)?.split_last()?;
    (*end == 0).then(|| Refusal { code, message: String::from_utf8_lossy(message).into_owned() })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use std::io::Write;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    fn event(object: u32, opcode: u32, body: &[u8]) -> Vec<u8> {
        let size = u32::try_from(HEADER + body.len()).unwrap();
        [&object.to_ne_bytes(), &(size << 16 | opcode).to_ne_bytes(), body].concat()
    }

    fn error(code: u32, message: &str) -> Vec<u8> {
        let length = message.len() + 1;
        let mut body = [7_u32, code, u32::try_from(length).unwrap()].map(u32::to_ne_bytes).concat();
        body.extend(message.bytes());
        body.resize(12 + length.next_multiple_of(4), 0);
        event(DISPLAY, ERROR, &body)
    }

    #[test]
    fn the_error_is_found_behind_half_an_event() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let half = &event(9, 3, &[1; 40])[22..];
        theirs.write_all(&[half, &event(5, 0, &[0; 4]), &error(1, "must have a role")].concat()).unwrap();
        drop(theirs);
        let expected = Refusal { code: 1, message: "must have a role".into() };
        assert_eq!(refusal(ours.as_fd()), Some(expected));
    }

    #[test]
    fn other_ends_are_no_refusal() {
        assert_eq!(last_error(&[]), None);
        assert_eq!(last_error(&event(DISPLAY, 1, &[3, 0, 0, 0])), None);
        let whole = error(3, "invalid");
        for len in 0..whole.len() {
            assert_eq!(last_error(&whole[..len]), None, "{len}");
        }
        let mut wrong = whole;
        wrong[HEADER + 8] = 0xff;
        assert_eq!(last_error(&wrong), None);
        // Open still, and silent.
        let (ours, _theirs) = UnixStream::pair().unwrap();
        assert_eq!(refusal(ours.as_fd()), None);
    }
}
