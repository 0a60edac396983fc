//! Starts a family: memory, handles, start-up block, and the fork that becomes the keeper.

use crate::boot::{BootBlock, TooLong};
use crate::manifest::NPROC;
use crate::sandbox::{self, Plan, Step};
use crate::sys::process::{self, Child};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use nix::sys::stat::Mode;
use postern_abi::layout::{ARENA_SIZE, BOOT_BASE, arena_offset, handle};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::Path;

/// Why a family could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Arguments and environment do not fit.
    #[error(transparent)]
    TooLong(#[from] TooLong),
    /// The host refused something.
    #[error("{what}: {}", .error.desc())]
    Host {
        /// What was to be done.
        what: &'static str,
        /// The host's error.
        error: Errno,
    },
}

fn because(what: &'static str) -> impl Fn(Errno) -> StartError {
    move |error| StartError::Host { what, error }
}

/// What a family needs, made by the monitor.
pub struct Family {
    arena: OwnedFd,
    block: BootBlock,
    plan: Plan,
    /// Our ends of the gates.
    pub gates: Vec<OwnedFd>,
    /// Our end of the event stream.
    pub events: Option<OwnedFd>,
    /// Our end of the display channel.
    pub display: Option<OwnedFd>,
}

/// A family that was forked. It runs its image if nothing can be read from `failure` but its end.
pub struct Started {
    /// The keeper.
    pub keeper: Child,
    /// Readable when the image runs, or could not be run; see [`failure`].
    pub failure: OwnedFd,
}

/// The image as a file that can be executed: one in the user's runtime directory that all apps share, so that a start
/// copies nothing; where that cannot be, a memory file.
fn image_file(image: &[u8]) -> Result<OwnedFd, Errno> {
    let image = loaded_part(image);
    match shared_image(image) {
        Some(file) => Ok(file),
        None => image_in_memory(image),
    }
}

fn open_image(path: &Path, len: usize) -> Option<OwnedFd> {
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
    let file = nix::fcntl::open(path, flags, Mode::empty()).ok()?;
    let stat = nix::sys::stat::fstat(&file).ok()?;
    let mine = stat.st_uid == nix::unistd::geteuid().as_raw() && stat.st_mode & 0o777 == 0o500;
    (mine && usize::try_from(stat.st_size) == Ok(len)).then_some(file)
}

fn shared_image(image: &[u8]) -> Option<OwnedFd> {
    let directory = crate::paths::runtime().ok()?;
    let name = format!("libos-{}", build_id(image)?);
    let path = directory.join(&name);
    let may_execute = nix::sys::statvfs::statvfs(&directory)
        .is_ok_and(|facts| !facts.flags().contains(nix::sys::statvfs::FsFlags::ST_NOEXEC));
    if !may_execute {
        return None;
    }
    if let Some(file) = open_image(&path, image.len()) {
        return Some(file);
    }
    // Those of other versions are of no more use to new apps; running ones keep theirs.
    for old in std::fs::read_dir(&directory).ok()?.flatten() {
        if old.file_name().to_str().is_some_and(|old| old.starts_with("libos-") && old != name) {
            let _ = std::fs::remove_file(old.path());
        }
    }
    crate::manifest::replace_with_mode(&path, image, 0o500).ok()?;
    open_image(&path, image.len())
}

/// The number that the linker gave this very image, in hexadecimal: the note `GNU` of type 3.
fn build_id(image: &[u8]) -> Option<String> {
    // Name length 4, length of the number, type 3, name.
    let head = image.get(..4096.min(image.len()))?;
    let note = head
        .windows(16)
        .find(|note| note.starts_with(&4u32.to_le_bytes()) && note.ends_with(b"\x03\0\0\0GNU\0"))?;
    let len = usize::from(*note.get(4)?);
    let start = note.as_ptr().addr().checked_sub(image.as_ptr().addr())?.checked_add(16)?;
    let id = image.get(start..start.checked_add(len)?).filter(|id| id.len() >= 8)?;
    Some(id.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn image_in_memory(image: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    // A host may be set up to make memory files that cannot be executed unless this is asked for; older ones do not
    // know the flag.
    let file = memfd_create(c"postern-libos", flags | MFdFlags::from_bits_retain(nix::libc::MFD_EXEC))
        .or_else(|_| memfd_create(c"postern-libos", flags))?;
    write_all(&file, image, 0)?;
    let seals =
        SealFlag::F_SEAL_WRITE | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_SEAL;
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals))?;
    // Open for reading only: a host before 6.7 shares a write-sealed file in no other way.
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    nix::fcntl::open(path.as_str(), OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())
}

/// The beginning of an ELF image up to the end of what is loaded of it: symbols and section headers, most of the file,
/// are of no use to the host and would only have to be copied at each start.
fn loaded_part(image: &[u8]) -> &[u8] {
    let word = |at: usize, len: usize| -> Option<usize> {
        let bytes = image.get(at..at.checked_add(len)?)?;
        let value = bytes.iter().rev().fold(0u64, |value, byte| value << 8 | u64::from(*byte));
        usize::try_from(value).ok()
    };
    let end = || {
        let (table, size, count) = (word(32, 8)?, word(54, 2)?, word(56, 2)?);
        let mut end = table.checked_add(size.checked_mul(count)?)?;
        for index in 0..count {
            let header = table.checked_add(index.checked_mul(size)?)?;
            // Offset and length in the file, of segments of every kind.
            end = end.max(word(header.checked_add(8)?, 8)?.checked_add(word(header.checked_add(32)?, 8)?)?);
        }
        Some(end)
    };
    end().and_then(|end| image.get(..end)).unwrap_or(image)
}

