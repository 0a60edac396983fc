//! Process descriptors: pidfd_open(2), pidfd_send_signal(2).

use super::calls;
use crate::call::Call;
use crate::fs::file::flags;
use crate::fs::{self, FileOps, Metadata, OpenFile, Poll};
use crate::ipc::{self, DEV_ANONYMOUS};
use crate::sys::identity;
use crate::task::process::{self, Process};
use crate::wait::WaitQueue;
use crate::{Errno, Result};
use alloc::sync::Arc;
use core::any::Any;

/// The object behind a process descriptor. It is readable once the process has ended.
pub struct PidFd {
    process: Arc<Process>,
    ino: u64,
    created: [i64; 2],
}

impl FileOps for PidFd {
    fn poll(&self, _: &OpenFile) -> Poll {
        if self.process.has_ended() { Poll::IN | Poll::RDNORM } else { Poll::empty() }
    }

    fn wait_queue(&self) -> Option<&WaitQueue> {
        Some(&self.process.changed)
    }

    fn metadata(&self) -> Result<Metadata> {
        Ok(ipc::anonymous_metadata(DEV_ANONYMOUS, self.ino, 0o600, self.created, [0, 0]))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// The process that a descriptor stands for. As on Linux, that is also what an open directory of /proc does.
fn target(file: &OpenFile) -> Result<Arc<Process>> {
    if let Some(fd) = file.ops.as_any().downcast_ref::<PidFd>() {
        return Ok(fd.process.clone());
    }
    let path = fs::dentry_of(file).ok_or(Errno::EBADF)?.absolute_path();
    let name = path.strip_prefix(b"/proc/").and_then(|name| core::str::from_utf8(name).ok());
    let pid = name.and_then(|name| name.parse().ok()).ok_or(Errno::EBADF)?;
    process::find(pid).ok_or(Errno::ESRCH)
}

/// The id of the process that `fd` stands for.
///
/// # Errors
/// `EBADF` if it is no process descriptor.
pub fn pidfd_process(process: &Arc<Process>, fd: i32) -> Result<u32> {
    let file = process.files.get(fd)?;
    Ok(target(&file)?.pid)
}

/// pidfd_open(2).
///
/// # Errors
/// As the manual page says.
pub fn pidfd_open(call: &mut Call<'_>) -> Result<u64> {
    let (pid, status) = (call.int(0), call.uint(1));
    if status & !flags::O_NONBLOCK != 0 || pid <= 0 {
        return Err(Errno::EINVAL);
    }
    let pid = pid.unsigned_abs();
    let process = process::find(pid).ok_or_else(|| {
        // The id of a thread that does not lead a process.
        if process::find_thread(pid).is_some() { Errno::EINVAL } else { Errno::ESRCH }
    })?;
    let fd = pidfd_create(call.process(), process, status)?;
    Ok(u64::try_from(fd).unwrap_or(0))
}

/// Gives `owner` a descriptor for `process`; `status` is 0 or `O_NONBLOCK`.
///
/// # Errors
/// `EMFILE`.
pub fn pidfd_create(owner: &Process, process: Arc<Process>, status: u32) -> Result<i32> {
    let ops = Arc::new(PidFd { process, ino: ipc::next_inode(), created: ipc::time_of_day() });
    // Process descriptors always close on exec.
    owner.add_file(OpenFile::new(ops, flags::O_RDWR | status), true)
}

/// pidfd_getfd(2): a descriptor of another process becomes one of the caller's, too.
///
/// # Errors
/// As the manual page says.
pub fn pidfd_getfd(call: &mut Call<'_>) -> Result<u64> {
    if call.uint(2) != 0 {
        return Err(Errno::EINVAL);
    }
    let file = call.file(0)?;
    let pidfd = file.ops.as_any().downcast_ref::<PidFd>().ok_or(Errno::EBADF)?;
    if pidfd.process.has_ended() {
        return Err(Errno::ESRCH);
    }
    if !identity::may_trace(call.process(), &pidfd.process) {
        return Err(Errno::EPERM);
    }
    let wanted = pidfd.process.files.get(call.int(1))?;
    let fd = call.process().add_file(wanted, true)?;
    Ok(u64::try_from(fd).unwrap_or(0))
}

/// pidfd_send_signal(2).
///
/// # Errors
/// As the manual page says.
pub fn pidfd_send_signal(call: &mut Call<'_>) -> Result<u64> {
    if call.uint(3) != 0 {
        return Err(Errno::EINVAL);
    }
    let file = call.file(0)?;
    let process = target(&file)?;
    if process.has_ended() {
        return Err(Errno::ESRCH);
    }
    let info = calls::pidfd_info(call, &process)?;
    calls::send_info(call, &process, info)
}
