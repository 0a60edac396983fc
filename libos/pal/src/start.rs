//! Start: from the first instruction of the image, alone in a new process, to the personality on shared memory.
//!
//! The host mapped the image privately. This code moves the writable data into the arena and maps that over itself;
//! maps start-up block, thread areas and heap from the arena; installs the host signal handlers and then the seccomp
//! filter; and only then calls [`crate::entry::Kernel::boot`]. No app byte has been read before the filter is in force.

use crate::errno::Result;
use crate::handle::Handle;
use crate::heap::Heap;
use crate::host::{self, number};
use crate::{clock, entry, exception, mem, report, thread};
use core::arch::global_asm;
use postern_abi::boot::{Boot, MAGIC};
use postern_abi::layout::{
    BOOT_BASE, BOOT_SIZE, CHANGES, HEAP_BASE, HEAP_SIZE, KERNEL_BASE, MAX_THREADS, THREAD_STRIDE,
    THREADS_BASE, arena_offset, handle,
};
use zerocopy::FromBytes;

const PROT_R: usize = 1;
const PROT_RW: usize = 3;
const PROT_X: usize = 4;
const MAP_SHARED: usize = 1;
const MAP_FIXED: usize = 0x10;
const MAP_NORESERVE: usize = 0x4000;

global_asm!(
    ".pushsection .text.postern_start, \"ax\", @progbits",
    ".global _pal_start",
    "_pal_start:",
    "xor ebp, ebp",
    "mov rdi, rsp",
    "and rsp, -16",
    "call pal_start_rust",
    "ud2",
    // fn(frame): leaves the host's first stack for the kernel stack.
    ".global pal_start_on",
    "pal_start_on:",
    "mov rsp, rdi",
    "call pal_start_on_kernel_stack",
    "ud2",
    ".popsection",
);

unsafe extern "C" {
    fn pal_start_on(frame: usize) -> !;
}

/// What the image's `_start` must provide.
pub trait Image {
    /// The global allocator.
    fn heap(&self) -> &'static Heap;
    /// Calls [`entry::install`].
    fn install(&self);
}

unsafe extern "Rust" {
    /// Defined by the image crate.
    safe fn postern_image() -> &'static dyn Image;
}

fn map_shared(fd: i32, addr: usize, len: usize, prot: usize, offset: usize) -> Result<usize> {
    let fd = usize::try_from(fd).unwrap_or(usize::MAX);
    let flags = MAP_SHARED | MAP_FIXED | MAP_NORESERVE;
    // SAFETY: start-up only: the caller maps parts of the kernel half that hold the same bytes as before, or nothing.
    unsafe { host::call(number::MMAP, [addr, len, prot, flags, fd, offset]) }
}

/// Has the host copy the page tables of a mapping of text or constants to forked children. It does that for private
/// mappings with a page that was written to; of others every child takes a page fault for each part that it runs. So
/// one page is written to, with what it holds.
fn keep_page_tables(addr: usize, len: usize, prot: usize) -> Result<()> {
    // SAFETY: start-up only, before any app byte is read: the same bytes stay mapped at every moment, executable where
    // this code runs.
    unsafe {
        host::call(number::MPROTECT, [addr, len, PROT_RW | PROT_X, 0, 0, 0])?;
        let first = core::ptr::with_exposed_provenance_mut::<u8>(addr);
        first.write_volatile(first.read_volatile());
        host::call(number::MPROTECT, [addr, len, prot, 0, 0, 0])?;
    }
    Ok(())
}

/// Makes the image fit to be shared by the family: its data moves to the arena.
fn share_image() -> Result<()> {
    // SAFETY: the linker script puts the ELF header and program headers at KERNEL_BASE, mapped by the host.
    let word =
        |at: usize| unsafe { core::ptr::with_exposed_provenance::<u64>(KERNEL_BASE + at).read_unaligned() };
    let to = |v: u64| usize::try_from(v).unwrap_or(0);
    let count = to(word(56) & 0xffff);
    let table = to(word(32));
    for i in 0..count {
        let at = table + i * 56;
        let (kind, flags) = (word(at) & 0xffff_ffff, to(word(at) >> 32));
        if kind != 1 {
            continue;
        }
        let (vaddr, filesz, memsz) = (to(word(at + 16)), to(word(at + 32)), to(word(at + 40)));
        let start = vaddr & !4095;
        let len = ((vaddr + memsz + 4095) & !4095) - start;
        if flags & 2 == 0 {
            let prot = PROT_R | if flags & 1 != 0 { PROT_X } else { 0 };
            // A host may forbid memory that is writable and executable: slower forks, and just as right.
            let _ = keep_page_tables(start, len, prot);
        } else {
            // Writable data: to the arena by a write, which needs no second mapping.
            let iov: [usize; 2] = [vaddr, filesz];
            let arena = usize::try_from(handle::ARENA).unwrap_or(0);
            let position = arena_offset(vaddr);
            // SAFETY: the host reads our own initialised data.
            unsafe { host::call(number::PWRITEV2, [arena, iov.as_ptr().addr(), 1, position, 0, 0]) }?;
            map_shared(handle::ARENA, start, len, PROT_RW, arena_offset(start))?;
        }
    }
    Ok(())
}

