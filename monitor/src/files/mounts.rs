//! The mounts of a family: which directories of the host it sees, where, and under which policy.

use super::late::Late;
use super::outside::Outside;
use super::recent::Recent;
use super::unnamed::Unnamed;
use super::walk::Node;
use super::watch::{Watch, Watches};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, SFlag};
use postern_abi::boot::mount;
use std::ffi::OsString;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What of a mount can be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// The host's system directories: what every user of the host may read, and no secrets even so.
    System,
    /// What the user granted: all that the user may use.
    Granted,
}

/// A directory or file of the host that a family sees.
#[derive(Debug)]
pub struct Mount {
    /// Number that messages name it by, from 1.
    pub id: u32,
    /// Where the app sees it.
    pub path: PathBuf,
    /// Where it is on the host.
    pub source: PathBuf,
    /// [`mount`] bits.
    pub flags: u32,
    /// What can be seen.
    pub policy: Policy,
    pub(super) root: OwnedFd,
    pub(super) device: u64,
}

impl Mount {
    /// Whether the app may change it.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        self.flags & mount::READ_ONLY == 0
    }
}

/// A path that cannot be mounted.
#[derive(Debug, thiserror::Error)]
#[error("{}: {reason}", path.display())]
pub struct MountError {
    /// The path on the host.
    pub path: PathBuf,
    /// Why.
    pub reason: String,
}

/// System files that are shown to nobody, even where their permission bits would let all read them: they identify the
/// machine to its peers, or let one become another user.
const SECRET: &[&str] = &[
    "/etc/machine-id",
    "/etc/shadow",
    "/etc/shadow-",
    "/etc/gshadow",
    "/etc/gshadow-",
    "/etc/sudoers",
    "/etc/sudoers.d",
    "/etc/security/opasswd",
    "/etc/ssl/private",
    "/etc/pki/tls/private",
    "/etc/NetworkManager/system-connections",
    "/etc/wireguard",
    "/etc/openvpn",
    "/etc/ppp",
    "/etc/wpa_supplicant",
    "/etc/iwd",
    "/etc/cups/ssl",
    "/etc/krb5.keytab",
    "/etc/credstore",
    "/etc/credstore.encrypted",
];

/// Whether a system file is a secret by its name.
pub(super) fn is_secret(path: &Path) -> bool {
    if SECRET.iter().any(|secret| path.starts_with(secret)) {
        return true;
    }
    // Private ssh host keys end in `_key`, public ones in `_key.pub`.
    path.parent() == Some(Path::new("/etc/ssh"))
        && path
            .file_name()
            .and_then(|n| n.to_str())
            .is_some_and(|n| n.starts_with("ssh_host_") && n.ends_with("_key"))
}

/// All mounts of a family.
#[derive(Debug, Default)]
pub struct Mounts {
    list: Vec<Mount>,
    late: Late,
    links: Vec<(PathBuf, PathBuf)>,
    /// Device and inode of directories that are hidden wherever they turn up: Postern's own.
    hidden: Vec<(u64, u64)>,
    /// Owner on the host → owner that the app sees, user and group.
    pub(super) owner: [(u32, u32); 2],
    /// The directories that those are in, and their names there.
    hidden_names: Vec<((u64, u64), Vec<u8>)>,
    watches: Option<Arc<Watches>>,
    pub(super) outside: Option<Arc<Outside>>,
    pub(super) unnamed: Unnamed,
    pub(super) recent: Recent,
}

impl Mounts {
    /// No mounts yet. Files of the host's `from` (user, group) look to the app like those of `to`.
    #[must_use]
    pub fn new(from: (u32, u32), to: (u32, u32)) -> Self {
        Self { owner: [(from.0, to.0), (from.1, to.1)], ..Self::default() }
    }

    /// Has directories watched that others may change.
    pub fn watch_with(&mut self, watches: Arc<Watches>) {
        self.watches = Some(watches);
    }

    /// Watches a directory of `mount`, if others may change it.
    pub(super) fn watch(&self, mount: &Mount, node: &Node) -> Option<Watch> {
        let watches = self.watches.as_ref().filter(|_| mount.flags & mount::EXCLUSIVE == 0)?;
        watches.watch(&node.proc_path())
    }

    /// Hides a directory of the host wherever it turns up. One that does not exist is ignored.
    pub fn hide(&mut self, path: &Path) {
        if let Ok(meta) = std::fs::metadata(path)
            && !self.is_hidden(meta.dev(), meta.ino())
        {
            self.hidden.push((meta.dev(), meta.ino()));
            if let (Some(folder), Some(name)) = (path.parent(), path.file_name())
                && let Ok(folder) = std::fs::metadata(folder)
            {
                self.hidden_names.push(((folder.dev(), folder.ino()), name.as_bytes().to_vec()));
            }
        }
    }

    /// Names of hidden directories, with the device and inode of the directories that they are in.
    pub(super) fn hidden_names(&self) -> Vec<((u64, u64), Vec<u8>)> {
        self.hidden_names.clone()
    }

