//! Mounts that are added while the app runs: files and folders that the user dropped on it, or granted it meanwhile.

use super::mounts::{Mount, MountError, Mounts, Policy};
use crate::permission::FileGrant;
use postern_abi::boot::mount;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Most mounts that are added to one run of an app.
const MAX_LATE: usize = 256;
/// What is in these is no file of anybody's.
const NO_FILES: [&str; 3] = ["/proc", "/sys", "/dev"];

/// The mounts that were added, in order. Places are only ever filled, so what is there can be used without a lock.
#[derive(Debug)]
pub(super) struct Late(Box<[OnceLock<Box<Mount>>]>);

impl Default for Late {
    fn default() -> Self {
        Self((0..MAX_LATE).map(|_| OnceLock::new()).collect())
    }
}

impl Late {
    pub(super) fn iter(&self) -> impl Iterator<Item = &Mount> {
        self.0.iter().map_while(|place| place.get().map(|mount| &**mount))
    }

    /// Adds a mount under the number after `last` and those that are here. `None`: there are too many.
    fn add(&self, last: u32, mut mount: Mount) -> Option<&Mount> {
        for (place, after) in self.0.iter().zip(1..) {
            mount.id = last.checked_add(after)?;
            match place.set(Box::new(mount)) {
                Ok(()) => return place.get().map(|mount| &**mount),
                Err(taken) => mount = *taken,
            }
        }
        None
    }
}

impl Mounts {
    /// Adds a mount of what is granted for an app that runs already. `None`: the app has it. The path is not trusted.
    ///
    /// # Errors
    /// If the app is not to have it: it does not exist, is Postern's own, would take the place of something that the app
    /// needs, or is to be read only and the app can write to it already.
    pub fn add_late(&self, grant: &FileGrant) -> Result<Option<&Mount>, MountError> {
        let path = grant.path.as_path();
        let wrong = |reason: &str| MountError { path: path.to_owned(), reason: reason.to_owned() };
        if !crate::permission::is_plain(path) {
            return Err(wrong("not an absolute path without `.` and `..`"));
        }
        let real = path.canonicalize().map_err(|error| wrong(&error.to_string()))?;
        if NO_FILES.iter().any(|no_files| real.starts_with(no_files)) || real.parent().is_none() {
            return Err(wrong("no file or folder of the user's"));
        }
        // By the path that it was dropped under, which leads through links perhaps.
        match self.has(path, &real) {
            Some(can_write) if can_write == grant.write => return Ok(None),
            // A second mount would not take away the first.
            Some(true) => return Err(wrong("the app can write to it until it ends")),
            _ => {}
        }
        // What the user granted of it before is in it still.
        let is_covered = |other: &Mount| match other.path.strip_prefix(path) {
            Ok(rest) if rest.as_os_str().is_empty() => other.source != real,
            Ok(rest) => other.policy != Policy::Granted || other.source != real.join(rest),
            Err(_) => false,
        };
        if self.all().any(is_covered) {
            return Err(wrong("it would take the place of what the app has there"));
        }
        let added =
            Self::open_mount(&real, path, if grant.write { 0 } else { mount::READ_ONLY }, Policy::Granted)?;
        // What was opened, and not what may have taken its place meanwhile.
        let opened = std::fs::read_link(format!("/proc/self/fd/{}", added.root.as_raw_fd()));
        if !opened.is_ok_and(|opened| opened == real) {
            return Err(wrong("it is another one now"));
        }
        let is_hidden = |part: &Path| {
            std::fs::symlink_metadata(part).is_ok_and(|meta| self.is_hidden(meta.dev(), meta.ino()))
        };
        if real.ancestors().any(is_hidden) {
            return Err(wrong("it is Postern's own"));
        }
        let added =
            self.late().add(self.last_id(), added).ok_or_else(|| wrong("too many were added already"))?;
        Ok(Some(added))
    }

    /// Whether the app can change the host's `real`, which it was granted at `path`. `None`: it was not.
    fn has(&self, path: &Path, real: &Path) -> Option<bool> {
        let (found, _) = self.find(path).filter(|(found, _)| found.policy == Policy::Granted)?;
        let there = self.host_path(path)?.canonicalize().ok()?;
        (there == real).then(|| found.is_writable())
    }

    /// Where on the host a file or folder is that the app sees at `path`. `None`: it sees none there, or a link, which
    /// means something else to others.
    #[must_use]
    pub fn shown_at(&self, path: &Path) -> Option<PathBuf> {
        use std::os::unix::ffi::OsStrExt as _;
        if !crate::permission::is_plain(path) {
            return None;
        }
        let (found, rest) = self.find(path)?;
        let rest = rest.as_os_str().as_bytes();
        let node = self.walk(found, rest).ok()?;
        self.may_read(found, &node, rest).ok()?;
        if node.is(nix::sys::stat::SFlag::S_IFLNK) {
            return None;
        }
        self.host_path(path)
    }
}
