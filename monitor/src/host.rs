//! Facts about the host that a family is told at its start.

use nix::sys::resource::Resource;
use nix::sys::stat::{SFlag, fstat};
use postern_abi::boot::stdio;
use std::fs;
use std::io::Read as _;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;

/// Files of the host whose text the library OS serves as its own. They say what machine and kernel this is, which
/// programs ask to choose code for it.
const TEXTS: &[&str] = &[
    "/proc/version",
    "/proc/meminfo",
    "/proc/filesystems",
    "/sys/devices/system/cpu/online",
    "/sys/devices/system/cpu/possible",
    "/sys/devices/system/cpu/present",
    "/sys/devices/system/cpu/kernel_max",
    "/sys/kernel/mm/transparent_hugepage/enabled",
    "/sys/kernel/mm/transparent_hugepage/hpage_pmd_size",
    "/proc/sys/kernel/osrelease",
    "/proc/sys/kernel/ostype",
    "/proc/sys/kernel/version",
    "/proc/sys/vm/overcommit_memory",
    "/proc/sys/vm/max_map_count",
];
/// Longest text, in bytes.
const MAX_TEXT: u64 = 256 * 1024;

fn read(path: &str) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    fs::File::open(path).ok()?.take(MAX_TEXT).read_to_end(&mut text).ok()?;
    Some(text)
}

/// The texts, with their paths.
#[must_use]
pub fn texts() -> Vec<(String, Vec<u8>)> {
    let plain = TEXTS.iter().filter_map(|path| Some(((*path).to_owned(), read(path)?)));
    let cpuinfo = cpuinfo().map(|text| ("/proc/cpuinfo".to_owned(), text));
    plain.chain(cpuinfo).collect()
}

/// The host makes this text anew at each reading, which takes long where there are many processors. It does not change
/// but for the clock rates, so it is kept with the control sockets, which live as long as the session.
fn cpuinfo() -> Option<Vec<u8>> {
    let kept: Option<PathBuf> = crate::paths::runtime().ok().map(|dir| dir.join("cpuinfo"));
    if let Some(text) = kept.as_ref().and_then(|path| fs::read(path).ok()).filter(|text| !text.is_empty()) {
        return Some(text);
    }
    let text = read("/proc/cpuinfo")?;
    if let Some(path) = kept {
        let _ = crate::manifest::replace(&path, &text);
    }
    Some(text)
}

/// Bytes of memory of the host.
#[must_use]
pub fn memory() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.unwrap_or(0).saturating_mul(1024)
}

/// Processors that this process may use.
#[must_use]
pub fn processors() -> u32 {
    std::thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(1))
}

/// Random words.
///
/// # Errors
/// If the host has none.
pub fn seed() -> std::io::Result<[u64; 8]> {
    let mut words = [0; 8];
    let mut source = fs::File::open("/dev/urandom")?;
    for word in &mut words {
        let mut bytes = [0; 8];
        source.read_exact(&mut bytes)?;
        *word = u64::from_le_bytes(bytes);
    }
    Ok(words)
}

/// Resource limits of this process, by number, soft and hard.
#[must_use]
pub fn limits() -> [[u64; 2]; 16] {
    use Resource as R;
    const ORDER: [Resource; 16] = [
        R::RLIMIT_CPU,
        R::RLIMIT_FSIZE,
        R::RLIMIT_DATA,
        R::RLIMIT_STACK,
        R::RLIMIT_CORE,
        R::RLIMIT_RSS,
        R::RLIMIT_NPROC,
        R::RLIMIT_NOFILE,
        R::RLIMIT_MEMLOCK,
        R::RLIMIT_AS,
        R::RLIMIT_LOCKS,
        R::RLIMIT_SIGPENDING,
        R::RLIMIT_MSGQUEUE,
        R::RLIMIT_NICE,
        R::RLIMIT_RTPRIO,
        R::RLIMIT_RTTIME,
    ];
    ORDER.map(|resource| {
        nix::sys::resource::getrlimit(resource).map_or([u64::MAX, u64::MAX], |(soft, hard)| [soft, hard])
    })
}

/// What is behind a standard stream.
#[must_use]
pub fn stream_kind(fd: BorrowedFd<'_>) -> u32 {
    let Ok(stat) = fstat(fd) else { return stdio::NONE };
    match SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits()) {
        SFlag::S_IFIFO | SFlag::S_IFSOCK => stdio::STREAM,
        SFlag::S_IFREG => stdio::FILE,
        _ if nix::unistd::isatty(fd).unwrap_or(false) => stdio::TERMINAL,
        _ => stdio::DEVICE,
    }
}

/// The host's name.
#[must_use]
pub fn hostname() -> String {
    nix::unistd::gethostname()
        .ok()
        .and_then(|name| name.into_string().ok())
        .unwrap_or_else(|| "localhost".to_owned())
}
