//! The child's side of starting a family: from a fork of the monitor to the library OS image in an empty world.
//!
//! Order matters: the mounts need the capabilities that the new user namespace gives, and these go before the image
//! runs. When the image's first instruction runs, its process has no capabilities and cannot get any, sees no file, no
//! network and no process but its own, and has exactly the handles that the ABI lists.

use crate::sys::{self, process};
use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use postern_abi::layout::handle;
use std::fs;
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};

/// Descriptors and identity for the child.
#[derive(Debug)]
pub struct Plan {
    /// Handle numbers and what they shall be.
    pub handles: Vec<(i32, OwnedFd)>,
    /// Whether the process is in new namespaces.
    pub namespaces: bool,
    /// User and group, the same inside and outside.
    pub ids: (u32, u32),
    /// Most processes and threads that the app may have.
    pub processes: u64,
}

/// What failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Step {
    /// The user and group mapping.
    Identity = 1,
    /// The empty file system.
    Mounts = 2,
    /// The descriptor table.
    Handles = 3,
    /// Capabilities, limits and signals.
    Rights = 4,
    /// Executing the image.
    Execute = 5,
}

impl Step {
    /// The step with this number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        [Self::Identity, Self::Mounts, Self::Handles, Self::Rights, Self::Execute]
            .into_iter()
            .find(|step| *step as u8 == number)
    }
}

/// Becomes the keeper. Returns only if that failed: the step and the error. `report` is a close-on-exec descriptor
/// above the handles that is left open until the image runs.
#[must_use]
pub fn become_keeper(plan: &Plan, report: RawFd) -> (Step, Errno) {
    match prepare(plan, report) {
        Ok(()) => (Step::Execute, process::execute(handle::IMAGE)),
        Err(failed) => failed,
    }
}

fn prepare(plan: &Plan, report: RawFd) -> Result<(), (Step, Errno)> {
    process::die_with_parent().map_err(|e| (Step::Rights, e))?;
    nix::unistd::setsid().map_err(|e| (Step::Rights, e))?;
    if plan.namespaces {
        map_identity(plan.ids).map_err(|e| (Step::Identity, e))?;
        empty_root().map_err(|e| (Step::Mounts, e))?;
    }
    if plan.namespaces {
        limit_processes(plan.processes).map_err(|e| (Step::Rights, e))?;
    }
    give_up_rights().map_err(|e| (Step::Rights, e))?;
    arrange_handles(&plan.handles, report).map_err(|e| (Step::Handles, e))
}

/// Maps the user's own ids to themselves, and nothing else.
fn map_identity((uid, gid): (u32, u32)) -> Result<(), Errno> {
    let write = |path, text: String| {
        fs::write(path, text).map_err(|e| e.raw_os_error().map_or(Errno::EIO, Errno::from_raw))
    };
    write("/proc/self/uid_map", format!("{uid} {uid} 1\n"))?;
    write("/proc/self/setgroups", "deny".to_owned())?;
    write("/proc/self/gid_map", format!("{gid} {gid} 1\n"))
}

/// Makes the root an empty, read-only file system, and drops all others.
fn empty_root() -> Result<(), Errno> {
    const NONE: Option<&str> = None;
    let quiet = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE)?;
    // Any directory serves as the place to mount it; which of these exist differs.
    let options = Some("size=4k,nr_inodes=2,mode=555");
    let place = ["/tmp", "/usr", "/proc"].into_iter().find(|place| {
        mount(Some("none"), *place, Some("tmpfs"), quiet | MsFlags::MS_RDONLY, options).is_ok()
    });
    nix::unistd::chdir(place.ok_or(Errno::EPERM)?)?;
    nix::unistd::pivot_root(".", ".")?;
    // The old root is now mounted over the new one.
    umount2(".", MntFlags::MNT_DETACH)?;
    nix::unistd::chdir("/")
}

/// In a user namespace of its own the host counts the app's processes and threads apart from all others of the user, so
/// this limit is the app's alone. It is a little above the one that the library OS keeps: service threads count, and so
/// do threads that are just ending.
fn limit_processes(most: u64) -> Result<(), Errno> {
    const SERVICES: u64 = 64;
    let (_, hard) = getrlimit(Resource::RLIMIT_NPROC)?;
    let most = most.saturating_add(most / 8).saturating_add(SERVICES).min(hard);
    setrlimit(Resource::RLIMIT_NPROC, most, most)
}

fn give_up_rights() -> Result<(), Errno> {
    let raise = |resource| getrlimit(resource).and_then(|(_, hard)| setrlimit(resource, hard, hard));
    raise(Resource::RLIMIT_NOFILE)?;
    // The arena's address space is far larger than the memory it uses.
    raise(Resource::RLIMIT_AS)?;
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    process::drop_capabilities()?;
    for signal in Signal::iterator().filter(|s| !matches!(s, Signal::SIGKILL | Signal::SIGSTOP)) {
        // A write to a closed pipe or past a limit shall be an error, which the library OS turns into its signal.
        let ignored = matches!(signal, Signal::SIGPIPE | Signal::SIGXFSZ);
        process::set_ignored(signal, ignored)?;
    }
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)
}

/// Puts exactly the planned handles at their numbers.
fn arrange_handles(handles: &[(i32, OwnedFd)], report: RawFd) -> Result<(), Errno> {
    /// Above all handle numbers, so that no source is overwritten before it was copied.
    const ABOVE: i32 = 64;
    let mut sources: Vec<(i32, RawFd)> = Vec::with_capacity(handles.len());
    for (number, fd) in handles {
        let copy = sys::duplicate_from(std::os::fd::AsFd::as_fd(fd), ABOVE)?;
        sources.push((*number, copy.as_raw_fd()));
        // Closed with all others below.
        std::mem::forget(copy);
    }
    for number in 0..handle::FIRST_FREE {
        match sources.iter().find(|(n, _)| *n == number) {
            Some((_, source)) => sys::place(*source, number)?,
            None => sys::close(number),
        }
    }
    sys::close_range(handle::FIRST_FREE, report - 1)?;
    sys::close_range(report + 1, i32::MAX)
}
