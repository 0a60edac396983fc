//! Reading ELF executables (elf(5)): only what the kernel's loader looks at, all of it checked.

use crate::fs::OpenFile;
use crate::io::Sink;
use crate::mm::space::PAGE;
use crate::task::Thread;
use crate::{Errno, Result};
use alloc::vec::Vec;

/// A `PT_LOAD` segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Address (relative to the load bias for position-independent files).
    pub vaddr: usize,
    /// Offset in the file.
    pub offset: u64,
    /// Bytes from the file.
    pub file_len: usize,
    /// Bytes in memory.
    pub mem_len: usize,
    /// `PROT_*`.
    pub prot: u32,
}

/// An executable's headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Position independent (`ET_DYN`).
    pub relocatable: bool,
    /// Entry point (relative to the load bias).
    pub entry: usize,
    /// Address of the program headers in memory (relative to the load bias), 0 if they are not loaded.
    pub headers: usize,
    /// Number of program headers.
    pub header_count: usize,
    /// Loadable segments in order of address.
    pub segments: Vec<Segment>,
    /// Offset and length of the interpreter's path in the file.
    pub interpreter: Option<(u64, usize)>,
}

/// Most program headers that are accepted; Linux takes at most 64 KiB of them.
const MAX_HEADERS: usize = 1024;

