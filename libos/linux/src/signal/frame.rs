//! The signal frame: what a handler finds on its stack and what rt_sigreturn(2) restores from there. The layout is the
//! x86-64 kernel's `struct rt_sigframe`: return address, `struct ucontext`, `siginfo_t`; the floating-point state lies
//! above it.

use super::info::{self, Info};
use super::mask::set_blocked;
use super::set::{bit, sig};
use super::state::{Action, flag as action_flag};
use crate::call::Call;
use crate::task::Thread;
use crate::{Errno, Result};
use core::sync::atomic::Ordering;
use postern_pal::frame::{Frame, flag};
use postern_pal::{entry, thread as host_thread, user};

/// Bytes below the stack pointer that belong to the interrupted function.
const RED_ZONE: u64 = 128;

/// Words of `struct ucontext`, with `struct sigcontext` in it.
const CONTEXT_WORDS: usize = 38;
const CONTEXT_STACK: usize = 2;
const CONTEXT_REGISTERS: usize = 5;
const CONTEXT_SEGMENTS: usize = 23;
const CONTEXT_ERROR: usize = 24;
const CONTEXT_TRAP: usize = 25;
const CONTEXT_OLD_MASK: usize = 26;
const CONTEXT_CR2: usize = 27;
const CONTEXT_FP: usize = 28;
const CONTEXT_MASK: usize = 37;

/// Return address, context, information.
const FRAME_SIZE: u64 = 8 + CONTEXT_WORDS as u64 * 8 + info::SIZE as u64;

/// `UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS`.
const CONTEXT_FLAGS: u64 = 7;
/// User code and stack segments: cs 0x33, ss 0x2b.
const SEGMENTS: u64 = 0x33 | (0x2b << 48);
/// Flags that sigreturn restores: AC, OF, DF, TF, SF, ZF, AF, PF, CF, RF.
const RESTORED_FLAGS: u64 = 0x5_0dd5;
/// Flags that are always set for app code: IF and the constant bit 1.
const CONSTANT_FLAGS: u64 = 0x202;
/// TF, DF and RF are clear when a handler begins.
const HANDLER_CLEARS: u64 = 0x100 | 0x400 | 0x1_0000;

/// Offset of the bytes in the floating-point image that tell what follows it.
const FP_RESERVED: usize = 464;
/// Legacy part of the image and the header behind it.
const FP_LEGACY: usize = 512;
const FP_HEADER_END: usize = 576;
const MAGIC1: u32 = 0x4650_5853;
const MAGIC2: u32 = 0x4650_5845;

/// Whether the app may be made to continue at an address. What is in the kernel half is no code of the app; where no
/// address is, the processor says so itself on the way out.
fn is_code(address: u64) -> bool {
    const CANONICAL_END: u64 = 1 << 47;
    address >= CANONICAL_END || usize::try_from(address).is_ok_and(|address| user::is_user_range(address, 1))
}

/// The floating-point state that a program starts with.
const FP_INITIAL: [u8; FP_HEADER_END] = {
    let mut image = [0; FP_HEADER_END];
    image[0] = 0x7f;
    image[1] = 0x03;
    image[24] = 0x80;
    image[25] = 0x1f;
    image
};

/// Makes `frame` enter the handler of `action` with `info`; what it interrupted is saved on the app's stack. `mask` is
/// what the handler's return restores.
///
/// # Errors
/// `EFAULT` if there is no room on the stack, no restorer, or no code where the handler is said to be. Nothing but the
/// app's stack has changed then.
pub(super) fn build(
    thread: &Thread,
    frame: &mut Frame,
    info: &Info,
    action: &Action,
    mask: u64,
) -> Result<()> {
    if action.flags & action_flag::RESTORER == 0 || !is_code(action.handler) {
        return Err(Errno::EFAULT);
    }
    let mut stack = thread.signals.alt_stack.lock();
    let below = frame.rsp.wrapping_sub(RED_ZONE);
    let wants_other = action.flags & action_flag::ONSTACK != 0;
    let other = if wants_other { stack.top_for(frame.rsp) } else { None };
    let was_on = stack.holds(frame.rsp);
    let fp = host_thread::fp_state(frame);
    let fp_len = fp.len() as u64;
    let fp_at = other.unwrap_or(below).wrapping_sub(fp_len + 4) & !63;
    let at = (fp_at.wrapping_sub(FRAME_SIZE) & !15).wrapping_sub(8);
    // Where the alternate stack is used, all of the frame must be in it.
    if (other.is_some() || was_on) && !stack.covers(at) {
        return Err(Errno::EFAULT);
    }
    let address = |value: u64| usize::try_from(value).map_err(|_| Errno::EFAULT);

    write_fp(address(fp_at)?, fp)?;
    let context = context(thread, frame, &stack.words(), mask, fp_at);
    user::write(address(at)?, &action.restorer)?;
    user::write(address(at)?.wrapping_add(8), &context)?;
    let info_at = at.wrapping_add(8 + CONTEXT_WORDS as u64 * 8);
    user::write(address(info_at)?, &info.bytes())?;
    stack.disarm();
    drop(stack);

    frame.rax = 0;
    frame.rdi = u64::from(info.signal());
    frame.rsi = info_at;
    frame.rdx = at.wrapping_add(8);
    frame.rsp = at;
    frame.rip = action.handler;
    frame.rflags = (frame.rflags & !HANDLER_CLEARS) | CONSTANT_FLAGS;
    frame.call = u64::MAX;
    frame.site = 0;
    host_thread::set_fp_state(frame, &FP_INITIAL);
    frame.flags |= flag::FULL;
    Ok(())
}

