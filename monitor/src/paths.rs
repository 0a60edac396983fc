//! Where Postern keeps things on the host: the XDG base directories.

use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

/// The user's base directories with `postern` appended, or why there are none.
fn project() -> io::Result<directories::ProjectDirs> {
    directories::ProjectDirs::from("", "", "postern")
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the user has no home directory"))
}

/// `XDG_CONFIG_HOME/postern/apps`: the manifests.
///
/// # Errors
/// If the user has no home directory.
pub fn manifests() -> io::Result<PathBuf> {
    Ok(project()?.config_dir().join("apps"))
}

/// `XDG_STATE_HOME/postern/reports`: the reports.
///
/// # Errors
/// If the user has no home directory.
pub fn reports() -> io::Result<PathBuf> {
    let dirs = project()?;
    let state =
        dirs.state_dir().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no state directory"))?;
    Ok(state.join("reports"))
}

/// `XDG_STATE_HOME/postern/starts/ID`: what an app looks up while it starts.
///
/// # Errors
/// If the user has no home directory, or `id` cannot be a file name.
pub fn start_of(id: &str) -> io::Result<PathBuf> {
    check_id(id)?;
    Ok(reports()?.with_file_name("starts").join(id))
}

/// `XDG_DATA_HOME/postern/homes/ID`: the private home of an app.
///
/// # Errors
/// If the user has no home directory, or `id` cannot be a file name.
pub fn home_of(id: &str) -> io::Result<PathBuf> {
    check_id(id)?;
    Ok(project()?.data_dir().join("homes").join(id))
}

/// `XDG_DATA_HOME/postern/machine-ids/ID`: the machine identity that an app sees instead of the host's.
///
/// # Errors
/// If the user has no home directory, or `id` cannot be a file name.
pub fn machine_id_of(id: &str) -> io::Result<PathBuf> {
    check_id(id)?;
    Ok(project()?.data_dir().join("machine-ids").join(id))
}

/// `XDG_RUNTIME_DIR/postern`: the control sockets. Made with mode 0700 if it is missing; where the session has no
/// runtime directory, a directory of the user's own below `/tmp` serves.
///
/// # Errors
/// If it cannot be made, or what is there is not the user's own directory.
pub fn runtime() -> io::Result<PathBuf> {
    let path = runtime_path();
    match std::fs::DirBuilder::new().mode(0o700).create(&path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let meta = std::fs::symlink_metadata(&path)?;
    if !meta.is_dir() || meta.uid() != nix::unistd::geteuid().as_raw() || meta.mode() & 0o022 != 0 {
        let text = format!("{} is not a directory of this user alone", path.display());
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
    }
    Ok(path)
}

fn runtime_path() -> PathBuf {
    match std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from) {
        Some(dir) if dir.is_absolute() && dir.is_dir() => dir.join("postern"),
        _ => Path::new("/tmp").join(format!("postern-{}", nix::unistd::geteuid())),
    }
}

/// Whether `id` can name an app: it becomes part of file names.
///
/// # Errors
/// `InvalidInput` if it cannot.
pub fn check_id(id: &str) -> io::Result<()> {
    let good = !id.is_empty()
        && id.len() <= 200
        && !id.starts_with('.')
        && id.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '+' | '@'));
    if good {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{id:?} cannot be the id of an app")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_stay_file_names() {
        for good in ["org.gnome.Calculator", "foot", "a-b_c+d", "é"] {
            assert!(check_id(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", ".hidden", "a/b", "a\0b", "a\nb", "a b"] {
            assert!(check_id(bad).is_err(), "{bad:?}");
        }
    }
}