    pub(super) fn is_hidden(&self, device: u64, inode: u64) -> bool {
        self.hidden.contains(&(device, inode))
    }

    /// Mounts the directory or regular file `source` of the host at `path`.
    ///
    /// # Errors
    /// If it cannot be opened or is neither.
    pub fn add(&mut self, source: &Path, path: &Path, flags: u32, policy: Policy) -> Result<u32, MountError> {
        let last = self.last_id();
        let id = last
            .checked_add(1)
            .ok_or_else(|| MountError { path: source.to_owned(), reason: "too many mounts".to_owned() })?;
        let mount = Self::open_mount(source, path, flags, policy)?;
        self.list.retain(|other| other.path != path);
        self.list.push(Mount { id, ..mount });
        Ok(id)
    }

    /// A mount of the directory or regular file `source` at `path`, without a number.
    pub(super) fn open_mount(
        source: &Path,
        path: &Path,
        flags: u32,
        policy: Policy,
    ) -> Result<Mount, MountError> {
        let wrong = |reason: String| MountError { path: source.to_owned(), reason };
        let root = open(source, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())
            .map_err(|error| wrong(error.desc().to_owned()))?;
        let root = Node::from_fd(root).map_err(|error| wrong(error.desc().to_owned()))?;
        let kind = match root.kind() {
            SFlag::S_IFDIR => 0,
            SFlag::S_IFREG => mount::FILE,
            _ => return Err(wrong("neither a directory nor a regular file".to_owned())),
        };
        let device = root.stat.st_dev;
        let root = root.into_fd();
        let (path, source) = (path.to_owned(), source.to_owned());
        Ok(Mount { id: 0, path, source, flags: flags | kind, policy, root, device })
    }

    /// The highest number of a mount that the app is started with.
    pub(super) fn last_id(&self) -> u32 {
        self.list.iter().map(|mount| mount.id).max().unwrap_or(0)
    }

    pub(super) fn late(&self) -> &Late {
        &self.late
    }

    /// All mounts, also those that were added later.
    pub(super) fn all(&self) -> impl Iterator<Item = &Mount> {
        self.list.iter().chain(self.late.iter())
    }

    /// Makes a symbolic link in the app's root.
    pub fn link(&mut self, path: &Path, target: &Path) {
        self.links.push((path.to_owned(), target.to_owned()));
    }

    pub(crate) fn get(&self, id: u64) -> Result<&Mount, Errno> {
        self.all().find(|mount| u64::from(mount.id) == id).ok_or(Errno::EINVAL)
    }

    pub(super) fn root(&self, mount: &Mount) -> Result<Node, Errno> {
        Node::from_fd(mount.root.as_fd().try_clone_to_owned().map_err(|_| Errno::EMFILE)?)
    }

    /// Where the app sees the mount with this number, if the user granted it.
    #[must_use]
    pub fn granted(&self, id: u64) -> Option<&Path> {
        self.get(id).ok().filter(|mount| mount.policy == Policy::Granted).map(|mount| mount.path.as_path())
    }

    /// The mounts that the app is started with.
    #[must_use]
    pub fn list(&self) -> &[Mount] {
        &self.list
    }

    /// Records for the start-up block: number, bits, path, link target.
    #[must_use]
    pub fn records(&self) -> Vec<(u32, u32, OsString, OsString)> {
        let mounts = self.list.iter().map(|m| (m.id, m.flags, m.path.clone().into(), OsString::new()));
        let links = self.links.iter().map(|(p, t)| (0, mount::LINK, p.clone().into(), t.clone().into()));
        mounts.chain(links).collect()
    }

    /// The mount that the app's path `path` is in, and the path below it; links in the app's root are followed.
    #[must_use]
    pub fn find(&self, path: &Path) -> Option<(&Mount, PathBuf)> {
        let path = self.resolve_link(path);
        let mount = self
            .all()
            .filter(|mount| path.starts_with(&mount.path))
            .max_by_key(|mount| mount.path.as_os_str().len())?;
        Some((mount, path.strip_prefix(&mount.path).ok()?.to_owned()))
    }

    fn resolve_link(&self, path: &Path) -> PathBuf {
        match self.links.iter().find_map(|(link, target)| Some((target, path.strip_prefix(link).ok()?))) {
            // Joining an empty rest would add a trailing slash.
            Some((target, rest)) if rest.as_os_str().is_empty() => Path::new("/").join(target),
            Some((target, rest)) => Path::new("/").join(target).join(rest),
            None => path.to_owned(),
        }
    }

    /// Where the app's path is on the host, if it is in a mount.
    #[must_use]
    pub fn host_path(&self, path: &Path) -> Option<PathBuf> {
        let (mount, rest) = self.find(path)?;
        Some(if rest.as_os_str().is_empty() { mount.source.clone() } else { mount.source.join(rest) })
    }
}
