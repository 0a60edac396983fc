//! The remote-display channel: the small language between the display server inside a library OS and the compositor
//! bridge outside.
//!
//! One message is one datagram of a `SOCK_SEQPACKET` socket: a [`Header`], the message's fixed-size body, and for a few
//! types a payload. Pixels are never in a message: they are in memory files that come once as [`Pool`] messages and
//! are named by number from then on. All integers are little endian.
//!
//! The bridge treats every message as hostile: a wrong length, an unknown type, number or flag closes the app's
//! display with a report. The state of a window is never spread over messages: a [`Commit`] carries all of a
//! surface's state, so sending every pool, surface and text again ("replay") rebuilds all windows in a new bridge.
//!
//! **Start and replay.** The bridge sends [`Hello`] when it starts. The display server answers every `Hello` with one of
//! its own and then says everything again: pools, surfaces (parents before children), texts, the cursor. A bridge
//! drops what it gets before that answer, so a queue left over from a bridge that died does no harm. Attachments that
//! are no surface's current one count as released when a `Hello` arrives: the bridge that would have said so is gone.
//!
//! **Input serials** are the compositor's own, passed through, and come back in [`Cursor`], [`Interactive`],
//! [`Offer`] and [`Commit::serial`]. A bridge that gets one of an earlier compositor does nothing worse than
//! ask for something that is then refused.
//!
//! **Selections.** Clipboard, primary selection and drag work alike. Who owns something sends [`Offer`]; the other side
//! asks with [`Request`] under a number of its own choice, and is answered with [`Data`] pieces under that number
//! until one is the last or says that it failed. Who asked answers each piece but the last with [`DataState::TAKEN`]
//! when its reader has it, and no more than [`limit::WINDOW`] pieces are on the way without that: so neither end has to
//! keep more, however slow a reader is, and a slow one holds up nobody else. They cross as the app's permissions say.
//! [`Drag`] tells how a drag goes on: a drag from outside is an [`Offer`] and then [`DragEvent::ENTER`]; one of the app
//! is an [`Offer`] to the bridge (of no MIME type at all if it is only for the app itself), which also tells the app's
//! surfaces of it, as of any other drag, but without an offer: they know it.
//!
//! Numbers: surfaces, pools and buffers are named by nonzero `u32`s that the display server chooses. A number is used
//! again only after its destruction was sent. Coordinates of surfaces are in surface-local units, those of buffers in
//! pixels, of pointers in 1/256 of a surface-local unit.
#![no_std]
#![forbid(unsafe_code)]
#![warn(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_possible_wrap)]

mod body;
pub mod limit;

pub use body::*;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, TryFromBytes};

/// Version of this language. Ends that differ refuse each other in [`Hello`].
pub const VERSION: u16 = 2;

/// Start of every message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Header {
    /// A [`Kind`] number.
    pub kind: u16,
    /// [`VERSION`].
    pub version: u16,
    /// Bytes of the whole message, this header included.
    pub len: u32,
}

/// Who sends a message type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Display server to bridge.
    ToBridge,
    /// Bridge to display server.
    ToApp,
    /// Both ways.
    Both,
}

/// A row of the list of message types.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Name.
    pub name: &'static str,
    /// Number.
    pub kind: u16,
    /// Who sends it.
    pub direction: Direction,
    /// Bytes of the fixed body.
    pub body: usize,
    /// Most payload bytes, 0 where there is none.
    pub payload: usize,
    /// Whether a handle comes with it.
    pub handle: bool,
}

/// Why bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// Shorter or longer than its type says.
    Length,
    /// Another version.
    Version,
    /// No such type.
    Kind,
    /// A field has a value that it must not have.
    Field,
}

impl core::fmt::Display for DecodeError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Length => "a message of the wrong length",
            Self::Version => "a message of another version",
            Self::Kind => "an unknown message type",
            Self::Field => "a message with a field out of range",
        })
    }
}

impl core::error::Error for DecodeError {}

/// A message body. `check` says whether the fields are in range.
trait Body: TryFromBytes + IntoBytes + Immutable + KnownLayout + Copy {
    fn check(&self) -> bool {
        true
    }
}

