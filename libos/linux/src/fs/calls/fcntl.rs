//! fcntl(2).

use crate::call::Call;
use crate::fs::OpenFile;
use crate::fs::file::{flags, mode};
use crate::fs::lease;
use crate::fs::lock::{self, Operation};
use crate::fs::memfd::MemoryFile;
use crate::fs::sigio::{self, Kind};
use crate::ipc::pipe;
use crate::task::Process;
use crate::{Errno, Result};
use postern_pal::user;

const F_DUPFD: u32 = 0;
const F_GETFD: u32 = 1;
const F_SETFD: u32 = 2;
const F_GETFL: u32 = 3;
const F_SETFL: u32 = 4;
const F_GETLK: u32 = 5;
const F_SETLK: u32 = 6;
const F_SETLKW: u32 = 7;
const F_SETOWN: u32 = 8;
const F_GETOWN: u32 = 9;
const F_SETSIG: u32 = 10;
const F_GETSIG: u32 = 11;
const F_SETOWN_EX: u32 = 15;
const F_GETOWN_EX: u32 = 16;
const F_OFD_GETLK: u32 = 36;
const F_OFD_SETLK: u32 = 37;
const F_OFD_SETLKW: u32 = 38;
const F_SETLEASE: u32 = 1024;
const F_GETLEASE: u32 = 1025;
const F_NOTIFY: u32 = 1026;
const F_DUPFD_CLOEXEC: u32 = 1030;
const F_SETPIPE_SZ: u32 = 1031;
const F_GETPIPE_SZ: u32 = 1032;
const F_ADD_SEALS: u32 = 1033;
const F_GET_SEALS: u32 = 1034;
const F_GET_RW_HINT: u32 = 1035;
const F_SET_RW_HINT: u32 = 1036;

fn memory(file: &OpenFile) -> Result<&MemoryFile> {
    file.ops.as_any().downcast_ref().ok_or(Errno::EINVAL)
}

fn is_owner(process: &Process, owner: u32) -> bool {
    let uid = process.identity.lock().fsuid;
    uid == 0 || uid == owner
}

/// fcntl(2).
///
/// # Errors
/// As the manual page says.
pub fn fcntl(call: &mut Call<'_>) -> Result<u64> {
    let (fd, command, argument) = (call.int(0), call.uint(1), call.word(2));
    let process = call.process();
    let file = call.any_file(0)?;
    let path_only = file.status() & flags::O_PATH != 0;
    if path_only && !matches!(command, F_DUPFD | F_DUPFD_CLOEXEC | F_GETFD | F_SETFD | F_GETFL) {
        return Err(Errno::EBADF);
    }
    match command {
        F_DUPFD | F_DUPFD_CLOEXEC => {
            let limit = process.descriptor_limit();
            let min = usize::try_from(call.int(2)).ok().filter(|m| *m < limit).ok_or(Errno::EINVAL)?;
            let new = process.files.insert(file, command == F_DUPFD_CLOEXEC, min, limit)?;
            u64::try_from(new).map_err(|_| Errno::EMFILE)
        }
        F_GETFD => process.files.close_on_exec(fd).map(u64::from),
        F_SETFD => process.files.set_close_on_exec(fd, argument & 1 != 0).map(|()| 0),
        F_GETFL => Ok(u64::from(file.status() & !flags::O_CLOEXEC)),
        F_SETFL => {
            let added = call.uint(2) & !file.status();
            if added & flags::O_NOATIME != 0 && !is_owner(process, file.ops.metadata()?.uid) {
                return Err(Errno::EPERM);
            }
            // Packets of pipes, and reading past the page cache; nothing else knows it.
            let kinds = [mode::S_IFIFO, mode::S_IFREG, mode::S_IFBLK];
            if added & flags::O_DIRECT != 0 && !kinds.contains(&(file.ops.metadata()?.mode & mode::S_IFMT)) {
                return Err(Errno::EINVAL);
            }
            file.set_status(call.uint(2));
            sigio::set_async(process, &file, fd, call.uint(2) & flags::O_ASYNC != 0);
            Ok(0)
        }
        F_GETLK => lock::record(call, &file, argument, Operation::Get, false),
        F_SETLK => lock::record(call, &file, argument, Operation::Set, false),
        F_SETLKW => lock::record(call, &file, argument, Operation::Wait, false),
        F_OFD_GETLK => lock::record(call, &file, argument, Operation::Get, true),
        F_OFD_SETLK => lock::record(call, &file, argument, Operation::Set, true),
        F_OFD_SETLKW => lock::record(call, &file, argument, Operation::Wait, true),
        F_SETOWN => sigio::set_owner_number(process, &file, call.int(2)).map(|()| 0),
        // A group comes back as a negative number, as the system call itself returns it.
        F_GETOWN => Ok(i64::from(sigio::owner_number(&file)).cast_unsigned()),
        F_SETOWN_EX => {
            let [kind, id]: [u32; 2] = user::read(argument)?;
            let kind = match kind {
                0 => Kind::Thread,
                1 => Kind::Process,
                2 => Kind::Group,
                _ => return Err(Errno::EINVAL),
            };
            sigio::set_owner(process, &file, kind, id).map(|()| 0)
        }
        F_GETOWN_EX => {
            let (kind, id) = sigio::owner(&file);
            let kind = match kind {
                Kind::Thread => 0,
                Kind::Process => 1,
                Kind::Group => 2,
            };
            user::write(argument, &[kind, id])?;
            Ok(0)
        }
        F_SETSIG => sigio::set_signal(&file, call.uint(2)).map(|()| 0),
        F_GETSIG => Ok(u64::from(sigio::signal_of(&file))),
        F_SETLEASE => lease::set(process, &file, fd, call.int(2)).map(|()| 0),
        F_GETLEASE => Ok(lease::get(&file) as u64),
        // Nobody is told: without a signal nothing is promised either (inotify replaced it).
        F_NOTIFY if file.ops.metadata()?.mode & mode::S_IFMT == mode::S_IFDIR => Ok(0),
        F_NOTIFY => Err(Errno::ENOTDIR),
        F_SETPIPE_SZ => {
            let size = usize::try_from(call.uint(2)).map_err(|_| Errno::EINVAL)?;
            pipe::set_capacity(&*file.ops, size).map(|s| s as u64)
        }
        F_GETPIPE_SZ => pipe::capacity(&*file.ops).map(|s| s as u64),
        F_ADD_SEALS if !file.is_writable() => Err(Errno::EPERM),
        F_ADD_SEALS => memory(&file)?.add_seals(call.uint(2)).map(|()| 0),
        F_GET_SEALS => memory(&file).map(|m| u64::from(m.seals())),
        F_GET_RW_HINT => {
            user::write(argument, &0u64)?;
            Ok(0)
        }
        F_SET_RW_HINT => Ok(0),
        _ => Err(Errno::EINVAL),
    }
}
