//! How control enters the library OS from app code and how it goes back.
//!
//! Ways in: a patched call site (`pal_entry`, a plain jump), a `syscall` instruction that the filter trapped
//! (`pal_trap_entry`, after the host's signal handler filled the frame), a kick (`pal_kick_entry`) and a fault
//! (`pal_fault_entry`). One way out, `pal_exit`, which first looks for pending work. All of the app's registers are
//! in the [`Frame`] at the top of the thread's kernel stack and stay there until the last instruction, so a kick
//! that arrives on the way out simply starts the way out again.
//!
//! In the kernel half GS is the thread's control block, and in app code too unless the app has set a GS base (by
//! arch_prctl(2), or by the instruction, as WebAssembly runtimes do): then the way out puts that one back, and the next
//! way in finds the control block again by the help of a signal handler, which knows it by its stack.

use crate::frame::{Exception, Frame, flag};
use crate::sync::Once;
use crate::thread::{self, Control, Task};
use core::arch::{asm, global_asm};
use core::sync::atomic::{AtomicU64, Ordering};
use postern_abi::layout::{MAX_THREADS, THREAD_STRIDE, THREADS_BASE};

/// The personality: what the platform layer calls.
pub trait Kernel: Sync {
    /// The keeper starts: `block` is the start-up block. Returns only in the keeper's main thread, which then runs
    /// [`Kernel::keeper`].
    fn boot(&self, block: &'static [u8]);
    /// The keeper's main loop. Must not return.
    fn keeper(&self);
    /// A new thread of an app is about to enter app code for the first time (in its own process).
    fn thread_started(&self, task: &Task, frame: &mut Frame);
    /// A system call: number in `frame.call` and `frame.rax`, arguments in `frame`.
    fn system_call(&self, task: &Task, frame: &mut Frame);
    /// App code faulted.
    fn exception(&self, task: &Task, frame: &mut Frame, exception: &Exception);
    /// The thread was kicked, or a call left work: handle signals before app code goes on.
    fn resume(&self, task: &Task, frame: &mut Frame);
    /// The thread was kicked while it waited in [`crate::thread::park`], which goes on waiting or not after this. Must
    /// be short and take no lock that somebody may wait with.
    fn parked(&self, task: &Task);
    /// A host child of this process ended (called in a signal handler: may only store to atomics and unpark).
    /// `by_itself`: it called exit, and was not killed.
    fn host_child_ended(&self, by_itself: bool);
}

static KERNEL: Once<&'static dyn Kernel> = Once::new();

/// Installs the personality. Once, before [`crate::start`] calls [`Kernel::boot`].
pub fn install(kernel: &'static dyn Kernel) {
    let _ = KERNEL.set(kernel);
}

pub(crate) fn kernel() -> &'static dyn Kernel {
    match KERNEL.get() {
        Some(kernel) => *kernel,
        None => crate::report::panic("no personality"),
    }
}

// Offsets in Control: 0 itself, 8 user rsp, 16 frame, 24 in_user, 28 pending, 32 the app's GS base. Offsets in Frame:
// see `frame.rs`; checked below.
const _: () = {
    assert!(core::mem::offset_of!(Frame, rsp) == 56);
    assert!(core::mem::offset_of!(Frame, r15) == 120);
    assert!(core::mem::offset_of!(Frame, rip) == 128);
    assert!(core::mem::offset_of!(Frame, rflags) == 136);
    assert!(core::mem::offset_of!(Frame, flags) == 144);
    assert!(core::mem::offset_of!(Frame, call) == 152);
    assert!(core::mem::offset_of!(Frame, site) == 160);
    assert!(core::mem::offset_of!(Frame, xmm) == 192);
    assert!(size_of::<Frame>() == 448);
    assert!(core::mem::offset_of!(Control, in_user) == 24);
    assert!(core::mem::offset_of!(Control, pending) == 28);
    assert!(core::mem::offset_of!(Control, user_gs) == 32);
    // What `pal_entry` compares GS with: all thread areas, and nothing else, are in one piece of 1 GiB.
    assert!(THREADS_BASE >> 30 == 0xa801 && THREADS_BASE.trailing_zeros() >= 30);
    assert!(MAX_THREADS * THREAD_STRIDE == 1 << 30);
};

