//! Facts about the host that a family is told at its start.

use nix::sys::resource::Resource;
use nix::sys::stat::{SFlag, fstat};
use postern_abi::boot::stdio;
use std::fs;
use std::io::Read as _;
use std::os::fd::BorrowedFd;

/// Files of the host whose text the library OS serves as its own. They say what machine and kernel this is, which
/// programs ask to choose code for it, and do not change while the host runs.
const TEXTS: &[&str] = &[
    "/proc/cpuinfo",
    "/proc/version",
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

/// The texts, ready for a start-up block. The host makes each anew at every reading, which takes it long; so they are
/// kept together in a file beside the control sockets, for as long as the host runs this kernel.
#[must_use]
pub fn texts() -> Vec<u8> {
    let kernel = nix::sys::utsname::uname()
        .map(|name| format!("{} {} {}\n", name.release().display(), name.version().display(), processors()));
    let key = kernel.unwrap_or_default();
    let kept = crate::paths::runtime().ok().map(|dir| dir.join("host-texts"));
    let known = kept.as_ref().and_then(|path| fs::read(path).ok());
    if let Some(texts) = known.as_ref().and_then(|known| known.strip_prefix(key.as_bytes())) {
        return texts.to_vec();
    }
    let mut texts = Vec::new();
    for path in TEXTS {
        let mut text = Vec::new();
        if fs::File::open(path).and_then(|file| file.take(MAX_TEXT).read_to_end(&mut text)).is_ok() {
            crate::boot::push_text(&mut texts, path, &text);
        }
    }
    if let Some(path) = kept {
        let _ = crate::manifest::replace(&path, &[key.as_bytes(), &texts].concat());
    }
    texts
}

/// What `app` sees as `/etc/machine-id`: made up at its first start and kept, so that apps cannot tell by it that they
/// run on the same machine.
#[must_use]
pub fn machine_id(app: &str) -> Option<Vec<u8>> {
    let path = crate::paths::machine_id_of(app).ok()?;
    if let Some(known) = fs::read(&path).ok().filter(|known| known.len() == 33) {
        return Some(known);
    }
    let [a, b, ..] = seed().ok()?;
    let made = format!("{a:016x}{b:016x}\n").into_bytes();
    let _ = crate::manifest::replace(&path, &made);
    Some(made)
}

/// Bytes of memory of the host.
#[must_use]
pub fn memory() -> u64 {
    nix::sys::sysinfo::sysinfo().map_or(0, |info| info.ram_total())
}

/// Processors that this process may use.
#[must_use]
pub fn processors() -> u32 {
    let mine = nix::sched::sched_getaffinity(nix::unistd::Pid::from_raw(0));
    let count = |set: nix::sched::CpuSet| {
        (0..nix::sched::CpuSet::count()).filter(|cpu| set.is_set(*cpu).unwrap_or(false)).count()
    };
    mine.map_or(1, |set| u32::try_from(count(set)).unwrap_or(1).max(1))
}

/// Random words.
///
/// # Errors
/// If the host has none.
pub fn seed() -> std::io::Result<[u64; 8]> {
    let mut bytes = [0; 64];
    fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    let mut words = [0; 8];
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
        *word = u64::from_le_bytes(*bytes);
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
