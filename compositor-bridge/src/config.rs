//! What a bridge is started with, and how it can end.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

/// Where the user's Wayland session is.
#[derive(Debug)]
pub enum HostSession {
    /// As `WAYLAND_SOCKET`, or `WAYLAND_DISPLAY` and `XDG_RUNTIME_DIR`, say.
    Environment,
    /// An open connection to the compositor.
    Socket(UnixStream),
}

/// What a bridge is started with.
#[derive(Debug)]
pub struct BridgeConfig {
    /// The user's session.
    pub host: HostSession,
    /// Start of every window title, for example `[gnome-calculator] `. Control characters are dropped.
    pub title_prefix: String,
    /// Application id of every window, for example that of the desktop entry. None: what the app says.
    pub app_id: Option<String>,
    /// Colour (red, green, blue) of a border over the edge of every window. None: no border.
    pub border: Option<[u8; 3]>,
    /// Whether the app may paste text of the session. Can be changed later by `control`.
    pub clipboard_read: bool,
    /// Whether the app may put text on the session's clipboard. Can be changed later by `control`.
    pub clipboard_write: bool,
    /// A stream socket of JSON lines: [`Settings`](crate::Settings) come in, [`Report`](crate::Report)s go out.
    pub control: Option<OwnedFd>,
    /// Called while the process still has all its rights. What it returns is called once when start-up is over, to
    /// give back what only that needed.
    pub before_confinement: fn() -> Box<dyn FnOnce()>,
}

/// Why a bridge ended, other than by the app's end.
#[derive(Debug, thiserror::Error)]
pub enum BridgeError {
    /// There is no session to show windows in.
    #[error("cannot reach the Wayland session: {0}")]
    NoSession(String),
    /// The session lacks something that nothing can be shown without.
    #[error("the Wayland session does not offer {0}")]
    Missing(&'static str),
    /// The connection to the compositor ended. A new bridge on the same channel gets all windows back, once there is
    /// a compositor again.
    #[error("the connection to the Wayland session ended: {0}")]
    SessionEnded(String),
    /// The compositor refused a request of the bridge.
    #[error("the compositor refused a request: {interface} error {code}: {message}")]
    Refused {
        /// Interface of the object.
        interface: String,
        /// The interface's error number.
        code: u32,
        /// The compositor's words.
        message: String,
    },
    /// The app's side sent something that it must not send. Its display is closed.
    #[error("the app's display server sent {0}")]
    Malformed(String),
    /// The app's side does not read what it is sent.
    #[error("the app's display server does not read its messages")]
    AppStuck,
    /// Privileges could not be given up.
    #[error("cannot give up privileges: {0}")]
    Sandbox(String),
    /// A host system call failed.
    #[error("{0}: {1}")]
    System(&'static str, std::io::Error),
}

impl BridgeError {
    /// Whether a new bridge on the same channel makes sense, a few times at most: it gets all windows back. Also after a
    /// refusal, since a popup that the compositor dismisses while a request for it is on its way can cause one.
    #[must_use]
    pub fn is_host_side(&self) -> bool {
        matches!(self, Self::NoSession(_) | Self::SessionEnded(_) | Self::Refused { .. })
    }
}

/// Shorthand for a message that must not be.
pub(crate) fn malformed(what: impl Into<String>) -> BridgeError {
    BridgeError::Malformed(what.into())
}
