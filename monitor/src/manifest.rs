//! Manifests: what an app is and what it may do. One JSON file per app, `XDG_CONFIG_HOME/postern/apps/ID.json`.
//!
//! Everything that a manifest does not grant is denied. A file with a mistake is never changed: loading names the
//! file, the field and the line, and saving over it is refused until it is mended.

use crate::{paths, permission};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

pub use crate::permission::{
    Clipboard, Endpoint, FileGrant, HomeAccess, Network, NetworkMode, PermissionError, Permissions,
};

/// Longest manifest that is read, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// What an app is and what it may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The app's id, which is also the file's name.
    pub id: String,
    /// Name as shown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Icon name or absolute path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icon: Option<String>,
    /// The image that its programs come from. `host` is the only one so far: the host's own `/usr`, read-only.
    #[serde(default)]
    pub image: Image,
    /// Program and arguments. Empty: taken from the desktop entry with the same id.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// What it may do.
    #[serde(default)]
    pub permissions: Permissions,
    /// How much it may use.
    #[serde(default, skip_serializing_if = "Limits::is_default")]
    pub limits: Limits,
    /// Put before the title of each of its windows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title_prefix: Option<String>,
    /// Colour of the border that the bridge draws around its windows, as `#rrggbb`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub border: Option<String>,
}

/// Where an app's programs come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Image {
    /// The host's own system directories, read-only, as the monitor lets them be seen.
    #[default]
    Host,
}

/// Resource limits; `None` is the host's own limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Most memory, in bytes, as the app sees it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// Most processors it may use at one time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpus: Option<u32>,
    /// Most processes and threads; `None` is [`DEFAULT_PROCESSES`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processes: Option<u32>,
}

/// `RLIMIT_NPROC`.
pub const NPROC: usize = 6;
/// Most processes and threads of an app whose manifest does not say: more than any desktop app has, and few enough
/// that one that makes ever more of them leaves the host its own.
pub const DEFAULT_PROCESSES: u32 = 4096;

impl Limits {
    /// `RLIMIT_*` limits of the app, soft and hard, where the host's are `host`.
    #[must_use]
    pub fn resources(&self, mut host: [[u64; 2]; 16]) -> [[u64; 2]; 16] {
        let most = u64::from(self.processes.unwrap_or(DEFAULT_PROCESSES));
        if let Some(limit) = host.get_mut(NPROC) {
            *limit = limit.map(|value| value.min(most));
        }
        host
    }

    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Why a manifest could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// There is none for this app.
    #[error("there is no manifest for {id} ({})", path.display())]
    Missing {
        /// The app.
        id: String,
        /// Where it would be.
        path: PathBuf,
    },
    /// The file is not a manifest. It is left as it is.
    #[error("{}: {message}; the file was left as it is", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Line of the mistake, from 1; 0 where it belongs to the whole file.
        line: usize,
        /// What is wrong, with field, line and column.
        message: String,
    },
    /// The file could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A value was given that a permission does not have.
    #[error(transparent)]
    Permission(#[from] PermissionError),
}

