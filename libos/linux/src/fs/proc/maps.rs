//! /proc/PID/maps, smaps and smaps_rollup.

use super::process::Subject;
use crate::Result;
use crate::fs::device;
use crate::mm::space::{Area, Kind};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;
use postern_pal::mem::bits::{PROT_EXEC, PROT_READ, PROT_WRITE};

/// Appends the line of an area.
pub(crate) fn line(out: &mut String, area: &Area) {
    let start = out.len();
    let bit = |wanted: u32, letter: char| if area.prot & wanted != 0 { letter } else { '-' };
    let (r, w, x) = (bit(PROT_READ, 'r'), bit(PROT_WRITE, 'w'), bit(PROT_EXEC, 'x'));
    let shared = if area.shared { 's' } else { 'p' };
    let dentry = area.file.as_ref().and_then(|f| crate::fs::dentry_of(f));
    let meta = area.file.as_ref().and_then(|f| f.ops.metadata().ok());
    let (major, minor) = meta.as_ref().map_or((0, 0), |m| device::parts(m.dev));
    let ino = meta.as_ref().map_or(0, |m| m.ino);
    let offset = if area.file.is_some() { area.offset } else { 0 };
    let (from, to) = (area.start, area.end);
    let _ = write!(out, "{from:08x}-{to:08x} {r}{w}{x}{shared} {offset:08x} {major:02x}:{minor:02x} {ino} ");
    let name = match area.kind {
        Kind::Heap => Some(String::from("[heap]")),
        Kind::Stack => Some(String::from("[stack]")),
        Kind::Vdso => Some(String::from("[vdso]")),
        Kind::Plain | Kind::Trampolines => {
            dentry.map(|d| String::from_utf8_lossy(&super::descriptors::shown(&d)).replace('\n', "\\012"))
        }
    };
    let name = name.or_else(|| (area.shared && area.file.is_none()).then(|| "/dev/zero (deleted)".into()));
    if let Some(name) = name {
        // Names stand in one column.
        while out.len() - start < 73 {
            out.push(' ');
        }
        out.push_str(&name);
    }
    out.push('\n');
}

pub(super) fn maps(subject: &Subject) -> Result<Vec<u8>> {
    let mut out = String::new();
    subject.process()?.space().for_each(&mut |area| line(&mut out, area));
    Ok(out.into_bytes())
}

/// What is told of the memory of an area, in KiB. The host does not say which pages are in memory: mapped counts.
fn numbers(out: &mut String, size: usize, shared: usize, private: usize, anonymous: usize) {
    let fields = [
        ("Rss", shared + private),
        ("Pss", shared + private),
        ("Pss_Dirty", private),
        ("Shared_Clean", shared),
        ("Shared_Dirty", 0),
        ("Private_Clean", private - anonymous.min(private)),
        ("Private_Dirty", anonymous.min(private)),
        ("Referenced", shared + private),
        ("Anonymous", anonymous),
        ("LazyFree", 0),
        ("AnonHugePages", 0),
        ("ShmemPmdMapped", 0),
        ("FilePmdMapped", 0),
        ("Shared_Hugetlb", 0),
        ("Private_Hugetlb", 0),
        ("Swap", 0),
        ("SwapPss", 0),
        ("Locked", 0),
    ];
    if size > 0 {
        let _ = writeln!(out, "Size:           {size:>8} kB");
        let _ = writeln!(out, "KernelPageSize:        4 kB\nMMUPageSize:           4 kB");
    }
    for (name, value) in fields {
        let name = alloc::format!("{name}:");
        let _ = writeln!(out, "{name:<15} {value:>8} kB");
    }
}

/// Size, shared, private and anonymous KiB of an area.
fn measure(area: &Area) -> [usize; 4] {
    let size = (area.end - area.start) / 1024;
    let touched = if area.prot & 7 == 0 { 0 } else { size };
    let (shared, private) = if area.shared { (touched, 0) } else { (0, touched) };
    [size, shared, private, if area.file.is_none() { private } else { 0 }]
}

pub(super) fn smaps(subject: &Subject) -> Result<Vec<u8>> {
    let mut out = String::new();
    subject.process()?.space().for_each(&mut |area| {
        line(&mut out, area);
        let [size, shared, private, anonymous] = measure(area);
        numbers(&mut out, size, shared, private, anonymous);
        let flags = [(PROT_READ, "rd"), (PROT_WRITE, "wr"), (PROT_EXEC, "ex")];
        out.push_str("THPeligible:           0\nVmFlags:");
        for (_, name) in flags.iter().filter(|(bit, _)| area.prot & bit != 0) {
            let _ = write!(out, " {name}");
        }
        out.push_str(" mr mw me \n");
    });
    Ok(out.into_bytes())
}

pub(super) fn rollup(subject: &Subject) -> Result<Vec<u8>> {
    let mut sums = [0; 4];
    let (mut first, mut last) = (usize::MAX, 0);
    subject.process()?.space().for_each(&mut |area| {
        for (sum, value) in sums.iter_mut().zip(measure(area)) {
            *sum += value;
        }
        first = first.min(area.start);
        last = last.max(area.end);
    });
    let [_, shared, private, anonymous] = sums;
    let mut out = String::new();
    let _ = writeln!(out, "{first:08x}-{last:08x} ---p 00000000 00:00 0                          [rollup]");
    numbers(&mut out, 0, shared, private, anonymous);
    Ok(out.into_bytes())
}
