//! Extended attributes (xattr(7)): what is asked of a file system, who may ask, and a store for file systems that keep
//! them in memory.

use super::file::mode;
use super::inode::Inode;
use super::permission;
use crate::sys::capability::cap;
use crate::task::Process;
use crate::{Errno, Result};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// Longest name.
pub const MAX_NAME: usize = 255;
/// Longest value.
pub const MAX_VALUE: usize = 65536;
/// Longest list of names.
pub const MAX_LIST: usize = 65536;
/// Flag of setxattr(2): fail if the attribute is there.
pub const CREATE: u32 = 1;
/// Flag of setxattr(2): fail if the attribute is not there.
pub const REPLACE: u32 = 2;

/// What is asked of a file system.
#[derive(Clone, Copy)]
pub enum Request<'a> {
    /// The value of an attribute.
    Get(&'a [u8]),
    /// Set an attribute: name, value, [`CREATE`] and [`REPLACE`].
    Set(&'a [u8], &'a [u8], u32),
    /// All names, each with a NUL behind it.
    List,
    /// Remove an attribute.
    Remove(&'a [u8]),
}

impl Request<'_> {
    /// Whether it changes something.
    #[must_use]
    pub fn is_change(&self) -> bool {
        matches!(self, Self::Set(..) | Self::Remove(_))
    }
}

/// A namespace, by the beginning of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Namespace {
    /// `user.`
    User,
    /// `trusted.`
    Trusted,
    /// `security.`
    Security,
    /// The two names of access control lists.
    AccessList,
    /// Anything else.
    Other,
}

impl Namespace {
    /// The namespace of a name.
    ///
    /// # Errors
    /// `EINVAL` for a namespace without a name.
    pub fn of(name: &[u8]) -> Result<Self> {
        if matches!(name, b"system.posix_acl_access" | b"system.posix_acl_default") {
            return Ok(Self::AccessList);
        }
        let all: [(&[u8], Self); 3] =
            [(b"user.", Self::User), (b"trusted.", Self::Trusted), (b"security.", Self::Security)];
        match all.into_iter().find_map(|(prefix, space)| Some((name.strip_prefix(prefix)?, space))) {
            Some((b"", _)) => Err(Errno::EINVAL),
            Some((_, space)) => Ok(space),
            None => Ok(Self::Other),
        }
    }
}

/// What it is called where an attribute may not be read or changed.
fn refusal(writes: bool) -> Errno {
    if writes { Errno::EPERM } else { Errno::ENODATA }
}

/// Whether attributes of the namespace `user.` can be had by files of this mode: by others Linux has none, because
/// their permission bits say nothing about it.
///
/// # Errors
/// `EPERM` where one is to be changed, else `ENODATA`.
pub fn check_kind(bits: u32, writes: bool) -> Result<()> {
    match bits & mode::S_IFMT {
        mode::S_IFREG | mode::S_IFDIR => Ok(()),
        _ => Err(refusal(writes)),
    }
}

/// Checks that `process` may read or change the attribute `name` of the file.
///
/// # Errors
/// `EPERM`, `EACCES` or `ENODATA`.
pub fn check(process: &Process, inode: &dyn Inode, name: &[u8], writes: bool) -> Result<()> {
    let starts = |prefix: &[u8]| name.starts_with(prefix);
    if starts(b"security.") {
        // They are of no effect here, and none is kept.
        return if writes { Err(Errno::EPERM) } else { Ok(()) };
    }
    if starts(b"system.") {
        return Ok(());
    }
    if starts(b"trusted.") {
        let may = process.identity.lock().may(cap::SYS_ADMIN);
        return if may { Ok(()) } else { Err(refusal(writes)) };
    }
    if starts(b"user.") {
        check_kind(inode.mode(), writes)?;
        // What is in a sticky directory such as /tmp is everybody's, its attributes are its owner's.
        if writes && inode.is_directory() && inode.mode() & 0o1000 != 0 {
            permission::check_owner(process, inode)?;
        }
    }
    permission::check(process, inode, if writes { permission::WRITE } else { permission::READ })
}

