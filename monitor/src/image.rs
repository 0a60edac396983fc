//! What an app sees of the host's files: the image (in host mode the host's own system directories, read-only), its
//! private home, and what the user granted.

use crate::files::{MountError, Mounts, Policy};
use crate::paths;
use crate::permission::{FileGrant, HomeAccess};
use postern_abi::boot::mount;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Directories of the host that are shown where they exist, and whether the app may take them for unchanging: an
/// update of the system is seen by apps that are started after it, as with any other image.
const SYSTEM: &[(&str, bool)] = &[
    ("/usr", true),
    ("/etc", false),
    ("/opt", true),
    ("/nix/store", true),
    ("/gnu/store", true),
    ("/var/cache/fontconfig", false),
    ("/var/lib/ghostscript", true),
];

/// Entries of the root that are links into `/usr` on most systems, and directories on the others.
const ROOT_ENTRIES: &[&str] = &["/bin", "/sbin", "/lib", "/lib64", "/lib32", "/libx32"];

/// Files that programs read by these names and that are links out of the mounts on some systems.
const SINGLE: &[&str] = &["/etc/resolv.conf", "/etc/hosts", "/etc/localtime", "/etc/os-release"];

/// Directories of the real home that stay the app's own where it may only read the real home.
const OWN_DIRECTORIES: &[&str] = &[".config", ".cache", ".local"];

/// Mounts the host's system directories.
///
/// # Errors
/// If there is no `/usr`.
pub fn mount_host(mounts: &mut Mounts) -> Result<(), MountError> {
    for (path, unchanging) in SYSTEM {
        let flags = mount::READ_ONLY | if *unchanging { mount::EXCLUSIVE } else { 0 };
        let path = Path::new(path);
        if path == Path::new("/usr") || path.is_dir() {
            mounts.add(path, path, flags, Policy::System)?;
        }
    }
    for path in ROOT_ENTRIES.iter().map(Path::new) {
        if let Ok(target) = fs::read_link(path) {
            mounts.link(path, &target);
        } else if path.is_dir() {
            mounts.add(path, path, mount::READ_ONLY | mount::EXCLUSIVE, Policy::System)?;
        }
    }
    for path in SINGLE.iter().map(Path::new) {
        if let Ok(target) = path.canonicalize()
            && mounts.find(&target).is_none()
            && target.is_file()
        {
            mounts.add(&target, &target, mount::READ_ONLY, Policy::System)?;
        }
    }
    Ok(())
}

/// Why a home could not be mounted.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// It could not be made or locked.
    #[error("the private home {}: {source}", path.display())]
    Private {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It could not be mounted.
    #[error(transparent)]
    Mount(#[from] MountError),
}

/// Mounts the home of app `id` at `home`: its private one, made at its first use, or the real one, by `access`. The
/// lock that is returned says that no other run of the app uses the private home, and must be kept while this one
/// does.
///
/// # Errors
/// If it cannot be made, locked or mounted.
pub fn mount_home(
    mounts: &mut Mounts,
    id: &str,
    home: &Path,
    access: HomeAccess,
) -> Result<Option<File>, HomeError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| HomeError::Private { path, source }
    };
    let private = paths::home_of(id).map_err(failed(Path::new(id)))?;
    hide_own_directories(mounts);
    if access == HomeAccess::Write {
        mounts.add(home, home, 0, Policy::Granted)?;
        return Ok(None);
    }
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&private).map_err(failed(&private))?;
    let directory = File::open(&private).map_err(failed(&private))?;
    // A second run at the same time shares the home with the first, so it must not take it for its own alone. The
    // first one cannot be told any more: it may not see at once what the second one changes.
    let lock = is_free(&directory).then_some(directory);
    let flags = if lock.is_some() { mount::EXCLUSIVE } else { 0 };
    if access == HomeAccess::None {
        mounts.add(&private, home, flags, Policy::Granted)?;
        return Ok(lock);
    }
    mounts.add(home, home, mount::READ_ONLY, Policy::Granted)?;
    for name in OWN_DIRECTORIES {
        let own = private.join(name);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&own).map_err(failed(&own))?;
        mounts.add(&own, &home.join(name), flags, Policy::Granted)?;
    }
    Ok(lock)
}

/// Takes the lock of a private home. The monitor of a run that has just ended still holds it for a moment.
fn is_free(home: &File) -> bool {
    (0..8).any(|attempt| {
        if attempt > 0 {
            std::thread::sleep(Duration::from_millis(2));
        }
        home.try_lock().is_ok()
    })
}

/// An app that could change its own manifest, or read another's private home, would have every permission. What is not
/// there yet is made: it can only be hidden when it is there, and must not turn up while the app runs.
fn hide_own_directories(mounts: &mut Mounts) {
    let config = paths::manifests().ok().and_then(|dir| dir.parent().map(Path::to_owned));
    let state = paths::reports().ok().and_then(|dir| dir.parent().map(Path::to_owned));
    let data = paths::home_of("x").ok().and_then(|dir| dir.ancestors().nth(2).map(Path::to_owned));
    for directory in [config, state, data, paths::runtime().ok()].into_iter().flatten() {
        // Where it cannot be made, nobody else of this user can make it either.
        let _ = fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory);
        mounts.hide(&directory);
    }
}

/// Mounts a granted file or folder at its path, and where that leads through links, at its real path as well.
///
/// # Errors
/// If it does not exist or is neither a file nor a folder.
pub fn mount_grant(mounts: &mut Mounts, grant: &FileGrant) -> Result<(), MountError> {
    let flags = if grant.write { 0 } else { mount::READ_ONLY };
    hide_own_directories(mounts);
    let real = grant
        .path
        .canonicalize()
        .map_err(|error| MountError { path: grant.path.clone(), reason: error.to_string() })?;
    mounts.add(&real, &real, flags, Policy::Granted)?;
    if real != grant.path {
        mounts.add(&real, &grant.path, flags, Policy::Granted)?;
    }
    Ok(())
}
