//! Downcalls to the monitor: one request and one reply on one of the gates.

use crate::clock;
use crate::errno::{Errno, Result};
use crate::handle::Handle;
use crate::sync::{self, Mutex};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use postern_abi::calls::{Downcall, notice};
use postern_abi::layout::handle::{GATE_FIRST, GATES};
use postern_abi::message::{MAX_PAYLOAD, Reply, Request};
use zerocopy::{FromZeros, IntoBytes};

/// What a monitor call returned.
#[derive(Debug)]
pub struct Answer {
    /// Results, by call.
    pub values: [u64; 4],
    /// The error that came with a partial answer (see [`Downcall::Open`]), if any.
    pub error: Option<Errno>,
    /// Payload of the reply.
    pub payload: Vec<u8>,
    /// The handle that came with it.
    pub handle: Option<Handle>,
}

struct Gate {
    socket: Option<Handle>,
    buffer: Vec<u8>,
    /// Calls that are to sleep at once.
    rest: u32,
}

/// How long a caller looks for the answer before it sleeps, in nanoseconds: most come sooner, and being woken on an
/// idle processor takes longer than that.
const LOOK: u64 = 40_000;
/// After an answer that took longer, as on a busy host, so many calls sleep at once.
const REST: u32 = 16;

impl Gate {
    /// Receives the answer: its length, and the handle that came with it.
    fn receive(&mut self, reply: &mut Reply) -> Result<(usize, Option<Handle>)> {
        let socket = self.socket.as_ref().ok_or(Errno::EIO)?;
        let mut receive = |wait| socket.receive(reply.as_mut_bytes(), &mut self.buffer, wait);
        if self.rest == 0 {
            let end = clock::now().saturating_add(LOOK);
            while clock::now() < end {
                match receive(false) {
                    Err(Errno::EAGAIN | Errno::EINTR) => core::hint::spin_loop(),
                    Err(_) => return Err(Errno::EIO),
                    Ok(received) => return Ok(received),
                }
            }
            self.rest = REST;
        } else {
            self.rest -= 1;
        }
        loop {
            match receive(true) {
                Err(Errno::EINTR) => {}
                Err(_) => return Err(Errno::EIO),
                Ok(received) => return Ok(received),
            }
        }
    }
}

static POOL: [Mutex<Gate>; GATES] =
    [const { Mutex::new(Gate { socket: None, buffer: Vec::new(), rest: 0 }) }; GATES];
static NEXT: AtomicU32 = AtomicU32::new(0);
static CALLS: AtomicU64 = AtomicU64::new(0);

/// How many monitor calls this family made.
#[must_use]
pub fn count() -> u64 {
    CALLS.load(Ordering::Relaxed)
}

fn take() -> sync::MutexGuard<'static, Gate> {
    let first = NEXT.fetch_add(1, Ordering::Relaxed) as usize;
    for gate in &POOL {
        if let Some(guard) = gate.try_lock() {
            return guard;
        }
    }
    POOL.get(first % GATES).map_or_else(|| POOL[0].lock(), Mutex::lock)
}

/// Makes a monitor call. `payload` is sent as one piece.
///
/// Blocks until the monitor answers; monitor calls are short by contract.
///
/// # Errors
/// `E2BIG` if the payload is longer than a message; `EIO` if the monitor is gone. Errors that the monitor answers
/// with are in [`Answer::error`], because some answers carry both.
pub fn call_raw(call: Downcall, args: [u64; 6], payload: &[&[u8]]) -> Result<Answer> {
    CALLS.fetch_add(1, Ordering::Relaxed);
    let len: usize = payload.iter().map(|p| p.len()).sum();
    if len > MAX_PAYLOAD || payload.len() > 3 {
        return Err(Errno::E2BIG);
    }
    let request =
        Request { call: call as u32, payload_len: u32::try_from(len).map_err(|_| Errno::E2BIG)?, args };
    let mut gate = take();
    let gate = &mut *gate;
    let socket = match &gate.socket {
        Some(socket) => socket,
        None => {
            let index = POOL.iter().position(|g| core::ptr::eq(g.data_ptr(), gate)).ok_or(Errno::EIO)?;
            let number = GATE_FIRST + i32::try_from(index).map_err(|_| Errno::EIO)?;
            gate.buffer = alloc::vec![0; MAX_PAYLOAD];
            gate.socket.insert(Handle::initial(number).ok_or(Errno::EIO)?)
        }
    };
    let mut parts: [&[u8]; 4] = [&[]; 4];
    parts[0] = request.as_bytes();
    for (slot, part) in parts.iter_mut().skip(1).zip(payload) {
        *slot = part;
    }
    while let Err(error) = socket.send(&parts, None, true) {
        if error != Errno::EINTR {
            return Err(Errno::EIO);
        }
    }
    let mut reply = Reply::new_zeroed();
    let (got, handle) = gate.receive(&mut reply)?;
    let payload_len = got.checked_sub(size_of::<Reply>()).ok_or(Errno::EIO)?;
    let payload = gate.buffer.get(..payload_len).ok_or(Errno::EIO)?.to_vec();
    let error = (reply.error != 0).then(|| Errno::from_number(reply.error));
    Ok(Answer { values: reply.values, error, payload, handle })
}

/// As [`call_raw`], but an error that the monitor answered with is an error.
///
/// # Errors
/// The monitor's, or those of [`call_raw`].
pub fn call(call: Downcall, args: [u64; 6], payload: &[&[u8]]) -> Result<Answer> {
    let answer = call_raw(call, args, payload)?;
    match answer.error {
        Some(error) => Err(error),
        None => Ok(answer),
    }
}

/// Sends a notice ([`notice`]); failure is not reported, since there is nobody to report it to.
pub fn tell(kind: u64, args: [u64; 4], text: &[u8]) {
    let text = text.get(..text.len().min(MAX_PAYLOAD)).unwrap_or(text);
    let [a, b, c, d] = args;
    let _ = call_raw(Downcall::Notice, [kind, a, b, c, d, 0], &[text]);
}

/// A debugging line, shown with `--verbose`.
pub fn log(text: &str) {
    tell(notice::LOG, [0; 4], text.as_bytes());
}
