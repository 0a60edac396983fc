//! setxattr(2), getxattr(2), listxattr(2), removexattr(2) and their relatives.

use super::{AT_FDCWD, find};
use crate::call::{Call, done};
use crate::fs::dentry::Dentry;
use crate::fs::extended::{self, MAX_LIST, MAX_NAME, MAX_VALUE, Namespace, Request};
use crate::fs::file::mode;
use crate::fs::inotify::{self, event};
use crate::fs::{OpenFile, dentry_of, permission};
use crate::sys::capability::cap;
use crate::{Errno, Result};
use alloc::sync::Arc;
use alloc::vec::Vec;
use postern_pal::user;

/// How a call names the file: its first argument.
#[derive(Clone, Copy)]
enum By {
    /// A path; a symbolic link at its end is followed.
    Path,
    /// A path; a symbolic link at its end is meant itself.
    Link,
    /// A descriptor.
    Descriptor,
}

/// The file of a call.
enum Target {
    /// A file with a place.
    File(Arc<Dentry>),
    /// A pipe or the like.
    Nowhere(Arc<OpenFile>),
}

fn target(call: &Call<'_>, by: By) -> Result<Target> {
    if let By::Descriptor = by {
        let file = call.file(0)?;
        return Ok(match dentry_of(&file) {
            Some(dentry) => Target::File(dentry),
            None => Target::Nowhere(file),
        });
    }
    let path = call.path(0)?;
    find(call, AT_FDCWD, &path, matches!(by, By::Path)).map(Target::File)
}

/// The name that argument 1 points to.
fn name(call: &Call<'_>) -> Result<Vec<u8>> {
    let mut name = Vec::new();
    match user::read_string(call.word(1), MAX_NAME, &mut name) {
        Err(Errno::ENAMETOOLONG) => Err(Errno::ERANGE),
        Ok(()) if name.is_empty() => Err(Errno::ERANGE),
        read => read.map(|()| name),
    }
}

/// Copies `value` out to where the call wants it; with no room at all, only its length is told.
fn give(at: usize, room: usize, value: &[u8]) -> Result<u64> {
    if room > 0 {
        if value.len() > room {
            return Err(Errno::ERANGE);
        }
        user::write_bytes(at, value)?;
    }
    done(value.len())
}

/// Asks for or changes the attribute `name`.
fn run(call: &Call<'_>, target: &Target, name: &[u8], request: Request<'_>) -> Result<Vec<u8>> {
    let writes = request.is_change();
    let dentry = match target {
        Target::File(dentry) => dentry,
        Target::Nowhere(file) => {
            return match Namespace::of(name)? {
                Namespace::User => {
                    extended::check_kind(file.ops.metadata()?.mode, writes).and(Err(Errno::EOPNOTSUPP))
                }
                Namespace::Trusted | Namespace::Security if writes => Err(Errno::EPERM),
                _ => Err(Errno::EOPNOTSUPP),
            };
        }
    };
    if writes && dentry.mount.read_only {
        return Err(Errno::EROFS);
    }
    let inode = &dentry.inode;
    extended::check(call.process(), &**inode, name, writes)?;
    if !inode.keeps_extended() {
        return Err(Errno::EOPNOTSUPP);
    }
    let space = Namespace::of(name)?;
    match (space, request) {
        (Namespace::AccessList, _) if inode.kind() == mode::S_IFLNK => Err(Errno::EOPNOTSUPP),
        // No list was ever set: the permission bits say all.
        (Namespace::AccessList, Request::Remove(_)) => {
            permission::check_owner(call.process(), &**inode).map(|()| Vec::new())
        }
        (Namespace::AccessList | Namespace::Security, Request::Get(_)) => Err(Errno::ENODATA),
        (Namespace::AccessList | Namespace::Security | Namespace::Other, _) => Err(Errno::EOPNOTSUPP),
        (Namespace::User | Namespace::Trusted, _) => {
            let answer = inode.extended(dentry, request)?;
            if writes {
                inotify::file(dentry, event::ATTRIB);
            }
            Ok(answer)
        }
    }
}

fn set(call: &Call<'_>, by: By) -> Result<u64> {
    let (at, len, flags) = (call.word(2), call.word(3), call.uint(4));
    if flags & !(extended::CREATE | extended::REPLACE) != 0 {
        return Err(Errno::EINVAL);
    }
    let name = name(call)?;
    if len > MAX_VALUE {
        return Err(Errno::E2BIG);
    }
    let mut value = alloc::vec![0; len];
    user::read_bytes(at, &mut value)?;
    run(call, &target(call, by)?, &name, Request::Set(&name, &value, flags)).map(|_| 0)
}

fn get(call: &Call<'_>, by: By) -> Result<u64> {
    let name = name(call)?;
    let value = run(call, &target(call, by)?, &name, Request::Get(&name))?;
    give(call.word(2), call.word(3).min(MAX_VALUE), &value)
}

fn list(call: &Call<'_>, by: By) -> Result<u64> {
    let names = match target(call, by)? {
        Target::File(dentry) if dentry.inode.keeps_extended() => {
            let names = dentry.inode.extended(&dentry, Request::List)?;
            let may_all = call.process().identity.lock().may(cap::SYS_ADMIN);
            if may_all { names } else { without_trusted(&names) }
        }
        _ => Vec::new(),
    };
    give(call.word(1), call.word(2).min(MAX_LIST), &names)
}

/// What of a list a process without privileges sees.
fn without_trusted(names: &[u8]) -> Vec<u8> {
    let each = names.split_inclusive(|byte| *byte == 0);
    each.filter(|name| !name.starts_with(b"trusted.")).collect::<Vec<_>>().concat()
}

fn remove(call: &Call<'_>, by: By) -> Result<u64> {
    let name = name(call)?;
    run(call, &target(call, by)?, &name, Request::Remove(&name)).map(|_| 0)
}

macro_rules! calls {
    ($($(#[$doc:meta])* $name:ident = $what:ident, $by:ident;)*) => {
        $(
            $(#[$doc])*
            ///
            /// # Errors
            /// As the manual page says.
            pub fn $name(call: &mut Call<'_>) -> Result<u64> {
                $what(call, By::$by)
            }
        )*
    };
}

calls! {
    /// setxattr(2).
    setxattr = set, Path;
    /// lsetxattr(2).
    lsetxattr = set, Link;
    /// fsetxattr(2).
    fsetxattr = set, Descriptor;
    /// getxattr(2).
    getxattr = get, Path;
    /// lgetxattr(2).
    lgetxattr = get, Link;
    /// fgetxattr(2).
    fgetxattr = get, Descriptor;
    /// listxattr(2).
    listxattr = list, Path;
    /// llistxattr(2).
    llistxattr = list, Link;
    /// flistxattr(2).
    flistxattr = list, Descriptor;
    /// removexattr(2).
    removexattr = remove, Path;
    /// lremovexattr(2).
    lremovexattr = remove, Link;
    /// fremovexattr(2).
    fremovexattr = remove, Descriptor;
}