fn word<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N]> {
    let end = at.checked_add(N).ok_or(Errno::ENOEXEC)?;
    bytes.get(at..end).and_then(|b| b.try_into().ok()).ok_or(Errno::ENOEXEC)
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16> {
    word(bytes, at).map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32> {
    word(bytes, at).map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Result<u64> {
    word(bytes, at).map(u64::from_le_bytes)
}

fn size_at(bytes: &[u8], at: usize) -> Result<usize> {
    usize::try_from(u64_at(bytes, at)?).map_err(|_| Errno::ENOEXEC)
}

/// Where the program headers are: offset and count, from the ELF header in `head`.
///
/// # Errors
/// `ENOEXEC` if it is no x86-64 executable.
pub fn header_table(head: &[u8]) -> Result<(u64, usize)> {
    const X86_64: u16 = 62;
    if word::<4>(head, 0)? != *b"\x7fELF" || word::<2>(head, 4)? != [2, 1] || u16_at(head, 18)? != X86_64 {
        return Err(Errno::ENOEXEC);
    }
    if !matches!(u16_at(head, 16)?, 2 | 3) || u16_at(head, 54)? != 56 {
        return Err(Errno::ENOEXEC);
    }
    let count = usize::from(u16_at(head, 56)?);
    if count == 0 || count > MAX_HEADERS {
        return Err(Errno::ENOEXEC);
    }
    Ok((u64_at(head, 32)?, count))
}

/// Reads the headers: `head` is the start of the file, `table` the program headers.
///
/// # Errors
/// `ENOEXEC` if something does not add up.
pub fn parse(head: &[u8], table: &[u8], file_len: u64) -> Result<Image> {
    let (table_offset, count) = header_table(head)?;
    let relocatable = u16_at(head, 16)? == 3;
    let mut image = Image {
        relocatable,
        entry: size_at(head, 24)?,
        headers: 0,
        header_count: count,
        segments: Vec::new(),
        interpreter: None,
    };
    for i in 0..count {
        let at = i * 56;
        let (kind, flags) = (u32_at(table, at)?, u32_at(table, at + 4)?);
        let (offset, vaddr) = (u64_at(table, at + 8)?, size_at(table, at + 16)?);
        let (in_file, in_memory) = (size_at(table, at + 32)?, size_at(table, at + 40)?);
        match kind {
            1 if in_memory > 0 => {
                let prot = (flags & 4) >> 2 | flags & 2 | (flags & 1) << 2;
                let segment = Segment { vaddr, offset, file_len: in_file, mem_len: in_memory, prot };
                check(&segment, image.segments.last(), file_len)?;
                let within = table_offset.checked_sub(offset).and_then(|d| usize::try_from(d).ok());
                if let Some(delta) = within.filter(|d| *d < in_file) {
                    image.headers = vaddr + delta;
                }
                image.segments.push(segment);
            }
            3 if (2..=4096).contains(&in_file) => image.interpreter = Some((offset, in_file)),
            3 => return Err(Errno::ENOEXEC),
            _ => {}
        }
    }
    if image.segments.is_empty() {
        return Err(Errno::ENOEXEC);
    }
    Ok(image)
}

fn check(segment: &Segment, before: Option<&Segment>, file_len: u64) -> Result<()> {
    let end = segment.vaddr.checked_add(segment.mem_len).ok_or(Errno::ENOEXEC)?;
    let in_file = segment.offset.checked_add(segment.file_len as u64).ok_or(Errno::ENOEXEC)?;
    let page = PAGE as u64;
    let fits = segment.file_len <= segment.mem_len
        && end < postern_pal::user::USER_END
        && in_file <= file_len
        && segment.vaddr as u64 % page == segment.offset % page
        && before.is_none_or(|b| b.vaddr + b.mem_len <= segment.vaddr);
    if fits { Ok(()) } else { Err(Errno::ENOEXEC) }
}

impl Image {
    /// Bytes of address space from the first segment's page to the last one's end.
    #[must_use]
    pub fn span(&self) -> (usize, usize) {
        let first = self.segments.first().map_or(0, |s| s.vaddr) & !(PAGE - 1);
        let last = self.segments.last().map_or(0, |s| s.vaddr + s.mem_len);
        (first, (last + PAGE - 1) & !(PAGE - 1))
    }
}

/// Reads `len` bytes at `offset`, or as many as there are.
///
/// # Errors
/// Those of reading.
pub fn read_at(thread: &Thread, file: &OpenFile, offset: u64, len: usize) -> Result<Vec<u8>> {
    let mut buf = alloc::vec![0; len];
    let mut got = 0;
    while got < len {
        let rest = buf.get_mut(got..).unwrap_or(&mut []);
        let mut sink = Sink::Kernel(rest, 0);
        let count = file.ops.read(thread, file, &mut sink, Some(offset + got as u64))?;
        if count == 0 {
            break;
        }
        got += count;
    }
    buf.truncate(got);
    Ok(buf)
}

/// Reads the headers of an executable file.
///
/// # Errors
/// `ENOEXEC` if it is none for this machine, or those of reading.
pub fn load(thread: &Thread, file: &OpenFile) -> Result<Image> {
    let head = read_at(thread, file, 0, 4096)?;
    let (offset, count) = header_table(&head)?;
    let len = count * 56;
    let start = usize::try_from(offset).map_err(|_| Errno::ENOEXEC)?;
    let size = file.ops.metadata()?.size;
    match start.checked_add(len).and_then(|end| head.get(start..end)) {
        Some(table) => parse(&head, table, size),
        None => parse(&head, &read_at(thread, file, offset, len)?, size),
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;

    fn header(kind: u16, count: u16) -> Vec<u8> {
        let mut h = alloc::vec![0u8; 64];
        h[..6].copy_from_slice(b"\x7fELF\x02\x01");
        h[16..18].copy_from_slice(&kind.to_le_bytes());
        h[18..20].copy_from_slice(&62u16.to_le_bytes());
        h[24..32].copy_from_slice(&0x1040u64.to_le_bytes());
        h[32..40].copy_from_slice(&64u64.to_le_bytes());
        h[54..56].copy_from_slice(&56u16.to_le_bytes());
        h[56..58].copy_from_slice(&count.to_le_bytes());
        h
    }

    fn load_segment(vaddr: u64, offset: u64, in_file: u64, in_memory: u64) -> Vec<u8> {
        let mut p = alloc::vec![0u8; 56];
        p[..4].copy_from_slice(&1u32.to_le_bytes());
        p[4..8].copy_from_slice(&5u32.to_le_bytes());
        p[8..16].copy_from_slice(&offset.to_le_bytes());
        p[16..24].copy_from_slice(&vaddr.to_le_bytes());
        p[32..40].copy_from_slice(&in_file.to_le_bytes());
        p[40..48].copy_from_slice(&in_memory.to_le_bytes());
        p
    }

    #[test]
    fn a_plain_executable_is_read() {
        let image = parse(&header(3, 1), &load_segment(0, 0, 0x2000, 0x3000), 0x4000).unwrap();
        assert!(image.relocatable);
        assert_eq!(image.headers, 64);
        assert_eq!(image.span(), (0, 0x3000));
        assert_eq!(image.segments[0].prot, 5);
    }

    #[test]
    fn hostile_headers_are_refused() {
        let refused = |head: &[u8], table: &[u8]| parse(head, table, 0x4000) == Err(Errno::ENOEXEC);
        let good = load_segment(0, 0, 0x2000, 0x3000);
        assert!(refused(b"\x7fELF", &good), "truncated");
        assert!(refused(&header(1, 1), &good), "not executable");
        assert!(refused(&header(3, 2), &good), "table shorter than its count");
        assert!(refused(&header(3, 1), &load_segment(0, 0, 0x3000, 0x2000)), "more file than memory");
        assert!(refused(&header(3, 1), &load_segment(u64::MAX - 10, 0xff5, 1, 100)), "address overflow");
        assert!(refused(&header(3, 1), &load_segment(0, 0x1000, 0x9000, 0x9000)), "past the end of the file");
        assert!(refused(&header(3, 1), &load_segment(1, 0, 10, 10)), "offset and address disagree");
        let mut arm = header(3, 1);
        arm[18] = 183;
        assert!(refused(&arm, &good), "another architecture");
    }
}
