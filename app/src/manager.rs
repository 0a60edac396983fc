//! The manager window: a program of its own that this one carries.

use anyhow::Context as _;
use nix::sys::memfd::{MFdFlags, memfd_create};
use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// The manager, as the build script made it.
static PROGRAM: &[u8] = include_bytes!(env!("POSTERN_MANAGER"));

/// Becomes the manager, which gets the path of this program to start apps with.
///
/// # Errors
/// The host's.
pub fn run() -> anyhow::Result<()> {
    let this = std::env::current_exe().context("finding this program")?;
    let program = in_memory().context("unpacking the manager")?;
    let path = format!("/proc/self/fd/{}", program.as_raw_fd());
    let error = Command::new(path).arg0("postern").arg(this).exec();
    Err(error).context("starting the manager")
}

fn in_memory() -> anyhow::Result<File> {
    // A host may be set up to make memory files that cannot be executed unless this is asked for; older ones do not
    // know the flag.
    let may_execute = MFdFlags::from_bits_retain(nix::libc::MFD_EXEC);
    let file = memfd_create(c"postern-manager", MFdFlags::MFD_CLOEXEC | may_execute)
        .or_else(|_| memfd_create(c"postern-manager", MFdFlags::MFD_CLOEXEC))?;
    let mut file = File::from(file);
    file.write_all(PROGRAM)?;
    // Nobody executes a file that is open for writing.
    File::open(format!("/proc/self/fd/{}", file.as_raw_fd())).map_err(Into::into)
}
