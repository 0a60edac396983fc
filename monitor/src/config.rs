//! What a monitor is told to run.

use crate::files::Mounts;
use crate::manifest::Limits;
use crate::permission::Permissions;
use std::ffi::OsString;
use std::path::PathBuf;

/// One run of an app.
#[derive(Debug)]
pub struct Config {
    /// The app's id; for a program that is no installed app, one made from its name.
    pub app: String,
    /// Name as shown.
    pub name: String,
    /// This run of it; names the control socket.
    pub instance: String,
    /// Path of the program, as the app sees it.
    pub program: PathBuf,
    /// Arguments, the program's name first.
    pub argv: Vec<OsString>,
    /// Environment, `NAME=VALUE`.
    pub env: Vec<OsString>,
    /// Working directory, as the app sees it.
    pub cwd: PathBuf,
    /// User and group that the app sees.
    pub ids: (u32, u32),
    /// What it may do.
    pub permissions: Permissions,
    /// How much it may use.
    pub limits: Limits,
    /// What it sees of the host's files.
    pub mounts: Mounts,
    /// Held while the app runs, where its private home is its alone.
    pub home_lock: Option<std::fs::File>,
    /// How to start the bridge; `None` for no display.
    pub display: Option<Display>,
    /// Print what the library OS logs.
    pub verbose: bool,
    /// Where to write the last status as JSON.
    pub json_report: Option<PathBuf>,
}

/// How to start the bridge.
#[derive(Clone, Debug, Default)]
pub struct Display {
    /// Application id of every window; `None`: what the app says.
    pub app_id: Option<String>,
    /// Put before the title of each window.
    pub title_prefix: Option<String>,
    /// Colour of the border, as `#rrggbb`.
    pub border: Option<String>,
    /// Where to show the windows at first.
    pub session: Session,
}

/// Where the windows of an app are shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Session {
    /// Nowhere, until somebody attaches the app to a session.
    #[default]
    Nowhere,
    /// On the connection that the launcher was given (`WAYLAND_SOCKET`). It serves one bridge.
    Given,
    /// By the compositor that listens on this socket, now or later.
    At(PathBuf),
}

/// Bits of [`postern_abi::boot::permission`] for `permissions`.
#[must_use]
pub fn permission_bits(permissions: &Permissions) -> u32 {
    use crate::permission::NetworkMode;
    use postern_abi::boot::permission;
    let bit = |on, bit| if on { bit } else { 0 };
    bit(permissions.network.mode == NetworkMode::Outbound, permission::NETWORK)
        | bit(!permissions.network.listen.is_empty(), permission::LISTEN)
        | bit(permissions.clipboard.read, permission::CLIPBOARD_READ)
        | bit(permissions.clipboard.write, permission::CLIPBOARD_WRITE)
}
