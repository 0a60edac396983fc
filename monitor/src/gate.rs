//! Serves the gates: one request, one reply. Every byte of a request is hostile.

use crate::account::{clean, clean_to};
use crate::answer::Answer;
use crate::shared::{News, Shared};
use nix::errno::Errno;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::socket::{ControlMessage, MsgFlags, recv, sendmsg};
use postern_abi::calls::{Downcall, notice};
use postern_abi::message::{MAX_PAYLOAD, Reply, Request};
use std::io::IoSlice;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};
use zerocopy::{FromBytes as _, IntoBytes as _};

/// Stack of a gate's thread, in bytes. Name resolution is the deepest that runs on it.
const STACK: usize = 256 * 1024;
/// Longest log line or panic text, in characters.
const MAX_LOG: usize = 2000;

/// Starts the thread that serves `gate` until the family is gone.
///
/// # Errors
/// If the host has no room for another thread.
pub fn start(shared: Arc<Shared>, gate: OwnedFd) -> std::io::Result<()> {
    let thread = std::thread::Builder::new().name("gate".to_owned()).stack_size(STACK);
    thread.spawn(move || serve(&shared, &gate)).map(drop)
}

/// How long to look for the next request before sleeping. Requests come in bursts, as when a program is loaded, and
/// to be woken on an idle processor takes several times as long as to answer.
const LOOK: Duration = Duration::from_micros(60);
/// Requests that follow an answer by less than this are a burst.
const BURST: Duration = Duration::from_micros(200);

/// One end of a gate.
struct Waiter {
    answered: Instant,
    in_burst: bool,
}

impl Waiter {
    /// Receives the next request.
    fn receive(&mut self, gate: &OwnedFd, buffer: &mut [u8]) -> Result<usize, Errno> {
        // Handles that came with the message are dropped by the host: there is no room for them.
        let mut look = |flags| recv(gate.as_raw_fd(), buffer, flags);
        while self.in_burst {
            match look(MsgFlags::MSG_DONTWAIT) {
                Err(Errno::EAGAIN) => self.in_burst = self.answered.elapsed() < LOOK,
                other => return other,
            }
            std::hint::spin_loop();
        }
        let got = look(MsgFlags::empty());
        self.in_burst = self.answered.elapsed() < BURST;
        got
    }
}

fn serve(shared: &Shared, gate: &OwnedFd) {
    // Otherwise each call costs a whole slice of whatever else the machine does. Without it calls are slow, not wrong.
    let _ = crate::sys::process::wake_early();
    let mut buffer = vec![0; size_of::<Request>() + MAX_PAYLOAD];
    let mut waiter = Waiter { answered: Instant::now(), in_burst: false };
    loop {
        let message = match waiter.receive(gate, &mut buffer) {
            Ok(0) => return,
            Ok(len) => buffer.get(..len).unwrap_or(&[]),
            Err(Errno::EINTR) => continue,
            Err(_) => return,
        };
        let answer = handle(shared, message)
            .unwrap_or_else(|error| Answer { error: Some(error), ..Answer::default() });
        if reply(gate, &answer).is_err() {
            return;
        }
        waiter.answered = Instant::now();
    }
}

fn reply(gate: &OwnedFd, answer: &Answer) -> Result<(), Errno> {
    let header = Reply {
        error: answer.error.map_or(0, |error| u32::try_from(error as i32).unwrap_or(5)),
        payload_len: u32::try_from(answer.payload.len()).map_err(|_| Errno::EMSGSIZE)?,
        values: answer.values,
    };
    let parts = [IoSlice::new(header.as_bytes()), IoSlice::new(&answer.payload)];
    let fds = answer.handle.as_ref().map(|handle| [handle.as_raw_fd()]);
    let control = fds.as_ref().map(|fds| [ControlMessage::ScmRights(fds)]);
    let control = control.as_ref().map_or(&[][..], |control| &control[..]);
    loop {
        match sendmsg::<()>(gate.as_raw_fd(), &parts, control, MsgFlags::MSG_NOSIGNAL, None) {
            Err(Errno::EINTR) => {}
            other => return other.map(drop),
        }
    }
}

