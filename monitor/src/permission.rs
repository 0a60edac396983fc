//! Permissions: what an app may do beyond computing and showing windows. All are denied unless granted.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

/// What an app may do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Permissions {
    /// Streams to and from other machines.
    pub network: Network,
    /// The user's real home directory.
    pub home: HomeAccess,
    /// Single files and folders, at their real paths.
    pub files: Vec<FileGrant>,
    /// The desktop's clipboard.
    pub clipboard: Clipboard,
    /// Play sound.
    pub audio: bool,
    /// Show notifications.
    pub notifications: bool,
    /// Record sound.
    pub microphone: bool,
    /// Record pictures.
    pub camera: bool,
    /// Have the desktop open addresses.
    pub open_url: bool,
    /// Go on after its last window was closed.
    pub background: bool,
    /// Cover the whole screen.
    pub fullscreen: bool,
}

/// The network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Network {
    /// Whether the app may connect.
    pub mode: NetworkMode,
    /// To whom, as `HOST`, `HOST:PORT` or `*:PORT`. Empty: to all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<Endpoint>,
    /// Ports it may listen on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub listen: Vec<u16>,
}

/// Whether an app may connect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NetworkMode {
    /// No: as on a machine without a route.
    #[default]
    None,
    /// Not until the user allows it; each refused request is shown.
    Ask,
    /// Yes, as far as [`Network::allow`] goes.
    Outbound,
}

/// A peer that an app may connect to: `HOST`, `HOST:PORT`, `*:PORT`; IPv6 addresses in brackets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Endpoint {
    /// Host name or address; `None` is any.
    pub host: Option<String>,
    /// Port; `None` is any.
    pub port: Option<u16>,
}

/// How an app may use the user's home directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HomeAccess {
    /// Not at all: it has a private home of its own.
    #[default]
    None,
    /// It sees the real home directory and cannot change it.
    Read,
    /// The real home directory is its home.
    Write,
}

/// A granted file or folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileGrant {
    /// Absolute path on the host, and in the app.
    pub path: PathBuf,
    /// Whether the app may change it.
    #[serde(default)]
    pub write: bool,
}

impl FileGrant {
    /// The grant that a value of the permission `files` adds: `+PATH` or `+PATH:ro`. `None`: it adds none.
    pub(crate) fn added_by(value: &str) -> Option<Self> {
        if value.starts_with('-') {
            return None;
        }
        value.strip_prefix('+').unwrap_or(value).parse().ok()
    }
}

/// The clipboard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Clipboard {
    /// Paste what was copied elsewhere.
    pub read: bool,
    /// Copy for others to paste.
    pub write: bool,
}

/// A permission or value that does not exist.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PermissionError {
    /// No such permission.
    #[error("there is no permission {0:?}; there are {known}", known = NAMES.join(", "))]
    Unknown(String),
    /// No such value.
    #[error("{value:?} is not a value of {permission}; it takes {wanted}")]
    Value {
        /// The permission.
        permission: String,
        /// What was given.
        value: String,
        /// What it takes.
        wanted: &'static str,
    },
}

/// Names of the permissions, as `postern permit` takes them.
pub const NAMES: &[&str] = &[
    "network",
    "listen",
    "home",
    "files",
    "clipboard-read",
    "clipboard-write",
    "audio",
    "notifications",
    "microphone",
    "camera",
    "open-url",
    "background",
    "fullscreen",
];

/// When a changed permission holds for a running app.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// At once.
    Now,
    /// When the app is started again.
    NextStart,
}

const SWITCH: &str = "on or off";

fn switch(value: &str) -> Option<bool> {
    match value {
        "on" | "yes" | "true" | "1" => Some(true),
        "off" | "no" | "false" | "0" | "none" => Some(false),
        _ => None,
    }
}

