//! Call sites of files, kept for the whole family: a program that is started again, or that shares its libraries with
//! one that ran before, finds its sites patched when its text is mapped and traps on none of them.
//!
//! What is kept says only where a site was seen and how the code around it looked. A file that changed since has other
//! code there, or the same.

use super::patch;
use super::space::{AddressSpace, Area, Kind};
use crate::Mutex;
use crate::fs::host;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use postern_pal::mem::bits;
use postern_pal::user;

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
    /// The code from [`BEFORE`] bytes before it on.
    code: [u8; CODE],
    processes: u32,
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

fn code_at(site: usize) -> Option<[u8; CODE]> {
    let mut code = [0; CODE];
    user::read_bytes(site.checked_sub(BEFORE)?, &mut code).ok()?;
    Some(code)
}

/// A process trapped at `site` for the first time, with the call `number`.
pub(super) fn note(space: &AddressSpace, site: usize, number: u64) {
    let Some(area) = space.find(site) else { return };
    let Some(id) = file_of(&area) else { return };
    let Some(code) = code_at(site) else { return };
    let offset = area.offset + (site - area.start) as u64;
    let mut files = FILES_SEEN.lock();
    if !files.iter().any(|file| file.id == id) {
        if files.len() >= FILES {
            files.pop_front();
        }
        files.push_back(File { id, sites: Vec::new() });
    }
    let Some(file) = files.iter_mut().find(|file| file.id == id) else { return };
    let new = Site { offset, number, code, processes: 1 };
    match file.sites.iter_mut().find(|site| site.offset == offset) {
        Some(site) if site.code == code && site.number == number => site.processes += 1,
        Some(site) => *site = new,
        None => {
            if file.sites.len() < SITES {
                file.sites.push(new);
            }
        }
    }
}

/// `addr` was mapped just now: patches what is known to be called there.
pub fn patch_mapped(space: &AddressSpace, addr: usize) {
    let Some(area) = space.find(addr) else { return };
    let Some(id) = file_of(&area) else { return };
    let sites: Vec<(usize, u64, [u8; CODE])> = {
        let mut files = FILES_SEEN.lock();
        let Some(at) = files.iter().position(|file| file.id == id) else { return };
        // Those used lately are at the end.
        let Some(file) = files.remove(at) else { return };
        let is_wanted = |site: &&Site| site.processes >= PROCESSES;
        let address = |site: &Site| {
            let at = usize::try_from(site.offset.checked_sub(area.offset)?).ok()?;
            Some((area.start.checked_add(at)?, site.number, site.code))
        };
        let sites = file.sites.iter().filter(is_wanted).filter_map(address).collect();
        files.push_back(file);
        sites
    };
    let is_same = |(site, _, code): &&(usize, u64, [u8; CODE])| {
        *site < area.end && code_at(*site).is_some_and(|now| now == *code)
    };
    let sites: Vec<(usize, u64)> =
        sites.iter().filter(is_same).map(|(site, number, _)| (*site, *number)).collect();
    if !sites.is_empty() {
        // What cannot be patched traps, as ever.
        let _ = patch::patch_fresh(space, &area, &sites);
    }
}
