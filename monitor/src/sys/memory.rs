//! Giving memory back.

use nix::libc;
use std::ops::Range;

/// The text and constants of this process: programs and libraries, as far as they are mapped by now.
#[derive(Debug)]
pub struct Text {
    areas: Vec<Range<usize>>,
}

impl Text {
    /// Reads the process's memory map; nothing, if that cannot be read.
    #[must_use]
    pub fn mapped() -> Self {
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap_or_default();
        Self { areas: clean_file_areas(&maps) }
    }

    /// Gives back its pages, most of which only start-up needed, and what is free of the heap. The host reads again from
    /// the files what is needed again. For a process that will wait most of its life, and that unloads no library.
    pub fn release(self) {
        // SAFETY: the C library locks its heaps, and gives back only what nobody holds.
        unsafe { libc::malloc_trim(0) };
        for area in self.areas {
            // SAFETY: a private mapping of a file that is never written to has nothing to lose: its pages come back
            // with the same content.
            unsafe { libc::madvise(area.start as *mut libc::c_void, area.len(), libc::MADV_DONTNEED) };
        }
    }
}

/// From so many bytes on an allocation is memory of its own, which is there only as far as it is used, and is given back
/// at once: a gate's buffer is mostly empty.
const LARGE: libc::c_int = 32 * 1024;

/// Has the heap of this process stay small: one for all threads, which hardly ever allocate at once, where the C
/// library would give each one of its own. To be called before there are threads.
pub fn keep_heap_small() {
    for (what, value) in [(libc::M_ARENA_MAX, 1), (libc::M_MMAP_THRESHOLD, LARGE)] {
        // SAFETY: it only sets a number that later allocations look at.
        unsafe { libc::mallopt(what, value) };
    }
}

/// The address ranges of files that are mapped privately, cannot be written to, and hold no page that was, such as a
/// relocated one.
fn clean_file_areas(smaps: &str) -> Vec<Range<usize>> {
    let mut areas = Vec::new();
    let mut last = None;
    for line in smaps.lines() {
        if let Some(area) = file_area(line) {
            last = area;
        } else if let Some(anonymous) = line.strip_prefix("Anonymous:") {
            areas.extend(last.take().filter(|_| anonymous.trim() == "0 kB"));
        }
    }
    areas
}

/// Whether `line` begins an area, and its range if it shows a file privately and without the right to write.
fn file_area(line: &str) -> Option<Option<Range<usize>>> {
    let mut words = line.split_ascii_whitespace();
    let (start, end) = words.next()?.split_once('-')?;
    let number = |text| usize::from_str_radix(text, 16).ok();
    let range = number(start)?..number(end)?;
    let rights = words.next()?;
    let is_file = words.nth(3).is_some_and(|name| name.starts_with('/'));
    Some(
        (is_file && rights.starts_with('r') && !rights.contains('w') && rights.ends_with('p'))
            .then_some(range),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_clean_file_pages_are_given_back() {
        let smaps = "\
1000-2000 r-xp 00000000 fe:00 77 /usr/bin/x y\nRss: 4 kB\nAnonymous: 0 kB\nVmFlags: rd ex\n\
2000-3000 r--p 00001000 fe:00 77 /usr/bin/x\nAnonymous: 4 kB\n\
3000-4000 rw-p 00002000 fe:00 77 /usr/bin/x\nAnonymous: 0 kB\n\
4000-5000 r--s 00000000 fe:00 78 /etc/x\nAnonymous: 0 kB\n\
5000-6000 r-xp 00000000 00:00 0 [vdso]\nAnonymous: 0 kB\n\
6000-7000 r--p 00000000 00:00 0\nAnonymous: 0 kB\n\
7000-8000 r--p 00000000 fe:00 79 /usr/lib/y\nAnonymous: 0 kB\n";
        assert_eq!(clean_file_areas(smaps), [0x1000..0x2000, 0x7000..0x8000]);
    }

    #[test]
    fn a_process_goes_on_afterwards() {
        Text::mapped().release();
        assert_eq!(format!("{:?}", "text".to_uppercase()), "\"TEXT\"");
    }
}
