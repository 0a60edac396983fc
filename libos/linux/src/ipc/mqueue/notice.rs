//! How a process is told that a message arrived: mq_notify(3).

use crate::call::Call;
use crate::ipc::inet::netlink::NetlinkSocket;
use crate::ipc::socket::Socket;
use crate::signal::{self, Info, LAST};
use crate::task::Process;
use crate::{Errno, Result};
use alloc::sync::{Arc, Weak};
use postern_pal::user;

const SIGEV_SIGNAL: u32 = 0;
const SIGEV_NONE: u32 = 1;
const SIGEV_THREAD: u32 = 2;
/// Bytes that the C library gets back through its netlink socket; the last one says what happened.
const COOKIE: usize = 32;
const ARRIVED: u8 = 1;
const REMOVED: u8 = 2;

enum How {
    Nothing,
    /// A signal with a value.
    Signal(u32, u64),
    /// A packet to the socket that a thread of the C library reads from.
    Thread(Arc<crate::fs::OpenFile>, [u8; COOKIE]),
}

/// Who is to be told, and how. Told once.
pub(super) struct Notice {
    process: Weak<Process>,
    pid: u32,
    how: How,
}

impl Notice {
    /// The notice that the `struct sigevent` at `at` describes.
    ///
    /// # Errors
    /// `EINVAL`, `EFAULT`; `EBADF` and `ENOTSOCK` where the C library gave no netlink socket.
    pub(super) fn read(call: &Call<'_>, at: usize) -> Result<Self> {
        let value: u64 = user::read(at)?;
        let [signal, kind]: [u32; 2] = user::read(at.wrapping_add(8))?;
        let how = match kind {
            SIGEV_NONE => How::Nothing,
            SIGEV_SIGNAL if signal <= LAST => How::Signal(signal, value),
            SIGEV_THREAD => {
                let mut cookie = [0; COOKIE];
                user::read_bytes(usize::try_from(value).map_err(|_| Errno::EFAULT)?, &mut cookie)?;
                let file = call.process().files.get(signal.cast_signed())?;
                netlink(&file)?;
                How::Thread(file, cookie)
            }
            _ => return Err(Errno::EINVAL),
        };
        Ok(Self { process: Arc::downgrade(call.process()), pid: call.process().pid, how })
    }

    /// Process that is told.
    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// Kind, signal and process, as reading from the queue shows them.
    pub(super) fn shown(&self) -> [u32; 3] {
        match self.how {
            How::Nothing => [SIGEV_NONE, 0, self.pid],
            How::Signal(signal, _) => [SIGEV_SIGNAL, signal, self.pid],
            How::Thread(..) => [SIGEV_THREAD, 0, self.pid],
        }
    }

    /// Tells of a message of `sender`.
    pub(super) fn arrived(self, sender: &Process) {
        match self.how {
            How::Nothing | How::Signal(0, _) => {}
            How::Signal(signal, value) => {
                if let Some(process) = self.process.upgrade() {
                    signal::send_to_process(&process, Info::message(signal, sender, value));
                }
            }
            How::Thread(file, cookie) => tell(&file, cookie, ARRIVED),
        }
    }

    /// The wish to be told is dropped; the thread that waits for it is to end.
    pub(super) fn removed(self) {
        if let How::Thread(file, cookie) = self.how {
            tell(&file, cookie, REMOVED);
        }
    }
}

fn netlink(file: &crate::fs::OpenFile) -> Result<&NetlinkSocket> {
    Socket::of(file)?.ops.as_any().downcast_ref().ok_or(Errno::EINVAL)
}

fn tell(file: &crate::fs::OpenFile, mut cookie: [u8; COOKIE], what: u8) {
    if let Some(last) = cookie.last_mut() {
        *last = what;
    }
    if let Ok(socket) = netlink(file) {
        // A full socket loses the news, as the man page of netlink says.
        let _ = socket.deliver(cookie.to_vec());
    }
}
