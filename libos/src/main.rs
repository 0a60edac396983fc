//! The library OS image: joins the platform layer, the Linux personality and the display server into one static
//! program without libc, linked at a fixed address by `image.ld`.
#![no_std]
#![no_main]

use core::arch::global_asm;
use postern_pal::heap::{self, Heap};
use postern_pal::start::Image;

#[global_allocator]
static HEAP: Heap = heap::new();

struct TheImage;

impl Image for TheImage {
    fn heap(&self) -> &'static Heap {
        &HEAP
    }

    fn install(&self) {
        postern_linux::kernel::install();
    }
}

/// What the platform layer's start code asks of the image.
#[unsafe(no_mangle)]
extern "Rust" fn postern_image() -> &'static dyn Image {
    &TheImage
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    postern_pal::report::rust_panic(info)
}

// The prebuilt core library refers to the unwinder, which never runs here: panics abort.
global_asm!(
    ".global rust_eh_personality",
    "rust_eh_personality: ud2",
    ".global _Unwind_Resume",
    "_Unwind_Resume: ud2",
    // The memory functions that the compiler calls. `rep movsb` is fast on every CPU with ERMS; short copies are
    // mostly inlined by the compiler.
    ".global memcpy",
    ".type memcpy, @function",
    "memcpy:",
    "mov rax, rdi",
    "cmp rdx, 32",
    "ja 2f",
    "cmp rdx, 16",
    "jae 3f",
    "cmp rdx, 8",
    "jae 4f",
    "cmp rdx, 4",
    "jae 5f",
    "test rdx, rdx",
    "jz 6f",
    "movzx ecx, byte ptr [rsi]",
    "movzx r8d, byte ptr [rsi + rdx - 1]",
    "cmp rdx, 2",
    "jbe 7f",
    "movzx r9d, byte ptr [rsi + 1]",
    "mov [rdi + 1], r9b",
    "7: mov [rdi], cl",
    "mov [rdi + rdx - 1], r8b",
    "6: ret",
    "5: mov ecx, [rsi]",
    "mov r8d, [rsi + rdx - 4]",
    "mov [rdi], ecx",
    "mov [rdi + rdx - 4], r8d",
    "ret",
    "4: mov rcx, [rsi]",
    "mov r8, [rsi + rdx - 8]",
    "mov [rdi], rcx",
    "mov [rdi + rdx - 8], r8",
    "ret",
    "3: movups xmm0, [rsi]",
    "movups xmm1, [rsi + rdx - 16]",
    "movups [rdi], xmm0",
    "movups [rdi + rdx - 16], xmm1",
    "ret",
    "2: cmp rdx, 512",
    "ja 8f",
    // 33 to 512 bytes: 32 at a time, then the overlapping tail.
    "lea r9, [rsi + rdx - 32]",
    "lea r10, [rdi + rdx - 32]",
    "movups xmm2, [r9]",
    "movups xmm3, [r9 + 16]",
    "9: movups xmm0, [rsi]",
    "movups xmm1, [rsi + 16]",
    "movups [rdi], xmm0",
    "movups [rdi + 16], xmm1",
    "add rsi, 32",
    "add rdi, 32",
    "cmp rdi, r10",
    "jb 9b",
    "movups [r10], xmm2",
    "movups [r10 + 16], xmm3",
    "ret",
    "8: mov rcx, rdx",
    "rep movsb",
    "ret",
    ".global memmove",
    ".type memmove, @function",
    "memmove:",
    "mov rcx, rdi",
    "sub rcx, rsi",
    "cmp rcx, rdx",
    "jae 2f",
    // The destination begins inside the source: backwards.
    "mov rax, rdi",
    "lea rsi, [rsi + rdx]",
    "lea rdi, [rdi + rdx]",
    "3: cmp rdx, 8",
    "jb 4f",
    "sub rsi, 8",
    "sub rdi, 8",
    "mov rcx, [rsi]",
    "mov [rdi], rcx",
    "sub rdx, 8",
    "jmp 3b",
    "4: test rdx, rdx",
    "jz 5f",
    "dec rsi",
    "dec rdi",
    "mov cl, [rsi]",
    "mov [rdi], cl",
    "dec rdx",
    "jmp 4b",
    "5: ret",
    // Forwards, but the ranges may overlap closer than a vector: byte moves are right for any distance.
    "2: mov rax, rdi",
    "mov rcx, rdx",
    "rep movsb",
    "ret",
    ".global memset",
    ".type memset, @function",
    "memset:",
    "mov r9, rdi",
    "mov eax, esi",
    "mov rcx, rdx",
    "rep stosb",
    "mov rax, r9",
    "ret",
    ".global memcmp",
    ".type memcmp, @function",
    ".global bcmp",
    "memcmp:",
    "bcmp:",
    "xor ecx, ecx",
    "2: lea r8, [rcx + 8]",
    "cmp r8, rdx",
    "ja 3f",
    "mov r9, [rdi + rcx]",
    "cmp r9, [rsi + rcx]",
    "jne 3f",
    "mov rcx, r8",
    "jmp 2b",
    "3: cmp rcx, rdx",
    "jae 4f",
    "movzx eax, byte ptr [rdi + rcx]",
    "movzx r8d, byte ptr [rsi + rcx]",
    "sub eax, r8d",
    "jne 5f",
    "inc rcx",
    "jmp 3b",
    "4: xor eax, eax",
    "5: ret",
    ".global strlen",
    "strlen:",
    "xor eax, eax",
    "2: cmp byte ptr [rdi + rax], 0",
    "je 3f",
    "inc rax",
    "jmp 2b",
    "3: ret",
);