/// Answers one request.
///
/// # Errors
/// What the reply says.
pub fn handle(shared: &Shared, message: &[u8]) -> Result<Answer, Errno> {
    let (request, payload) = Request::read_from_prefix(message).map_err(|_| Errno::EPROTO)?;
    if u32::try_from(payload.len()) != Ok(request.payload_len) {
        return Err(Errno::EPROTO);
    }
    let call = Downcall::from_number(request.call).ok_or(Errno::ENOSYS)?;
    shared.account.count_call(request.call);
    let args = &request.args;
    match call {
        Downcall::Open => {
            let answer = shared.mounts.open(args[0], args[1], args[2], payload);
            note_refusal(shared, args[0], payload, &answer);
            if let Some(start) = &shared.start {
                let error = answer.as_ref().map_or_else(|error| Some(*error), |answer| answer.error);
                start.note_open(&shared.mounts, args[0], args[1], payload, error);
            }
            answer
        }
        Downcall::Enumerate => {
            if let Some(start) = &shared.start {
                start.note_list(&shared.mounts, args[0], payload);
            }
            shared.mounts.enumerate(args, payload)
        }
        Downcall::Create => shared.mounts.create(args, payload),
        Downcall::Rename => shared.mounts.rename(args, payload),
        Downcall::Remove => shared.mounts.remove(args, payload),
        Downcall::SetAttributes => shared.mounts.set_attributes(args, payload),
        Downcall::Flush => shared.mounts.flush(args, payload),
        Downcall::FileSystem => shared.mounts.file_system(args),
        Downcall::MemoryCreate => create_memory(args),
        Downcall::NetworkOpen => shared.network.open(shared, args, payload),
        Downcall::StreamControl => shared.network.control(args),
        Downcall::Console => shared.console.answer(args[0]),
        Downcall::Notice => {
            take_notice(shared, args, payload);
            Ok(Answer::default())
        }
        Downcall::ExtendedAttribute => shared.mounts.extended_attribute(args, payload),
    }
}

/// Counts a write that a read-only grant refused: a permission would allow it.
fn note_refusal(shared: &Shared, mount: u64, path: &[u8], answer: &Result<Answer, Errno>) {
    let error = match answer {
        Ok(answer) => answer.error,
        Err(error) => Some(*error),
    };
    if error == Some(Errno::EROFS)
        && let Some(mounted) = shared.mounts.granted(mount)
    {
        shared.account.deny(
            "files",
            &format!("write {}/{}", clean(mounted.as_os_str().as_encoded_bytes()), clean(path)),
        );
    }
}

fn create_memory(args: &[u64; 6]) -> Result<Answer, Errno> {
    let size = i64::try_from(args[0]).map_err(|_| Errno::EFBIG)?;
    let memory = memfd_create(c"postern", MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)?;
    nix::unistd::ftruncate(&memory, size)?;
    if args[1] == 1 {
        let seal = nix::fcntl::SealFlag::F_SEAL_SHRINK;
        nix::fcntl::fcntl(&memory, nix::fcntl::FcntlArg::F_ADD_SEALS(seal))?;
    }
    Ok(Answer { handle: Some(memory), ..Answer::default() })
}

fn take_notice(shared: &Shared, args: &[u64; 6], payload: &[u8]) {
    let small = |value: u64| u32::try_from(value).unwrap_or(0);
    match args[0] {
        notice::EXIT => {
            if !payload.is_empty() {
                shared.mailbox.tell(News::Message(clean(payload)));
            }
            shared.mailbox.tell(News::Exit(args[1]));
        }
        notice::EMPTY => shared.mailbox.tell(News::Empty),
        notice::CRASH => {
            shared.mailbox.tell(News::Crash([args[1], args[2], args[3], args[4]], payload.to_vec()));
        }
        notice::PANIC => shared.mailbox.tell(News::Panic(clean_to(payload, MAX_LOG))),
        notice::DENIED => {
            let (permission, what) = payload
                .iter()
                .position(|byte| *byte == 0)
                .and_then(|at| Some((payload.get(..at)?, payload.get(at + 1..)?)))
                .unwrap_or((&[], payload));
            shared.account.deny(&clean(permission), &clean(what));
        }
        notice::UNSUPPORTED => shared.account.unsupported(&clean(payload), args[1]),
        notice::LOG if shared.verbose || args[1] == 1 => {
            shared.mailbox.tell(News::Message(clean_to(payload, MAX_LOG)));
        }
        notice::UNWATCH => shared.mounts.unwatch_outside(args[1]),
        notice::MOUNTED => shared.mailbox.tell(News::Mounted(small(args[1]))),
        notice::SITES => {
            if let Some(start) = &shared.start {
                start.note_sites(payload);
                // Without it the next start is only slower.
                let _ = start.save();
            }
        }
        notice::PROCESS => shared.account.process(small(args[1]), small(args[2]), &clean(payload)),
        _ => {}
    }
}