global_asm!(
    ".pushsection .text.postern_entry, \"ax\", @progbits",
    ".p2align 6",
    // From a patched site: rax = number, rcx = where to continue, rsp = the app's. r11 is free.
    ".global pal_entry",
    ".global pal_entry_found",
    ".type pal_entry, @function",
    "pal_entry:",
    // The app may have a GS base of its own.
    "rdgsbase r11",
    "shr r11, 30",
    "cmp r11, 0xa801",
    "jne pal_entry_lost",
    "mov qword ptr gs:[32], 0",
    "pal_entry_found:",
    "mov gs:[8], rsp",
    "mov rsp, gs:[16]",
    "mov [rsp], rax",
    "mov [rsp + 8], rbx",
    "mov [rsp + 16], rcx",
    "mov [rsp + 24], rdx",
    "mov [rsp + 32], rsi",
    "mov [rsp + 40], rdi",
    "mov [rsp + 48], rbp",
    "mov r11, gs:[8]",
    "mov [rsp + 56], r11",
    "mov [rsp + 64], r8",
    "mov [rsp + 72], r9",
    "mov [rsp + 80], r10",
    "mov [rsp + 96], r12",
    "mov [rsp + 104], r13",
    "mov [rsp + 112], r14",
    "mov [rsp + 120], r15",
    "mov [rsp + 128], rcx",
    "pushfq",
    "pop r11",
    "cld",
    "mov qword ptr [rsp + 144], 0",
    "test r11d, 0x40000",
    "jnz 5f",
    "6:",
    "mov [rsp + 136], r11",
    "mov [rsp + 88], r11",
    "xor r11d, r11d",
    "mov [rsp + 152], rax",
    "mov [rsp + 160], r11",
    "movaps [rsp + 192], xmm0",
    "movaps [rsp + 208], xmm1",
    "movaps [rsp + 224], xmm2",
    "movaps [rsp + 240], xmm3",
    "movaps [rsp + 256], xmm4",
    "movaps [rsp + 272], xmm5",
    "movaps [rsp + 288], xmm6",
    "movaps [rsp + 304], xmm7",
    "movaps [rsp + 320], xmm8",
    "movaps [rsp + 336], xmm9",
    "movaps [rsp + 352], xmm10",
    "movaps [rsp + 368], xmm11",
    "movaps [rsp + 384], xmm12",
    "movaps [rsp + 400], xmm13",
    "movaps [rsp + 416], xmm14",
    "movaps [rsp + 432], xmm15",
    ".global pal_trap_entry",
    "pal_trap_entry:",
    "mov dword ptr gs:[24], 0",
    "mov rdi, rsp",
    "call pal_system_call_rust",
    // The way out. rsp = frame.
    ".global pal_exit",
    "pal_exit:",
    // Not fenced: see `thread::kick`.
    "mov dword ptr gs:[24], 1",
    "cmp dword ptr gs:[28], 0",
    "jne pal_exit_work",
    "test qword ptr [rsp + 144], 3",
    "jnz 2f",
    "cmp qword ptr gs:[32], 0",
    "jne 2f",
    "movaps xmm0, [rsp + 192]",
    "movaps xmm1, [rsp + 208]",
    "movaps xmm2, [rsp + 224]",
    "movaps xmm3, [rsp + 240]",
    "movaps xmm4, [rsp + 256]",
    "movaps xmm5, [rsp + 272]",
    "movaps xmm6, [rsp + 288]",
    "movaps xmm7, [rsp + 304]",
    "movaps xmm8, [rsp + 320]",
    "movaps xmm9, [rsp + 336]",
    "movaps xmm10, [rsp + 352]",
    "movaps xmm11, [rsp + 368]",
    "movaps xmm12, [rsp + 384]",
    "movaps xmm13, [rsp + 400]",
    "movaps xmm14, [rsp + 416]",
    "movaps xmm15, [rsp + 432]",
    "mov rax, [rsp]",
    "mov rbx, [rsp + 8]",
    "mov rdx, [rsp + 24]",
    "mov rsi, [rsp + 32]",
    "mov rdi, [rsp + 40]",
    "mov rbp, [rsp + 48]",
    "mov r8, [rsp + 64]",
    "mov r9, [rsp + 72]",
    "mov r10, [rsp + 80]",
    "mov r11, [rsp + 136]",
    "mov r12, [rsp + 96]",
    "mov r13, [rsp + 104]",
    "mov r14, [rsp + 112]",
    "mov r15, [rsp + 120]",
    "mov rcx, [rsp + 128]",
    "mov rsp, [rsp + 56]",
    "jmp rcx",
    // Everything is restored, by iretq (which works from user mode to user mode).
    "2:",
    "test qword ptr [rsp + 144], 2",
    "jz 3f",
    "mov rcx, gs:[0]",
    // All but the rights of protection keys (bit 9): those are the thread's, by which the host makes pages that can
    // only be executed.
    "mov eax, 0xfffffdff",
    "mov edx, -1",
    "xrstor64 [rcx + 0x1000]",
    "jmp 4f",
    "3:",
    "movaps xmm0, [rsp + 192]",
    "movaps xmm1, [rsp + 208]",
    "movaps xmm2, [rsp + 224]",
    "movaps xmm3, [rsp + 240]",
    "movaps xmm4, [rsp + 256]",
    "movaps xmm5, [rsp + 272]",
    "movaps xmm6, [rsp + 288]",
    "movaps xmm7, [rsp + 304]",
    "movaps xmm8, [rsp + 320]",
    "movaps xmm9, [rsp + 336]",
    "movaps xmm10, [rsp + 352]",
    "movaps xmm11, [rsp + 368]",
    "movaps xmm12, [rsp + 384]",
    "movaps xmm13, [rsp + 400]",
    "movaps xmm14, [rsp + 416]",
    "movaps xmm15, [rsp + 432]",
    // From here on without GS, if the app has its own. A signal that comes now finds the thread's area by its stack.
    "4:",
    "mov rcx, gs:[32]",
    "test rcx, rcx",
    "jz 7f",
    "wrgsbase rcx",
    "7:",
    "mov rax, rsp",
    "mov ecx, ss",
    "push rcx",
    "push qword ptr [rax + 56]",
    "push qword ptr [rax + 136]",
    "mov ecx, cs",
    "push rcx",
    "push qword ptr [rax + 128]",
    "mov rbx, [rax + 8]",
    "mov rcx, [rax + 16]",
    "mov rdx, [rax + 24]",
    "mov rsi, [rax + 32]",
    "mov rdi, [rax + 40]",
    "mov rbp, [rax + 48]",
    "mov r8, [rax + 64]",
    "mov r9, [rax + 72]",
    "mov r10, [rax + 80]",
    "mov r11, [rax + 88]",
    "mov r12, [rax + 96]",
    "mov r13, [rax + 104]",
    "mov r14, [rax + 112]",
    "mov r15, [rax + 120]",
    "mov rax, [rax]",
    ".global pal_exit_return",
    "pal_exit_return:",
    "iretq",
    ".global pal_exit_end",
    "pal_exit_end:",
    ".global pal_exit_work",
    "pal_exit_work:",
    "mov dword ptr gs:[24], 0",
    "mov rdi, rsp",
    "call pal_resume_rust",
    "jmp pal_exit",
    // GS is the app's: the handler of this fault gives the thread its own and goes on.
    ".global pal_entry_lost",
    "pal_entry_lost:",
    "ud2",
    // The app has alignment checks on, which compiled code does not stand. The way out puts them back.
    "5:",
    "mov qword ptr [rsp + 144], 1",
    "pushfq",
    "and dword ptr [rsp], 0xfffbffff",
    "popfq",
    "jmp 6b",
    // Handler of host signals: the host leaves alignment checks on as well.
    ".global pal_host_signal_entry",
    "pal_host_signal_entry:",
    "pushfq",
    "and dword ptr [rsp], 0xfffbffff",
    "popfq",
    "jmp pal_host_signal",
    // A kick diverted app code; the frame is full.
    ".global pal_kick_entry",
    "pal_kick_entry:",
    "jmp pal_exit_work",
    // App code faulted; the frame is full and the control block says how.
    ".global pal_fault_entry",
    "pal_fault_entry:",
    "mov dword ptr gs:[24], 0",
    "mov rdi, rsp",
    "call pal_exception_rust",
    "jmp pal_exit",
    // A new thread, on its kernel stack: the control block and the FS base are on it, the frame above them.
    ".global pal_child_start",
    "pal_child_start:",
    "pop rdi",
    "pop rax",
    "wrgsbase rdi",
    "wrfsbase rax",
    "call pal_child_rust",
    "mov rsp, gs:[16]",
    "jmp pal_exit",
    ".global pal_entry_end",
    "pal_entry_end:",
    ".popsection",
);

