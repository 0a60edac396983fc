//! Files that cross by drag and drop or by the clipboard: those that the user drops on the app become the app's, those
//! that it hands out are looked at.

use crate::display::{Bridge, Files};
use crate::manifest::{FileGrant, Manifest};
use crate::shared::Shared;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

/// Most files of one drop that are granted.
const MAX_FILES: usize = 256;

/// Drops that wait for the family to have the files: the bridge's question, and the mounts.
#[derive(Debug, Default)]
pub(crate) struct Dropping(Vec<(u32, Vec<u32>)>);

impl Dropping {
    /// Does what a bridge asks about files. Returns what the user is told.
    pub fn answer(&mut self, shared: &Shared, bridge: &mut Bridge, files: &Files) -> Vec<String> {
        let paths = files.uris.iter().map(|uri| path_of(uri));
        if !files.dropped {
            let shown = |path: PathBuf| shared.mounts.shown_at(&path).map(|path| uri_of(&path));
            let uris: Vec<Option<String>> = paths.map(|path| path.and_then(shown)).collect();
            let hidden = uris.iter().filter(|uri| uri.is_none()).count();
            if hidden > 0 {
                shared.account.deny("files", "hand out files that it cannot see");
            }
            bridge.answer(files.question, &uris);
            return Vec::new();
        }
        let mut said = Vec::new();
        let (mut mounts, mut granted) = (Vec::new(), Vec::new());
        for path in paths.flatten().take(MAX_FILES) {
            match shared.grant_dropped(&path) {
                Ok(Some(mount)) => {
                    mounts.push(mount);
                    granted.push(FileGrant { path, write: true });
                }
                Ok(None) => {}
                Err(error) => said.push(format!("Dropped on {}, but not given to it: {error}", shared.name)),
            }
        }
        for grant in &granted {
            said.push(format!("{} may use {} from now on", shared.name, grant.path.display()));
        }
        if !granted.is_empty()
            && let Err(error) = remember(&shared.app, granted)
        {
            said.push(format!("That holds until it ends: {error}"));
        }
        if mounts.is_empty() {
            bridge.answer(files.question, &[]);
        } else {
            self.0.push((files.question, mounts));
        }
        said
    }

    /// The family has a mount. The bridge goes on once it has all of a drop.
    pub fn mounted(&mut self, id: u32, mut bridge: Option<&mut Bridge>) {
        for (question, mounts) in &mut self.0 {
            let count = mounts.len();
            mounts.retain(|mount| *mount != id);
            if mounts.is_empty()
                && count > 0
                && let Some(bridge) = &mut bridge
            {
                bridge.answer(*question, &[]);
            }
        }
        self.0.retain(|(_, mounts)| !mounts.is_empty());
    }
}

/// Puts grants into the app's manifest, as if the user had done it in the manager.
fn remember(app: &str, granted: Vec<FileGrant>) -> Result<(), crate::manifest::ManifestError> {
    let change = |manifest: &mut Manifest| {
        for grant in granted {
            manifest.permissions.files.retain(|other| other.path != grant.path);
            manifest.permissions.files.push(grant);
        }
        Ok(())
    };
    Manifest::update(app, change).map(drop)
}

/// The path that a `file:` address of this machine means.
fn path_of(uri: &str) -> Option<PathBuf> {
    let rest =
        uri.get(..5).filter(|scheme| scheme.eq_ignore_ascii_case("file:")).and_then(|_| uri.get(5..))?;
    let path = match rest.strip_prefix("//") {
        None => rest,
        Some(rest) => {
            let (host, _) = rest.split_once('/')?;
            let is_here = host.is_empty() || host.eq_ignore_ascii_case("localhost");
            rest.get(host.len()..).filter(|_| is_here)?
        }
    };
    let mut bytes = Vec::with_capacity(path.len());
    let mut left = path.as_bytes();
    while let Some((&byte, rest)) = left.split_first() {
        left = rest;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let (digits, rest) = left.split_at_checked(2)?;
        left = rest;
        let digits = std::str::from_utf8(digits).ok().filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()))?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
    }
    // Collecting the components drops doubled and trailing slashes.
    let path: PathBuf = Path::new(&OsString::from_vec(bytes)).components().collect();
    (!path.as_os_str().as_bytes().contains(&0)).then_some(path)
}

/// The address of a path.
fn uri_of(path: &Path) -> String {
    let mut uri = String::from("file://");
    for &byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            uri.push(byte.into());
        } else {
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_files() {
        for (uri, path) in [
            ("file:///a/b", "/a/b"),
            ("FILE:/a//b/", "/a/b"),
            ("file://localhost/a%20b%2fc", "/a b/c"),
            ("file:///gr%C3%B6%C3%9Fe", "/größe"),
        ] {
            assert_eq!(path_of(uri), Some(path.into()), "{uri}");
        }
        for uri in [
            "http://a/b",
            "file://elsewhere/a",
            "file:///a%2",
            "file:///a%zz",
            "file:///a%+f",
            "file:///a%00b",
            "file://a",
            "",
        ] {
            assert_eq!(path_of(uri), None, "{uri}");
        }
        assert_eq!(uri_of(Path::new("/größe/a b%")), "file:///gr%C3%B6%C3%9Fe/a%20b%25");
    }
}
