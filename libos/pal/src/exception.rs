//! Host signals: traps of system calls, faults, kicks and the end of host children.
//!
//! The handler runs on the thread's own signal stack with all signals blocked and does little: it copies the app's
//! registers to the thread's frame and makes the host's `rt_sigreturn` continue in the kernel half, on the kernel
//! stack. Nothing else of the library OS ever runs in signal context.

use crate::entry;
use crate::frame::{Exception, Frame, flag};
use crate::host::{self, number};
use crate::thread::{self, Control};
use crate::user;
use core::sync::atomic::Ordering;
use postern_abi::layout::{KERNEL_BASE, KERNEL_END, THREAD_STRIDE};

const SIGILL: usize = 4;
const SIGTRAP: usize = 5;
const SIGBUS: usize = 7;
const SIGFPE: usize = 8;
const SIGSEGV: usize = 11;
const SIGCHLD: usize = 17;
const SIGSYS: usize = 31;
const TRAP_FLAG: u64 = 0x100;
const ALIGNMENT_CHECK: u64 = 0x4_0000;
const AUDIT_ARCH_X86_64: u32 = 0xc000_003e;
/// `si_code` of a SIGCHLD for a child that called exit.
const CLD_EXITED: i32 = 1;

/// General registers in the host's `struct ucontext`, as `struct sigcontext` orders them.
#[repr(C)]
struct HostContext {
    flags: u64,
    link: u64,
    stack: [u64; 3],
    r8: u64,
    r9: u64,
    r10: u64,
    r11: u64,
    r12: u64,
    r13: u64,
    r14: u64,
    r15: u64,
    rdi: u64,
    rsi: u64,
    rbp: u64,
    rbx: u64,
    rdx: u64,
    rax: u64,
    rcx: u64,
    rsp: u64,
    rip: u64,
    rflags: u64,
    segments: u64,
    error: u64,
    trap: u64,
    oldmask: u64,
    cr2: u64,
    fpstate: usize,
}

#[repr(C)]
struct HostInfo {
    signo: i32,
    errno: i32,
    code: i32,
    pad: i32,
    address: u64,
    /// SIGSYS: the number of the call, and `AUDIT_ARCH_*`.
    call: [u32; 2],
}

#[repr(C)]
struct HostAction {
    handler: usize,
    flags: u64,
    restorer: usize,
    mask: u64,
}

const SA_NOCLDWAIT: u64 = 2;
const SA_SIGINFO: u64 = 4;
const SA_ONSTACK: u64 = 0x0800_0000;
const SA_RESTORER: u64 = 0x0400_0000;

/// Installs the handlers. Start-up only: the filter forbids `rt_sigaction` later.
pub(crate) fn install() {
    for signal in [SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV, SIGCHLD, SIGSYS, thread::KICK] {
        let mut action = HostAction {
            handler: (&raw const entry::pal_host_signal_entry).addr(),
            flags: SA_SIGINFO | SA_ONSTACK | SA_RESTORER,
            restorer: (host::pal_signal_return as *const ()).addr(),
            mask: u64::MAX,
        };
        if signal == SIGCHLD {
            // Host children are reaped by the host itself.
            action.flags |= SA_NOCLDWAIT;
        }
        let at = core::ptr::from_ref(&action).addr();
        // SAFETY: the handler below is good for every one of these signals; the host copies the structure.
        let _ = unsafe { host::call(number::RT_SIGACTION, [signal, at, 0, 8, 0, 0]) };
    }
    // SIGPIPE and the like cannot be sent by us (MSG_NOSIGNAL), except by writing to a closed pipe: ignore it.
    let ignore = HostAction { handler: 1, flags: 0, restorer: 0, mask: 0 };
    // SAFETY: ignoring a signal.
    let _ =
        unsafe { host::call(number::RT_SIGACTION, [13, core::ptr::from_ref(&ignore).addr(), 0, 8, 0, 0]) };
}

fn in_kernel_half(address: u64) -> bool {
    (KERNEL_BASE as u64..KERNEL_END as u64).contains(&address)
}