macro_rules! messages {
    ($($(#[$doc:meta])* $name:ident = $number:literal $direction:ident payload $payload:expr, handle $handle:literal;)*) => {
        /// The message types.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u16)]
        pub enum Kind { $($(#[$doc])* $name = $number,)* }

        /// All message types, in order of number.
        pub const ROWS: &[Row] = &[$(Row {
            name: stringify!($name),
            kind: $number,
            direction: Direction::$direction,
            body: size_of::<$name>(),
            payload: $payload,
            handle: $handle,
        },)*];

        /// A message. Payloads borrow from the datagram.
        #[derive(Clone, Copy, Debug)]
        pub enum Message<'a> { $($(#[$doc])* $name($name, &'a [u8]),)* }

        impl<'a> Message<'a> {
            /// Decodes and checks one datagram.
            ///
            /// # Errors
            /// What is wrong with it.
            pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
                let (header, rest) = Header::read_from_prefix(bytes).map_err(|_| DecodeError::Length)?;
                if header.version != VERSION {
                    return Err(DecodeError::Version);
                }
                if usize::try_from(header.len) != Ok(bytes.len()) {
                    return Err(DecodeError::Length);
                }
                match header.kind {
                    $($number => {
                        let (body, payload) = rest.split_at_checked(size_of::<$name>()).ok_or(DecodeError::Length)?;
                        if payload.len() > $payload {
                            return Err(DecodeError::Length);
                        }
                        let body = $name::try_read_from_bytes(body).map_err(|_| DecodeError::Field)?;
                        if body.check() { Ok(Self::$name(body, payload)) } else { Err(DecodeError::Field) }
                    })*
                    _ => Err(DecodeError::Kind),
                }
            }

            /// The type.
            #[must_use]
            pub fn kind(&self) -> Kind {
                match self { $(Self::$name(..) => Kind::$name,)* }
            }

            /// Encodes into `out`. Returns the length, or `None` if `out` is too small or the payload too long.
            pub fn encode(&self, out: &mut [u8]) -> Option<usize> {
                match self {
                    $(Self::$name(body, payload) => {
                        if payload.len() > $payload {
                            return None;
                        }
                        let body = body.as_bytes();
                        let len = size_of::<Header>() + body.len() + payload.len();
                        let header = Header {
                            kind: $number,
                            version: VERSION,
                            len: u32::try_from(len).ok()?,
                        };
                        let out = out.get_mut(..len)?;
                        let (head, rest) = out.split_at_mut_checked(size_of::<Header>())?;
                        let (middle, tail) = rest.split_at_mut_checked(body.len())?;
                        head.copy_from_slice(header.as_bytes());
                        middle.copy_from_slice(body);
                        tail.copy_from_slice(payload);
                        Some(len)
                    })*
                }
            }
        }
    };
}

messages! {
    /// First message of each end.
    Hello = 1 Both payload 0, handle false;
    /// A memory file that holds pixels, open for reading and writing and sealed against shrinking (the bridge adds
    /// that seal itself where it is missing). Sent again, with the same file, when it grew.
    Pool = 2 ToBridge payload 0, handle true;
    /// The pool is not used by new commits any more. Buffers that the host still shows stay valid.
    PoolDestroy = 3 ToBridge payload 0, handle false;
    /// The whole state of a surface. A child whose parent is not known or not mapped yet waits for it. A commit with a
    /// buffer that comes before the compositor has configured the window waits for that, so replay needs no care.
    Commit = 4 ToBridge payload 0, handle false;
    /// The surface is gone.
    SurfaceDestroy = 5 ToBridge payload 0, handle false;
    /// Title or application id of a toplevel, UTF-8. May come before the surface's first commit.
    Text = 6 ToBridge payload limit::TEXT, handle false;
    /// What the pointer looks like over the app's surfaces.
    Cursor = 7 ToBridge payload 0, handle false;
    /// Interactive move, resize or the window menu, on behalf of the user's input `serial`.
    Interactive = 8 ToBridge payload 0, handle false;
    /// The sender's side has something to paste or drag: MIME types, NUL-terminated one after another (see [`mimes`]).
    /// None: nothing any more.
    Offer = 9 Both payload limit::MIME_LIST, handle false;
    /// Asks for what the other side offered, as the MIME type in the payload.
    Request = 10 Both payload limit::MIME, handle false;
    /// A piece of the answer to a request.
    Data = 11 Both payload limit::PIECE, handle false;
    /// An output began to exist or changed.
    Output = 12 ToApp payload 0, handle false;
    /// An output is gone.
    OutputGone = 13 ToApp payload 0, handle false;
    /// Input devices; the handle is the keymap (xkb text, NUL-terminated), if [`Seat::keymap_size`] is not 0: a sealed
    /// memory file.
    Seat = 14 ToApp payload 0, handle true;
    /// The compositor wants a toplevel or popup to have this size and state.
    Configure = 15 ToApp payload 0, handle false;
    /// The user closed the toplevel, or the compositor dismissed the popup. A dismissed popup is not shown again before a
    /// commit of its surface without buffer or with another role.
    Close = 16 ToApp payload 0, handle false;
    /// A good time to draw the next frame of the surface: answers every [`CommitFlag::FRAME`] so far. One is sent for
    /// any number of commits with that flag. Also what became of a commit with [`Commit::feedback`], and where the
    /// surface is ([`FrameEvent`]).
    Frame = 17 ToApp payload 0, handle false;
    /// The attachment is not read any more. Sent exactly once for every attachment number, also when its surface is
    /// destroyed. The pixels belong to the app again.
    BufferRelease = 18 ToApp payload 0, handle false;
    /// Pointer input.
    Pointer = 19 ToApp payload 0, handle false;
    /// Keyboard input.
    Key = 20 ToApp payload 0, handle false;
    /// Drag and drop, seen from its target or its source.
    Drag = 21 Both payload limit::MIME, handle false;
    /// Touch input.
    Touch = 22 ToApp payload 0, handle false;
    /// What an input method has to know of the text field that has the focus.
    TextInput = 23 ToBridge payload limit::SURROUNDING, handle false;
    /// What an input method does to it.
    TextEdit = 24 ToApp payload limit::TEXT_EDIT, handle false;
}

/// Whether this can be a MIME type: printable ASCII, not too long.
#[must_use]
pub fn is_mime(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.len() <= limit::MIME && bytes.iter().all(|b| (0x20..0x7f).contains(b))
}

/// The MIME types of a list that are fit to be told, the first [`limit::MIMES`] of them.
pub fn mimes(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.split(|byte| *byte == 0).filter(|mime| is_mime(mime)).take(limit::MIMES)
}

/// Most message types there may ever be.
pub const MAX_KINDS: usize = 24;
const _: () = assert!(ROWS.len() <= MAX_KINDS);

/// Longest message, in bytes.
pub const MAX_MESSAGE: usize = size_of::<Header>() + size_of::<Data>() + limit::PIECE;

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    #[test]
    fn messages_come_back_as_they_went() {
        let mut commit = Commit::empty(7);
        commit.width = 640;
        commit.role = Role::TOPLEVEL;
        let mut out = [0u8; 1024];
        let len = Message::Commit(commit, &[]).encode(&mut out).unwrap();
        match Message::decode(&out[..len]).unwrap() {
            Message::Commit(back, []) => assert_eq!(back, commit),
            other => panic!("{other:?}"),
        }
        let text = Message::Text(Text { surface: 7, field: TextField::TITLE }, "Größe".as_bytes());
        let len = text.encode(&mut out).unwrap();
        assert!(
            matches!(Message::decode(&out[..len]), Ok(Message::Text(t, p)) if t.surface == 7 && p.len() == 7)
        );
    }

    #[test]
    fn wrong_lengths_and_numbers_are_refused() {
        let mut out = [0u8; 64];
        let len = Message::SurfaceDestroy(SurfaceDestroy { surface: 1 }, &[]).encode(&mut out).unwrap();
        assert_eq!(Message::decode(&out[..len - 1]).unwrap_err(), DecodeError::Length);
        assert_eq!(Message::decode(&out[..len + 1]).unwrap_err(), DecodeError::Length);
        out[0] = 99;
        assert_eq!(Message::decode(&out[..len]).unwrap_err(), DecodeError::Kind);
        out[0] = 5;
        out[8] = 0;
        assert_eq!(Message::decode(&out[..len]).unwrap_err(), DecodeError::Field, "surface 0");
        let long = std::vec![b'x'; limit::TEXT + 1];
        assert_eq!(
            Message::Text(Text { surface: 1, field: TextField::TITLE }, &long).encode(&mut [0; 4096]),
            None
        );
    }

    #[test]
    fn no_bytes_panic() {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        for _ in 0..200_000 {
            let len = usize::try_from(next() % 400).unwrap();
            let mut bytes: Vec<u8> = (0..len).map(|_| u8::try_from(next() & 0xff).unwrap()).collect();
            if len >= 8 {
                let row = &ROWS[usize::try_from(next()).unwrap_or(0) % ROWS.len()];
                bytes[..2].copy_from_slice(&row.kind.to_le_bytes());
                bytes[2..4].copy_from_slice(&VERSION.to_le_bytes());
                bytes.resize(8 + row.body, 0);
                let len = u32::try_from(bytes.len()).unwrap();
                bytes[4..8].copy_from_slice(&len.to_le_bytes());
            }
            let _ = Message::decode(&bytes);
        }
    }

    #[test]
    fn the_language_stays_small() {
        assert!(ROWS.len() <= MAX_KINDS);
        assert!(ROWS.windows(2).all(|w| w[0].kind + 1 == w[1].kind));
    }
}