fn auxiliary(stack: usize, wanted: u64) -> u64 {
    let mut at = stack;
    // SAFETY: the host's initial stack: argc, argv, NULL, envp, NULL, then pairs up to AT_NULL.
    unsafe {
        let next = |at: &mut usize| {
            let word = core::ptr::with_exposed_provenance::<u64>(*at).read();
            *at += 8;
            word
        };
        let argc = next(&mut at);
        at += usize::try_from(argc).unwrap_or(0) * 8 + 8;
        while next(&mut at) != 0 {}
        loop {
            let (key, value) = (next(&mut at), next(&mut at));
            if key == wanted {
                return value;
            }
            if key == 0 {
                return 0;
            }
        }
    }
}

#[unsafe(no_mangle)]
extern "C" fn pal_start_rust(stack: usize) -> ! {
    let vdso = usize::try_from(auxiliary(stack, 33)).unwrap_or(0);
    if share_image().is_err() {
        report::panic("the image could not be mapped");
    }
    let mapped =
        map_shared(handle::ARENA, BOOT_BASE, BOOT_SIZE + CHANGES * 4, PROT_R, arena_offset(BOOT_BASE))
            .and_then(|_| {
                let len = MAX_THREADS * THREAD_STRIDE;
                map_shared(handle::ARENA, THREADS_BASE, len, PROT_RW, arena_offset(THREADS_BASE))
            })
            .and_then(|_| map_shared(handle::ARENA, HEAP_BASE, HEAP_SIZE, PROT_RW, arena_offset(HEAP_BASE)));
    if mapped.is_err() {
        report::panic("the arena could not be mapped");
    }
    mem::set_arena(Handle::from_number(handle::ARENA));
    if !crate::heap::claim(postern_image().heap()) {
        report::panic("the heap could not be made");
    }
    // SAFETY: the value is what the host gave.
    if let Some(function) = unsafe { clock::find_in_vdso(vdso, b"__vdso_clock_gettime") } {
        clock::set_vdso(function);
        mem::keep(vdso.saturating_sub(0x1_0000), vdso + 0x4000);
    }
    exception::install();
    const GETPID: usize = 39;
    // SAFETY: asks only.
    let pid = unsafe { host::call(GETPID, [0; 6]) }.unwrap_or(1);
    // SAFETY: the first and only thread.
    match unsafe { thread::adopt_keeper(u32::try_from(pid).unwrap_or(1)) } {
        // SAFETY: the frame is the top of a fresh kernel stack.
        Ok(frame) => unsafe { pal_start_on(frame) },
        Err(_) => report::panic("no thread area for the keeper"),
    }
}

#[unsafe(no_mangle)]
extern "C" fn pal_start_on_kernel_stack() -> ! {
    // SAFETY: BOOT_SIZE bytes are mapped read-only there for the life of the family.
    let block = unsafe { core::slice::from_raw_parts(BOOT_BASE as *const u8, BOOT_SIZE) };
    let Ok((boot, _)) = Boot::read_from_prefix(block) else { report::panic("no start-up block") };
    if boot.magic != MAGIC || boot.version != postern_abi::VERSION {
        report::panic("the start-up block is of another version");
    }
    let block = block.get(..usize::try_from(boot.len).unwrap_or(0)).unwrap_or(block);
    mem::reset_user_half();
    // The image handle has served.
    drop(Handle::from_number(handle::IMAGE));
    if install_filter(boot.filter.of(block)).is_err() {
        report::panic("the seccomp filter could not be installed");
    }
    postern_image().install();
    entry::kernel().boot(block);
    entry::kernel().keeper();
    report::panic("the keeper ended")
}

fn install_filter(filter: &[u8]) -> Result<()> {
    #[repr(C)]
    struct Program {
        len: u16,
        pad: [u16; 3],
        instructions: usize,
    }
    let len = u16::try_from(filter.len() / 8).unwrap_or(0);
    let program = Program { len, pad: [0; 3], instructions: filter.as_ptr().addr() };
    const PR_SET_NO_NEW_PRIVS: usize = 38;
    // SAFETY: the host only reads the program.
    unsafe {
        host::call(number::PRCTL, [PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0])?;
        host::call(number::SECCOMP, [1, 0, core::ptr::from_ref(&program).addr(), 0, 0, 0])?;
    }
    Ok(())
}