unsafe extern "C" {
    pub(crate) safe static pal_trap_entry: u8;
    pub(crate) safe static pal_kick_entry: u8;
    pub(crate) safe static pal_fault_entry: u8;
    pub(crate) safe static pal_exit: u8;
    pub(crate) safe static pal_exit_end: u8;
    pub(crate) safe static pal_exit_work: u8;
    pub(crate) safe static pal_exit_return: u8;
    pub(crate) safe static pal_host_signal_entry: u8;
    pub(crate) safe static pal_entry_lost: u8;
    pub(crate) safe static pal_entry_found: u8;
    safe static pal_entry: u8;
}

/// Address that patched call sites jump to.
#[must_use]
pub fn entry_address() -> usize {
    (&raw const pal_entry).addr()
}

fn finish(control: &Control) {
    thread::apply_switch(control);
    if !thread::check_canary(control) {
        crate::report::panic("a kernel stack overflowed");
    }
}

fn task_of(control: &Control) -> &'static Task {
    let _ = control;
    // The task stays until this thread switches or exits, which happens between calls into the personality only.
    match thread::with_task(|task| task.map(core::ptr::from_ref)) {
        // SAFETY: see above: the reference outlives the call it is used for.
        Some(task) => unsafe { &*task },
        None => crate::report::panic("a thread without a task entered the kernel half"),
    }
}

