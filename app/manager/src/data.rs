//! What the manager knows about apps, in its own words. One file, `backend.rs`, translates from the monitor's.

use std::path::PathBuf;

use serde::Serialize;

/// How an app may use the user's home folder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub enum HomeAccess {
    /// The app sees only its own private home.
    #[default]
    Off,
    /// The app may read the home folder at its real path.
    Read,
    /// The app may read and change it.
    ReadWrite,
}

/// A file or folder that the app may use at its real path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Grant {
    /// The absolute path on the host.
    pub path: PathBuf,
    /// Whether the app may write.
    pub write: bool,
}

/// The permissions that the app page shows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Permissions {
    /// Whether the app may open connections.
    pub network: bool,
    /// The home folder.
    pub home: HomeAccess,
    /// Whether the app may read what was copied elsewhere.
    pub clipboard_read: bool,
    /// Whether what the app copies can be pasted elsewhere.
    pub clipboard_write: bool,
    /// Files and folders beside the home folder.
    pub grants: Vec<Grant>,
}

/// The permission of one row of the app page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum PermissionKey {
    /// [`Permissions::network`].
    Network,
    /// [`Permissions::home`].
    Home,
    /// [`Permissions::clipboard_read`].
    ClipboardRead,
    /// [`Permissions::clipboard_write`].
    ClipboardWrite,
}

/// A new value for one permission.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum PermissionChange {
    /// [`Permissions::network`].
    Network(bool),
    /// [`Permissions::home`].
    Home(HomeAccess),
    /// [`Permissions::clipboard_read`].
    ClipboardRead(bool),
    /// [`Permissions::clipboard_write`].
    ClipboardWrite(bool),
    /// Takes a granted file or folder away.
    Revoke(PathBuf),
    /// Grants a file or folder: how a revoked one comes back.
    Grant(Grant),
}

impl PermissionChange {
    /// The row it belongs to; granted files have a list of their own.
    #[must_use]
    pub fn key(&self) -> Option<PermissionKey> {
        match self {
            Self::Network(_) => Some(PermissionKey::Network),
            Self::Home(_) => Some(PermissionKey::Home),
            Self::ClipboardRead(_) => Some(PermissionKey::ClipboardRead),
            Self::ClipboardWrite(_) => Some(PermissionKey::ClipboardWrite),
            Self::Revoke(_) | Self::Grant(_) => None,
        }
    }

    /// Carries the change out.
    pub fn apply_to(&self, permissions: &mut Permissions) {
        match self {
            Self::Network(on) => permissions.network = *on,
            Self::Home(access) => permissions.home = *access,
            Self::ClipboardRead(on) => permissions.clipboard_read = *on,
            Self::ClipboardWrite(on) => permissions.clipboard_write = *on,
            Self::Revoke(path) => permissions.grants.retain(|grant| grant.path != *path),
            Self::Grant(grant) => {
                permissions.grants.retain(|other| other.path != grant.path);
                permissions.grants.push(grant.clone());
            }
        }
    }
}

impl Permissions {
    /// The change that gives `key` the value that it has here.
    #[must_use]
    pub fn value_of(&self, key: PermissionKey) -> PermissionChange {
        match key {
            PermissionKey::Network => PermissionChange::Network(self.network),
            PermissionKey::Home => PermissionChange::Home(self.home),
            PermissionKey::ClipboardRead => PermissionChange::ClipboardRead(self.clipboard_read),
            PermissionKey::ClipboardWrite => PermissionChange::ClipboardWrite(self.clipboard_write),
        }
    }
}

/// What an app asked for and did not get.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// What was asked, such as "connect to 192.0.2.1 port 443".
    pub what: String,
    /// How often.
    pub count: u64,
    /// Which permission would allow it, where one does.
    pub permission: Option<PermissionKey>,
}

/// The state of a running app at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The app's id.
    pub app: String,
    /// Its name, as its monitor knows it; may be empty.
    pub name: String,
    /// The host process id of its monitor: tells two runs of an app apart.
    pub monitor_pid: u32,
    /// Seconds since it was started.
    pub uptime_s: u64,
    /// Processor time used since the last sample: 100 is one core kept busy.
    pub cpu_percent: f32,
    /// Proportional memory of all its processes, in bytes.
    pub memory_bytes: u64,
    /// Its processes.
    pub processes: u32,
    /// Its threads.
    pub threads: u32,
    /// Bytes received from and sent to the network.
    pub network_bytes: (u64, u64),
    /// Bytes read from and written to disks.
    pub disk_bytes: (u64, u64),
    /// Frames shown since it started.
    pub frames: u64,
    /// Frames of these whose pixels had to be copied.
    pub copied_frames: u64,
    /// What was refused since it started.
    pub refused: Vec<Refusal>,
    /// System calls and options that it asked for and that are not there, with how often.
    pub unsupported: Vec<(String, u64)>,
    /// What it may do now: its permissions, and what it was started with beside them.
    pub in_force: Permissions,
    /// Files and folders that were dropped on it since it started, and are its since then.
    pub dropped: Vec<PathBuf>,
    /// Permissions whose change waits for the next start.
    pub at_next_start: Vec<PermissionKey>,
    /// Whether any change waits for the next start.
    pub restart_needed: bool,
    /// One sentence where the host could not give the full isolation.
    pub weaker_isolation: Option<String>,
}

/// A stack frame of a crash report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Frame {
    /// The address in the app's memory.
    pub address: u64,
    /// The function's name and the offset in it, where the binary has symbols.
    pub function: Option<String>,
    /// The file that is mapped there, and the offset in it.
    pub module: Option<String>,
}

/// How an app ended against its will.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The report's id: its file name without the ending.
    pub id: String,
    /// The app's id.
    pub app: String,
    /// Its name at that time; may be empty.
    pub name: String,
    /// When, in seconds since 1970.
    pub unix_seconds: u64,
    /// One line: what died and why.
    pub summary: String,
    /// The signal with its meaning, such as "SIGSEGV: invalid memory access".
    pub signal: Option<String>,
    /// The address whose access failed.
    pub fault_address: Option<u64>,
    /// The thread or process that failed.
    pub thread: Option<String>,
    /// Innermost frame first.
    pub backtrace: Vec<Frame>,
    /// The last refused requests, the latest last.
    pub refused: Vec<String>,
    /// What the library OS or the bridge said.
    pub details: Option<String>,
    /// The whole report as text, for the copy button.
    pub text: String,
}