/// Values by name.
type Values = BTreeMap<Box<[u8]>, Box<[u8]>>;

/// Attributes that are kept in memory. Few files have any.
#[derive(Default)]
pub struct Store(Option<Box<Values>>);

impl Store {
    /// Does what `request` asks.
    ///
    /// # Errors
    /// `ENODATA`, `EEXIST`; `ENOSPC` where the names would be longer than a list can be.
    pub fn answer(&mut self, request: Request<'_>) -> Result<Vec<u8>> {
        match request {
            Request::Get(name) => self
                .0
                .as_ref()
                .and_then(|map| map.get(name))
                .map(|value| value.to_vec())
                .ok_or(Errno::ENODATA),
            Request::Set(name, value, flags) => self.set(name, value, flags).map(|()| Vec::new()),
            Request::List => Ok(self.names()),
            Request::Remove(name) => {
                self.0.as_mut().and_then(|map| map.remove(name)).map(|_| Vec::new()).ok_or(Errno::ENODATA)
            }
        }
    }

    fn set(&mut self, name: &[u8], value: &[u8], flags: u32) -> Result<()> {
        let exists = self.0.as_ref().is_some_and(|map| map.contains_key(name));
        match (exists, flags) {
            (true, flags) if flags & CREATE != 0 => return Err(Errno::EEXIST),
            (false, flags) if flags & REPLACE != 0 => return Err(Errno::ENODATA),
            (false, _) if self.names().len() + name.len() + 1 > MAX_LIST => return Err(Errno::ENOSPC),
            _ => {}
        }
        self.0.get_or_insert_default().insert(name.into(), value.into());
        Ok(())
    }

    fn names(&self) -> Vec<u8> {
        let mut names = Vec::new();
        for name in self.0.iter().flat_map(|map| map.keys()) {
            names.extend_from_slice(name);
            names.push(0);
        }
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_a_namespace_and_something_behind_it() {
        assert_eq!(Namespace::of(b"user.a"), Ok(Namespace::User));
        assert_eq!(Namespace::of(b"user."), Err(Errno::EINVAL));
        assert_eq!(Namespace::of(b"user"), Ok(Namespace::Other));
        assert_eq!(Namespace::of(b"system.posix_acl_access"), Ok(Namespace::AccessList));
        assert_eq!(Namespace::of(b"system.other"), Ok(Namespace::Other));
    }

    #[test]
    fn a_store_keeps_what_was_set() {
        let mut store = Store::default();
        let get = |store: &mut Store, name: &[u8]| store.answer(Request::Get(name));
        assert_eq!(get(&mut store, b"user.a"), Err(Errno::ENODATA));
        assert_eq!(store.answer(Request::Set(b"user.a", b"1", REPLACE)), Err(Errno::ENODATA));
        assert!(store.answer(Request::Set(b"user.b", b"2", CREATE)).is_ok());
        assert!(store.answer(Request::Set(b"user.a", b"", 0)).is_ok());
        assert_eq!(store.answer(Request::Set(b"user.a", b"1", CREATE)), Err(Errno::EEXIST));
        assert_eq!(get(&mut store, b"user.b"), Ok(b"2".to_vec()));
        assert_eq!(store.answer(Request::List), Ok(b"user.a\0user.b\0".to_vec()));
        assert!(store.answer(Request::Remove(b"user.a")).is_ok());
        assert_eq!(store.answer(Request::Remove(b"user.a")), Err(Errno::ENODATA));
    }

    #[test]
    fn a_list_never_gets_too_long_to_be_told() {
        let mut store = Store::default();
        let name = |n: u32| alloc::format!("user.{n:0250}").into_bytes();
        let many = (0..).find(|n| store.answer(Request::Set(&name(*n), b"", 0)) == Err(Errno::ENOSPC));
        assert_eq!(many, Some(256));
        assert!(store.answer(Request::Set(&name(0), b"again", 0)).is_ok());
        assert_eq!(store.names().len(), MAX_LIST);
    }
}
