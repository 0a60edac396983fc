//! The control socket of a running app: what the manager and the command line ask its monitor.
//!
//! `XDG_RUNTIME_DIR/postern/INSTANCE.sock`, mode 0600, for processes of the same user only. One JSON object per
//! line: a [`Request`] from the client, a [`Reply`] from the monitor. After [`Request::Subscribe`] the monitor sends
//! [`Reply::Status`] again and again until the client hangs up.

mod client;
pub mod server;

pub use client::{Client, ClientError, Running, running};

use crate::permission::{Effect, Permissions};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Longest line of the protocol, in bytes.
pub const MAX_LINE: usize = 1 << 20;

/// What a client asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// The state of the app. Answer: [`Reply::Status`].
    Status {
        /// Also measure proportional memory, which costs the host some work.
        #[serde(default)]
        memory: bool,
    },
    /// Ask the app to end (SIGTERM); what still runs after five seconds is ended. Answer: [`Reply::Done`].
    Stop,
    /// End it at once. Answer: [`Reply::Done`].
    Kill,
    /// Change a permission of the running app (the manifest is not touched). Answer: [`Reply::Permitted`].
    Permit {
        /// Name of the permission.
        permission: String,
        /// Its new value.
        value: String,
    },
    /// Show the windows by another compositor from now on. Answer: [`Reply::Done`], once it is known that one listens.
    Attach {
        /// Absolute path of the compositor's socket.
        socket: PathBuf,
    },
    /// Send the status every so many milliseconds (at least 100) until the client hangs up.
    Subscribe {
        /// Milliseconds between two.
        interval_ms: u64,
        /// As in [`Request::Status`].
        #[serde(default)]
        memory: bool,
    },
}

/// What the monitor answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reply", content = "value", rename_all = "kebab-case")]
pub enum Reply {
    /// The state of the app.
    Status(Box<Status>),
    /// A permission was changed; when the app gets it.
    Permitted(Effect),
    /// It was done.
    Done,
    /// It could not be done.
    Error(String),
}

/// The state of a running app.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Status {
    /// The app's id.
    pub app: String,
    /// Its name as shown.
    pub name: String,
    /// This run of it; names the control socket.
    pub instance: String,
    /// Program and arguments.
    pub command: Vec<String>,
    /// Host process id of the monitor.
    pub pid: u32,
    /// Host process id of the bridge, where there is one.
    pub bridge_pid: Option<u32>,
    /// Host process id of the keeper.
    pub keeper_pid: u32,
    /// When it started, in seconds since 1970.
    pub started: u64,
    /// Milliseconds since then, by a clock that nobody sets.
    pub uptime_ms: u64,
    /// Processes of the app, without keeper, monitor and bridge.
    pub processes: u32,
    /// Threads of the app.
    pub threads: u32,
    /// Names of the app's processes by guest process id.
    pub process_names: BTreeMap<u32, String>,
    /// Processor time used by everything that belongs to the app, in microseconds.
    pub cpu_us: u64,
    /// Resident memory of everything that belongs to the app, in bytes; shared pages count each time.
    pub rss_bytes: u64,
    /// Proportional memory of everything that belongs to the app, in bytes; 0 if it was not asked for.
    pub pss_bytes: u64,
    /// Bytes read from and written to disks.
    pub io: Traffic,
    /// Bytes received from and sent to the network.
    pub network: Traffic,
    /// Monitor calls by name.
    pub downcalls: BTreeMap<String, u64>,
    /// Frames shown since the start.
    pub frames: u64,
    /// Frames of these whose pixels had to be copied, because the compositor cannot map the app's own memory.
    pub copied_frames: u64,
    /// What was refused for lack of a permission.
    pub denied: Vec<Denied>,
    /// System calls and options that the app asked for and that are not there, by name.
    pub unsupported: BTreeMap<String, u64>,
    /// What it may do now.
    pub permissions: Permissions,
    /// Permissions that were changed but hold only after the next start.
    pub at_next_start: Vec<String>,
    /// Files and folders that the user dropped on it, oldest first; they are among its permissions now.
    pub dropped: Vec<PathBuf>,
    /// How it is confined.
    pub sandbox: Sandbox,
    /// Whether it has a display.
    pub display: bool,
}

/// Bytes in two directions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// Bytes read or received.
    pub read: u64,
    /// Bytes written or sent.
    pub written: u64,
}

/// A refused request, counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Denied {
    /// The permission that would allow it; empty where none would.
    pub permission: String,
    /// What was asked, such as `connect to 192.0.2.1 port 443`.
    pub what: String,
    /// How often.
    pub count: u64,
    /// When it was last asked, in seconds since 1970.
    pub last: u64,
}

/// How an app is confined.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sandbox {
    /// Whether it has namespaces of its own (user, mount, PID, network, IPC, UTS, cgroup).
    pub namespaces: bool,
    /// One sentence on why not, where the host refused them.
    pub weaker: Option<String>,
    /// Host system calls that its filter lets through.
    pub host_syscalls: u32,
}