fn write_fp(at: usize, fp: &[u8]) -> Result<()> {
    user::write_bytes(at, fp)?;
    let len = u32::try_from(fp.len()).map_err(|_| Errno::EFAULT)?;
    let features = entry::fp_features().to_le_bytes();
    let mut reserved = [0u8; FP_LEGACY - FP_RESERVED];
    let parts = [&MAGIC1.to_le_bytes()[..], &(len + 4).to_le_bytes(), &features, &len.to_le_bytes()];
    for (slot, byte) in reserved.iter_mut().zip(parts.concat()) {
        *slot = byte;
    }
    user::write_bytes(at.wrapping_add(FP_RESERVED), &reserved)?;
    user::write(at.wrapping_add(fp.len()), &MAGIC2)
}

fn context(thread: &Thread, frame: &Frame, stack: &[u64; 3], mask: u64, fp_at: u64) -> [u64; CONTEXT_WORDS] {
    let mut words = [0; CONTEXT_WORDS];
    words[0] = CONTEXT_FLAGS;
    let mut put = |at: usize, from: &[u64]| {
        for (slot, word) in words.iter_mut().skip(at).zip(from) {
            *slot = *word;
        }
    };
    put(CONTEXT_STACK, stack);
    let f = frame;
    let registers = [
        f.r8, f.r9, f.r10, f.r11, f.r12, f.r13, f.r14, f.r15, f.rdi, f.rsi, f.rbp, f.rbx, f.rdx, f.rax,
        f.rcx, f.rsp, f.rip, f.rflags,
    ];
    put(CONTEXT_REGISTERS, &registers);
    let [trap, error, cr2] =
        [0, 1, 2].map(|i: usize| thread.signals.fault.get(i).map_or(0, |w| w.load(Ordering::Relaxed)));
    put(CONTEXT_SEGMENTS, &[SEGMENTS]);
    put(CONTEXT_ERROR, &[error]);
    put(CONTEXT_TRAP, &[trap]);
    put(CONTEXT_OLD_MASK, &[mask]);
    put(CONTEXT_CR2, &[cr2]);
    put(CONTEXT_FP, &[fp_at]);
    put(CONTEXT_MASK, &[mask]);
    words
}

/// Restores the registers of a `struct sigcontext`.
fn restore_registers(frame: &mut Frame, words: &[u64; CONTEXT_WORDS]) {
    let mut next = words.iter().skip(CONTEXT_REGISTERS).copied();
    let mut take = || next.next().unwrap_or(0);
    frame.r8 = take();
    frame.r9 = take();
    frame.r10 = take();
    frame.r11 = take();
    frame.r12 = take();
    frame.r13 = take();
    frame.r14 = take();
    frame.r15 = take();
    frame.rdi = take();
    frame.rsi = take();
    frame.rbp = take();
    frame.rbx = take();
    frame.rdx = take();
    frame.rax = take();
    frame.rcx = take();
    frame.rsp = take();
    frame.rip = take();
    frame.rflags = (take() & RESTORED_FLAGS) | CONSTANT_FLAGS;
}

