//! What travels through a socket besides bytes, and what a receive gets of it.

use super::address::Address;
use crate::Mutex;
use crate::fs::OpenFile;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Who sent something: unix(7)'s `struct ucred`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "ucred's own")]
pub struct Credentials {
    pub pid: u32,
    pub uid: u32,
    pub gid: u32,
}

impl Credentials {
    /// What Linux shows where none were sent.
    pub const NOBODY: Self = Self { pid: 0, uid: 65534, gid: 65534 };
}

/// What travels with a message besides its bytes.
#[derive(Default)]
pub struct Attachment {
    /// Files (`SCM_RIGHTS`).
    pub files: Vec<Arc<OpenFile>>,
    /// The sender; `None` where nobody asked for it.
    pub credentials: Option<Credentials>,
    /// The name of the sender, which it may get only after it sent.
    pub from: Option<Arc<Mutex<Address>>>,
    /// The last byte is urgent (`MSG_OOB`).
    pub urgent: bool,
}

impl Attachment {
    /// The sender's `struct sockaddr`; empty if there is none.
    #[must_use]
    pub fn sender(&self) -> Vec<u8> {
        match self.from.as_ref().map(|from| from.lock()) {
            None => Vec::new(),
            Some(name) if *name == Address::Unnamed => Vec::new(),
            Some(name) => name.format(),
        }
    }
}

/// What a receive took.
#[derive(Default)]
pub struct Taken {
    /// Bytes put into the sink.
    pub count: usize,
    /// Bytes of the packet, which may be more; the same as `count` in a stream.
    pub whole: usize,
    /// What came along.
    pub attachment: Attachment,
    /// A receive ends here, or goes on at once, because of urgent data.
    pub border: Border,
}

/// What urgent data makes of the end of a read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Border {
    /// Nothing.
    #[default]
    None,
    /// The receive goes on behind it.
    Passes,
    /// The receive ends.
    Stops,
}
