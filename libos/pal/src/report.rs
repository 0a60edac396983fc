//! The end of a family by its own fault: a library OS that found itself broken tells the monitor and stops.

use crate::errno::Errno;
use crate::host::{self, number};
use core::fmt::Write;
use core::sync::atomic::{AtomicU32, Ordering};
use postern_abi::calls::{Downcall, notice};
use postern_abi::layout::handle::{GATE_FIRST, GATES};
use postern_abi::message::Request;
use zerocopy::IntoBytes;

static PANICKING: AtomicU32 = AtomicU32::new(0);

/// Ends the family with a report that says `reason`.
pub fn panic(reason: &str) -> ! {
    if PANICKING.swap(1, Ordering::SeqCst) == 0 {
        send(reason);
    }
    stop()
}

/// Waits to be ended by the monitor; ends the thread's process if that does not come.
fn stop() -> ! {
    loop {
        crate::sync::futex_wait(&PANICKING, 1, None);
    }
}

/// Sends the notice without locks or heap, past whatever state the gates are in.
fn send(reason: &str) {
    let text = reason.as_bytes();
    let text = text.get(..text.len().min(4096)).unwrap_or(text);
    let request = Request {
        call: Downcall::Notice as u32,
        payload_len: u32::try_from(text.len()).unwrap_or(0),
        args: [notice::PANIC, 0, 0, 0, 0, 0],
    };
    let last = GATE_FIRST + i32::try_from(GATES).unwrap_or(1) - 1;
    let iov: [usize; 4] =
        [request.as_bytes().as_ptr().addr(), size_of::<Request>(), text.as_ptr().addr(), text.len()];
    let header: [usize; 7] = [0, 0, iov.as_ptr().addr(), 2, 0, 0, 0];
    let fd = usize::try_from(last).unwrap_or(0);
    // SAFETY: the host only reads the header and what it points to.
    let sent = unsafe { host::call(number::SENDMSG, [fd, header.as_ptr().addr(), 0x4000, 0, 0, 0]) };
    if let Err(Errno::EBADF) = sent {
        // Before the gates exist there is only standard error.
        let iov: [usize; 2] = [text.as_ptr().addr(), text.len()];
        // SAFETY: the host only reads.
        let _ = unsafe { host::call(number::PWRITEV2, [2, iov.as_ptr().addr(), 1, usize::MAX, 0, 0]) };
    }
}

struct Short<'a>(&'a mut [u8], usize);

impl Write for Short<'_> {
    fn write_str(&mut self, s: &str) -> core::fmt::Result {
        for b in s.bytes() {
            if let Some(slot) = self.0.get_mut(self.1) {
                *slot = b;
                self.1 += 1;
            }
        }
        Ok(())
    }
}

/// As [`panic`], with formatting and without the heap.
pub fn panic_fmt(reason: core::fmt::Arguments<'_>) -> ! {
    let mut buf = [0u8; 1024];
    let mut out = Short(&mut buf, 0);
    let _ = out.write_fmt(reason);
    let len = out.1;
    let text = core::str::from_utf8(buf.get(..len).unwrap_or(&[])).unwrap_or("library OS panic");
    panic(text)
}

/// A fault inside the kernel half.
pub(crate) fn kernel_fault(signal: usize, address: u64, rip: u64, rsp: u64) -> ! {
    let mut words = [0u64; 48];
    let mut returns = [0u64; 12];
    let mut found = 0;
    // SAFETY: rsp was a kernel stack pointer; read a little of it, within the same thread area.
    unsafe {
        let at = usize::try_from(rsp).unwrap_or(0);
        let end = (at | (postern_abi::layout::THREAD_STRIDE - 1)).saturating_sub(512);
        if (postern_abi::layout::THREADS_BASE..postern_abi::layout::HEAP_BASE).contains(&at) {
            for (i, word) in words.iter_mut().enumerate() {
                if at + i * 8 < end {
                    *word = core::ptr::with_exposed_provenance::<u64>(at + i * 8).read_unaligned();
                }
            }
        }
    }
    for word in words {
        let base = postern_abi::layout::KERNEL_BASE as u64;
        if (base..base + 0x100_0000).contains(&word) && found < returns.len() {
            if let Some(slot) = returns.get_mut(found) {
                *slot = word;
            }
            found += 1;
        }
    }
    panic_fmt(format_args!(
        "library OS fault: signal {signal} at address {address:#x}, rip {rip:#x}, stack {:x?}",
        returns.get(..found).unwrap_or(&[])
    ))
}

/// Text of a Rust panic.
pub fn rust_panic(info: &core::panic::PanicInfo<'_>) -> ! {
    panic_fmt(format_args!("library OS panic: {info}"))
}