impl Manifest {
    /// A manifest that permits nothing.
    #[must_use]
    pub fn new(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            name: String::new(),
            icon: None,
            image: Image::Host,
            command: Vec::new(),
            permissions: Permissions::default(),
            limits: Limits::default(),
            title_prefix: None,
            border: None,
        }
    }

    /// Where the manifest of `id` is.
    ///
    /// # Errors
    /// If `id` cannot be an id, or the user has no home directory.
    pub fn path_of(id: &str) -> Result<PathBuf, ManifestError> {
        let io = |source| ManifestError::Io { path: PathBuf::from(id), source };
        paths::check_id(id).map_err(io)?;
        Ok(paths::manifests().map_err(io)?.join(format!("{id}.json")))
    }

    /// Loads the manifest of `id`.
    ///
    /// # Errors
    /// [`ManifestError::Missing`] if there is none; else what is wrong with it.
    pub fn load(id: &str) -> Result<Self, ManifestError> {
        let path = Self::path_of(id)?;
        let manifest =
            Self::read(&path)?.ok_or_else(|| ManifestError::Missing { id: id.into(), path: path.clone() })?;
        if manifest.id != id {
            let message = format!("field `id` is {:?}, but the file's name says {id:?}", manifest.id);
            return Err(ManifestError::Invalid { path, line: 0, message });
        }
        Ok(manifest)
    }

    /// Loads the manifest of `id`, or one that permits nothing if there is none.
    ///
    /// # Errors
    /// What is wrong with the one that is there.
    pub fn load_or_new(id: &str) -> Result<Self, ManifestError> {
        match Self::load(id) {
            Err(ManifestError::Missing { .. }) => Ok(Self::new(id)),
            other => other,
        }
    }

    /// Loads every manifest, each with its path, or what is wrong with it.
    #[must_use]
    pub fn load_all() -> Vec<(PathBuf, Result<Self, ManifestError>)> {
        let Ok(dir) = paths::manifests() else { return Vec::new() };
        let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
        let mut ids: Vec<(PathBuf, String)> = entries
            .flatten()
            .filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                let id = name.strip_suffix(".json")?;
                paths::check_id(id).ok()?;
                Some((entry.path(), id.to_owned()))
            })
            .collect();
        ids.sort();
        ids.into_iter().map(|(path, id)| (path, Self::load(&id))).collect()
    }

    /// Reads a manifest from `path`; `None` if there is no such file.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(path: &Path) -> Result<Option<Self>, ManifestError> {
        let io = |source| ManifestError::Io { path: path.to_owned(), source };
        let file = match fs::File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(io)?,
        };
        let mut text = Vec::new();
        io::Read::read_to_end(&mut io::Read::take(file, MAX_BYTES + 1), &mut text).map_err(io)?;
        if u64::try_from(text.len()).unwrap_or(u64::MAX) > MAX_BYTES {
            let message = format!("the manifest is longer than {MAX_BYTES} bytes");
            return Err(ManifestError::Invalid { path: path.to_owned(), line: 0, message });
        }
        let manifest: Self = serde_json::from_slice(&text).map_err(|error| ManifestError::Invalid {
            path: path.to_owned(),
            line: error.line(),
            message: error.to_string(),
        })?;
        manifest.check(path)?;
        Ok(Some(manifest))
    }

    /// What the types alone cannot say.
    fn check(&self, path: &Path) -> Result<(), ManifestError> {
        let wrong = |message| ManifestError::Invalid { path: path.to_owned(), line: 0, message };
        paths::check_id(&self.id).map_err(|error| wrong(format!("field `id`: {error}")))?;
        if let Some(grant) = self.permissions.files.iter().find(|grant| !permission::is_plain(&grant.path)) {
            let text = "is not an absolute path without `.` and `..`";
            return Err(wrong(format!("field `files`: {} {text}", grant.path.display())));
        }
        if let Some(border) = self.border.as_deref().filter(|border| parse_colour(border).is_none()) {
            return Err(wrong(format!("field `border`: {border:?} is not a colour like #3584e4")));
        }
        Ok(())
    }

    /// The border's colour as red, green and blue.
    #[must_use]
    pub fn border_colour(&self) -> Option<[u8; 3]> {
        parse_colour(self.border.as_deref()?)
    }

    /// Saves: a new file replaces the old one in one step. A file with a mistake in it is not replaced.
    ///
    /// # Errors
    /// The old file's mistake, or why the new one could not be written.
    pub fn save(&self) -> Result<(), ManifestError> {
        let path = Self::path_of(&self.id)?;
        Self::read(&path)?;
        self.check(&path)?;
        let mut text = serde_json::to_vec_pretty(self).map_err(|error| ManifestError::Invalid {
            path: path.clone(),
            line: 0,
            message: error.to_string(),
        })?;
        text.push(b'\n');
        replace(&path, &text).map_err(|source| ManifestError::Io { path, source })
    }

    /// Loads (or begins) the manifest of `id`, changes it, and saves it, with other writers kept out.
    ///
    /// # Errors
    /// Those of [`Self::load`] and [`Self::save`], and those of `change`.
    pub fn update(
        id: &str,
        change: impl FnOnce(&mut Self) -> Result<(), ManifestError>,
    ) -> Result<Self, ManifestError> {
        let path = Self::path_of(id)?;
        let dir = path.parent().unwrap_or(Path::new("/")).to_owned();
        let io = |source| ManifestError::Io { path: dir.clone(), source };
        fs::create_dir_all(&dir).map_err(io)?;
        // Held until it is dropped at the end.
        let lock = fs::File::open(&dir).map_err(io)?;
        lock.lock().map_err(io)?;
        let mut manifest = Self::load_or_new(id)?;
        change(&mut manifest)?;
        manifest.save()?;
        Ok(manifest)
    }
}

/// Reads a colour like `#3584e4`: red, green and blue.
#[must_use]
pub fn parse_colour(text: &str) -> Option<[u8; 3]> {
    let digits =
        text.strip_prefix('#').filter(|d| d.len() == 6 && d.bytes().all(|b| b.is_ascii_hexdigit()))?;
    let [_, r, g, b] = u32::from_str_radix(digits, 16).ok()?.to_be_bytes();
    Some([r, g, b])
}

/// Writes `bytes` beside `path`, makes them durable and moves them over it: a full disk or a crash leaves the old
/// content.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace_with_mode(path, bytes, 0o600)
}

/// As [`replace`], for a file of another mode.
pub(crate) fn replace_with_mode(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let dir = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    // The monitor has no umask.
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let name = path.file_name().and_then(|name| name.to_str()).ok_or(io::ErrorKind::InvalidInput)?;
    let temporary = dir.join(format!(".{name}.{}.new", std::process::id()));
    let written = (|| {
        let mut file =
            fs::OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&temporary)?;
        file.write_all(bytes)?;
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        file.sync_all()?;
        drop(file);
        fs::rename(&temporary, path)
    })();
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written
}
