//! The `ExtendedAttribute` downcall.

use super::mounts::Mounts;
use crate::answer::Answer;
use crate::sys::attribute as host;
use nix::errno::Errno;
use nix::libc;
use nix::sys::stat::SFlag;
use postern_abi::calls::{attribute, split_unnamed};
use postern_abi::message::MAX_PAYLOAD;
use std::ffi::CString;
use std::os::unix::ffi::OsStringExt as _;

/// The name as the host takes it.
fn host_name(name: &[u8]) -> Result<CString, Errno> {
    match name.strip_prefix(attribute::NAMESPACE) {
        None => Err(Errno::EOPNOTSUPP),
        Some(b"") => Err(Errno::EINVAL),
        Some(_) if name.len() > attribute::MAX_NAME => Err(Errno::ERANGE),
        Some(_) => CString::new(name).map_err(|_| Errno::EINVAL),
    }
}

impl Mounts {
    /// Answers `ExtendedAttribute`; see [`postern_abi::calls::Downcall::ExtendedAttribute`].
    ///
    /// # Errors
    /// The host's; `EROFS` where the mount is read-only, `EACCES` where the policy hides the file.
    pub fn extended_attribute(&self, args: &[u64; 6], payload: &[u8]) -> Result<Answer, Errno> {
        let [mount, operation, flags, path_len, name_len, ..] = *args;
        let length = |len: u64| usize::try_from(len).map_err(|_| Errno::EINVAL);
        let (path, rest) = payload.split_at_checked(length(path_len)?).ok_or(Errno::EINVAL)?;
        let (name, value) = rest.split_at_checked(length(name_len)?).ok_or(Errno::EINVAL)?;
        if matches!(operation, attribute::SET | attribute::REMOVE) {
            Self::may_write(self.get(split_unnamed(mount).0)?)?;
        }
        let (mount, file) = self.locate(mount, path)?;
        if !matches!(file.kind(), SFlag::S_IFREG | SFlag::S_IFDIR) {
            return Err(Errno::EPERM);
        }
        self.may_read(mount, &file, path)?;
        // Through /proc: names exactly this file, whatever its name leads to by now.
        let at = CString::new(file.proc_path().into_os_string().into_vec()).map_err(|_| Errno::EINVAL)?;
        let mut answer = Answer::default();
        match operation {
            attribute::GET => {
                let mut buffer = vec![0; MAX_PAYLOAD.min(attribute::MAX_VALUE)];
                let got = host::get(&at, &host_name(name)?, &mut buffer)?;
                buffer.truncate(got);
                answer.payload = buffer;
            }
            attribute::SET => {
                if value.len() > attribute::MAX_VALUE {
                    return Err(Errno::E2BIG);
                }
                let mut how = 0;
                for (flag, bit) in
                    [(attribute::CREATE, libc::XATTR_CREATE), (attribute::REPLACE, libc::XATTR_REPLACE)]
                {
                    how |= if flags & flag != 0 { bit } else { 0 };
                }
                if flags & !(attribute::CREATE | attribute::REPLACE) != 0 {
                    return Err(Errno::EINVAL);
                }
                host::set(&at, &host_name(name)?, value, how)?;
            }
            attribute::LIST => answer.payload = user_names(&at)?,
            attribute::REMOVE => host::remove(&at, &host_name(name)?)?,
            _ => return Err(Errno::EINVAL),
        }
        Ok(answer)
    }
}

/// The names that the app may see, each with a NUL behind it.
fn user_names(at: &CString) -> Result<Vec<u8>, Errno> {
    let mut buffer = vec![0; MAX_PAYLOAD];
    let got = match host::list(at, &mut buffer) {
        Err(Errno::ERANGE) => return Err(Errno::E2BIG),
        // A file system that keeps none has none.
        Err(Errno::EOPNOTSUPP) => 0,
        other => other?,
    };
    buffer.truncate(got);
    let names = buffer.split_inclusive(|byte| *byte == 0);
    Ok(names.filter(|name| name.starts_with(attribute::NAMESPACE)).collect::<Vec<_>>().concat())
}
