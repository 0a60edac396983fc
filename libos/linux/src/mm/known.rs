//! Call sites of files, kept for the whole family and for the app's next start: a program that is started again, or that
//! shares its libraries with one that ran before, finds its sites patched when its text is mapped and traps on none of
//! them.
//!
//! What is kept says only where a site was seen and how the code around it looked. A file that changed since has other
//! code there, or the same.

use super::patch;
use super::space::{AddressSpace, Area, Kind};
use crate::Mutex;
use crate::fs::host;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use postern_abi::boot::{self, Boot};
use postern_abi::calls::notice;
use postern_pal::mem::bits;
use postern_pal::{gate, user};
use zerocopy::{FromBytes as _, IntoBytes as _};

/// Most files whose sites are kept; of more, those used lately.
const FILES: usize = 32;
/// Most sites of a file. Each may cost a process that maps the file a page of its own.
const SITES: usize = 96;
/// In how many processes a site trapped before it is patched in the next.
const PROCESSES: u32 = 2;
/// Bytes before a site and from it on by which its code is known again.
const BEFORE: usize = 16;
const CODE: usize = 24;

struct Site {
    /// In the file.
    offset: u64,
    /// The number that it called with.
    number: u64,
    /// A hash of the code from [`BEFORE`] bytes before it on.
    code: u64,
    processes: u32,
    /// Whether it was called so often that it was patched.
    is_hot: bool,
}

impl Site {
    fn is_wanted(&self) -> bool {
        self.is_hot || self.processes >= PROCESSES
    }
}

struct File {
    /// Device and inode.
    id: (u64, u64),
    sites: Vec<Site>,
}

static FILES_SEEN: Mutex<VecDeque<File>> = Mutex::new(VecDeque::new());

/// The file that a text area shows, if its sites are kept.
fn file_of(area: &Area) -> Option<(u64, u64)> {
    let is_text = area.prot & bits::PROT_EXEC != 0 && area.prot & bits::PROT_WRITE == 0;
    let is_plain = is_text && !area.shared && area.kind == Kind::Plain;
    area.file.as_ref().filter(|_| is_plain).and_then(|file| host::identity(file))
}

/// FNV-1a of the code around a site.
fn code_at(site: usize) -> Option<u64> {
    let mut code = [0; CODE];
    user::read_bytes(site.checked_sub(BEFORE)?, &mut code).ok()?;
    Some(code.iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    }))
}

/// The sites of the file `id`, last among those kept; of the file that was longest not used there is no memory then.
fn sites_of(files: &mut VecDeque<File>, id: (u64, u64)) -> Option<&mut Vec<Site>> {
    let file = match files.iter().position(|file| file.id == id) {
        Some(at) => files.remove(at)?,
        None => {
            if files.len() >= FILES {
                files.pop_front();
            }
            File { id, sites: Vec::new() }
        }
    };
    files.push_back(file);
    files.back_mut().map(|file| &mut file.sites)
}

/// Takes over what was known at the end of an earlier start.
pub fn init(boot: &Boot, block: &[u8]) {
    let mut files = FILES_SEEN.lock();
    let mut rest = boot.sites.of(block);
    while let Ok((site, others)) = boot::Site::read_from_prefix(rest) {
        rest = others;
        let boot::Site { device, inode, offset, code, number } = site;
        if let Some(sites) = sites_of(&mut files, (device, inode))
            && sites.len() < SITES
        {
            sites.push(Site { offset, number, code, processes: 0, is_hot: true });
        }
    }
}

/// What is worth to be known at the next start.
fn all_hot() -> Vec<boot::Site> {
    let mut all: Vec<boot::Site> = Vec::new();
    for File { id: (device, inode), sites } in &*FILES_SEEN.lock() {
        let (device, inode) = (*device, *inode);
        all.extend(sites.iter().filter(|site| site.is_hot).map(|site| {
            let Site { offset, code, number, .. } = *site;
            boot::Site { device, inode, offset, code, number }
        }));
    }
    // In the same order each time, as the monitor sees by it whether there is anything new.
    all.sort_unstable();
    all.truncate(boot::MAX_SITES);
    all
}

/// Tells the monitor what is known by now.
pub fn tell() {
    gate::tell(notice::SITES, [0; 4], all_hot().as_bytes());
}

/// A process trapped at `site` with the call `number`: for the first time, or, if `is_hot`, often.
pub(super) fn note(space: &AddressSpace, site: usize, number: u64, is_hot: bool) {
    let Some(area) = space.find(site) else { return };
    let Some(id) = file_of(&area) else { return };
    let Some(code) = code_at(site) else { return };
    let offset = area.offset + (site - area.start) as u64;
    let mut files = FILES_SEEN.lock();
    let Some(sites) = sites_of(&mut files, id) else { return };
    let new = Site { offset, number, code, processes: 1, is_hot };
    match sites.iter_mut().find(|site| site.offset == offset) {
        Some(site) if site.code == code && site.number == number => {
            site.processes += u32::from(!is_hot);
            site.is_hot |= is_hot;
        }
        Some(site) => *site = new,
        None => {
            if sites.len() < SITES {
                sites.push(new);
            }
        }
    }
}

/// `addr` was mapped just now: patches what is known to be called there.
pub fn patch_mapped(space: &AddressSpace, addr: usize) {
    let Some(area) = space.find(addr) else { return };
    let Some(id) = file_of(&area) else { return };
    let sites: Vec<(usize, u64, u64)> = {
        let mut files = FILES_SEEN.lock();
        if !files.iter().any(|file| file.id == id) {
            return;
        }
        let Some(sites) = sites_of(&mut files, id) else { return };
        let address = |site: &Site| {
            let at = usize::try_from(site.offset.checked_sub(area.offset)?).ok()?;
            Some((area.start.checked_add(at)?, site.number, site.code))
        };
        sites.iter().filter(|site| site.is_wanted()).filter_map(address).collect()
    };
    let is_same = |(site, _, code): &&(usize, u64, u64)| {
        *site < area.end && code_at(*site).is_some_and(|now| now == *code)
    };
    let sites: Vec<(usize, u64)> =
        sites.iter().filter(is_same).map(|(site, number, _)| (*site, *number)).collect();
    if !sites.is_empty() {
        // What cannot be patched traps, as ever.
        let _ = patch::patch_fresh(space, &area, &sites);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sites_of_an_earlier_start_are_known_and_told_in_order() {
        let site = |device, offset| boot::Site { device, inode: 7, offset, code: 1, number: 39 };
        // More files than are kept: those named last are.
        let files = u64::try_from(FILES).unwrap() + 2;
        let earlier: Vec<boot::Site> =
            (0..files).rev().flat_map(|device| [site(device, 0x20), site(device, 0x10)]).collect();
        let mut block = earlier.as_bytes().to_vec();
        block.extend([1; size_of::<boot::Site>() - 1]);
        let sites = boot::Section { offset: 0, len: u32::try_from(block.len()).unwrap() };
        init(&Boot { sites, ..Boot::default() }, &block);
        let expected: Vec<boot::Site> =
            (0..files - 2).flat_map(|device| [site(device, 0x10), site(device, 0x20)]).collect();
        assert_eq!(all_hot(), expected);
    }
}