impl Permissions {
    /// Sets the permission `name` from text, as `postern permit APP PERMISSION VALUE` does.
    ///
    /// # Errors
    /// If there is no such permission or it has no such value; nothing is changed then.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), PermissionError> {
        let wrong = |wanted| PermissionError::Value { permission: name.into(), value: value.into(), wanted };
        let on_off = || switch(value).ok_or_else(|| wrong(SWITCH));
        match name {
            "network" => self.network.set_outbound(value).ok_or_else(|| {
                wrong("none, ask, outbound, or a list of HOST:PORT, HOST and *:PORT separated by commas")
            })?,
            "listen" => {
                self.network.listen =
                    parse_ports(value).ok_or_else(|| wrong("ports separated by commas, or none"))?
            }
            "home" => {
                self.home = match value {
                    "none" | "off" | "no" => HomeAccess::None,
                    "read" => HomeAccess::Read,
                    "write" | "on" | "yes" => HomeAccess::Write,
                    _ => return Err(wrong("none, read or write")),
                }
            }
            "files" => {
                self.set_file(value).ok_or_else(|| wrong("+PATH, +PATH:ro or -PATH with an absolute path"))?
            }
            "clipboard-read" => self.clipboard.read = on_off()?,
            "clipboard-write" => self.clipboard.write = on_off()?,
            "audio" => self.audio = on_off()?,
            "notifications" => self.notifications = on_off()?,
            "microphone" => self.microphone = on_off()?,
            "camera" => self.camera = on_off()?,
            "open-url" => self.open_url = on_off()?,
            "background" => self.background = on_off()?,
            "fullscreen" => self.fullscreen = on_off()?,
            _ => return Err(PermissionError::Unknown(name.into())),
        }
        Ok(())
    }

    fn set_file(&mut self, value: &str) -> Option<()> {
        if let Some(path) = value.strip_prefix('-') {
            let path = plain(path)?;
            self.files.retain(|grant| grant.path != path);
            return Some(());
        }
        let grant = FileGrant::added_by(value)?;
        self.files.retain(|other| other.path != grant.path);
        self.files.push(grant);
        Some(())
    }

    /// The value of the permission `name` as text; `None` if there is no such permission.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<String> {
        let on_off = |on| Some(if on { "on" } else { "off" }.to_owned());
        match name {
            "network" => Some(self.network.outbound_text()),
            "listen" => Some(list(self.network.listen.iter())),
            "home" => Some(
                match self.home {
                    HomeAccess::None => "none",
                    HomeAccess::Read => "read",
                    HomeAccess::Write => "write",
                }
                .to_owned(),
            ),
            "files" => Some(list(self.files.iter())),
            "clipboard-read" => on_off(self.clipboard.read),
            "clipboard-write" => on_off(self.clipboard.write),
            "audio" => on_off(self.audio),
            "notifications" => on_off(self.notifications),
            "microphone" => on_off(self.microphone),
            "camera" => on_off(self.camera),
            "open-url" => on_off(self.open_url),
            "background" => on_off(self.background),
            "fullscreen" => on_off(self.fullscreen),
            _ => None,
        }
    }

    /// The permissions in which the two differ, each with when a running app gets the change.
    #[must_use]
    pub fn changes(&self, new: &Self) -> Vec<(&'static str, Effect)> {
        NAMES
            .iter()
            .filter(|name| self.get(name) != new.get(name))
            .map(|name| (*name, effect_of(name)))
            .collect()
    }
}

/// When a change of the permission `name` holds for a running app: opens and connections are checked one by one, but
/// what is mounted stays mounted. Only what is added can be there at once.
#[must_use]
pub fn effect_of(name: &str) -> Effect {
    match name {
        "network" | "listen" | "clipboard-read" | "clipboard-write" => Effect::Now,
        _ => Effect::NextStart,
    }
}

impl Network {
    fn set_outbound(&mut self, value: &str) -> Option<()> {
        let (mode, allow) = match value {
            "none" | "off" | "no" => (NetworkMode::None, Vec::new()),
            "ask" => (NetworkMode::Ask, Vec::new()),
            "outbound" | "on" | "yes" | "all" => (NetworkMode::Outbound, Vec::new()),
            peers => {
                let allow: Result<Vec<Endpoint>, _> = peers.split(',').map(str::parse).collect();
                (NetworkMode::Outbound, allow.ok()?)
            }
        };
        self.mode = mode;
        self.allow = allow;
        Some(())
    }

    fn outbound_text(&self) -> String {
        match self.mode {
            NetworkMode::None => "none".to_owned(),
            NetworkMode::Ask => "ask".to_owned(),
            NetworkMode::Outbound if self.allow.is_empty() => "outbound".to_owned(),
            NetworkMode::Outbound => list(self.allow.iter()),
        }
    }
}

fn list<T: ToString>(items: impl Iterator<Item = T>) -> String {
    let items: Vec<String> = items.map(|item| item.to_string()).collect();
    if items.is_empty() { "none".to_owned() } else { items.join(",") }
}

fn parse_ports(value: &str) -> Option<Vec<u16>> {
    if matches!(value, "none" | "off" | "no") {
        return Some(Vec::new());
    }
    value.split(',').map(|port| port.parse().ok().filter(|port| *port != 0)).collect()
}

/// Whether `path` is absolute and free of `.` and `..`, so that it means the same to all who read it.
pub(crate) fn is_plain(path: &Path) -> bool {
    path.is_absolute()
        && path.components().all(|c| matches!(c, Component::RootDir | Component::Normal(_)))
        && path.components().count() > 1
}