fn write_all(file: &OwnedFd, mut bytes: &[u8], mut at: i64) -> Result<(), Errno> {
    while !bytes.is_empty() {
        let written = nix::sys::uio::pwrite(file, bytes, at)?;
        bytes = bytes.get(written..).ok_or(Errno::EIO)?;
        at += i64::try_from(written).map_err(|_| Errno::EFBIG)?;
    }
    Ok(())
}

fn pair(blocking: bool) -> Result<(OwnedFd, OwnedFd), StartError> {
    let flags =
        if blocking { SockFlag::SOCK_CLOEXEC } else { SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK };
    socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags).map_err(because("making a socket pair"))
}

impl Family {
    /// Makes everything that a family with this start-up block needs. `stdio` are its standard streams.
    ///
    /// # Errors
    /// The host's.
    pub fn new(
        image: &[u8],
        block: BootBlock,
        stdio: [OwnedFd; 3],
        display: bool,
        host_ids: (u32, u32),
    ) -> Result<Self, StartError> {
        let arena =
            memfd_create(c"postern-arena", MFdFlags::MFD_CLOEXEC).map_err(because("making the arena"))?;
        let size = i64::try_from(ARENA_SIZE).unwrap_or(i64::MAX);
        nix::unistd::ftruncate(&arena, size).map_err(because("sizing the arena"))?;
        let image = image_file(image).map_err(because("making the image"))?;
        let mut handles: Vec<(i32, OwnedFd)> = handle::STDIO.into_iter().zip(stdio).collect();
        let copy = |fd: &OwnedFd| fd.try_clone().map_err(|_| because("copying a handle")(Errno::EMFILE));
        handles.push((handle::ARENA, copy(&arena)?));
        handles.push((handle::IMAGE, image));
        let (events, theirs) = pair(false)?;
        handles.push((handle::EVENTS, theirs));
        let wake =
            nix::unistd::pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).map_err(because("making a pipe"))?;
        handles.push((handle::WAKE_READ, wake.0));
        handles.push((handle::WAKE_WRITE, wake.1));
        let display = if display {
            let (ours, theirs) = pair(false)?;
            handles.push((handle::DISPLAY, theirs));
            Some(ours)
        } else {
            None
        };
        let mut gates = Vec::with_capacity(handle::GATES);
        for number in (handle::GATE_FIRST..).take(handle::GATES) {
            let (ours, theirs) = pair(true)?;
            handles.push((number, theirs));
            gates.push(ours);
        }
        let [_, processes] = block.header.rlimits.get(NPROC).copied().unwrap_or([u64::MAX; 2]);
        let plan = Plan { handles, namespaces: true, ids: host_ids, processes };
        Ok(Self { arena, block, plan, gates, events: Some(events), display })
    }

    /// The memory that the family shares.
    ///
    /// # Errors
    /// The host's.
    pub fn arena(&self) -> Result<OwnedFd, StartError> {
        self.arena.try_clone().map_err(|_| because("copying a handle")(Errno::EMFILE))
    }

    /// Forks the keeper, in namespaces of its own if `namespaces`.
    ///
    /// # Errors
    /// The host's, as it is when the host refuses namespaces.
    pub fn start(&mut self, namespaces: bool) -> Result<Started, StartError> {
        self.plan.namespaces = namespaces;
        self.block.filter = crate::filter::program(namespaces);
        let place = i64::try_from(arena_offset(BOOT_BASE)).unwrap_or(i64::MAX);
        write_all(&self.arena, &self.block.encode()?, place)
            .map_err(because("writing the start-up block"))?;
        let (failure, report) = nix::unistd::pipe2(OFlag::O_CLOEXEC).map_err(because("making a pipe"))?;
        let plan = &self.plan;
        let keeper = process::fork(if namespaces { process::NAMESPACES } else { 0 }, move || {
            // Moved above the handles, where it stays until the image runs.
            let Ok(report) = crate::sys::duplicate_from(std::os::fd::AsFd::as_fd(&report), 32) else {
                return 1;
            };
            let (step, error) = sandbox::become_keeper(plan, report.as_raw_fd());
            let code = u8::try_from(error as i32).unwrap_or(0);
            let _ = nix::unistd::write(&report, &[step as u8, code]);
            1
        })
        .map_err(because("making a process"))?;
        Ok(Started { keeper, failure })
    }
}

/// Why the image does not run: the step that failed and the error. `None` if it runs. Waits until that is known.
pub fn failure(pipe: &OwnedFd) -> Option<(Step, Errno)> {
    let mut bytes = [0; 2];
    match nix::unistd::read(pipe, &mut bytes) {
        Ok(2) => Some((Step::from_number(bytes[0])?, Errno::from_raw(bytes[1].into()))),
        _ => None,
    }
}