#[unsafe(no_mangle)]
extern "C" fn pal_system_call_rust(frame: &mut Frame) {
    let control = thread::current_control();
    kernel().system_call(task_of(control), frame);
    finish(control);
}

#[unsafe(no_mangle)]
extern "C" fn pal_resume_rust(frame: &mut Frame) {
    let control = thread::current_control();
    control.pending.store(0, Ordering::SeqCst);
    kernel().resume(task_of(control), frame);
    finish(control);
}

#[unsafe(no_mangle)]
extern "C" fn pal_exception_rust(frame: &mut Frame) {
    let control = thread::current_control();
    // SAFETY: written by the signal handler of this very thread, which has returned.
    let exception = unsafe { *control.exception.get() };
    kernel().exception(task_of(control), frame, &exception);
    finish(control);
}

pub(crate) fn thread_started(control: &'static Control) {
    let at = core::ptr::from_ref(control).addr() + thread::FRAME;
    // SAFETY: the frame at the top of this thread's kernel stack, which only this thread uses now.
    let frame = unsafe { &mut *core::ptr::with_exposed_provenance_mut::<Frame>(at) };
    kernel().thread_started(task_of(control), frame);
    finish(control);
}

/// Saves the floating-point state: the registers as they are, with the app's xmm from the frame.
pub(crate) fn save_fp(frame: &Frame, at: usize) {
    let xmm = frame.xmm.as_ptr();
    let features = u32::try_from(fp_features()).unwrap_or(u32::MAX);
    // SAFETY: `at` is the thread's 64-byte aligned save area of 16 KiB, larger than any XSAVE state of x86-64 CPUs
    // that Linux enables by default. The library OS uses SSE registers only, so the upper halves are the app's.
    unsafe {
        let header = core::ptr::with_exposed_provenance_mut::<[u64; 8]>(at + 512);
        header.write([0; 8]);
        asm!(
            "movaps xmm0, [{x}]", "movaps xmm1, [{x} + 16]", "movaps xmm2, [{x} + 32]", "movaps xmm3, [{x} + 48]",
            "movaps xmm4, [{x} + 64]", "movaps xmm5, [{x} + 80]", "movaps xmm6, [{x} + 96]",
            "movaps xmm7, [{x} + 112]", "movaps xmm8, [{x} + 128]", "movaps xmm9, [{x} + 144]",
            "movaps xmm10, [{x} + 160]", "movaps xmm11, [{x} + 176]", "movaps xmm12, [{x} + 192]",
            "movaps xmm13, [{x} + 208]", "movaps xmm14, [{x} + 224]", "movaps xmm15, [{x} + 240]",
            "xsave64 [{at}]",
            x = in(reg) xmm, at = in(reg) at, in("eax") features, in("edx") 0,
            out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _, out("xmm4") _, out("xmm5") _,
            out("xmm6") _, out("xmm7") _, out("xmm8") _, out("xmm9") _, out("xmm10") _, out("xmm11") _,
            out("xmm12") _, out("xmm13") _, out("xmm14") _, out("xmm15") _,
        );
        *thread::current_control().fp_len.get() = fp_size();
    }
}