fn between(address: u64, start: *const u8, end: *const u8) -> bool {
    (start.addr() as u64..end.addr() as u64).contains(&address)
}

/// Called by `pal_host_signal_entry`.
#[unsafe(no_mangle)]
extern "C" fn pal_host_signal(signal: i32, info: *mut HostInfo, context: *mut HostContext) {
    // SAFETY: the host passes pointers to its own frame on our signal stack, valid until we return.
    let (info, context) = unsafe { (&*info, &mut *context) };
    // The signal stack is inside the thread's area, so its address tells the area, whatever the app did to GS.
    let base = core::ptr::from_ref(context).addr() & !(THREAD_STRIDE - 1);
    // SAFETY: see above: a live thread area.
    let control = unsafe { &*core::ptr::with_exposed_provenance::<Control>(base) };
    let app_gs = thread::take_base(base);
    // The kernel half also runs the host's clock function, which lies in the user half.
    let in_kernel = in_kernel_half(context.rip) || control.in_user.load(Ordering::SeqCst) == 0;
    let interrupted = context.rip;
    if !in_kernel {
        control.user_gs.store(app_gs.unwrap_or(0), Ordering::Relaxed);
    }
    match usize::try_from(signal).unwrap_or(0) {
        // Not from the gate, or by the 32-bit `int 0x80`: not there.
        SIGSYS if in_kernel || info.call[1] != AUDIT_ARCH_X86_64 => context.rax = (-38i64).cast_unsigned(),
        SIGSYS => system_call(base, control, context),
        thread::KICK if in_kernel => {
            if between(context.rip, &raw const entry::pal_exit, &raw const entry::pal_exit_end) {
                continue_at(base, context, &raw const entry::pal_exit_work);
            }
        }
        thread::KICK => {
            save_all(base, control, context);
            continue_at(base, context, &raw const entry::pal_kick_entry);
        }
        SIGCHLD => entry::kernel().host_child_ended(info.code == CLD_EXITED),
        // An app that single-steps itself came here.
        SIGTRAP if in_kernel && context.rflags & TRAP_FLAG != 0 => context.rflags &= !TRAP_FLAG,
        // A call of an app that has a GS base of its own.
        SIGILL if context.rip == (&raw const entry::pal_entry_lost).addr() as u64 => {
            control.user_gs.store(app_gs.unwrap_or(0), Ordering::Relaxed);
            context.rip = (&raw const entry::pal_entry_found).addr() as u64;
        }
        signal if context.rip == (&raw const entry::pal_exit_return).addr() as u64 => {
            return_fault(signal, base, control, context);
        }
        signal if in_kernel => kernel_fault(signal, info, context),
        signal => {
            save_all(base, control, context);
            let exception = Exception {
                signal: u32::try_from(signal).unwrap_or(0),
                code: info.code,
                address: info.address,
                trap: [context.trap, context.error, context.cr2],
            };
            // SAFETY: only this thread reads it, after this handler returned.
            unsafe { *control.exception.get() = exception };
            continue_at(base, context, &raw const entry::pal_fault_entry);
        }
    }
    if let Some(app) = app_gs.filter(|_| context.rip == interrupted) {
        thread::give_base(app);
    }
}

/// Makes the host continue at `label` in the kernel half, with the frame as the stack.
fn continue_at(base: usize, context: &mut HostContext, label: *const u8) {
    context.rip = label.addr() as u64;
    context.rsp = (base + thread::FRAME) as u64;
    // Clear direction, trap and alignment-check flags.
    context.rflags &= !(0x400 | TRAP_FLAG | ALIGNMENT_CHECK);
}

fn frame_of(base: usize) -> &'static mut Frame {
    // SAFETY: the frame of this thread, which is in app code, so nothing in the kernel half uses it.
    unsafe { &mut *core::ptr::with_exposed_provenance_mut::<Frame>(base + thread::FRAME) }
}