/// The floating-point image at `at`, as long as it says that it is and we believe it.
fn read_fp(at: usize) -> Result<alloc::vec::Vec<u8>> {
    let mut image = alloc::vec![0u8; FP_LEGACY];
    user::read_bytes(at, &mut image)?;
    let word = |offset: usize| {
        let bytes = image.get(FP_RESERVED + offset..FP_RESERVED + offset + 4);
        bytes.and_then(|b| <[u8; 4]>::try_from(b).ok()).map_or(0, u32::from_le_bytes)
    };
    let (magic, extended, size) = (word(0), word(4), word(16));
    let len = usize::try_from(size).unwrap_or(0);
    let fits = len > FP_HEADER_END && len <= entry::fp_size() && extended > size;
    if magic == MAGIC1 && fits && user::read(at.wrapping_add(len)) == Ok(MAGIC2) {
        image.resize(len, 0);
        user::read_bytes(at, &mut image)?;
    }
    Ok(image)
}

fn restore(call: &mut Call<'_>) -> Result<()> {
    let at = call.frame.rsp.wrapping_sub(8);
    let context_at = usize::try_from(at.wrapping_add(8)).map_err(|_| Errno::EFAULT)?;
    let words: [u64; CONTEXT_WORDS] = user::read(context_at)?;
    let [_, _, s0, s1, s2, ..] = words;
    let word = |at: usize| words.get(at).copied().unwrap_or(0);
    let fp_at = usize::try_from(word(CONTEXT_FP)).map_err(|_| Errno::EFAULT)?;
    let fp = if fp_at == 0 { FP_INITIAL.to_vec() } else { read_fp(fp_at)? };
    set_blocked(call.thread, word(CONTEXT_MASK));
    restore_registers(call.frame, &words);
    host_thread::set_fp_state(call.frame, &fp);
    call.frame.flags |= flag::FULL;
    // As the kernel does, without caring whether it works: the frame may come from another stack.
    let _ = call.thread.signals.alt_stack.lock().set([s0, s1, s2], call.frame.rsp);
    if is_code(call.frame.rip) { Ok(()) } else { Err(Errno::EFAULT) }
}

/// rt_sigreturn(2). A bad frame is a SIGSEGV.
///
/// # Errors
/// None.
pub fn rt_sigreturn(call: &mut Call<'_>) -> Result<u64> {
    if restore(call).is_err() {
        if !is_code(call.frame.rip) {
            // Never returned to: the signal's handler, if it has one, may see it.
            call.frame.rip = 0;
        }
        super::send::force(call.thread, Info::kernel(sig::SEGV));
    }
    // Neither restarted nor changed by the dispatcher: rax is what the frame said.
    call.frame.call = u64::MAX;
    call.frame.site = 0;
    Ok(call.frame.rax)
}

/// The mask while the handler of `signal` runs, where `blocked` was blocked before.
pub(super) fn handler_mask(action: &Action, signal: u32, blocked: u64) -> u64 {
    let own = if action.flags & action_flag::NODEFER == 0 { bit(signal) } else { 0 };
    blocked | action.mask | own
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_survive_the_context() {
        let thread_words = {
            let mut frame = Frame::zeroed();
            frame.rax = 1;
            frame.r8 = 2;
            frame.r15 = 3;
            frame.rip = 0x4000;
            frame.rsp = 0x7000;
            frame.rflags = 0x246;
            let mut words = [0; CONTEXT_WORDS];
            words[CONTEXT_REGISTERS] = frame.r8;
            words[CONTEXT_REGISTERS + 7] = frame.r15;
            words[CONTEXT_REGISTERS + 13] = frame.rax;
            words[CONTEXT_REGISTERS + 15] = frame.rsp;
            words[CONTEXT_REGISTERS + 16] = frame.rip;
            // A hostile frame asks for IOPL 3 and virtual-8086 mode.
            words[CONTEXT_REGISTERS + 17] = frame.rflags | 0x2_3000;
            words
        };
        let mut frame = Frame::zeroed();
        restore_registers(&mut frame, &thread_words);
        assert_eq!([frame.rax, frame.r8, frame.r15, frame.rip, frame.rsp], [1, 2, 3, 0x4000, 0x7000]);
        assert_eq!(frame.rflags, 0x246);
    }

    #[test]
    fn the_frame_has_the_kernels_size() {
        assert_eq!(FRAME_SIZE, 440);
    }

    #[test]
    fn a_handler_blocks_its_own_signal_unless_told_not_to() {
        let mut action = Action { mask: 4, ..Action::default() };
        assert_eq!(handler_mask(&action, 1, 8), 8 | 4 | 1);
        action.flags = action_flag::NODEFER;
        assert_eq!(handler_mask(&action, 1, 8), 8 | 4);
    }
}