/// Tile data of AMX: the host gives it only to processes that ask for it, which ours cannot, and leaves it out of
/// signal frames. With it a frame would be too large for the signal stacks that programs have.
const TILE_DATA: u64 = 1 << 18;
/// The rights of memory protection keys are part of the XSAVE state. Apps have no keys of their own, and rights that
/// exclude key 0 would lock the library OS out of its own memory; the way out leaves the thread's rights as they are.
const PROTECTION_KEYS: u64 = 1 << 9;
/// Configuration of AMX tiles: a wrong one makes XRSTOR fault, and without tile data nothing can be made of it.
const TILE_CONFIGURATION: u64 = 1 << 17;

/// Features in the low half and size in the high half, once they are known: asking the CPU is slow under
/// virtualisation.
static FP_LAYOUT: AtomicU64 = AtomicU64::new(0);

fn fp_layout() -> (u64, usize) {
    let known = FP_LAYOUT.load(Ordering::Relaxed);
    let known = if known != 0 { known } else { ask_fp_layout() };
    (known & 0xffff_ffff, usize::try_from(known >> 32).unwrap_or(0))
}

#[cold]
fn ask_fp_layout() -> u64 {
    let low: u32;
    // SAFETY: reads a register; the host enabled XSAVE, or a signal frame would have no such state. All features that
    // exist are in the low half.
    unsafe {
        asm!("xgetbv", in("ecx") 0, out("eax") low, out("edx") _, options(nomem, nostack, preserves_flags))
    };
    let features = u64::from(low) & !TILE_DATA;
    let mut size = 576;
    for feature in (2..32).filter(|feature| features & (1 << feature) != 0) {
        let component = core::arch::x86_64::__cpuid_count(0xd, feature);
        size = size.max(u64::from(component.ebx) + u64::from(component.eax));
    }
    let size = size.min((thread::SIGNAL_STACK - thread::FP_AREA) as u64);
    let layout = features | (size << 32);
    FP_LAYOUT.store(layout, Ordering::Relaxed);
    layout
}

/// Bytes of the XSAVE state of an app.
#[must_use]
pub fn fp_size() -> usize {
    fp_layout().1
}

/// Feature bits of the XSAVE state of an app.
#[must_use]
pub fn fp_features() -> u64 {
    fp_layout().0
}

/// Puts `bytes` into the save area and makes sure that XRSTOR accepts it.
pub(crate) fn load_fp(frame: &mut Frame, bytes: &[u8]) {
    let control = thread::current_control();
    let at = core::ptr::from_ref(control).addr() + thread::FP_AREA;
    // SAFETY: the thread's own save area.
    let area = unsafe {
        core::slice::from_raw_parts_mut(
            core::ptr::with_exposed_provenance_mut::<u8>(at),
            thread::SIGNAL_STACK - thread::FP_AREA,
        )
    };
    let size = fp_size();
    let have = bytes.len().min(size);
    if have < 512 {
        return;
    }
    let Some(target) = area.get_mut(..size) else { return };
    target.fill(0);
    if let (Some(target), Some(source)) = (target.get_mut(..have), bytes.get(..have)) {
        target.copy_from_slice(source);
    }
    // MXCSR: only bits that exist. XSTATE_BV: only enabled features, or x87 and SSE alone for a legacy image. The
    // rest of the header must be zero.
    let features = if have > 576 {
        let mut bv = [0; 8];
        bv.copy_from_slice(target.get(512..520).unwrap_or(&[0; 8]));
        u64::from_le_bytes(bv) & fp_features() & !(PROTECTION_KEYS | TILE_CONFIGURATION)
    } else {
        3
    };
    if let Some(mxcsr) = target.get_mut(26..28) {
        mxcsr.fill(0);
    }
    if let Some(header) = target.get_mut(512..576) {
        header.fill(0);
        if let Some(bv) = header.get_mut(..8) {
            bv.copy_from_slice(&features.to_le_bytes());
        }
    }
    // SAFETY: only this thread uses its own length.
    unsafe { *control.fp_len.get() = size };
    frame.flags |= flag::FP | flag::FULL;
}