fn save_general(frame: &mut Frame, c: &HostContext) {
    frame.rax = c.rax;
    frame.rbx = c.rbx;
    frame.rcx = c.rcx;
    frame.rdx = c.rdx;
    frame.rsi = c.rsi;
    frame.rdi = c.rdi;
    frame.rbp = c.rbp;
    frame.rsp = c.rsp;
    frame.r8 = c.r8;
    frame.r9 = c.r9;
    frame.r10 = c.r10;
    frame.r11 = c.r11;
    frame.r12 = c.r12;
    frame.r13 = c.r13;
    frame.r14 = c.r14;
    frame.r15 = c.r15;
    frame.rip = c.rip;
    frame.rflags = c.rflags;
}

fn system_call(base: usize, control: &Control, context: &mut HostContext) {
    let frame = frame_of(base);
    save_general(frame, context);
    // The instruction leaves its return address in rcx and the flags in r11.
    frame.rcx = context.rip;
    frame.r11 = context.rflags;
    // Alignment checks stay on over a system call.
    frame.flags = if context.rflags & ALIGNMENT_CHECK != 0 { flag::FULL } else { 0 };
    frame.call = context.rax;
    frame.site = context.rip.wrapping_sub(2);
    if context.fpstate != 0 {
        // SAFETY: fpstate points to the host's FXSAVE image; its xmm registers are at offset 160. Vector registers
        // themselves come back by the host's sigreturn, so the wide halves stay the app's.
        frame.xmm = unsafe {
            core::ptr::with_exposed_provenance::<[[u64; 2]; 16]>(context.fpstate + 160).read_unaligned()
        };
    }
    control.in_user.store(0, Ordering::SeqCst);
    continue_at(base, context, &raw const entry::pal_trap_entry);
}

fn save_all(base: usize, control: &Control, context: &mut HostContext) {
    let frame = frame_of(base);
    save_general(frame, context);
    frame.flags = flag::FULL;
    frame.call = u64::MAX;
    frame.site = 0;
    control.in_user.store(0, Ordering::SeqCst);
    if context.fpstate == 0 {
        return;
    }
    // The software-reserved bytes at offset 464 of the FXSAVE image tell how long the XSAVE image is.
    const MAGIC: u32 = 0x4650_5853;
    // SAFETY: the host's floating-point image on our signal stack: at least 512 bytes, and as long as it says.
    unsafe {
        let reserved = core::ptr::with_exposed_provenance::<[u32; 2]>(context.fpstate + 464).read_unaligned();
        let limit = thread::SIGNAL_STACK - thread::FP_AREA;
        let full = reserved[0] == MAGIC;
        let len = if full { entry::fp_size().min(limit) } else { 512 };
        let area = core::ptr::with_exposed_provenance_mut::<u8>(base + thread::FP_AREA);
        core::ptr::copy_nonoverlapping(core::ptr::with_exposed_provenance::<u8>(context.fpstate), area, len);
        if !full {
            area.add(512).cast::<[u64; 8]>().write([3, 0, 0, 0, 0, 0, 0, 0]);
        }
        *control.fp_len.get() = len.max(576);
    }
    frame.flags |= flag::FP;
}

/// The processor cannot go on where the app wants to: an address that is none. The fault is the app's, as when the
/// jump had been its own.
fn return_fault(signal: usize, base: usize, control: &Control, context: &mut HostContext) {
    const SI_KERNEL: i32 = 128;
    // The way out has left the frame as it was.
    let Frame { rip, rflags, rsp, .. } = *frame_of(base);
    save_all(base, control, context);
    let frame = frame_of(base);
    (frame.rip, frame.rflags, frame.rsp) = (rip, rflags, rsp);
    let exception = Exception {
        signal: u32::try_from(signal).unwrap_or(0),
        code: SI_KERNEL,
        address: 0,
        trap: [context.trap, context.error, 0],
    };
    // SAFETY: only this thread reads it, after this handler returned.
    unsafe { *control.exception.get() = exception };
    continue_at(base, context, &raw const entry::pal_fault_entry);
}

fn kernel_fault(signal: usize, info: &HostInfo, context: &mut HostContext) {
    if between(context.rip, &raw const user::pal_user_begin, &raw const user::pal_user_end) {
        context.rip = (&raw const user::pal_user_fault).addr() as u64;
        return;
    }
    crate::report::kernel_fault(signal, info.address, context.rip, context.rsp);
}
