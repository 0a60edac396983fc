//! Host system calls: the *direct* transport of the ABI. Every `syscall` instruction of the library OS is in the
//! section that this file puts at [`postern_abi::layout::GATE_BASE`].

use crate::errno::{Errno, Result};
use core::arch::global_asm;

global_asm!(
    ".pushsection .text.postern_gate, \"ax\", @progbits",
    ".global pal_host_call",
    ".type pal_host_call, @function",
    // fn(number, a1, a2, a3, a4, a5, a6) -> isize, System V calling convention.
    "pal_host_call:",
    "mov rax, rdi",
    "mov rdi, rsi",
    "mov rsi, rdx",
    "mov rdx, rcx",
    "mov r10, r8",
    "mov r8, r9",
    "mov r9, [rsp + 8]",
    "syscall",
    "ret",
    ".global pal_signal_return",
    ".type pal_signal_return, @function",
    // Where a host signal handler returns to.
    "pal_signal_return:",
    "mov eax, 15",
    "syscall",
    "ud2",
    ".global pal_clone",
    ".type pal_clone, @function",
    // fn(flags, stack, parent_tid, child_tid) -> isize. The child continues at pal_child_start on `stack`.
    "pal_clone:",
    "mov r10, rcx",
    "xor r8d, r8d",
    "mov eax, 56",
    "syscall",
    "test rax, rax",
    "jz pal_child_start",
    "ret",
    ".global pal_exit_host_thread",
    ".type pal_exit_host_thread, @function",
    // fn(state: *mut u32, value: u32) -> !. Stores `value` and ends the thread without touching its stack again.
    "pal_exit_host_thread:",
    "mov [rdi], esi",
    "xor edi, edi",
    "mov eax, 60",
    "syscall",
    "ud2",
    ".popsection",
);

unsafe extern "C" {
    fn pal_host_call(
        number: usize,
        a1: usize,
        a2: usize,
        a3: usize,
        a4: usize,
        a5: usize,
        a6: usize,
    ) -> isize;
    /// See the assembly above.
    pub(crate) fn pal_clone(flags: usize, stack: usize, parent_tid: usize, child_tid: usize) -> isize;
    pub(crate) fn pal_exit_host_thread(state: *mut u32, value: u32) -> !;
    pub(crate) fn pal_signal_return();
}

/// Host system call numbers that the seccomp filter allows, and, below, those that only start-up uses.
pub(crate) mod number {
    pub const MMAP: usize = 9;
    pub const MPROTECT: usize = 10;
    pub const MUNMAP: usize = 11;
    pub const MREMAP: usize = 25;
    pub const MADVISE: usize = 28;
    pub const CLOSE: usize = 3;
    pub const SENDMSG: usize = 46;
    pub const RECVMSG: usize = 47;
    pub const FTRUNCATE: usize = 77;
    pub const SIGALTSTACK: usize = 131;
    pub const FUTEX: usize = 202;
    pub const CLOCK_GETTIME: usize = 228;
    pub const TGKILL: usize = 234;
    pub const PPOLL: usize = 271;
    pub const FALLOCATE: usize = 285;
    pub const PREADV2: usize = 327;
    pub const PWRITEV2: usize = 328;

    pub const RT_SIGACTION: usize = 13;
    pub const PRCTL: usize = 157;
    pub const SECCOMP: usize = 317;
}

/// Makes a host system call.
///
/// # Safety
/// The call must be sound with these arguments: it must not unmap, remap or overwrite memory that Rust code relies
/// on, and pointers must be good for what the call does with them.
///
/// # Errors
/// The host's error.
pub(crate) unsafe fn call(number: usize, args: [usize; 6]) -> Result<usize> {
    // SAFETY: the caller vouches for the call itself; the stub follows the C calling convention.
    let value = unsafe { pal_host_call(number, args[0], args[1], args[2], args[3], args[4], args[5]) };
    Errno::check(value)
}