fn plain(path: &str) -> Option<PathBuf> {
    // Collecting the components drops doubled and trailing slashes.
    let path: PathBuf = Path::new(path).components().collect();
    is_plain(&path).then_some(path)
}

impl FromStr for FileGrant {
    type Err = &'static str;

    /// `PATH` or `PATH:ro`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (path, write) = match text.strip_suffix(":ro") {
            Some(path) => (path, false),
            None => (text.strip_suffix(":rw").unwrap_or(text), true),
        };
        let path = plain(path).ok_or("not an absolute path without `.` and `..`")?;
        Ok(Self { path, write })
    }
}

impl fmt::Display for FileGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.path.display(), if self.write { "" } else { ":ro" })
    }
}

impl FromStr for Endpoint {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRONG: &str = "not HOST, HOST:PORT or *:PORT";
        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            let (host, rest) = rest.split_once(']').ok_or(WRONG)?;
            let _: std::net::Ipv6Addr = host.parse().map_err(|_| WRONG)?;
            match rest.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if rest.is_empty() => (host, None),
                None => return Err(WRONG),
            }
        } else {
            match text.split_once(':') {
                // More than one colon is an IPv6 address without brackets.
                Some((_, port)) if port.contains(':') => {
                    let _: std::net::Ipv6Addr = text.parse().map_err(|_| WRONG)?;
                    (text, None)
                }
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            }
        };
        let port = match port {
            None | Some("*") => None,
            Some(port) => Some(port.parse().ok().filter(|port: &u16| *port != 0).ok_or(WRONG)?),
        };
        let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%');
        match host {
            "*" => Ok(Self { host: None, port }),
            "" => Err(WRONG),
            host if host.chars().all(good) => Ok(Self { host: Some(host.to_owned()), port }),
            _ => Err(WRONG),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            None => f.write_str("*")?,
            Some(host) if host.contains(':') => write!(f, "[{host}]")?,
            Some(host) => f.write_str(host)?,
        }
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

impl TryFrom<String> for Endpoint {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse().map_err(|error| format!("{text:?} is {error}"))
    }
}

impl From<Endpoint> for String {
    fn from(endpoint: Endpoint) -> Self {
        endpoint.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_denied_at_first() {
        let none = Permissions::default();
        for name in NAMES {
            let value = none.get(name).expect("a value");
            assert!(matches!(value.as_str(), "none" | "off"), "{name} is {value}");
        }
    }

    #[test]
    fn what_get_says_set_takes() {
        let mut p = Permissions::default();
        for (name, value) in [
            ("network", "example.org:443,*:53,[::1]:80"),
            ("listen", "8080,8081"),
            ("home", "read"),
            ("files", "/srv/data:ro"),
            ("clipboard-read", "on"),
            ("audio", "on"),
        ] {
            p.set(name, value).expect(name);
            assert_eq!(p.get(name).as_deref(), Some(value), "{name}");
        }
        let mut copy = Permissions::default();
        for name in NAMES {
            copy.set(name, &p.get(name).expect("a value"))
                .or_else(|e| if *name == "files" { Ok(()) } else { Err(e) })
                .expect(name);
        }
        assert_eq!(copy, p);
        p.set("files", "-/srv/data").expect("removes");
        assert!(p.files.is_empty());
    }

    #[test]
    fn wrong_values_change_nothing() {
        let mut p = Permissions::default();
        for (name, value) in [
            ("network", "a b"),
            ("network", "host:0"),
            ("network", "host:70000"),
            ("listen", "0"),
            ("home", "all"),
            ("files", "+relative"),
            ("files", "+/a/../b"),
            ("files", "+/"),
            ("audio", "maybe"),
            ("telepathy", "on"),
        ] {
            assert!(p.set(name, value).is_err(), "{name} {value}");
        }
        assert_eq!(p, Permissions::default());
    }

    #[test]
    fn endpoints_read_as_written() {
        for text in ["example.org", "example.org:443", "*:53", "192.0.2.1:80", "[2001:db8::1]:443", "*"] {
            let endpoint: Endpoint = text.parse().expect(text);
            assert_eq!(endpoint.to_string(), text);
        }
        assert_eq!("2001:db8::1".parse::<Endpoint>().expect("bare").host.as_deref(), Some("2001:db8::1"));
        for text in ["", ":80", "a b", "[::1", "[x]:1", "host:-1"] {
            assert!(text.parse::<Endpoint>().is_err(), "{text}");
        }
    }
}
