//! The vDSO that programs get (vdso(7)): an ELF shared object of our own with `clock_gettime` and its relatives, so
//! that programs read clocks without entering the library OS.
//!
//! It is one page, built once and mapped into every program. It never names the host kernel's vDSO itself: its
//! functions jump through a word of the kernel half, which a family that resumes elsewhere can change.

use super::space::{AddressSpace, Kind, PAGE};
use crate::fs::{FileOps, Mapping, Metadata, OpenFile};
use crate::{Once, Result};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use postern_pal::clock;
use postern_pal::mem::{Slot, bits};

/// The page as a file, so that it is mapped and listed like any other.
struct Page(Arc<Slot>);

impl FileOps for Page {
    fn metadata(&self) -> Result<Metadata> {
        Ok(Metadata { mode: 0o100_555, size: PAGE as u64, ..Metadata::default() })
    }

    fn mapping(&self) -> Result<Mapping> {
        Ok(Mapping::Slot(self.0.clone()))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

static FILE: Once<Arc<OpenFile>> = Once::new();

/// Maps the vDSO. Returns the address of its ELF header, for `AT_SYSINFO_EHDR`; `None` where there is none and
/// programs ask by system call.
#[must_use]
pub fn map(space: &AddressSpace) -> Option<usize> {
    if FILE.get().is_none() {
        let slot = Arc::new(Slot::new().ok()?);
        slot.write(&build(clock::vdso_pointer() as u64), 0).ok()?;
        let _ = FILE.set(OpenFile::new(Arc::new(Page(slot)), 0));
    }
    let file = FILE.get()?.clone();
    let prot = bits::PROT_READ | bits::PROT_EXEC;
    space.map(0, PAGE, prot, bits::MAP_PRIVATE, Some((file, 0)), Kind::Vdso).ok()
}

/// Offsets of the parts of the page.
const TEXT: usize = 0x800;
const STRINGS: &[u8] =
    b"\0linux-vdso.so.1\0LINUX_2.6\0__vdso_clock_gettime\0__vdso_gettimeofday\0__vdso_time\0__vdso_clock_getres\0";

fn string(name: &[u8]) -> u32 {
    let found = STRINGS.windows(name.len() + 1).position(|w| w.split_last() == Some((&0, name)));
    u32::try_from(found.unwrap_or(0)).unwrap_or(0)
}

/// The hash of the System V ABI, for `DT_HASH` and version definitions.
fn elf_hash(name: &[u8]) -> u32 {
    name.iter().fold(0u32, |hash, byte| {
        let hash = (hash << 4).wrapping_add(u32::from(*byte));
        let high = hash & 0xf000_0000;
        (hash ^ (high >> 24)) & !high
    })
}

/// Code of `__vdso_clock_gettime(clock, timespec)`: the host's function where it has one, else the system call.
fn clock_gettime(pointer: u64) -> Vec<u8> {
    let mut code = alloc::vec![0x48, 0xb8]; // movabs rax, pointer
    code.extend(pointer.to_le_bytes());
    code.extend([0x48, 0x8b, 0x00]); // mov rax, [rax]
    code.extend([0x48, 0x85, 0xc0]); // test rax, rax
    code.extend([0x74, 0x02]); // jz +2
    code.extend([0xff, 0xe0]); // jmp rax
    code.extend([0xb8, 228, 0, 0, 0, 0x0f, 0x05, 0xc3]); // mov eax, 228; syscall; ret
    code
}

fn plain_call(number: u8) -> Vec<u8> {
    alloc::vec![0xb8, number, 0, 0, 0, 0x0f, 0x05, 0xc3]
}

/// `__vdso_gettimeofday(tv, tz)` and `__vdso_time(t)` by clock_gettime(CLOCK_REALTIME), at `own` calling `target`.
fn gettimeofday(own: usize, target: usize) -> Vec<u8> {
    let mut code: Vec<u8> = Vec::new();
    code.extend([0x53]); // push rbx
    code.extend([0x48, 0x89, 0xfb]); // mov rbx, rdi
    code.extend([0x48, 0x85, 0xf6, 0x75, 0x3b]); // test rsi, rsi; jnz system call
    code.extend([0x48, 0x85, 0xdb, 0x74, 0x36]); // test rbx, rbx; jz system call
    code.extend([0x31, 0xff]); // xor edi, edi
    code.extend([0x48, 0x89, 0xde]); // mov rsi, rbx
    code.push(0xe8); // call clock_gettime
    let next = own + code.len() + 4;
    let delta = i32::try_from(target).unwrap_or(0) - i32::try_from(next).unwrap_or(0);
    code.extend(delta.to_le_bytes());
    code.extend([0x48, 0x8b, 0x43, 0x08]); // mov rax, [rbx + 8]
    code.extend([0x48, 0xb9]); // movabs rcx, 2^64 / 1000 * 2^7 …: nanoseconds / 1000
    code.extend(0x20c4_9ba5_e353_f7cf_u64.to_le_bytes());
    code.extend([0x48, 0xc1, 0xe8, 0x03]); // shr rax, 3
    code.extend([0x48, 0xf7, 0xe1]); // mul rcx
    code.extend([0x48, 0xc1, 0xea, 0x04]); // shr rdx, 4
    code.extend([0x48, 0x89, 0x53, 0x08]); // mov [rbx + 8], rdx
    code.extend([0x31, 0xc0, 0x5b, 0xc3]); // xor eax, eax; pop rbx; ret
    while code.len() < 68 {
        code.push(0xcc);
    }
    code.extend([0x48, 0x89, 0xdf, 0x5b]); // mov rdi, rbx; pop rbx
    code.extend(plain_call(96));
    code
}

fn push_symbol(table: &mut Vec<u8>, name: u32, value: usize, size: usize) {
    table.extend(name.to_le_bytes());
    table.extend([0x12, 0]); // STB_GLOBAL, STT_FUNC
    table.extend(if value == 0 { 0u16 } else { 1 }.to_le_bytes());
    table.extend((value as u64).to_le_bytes());
    table.extend((size as u64).to_le_bytes());
}

/// Builds the page.
fn build(pointer: u64) -> Vec<u8> {
    let functions: [(&[u8], Vec<u8>); 4] = [
        (b"__vdso_clock_gettime", clock_gettime(pointer)),
        (b"__vdso_gettimeofday", gettimeofday(TEXT + 0x80, TEXT)),
        (b"__vdso_time", plain_call(201)),
        (b"__vdso_clock_getres", plain_call(229)),
    ];
    let mut page = alloc::vec![0u8; PAGE];
    let mut put = |at: usize, bytes: &[u8]| {
        if let Some(room) = page.get_mut(at..at + bytes.len()) {
            room.copy_from_slice(bytes);
        }
    };
    let mut symbols = Vec::from([0u8; 24]);
    for (i, (name, code)) in functions.iter().enumerate() {
        let at = TEXT + i * 0x80;
        put(at, code);
        push_symbol(&mut symbols, string(name), at, code.len());
    }
    let symbol_count = u32::try_from(functions.len() + 1).unwrap_or(0);

    const DYNAMIC: usize = 0x100;
    const HASH: usize = 0x200;
    const SYMBOLS: usize = 0x280;
    const NAMES: usize = 0x380;
    const VERSYM: usize = 0x480;
    const VERDEF: usize = 0x4a0;
    put(SYMBOLS, &symbols);
    put(NAMES, STRINGS);
    // One bucket: a chain through all symbols.
    let mut hash: Vec<u8> = Vec::new();
    for word in [1, symbol_count, 1, 0] {
        hash.extend(word.to_le_bytes());
    }
    for i in 1..symbol_count {
        hash.extend(if i + 1 < symbol_count { i + 1 } else { 0 }.to_le_bytes());
    }
    put(HASH, &hash);
    let mut versions: Vec<u8> = alloc::vec![0, 0];
    for _ in 1..symbol_count {
        versions.extend(2u16.to_le_bytes());
    }
    put(VERSYM, &versions);
    // Version definitions: the base one with the object's name, then LINUX_2.6.
    let mut definitions: Vec<u8> = Vec::new();
    for (flags, index, name, next) in
        [(1u16, 1u16, b"linux-vdso.so.1".as_slice(), 28u32), (0, 2, b"LINUX_2.6".as_slice(), 0)]
    {
        for half in [1, flags, index, 1] {
            definitions.extend(half.to_le_bytes());
        }
        for word in [elf_hash(name), 20, next, string(name), 0] {
            definitions.extend(word.to_le_bytes());
        }
    }
    put(VERDEF, &definitions);
    let tags: [(u64, usize); 9] = [
        (14, string(b"linux-vdso.so.1") as usize),
        (4, HASH),
        (5, NAMES),
        (6, SYMBOLS),
        (10, STRINGS.len()),
        (11, 24),
        (0x6fff_fff0, VERSYM),
        (0x6fff_fffc, VERDEF),
        (0x6fff_fffd, 2),
    ];
    let mut dynamic: Vec<u8> = Vec::new();
    for (tag, value) in tags {
        dynamic.extend(tag.to_le_bytes());
        dynamic.extend((value as u64).to_le_bytes());
    }
    dynamic.extend([0; 16]);
    put(DYNAMIC, &dynamic);

    let mut header: Vec<u8> = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    header.extend(3u16.to_le_bytes()); // ET_DYN
    header.extend(62u16.to_le_bytes()); // EM_X86_64
    header.extend(1u32.to_le_bytes());
    header.extend((TEXT as u64).to_le_bytes());
    header.extend(64u64.to_le_bytes());
    header.extend(0u64.to_le_bytes());
    header.extend(0u32.to_le_bytes());
    for half in [64u16, 56, 2, 64, 0, 0] {
        header.extend(half.to_le_bytes());
    }
    for (kind, flags, at, len) in [(1u32, 5u32, 0usize, PAGE), (2, 4, DYNAMIC, dynamic.len())] {
        header.extend(kind.to_le_bytes());
        header.extend(flags.to_le_bytes());
        for word in [at, at, at, len, len, if kind == 1 { PAGE } else { 8 }] {
            header.extend((word as u64).to_le_bytes());
        }
    }
    put(0, &header);
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_one_of_the_system_v_abi() {
        // The value that libraries hard-code for the version of every x86-64 vDSO.
        assert_eq!(elf_hash(b"LINUX_2.6"), 61_765_110);
    }

    #[test]
    fn the_page_is_an_elf_object_with_its_parts_apart() {
        let page = build(0x1122_3344_5566_7788);
        assert_eq!(page.len(), PAGE);
        assert_eq!(&page[..4], b"\x7fELF");
        assert_eq!(&page[TEXT..TEXT + 2], &[0x48, 0xb8]);
        assert_ne!(string(b"__vdso_time"), 0);
    }

    #[test]
    fn gettimeofday_falls_back_at_the_offset_its_jumps_name() {
        let code = gettimeofday(TEXT + 0x80, TEXT);
        // Both conditional jumps end at the fallback.
        assert_eq!(9 + usize::from(code[8]), 68);
        assert_eq!(14 + usize::from(code[13]), 68);
        assert_eq!(&code[68..72], &[0x48, 0x89, 0xdf, 0x5b]);
    }
}
