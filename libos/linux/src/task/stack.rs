//! The initial stack of a program: arguments, environment and auxiliary vector, as the x86-64 psABI lays them out.

use crate::{Errno, Result};
use alloc::vec::Vec;
use postern_pal::user;

/// Auxiliary vector keys (getauxval(3)).
#[expect(missing_docs, reason = "the names are getauxval's own")]
pub mod at {
    pub const NULL: u64 = 0;
    pub const PHDR: u64 = 3;
    pub const PHENT: u64 = 4;
    pub const PHNUM: u64 = 5;
    pub const PAGESZ: u64 = 6;
    pub const BASE: u64 = 7;
    pub const FLAGS: u64 = 8;
    pub const ENTRY: u64 = 9;
    pub const UID: u64 = 11;
    pub const EUID: u64 = 12;
    pub const GID: u64 = 13;
    pub const EGID: u64 = 14;
    pub const PLATFORM: u64 = 15;
    pub const HWCAP: u64 = 16;
    pub const CLKTCK: u64 = 17;
    pub const SECURE: u64 = 23;
    pub const RANDOM: u64 = 25;
    pub const HWCAP2: u64 = 26;
    pub const EXECFN: u64 = 31;
    pub const SYSINFO_EHDR: u64 = 33;
    pub const MINSIGSTKSZ: u64 = 51;
}

/// Most bytes of arguments and environment together, as on Linux with an 8 MiB stack.
pub const MAX_STRINGS: usize = 2 * 1024 * 1024;
/// Longest single string.
pub const MAX_STRING: usize = 128 * 1024;

/// What goes onto the stack.
pub struct Contents<'a> {
    /// Arguments, without NULs.
    pub argv: &'a [Vec<u8>],
    /// Environment, without NULs.
    pub envp: &'a [Vec<u8>],
    /// Path for `AT_EXECFN`.
    pub path: &'a [u8],
    /// 16 random bytes.
    pub random: [u64; 2],
    /// Auxiliary vector without the entries that point into the stack.
    pub auxiliary: Vec<[u64; 2]>,
}

/// Where things ended up.
pub struct Placed {
    /// Stack pointer at the entry point.
    pub sp: usize,
    /// The whole auxiliary vector, as bytes.
    pub auxiliary: Vec<u8>,
}

/// Writes the initial stack below `top` (exclusive). At least `MAX_STRINGS` plus a page must be mapped below it.
///
/// # Errors
/// `EFAULT` if the stack is not there; `E2BIG` if it is too small.
pub fn build(top: usize, contents: &Contents<'_>) -> Result<Placed> {
    // From the top: a zero word, the path, environment, arguments, platform and random bytes; then the words.
    let mut strings: Vec<u8> = Vec::new();
    let mut push = |bytes: &[u8]| {
        let at = strings.len();
        strings.extend_from_slice(bytes);
        strings.push(0);
        at
    };
    let platform = push(b"x86_64");
    let args: Vec<usize> = contents.argv.iter().map(|s| push(s)).collect();
    let envs: Vec<usize> = contents.envp.iter().map(|s| push(s)).collect();
    let path = push(contents.path);
    strings.extend_from_slice(&[0; 8]);
    let base = top.checked_sub(strings.len()).ok_or(Errno::E2BIG)? & !15;
    let random = base - 16;

    let mut words: Vec<u64> = Vec::new();
    words.push(args.len() as u64);
    words.extend(args.iter().map(|a| (base + a) as u64));
    words.push(0);
    words.extend(envs.iter().map(|a| (base + a) as u64));
    words.push(0);
    let aux_start = words.len();
    for [key, value] in &contents.auxiliary {
        words.extend([*key, *value]);
    }
    words.extend([at::RANDOM, random as u64]);
    words.extend([at::PLATFORM, (base + platform) as u64]);
    words.extend([at::EXECFN, (base + path) as u64]);
    words.extend([at::NULL, 0]);

    let sp = random.checked_sub(words.len() * 8).ok_or(Errno::E2BIG)? & !15;
    let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
    user::write_bytes(base, &strings)?;
    user::write(random, &contents.random)?;
    user::write_bytes(sp, &bytes)?;
    Ok(Placed { sp, auxiliary: bytes.get(aux_start * 8..).unwrap_or(&[]).to_vec() })
}
